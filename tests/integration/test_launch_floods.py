"""Floods of unsigned launches, and retention of the app's tables: on SQLite and PostgreSQL, over HTTP where it is heard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import requests
import sqlalchemy as sa
from ehr import DATA_KEY
from smart_run import Run, Visitor, running

from cds_service.keys.data_key import DataKey
from cds_service.storage import app_store
from cds_service.storage.app_store import AppRows
from cds_service.storage.tables import app_session, launch_state, submission, written
from smart_launch.session.store import StoredSession, WaitingLaunch

HOSPITAL, ELSEWHERE = "198.51.100.7", "203.0.113.9"
NOW = 10_000_000


@pytest.fixture
def run(store, store_url: str) -> Iterator[Run]:
    """The service behind a trusted proxy, which is this test."""
    with running(
        config=lambda c: replace(c, store=store_url, data_key=DataKey(DATA_KEY), trusted_proxies=("127.0.0.0/8",))
    ) as found:
        yield found


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MOST_WAITING": 12, "MOST_OF_ADDRESS": 5, "MOST_OF_BROWSER": 3, "BATCH": 10}.items():
        monkeypatch.setattr(app_store, name, value)


def flood(run: Run, count: int, forwarded: Callable[[int], str]) -> list[requests.Response]:
    """Unsigned launches over HTTP, each of a browser without cookies."""
    with requests.Session() as session:
        session.trust_env = False
        found = []
        for number in range(count):
            headers = {"X-Forwarded-For": forwarded(number)}
            found.append(
                session.get(run.launch_url("tomas-wojcik"), headers=headers, allow_redirects=False, timeout=30)
            )
            session.cookies.clear()
    return found


# ---- floods -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few")
def test_who_begins_too_many_launches_is_asked_to_wait_and_nobody_else_is(run) -> None:
    known, new = Visitor(run), Visitor(run)
    known.open()
    # Whatever the client itself writes into the header stands before what the proxy adds.
    answers = flood(run, 7, lambda number: f"192.0.2.{number}, {ELSEWHERE}")
    beside = known.get(run.launch_url("tomas-wojcik"), X_Forwarded_For=ELSEWHERE)
    other = new.get(run.launch_url("tomas-wojcik"), X_Forwarded_For=HOSPITAL)
    run.clock.ahead += 61
    later = flood(run, 1, lambda _: ELSEWHERE)

    assert [answer.status_code for answer in answers] == [303] * 5 + [429] * 2
    refused = answers[-1]
    assert refused.headers["Retry-After"] == "60"
    assert 'data-page="too-many"' in refused.text
    assert re.search(r"\b[2-9A-Z]{3}-[2-9A-Z]{3}\b", refused.text)
    assert run.addresses.page_origin in refused.headers["Content-Security-Policy"]
    assert [beside.status_code, other.status_code, later[0].status_code] == [303, 303, 303]


@pytest.mark.usefixtures("few")
def test_launches_that_are_completed_do_not_count(run) -> None:
    for _ in range(7):
        visitor = Visitor(run)
        assert visitor.get(visitor.authorize(visitor.begin())).status_code == 303


@pytest.mark.usefixtures("few")
def test_a_browser_that_had_a_session_is_counted_by_itself(run) -> None:
    visitor = Visitor(run)
    visitor.open()

    answers = [visitor.get(run.launch_url("tomas-wojcik")).status_code for _ in range(4)]

    assert answers == [303, 303, 303, 429]


@pytest.mark.usefixtures("few")
def test_a_flood_from_many_addresses_does_not_push_out_the_launch_of_a_known_browser(run) -> None:
    known, new = Visitor(run), Visitor(run)
    first = known.open()
    waiting, unknown = known.authorize(known.begin("bronwen-achterberg")), new.authorize(new.begin())

    answers = flood(run, 20, lambda number: f"198.18.0.{number}")

    assert {answer.status_code for answer in answers} == {303}
    assert len(run.store.rows(launch_state)) == 12
    assert known.get(first).status_code == 200
    assert known.get(waiting).status_code == 303
    assert 'data-page="used"' in new.get(unknown).text  # what is left to a flood from a network of machines


def test_a_flood_of_launches_fills_no_disk_and_the_latest_come_back(store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_store, "MOST_WAITING", 5)
    rows = AppRows(store)
    for second in range(20):
        assert rows.put_launch(launch_of(f"digest-{second}", expires=600 + second), second)

    assert len(store.rows(launch_state)) == 5
    assert [rows.take_launch(f"digest-{n}", 20) for n in (14, 15, 19)] == [None, b"sealed", b"sealed"]
    rows.put_launch(launch_of("much later", expires=2000), 1400)
    assert [row["digest"] for row in store.rows(launch_state)] == ["much later"]


@pytest.mark.usefixtures("few")
def test_unknown_launches_never_replace_known_ones_and_the_latest_are_kept(store) -> None:
    rows = AppRows(store)
    for number in range(14):
        rows.put_session(session_of(f"known-{number}", used=NOW))
        assert rows.put_launch(launch_of(f"k{number}", browser=f"known-{number}", expires=NOW + 600 + number), NOW)
    for number in range(5):
        assert rows.put_launch(launch_of(f"u{number}", address=f"a{number}", expires=NOW + 700), NOW)

    assert {row["digest"] for row in store.rows(launch_state)} == {f"k{number}" for number in range(2, 14)}


# ---- retention ----------------------------------------------------------------------------------------------------


def launch_of(digest: str, *, expires: int, browser: str = "unknown", address: str = "a") -> WaitingLaunch:
    return WaitingLaunch(digest=digest, browser=browser, address=address, sealed=b"sealed", expires=expires)


def session_of(name: str, *, used: int) -> StoredSession:
    return StoredSession(
        digest=name, launch=name, browser=name, iss="i", sealed=b"sealed", started=used, used=used, version=0
    )


def fill(store, count: int) -> None:
    """Old rows of each table."""
    day = 24 * 60 * 60
    old, idle = NOW - 3 * day, NOW - 2 * 60 * 60
    with store.transaction() as connection:
        many = range(count)
        values = {name: getattr(session_of("x", used=old), name) for name in app_store.COLUMNS}
        sessions = [values | {"launch": f"o-{n}", "ended": "closed"} for n in many]
        sessions += [values | {"launch": f"i-{n}", "used": idle} for n in many]
        connection.execute(app_session.insert(), sessions)
        connection.execute(submission.insert(), [{"id": f"s{n}", "launch": "x", "at": old} for n in many])
        notes = [
            {"submission": f"s{n // 2}", "slot": f"{n % 2}", "reference": "Observation/1", "at": old} for n in many
        ]
        connection.execute(written.insert(), notes)
        launches = [{"digest": f"l{n}", "sealed": b"", "expires": old} for n in many]
        connection.execute(launch_state.insert(), launches)


@contextmanager
def noted(store) -> Iterator[list[tuple[str, int]]]:
    """Each statement sent to a store, with the number of rows that it changed."""
    sent: list[tuple[str, int]] = []

    def note(_connection, cursor, statement: str, *_rest) -> None:
        sent.append((statement, cursor.rowcount))

    sa.event.listen(store.engine, "after_cursor_execute", note)
    yield sent
    sa.event.remove(store.engine, "after_cursor_execute", note)


def both_calls(rows: AppRows, number: int) -> None:
    """One launch, and one completed launch."""
    rows.put_launch(launch_of(f"new-{number}", expires=NOW + 600), NOW)
    rows.put_session(session_of(f"new-{number}", used=NOW))


def test_however_many_rows_are_old_a_call_drops_a_few_of_each_kind_and_in_the_end_all_are_gone(
    store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_store, "BATCH", 10)
    rows, dropped = AppRows(store), []
    fill(store, 35)
    for number in range(4):
        with noted(store) as sent:
            both_calls(rows, number)
        dropped.append([changed for statement, changed in sent if statement.startswith(("DELETE", "UPDATE"))])

    # Launches: expired, in excess. The browser's own session. Sessions, submissions, notes: old. Sessions: idle.
    assert dropped == [[10, 0, 0, 10, 10, 10, 10]] * 3 + [[5, 0, 0, 5, 5, 5, 5]]
    idle = [row for row in store.rows(app_session) if row["launch"].startswith("i")]
    assert {(row["ended"], row["sealed"]) for row in idle} == {("timed-out", b"")}
    assert len(store.rows(app_session)) == 35 + 4
    assert store.rows(submission) == store.rows(written) == []
    assert {row["digest"] for row in store.rows(launch_state)} == {"new-0", "new-1", "new-2", "new-3"}


def test_a_call_sends_as_many_statements_whatever_is_old_and_none_looks_at_every_row(store) -> None:
    rows, counts = AppRows(store), []
    for number, count in enumerate((0, 3000)):
        if count:
            fill(store, count)
        with noted(store) as sent:
            both_calls(rows, number)
        counts.append(len(sent))
        assert max(changed for _, changed in sent) <= app_store.BATCH

    assert counts[0] == counts[1]
    if store.engine.dialect.name == "sqlite":
        with store.transaction() as connection:
            for statement, _ in sent:
                marks = tuple(None for _ in range(statement.count("?")))
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", marks).all()
                assert not [step.detail for step in plan if re.fullmatch(r"SCAN \w+", step.detail)], statement
