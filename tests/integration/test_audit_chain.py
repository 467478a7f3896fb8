"""The audit chain in both databases: every record is in it, nothing forks it, and older records came into it whole."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from ehr import recorded

from cds_service.storage.calls import AnswerRow, CardRow, TokenUse
from cds_service.storage.chain import AuditKind, NewEvent, append, event_digest, first_link, next_link
from cds_service.storage.opening import open_store
from cds_service.storage.store import FeedbackRow, Store
from cds_service.storage.tables import audit_event, card, chain_head, feedback, tally
from cds_service.storage.versions import upgrade

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def ready(url: str) -> Store:
    store = open_store(url)
    upgrade(store)
    return store


@pytest.fixture
def store(store_url: str):
    found = ready(store_url)
    yield found
    found.close()


def answer(site: str, n: int, *, token: str | None = None, cards: int = 0, client: str = "c") -> AnswerRow:
    sent = tuple(
        CardRow(uuid=f"{site}-{n}-{i}", topic="acute-safety", indicator="critical", suggestions=())
        for i in range(cards)
    )
    used = TokenUse(digest=token, expires=9_999_999_999, client=client, at=1000) if token else None
    event = {"service": "s", "site": site, "patient": f"p{n % 5}", "ms": n}
    return AnswerRow(at=NOW.isoformat(), site=site, event=event, cards=sent, token=used)


def chains(store: Store) -> dict[str, int]:
    """How long each site's chain is, link by link checked here in the plainest way."""
    heads = {row["site"]: (row["seq"], row["link"]) for row in store.rows(chain_head)}
    found: dict[str, tuple[int, str]] = {}
    for row in store.rows(audit_event):
        seq, link = found.get(row["site"], (0, first_link(row["site"])))
        assert row["seq"] == seq + 1
        assert row["digest"] == event_digest(row["salt"], row["event"])
        assert row["link"] == next_link(link, row["seq"], row["at"], row["kind"], row["digest"])
        assert row["patient"] == json.loads(row["event"]).get("patient")
        found[row["site"]] = (row["seq"], row["link"])
    assert found == heads
    return {site: seq for site, (seq, _) in heads.items()}


# ---- what goes in ----


def test_answers_feedback_and_acts_are_one_chain_for_each_site(store) -> None:
    assert [store.write_answer(answer(site, 1, cards=1)) for site in ("north", "south", "north")[:2]] == [1, 1]
    said = FeedbackRow(digest="d", card="north-1-0", outcome="overridden", outcome_at="t", suggestions=("s",))
    store.write_feedback(NOW, ["north"], "s", [said, said])
    with store.transaction() as connection:
        acts = [
            NewEvent(site=s, kind=AuditKind.MODE, at="t", event={"share": n})
            for n, s in enumerate(("south", "", "south"))
        ]
        append(connection, *acts)
    assert store.write_answer(answer("north", 2)) == 3

    assert chains(store) == {"": 1, "north": 3, "south": 3}
    (told,) = recorded(store, "feedback")
    assert told["patient"] == told["event"]["patient"] == "p1"
    assert told["event"]["topic"] == "acute-safety"


def test_an_event_whose_transaction_fails_leaves_no_trace(store) -> None:
    def fail() -> None:
        with store.transaction() as connection:
            append(connection, NewEvent(site="north", kind=AuditKind.MODE, at="t", event={}))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.write_answer(answer("north", 1)) == 1
    assert chains(store) == {"north": 1}


def worker(url: str, number: int) -> list[str]:
    """A process that writes in every way at once, over the same sites and clients in another order."""
    store = open_store(url)
    sites = ["a", "b", "c"][number % 3 :] + ["a", "b", "c"][: number % 3]

    def write(n: int) -> str:
        site = sites[n % 3]
        if n % 10 == 0:
            with store.transaction() as connection:
                append(connection, *(NewEvent(site=s, kind=AuditKind.MODE, at="t", event={}) for s in sites))
            return ""
        # Every fourth token is one that the other processes use too.
        token = f"shared-{n}" if n % 4 == 0 else f"{number}-{n}"
        row = answer(site, 1000 * number + n, token=token, cards=2, client=f"client-{(n * 7 + number) % 4}")
        return token if store.write_answer(row) else ""

    with ThreadPoolExecutor(12) as pool:
        tokens = [token for token in pool.map(write, range(120)) if token]
    store.close()
    return tokens


def test_processes_that_write_at_once_fork_no_chain_and_none_waits_for_ever(store, store_url: str) -> None:
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        used = [token for tokens in pool.map(worker, [store_url] * 3, range(3)) for token in tokens]

    assert len(used) == len(set(used))
    kept = recorded(store)
    assert len(kept) == len(used) == 3 * 120 - 3 * 12 - (len(shared := {t for t in used if "shared" in t}) * 2)
    assert len(shared) == len([n for n in range(120) if n % 4 == 0 and n % 10])
    assert sum(chains(store).values()) == len(kept) + 3 * 12 * 3
    assert sum(row["calls"] for row in store.rows(tally)) == len(used)
    assert len(store.rows(card)) == 2 * len(used)


# ---- what was there before ----


def old_tables(store: Store) -> None:
    config = Config()
    config.set_main_option("script_location", "cds_service.storage:migrations")
    with store.transaction(patient=True) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")


def test_records_of_the_version_before_come_into_the_chain_in_order_of_time_and_none_is_lost(store_url: str) -> None:
    store = open_store(store_url)
    old_tables(store)
    with store.transaction() as connection:
        for n in range(1, 1202):  # more than a batch
            site = None if n % 100 == 0 else ("north", "south")[n % 2]
            event = {"service": "s", "site": site, "patient": f"p{n}", "status": 200}
            at = f"2026-11-25T12:{n // 60:02d}:{n % 60:02d}{'.5' if n % 3 == 0 else ''}+00:00"
            row = {"n": n, "at": at, "event": json.dumps(event), "site": site or "north"}
            connection.execute(sa.text("INSERT INTO answer (id, at, event) VALUES (:n, :at, :event)"), row)
            if site:
                sent = "INSERT INTO card VALUES (:uuid, :n, :site, 'acute-safety', 'critical', '[]')"
                connection.execute(sa.text(sent), row | {"uuid": f"u{n}"})
        app = json.dumps({"what": "shown", "site": "north", "launch": "l", "user": None, "patient": "p9"})
        connection.execute(
            sa.text("INSERT INTO app_event (at, event) VALUES ('2026-11-25T12:00:30.2+00:00', :event)"), {"event": app}
        )
        said = sa.text(
            "INSERT INTO feedback (at, digest, site, service, card, answer, topic, outcome, outcome_at, suggestions, comment)"
            " VALUES (:at, :card, 'north', 's', :card, :answer, 'acute-safety', 'overridden', 't', '[\"x\"]', :comment)"
        )
        connection.execute(said, {"at": "2026-11-25T12:59:59+00:00", "card": "u30", "answer": 30, "comment": b"\x01"})
        connection.execute(said, {"at": "2026-11-25T12:00:00+00:00", "card": "x", "answer": None, "comment": None})

    upgrade(store)

    assert chains(store) == {"": 12, "north": 588 + 1 + 2, "south": 601}
    by_site = {site: [row for row in store.rows(audit_event) if row["site"] == site] for site in ("", "north", "south")}
    for rows in by_site.values():
        assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    numbers = {(row["site"], row["seq"]): row["event"]["patient"] for row in recorded(store)}
    assert {row["uuid"]: numbers[row["site"], row["answer"]] for row in store.rows(card)} == {
        f"u{n}": f"p{n}" for n in range(1, 1202) if n % 100
    }
    first, second = store.rows(feedback)
    assert (numbers["north", first["answer"]], first["comment"], first["suggestions"]) == ("p30", b"\x01", ["x"])
    assert second["answer"] is None
    assert [row["event"].get("patient") for row in recorded(store, "feedback")] == [
        None, "p30",
    ]  # fmt: skip
    assert store.write_feedback(NOW, ["south"], "s", [FeedbackRow(digest="new", card="u31", outcome="accepted", outcome_at="t", suggestions=())]) == (1, 1)  # fmt: skip
    assert store.write_answer(answer("north", 1)) == 592
    store.close()


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'old.db'}")
    (tmp_path / "old.db").touch()
    old_tables(store)
    with store.transaction() as connection:
        connection.execute(sa.text("INSERT INTO answer (id, at, event) VALUES (1, 't', '{}'), (2, 'u', 'half a l')"))
    with pytest.raises(ValueError, match="JSON"):
        upgrade(store)

    with store.transaction() as connection:
        assert sorted(sa.inspect(connection).get_table_names())[:3] == ["alembic_version", "answer", "app_event"]
        assert connection.scalar(sa.text("SELECT COUNT(*) FROM answer")) == 2
    store.close()
