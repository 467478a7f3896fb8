from __future__ import annotations

import pytest
from builders import LOINC, SNOMED, observation, record_of

from explanations.words.findings.anomalies import NAMES, anomaly_words
from explanations.words.language import language
from fhir_adapters.codesets.quantities import quantities
from fhir_adapters.reading.habits import CODED


def test_everything_that_is_measured_has_words_for_a_card() -> None:
    measured = {quantity.feature for quantity in quantities().values()} | set(CODED.values())

    assert set(NAMES) == measured


@pytest.mark.parametrize(
    ("code", "when", "value", "says"),
    [
        (
            "8480-6",
            "2026-12-24",
            {"value": 120, "code": "mm[Hg]"},
            "systolic blood pressure is dated 2026-12-24, in the",
        ),
        ("1988-5", "2026-11-01", {"value": -3, "code": "mg/L"}, "C-reactive protein is outside the possible"),
        (
            "68519-8",
            "2026-11-01",
            {"value": 3, "code": "pints"},
            "drinks on a drinking day was not understood",
        ),
        ("29463-7", "2026-11-01", {"value": 80, "code": "stone"}, "body weight is in an unknown unit (expected kg)"),
        ("29463-7", "2026-11-01", {"value": "eighty", "code": "kg"}, "body weight is not a number"),
        (
            "29463-7",
            "2026-11-01",
            {"value": 80, "code": "kg", "comparator": ">"},
            "body weight is only an upper or lower limit",
        ),
    ],
)
def test_a_value_that_is_not_used_is_named_in_words(code: str, when: str, value: dict, says: str) -> None:
    record = record_of(observation(LOINC, code, when, {"valueQuantity": value}))

    texts = [anomaly_words(anomaly, language()) for anomaly in record.anomalies]
    assert len(texts) == 1
    assert all(says in text for text in texts)
    assert not [fact.name for fact in record.facts if fact.references and "Observation" in fact.references[0]]


@pytest.mark.parametrize(
    ("code", "value", "feature", "expected"),
    [
        ("67875-5", {"text": "Otherwise unemployed but not seeking work"}, "employed", False),
        ("67875-5", {"text": "Part-time or temporary work"}, "employed", True),
        ("67875-5", {"text": "Self-employed"}, "employed", True),
        ("67875-5", {"text": "Not in labor force"}, "employed", False),
        ("88122-7", {"coding": [{"system": LOINC, "code": "LA28397-0"}]}, "food_insec", 4),
        ("88123-5", {"coding": [{"system": LOINC, "code": "LA28398-8", "display": "Never true"}]}, "food_insec", 1),
        ("61577-3", {"coding": [{"system": LOINC, "code": "LA8969-3"}]}, "gen_health", 5),
        ("69858-9", {"coding": [{"system": LOINC, "code": "LA33-6"}]}, "difficulty_concentrating", True),
        ("69858-9", {"text": "No"}, "difficulty_concentrating", False),
        ("69858-9", {"coding": [{"system": SNOMED, "code": "373066001"}]}, "difficulty_concentrating", True),
    ],
)
def test_social_answers_are_read_by_code_or_words(code: str, value: dict, feature: str, expected: float) -> None:
    record = record_of(observation(LOINC, code, "2026-11-01", {"valueCodeableConcept": value}))

    assert record.fact(feature).value == expected


def test_the_worse_of_the_two_hunger_questions_counts_in_either_order() -> None:
    never = observation(LOINC, "88122-7", "2026-11-01", {"valueCodeableConcept": {"text": "Never true"}})
    often = observation(LOINC, "88123-5", "2026-11-01", {"valueCodeableConcept": {"text": "Often true"}})

    assert record_of(never, often).fact("food_insec").value == record_of(often, never).fact("food_insec").value == 4
