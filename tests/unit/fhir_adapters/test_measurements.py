from __future__ import annotations

import pytest
from builders import LOINC, observation, record_of

from fhir_adapters.measurements import CODED, NAMES, quantities


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
        ("68519-8", "2026-11-01", {"value": 3, "code": "pints"}, None),
        ("29463-7", "2026-11-01", {"value": 80, "code": "stone"}, "body weight is in an unknown unit (expected kg)"),
        ("29463-7", "2026-11-01", {"value": "eighty", "code": "kg"}, "body weight is not a number"),
        ("29463-7", "2026-11-01", {"value": 80, "code": "kg", "comparator": ">"}, "body weight is only a bound"),
    ],
)
def test_a_value_that_is_not_used_is_named_in_words(code: str, when: str, value: dict, says: str | None) -> None:
    record = record_of(observation(LOINC, code, when, {"valueQuantity": value}))

    texts = [anomaly.text for anomaly in record.anomalies]
    assert len(texts) == (says is not None)
    assert all(says in text for text in texts)
    assert not [fact.name for fact in record.facts if fact.references and "Observation" in fact.references[0]]
