"""What a client may put under a prefetch key, or in the place of all of them; and the three kinds of nothing."""

from __future__ import annotations

import json
import re

import pytest
from builders import (
    AS_OF,
    LOINC,
    PATIENT,
    PHQ,
    bundle,
    gap_said,
    given,
    observation,
    open_app,
    patient,
    prefetch_of,
    resource,
)

from explanations.judgement.assessment import Engine, assess
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.access.prefetch import Access, gather
from fhir_adapters.access.templates import templates
from fhir_adapters.errors import WrongPatient
from fhir_adapters.facts import PatientRecord
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.resources.gathered import ALL_KEYS
from fhir_adapters.settings import ReadSettings

INTENT = "C-SSRS, today: question 4 = yes"
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
WARNING = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "informational"}]}
EMPTY = {"resourceType": "Bundle", "type": "searchset", "total": 0}


def post(prefetch):
    client = open_app(engine=Engine(), now=lambda: AS_OF).test_client()
    body = {"hook": "patient-view", "hookInstance": "h", "context": {"userId": "Practitioner/d", "patientId": PATIENT}}
    return client.post("/cds-services/depression-suicide-risk", json=body | {"prefetch": prefetch})


def topics(prefetch) -> list[str]:
    got = post(prefetch)
    assert got.status_code == 200, got.get_json()
    return [c["source"]["topic"]["code"] for c in got.get_json()["cards"]]


def record(prefetch: dict) -> PatientRecord:
    from msgspec import Raw

    sent = {key: Raw(json.dumps(value).encode()) for key, value in prefetch.items()}
    gathered = gather(ChartRequest(patient_id=PATIENT, as_of=AS_OF), sent, Access(), settings=ReadSettings())
    return patient_record(gathered, settings=ReadSettings(), as_of=AS_OF)


def chart(*resources: dict, **keys) -> dict:
    return prefetch_of([patient(), *resources]) | keys


def entries(*resources: dict, **more) -> dict:
    return json.loads(bundle(*resources)) | {"type": "searchset"} | more


ANSWER = given(INTENT)
SENT = {
    "a Bundle": entries(*ANSWER),
    "a bare resource": ANSWER[0],
    "a Bundle with other types in it": entries(patient(), *ANSWER, resource("Encounter", status="finished"), {"resourceType": "Provenance", "id": "x"}),
    "a Bundle with a warning": entries(*ANSWER, WARNING),
    "a Bundle with included resources": EMPTY | {"entry": [{"resource": ANSWER[0], "search": {"mode": "match"}}, {"resource": patient(), "search": {"mode": "include"}}]},
    "a Bundle of an unusual type": entries(*ANSWER) | {"type": "collection"},
    "full addresses beside the entries": EMPTY | {"entry": [{"fullUrl": "https://ehr.example/fhir/Observation/1", "resource": ANSWER[0]}]},
    "extensions and narrative": entries(ANSWER[0] | {"text": {"status": "generated", "div": "<div>x</div>"}, "extension": [{"url": "x", "valueString": "y"}], "_status": {"id": "a"}}),
    "null where a list belongs": EMPTY | {"entry": [{"resource": ANSWER[0]}], "link": None},
}  # fmt: skip


@pytest.mark.parametrize("what", SENT)
def test_cdsh_075_078_079_080_an_answer_is_read_from_whatever_stands_under_the_key(what: str) -> None:
    assert topics(chart(screening=SENT[what])) == ["acute-safety"]


NOTHING_THERE = {"null": None, "an empty Bundle": EMPTY, "no entries and null for them": EMPTY | {"entry": None, "link": None}, "a Bundle with a warning alone": entries(WARNING)}  # fmt: skip
NOT_KNOWN = {
    "an error report": OUTCOME,
    "a Bundle with an error in it": entries(OUTCOME),
    "a Bundle with a total and no entries": EMPTY | {"total": 2},
    "a Bundle of another type": entries(resource("Encounter", status="finished")),
    "another resource": {"resourceType": "CapabilityStatement"},
    "text": "nothing",
    "a number": 0,
    "a list": [],
    "an object that is no resource": {"entry": []},
    "a first page": EMPTY | {"link": [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]},
    "an entry that failed": EMPTY | {"entry": [{"response": {"status": "404"}}]},
    "an entry that is null": EMPTY | {"entry": [None]},
    "an entry that is null, and a null beside": EMPTY | {"entry": [None], "link": None},
    "an entry that is empty": EMPTY | {"entry": [{}]},
    "an entry without a resource": EMPTY | {"entry": [{"fullUrl": "x"}]},
    "a null in a Bundle within": EMPTY | {"entry": [{"resource": EMPTY | {"entry": [None]}}]},
    "a link that is null": EMPTY | {"link": [None]},
    "a report whose issue is null": entries({"resourceType": "OperationOutcome", "issue": [None]}),
}


@pytest.mark.parametrize("what", NOTHING_THERE)
def test_cdsh_072_073_075_known_empty_is_quiet_and_leaves_no_gap(what: str) -> None:
    sent = chart(screening=NOTHING_THERE[what])

    assert topics(sent) == []
    assert not record(sent).unknown


@pytest.mark.parametrize("what", NOT_KNOWN)
def test_cdsh_074_075_077_unknown_is_said_with_its_reason_and_never_passes_for_empty(what: str) -> None:
    sent = chart(screening=NOT_KNOWN[what])

    (gap,) = record(sent).unknown
    assert (gap.what, gap.needed) == ("screening", True)
    assert gap.reason
    assert "Not read: screening answers" in gap_said(post(sent))
    beside_it = sent | {"conditions": entries(*given("Condition T14.91XA, today"))}
    assert topics(beside_it) == ["acute-safety", "could-not-assess"]


def test_what_stands_beside_a_null_entry_is_used_and_the_null_is_said() -> None:
    sent = chart(screening=EMPTY | {"entry": [None, {"resource": ANSWER[0]}], "link": None})

    assert topics(sent) == ["acute-safety", "could-not-assess"]


def test_cdsh_071_an_absent_key_is_unknown() -> None:
    sent = {key: value for key, value in chart().items() if key != "screening"}

    assert [u.what for u in record(sent).unknown] == ["screening"]


def test_unreadable_is_neither_empty_nor_unknown() -> None:
    sent = chart(conditions=entries(resource("Condition", onsetDateTime=5)))

    got = record(sent)

    assert (len(got.unreadable), got.unknown) == (1, ())
    assert topics(sent) == ["could-not-assess"]


def test_cdsh_071_072_the_three_kinds_of_nothing_are_told_apart_on_the_card() -> None:
    acute = entries(*ANSWER)
    cards = {
        what: post(chart(screening=acute) | {"conditions": value}).get_json()["cards"]
        for what, value in {
            "empty": None,
            "unknown": OUTCOME,
            "unreadable": entries(resource("Condition", onsetDateTime=5)),
        }.items()
    }

    assert len(cards["empty"]) == 1
    assert "Not read: conditions" in cards["unknown"][1]["detail"]
    assert "could not be read" in cards["unreadable"][1]["detail"]
    assert "Not read" not in cards["unreadable"][1]["detail"]


# ---- the patient ----


@pytest.mark.parametrize(
    "shape", [lambda p: p, entries, lambda p: entries(p, resource("Encounter", status="finished"))]
)
def test_cdsh_078_a_patient_is_read_bare_or_in_a_bundle(shape) -> None:
    assert record(chart(patient=shape(patient()))).age_years == 40


@pytest.mark.parametrize("shape", [lambda p: p, entries, lambda p: entries(patient(), p)])
def test_cdsh_085_another_patient_under_the_key_is_refused(shape) -> None:
    sent = chart(patient=shape(patient() | {"id": "other"}))

    assert post(sent).status_code == 400
    with pytest.raises(WrongPatient):
        record(sent)


# ---- one Bundle in the place of the map ----


@pytest.mark.parametrize("kind", ["collection", "searchset", "batch-response"])
def test_one_bundle_in_the_place_of_the_keys_is_used_and_not_taken_for_the_whole_chart(kind: str) -> None:
    whole = entries(patient(), *ANSWER, *given("Condition F32.9, 20 days ago, problem list")) | {"type": kind}

    assert topics(whole) == ["acute-safety", "could-not-assess"]
    got = record(whole)
    assert got.age_years == 40
    assert {u.what for u in got.lacking} == {"conditions", "screening", "questionnaires", "consents"}
    assert "Not read: conditions" in gap_said(post(entries(patient()) | {"type": kind}))
    assert post(entries() | {"type": kind}).status_code == 412


def test_a_batch_answer_holds_bundles_and_they_are_read() -> None:
    searches = [
        {"resource": entries(*ANSWER), "response": {"status": "200"}},
        {"resource": patient(), "response": {"status": "200 OK"}},
    ]
    whole = {"resourceType": "Bundle", "type": "batch-response", "entry": searches}

    assert topics(whole)[0] == "acute-safety"


def test_a_bundle_in_the_place_of_the_keys_with_another_patient_is_refused() -> None:
    assert post(entries(patient(), patient() | {"id": "other"}, *ANSWER)).status_code == 400


def test_one_bundle_is_completed_from_the_server(server) -> None:
    from real_server import TOKEN

    who = server.load(patient(), *given("PHQ-9, 2 days ago: items 1-8 = 1, item 9 = 1"))
    whole = json.loads(
        bundle(
            patient() | {"id": who},
            observation(LOINC, PHQ[0], "2026-11-01", {"valueInteger": 0}, subject={"reference": f"Patient/{who}"}),
        )
    )
    client = open_app(engine=Engine(), now=lambda: AS_OF).test_client()
    body = {"hook": "patient-view", "hookInstance": "h", "context": {"userId": "Practitioner/d", "patientId": who}, "prefetch": whole,
            "fhirServer": server.base, "fhirAuthorization": {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 9, "scope": "x", "subject": "y"}}  # fmt: skip

    cards = client.post("/cds-services/depression-suicide-risk", json=body).get_json()["cards"]

    assert [c["source"]["topic"]["code"] for c in cards] == ["positive-safety-answer"]
    assert not server.asked("Patient/")


# ---- what is asked for ----


def test_cdsh_058_063_064_066_082_083_every_template_keeps_to_the_restricted_syntax_and_asks_for_one_patient() -> None:
    for template, query in ((t, query) for t in templates(ALL_KEYS) for query in t.queries):
        kind, _, criteria = query.partition("?")
        if template.key == "patient":
            assert query == "Patient/{{context.patientId}}"
            continue
        last = template.reads(query)[-1]
        names = [pair.partition("=")[0] for pair in criteria.split("&")]
        assert names[0] == "patient"
        assert set(names) <= {"patient", "code", "intent", "status"}, "nothing chained, sorted, included or modified"
        assert "_" not in "".join(names)
        if template.key == "care-plans":
            assert last == "CarePlan?patient={{context.patientId}}&category=assess-plan"
            continue
        for code in re.findall(r"(?:code=|,)([^,&]+)", criteria):
            assert re.fullmatch(r"\d+(-\d)?", code) or code in ("order", "plan", "booked", "pending")
        assert last.startswith(f"{kind}?patient=")
        assert set(re.findall(r"[?&](\w+)=", last)) <= {"patient", "code", "intent", "status"}


def test_cdsh_067_the_latest_counts_in_whatever_order_a_server_answers() -> None:
    older = given("PHQ-9, 40 days ago: items 1-8 = 3, item 9 = 3")
    newer = given("PHQ-9, 3 days ago: items 1-8 = 0, item 9 = 0")

    for order in (older + newer, newer + older):
        assert record(chart(*order)).fact("phq_item_9").value == 0


def test_what_was_sent_twice_counts_once_and_the_later_version_counts() -> None:
    visit = resource("Encounter", status="finished", period={"start": "2026-10-01"}) | {"class": {"code": "AMB"}}
    first = visit | {"meta": {"lastUpdated": "2026-10-02T00:00:00Z"}}
    later = visit | {"status": "entered-in-error", "meta": {"lastUpdated": "2026-10-03T00:00:00Z"}}

    assert record(chart(visit, visit)).fact("visits_yr").value == 1
    assert record(chart(first, later)).fact("visits_yr").value == 0
    assert record(chart(later, first)).fact("visits_yr").value == 0


def test_of_two_versions_of_an_answer_without_dates_the_worse_stands() -> None:
    no, yes = (observation(LOINC, "93249-1", "2026-11-23", {"valueBoolean": v}) | {"id": "same"} for v in (False, True))

    for order in ((no, yes), (yes, no)):
        assert topics(chart(*order)) == ["acute-safety"]


def test_nothing_known_gives_no_score() -> None:
    from cds_service.serving.engine import load_engine

    assert {s.reason for s in assess(record(chart()), load_engine()).scores} == {"too-little-data"}


@pytest.mark.parametrize("updated", ["2026-10-03T00:00:00Z", "2020-01-01T00:00:00Z"])
def test_cdsh_085_another_patients_resource_of_the_same_id_takes_no_ones_place(updated: str) -> None:
    own = ANSWER[0] | {"meta": {"lastUpdated": "2026-10-02T00:00:00Z"}}
    foreign = own | {"subject": {"reference": "Patient/other"}, "meta": {"lastUpdated": updated}, "valueBoolean": False}

    for order in ((own, foreign), (foreign, own)):
        (card,) = post(chart(*order)).get_json()["cards"]
        assert card["source"]["topic"]["code"] == "acute-safety"
        assert "for another patient" in card["detail"]
