"""The outcomes, one row each: its label in the survey, what its model never sees, and what silences it.

Checked at import: every outcome needs a row. Its id names it in artifacts, in the responses of the service, and in a
site's settings (thresholds, model card). Its words: `explanations.words.estimates.outcomes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from fhir_adapters.facts import AnswerState
from fhir_adapters.instruments import NINE_ITEM_PHQ, Instrument


class Outcome(StrEnum):
    """The outcomes, in the order of reporting."""

    DEPRESSION = "depression"
    SUICIDAL_IDEATION = "suicidal-ideation"


@dataclass(frozen=True, slots=True, kw_only=True)
class SilencingAnswer:
    """An answer on file, at most 14 days old (R12), that replaces the model.

    item: of one of these instruments, in this state; None: a complete form, or one with a valid total.
    """

    instruments: tuple[Instrument, ...]
    item: str | None = None
    state: AnswerState = AnswerState.ANSWERED


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeSpec:
    """One outcome.

    label: the outcome in the survey: `label_items` add up to `label_from` or more. estimates: the same in a model card.
    never_inputs: blocks of inputs that are part of the label or too close to it. max_depth: of the trees.
    least_subgroup_auroc: the fairness target, or None. silenced_by: in order of precedence. measured_in_care: patients
    in depression care are measured again instead of prompted (R13). concerns_safety: its prompt names the crisis lines.
    """

    outcome: Outcome
    label: str
    label_items: tuple[str, ...]
    label_from: int
    estimates: str
    never_inputs: tuple[str, ...]
    max_depth: int
    least_subgroup_auroc: float | None
    silenced_by: tuple[SilencingAnswer, ...]
    measured_in_care: bool
    concerns_safety: bool


PHQ_ITEMS = tuple(f"DPQ0{item}0" for item in range(1, 10))
"""The nine items of the PHQ-9, as the survey calls them."""

ROWS = (
    OutcomeSpec(
        outcome=Outcome.DEPRESSION,
        label="PHQ-9 total of 10 or more in the last two weeks, all nine items answered (NHANES DPQ010-DPQ090)",
        label_items=PHQ_ITEMS,
        label_from=10,
        estimates="current depressive symptoms at PHQ-9 of 10 or more",
        never_inputs=("phq",),  # items 3-8 are part of the label itself
        max_depth=3,
        least_subgroup_auroc=0.75,
        silenced_by=(SilencingAnswer(instruments=NINE_ITEM_PHQ),),
        measured_in_care=True,
        concerns_safety=False,
    ),
    OutcomeSpec(
        outcome=Outcome.SUICIDAL_IDEATION,
        label="PHQ-9 item 9 answered above 'not at all' for the last two weeks (NHANES DPQ090)",
        label_items=("DPQ090",),
        label_from=1,
        estimates="thoughts of being better off dead or of self-harm in the last two weeks",
        never_inputs=(),
        max_depth=2,  # fewer than half as many people with the outcome
        least_subgroup_auroc=None,
        silenced_by=(
            SilencingAnswer(instruments=NINE_ITEM_PHQ, item="9"),
            SilencingAnswer(instruments=NINE_ITEM_PHQ, item="9", state=AnswerState.UNREADABLE),
        ),
        measured_in_care=False,
        concerns_safety=True,
    ),
)
OUTCOME_SPECS: Mapping[str, OutcomeSpec] = {spec.outcome: spec for spec in ROWS}
OUTCOMES: tuple[str, ...] = tuple(Outcome)
if tuple(OUTCOME_SPECS) != OUTCOMES:
    raise LookupError(f"expected one row an outcome, in their order: {', '.join(Outcome)}")
