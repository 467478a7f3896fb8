"""RiskAssessments: which are about suicide, what they say, and who made them."""

from __future__ import annotations

import pytest
from builders import LOINC, SNOMED, cards_of, codeable, given, record_of, resource

from fhir_adapters.facts import RiskAssessment

DAY = "2026-11-20"
DOCTOR = {"reference": "Practitioner/1"}
SUICIDE = {"code": codeable(SNOMED, "225337009")}
PROBABILITY = "http://terminology.hl7.org/CodeSystem/risk-probability"


def assessed(*predictions: dict, **elements) -> dict:
    base = {"status": "final", "performer": DOCTOR, "occurrenceDateTime": DAY, "prediction": list(predictions)}
    return resource("RiskAssessment", **{name: value for name, value in (base | elements).items() if value})


def read(*predictions: dict, **elements) -> RiskAssessment | None:
    found = record_of(assessed(*predictions, **elements)).risk_assessments
    return found[0] if found else None


def words(text: str) -> dict:
    return {"qualitativeRisk": {"text": text}}


def coded(system: str, code: str, display: str = "") -> dict:
    coding = {"system": system, "code": code} | ({"display": display} if display else {})
    return {"qualitativeRisk": {"coding": [coding]}}


@pytest.mark.parametrize(
    "about",
    [
        SUICIDE,
        {"code": codeable(LOINC, "93374-7")},
        {"code": {"text": "Suicide risk assessment"}},
        {"code": {"text": "Evaluación del riesgo de suicidio"}},
        {"code": {"text": "Suizidrisiko"}},
        {"method": {"text": "C-SSRS Screener"}},
        {"method": {"coding": [{"system": "urn:local", "code": "1", "display": "Self-harm risk"}]}},
    ],
)
def test_an_assessment_is_about_suicide_by_code_or_words(about: dict) -> None:
    assert read(words("High"), **about).result == "high"


def test_an_outcome_in_such_words_is_enough_and_other_outcomes_beside_it_do_not_count() -> None:
    violence = {"outcome": {"text": "Violence"}, **words("High")}
    suicide = {"outcome": {"text": "Suicide attempt"}, **words("Moderate")}

    assert read(violence, suicide).result == "moderate"
    assert read(violence) is None
    assert read(violence, **SUICIDE).result == "high", "coded as about suicide: any outcome may be of it"
    assert cards_of(record_of(assessed(violence, code={"text": "Fall risk"}))) == []


@pytest.mark.parametrize(
    ("prediction", "result"),
    [
        (words("High"), "high"),
        (words("Alto"), "high"),
        (words("Moderate to high"), "unreadable"),
        (coded(PROBABILITY, "certain"), "high"),
        (coded(PROBABILITY, "moderate", "Moderate likelihood"), "moderate"),
        (coded(LOINC, "LA6751-7"), "moderate"),
        (coded(PROBABILITY, "negligible"), "low"),
        (words("No risk identified"), "low"),
        (words("Minimal"), "low"),
        (words("Not low"), "unreadable"),
        (words("not high"), "unreadable"),
        (words("Tier 2"), "unreadable"),
        (coded(PROBABILITY, "low", "High likelihood"), "unreadable"),
        (coded("urn:local", "H"), "unreadable"),
        ({"probabilityDecimal": 0.02}, "unreadable"),
        ({"outcome": {"text": "Suicide"}}, None),
        ({}, None),
    ],
)
def test_the_qualitative_risk_in_codes_and_words_that_must_agree(prediction: dict, result: str | None) -> None:
    assert read(prediction, **SUICIDE).result == result


def test_the_worst_of_several_predictions_counts() -> None:
    assert read(words("Low"), words("High"), words("?"), **SUICIDE).result == "high"
    assert read(words("Low"), words("?"), **SUICIDE).result == "unreadable"


@pytest.mark.parametrize(
    ("elements", "complete", "by_software"),
    [
        ({}, True, False),
        ({"performer": {"type": "PractitionerRole", "display": "x"}}, True, False),
        ({"performer": {"reference": "https://ehr.example/fhir/Practitioner/1"}}, True, False),
        ({"status": "corrected"}, True, False),
        ({"status": "preliminary"}, False, False),
        ({"status": "registered"}, False, False),
        ({"performer": None}, False, False),
        ({"performer": {"display": "Dr X"}}, False, False),
        ({"performer": {"reference": "Device/1"}}, False, True),
        ({"performer": {"reference": "#d"}}, False, False),
        ({"method": {"text": "Machine learning model"}}, False, True),
        ({"method": {"text": "Suicide risk score v3"}}, False, True),
        ({"method": {"text": "Algoritmo de riesgo"}}, False, True),
        ({"method": {"text": "Clinical interview"}}, True, False),
    ],
)
def test_only_a_final_one_by_a_clinician_is_complete(elements: dict, complete: bool, by_software: bool) -> None:
    found = read(words("Low"), **(SUICIDE | elements))

    assert (found.complete, found.by_software) == (complete, by_software)


def test_the_date_of_a_period_is_its_end_and_the_encounter_is_kept() -> None:
    found = read(words("Low"), **SUICIDE, encounter={"reference": "Encounter/7"}, occurrenceDateTime=None, occurrencePeriod={"start": "2026-11-01", "end": "2026-11-03"})  # fmt: skip

    assert (found.when.text, found.encounter) == ("2026-11-03", "Encounter/7")


@pytest.mark.parametrize("elements", [{"context": {"reference": "Encounter/1"}}, {"comment": "x"}, {"reason": [{"concept": {"text": "x"}}]}])  # fmt: skip
def test_other_versions_are_unreadable(elements: dict) -> None:
    record = record_of(assessed(words("High"), **SUICIDE, **elements))

    assert [entry.may_hide_answer for entry in record.unreadable] == [True]
    assert [card.source.topic.code for card in cards_of(record)] == ["could-not-assess"]


def test_anothers_assessment_is_not_used() -> None:
    record = record_of(assessed(words("High"), **SUICIDE, subject={"reference": "Patient/other"}))

    assert record.risk_assessments == ()
    assert [anomaly.answers for anomaly in record.anomalies] == [1]


def test_a_result_of_low_is_never_printed() -> None:
    record = record_of(*given("Condition T14.91XA, 41 days ago"), assessed(words("Low"), **SUICIDE))

    (card,) = cards_of(record)

    assert "Suicide risk assessment completed. 20 Nov 2026" in card.detail
    assert "low" not in (card.summary + card.detail).lower().replace("below", "").replace("follow", "").replace("allow", "").replace("slow", "")  # fmt: skip


def test_a_card_tells_a_score_by_software_from_an_assessment() -> None:
    by_software = assessed(words("High"), **SUICIDE, performer={"reference": "Device/1"})
    after = assessed(words("Low"), **SUICIDE, performer={"reference": "Device/1"})

    (high,) = cards_of(record_of(by_software))
    (act,) = cards_of(record_of(*given("Condition T14.91XA, 41 days ago"), after))

    assert high.summary.startswith("Suicide risk score from software: risk recorded as high")
    assert "Suicide risk score from software, not an assessment" in act.detail
    assert "No later C-SSRS" not in act.detail
