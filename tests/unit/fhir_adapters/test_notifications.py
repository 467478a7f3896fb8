"""What a FHIR server's notification is about, in every form of R4 and of the R5 backport; nothing of a payload is kept."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_adapters.access.notifications import NotificationKind, notification
from fhir_adapters.errors import NotFhir

BASE = "https://ehr.example/fhir/r4"
BASES = (BASE,)
FORM = {
    "resourceType": "QuestionnaireResponse",
    "id": "q1",
    "status": "completed",
    "subject": {"reference": "Patient/p1"},
}


def read(body: object = b"", path: str = ""):
    return notification(body if isinstance(body, bytes) else json.dumps(body).encode(), path, BASES)


def event(number: int, *, focus: str | None = None, context: tuple[str, ...] = ()) -> dict:
    parts = [
        {"name": "event-number", "valueString": str(number)},
        {"name": "timestamp", "valueInstant": "2026-11-30T08:00:00Z"},
    ]
    parts += [{"name": "focus", "valueReference": {"reference": focus}}] if focus else []
    parts += [{"name": "additional-context", "valueReference": {"reference": one}} for one in context]
    return {"name": "notification-event", "part": parts}


def topic(
    kind: str = "event-notification", *events: dict, total: int = 2, status: str = "active", entries: tuple = ()
) -> dict:
    """As the guide's own examples have it (R4): Bundle-r4-notification-*."""
    parameters = [
        {"name": "subscription", "valueReference": {"reference": f"{BASE}/Subscription/s1"}},
        {"name": "topic", "valueCanonical": "https://ehr.example/topics/answers"},
        {"name": "status", "valueCode": status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(total)},
        *events,
    ]
    first = {
        "fullUrl": "urn:uuid:292d3c72-edc1-4d8a-afaa-d85e19c7f563",
        "resource": {"resourceType": "Parameters", "parameter": parameters},
        "request": {"method": "GET", "url": f"{BASE}/Subscription/s1/$status"},
        "response": {"status": "200"},
    }
    return {"resourceType": "Bundle", "type": "history", "entry": [first, *entries]}


def test_r4_without_a_payload_says_only_that_something_came() -> None:
    found = read()
    assert (found.kind, found.patients, found.resources, found.unnamed) == (NotificationKind.EVENT, (), (), True)


@pytest.mark.parametrize("path", ["QuestionnaireResponse/q1", "QuestionnaireResponse/q1/_history/3"])
def test_r4_with_an_id_alone_names_the_resource(path: str) -> None:
    found = read(path=path)
    assert (found.resources, found.patients, found.unnamed) == (("QuestionnaireResponse/q1",), (), False)


@pytest.mark.parametrize("path", ["", "QuestionnaireResponse/q1"])
@pytest.mark.parametrize("subject", ["Patient/p1", f"{BASE}/Patient/p1", f"{BASE}/Patient/p1/_history/2"])
def test_r4_with_the_resource_names_its_patient_and_nothing_else_is_taken(path: str, subject: str) -> None:
    found = read(FORM | {"subject": {"reference": subject}}, path)
    assert (found.patients, found.resources, found.unnamed) == (("p1",), (), False)


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "https://other.example/fhir/Patient/p1"},
        {"identifier": {"value": "4711"}},
        {"reference": "Patient/a,b"},
        {"reference": "Group/g"},
    ],
)
def test_a_resource_whose_patient_is_not_named_as_of_this_server_is_read_to_learn_it(subject: dict) -> None:
    found = read(FORM | {"subject": subject})
    assert (found.patients, found.resources) == ((), ("QuestionnaireResponse/q1",))


def test_a_damaged_resource_still_names_its_patient() -> None:
    found = read(
        {"resourceType": "Observation", "id": "o1", "status": 5, "subject": {"reference": "Patient/p1"}, "code": 7}
    )
    assert (found.patients, found.resources) == (("p1",), ())


def test_a_handshake_and_a_heartbeat_say_how_far_the_subscription_is() -> None:
    shake = read(topic("handshake", total=0, status="requested"))
    beat = read(topic("heartbeat", total=7))
    assert (shake.kind, shake.subscription, shake.total) == (NotificationKind.HANDSHAKE, f"{BASE}/Subscription/s1", 0)
    assert (beat.kind, beat.total, beat.unnamed, beat.fault) == (NotificationKind.HEARTBEAT, 7, False, None)


def test_a_topic_notification_without_content_says_only_that_something_came() -> None:
    found = read(topic("event-notification", event(2)))
    assert (found.events, found.unnamed, found.resources) == ({2}, True, ())


def test_a_topic_notification_with_ids_alone_names_the_resource_or_the_patient_beside_it() -> None:
    found = read(topic("event-notification", event(2, focus=f"{BASE}/Observation/o1")))
    assert (found.resources, found.patients, found.unnamed) == (("Observation/o1",), (), False)
    beside = read(
        topic("event-notification", event(2, focus=f"{BASE}/Observation/o1", context=(f"{BASE}/Patient/p1",)))
    )
    assert (beside.resources, beside.patients) == ((), ("p1",))
    itself = read(topic("event-notification", event(2, focus=f"{BASE}/Patient/p2")))
    assert (itself.resources, itself.patients) == ((), ("p2",))


def test_a_topic_notification_with_full_resources_names_each_patient_once() -> None:
    other = FORM | {"id": "q2", "subject": {"reference": "Patient/p2"}}
    entries = tuple({"fullUrl": f"{BASE}/QuestionnaireResponse/{r['id']}", "resource": r} for r in (FORM, other, FORM))
    events = [event(n, focus=f"QuestionnaireResponse/q{n}") for n in (1, 2)]
    found = read(topic("event-notification", *events, entries=entries))
    assert (found.patients, found.resources, found.events) == (("p1", "p2"), (), {1, 2})


def test_an_event_at_another_address_of_the_server_is_searched_for() -> None:
    found = read(topic("event-notification", event(2, focus="http://internal:8080/fhir/Observation/o1")))
    assert (found.unnamed, found.resources) == (True, ())


def test_an_event_about_something_that_holds_no_answer_is_heard_and_nothing_is_read() -> None:
    found = read(topic("event-notification", event(2, focus=f"{BASE}/Encounter/e1")))
    assert (found.patients, found.resources, found.unnamed) == ((), (), False)


def test_the_status_resource_of_r4b_and_the_names_of_a_draft_are_read_alike() -> None:
    status = {
        "resourceType": "SubscriptionStatus",
        "status": "active",
        "type": "event-notification",
        "eventsSinceSubscriptionStart": "2",
        "notificationEvent": [{"eventNumber": "2", "focus": {"reference": "Observation/o1"}}],
        "subscription": {"reference": "Subscription/s1"},
    }
    found = read({"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]})
    assert (found.total, found.events, found.resources, found.subscription) == (
        2,
        {2},
        ("Observation/o1",),
        "Subscription/s1",
    )
    draft = topic("event-notification")
    draft["entry"][0]["resource"]["parameter"][-1] = {"name": "eventsSinceSubscriptionStart", "valueUnsignedInt": 310}
    assert read(draft).total == 310


def test_a_subscription_whose_name_no_store_takes_has_none() -> None:
    found = topic("heartbeat")
    found["entry"][0]["resource"]["parameter"][0]["valueReference"]["reference"] = "Subscription/s\0"
    assert read(found).subscription == ""


@pytest.mark.parametrize("status", ["error", "off"])
def test_the_fault_of_a_subscription_is_seen(status: str) -> None:
    assert read(topic("heartbeat", status=status)).fault == status


NEITHER = {
    "no JSON": b"hello",
    "an empty object": b"{}",
    "a list": b"[]",
    "a search": {"resourceType": "Bundle", "type": "searchset", "entry": []},
    "a history without a status": {"resourceType": "Bundle", "type": "history", "entry": [{"resource": FORM}]},
    "an empty history": {"resourceType": "Bundle", "type": "history", "entry": []},
    "a batch": topic() | {"type": "batch"},
    "another type of event": topic("query-status"),
    "a number that is none": topic("event-notification", event(2)) | {"entry": [{"resource": {"resourceType": "SubscriptionStatus", "type": "heartbeat", "eventsSinceSubscriptionStart": "many"}}]},
    "a negative number": topic("heartbeat", total=-1),
    "a resource of nobody": {"resourceType": "Medication", "id": "m"},
    "a Patient that is not named": {"resourceType": "Patient"},
    "brackets": b"[" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("name", NEITHER)
def test_anything_else_is_refused_without_a_word_of_it(name: str) -> None:
    with pytest.raises(NotFhir) as refused:
        read(NEITHER[name])
    assert "hello" not in str(refused.value)


@pytest.mark.parametrize(
    "path", ["x", "Observation", "Observation/a?b", "../x", "https://other.example/fhir/Observation/1"]
)
def test_an_address_that_names_no_resource_is_refused(path: str) -> None:
    with pytest.raises(NotFhir, match="address"):
        read(path=path)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["Patient/p1", "event-number", "error"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "part", "resource", "reference", "valueString"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(places=st.data())
def test_whatever_stands_in_a_notification_it_is_read_or_refused(places: st.DataObject) -> None:
    entry = {"fullUrl": f"{BASE}/QuestionnaireResponse/q1", "resource": FORM}
    whole = deepcopy(
        topic("event-notification", event(2, focus="Observation/o1", context=("Patient/p1",)), entries=(entry,))
    )
    for _ in range(places.draw(st.integers(1, 3))):
        holder, key = places.draw(st.sampled_from(list(within(whole))))
        holder[key] = places.draw(JUNK)
    try:
        found = read(whole)
    except NotFhir:
        return
    assert all("/" not in one for one in found.patients)
    assert all(one.count("/") == 1 for one in found.resources)


def within(value: object):
    """Every place of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in list(inner):
        yield value, key
        yield from within(each)
