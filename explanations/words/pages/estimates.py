"""The estimate of one outcome for a page: its wording, its reasons, and the exact figures.

An estimate below the threshold is described as uninformative, so that it reassures nobody. A missing estimate has one
reason. Reasons are associations; treatment rows say that they show care, not cause. Figures out of 100 people appear
only if the site turned them on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from explanations.judgement.assessment import Assessment
from explanations.judgement.rationale import CONCEPTS, Explanation, Reason
from explanations.words.estimates.inputs import change_words, input_name, reason_words
from explanations.words.estimates.not_scored import MISSING, SILENCED, missing_lines, not_scored_words
from explanations.words.estimates.outcomes import OUTCOME_WORDS, share_words
from explanations.words.language import Language, capitalised, later
from explanations.words.notices.notice import NoticeSettings
from explanations.words.pages.availability import STATES, unread_inputs
from explanations.words.tables import complete
from models.inputs.features import MissingReason
from models.scoring.risk import NotScored, RiskBand, RiskScore

MOST_ROWS = 6
# Translators: stands above a table of figures, of which the first is called "base value" and the last "score".
ADDS_UP = later("The base value and all rows add up to the score. Unit: log-odds, calibrated.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonRow:
    """One row: the value with date and source (markdown), its effect in words, and how much."""

    what: str
    change: str
    log_odds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the exact figures."""

    name: str
    log_odds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateView:
    """One outcome on a page.

    `rows` are empty without an estimate, and the last is the remainder. `missing`: inputs without a usable value, by
    reason. `figures` begin with the base value and end with the score. `share`: the estimate and its range out of 100
    people, "" unless the site turned that on and the estimate is above the threshold; likewise `probability` and `high`
    for the picture.
    """

    outcome: str
    headline: str
    detail: str
    rows: tuple[ReasonRow, ...] = ()
    missing: tuple[str, ...] = ()
    known: str = ""
    figures: tuple[Figure, ...] = ()
    share: str = ""
    probability: float | None = None
    high: float | None = None
    model: str = ""
    above: bool = False


def estimate_views(assessment: Assessment, settings: NoticeSettings, say: Language) -> tuple[EstimateView, ...]:
    """One per modelled outcome, in the order of the assessment."""
    explained = {explanation.outcome: explanation for explanation in assessment.explanations}
    return tuple(
        _not_scored(score, say)
        if isinstance(score, NotScored)
        else _view(assessment, score, explained[score.outcome], settings, say)
        for score in assessment.scores
        if isinstance(score, NotScored) or score.outcome in explained
    )


def is_one_reason(scores: Sequence[RiskScore | NotScored]) -> bool:
    """Whether no outcome has an estimate, all for the same reason in the same words."""
    not_scored = [s for s in scores if isinstance(s, NotScored) and SILENCED.get(s.reason) is None]
    return len(not_scored) == len(scores) and len({(s.reason, s.known, s.needed) for s in not_scored}) == 1


def _not_scored(score: NotScored, say: Language) -> EstimateView:
    headline = say("No estimate of {outcome}.", outcome=say(OUTCOME_WORDS[score.outcome].estimated))
    return EstimateView(outcome=score.outcome, headline=headline, detail=not_scored_words(score, say))


def _view(
    assessment: Assessment, score: RiskScore, explanation: Explanation, settings: NoticeSettings, say: Language
) -> EstimateView:
    above = score.band is RiskBand.AT_OR_ABOVE_THRESHOLD
    what = say(OUTCOME_WORDS[score.outcome].estimated)
    shown = explanation.leading(MOST_ROWS)
    # A small number out of 100 would reassure, so none is shown below the threshold.
    figures = settings.show_probability and above
    return EstimateView(
        outcome=score.outcome,
        headline=say("Estimate of {outcome}: above this site’s threshold.", outcome=what)
        if above
        else say("Estimate of {outcome}: below threshold. This does not rule it out.", outcome=what),
        detail=say(
            "Learned from US survey adults: associations, not causes; treatment shows care, not cause. Not validated "
            "at this site. Not a diagnosis."
        )
        if above
        else say(
            "People often do not disclose. Ask if you are concerned. Learned from US survey adults: associations, not "
            "causes; treatment shows care, not cause. Not validated at this site."
        ),
        rows=(*(_row(reason, say) for reason in shown), _remainder(explanation, shown, say)),
        missing=missing_words(assessment, explanation, say),
        known=say("{known} of {inputs} inputs known", known=explanation.known, inputs=explanation.inputs),
        figures=_figures(explanation, shown, say),
        share=say("{what}.", what=share_words(score, say)) if figures else "",
        probability=score.probability if figures else None,
        high=score.high if figures else None,
        model=score.model,
        above=above,
    )


def _row(reason: Reason, say: Language) -> ReasonRow:
    words = reason_words(reason, say)
    return ReasonRow(what=words.what, change=words.change, log_odds=reason.log_odds)


def _remainder(explanation: Explanation, shown: tuple[Reason, ...], say: Language) -> ReasonRow:
    rest = explanation.remainder(shown)[1]
    what = say("All other inputs, including missing ones")
    return ReasonRow(what=what, change=capitalised(change_words(rest, say)), log_odds=rest)


def missing_words(assessment: Assessment, explanation: Explanation, say: Language) -> tuple[str, ...]:
    """The inputs of this outcome's model without a usable value, by reason.

    If a part of the chart could not be read, none of its inputs is called "not on file".
    """
    lost = unread_inputs(assessment.chart)
    inputs, missing = explanation.missing, []
    for gap in (gap for gap in assessment.missing if gap.name in inputs):
        is_lost = gap.reason is MissingReason.NOT_ON_FILE and gap.name in lost
        missing.append((gap.name, say(STATES[lost[gap.name]] if is_lost else MISSING[gap.reason])))
    return tuple(map(capitalised, missing_lines(missing, say)))


def _figures(explanation: Explanation, shown: tuple[Reason, ...], say: Language) -> tuple[Figure, ...]:
    """The base value, one figure per reason, the remainder, and the score they add up to."""
    rows = [Figure(name=_concept(reason, say), log_odds=reason.log_odds) for reason in shown]
    return (
        Figure(name=say("base value"), log_odds=explanation.base_log_odds),
        *rows,
        Figure(name=say("all other inputs, including missing ones"), log_odds=explanation.remainder(shown)[1]),
        Figure(name=say("score"), log_odds=explanation.log_odds),
    )


def _concept(reason: Reason, say: Language) -> str:
    """The name of a concept; an input outside all concepts stands for itself."""
    concept = reason.concept
    return say(CONCEPT_NAMES[concept]) if concept in CONCEPTS else input_name(concept, say)


CONCEPT_NAMES = complete(
    {
        "alcohol": later("alcohol"),
        "heart-disease": later("heart disease"),
        "visits": later("visits and usual place of care"),
        "mental-health-care": later("mental-health visits"),
        "antidepressants": later("antidepressants"),
        "phq-2": later("PHQ-2"),
        "phq-items": later("PHQ items 3 to 8"),
    },
    CONCEPTS,
)
