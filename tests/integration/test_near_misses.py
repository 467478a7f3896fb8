"""A near miss reported in the app opens an incident, in the transaction of its record."""

from __future__ import annotations

import json

import pytest
from ehr import recorded
from smart_run import Visitor, csrf_of, running

from cds_service.incidents import near_misses
from cds_service.incidents.incidents import incidents
from cds_service.storage import tables
from cds_service.storage.tables import audit_event


@pytest.fixture(scope="module")
def run():
    with running() as found:
        yield found


def listed(run) -> list:
    with run.store.transaction() as connection:
        return incidents(connection, closed=True)


def say(run, choice: str, visitor: Visitor | None = None, where: str = "", **more) -> tuple[Visitor, str]:
    """Sends an opinion from the page of a patient, as a clinician would."""
    visitor = visitor or Visitor(run)
    where = where or visitor.open("tomas-wojcik")
    form = {"csrf": csrf_of(visitor.get(where).text), "outcome": "page", "choice": choice} | more
    assert visitor.post(f"{where}opinion", form, Sec_Fetch_Site="same-origin").status_code == 303
    return visitor, where


def test_a_near_miss_opens_an_incident_with_the_clinicians_words_and_a_second_adds_to_it(run) -> None:
    before = len(listed(run))
    for choice in ("useful", "wrong"):
        say(run, choice)
    assert len(listed(run)) == before
    comment = "Nearly sent Tomas home"
    visitor, where = say(run, "near-miss", reason="inputs-wrong", comment=comment)
    (found, *_) = listed(run)
    launch = where.split("/")[3]
    assert (found.kind, found.severity, found.site) == ("near-miss", "high", "demo")
    assert found.facts == {"about": "page", "reason": "inputs-wrong", "launch": launch}
    say(run, "near-miss", visitor, where)
    (found, *_) = listed(run)
    assert len(listed(run)) == before + 1
    assert [(note.who, note.what) for note in found.notes] == [
        ("service", "opened"),
        ("app", "noted"),
        ("app", "noted"),
    ]
    key = run.service.extensions["mhcds"].key
    assert [key.unseal(note.sealed) for note in found.notes if note.sealed] == [comment]
    events = [row["event"] for row in recorded(run.store, "app") if row["event"].get("choice") == "near-miss"]
    assert [event["launch"] for event in events] == [launch, launch]
    (sent,) = [
        json.loads(row["body"])["data"] for row in run.store.rows(tables.delivery) if row["incident"] == found.id
    ]
    patient = run.service.extensions["mhcds"].key.pseudonym("demo", "tomas-wojcik")
    assert not [word for word in (comment, "tomas", "Tomas", patient) if word in json.dumps(sent)]


def test_where_the_incident_cannot_be_written_neither_is_the_record_and_the_page_says_so(
    run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_words: object) -> None:
        from cds_service.errors import StoreUnavailable

        raise StoreUnavailable("full")

    before = len(run.store.rows(audit_event)), len(listed(run))
    visitor = Visitor(run)
    where = visitor.open("tomas-wojcik")
    form = {"csrf": csrf_of(visitor.get(where).text), "outcome": "page", "choice": "near-miss"}
    shown = len(run.store.rows(audit_event)) - before[0]
    monkeypatch.setattr(near_misses, "open_incident", fails)
    answer = visitor.post(f"{where}opinion", form, Sec_Fetch_Site="same-origin")
    assert answer.status_code == 503
    assert (len(run.store.rows(audit_event)), len(listed(run))) == (before[0] + shown, before[1])
