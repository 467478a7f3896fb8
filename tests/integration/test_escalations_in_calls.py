"""Hook calls and feedback with escalations: through the app itself, of two workers, on both databases."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from builders import AS_OF, PATIENT, patient, resource
from ehr import DATA_KEY, kept_in, recorded
from hook_calls import ACUTE, POSITIVE, call_of, client_of, path_of, topics
from webhook_receiver import SECRET

from cds_service.escalation.escalations import hand_back
from cds_service.escalation.records import EscalationStatus, listed, patient_of
from cds_service.hooks.catalogue import SERVICES
from cds_service.keys.data_key import DataKey
from cds_service.serving import metrics
from cds_service.storage import tables
from cds_service.storage.opening import open_store
from cds_service.storage.versions import upgrade

CONTACT = {"name": "Crisis desk", "channel": "webhook", "webhook": {"url": "http://127.0.0.1:9/pager"}}
WHEN = AS_OF.isoformat()


@pytest.fixture
def secret(monkeypatch) -> dict:
    monkeypatch.setenv("PAGER_SECRET", SECRET)
    return CONTACT | {"webhook": CONTACT["webhook"] | {"secret": {"env": "PAGER_SECRET"}}}


@pytest.fixture
def store(store_url):
    found = open_store(store_url)
    upgrade(found)
    yield found
    found.close()


@pytest.fixture
def workers(tmp_path, store_url, store, secret):
    """Two workers on one folder of settings and one store."""
    wanted = {
        "service": kept_in(store_url, tmp_path),
        "site": {"consent": "not-used", "escalation": {"contact": [secret]}},
    }
    return [client_of(tmp_path, **wanted) for _ in range(2)]


@pytest.fixture
def worker(workers):
    return workers[0]


def rows(store):
    with store.transaction() as connection:
        return listed(connection, open_only=False)


def critical(answer) -> dict:
    return next(card for card in answer.get_json()["cards"] if card["source"]["topic"]["code"] == "acute-safety")


def send(worker, card: dict, **what) -> int:
    item = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": WHEN} | what
    return worker.post(f"/cds-services/{SERVICES[0].id}/feedback", {"feedback": [item]}).status_code


def reason(code: str) -> dict:
    return {"overrideReason": {"reason": {"code": code, "system": "urn:mental-health-cds:override-reason"}}}


def test_twenty_calls_of_two_workers_open_one_escalation_and_each_answer_says_how_far_it_is(workers, store) -> None:
    body = call_of(SERVICES[0], ACUTE)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: workers[n % 2].post(path_of(SERVICES[0]), body), range(20)))
    assert all("acute-safety" in topics(answer) for answer in answers)
    (row,) = rows(store)
    assert (row.contact, row.events, len(row.messages)) == ("Crisis desk", 1, 1)
    assert [event["event"]["escalation"] for event in recorded(store)] == ["waiting"] * 20
    assert all("Nobody has been notified" not in critical(answer)["detail"] for answer in answers)


def test_every_service_that_shows_an_acute_answer_tells_of_it_once(worker, store) -> None:
    for service in SERVICES:
        worker.call(ACUTE, service=service)
    assert len(rows(store)) == 1


def test_an_answer_that_is_not_acute_opens_nothing(worker, store) -> None:
    worker.call(POSITIVE)
    worker.call()
    assert rows(store) == []
    assert [event["event"]["escalation"] for event in recorded(store)] == [None, None]


def test_the_patient_of_the_call_is_sealed_and_initials_and_place_are_not_even_kept_for_a_link(worker, store) -> None:
    worker.call(ACUTE)
    (row,) = rows(store)
    with store.transaction() as connection:
        link = patient_of(connection, DataKey(DATA_KEY), row.id)
    assert (link.patient_id, link.initials, link.place) == (PATIENT, None, None)


def test_initials_and_place_come_from_the_chart_where_messages_hold_them(tmp_path, store_url, store, secret) -> None:
    site = {"consent": "not-used", "escalation": {"content": "initials-and-place", "contact": [secret]}}
    worker = client_of(tmp_path, service=kept_in(store_url, tmp_path), site=site)
    whose = patient() | {"name": [{"family": "Okafor", "given": ["Marguerite"]}]}
    place = [{"location": {"display": "Ward 3 West"}}]
    visit = resource("Encounter", id="now", status="in-progress", location=place, **{"class": {"code": "AMB"}})
    prefetch = {"patient": whose, "encounters": {"resourceType": "Bundle", "entry": [{"resource": visit}]}}
    service = next(service for service in SERVICES if service.needs_encounter)
    worker.call(ACUTE, service=service, prefetch=prefetch)
    (row,) = rows(store)
    with store.transaction() as connection:
        link = patient_of(connection, DataKey(DATA_KEY), row.id)
    assert (link.initials, link.place) == ("MO", "Ward 3 West")


@pytest.mark.parametrize("code", ["under-way", "with-crisis-team"])
def test_a_reason_that_says_that_somebody_knows_acknowledges(worker, store, code) -> None:
    body = call_of(SERVICES[0], ACUTE)
    card = critical(worker.post(path_of(SERVICES[0]), body))
    assert send(worker, card, **reason(code)) == 200
    (row,) = rows(store)
    assert (row.status, row.acknowledged_by, row.through) == (EscalationStatus.ACKNOWLEDGED, "", "feedback")
    assert send(worker, card, **reason(code)) == 200  # again
    assert len(recorded(store, "escalation")) == 2
    worker.post(path_of(SERVICES[0]), body)
    assert recorded(store)[-1]["event"]["escalation"] == "acknowledged"


def test_feedback_that_is_repeated_after_it_was_handed_back_acknowledges_nothing(worker, store) -> None:
    card = critical(worker.call(ACUTE))
    send(worker, card, **reason("under-way"))
    (row,), later = rows(store), AS_OF + timedelta(minutes=5)
    with store.transaction() as connection:
        hand_back(connection, row.id, by="Ann", through="command", now=later)
    assert send(worker, card, **reason("under-way")) == 200
    assert rows(store)[0].is_open


def test_the_assessment_that_is_accepted_acknowledges_and_a_contact_in_days_does_not(worker, store) -> None:
    card = critical(worker.call(ACUTE))
    for place, is_open in ((1, True), (0, False)):
        taken = [{"id": card["suggestions"][place]["uuid"]}]
        assert send(worker, card, outcome="accepted", acceptedSuggestions=taken) == 200
        assert rows(store)[0].is_open is is_open


@pytest.mark.parametrize(
    "what",
    [
        {},
        reason("not-treating"),
        reason("entered-in-error"),
        {"overrideReason": {"userComment": "under-way"}},
        {"outcome": "accepted", "acceptedSuggestions": [{"id": "something-else"}]},
    ],
)
def test_a_dismissal_or_a_reason_that_somebody_else_treats_the_patient_does_not(worker, store, what) -> None:
    assert send(worker, critical(worker.call(ACUTE)), **what) == 200
    assert rows(store)[0].is_open


def test_feedback_on_a_card_of_another_topic_or_of_another_patient_does_not(worker, store) -> None:
    worker.call(ACUTE)
    mine = rows(store)[0]
    # The card of another patient, whose escalation it acknowledges.
    text = json.dumps(call_of(SERVICES[0], ACUTE))
    text = text.replace(f"Patient/{PATIENT}", "Patient/other").replace(f'"{PATIENT}"', '"other"')
    card = critical(worker.post(f"/cds-services/{SERVICES[0].id}", json.loads(text)))
    assert send(worker, card, **reason("under-way")) == 200
    assert {row.id: row.is_open for row in rows(store)}[mine.id]
    assert len([row for row in rows(store) if not row.is_open]) == 1
    for card in worker.call(ACUTE, POSITIVE).get_json()["cards"]:
        if card["source"]["topic"]["code"] != "acute-safety":
            send(worker, card, **reason("under-way"))
    assert {row.id: row.is_open for row in rows(store)}[mine.id]


def test_feedback_on_a_card_from_before_the_latest_event_does_not(worker, store) -> None:
    card = critical(worker.call(ACUTE))
    with store.transaction() as connection:
        later = {
            "digest": "x" * 32,
            "escalation": rows_of(connection)[0].id,
            "at": (AS_OF + timedelta(minutes=1)).isoformat(),
        }
        connection.execute(tables.escalation_event.insert().values(later))
    send(worker, card, **reason("under-way"))
    assert rows(store)[0].is_open


def rows_of(connection):
    return listed(connection, open_only=False)


def test_a_store_without_its_tables_of_escalations_costs_no_card_and_the_card_says_that_nobody_was_told(
    worker, store
) -> None:
    with store.transaction() as connection:
        connection.execute(sa.text("DROP TABLE escalation_event"))
    found = critical(worker.call(ACUTE))
    assert "Nobody has been notified" in found["detail"]
    assert metrics.NOT_RECORDED.labels("north")._value.get() >= 1
