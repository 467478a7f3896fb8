"""Whoever changes an audit chain is found out, whatever was changed; a good chain is never blamed."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from ehr import DATA_KEY, kept_in, mhcds, settings

from cds_service.audit import verify as verification
from cds_service.audit.heads import head_lines, public_key, read_heads
from cds_service.audit.verify import FaultKind, verify
from cds_service.errors import ConfigError
from cds_service.keys.data_key import DataKey, new_key
from cds_service.storage.calls import AnswerRow
from cds_service.storage.chain import AuditKind, NewEvent, append, event_digest, next_link
from cds_service.storage.opening import open_store
from cds_service.storage.store import Store
from cds_service.storage.tables import audit_event, chain_head
from cds_service.storage.versions import upgrade

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
KEY = DataKey(DATA_KEY)
LENGTH = 7
C = audit_event.c


def write(store: Store, site: str, n: int) -> None:
    event = {"service": "s", "site": site, "patient": f"p{n}", "ms": n}
    store.write_answer(AnswerRow(at=(NOW + timedelta(seconds=n)).isoformat(), site=site, event=event))


@pytest.fixture
def store(store_url: str):
    found = open_store(store_url)
    upgrade(found)
    for n in range(LENGTH):
        write(found, "north", n)
        write(found, "south", n)
    yield found
    found.close()


def faults(store: Store, *heads: str) -> list[tuple[str, str, int]]:
    found = verify(store, heads=read_heads(heads, KEY))
    return [(fault.site, fault.kind.value, fault.seq) for chain in found for fault in chain.faults]


def at(seq: int, site: str = "north"):
    return sa.and_(C.site == site, C.seq == seq)


def change(store: Store, *statements) -> None:
    with store.transaction() as connection:
        for statement in statements:
            connection.execute(statement)


def row_of(store: Store, seq: int, site: str = "north") -> dict:
    return next(row for row in store.rows(audit_event) if (row["site"], row["seq"]) == (site, seq))


def test_a_chain_that_nobody_touched_is_whole(store) -> None:
    heads = head_lines(store, KEY, NOW)
    write(store, "north", 99)

    found = verify(store, heads=read_heads(heads, KEY))
    assert [(chain.site, chain.events, chain.erased, chain.faults) for chain in found] == [
        ("north", LENGTH + 1, 0, ()), ("south", LENGTH, 0, ()),
    ]  # fmt: skip


OTHER = {
    "site": "west", "seq": 70, "at": "2020-01-01", "kind": "app", "patient": "p9", "event": '{"ms":9}',
    "salt": "0" * 32, "digest": "0" * 64, "link": "0" * 64,
}  # fmt: skip


@pytest.mark.parametrize("seq", [1, 4, LENGTH])
@pytest.mark.parametrize("column", [*OTHER, "patient erased", "event erased", "salt erased"])
def test_a_change_of_any_column_is_found(store, column: str, seq: int) -> None:
    name = column.partition(" ")[0]
    change(store, audit_event.update().where(at(seq)).values({name: None if "erased" in column else OTHER[name]}))

    (first, *_) = faults(store)
    assert first[0] == "north"
    assert abs(first[2] - seq) <= 1
    assert first[1] in {"edited", "unlinked", "missing", "cut", "head"}


def test_every_column_of_an_event_is_changed_in_these_tests() -> None:
    assert set(OTHER) == {column.name for column in audit_event.columns}


@pytest.mark.parametrize(("seq", "kind"), [(1, "missing"), (4, "missing"), (LENGTH, "cut")])
def test_a_deletion_is_found(store, seq: int, kind: str) -> None:
    change(store, audit_event.delete().where(at(seq)))

    assert faults(store) == [("north", kind, seq)]


def test_two_events_that_change_places_are_found(store) -> None:
    two, five = row_of(store, 2), row_of(store, 5)
    change(
        store,
        audit_event.update().where(at(2)).values({k: v for k, v in five.items() if k != "seq"}),
        audit_event.update().where(at(5)).values({k: v for k, v in two.items() if k != "seq"}),
    )

    assert faults(store)[0] == ("north", "unlinked", 2)


def test_an_event_that_is_put_in_is_found_even_with_its_own_link_right(store) -> None:
    before = row_of(store, 3)
    change(store, *(audit_event.update().where(at(seq)).values(seq=seq + 1) for seq in range(LENGTH, 3, -1)))
    event = '{"service":"s","ms":1}'
    digest = event_digest("s", event)
    put_in = before | {"seq": 4, "event": event, "salt": "s", "digest": digest, "patient": None}
    put_in["link"] = next_link(before["link"], 4, before["at"], "answer", digest)
    change(store, audit_event.insert().values(put_in))

    assert faults(store)[0] == ("north", "unlinked", 5)


def test_an_event_that_is_put_at_the_end_without_the_head_is_found(store) -> None:
    last = row_of(store, LENGTH)
    link = next_link(last["link"], LENGTH + 1, last["at"], "answer", last["digest"])
    change(store, audit_event.insert().values(last | {"seq": LENGTH + 1, "link": link}))

    assert faults(store) == [("north", "head", LENGTH)]


def test_sites_that_change_places_are_found(store) -> None:
    both = {"north": "south", "south": "north"}
    rows = [row | {"site": both[row["site"]]} for row in store.rows(audit_event)]
    ends = [row | {"site": both[row["site"]]} for row in store.rows(chain_head)]
    change(store, audit_event.delete(), chain_head.delete())
    change(store, audit_event.insert().values(rows), chain_head.insert().values(ends))

    assert faults(store) == [("north", "unlinked", 1), ("south", "unlinked", 1)]


def test_a_head_that_is_gone_or_changed_is_found(store) -> None:
    change(store, chain_head.update().where(chain_head.c.site == "north").values(link="0" * 64))
    change(store, chain_head.delete().where(chain_head.c.site == "south"))

    assert faults(store) == [("north", "head", LENGTH), ("south", "head", 0)]


def cut_with_its_head(store: Store, length: int) -> None:
    link = row_of(store, length)["link"]
    change(
        store,
        audit_event.delete().where(C.site == "north", C.seq > length),
        chain_head.update().where(chain_head.c.site == "north").values(seq=length, link=link),
    )


def test_a_chain_that_is_cut_with_a_forged_head_is_found_by_a_head_that_was_kept_elsewhere(store) -> None:
    heads = head_lines(store, KEY, NOW)
    cut_with_its_head(store, 4)

    assert faults(store) == []
    assert faults(store, *heads) == [("north", "older", LENGTH)]
    (fault,) = next(c.faults for c in verify(store, heads=read_heads(heads, KEY)) if c.faults)
    assert "ends at 4, the head signed on 2026-11-25T12:00:00+00:00 says 7" in fault.words
    for n in range(LENGTH):  # it grows again
        write(store, "north", 100 + n)
    assert faults(store, *heads) == [("north", "rewritten", LENGTH)]


def test_a_chain_that_is_gone_whole_is_found_by_a_head(store) -> None:
    heads = head_lines(store, KEY, NOW)
    change(store, audit_event.delete(), chain_head.delete())

    assert faults(store, *heads) == [("north", "older", LENGTH), ("south", "older", LENGTH)]


def test_an_event_that_somebody_erased_is_found_and_one_that_was_erased_by_right_is_not(store) -> None:
    gone = {"event": None, "salt": None, "patient": None}
    change(store, audit_event.update().where(C.site == "north", C.seq.in_((2, 3, 5))).values(gone))
    assert faults(store) == [("north", "erased", 2), ("north", "erased", 5)]

    with store.transaction() as connection:
        event = {"act": "person", "by": "A", "reason": "asked", "count": 2, "numbers": [[2, 2], [5, 5]]}
        append(connection, NewEvent(site="north", kind=AuditKind.ERASURE, at="t", event=event))
    (north, _) = verify(store)
    assert [(fault.kind, fault.seq, fault.last) for fault in north.faults] == [(FaultKind.ERASED, 3, 3)]
    assert north.erased == 3


def test_a_long_chain_is_read_page_by_page(store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "PAGE", 3)
    told: list[tuple[str, int, int]] = []

    assert [chain.events for chain in verify(store, progress=lambda *step: told.append(step))] == [LENGTH, LENGTH]
    assert told[:3] == [("north", 3, LENGTH), ("north", 6, LENGTH), ("north", LENGTH, LENGTH)]
    change(store, audit_event.delete().where(at(4)))
    assert faults(store) == [("north", "missing", 4)]


# ---- heads ----


def test_heads_are_read_out_of_a_log_and_a_line_that_was_changed_is_named(store) -> None:
    north, south = head_lines(store, KEY, NOW)

    read = read_heads([f"2026-11-25 host mhcds[7]: {north}", '{"event": "hook-answered"}', south], KEY)
    assert [(head.site, head.seq) for head in read] == [("north", LENGTH), ("south", LENGTH)]
    for spoiled in (north[:-9], north.replace('"jws": "ey', '"jws": "ez'), head_lines(store, new_key(), NOW)[0]):
        with pytest.raises(ConfigError, match="line 2: expected a head"):
            read_heads([south, spoiled], KEY)
    assert public_key(KEY).startswith("-----BEGIN PUBLIC KEY-----")


# ---- the commands ----


def test_the_commands_say_in_plain_words_what_is_wrong(store, store_url: str, tmp_path: Path) -> None:
    folder = str(settings(tmp_path / "settings", service=kept_in(store_url, tmp_path / "settings")))
    printed = mhcds("audit", "head", "--config", folder)
    assert (printed.returncode, len(printed.stdout.splitlines())) == (0, 2), printed.stderr
    heads = tmp_path / "heads"
    heads.write_text(printed.stdout)
    good = mhcds("audit", "verify", "--config", folder, "--heads", str(heads))
    assert (good.returncode, "Every chain is whole, against 2 signed heads" in good.stdout) == (0, True), good.stderr
    cut_with_its_head(store, 4)

    bad = mhcds("audit", "verify", "--config", folder, "--heads", str(heads))
    assert bad.returncode == 1
    assert "north: the chain ends at 4, the head signed on" in bad.stdout
    told = mhcds("audit", "verify", "--config", folder, "--heads", str(heads), "--json", "--site", "north")
    (chain,) = json.loads(told.stdout)["chains"]
    assert (told.returncode, chain["faults"][0]["kind"]) == (1, "older")
    heads.write_text(printed.stdout.replace("ey", "ez"))
    spoiled = mhcds("audit", "verify", "--config", folder, "--heads", str(heads))
    assert (spoiled.returncode, "line 1: expected a head" in spoiled.stderr) == (1, True)
    assert "Traceback" not in spoiled.stderr
    heads.write_text('{"event": "hook-answered"}\n')
    none = mhcds("audit", "verify", "--config", folder, "--heads", str(heads))
    assert (none.returncode, "whole" in none.stdout, "found none" in none.stderr) == (1, False, True)


def test_a_store_without_events_does_not_read_like_one_that_was_verified(tmp_path: Path) -> None:
    done = mhcds("audit", "verify", "--config", str(settings(tmp_path)))
    assert (done.returncode, "There is no event yet" in done.stdout, "whole" in done.stdout) == (0, True, False)
    assert mhcds("audit", "head", "--config", str(settings(tmp_path / "other"))).stdout == ""


def test_an_older_database_in_the_place_of_a_newer_is_found(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mhcds.db'}"
    (tmp_path / "mhcds.db").touch()
    store = open_store(url)
    upgrade(store)
    for n in range(3):
        write(store, "north", n)
    store.close()
    shutil.copy(tmp_path / "mhcds.db", tmp_path / "older.db")
    store = open_store(url)
    write(store, "north", 4)
    heads = head_lines(store, KEY, NOW)
    store.close()
    (tmp_path / "older.db").replace(tmp_path / "mhcds.db")

    assert faults(open_store(url), *heads) == [("north", "older", 4)]


def test_half_a_database_file_ends_in_a_message(tmp_path: Path) -> None:
    folder = settings(tmp_path / "settings", service=kept_in(f"sqlite:///{tmp_path / 'm.db'}", tmp_path / "settings"))
    (tmp_path / "m.db").touch()
    store = open_store(f"sqlite:///{tmp_path / 'm.db'}")
    upgrade(store)
    for n in range(300):
        write(store, "north", n)
    store.close()
    whole = (tmp_path / "m.db").read_bytes()
    (tmp_path / "m.db").write_bytes(whole[: len(whole) // 2])

    found = mhcds("audit", "verify", "--config", str(folder))
    assert found.returncode == 1
    assert "Traceback" not in found.stderr
    assert "store" in found.stderr
