"""What a person has confirmed is written to a real FHIR server once, whatever becomes of the answers."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from builders import AS_OF, patient
from real_server import TOKEN, answer, answering, cutting_short, dropping, hanging, losing_the_answer

from fhir_adapters.errors import (
    FetchFailed,
    NotValid,
    WriteConflict,
    WriteElsewhere,
    WriteFailed,
    WriteInvalid,
    WriteRefused,
    WriteUnknown,
)
from fhir_adapters.writing.completed import FORM, SUBMISSION_SYSTEM, TOTAL, FormContext, Slot, slots_of
from fhir_adapters.writing.confirmed import FhirWriter
from fhir_adapters.writing.questionnaires import EntryState, FormAnswer, FormAnswers, form

numbers = count(1)


def writer(server, who: str, *, seconds: float = 10.0, **changes) -> FhirWriter:
    plain = FhirWriter(base=server.base, token=TOKEN, patient=who, deadline=time.monotonic() + seconds)
    return replace(plain, **changes)


def phq9(*scores: int) -> FormAnswers:
    given = tuple(
        FormAnswer(question=q, state=EntryState.ANSWERED, option=q.options[s])
        for q, s in zip(form("phq-9").questions, scores or (1,) * 10, strict=True)
    )
    return FormAnswers(form=form("phq-9"), given=given)


def slots(who: str, submission: str | None = None) -> dict[str, Slot]:
    occasion = FormContext(
        patient=f"Patient/{who}", at=AS_OF - timedelta(minutes=1), submission=submission or f"sub{next(numbers)}"
    )
    return {slot.name: slot for slot in slots_of(phq9(), occasion)}


def stored(server, kind: str, who: str) -> list[dict]:
    """What of that type the server has of the patient, looked through here: it has no search for responses."""
    return [r for r in server.all_of(kind) if r["subject"]["reference"].endswith(f"Patient/{who}")]


@pytest.fixture
def who(server) -> str:
    return server.load(patient())


def test_a_resource_is_created_and_its_reference_known(server, who: str) -> None:
    total = slots(who)[TOTAL].resource

    written = writer(server, who).create(total)

    assert not written.existing
    found = server.get(written.reference)
    assert found["valueQuantity"]["value"] == 9
    assert found["identifier"] == total["identifier"]
    (sent,) = server.proxy.sent
    assert sent[2]["Content-Type"] == "application/fhir+json"
    assert sent[2]["Prefer"] == "return=minimal"
    assert sent[2]["If-None-Exist"] == f"identifier={SUBMISSION_SYSTEM}|{total['identifier'][0]['value']}"
    assert sent[2]["Authorization"] == f"Bearer {TOKEN}"


def test_a_second_time_it_is_there_already(server, who: str) -> None:
    total = slots(who)[TOTAL].resource
    first = writer(server, who).create(total)

    again = writer(server, who).create(total)

    assert (again.reference, again.existing) == (first.reference, True)
    assert len(stored(server, "Observation", who)) == 1


@pytest.mark.parametrize("name", [FORM, TOTAL])
def test_another_resource_that_the_condition_matched_is_not_taken_for_ours(server, who: str, name: str) -> None:
    other = writer(server, server.load(patient())).create(slots(who)[name].resource).reference
    ours = slots(who)[name].resource
    kind = ours["resourceType"]
    server.reset()
    server.fail(kind, answering(200, Location=f"{server.base}/{other}/_history/1"), method="POST")

    with pytest.raises(WriteUnknown):
        writer(server, who).create(ours)


def test_a_server_that_takes_no_condition_is_searched_first_and_then_written_to_without_one(server, who: str) -> None:
    response = slots(who)[FORM].resource  # the server has no search for this type, and says so

    first = writer(server, who).create(response)
    again = writer(server, who).create(response)

    assert (first.existing, again.existing, again.reference) == (False, True, first.reference)
    assert len(stored(server, "QuestionnaireResponse", who)) == 1
    assert [("If-None-Exist" in headers) for _, _, headers in server.proxy.sent] == [True, False, True]


@pytest.mark.parametrize("name", [FORM, TOTAL])
@pytest.mark.parametrize("fault", [losing_the_answer, "garbage", "gateway"])
def test_a_lost_answer_is_looked_for_and_nothing_is_written_twice(server, who: str, name: str, fault) -> None:
    resource = slots(who)[name].resource

    def garbled(handler) -> bool:
        handler.forward(handler.path)
        return cutting_short(b"{")(handler)

    def gateway(handler) -> bool:
        handler.forward(handler.path)
        return answer(handler, 502, b"")

    if name == FORM:  # the first is refused for its condition
        server.fail(resource["resourceType"], answering(400), method="POST", times=1)
    act = {"garbage": garbled, "gateway": gateway}.get(fault, fault)
    server.fail(resource["resourceType"], act, method="POST", times=1)

    written = writer(server, who).create(resource)

    assert written.existing
    assert len(stored(server, resource["resourceType"], who)) == 1
    again = writer(server, who).create(resource)
    assert again.reference == written.reference
    assert len(stored(server, resource["resourceType"], who)) == 1


def test_no_answer_in_time_is_unknown_and_the_next_attempt_finds_what_was_written(server, who: str) -> None:
    total = slots(who)[TOTAL].resource
    until = threading.Event()

    def late(handler) -> bool:
        handler.forward(handler.path)
        return hanging(until)(handler)

    server.fail("Observation", late, method="POST", times=1)
    begun = time.monotonic()
    with pytest.raises(WriteUnknown):
        writer(server, who, seconds=0.7).create(total)
    assert time.monotonic() - begun < 50, "the server would have hung for a minute"
    until.set()

    assert writer(server, who).create(total).existing
    assert len(stored(server, "Observation", who)) == 1


def test_a_dropped_connection_that_left_nothing_is_unknown_and_nothing_is_sent_again_by_itself(
    server, who: str
) -> None:
    server.fail("Observation", dropping, method="POST", times=1)

    with pytest.raises(WriteUnknown):
        writer(server, who).create(slots(who)[TOTAL].resource)

    assert server.writes() == [("POST", "Observation")]
    assert stored(server, "Observation", who) == []


def test_what_cannot_be_looked_for_stays_unknown(server, who: str) -> None:
    server.fail("Observation", losing_the_answer, method="POST")
    server.fail("Observation", answering(403))

    with pytest.raises(WriteUnknown):
        writer(server, who).create(slots(who)[TOTAL].resource)


SECRET = "Marguerite Okafor wants to die"
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [
        {"severity": "error", "code": "value", "expression": ["Observation.value", SECRET], "diagnostics": SECRET},
        {"severity": "error", "code": SECRET, "details": {"text": SECRET}},
        "x",
    ],
}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, WriteRefused),
        (403, WriteRefused),
        (400, WriteInvalid),
        (404, WriteInvalid),
        (415, WriteInvalid),
        (422, WriteInvalid),
        (409, WriteConflict),
        (412, WriteConflict),
        (429, WriteFailed),
        (302, WriteElsewhere),
        (307, WriteElsewhere),
        (308, WriteElsewhere),
        (500, WriteUnknown),
        (503, WriteUnknown),
        (204, WriteUnknown),
    ],
)
def test_every_refusal_has_its_class_and_no_text_of_the_server(server, who: str, status: int, kind: type) -> None:
    body = b"" if status == 204 else json.dumps(OUTCOME).encode()
    elsewhere = {"Location": "http://127.0.0.1:9/fhir/Observation"} if 300 <= status < 400 else {}
    server.fail("Observation", answering(status, body, **elsewhere), method="POST")

    with pytest.raises(WriteFailed) as caught:
        writer(server, who).create(slots(who)[TOTAL].resource)

    assert type(caught.value) is kind
    said = repr(caught.value)
    assert "Okafor" not in said and TOKEN not in said and server.base not in said
    if kind is WriteInvalid:
        assert "value Observation.value" in said
    assert stored(server, "Observation", who) == []


def test_smart_086_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(server, who: str) -> None:
    server.fail("Observation", answering(307, Location=f"{server.base}/Basic"), method="POST")

    with pytest.raises(WriteElsewhere):
        writer(server, who).create(slots(who)[TOTAL].resource)

    assert server.writes() == [("POST", "Observation")]


@pytest.mark.parametrize(
    "location",
    [
        "https://elsewhere.example/fhir/Observation/x",
        "http://127.0.0.1:9/fhir/Observation/x",
        "/other/Observation/x",
        "../Observation/x?y=1",
        "Observation/..",
        "Patient/x",
        "",
        "http://[",
    ],
)
def test_smart_087_a_location_outside_the_base_is_not_believed_and_the_chart_is_asked_instead(
    server, who: str, location: str
) -> None:
    def misleading(handler) -> bool:
        handler.forward(handler.path)
        return answer(handler, 201, b"", {"Location": location})

    server.fail("Observation", misleading, method="POST")

    written = writer(server, who).create(slots(who)[TOTAL].resource)

    assert written.reference == f"Observation/{stored(server, 'Observation', who)[0]['id']}"


@pytest.mark.parametrize("form_of", ["{base}/Observation/a1/_history/1", "Observation/a1", "/fhir/Observation/a1"])
def test_a_location_below_the_base_is_the_reference(server, who: str, form_of: str) -> None:
    server.fail("Observation", answering(201, Location=form_of.format(base=server.base)), method="POST")

    assert writer(server, who).create(slots(who)[TOTAL].resource).reference == "Observation/a1"
    assert server.asked() == []


def test_no_connection_means_that_nothing_was_sent(server, who: str) -> None:
    with pytest.raises(WriteFailed) as caught:
        writer(server, who, base="http://127.0.0.1:9/fhir").create(slots(who)[TOTAL].resource)
    assert type(caught.value) is WriteFailed

    with pytest.raises(WriteFailed) as caught:
        writer(server, who, seconds=-1).create(slots(who)[TOTAL].resource)
    assert type(caught.value) is WriteFailed
    assert server.writes() == []


def test_a_resource_without_an_identifier_is_not_sent(server, who: str) -> None:
    for wrong in ({}, {"identifier": []}, {"identifier": [{"system": "a"}]}, {"identifier": [{}, {}]}):
        with pytest.raises(NotValid):
            writer(server, who).create({"resourceType": "Observation", **wrong})
    assert server.writes() == []


def test_smart_088_another_patients_resource_with_the_same_identifier_is_not_found(server, who: str) -> None:
    other = server.load(patient())
    mine = slots(who, "same")[FORM].resource
    writer(server, other).create(slots(other, "same")[FORM].resource)

    assert writer(server, who).find("QuestionnaireResponse", SUBMISSION_SYSTEM, "same.form") is None
    written = writer(server, who).create(mine)

    assert not written.existing


def test_a_search_that_fails_is_an_error_and_not_an_absence(server, who: str) -> None:
    server.fail("Observation", answering(403))

    with pytest.raises(FetchFailed):
        writer(server, who).find("Observation", SUBMISSION_SYSTEM, "x")


# ---- undo ----


def undo(server, who: str, reference: str, resource: dict, **changes) -> None:
    given = resource["identifier"]
    value = (given[0] if isinstance(given, list) else given)["value"]
    writer(server, who, **changes).mark_entered_in_error(reference, SUBMISSION_SYSTEM, value)


@pytest.mark.parametrize("name", [FORM, TOTAL, "item-9"])
def test_what_was_written_is_marked_as_entered_in_error_once(server, who: str, name: str) -> None:
    resource = slots(who)[name].resource
    reference = writer(server, who).create(resource).reference

    undo(server, who, reference, resource)
    undo(server, who, reference, resource)

    found = server.get(reference)
    assert found["status"] == "entered-in-error"
    assert {k: v for k, v in found.items() if k not in ("id", "meta", "status")} == {
        k: v for k, v in resource.items() if k != "status"
    }
    puts = [headers for method, _, headers in server.proxy.sent if method == "PUT"]
    assert [h["If-Match"] for h in puts] == ['W/"1"']


def test_what_was_changed_meanwhile_is_not_overwritten(server, who: str) -> None:
    resource = slots(who)[TOTAL].resource
    reference = writer(server, who).create(resource).reference

    def changing(handler) -> bool:
        server.transaction([server.get(reference) | {"status": "amended"}])
        return False

    server.fail(reference, changing, method="PUT")
    with pytest.raises(WriteConflict):
        undo(server, who, reference, resource)

    assert server.get(reference)["status"] == "amended"


def test_only_what_was_written_here_for_this_patient_is_undone(server, who: str) -> None:
    other = server.load(patient())
    resource = slots(who)[TOTAL].resource
    reference = writer(server, who).create(resource).reference

    with pytest.raises(WriteConflict):
        undo(server, other, reference, resource)
    with pytest.raises(WriteConflict):
        undo(server, who, reference, slots(who)[TOTAL].resource)
    for odd in ("Patient/p1", "Observation/../Patient/p1", "Observation/..", "https://x.example/Observation/1", ""):
        with pytest.raises(WriteConflict):
            undo(server, who, odd, resource)

    assert server.get(reference)["status"] == "final"
    assert [w for w in server.writes() if w[0] == "PUT"] == []


@pytest.mark.parametrize(("status", "kind"), [(403, WriteRefused), (405, WriteInvalid), (500, WriteUnknown)])
def test_an_undo_that_the_server_refuses_says_so(server, who: str, status: int, kind: type) -> None:
    resource = slots(who)[TOTAL].resource
    reference = writer(server, who).create(resource).reference
    server.fail(reference, answering(status), method="PUT")

    with pytest.raises(kind):
        undo(server, who, reference, resource)
    server.reset()
    server.fail(reference, answering(status))
    with pytest.raises(kind):
        undo(server, who, reference, resource)
