"""What a call is answered with, beyond the form of requests and cards (test_requests.py, test_cards.py)."""

from __future__ import annotations

import re
import uuid

import pytest
from builders import AS_OF, LOINC, PATIENT, PHQ, given, observation, open_app, patient, prefetch_of, resource
from hook_calls import diagnostics, prompting, topics

from cds_service.settings.config import ServiceConfig, default_config
from explanations.judgement.assessment import Engine, ModelFailure
from fhir_adapters.access.templates import templates

ADDRESS = "/cds-services/depression-suicide-risk"


@pytest.fixture(scope="module")
def client():
    return open_app(now=lambda: AS_OF).test_client()


def prefetch(*resources: dict, **instead) -> dict:
    """All prefetch keys, known-empty but for these resources, each under the key that asks for its type."""
    keys = {"Condition": "conditions", "Observation": "screening", "QuestionnaireResponse": "questionnaires",
            "MedicationRequest": "medications", "Encounter": "encounters", "Procedure": "procedures", "RiskAssessment": "risk-assessments"}  # fmt: skip
    entries: dict[str, list] = {t.key: [] for t in templates()}
    for r in resources:
        entries[keys[r["resourceType"]]].append({"resource": r})
    found = {
        key: {"resourceType": "Bundle", "type": "searchset", "entry": rows} if rows else None
        for key, rows in entries.items()
    }
    return {**found, "patient": patient(), **instead}


def request(**changes) -> dict:
    whole = {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": "Practitioner/doc", "patientId": PATIENT},
        "prefetch": prefetch(),
    }
    return {key: value for key, value in (whole | changes).items() if value is not ...}


def prompted() -> dict:
    return prefetch_of([patient(), *prompting()])


def levels(answer) -> list[str]:
    """The topic and indicator of each card."""
    return [f"{t} {c['indicator']}" for t, c in zip(topics(answer), answer.get_json()["cards"], strict=True)]


# ---- cards ----


def test_no_card_shows_a_number_of_the_model_unless_the_site_turned_it_on(client) -> None:
    answer = client.post(ADDRESS, json=request(prefetch=prompted()))

    assert levels(answer) == ["screening-prompt info"]
    detail = answer.get_json()["cards"][0]["detail"]
    assert "%" not in detail
    assert "survey adults with similar records" not in detail
    assert "machine learning" in answer.get_json()["cards"][0]["summary"]


def test_the_models_card_gives_reasons_with_value_date_and_source_and_names_what_is_missing(client) -> None:
    detail = client.post(ADDRESS, json=request(prefetch=prompted())).get_json()["cards"][0]["detail"]

    reasons = [line for line in detail.splitlines() if line.startswith(("- Raised it", "- Lowered it"))]
    assert 1 <= len(reasons) <= 8
    assert all(re.search(r"\[\d+\]", line) for line in reasons)
    assert "`Observation/" in detail.splitlines()[-1]
    assert "All other inputs, including missing ones" in detail
    assert "Not on file: " in detail
    assert "PHQ-2" in detail.partition("Not on file: ")[2]


# ---- nothing hides ----


@pytest.mark.parametrize("key", [t.key for t in templates() if not t.needed])
def test_cdsh_028_070_096_data_that_is_not_needed_may_be_missing(client, key: str) -> None:
    answer = client.post(ADDRESS, json=request(prefetch={k: v for k, v in prefetch().items() if k != key}))

    assert answer.status_code == 200


def test_a_resource_with_no_code_is_said_to_be_unreadable(client) -> None:
    blank = resource("Observation", status="final", valueInteger=1)

    answer = client.post(ADDRESS, json=request(prefetch=prefetch(blank)))

    assert levels(answer) == ["could-not-assess info"]
    assert blank["id"] in answer.get_json()["cards"][0]["detail"]


@pytest.mark.parametrize(
    "value", [{"valueInteger": {"x": 1}}, {"valueCodeableConcept": []}, {"valueBoolean": "perhaps"}]
)
def test_a_safety_answer_of_the_wrong_type_is_a_finding(client, value: dict) -> None:
    answer = client.post(ADDRESS, json=request(prefetch=prefetch(observation(LOINC, PHQ[8], "2026-11-20", value))))

    assert "positive-safety-answer warning" in levels(answer)
    assert "could not be read" in answer.get_json()["cards"][0]["summary"]


def test_cdsh_085_another_patients_answers_are_never_used_and_it_is_said(client) -> None:
    foreign = [r | {"subject": {"reference": "Patient/other"}} for r in given("C-SSRS, today: question 4 = yes")]

    answer = client.post(ADDRESS, json=request(prefetch=prefetch(*foreign)))

    assert levels(answer) == ["data-anomaly info"]
    assert "another patient" in answer.get_json()["cards"][0]["summary"]


def test_cdsh_085_another_patient_in_the_patient_key_is_refused(client) -> None:
    answer = client.post(ADDRESS, json=request(prefetch=prefetch(patient=patient() | {"id": "other"})))

    assert answer.status_code == 400
    assert "patient" in diagnostics(answer)


def test_a_broken_model_silences_no_finding(client) -> None:
    broken = open_app(
        engine=Engine(failures=(ModelFailure(outcome="depression", reason="gone"),)), now=lambda: AS_OF
    ).test_client()
    chart = prefetch(*given("C-SSRS, today: question 4 = yes"))

    assert levels(broken.post(ADDRESS, json=request(prefetch=chart))) == ["acute-safety critical"]


def test_the_same_request_gives_the_same_cards(client) -> None:
    fixed = open_app(now=lambda: AS_OF, new_id=lambda: "00000000-0000-4000-8000-000000000001").test_client()
    body = request(prefetch=prompted(), hookInstance="one")

    assert fixed.post(ADDRESS, json=body).data == fixed.post(ADDRESS, json=body).data


def test_cdsh_039_the_body_limit_is_the_sites(client) -> None:
    small = open_app(ServiceConfig(sites=default_config().sites, body_bytes=2000), engine=Engine()).test_client()

    assert small.post(ADDRESS, json=request(prefetch=prompted())).status_code == 413


# ---- encounter-start ----

AT_START = "/cds-services/depression-suicide-risk-encounter"
STARTED = {"userId": "PractitionerRole/r1", "patientId": PATIENT, "encounterId": "now"}


def test_cdsh_045_an_encounter_that_starts_gets_the_cards_of_a_chart_that_is_opened(client) -> None:
    chart = prefetch(*given("PHQ-9, 6 days ago: items 1-7 = 1, item 8 = 0, item 9 = 1"))

    opened = client.post(ADDRESS, json=request(prefetch=chart))
    started = client.post(AT_START, json=request(hook="encounter-start", context=STARTED, prefetch=chart))

    assert levels(started) == levels(opened) != []


def test_cdsh_045_an_answer_of_the_encounter_that_starts_is_current_for_seven_days(client) -> None:
    answer = given("C-SSRS, 5 days ago: question 4 = yes")[0] | {"encounter": {"reference": "Encounter/now"}}
    before = {"userId": "Practitioner/d", "patientId": PATIENT, "encounterId": "another"}

    current = client.post(AT_START, json=request(hook="encounter-start", context=STARTED, prefetch=prefetch(answer)))
    earlier = client.post(AT_START, json=request(hook="encounter-start", context=before, prefetch=prefetch(answer)))

    assert levels(current) == ["acute-safety critical"]
    assert levels(earlier) == ["recent-safety warning"]


# ---- the key that came later: risk-assessments (decision 0028) ----


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (..., "no reassessment found since"),
        (None, "no reassessment found since"),
        ({"resourceType": "Bundle", "type": "searchset", "link": [{"relation": "next", "url": "x"}]}, "later screens may be unread"),
        ({"resourceType": "OperationOutcome", "issue": []}, "later screens may be unread"),
    ],
)  # fmt: skip
def test_a_site_that_never_stored_the_key_is_told_nothing_of_it(client, sent: object, said: str) -> None:
    empty = {k: v for k, v in (prefetch() | {"risk-assessments": sent}).items() if v is not ...}
    found = empty | {"screening": prefetch(*given("C-SSRS, 20 days ago: question 4 = yes"))["screening"]}

    nothing, recent = (client.post(ADDRESS, json=request(prefetch=p)) for p in (empty, found))

    assert (nothing.status_code, nothing.get_json()) == (200, {"cards": []})
    (card,) = recent.get_json()["cards"]
    assert said in card["summary"]
    assert ("not all of the chart could be read" in card["detail"]) is ("unread" in said)


def test_a_risk_assessment_is_read_from_its_key(client) -> None:
    (assessed,) = given("RiskAssessment, today: high")

    assert levels(client.post(ADDRESS, json=request(prefetch=prefetch(assessed)))) == ["acute-safety critical"]
