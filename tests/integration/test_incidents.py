"""Incidents on SQLite and on a real PostgreSQL: one an occasion, each change with its audit event and its message."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from ehr import DATA_KEY

from cds_service.incidents.incidents import (
    Handling,
    NewIncident,
    NoSuchIncident,
    assign,
    close,
    incidents,
    note,
    one_incident,
    open_incident,
)
from cds_service.incidents.kinds import KINDS, IncidentKind, Severity
from cds_service.keys.data_key import DataKey
from cds_service.storage import tables

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
KEY = DataKey(DATA_KEY)
RATE = {"day": "2026-11-25", "answers": 40, "affected": 20, "limit": 0.25}


def opened(store, kind: IncidentKind = IncidentKind.NEAR_MISS, *, occasion: str = "one", site: str = "north", **facts):
    new = NewIncident(site=site, kind=kind, occasion=occasion, facts=facts)
    with store.transaction() as connection:
        return open_incident(connection, new, NOW)


def act(by: str = "Ann Safe", text: str | None = None, later: timedelta = timedelta(hours=1)) -> Handling:
    return Handling(by=by, at=NOW + later, sealed=None if text is None else KEY.seal(text))


def do(store, what, *given):
    with store.transaction() as connection:
        return what(connection, *given)


def listed(store, **how):
    with store.transaction() as connection:
        return incidents(connection, **how)


def audited(store) -> list[dict]:
    return [json.loads(row["event"]) for row in store.rows(tables.audit_event) if row["kind"] == "incident"]


def test_an_incident_has_its_time_line_its_audit_events_and_two_messages(store) -> None:
    name = opened(store, about="depression", reason="inputs-wrong")
    do(store, assign, name, "Ben Ward", act())
    do(store, note, name, act(text="Told Dr. Jones about Mrs. Miller"))
    do(store, close, name, act("Ben Ward", text="Mapping mended"))
    with store.transaction() as connection:
        found = one_incident(connection, name)
    assert (found.status, found.owner, found.severity) == ("closed", "Ben Ward", Severity.HIGH)
    assert [(line.who, line.what) for line in found.notes] == [
        ("service", "opened"),
        ("Ann Safe", "assigned"),
        ("Ann Safe", "noted"),
        ("Ben Ward", "closed"),
    ]
    assert [KEY.unseal(line.sealed) for line in found.notes if line.sealed] == [
        "Told Dr. Jones about Mrs. Miller",
        "Mapping mended",
    ]
    assert [(event["what"], event["by"]) for event in audited(store)] == [(n.what, n.who) for n in found.notes]
    bodies = [json.loads(row["body"]) for row in store.rows(tables.delivery)]
    assert [body["type"] for body in bodies] == ["incident.opened", "incident.closed"]
    assert bodies[1]["data"] == {
        "id": name,
        "kind": "near-miss",
        "severity": "high",
        "site": "north",
        "status": "closed",
        "at": NOW.isoformat(),
        "closed": (NOW + timedelta(hours=1)).isoformat(),
        "facts": {"about": "depression", "reason": "inputs-wrong"},
    }


def test_what_people_write_is_sealed_and_goes_nowhere_else(store) -> None:
    name = opened(store)
    do(store, note, name, act(text="Mrs. Miller of ward 3"))
    do(store, close, name, act(text="Mrs. Miller is well"))
    everything = repr([store.rows(table) for table in (tables.incident, tables.delivery, tables.audit_event)])
    assert "Miller" not in everything
    assert "Miller" not in repr(store.rows(tables.incident_note))


def test_one_occasion_opens_one_incident_however_many_see_it_at_once(store) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: opened(store), range(16)))
    assert len([name for name in found if name]) == 1
    assert len(listed(store)) == len(store.rows(tables.delivery)) == len(audited(store)) == 1


def test_after_closing_an_occasion_opens_another_only_where_its_kind_says_so(store) -> None:
    for kind, row in KINDS.items():
        first = opened(store, kind, occasion=kind.value)
        assert opened(store, kind, occasion=kind.value) is None
        do(store, close, first, act())
        assert (opened(store, kind, occasion=kind.value) is not None) is row.again


def test_of_two_people_who_close_at_once_one_does(store) -> None:
    name = opened(store)

    def closes(who: str) -> bool:
        try:
            do(store, close, name, act(who))
        except NoSuchIncident:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(closes, "abcd")) == [False, False, False, True]
    assert len(store.rows(tables.delivery)) == 2
    with pytest.raises(NoSuchIncident, match="it is closed"):
        do(store, assign, name, "Ben", act())


def test_an_unknown_incident_is_named_as_such_and_nothing_is_written(store) -> None:
    for what, given in ((note, ()), (assign, ("Ben",)), (close, ())):
        with pytest.raises(NoSuchIncident, match="mhcds incident list"):
            do(store, what, "0" * 16, *given, act())
    assert store.rows(tables.incident_note) == audited(store) == []


def test_facts_that_a_kind_does_not_hold_are_refused(store) -> None:
    with pytest.raises(ValueError, match="found \\['patient'\\]"):
        opened(store, patient="Mrs. Miller")
    assert listed(store) == []


def test_a_transaction_that_fails_leaves_no_half_of_an_incident(store) -> None:
    def fails() -> None:
        new = NewIncident(site="north", kind=IncidentKind.ANOMALY_RATE, occasion="day", facts=RATE)
        with store.transaction() as connection:
            assert open_incident(connection, new, NOW)
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert all(not store.rows(t) for t in (tables.incident, tables.incident_note, tables.delivery, tables.audit_event))


def test_incidents_are_listed_by_site_and_state_the_newest_first(store) -> None:
    north, south = opened(store, occasion="a"), opened(store, occasion="b", site="south")
    do(store, close, north, act())
    assert [each.id for each in listed(store)] == [south]
    assert {each.id for each in listed(store, closed=True)} == {north, south}
    assert [each.id for each in listed(store, sites=["north"], closed=True)] == [north]
