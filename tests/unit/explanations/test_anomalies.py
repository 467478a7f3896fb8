"""What is wrong with data in the chart, as a clinician reads it."""

from __future__ import annotations

import pytest

from explanations.words.findings.anomalies import anomaly_words
from explanations.words.language import language
from fhir_adapters.facts import Anomaly, EventAnomaly, EventKind, ForeignEntries, FormAnomaly, ValueAnomaly
from fhir_adapters.flaws import Flaw
from fhir_adapters.instruments import Instrument


def phq9(flaw: Flaw, total: int | None = None, *scores: int) -> FormAnomaly:
    return FormAnomaly(flaw=flaw, instrument=Instrument.PHQ9, total=total, scores=scores)


@pytest.mark.parametrize(
    ("anomaly", "words"),
    [
        (phq9(Flaw.TOTAL_UNLIKE_ANSWERS, 9, 1), "PHQ-9: total 9, but the one answer is 1."),
        (phq9(Flaw.TOTAL_UNLIKE_ANSWERS, 9, 1, 2), "PHQ-9: total 9, but the two answers add up to 3."),
        (phq9(Flaw.TOTAL_OFF_SCALE, 28), "PHQ-9 total is recorded as 28; it can only be 0 to 27."),
        (phq9(Flaw.ANSWER_OFF_SCALE), "PHQ-9: an answer is outside its scale of 0 to 3."),
        (
            EventAnomaly(flaw=Flaw.DEATH_NOT_MARKED, event=EventKind.DEATH_BY_SUICIDE),
            "A code for death by suicide is recorded, but the patient is not marked deceased.",
        ),
        (
            ValueAnomaly(flaw=Flaw.VALUE_OFF_RANGE, feature="bmi", unit="kg/m2", low=10, high=100.5),
            "A value for body mass index is outside the possible range of 10 to 100.5 kg/m2. It was not used.",
        ),
        (
            ForeignEntries(flaw=Flaw.OF_OTHERS, count=1, answers=1),
            "1 entry for another patient or from an unknown server was left out. It may contain an answer.",
        ),
        (
            ForeignEntries(flaw=Flaw.OF_NOBODY, count=3, answers=2),
            "3 entries that name no patient were left out. 2 of them may contain answers.",
        ),
        (
            ForeignEntries(flaw=Flaw.UNFILTERED, count=3, answers=2, answers_only=True),
            "2 entries for others, which may contain answers, were left out; the server did not limit the search.",
        ),
    ],
)
def test_a_flaw_and_its_data_make_one_sentence(anomaly: Anomaly, words: str) -> None:
    assert anomaly_words(anomaly, language()) == words
