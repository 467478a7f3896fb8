"""Wording of the outcomes: one row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from explanations.words.language import Language, later
from explanations.words.tables import complete
from fhir_adapters.facts import AnswerState
from models.inputs.outcomes import OUTCOME_SPECS, OUTCOMES, Outcome
from models.scoring.risk import RiskScore


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeWords:
    """The wording of one outcome. silenced: why there is no estimate, by the state of the answer that silences it."""

    estimated: str
    estimate: str
    ask_about: str
    silenced: Mapping[AnswerState, str]


OUTCOME_WORDS: Mapping[str, OutcomeWords] = complete(
    {
        Outcome.DEPRESSION: OutcomeWords(
            # Translators: what is estimated: "an estimate of current depressive symptoms (PHQ-9 of 10 or more)".
            estimated=later("current depressive symptoms (PHQ-9 of 10 or more)"),
            estimate=later("Estimate of depressive symptoms"),
            # Translators: what to ask about: "asking about depression today".
            ask_about=later("depression"),
            silenced={AnswerState.ANSWERED: later("A PHQ-9 in the last 14 days already answers this.")},
        ),
        Outcome.SUICIDAL_IDEATION: OutcomeWords(
            # Translators: what is estimated: "an estimate of thoughts of being better off dead ...".
            estimated=later("thoughts of being better off dead or of self-harm in the last two weeks"),
            estimate=later("Estimate of thoughts of self-harm"),
            # Translators: what to ask about: "asking about thoughts of self-harm today".
            ask_about=later("thoughts of self-harm"),
            silenced={
                AnswerState.ANSWERED: later(
                    "PHQ-9 item 9 was answered in the last 14 days; the patient’s answer is used instead."
                ),
                AnswerState.UNREADABLE: later(
                    "An answer to PHQ-9 item 9 in the last 14 days could not be read; no estimate replaces it."
                ),
            },
        ),
    },
    OUTCOMES,
)
for spec in OUTCOME_SPECS.values():
    complete(dict(OUTCOME_WORDS[spec.outcome].silenced), {answer.state for answer in spec.silenced_by})


def shares(probability: float, high: float) -> tuple[int, int]:
    """How many of a hundred an estimate is, and the upper end of its range.

    In the icon array that many figures are solid, and striped up to the end of the range.
    """
    if not (0 <= probability <= 1 and 0 <= high <= 1):
        raise ValueError("expected probabilities between 0 and 1")
    solid = round(100 * probability)
    return solid, max(solid, round(100 * high))


def share_words(score: RiskScore, say: Language) -> str:
    """The estimate and its range out of 100 people, with the comparison group; without a full stop."""
    count, high = shares(score.probability, score.high)
    return say(
        "Of 100 survey adults with similar records, about {count} (range {low} to {high}) reported this in the past "
        "two weeks",
        count=count,
        low=min(count, round(100 * score.low)),
        high=high,
    )
