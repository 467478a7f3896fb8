"""Dirty data as charts really hold it: what is read, what is said to be unreadable, and what never passes for nothing."""

from __future__ import annotations

import json
from itertools import permutations

import pytest
from builders import (
    AS_OF,
    CSSRS,
    ICD,
    LOCAL,
    LOINC,
    MAPS,
    PATIENT,
    PHQ,
    SNOMED,
    bundle,
    cards_of,
    codeable,
    gap_said,
    given,
    observation,
    open_app,
    patient,
    record_of,
    resource,
)  # fmt: skip

from cds_service.settings.config import ServiceConfig, default_config
from explanations.judgement.assessment import Engine
from explanations.words.findings.gaps import PARTS
from fhir_adapters.access.templates import local_template, templates
from fhir_adapters.codesets.questions import screening_codes, targets
from fhir_adapters.codesets.terminology import code_group, table
from fhir_adapters.reading.lists.conditions import event_kind
from fhir_adapters.settings import ReadSettings

TODAY = AS_OF.date().isoformat()


def topics(*resources: dict, who: dict | None = None, encounter: str | None = None) -> list[str]:
    return [
        f"{c.source.topic.code} {c.indicator}" for c in cards_of(record_of(*resources, who=who, encounter=encounter))
    ]


def item_9(**value) -> dict:
    return observation(LOINC, PHQ[8], TODAY, value)


def intent(**value) -> dict:
    return observation(LOINC, CSSRS["q4"], TODAY, value)


# ---- answers in every shape ----


@pytest.mark.parametrize(
    "value",
    [
        {"valueBoolean": True},
        {"valueInteger": 1},
        {"valueString": "Yes"},
        {"valueString": "Yes - some intent"},
        {"valueCodeableConcept": codeable(LOINC, "LA33-6")},
        {"valueCodeableConcept": {"coding": [{"code": "LA33-6"}]}},
        {
            "valueCodeableConcept": {
                "coding": [{"code": "LA32-8", "display": "No"}, {"code": "LA33-6", "display": "Yes"}]
            }
        },
        {"valueCodeableConcept": codeable(SNOMED, "373066001")},
        {"valueCodeableConcept": codeable("http://terminology.hl7.org/CodeSystem/v2-0136", "Y")},
        {"valueCodeableConcept": codeable("http://terminology.hl7.org/CodeSystem/v2-0532", "Y")},
        {"valueCodeableConcept": {"text": "Present (qualifier value)"}},
        {"valueBoolean": True, "dataAbsentReason": codeable("x", "unknown")},
        {"interpretation": [codeable("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "POS")]},
    ],
)
def test_a_yes_is_a_yes_in_every_shape(value: dict) -> None:
    assert topics(intent(**value)) == ["acute-safety critical"]


@pytest.mark.parametrize(
    "value",
    [{"valueString": "nan"}, {"valueString": "inf"}, {"valueString": "1e400"}, {"valueString": "9" * 400}, {"valueQuantity": {"value": "NaN"}},
     {"valueInteger": 10**30}, {"valueInteger": 1.5}, {"valueInteger": -1}, {"valueRange": {"low": {"value": 1}}}, {"valueString": "perhaps"},
     {"valueCodeableConcept": {"coding": [{"code": "x", "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueInteger": 10**30}]}]}}],
)  # fmt: skip
def test_a_self_harm_answer_that_is_no_answer_is_a_finding(value: dict) -> None:
    assert "positive-safety-answer warning" in topics(item_9(**value))


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "8.5", "1e400"])
def test_a_total_that_is_no_total_is_an_anomaly_and_hides_nothing(number: str) -> None:
    total = observation(LOINC, "44261-6", TODAY, {"valueString": number})

    assert topics(total, intent(valueBoolean=True)) == ["acute-safety critical", "data-anomaly info"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [({"valueString": "High Risk"}, ["acute-safety critical"]), ({"valueCodeableConcept": {"text": "high"}}, ["acute-safety critical"]),
     ({"valueString": "Moderate"}, ["positive-safety-answer warning"]), ({"valueString": "low"}, []),
     ({"valueCodeableConcept": codeable("local", "7")}, ["positive-safety-answer warning"]), ({"valueBoolean": {}}, ["positive-safety-answer warning"])],
)  # fmt: skip
def test_an_overall_result_is_read_in_words_and_an_unknown_one_is_a_finding(value: dict, expected: list[str]) -> None:
    assert topics(observation(LOINC, "93374-7", TODAY, value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [({"valueInteger": 5}, ["acute-safety critical"]), ({"valueInteger": 2}, ["positive-safety-answer warning"]), ({"valueInteger": 0}, []),
     ({"valueCodeableConcept": codeable(LOINC, "LA30373-7")}, ["acute-safety critical"])],
)  # fmt: skip
def test_the_most_severe_ideation_of_the_month_is_read_by_its_rank(value: dict, expected: list[str]) -> None:
    assert topics(observation(LOINC, "93293-9", TODAY, value)) == expected


def response(*items: dict, **elements) -> dict:
    return resource("QuestionnaireResponse", status="completed", authored=TODAY, item=list(items)) | elements


def test_the_worst_of_several_answers_counts() -> None:
    both = {"linkId": CSSRS["q4"], "answer": [{"valueBoolean": False}, {"valueBoolean": True}]}

    assert topics(response(both)) == ["acute-safety critical"]


def test_a_form_that_was_stopped_part_way_still_counts() -> None:
    assert topics(response({"linkId": CSSRS["q4"], "answer": [{"valueBoolean": True}]}, status="stopped")) == [
        "acute-safety critical"
    ]


@pytest.mark.parametrize(
    "item",
    [{"linkId": "PHQ9.44260-8"}, {"linkId": "/44249-1/44260-8"}, {"linkId": "9", "definition": "http://loinc.org/44260-8"},
     {"linkId": "group", "item": [{"linkId": "44260-8", "answer": [{"valueInteger": 2}]}]}],
)  # fmt: skip
def test_a_question_is_known_by_the_code_in_its_link_or_definition(item: dict) -> None:
    asked = item if "item" in item else item | {"answer": [{"valueInteger": 2}]}

    assert topics(response(asked)) == ["positive-safety-answer warning"]


def test_a_form_whose_questions_are_not_mapped_is_said_to_be_unread() -> None:
    unmapped = response({"linkId": "q9", "answer": [{"valueCoding": {"system": LOINC, "code": "LA6571-9"}}]})

    assert topics(unmapped) == ["could-not-assess info"]
    answered = {"linkId": "x", "answer": [{"valueString": "see overleaf"}]}
    assert topics(response(answered, questionnaire="http://ehr/Questionnaire/PHQ9")) == ["could-not-assess info"]
    assert topics(response({"linkId": "x"}, questionnaire="http://ehr/Questionnaire/PHQ9")) == []


def test_a_panel_gives_its_date_to_its_members() -> None:
    member = intent(valueBoolean=True)
    del member["effectiveDateTime"]
    panel = observation(LOINC, "93373-9", "2026-10-01", {}, hasMember=[{"reference": f"Observation/{member['id']}"}])

    assert topics(member, panel) == ["recent-safety warning"]


def test_two_results_of_one_moment_read_alike_in_every_order() -> None:
    totals = [observation(LOINC, "44261-6", TODAY, {"valueInteger": n}) for n in (8, 26)]
    levels = [observation(LOINC, "93374-7", TODAY, {"valueString": word}) for word in ("low", "high")]

    seen = {tuple(topics(*order)) for order in permutations(totals + levels)}

    assert len(seen) == 1
    assert "acute-safety critical" in seen.pop()


@pytest.mark.parametrize(
    "reference", ["Encounter/now", "https://ehr.example/fhir/Encounter/now", "Encounter/now/_history/3"]
)
def test_the_encounter_going_on_is_known_by_every_form_of_its_reference(reference: str) -> None:
    answer = observation(LOINC, CSSRS["q4"], "2026-11-18", {"valueBoolean": True}, encounter={"reference": reference})

    assert topics(answer, encounter="Encounter/now") == ["acute-safety critical"]


def test_an_attempt_on_the_ward_is_not_dated_by_the_admission() -> None:
    stay = resource("Encounter", status="in-progress", period={"start": "2026-11-13"}) | {
        "id": "stay",
        "class": {"code": "IMP"},
    }
    event = resource(
        "Condition", code=codeable(ICD, "T14.91XA"), recordedDate=TODAY, encounter={"reference": "Encounter/stay"}
    )

    assert topics(stay, event) == ["acute-safety critical"]


def test_an_unreadable_onset_does_not_hide_the_date_of_recording() -> None:
    event = resource("Condition", code=codeable(ICD, "T14.91XA"), onsetDateTime="last week", recordedDate="2026-10-20")

    assert topics(event) == ["recent-safety warning"]


@pytest.mark.parametrize("words", ["Absent (qualifier value)", "Denied", "No", "negative"])
def test_a_finding_with_a_negative_value_is_not_positive(words: str) -> None:
    assert topics(observation(SNOMED, "6471006", TODAY, {"valueCodeableConcept": {"text": words}})) == []


def test_a_safety_code_as_component_or_asserted_value_counts() -> None:
    component = observation(
        LOINC, "8867-4", TODAY, {}, component=[{"code": codeable(SNOMED, "304594002"), "valueBoolean": True}]
    )
    asserted = observation(
        "http://terminology.hl7.org/CodeSystem/v3-ActCode",
        "ASSERTION",
        TODAY,
        {"valueCodeableConcept": codeable(SNOMED, "304594002")},
    )

    assert topics(component) == topics(asserted) == ["acute-safety critical"]


# ---- nulls, odd dates, whose data ----


@pytest.mark.parametrize("element", ["category", "onsetDateTime", "encounter", "clinicalStatus"])
def test_cdsh_038_a_null_counts_as_absent_and_hides_no_finding(element: str) -> None:
    event = resource("Condition", code=codeable(SNOMED, "6471006"), recordedDate=TODAY) | {element: None}

    assert topics(event) == ["positive-safety-answer warning"]


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00Z",
        "2026-W47-1",
        "20261122",
        "2026-11-22<10:00:00",
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/Chicago"])
def test_an_impossible_date_is_no_date_and_never_an_error(text: str, zone: str) -> None:
    answer = intent(valueBoolean=True) | {"effectiveDateTime": text}
    event = resource("Condition", code=codeable(ICD, "T14.91XA"), recordedDate=text)

    cards = cards_of(record_of(answer, event, who=patient(deceasedDateTime="0001-01-01T00:00:00+14:00"), zone=zone))

    assert "<" not in " ".join(card.summary + card.detail for card in cards)


def test_an_absolute_reference_to_another_server_is_another_patient() -> None:
    event = resource(
        "Condition",
        code=codeable(ICD, "T14.91XA"),
        recordedDate=TODAY,
        subject={"reference": f"http://other.example/fhir/Patient/{PATIENT}"},
    )

    assert topics(event) == ["data-anomaly info"]


def test_another_patients_unreadable_entry_is_not_named() -> None:
    event = resource(
        "Condition", code=codeable(ICD, "T14.91XA"), onsetDateTime=5, subject={"reference": "Patient/p2"}
    ) | {"id": "secret"}

    cards = cards_of(record_of(event))

    assert [c.source.topic.code for c in cards] == ["data-anomaly"]
    assert "secret" not in cards[0].detail


def test_an_entry_whose_patient_cannot_be_read_is_said_without_its_id() -> None:
    event = resource("Condition", code=codeable(ICD, "T14.91XA"), subject=7) | {"id": "secret"}

    (card,) = cards_of(record_of(event))

    assert card.source.topic.code == "could-not-assess"
    assert "secret" not in card.detail


@pytest.mark.parametrize(("system", "expected"), [("urn:mrn", []), (None, ["data-anomaly info"])])
def test_a_logical_identifier_counts_only_with_its_system(system: str | None, expected: list[str]) -> None:
    who = patient(identifier=[{"system": "urn:mrn", "value": "4471"}])
    subject = {"identifier": {"value": "4471"} | ({"system": system} if system else {})}

    assert topics(resource("Condition", code=codeable(ICD, "I10"), subject=subject), who=who) == expected


# ---- facts that are not known are not stated ----


def test_a_newer_smoking_status_that_is_not_known_hides_the_older_one_and_is_said() -> None:
    old = observation(LOINC, "72166-2", "2020-01-01", {"valueCodeableConcept": codeable(SNOMED, "449868002")})
    new = observation(LOINC, "72166-2", "2026-01-01", {"valueCodeableConcept": codeable(SNOMED, "266927001")})

    record = record_of(old, new)

    assert record.fact("smoke_status") is None
    assert [a.flaw.kind for a in record.anomalies] == ["unmapped-code"]


def test_an_encounter_of_an_unknown_class_is_said_not_to_be_counted() -> None:
    odd = resource("Encounter", status="finished", period={"start": "2026-10-01"}) | {"class": {"code": "outpatient"}}

    assert [a.flaw.kind for a in record_of(odd).anomalies] == ["unmapped-code"]


def test_a_stay_that_ended_within_the_year_belongs_to_it() -> None:
    stay = resource("Encounter", status="finished", period={"start": "2025-10-01", "end": "2025-12-24"}) | {
        "class": {"code": "IMP"}
    }

    assert record_of(stay).fact("hosp_yr").value == 1


def test_a_medicine_whose_name_was_not_sent_counts_and_leaves_the_classes_unknown() -> None:
    absent = resource(
        "MedicationRequest", status="active", intent="order", medicationReference={"reference": "Medication/elsewhere"}
    )

    record = record_of(absent)

    assert record.fact("n_rx").value == 1
    assert record.fact("rx_ssri") is None
    assert not record.unreadable


def test_a_statement_that_ended_is_not_taken() -> None:
    ended = resource(
        "MedicationStatement",
        status="active",
        medicationCodeableConcept={"text": "sertraline"},
        effectivePeriod={"end": "2021-01-01"},
    )

    assert record_of(ended).fact("n_rx").value == 0


def test_birth_sex_is_read_where_it_is_recorded() -> None:
    extension = [{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex", "valueCode": "F"}]

    assert record_of(who=patient(gender="other", extension=extension)).fact("female").value is True
    assert record_of(who=patient(gender="other")).fact("female") is None


# ---- searches that failed never pass for empty ones ----

OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
FAILED_SEARCHES = {
    "an error among the results": {"entry": [{"search": {"mode": "outcome"}, "resource": OUTCOME}]},
    "an entry without a resource": {"entry": [{"fullUrl": "urn:uuid:1"}]},
    "an entry that was refused": {"entry": [{"response": {"status": "403 Forbidden"}}]},
    "a total without entries": {"total": 5},
    "entries of another type only": {"entry": [{"resource": resource("Encounter", status="finished")}]},
    "a Bundle in the Bundle": {"entry": [{"resource": {"resourceType": "Bundle", "type": "collection"}}]},
    "an entry that is no resource": {"entry": [{"resource": {"id": "x"}}]},
}


@pytest.mark.parametrize("fault", FAILED_SEARCHES)
@pytest.mark.parametrize("key", [t.key for t in templates() if t.needed and t.key != "patient"])
def test_cdsh_075_076_a_failed_search_is_said_and_no_empty_chart(key: str, fault: str) -> None:
    client = open_app(engine=Engine(), now=lambda: AS_OF).test_client()
    prefetch = {t.key: None for t in templates()} | {"patient": patient()}
    prefetch[key] = {"resourceType": "Bundle", "type": "searchset"} | FAILED_SEARCHES[fault]
    body = {
        "hook": "patient-view",
        "hookInstance": "h",
        "context": {"userId": "Practitioner/d", "patientId": PATIENT},
        "prefetch": prefetch,
    }

    said = gap_said(client.post("/cds-services/depression-suicide-risk", json=body))

    assert f"Not read: {PARTS[key]}" in said


def test_cdsh_036_bytes_that_are_no_utf_8_are_a_400_wherever_they_stand() -> None:
    client = open_app(engine=Engine(), now=lambda: AS_OF).test_client()
    body = json.dumps({"hook": "patient-view", "hookInstance": "h", "context": {"userId": "Practitioner/d", "patientId": PATIENT},
                       "prefetch": {"conditions": {"resourceType": "Condition", "code": {"text": "caf#"}}}})  # fmt: skip

    answer = client.post(
        "/cds-services/depression-suicide-risk",
        data=body.encode().replace(b"#", b"\xe9"),
        content_type="application/json",
    )

    assert answer.status_code == 400
    assert "UTF-8" in answer.get_data(as_text=True)


# ---- everything that is read is asked for ----


def test_every_code_that_is_read_as_a_screening_answer_or_finding_is_in_the_query() -> None:
    queries = next(t.queries for t in templates() if t.key == "screening")
    findings = {r["code"] for r in table("conditions") if r["system"] == SNOMED and event_kind(code_group(r["group"]))}

    asked = {code for query in queries for code in query.partition("code=")[2].split(",")}

    assert asked == set(screening_codes()) | findings
    assert {target.instrument.value for code, target in targets().items() if code not in asked} == {"audit-c"}


def test_a_sites_own_codes_are_fetched_and_unknown_without_access() -> None:
    local = local_template(m for m in MAPS if m.source.startswith(LOCAL))
    assert local is None, "maps by canonical need no query"
    from dataclasses import replace

    by_code = tuple(replace(m, form=False) for m in MAPS if m.source.startswith(LOCAL))
    assert f"{LOCAL}asq|q1" in local_template(by_code).queries[0]

    site = replace(default_config().sites[0], reading=ReadSettings(maps=by_code))
    client = open_app(ServiceConfig(sites=(site,)), engine=Engine(), now=lambda: AS_OF).test_client()
    prefetch = {t.key: None for t in templates()} | {"patient": patient()}
    body = {
        "hook": "patient-view",
        "hookInstance": "h",
        "context": {"userId": "Practitioner/d", "patientId": PATIENT},
        "prefetch": prefetch,
    }
    assert "screening answers in local codes" in gap_said(
        client.post("/cds-services/depression-suicide-risk", json=body)
    )


def test_a_whole_bundle_is_a_chart_and_null_entries_are_no_resources() -> None:
    chart = json.loads(bundle(patient(), *given("C-SSRS, today: question 4 = yes")))
    chart["entry"].append({"resource": None})

    from fhir_adapters.access.bundles import chart_bundle

    assert len(chart_bundle(json.dumps(chart).encode(), settings=ReadSettings(), as_of=AS_OF).resources) == 1


# ---- forms charted item by item ----


def items_at(times: list[str], scores: list[int], first: int = 1) -> list[dict]:
    return [
        observation(LOINC, PHQ[n], when, {"valueInteger": score}) | {"id": f"i{first + n}"}
        for n, (when, score) in enumerate(zip(times, scores, strict=True))
    ]


@pytest.mark.parametrize(
    "times",
    [
        [f"2026-11-20T10:00:0{n}Z" for n in range(9)],
        ["2026-11-20T10:00:00Z"] * 2 + ["2026-11-20T10:02:00Z"] * 7,
        ["2026-11-20T10:00:00Z"] * 4 + ["2026-11-20T05:00:00-05:00"] * 5,
    ],
)
def test_a_phq_9_charted_item_by_item_is_one_form_with_its_total(times: list[str]) -> None:
    record = record_of(*items_at(times, [3] * 8 + [0]))

    assert record.fact("phq9").value == 24
    assert [f.instrument.value for f in record.administrations] == ["phq-9"]


def test_two_sets_of_answers_on_one_date_are_never_mixed_into_a_total() -> None:
    both = items_at([TODAY] * 9, [0] * 9) + items_at([TODAY] * 9, [1] * 8 + [0], first=11)

    record = record_of(*both)

    assert record.fact("phq9") is None
    assert record.fact("phq_item_1") is None
    assert [a.flaw.kind for a in record.anomalies] == ["contradiction"]


def test_two_screens_of_one_date_are_one_with_the_worst_answers() -> None:
    both = [
        *given("C-SSRS, today: question 1 2 6 = no"),
        *given("C-SSRS, today: question 1 2 4 = yes, question 6 = no"),
    ]

    assert topics(*both) == ["acute-safety critical"]
    assert topics(*reversed(both)) == ["acute-safety critical"]


def test_items_one_and_two_meet_their_phq_2_total() -> None:
    parts = [*items_at([TODAY] * 2, [0, 0]), observation(LOINC, "55758-7", TODAY, {"valueInteger": 6})]

    assert topics(*parts) == ["data-anomaly info"]


def test_a_broken_contained_resource_costs_the_call_nothing() -> None:
    medicine = resource(
        "MedicationRequest",
        status="active",
        intent="order",
        medicationReference={"reference": "#x"},
        contained=[{"id": "x"}, {"id": 1}],
    )

    assert "positive-safety-answer warning" in topics(medicine, item_9(valueInteger=3))


@pytest.mark.parametrize("ids", [("a", "b"), ("b", "a")])
def test_the_ids_of_resources_decide_nothing(ids: tuple[str, str]) -> None:
    chart = given("Condition T14.91XD, today, encounter e1") + given("Condition X78.8XXA, today, encounter e1")
    chart[0]["id"], chart[2]["id"] = ids

    assert topics(*chart) == ["acute-safety critical"]


def test_a_null_beside_raw_parts_is_forgiven() -> None:
    page = {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": None,
        "entry": [{"resource": item_9(valueInteger=2)}],
    }
    client = open_app(engine=Engine(), now=lambda: AS_OF).test_client()
    prefetch = {t.key: None for t in templates()} | {"patient": patient(), "screening": page}
    body = {
        "hook": "patient-view",
        "hookInstance": "h",
        "context": {"userId": "Practitioner/d", "patientId": PATIENT, "encounterId": ""},
        "prefetch": prefetch,
    }

    answer = client.post("/cds-services/depression-suicide-risk", json=body)

    assert [c["indicator"] for c in answer.get_json()["cards"]] == ["warning"]


@pytest.mark.parametrize(
    "fault",
    [
        "an error among the results",
        "an entry without a resource",
        "an entry that was refused",
        "an entry that is no resource",
    ],
)
def test_a_chart_file_that_lost_entries_says_so(fault: str) -> None:
    from fhir_adapters.access.bundles import chart_bundle
    from fhir_adapters.reading.extraction import patient_record

    chart = json.loads(bundle(patient()))
    chart["entry"] += FAILED_SEARCHES[fault]["entry"]

    record = patient_record(
        chart_bundle(json.dumps(chart).encode(), settings=ReadSettings(), as_of=AS_OF),
        settings=ReadSettings(),
        as_of=AS_OF,
    )

    assert [c.source.topic.code for c in cards_of(record)] == ["could-not-assess"]


def test_what_was_included_is_no_sign_of_a_failed_search() -> None:
    page = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 0,
        "entry": [{"search": {"mode": "include"}, "resource": patient()}],
    }
    client = open_app(engine=Engine(), now=lambda: AS_OF).test_client()
    prefetch = {t.key: None for t in templates()} | {"patient": patient(), "conditions": page}
    body = {
        "hook": "patient-view",
        "hookInstance": "h",
        "context": {"userId": "Practitioner/d", "patientId": PATIENT},
        "prefetch": prefetch,
    }

    assert client.post("/cds-services/depression-suicide-risk", json=body).get_json() == {"cards": []}
