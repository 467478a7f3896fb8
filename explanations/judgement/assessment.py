"""A chart to an assessment: rules first, then estimates, then the reasons for each estimate.

Rules never wait for a model, and a model that fails becomes `NotScored`; it cannot silence a finding.
When a model is silent (rule R9 to R13) is decided here, in one list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from explanations.errors import NotExact
from explanations.judgement.attribution import attributions
from explanations.judgement.rationale import Explanation, reasons
from fhir_adapters.codesets.instruments import NINE_ITEM_PHQ
from fhir_adapters.facts import AnswerState, Consent, Fact, PatientRecord
from fhir_adapters.reading.screening import complete, total_of
from models.errors import ModelError
from models.inputs.feature_schema import ANTIDEPRESSANTS, DEPRESSION, OUTCOMES, SUICIDAL_IDEATION
from models.inputs.features import PHQ_DAYS, Inputs, MissingInput, inputs
from models.rules.discharge import Step
from models.rules.findings import SafetyFinding
from models.rules.safety_rules import apply_safety_rules
from models.scoring.registry import Model
from models.scoring.risk import BandThresholds, NotScored, RiskBand, RiskScore
from models.scoring.score import score

MEASURE_AGAIN_DAYS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The models of this process, and why any of them could not be loaded."""

    models: tuple[Model, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Everything concluded about one chart. `in_care` holds the facts that show depression care (R13).

    `measure_again`: in care, the depression estimate is at or above the threshold, no PHQ-9 on file for 120 days.
    `steps`: what follows a finding at discharge; empty at other hooks.
    """

    chart: PatientRecord
    findings: tuple[SafetyFinding, ...]
    history: tuple[SafetyFinding, ...]
    scores: tuple[RiskScore | NotScored, ...]
    explanations: tuple[Explanation, ...]
    missing: tuple[MissingInput, ...]
    in_care: tuple[Fact, ...]
    measure_again: bool
    steps: tuple[Step, ...] = ()

    def prompting(self) -> tuple[RiskScore, ...]:
        """Scores that ask for a screening prompt: at or above the threshold, but not depression when in care (R13)."""
        return tuple(s for s in _above(self.scores) if not (s.outcome == DEPRESSION and self.in_care))


def assess(
    chart: PatientRecord, engine: Engine, thresholds: BandThresholds = BandThresholds(), *, out_of_time: bool = False
) -> Assessment:
    """Findings, then scores, then reasons. `out_of_time`: the caller cannot wait for a model; rules still answer."""
    reading = apply_safety_rules(chart)
    given = inputs(chart)
    asked = None if out_of_time else engine
    estimates = [_estimate(chart, given, asked, thresholds, outcome) for outcome in OUTCOMES]
    scores = tuple(scored for scored, _ in estimates)
    care = () if chart.deceased else depression_care(chart)
    above = any(s.outcome == DEPRESSION for s in _above(scores))
    return Assessment(
        chart=chart,
        findings=reading.findings,
        history=reading.history,
        scores=scores,
        explanations=tuple(explained for _, explained in estimates if explained),
        missing=given.missing,
        in_care=care,
        measure_again=bool(care) and above and not _phq9_within(chart, MEASURE_AGAIN_DAYS),
    )


def _above(scores: Iterable[RiskScore | NotScored]) -> list[RiskScore]:
    return [s for s in scores if isinstance(s, RiskScore) and s.band is RiskBand.AT_OR_ABOVE_THRESHOLD]


def _estimate(
    chart: PatientRecord, given: Inputs, engine: Engine | None, thresholds: BandThresholds, outcome: str
) -> tuple[RiskScore | NotScored, Explanation | None]:
    """A score with its explanation, or why there is none. What cannot be explained exactly is not shown."""
    silent = why_silent(chart, outcome) or _no_basis(given, outcome)
    if silent:
        return silent, None
    if engine is None:
        detail = "The time allowed for an answer was up; rules still apply."
        return NotScored(outcome=outcome, reason="out-of-time", detail=detail), None
    model = next((m for m in engine.models if m.outcome == outcome), None)
    if model is None:
        detail = "The model could not be loaded; rules still apply."
        return NotScored(outcome=outcome, reason="model-unavailable", detail=detail), None
    try:
        scored = score(model, given.vector(model.schema), thresholds.threshold_for(model))
    except ModelError:
        detail = "The model could not score this record; rules still apply."
        return NotScored(outcome=outcome, reason="model-failed", detail=detail), None
    if isinstance(scored, NotScored):
        return scored, None
    try:
        return scored, _explained(scored, given, model)
    except NotExact:
        detail = "The estimate could not be explained exactly."
        return NotScored(outcome=outcome, reason="not-explained", detail=detail), None


def _no_basis(given: Inputs, outcome: str) -> NotScored | None:
    if not any(_documented(fact) for fact in given.facts.values()):
        # Lists that are empty are known, but a chart that holds nothing but a name and a birthday is no basis.
        return NotScored(
            outcome=outcome,
            reason="too-little-data",
            detail="None of the model's inputs but the patient's own details is on record.",
            missing=tuple(gap.name for gap in given.missing),
        )
    return None


def _documented(fact: Fact) -> bool:
    """Whether something other than the Patient resource stands behind the fact."""
    return any(not reference.startswith("Patient/") for reference in fact.references)


def _explained(scored: RiskScore, given: Inputs, model: Model) -> Explanation:
    """The explanation of a score. Raises NotExact when it does not add up."""
    names = model.schema.names
    return Explanation(
        outcome=scored.outcome,
        base_log_odds=scored.base_log_odds,
        log_odds=scored.log_odds,
        reasons=reasons(attributions(scored, model.schema), given),
        known=sum(name in given.facts for name in names),
        inputs=len(names),
    )


def why_silent(chart: PatientRecord, outcome: str) -> NotScored | None:
    """Consent, and R9 to R12: why the model must not speak for this chart, or None."""
    for applies, reason, detail in (
        (chart.deceased, "deceased", "The patient is recorded as deceased."),
        (chart.age_years is None, "age-unknown", "The age is not known, so no estimate is made."),
        (
            chart.age_years is not None and chart.age_years < 18,
            "under-age",
            "The models were trained on adults; no estimate is made under 18.",
        ),
        (chart.consent is Consent.OPTED_OUT, "opted-out", "The patient has opted out; no estimate is made."),
        (chart.consent is Consent.DENIED, "consent-denied", "A consent on file denies this use; no estimate is made."),
        (
            chart.consent is Consent.UNKNOWN,
            "consent-unknown",
            "Whether the patient allows it could not be read, so no estimate is made.",
        ),
        (bool(chart.lacking), "data-unknown", "Needed parts of the chart could not be read, so no estimate is made."),
        (
            any(entry.may_hide_answer for entry in chart.unreadable),
            "data-unreadable",
            "Chart entries that may hold an answer could not be read; no estimate is made.",
        ),
        (
            any(anomaly.stops_model for anomaly in chart.anomalies),
            "data-anomaly",
            "The chart data contradicts itself; no estimate is made until it is checked.",
        ),
        (
            outcome == SUICIDAL_IDEATION and _item_9_within(chart, PHQ_DAYS, AnswerState.ANSWERED),
            "answered",
            "PHQ-9 item 9 was answered within 14 days; the answer speaks, not the model.",
        ),
        (
            outcome == SUICIDAL_IDEATION and _item_9_within(chart, PHQ_DAYS, AnswerState.UNREADABLE),
            "unreadable",
            "An answer to PHQ-9 item 9 within 14 days could not be read; no estimate stands in for it.",
        ),
        (
            outcome == DEPRESSION and _phq9_within(chart, PHQ_DAYS),
            "answered",
            "A PHQ-9 of the last 14 days answers this already.",
        ),
    ):
        if applies:
            return NotScored(outcome=outcome, reason=reason, detail=detail)
    return None


def _item_9_within(chart: PatientRecord, days: int, state: AnswerState) -> bool:
    """Whether item 9 holds an answer of the last `days` in that state."""
    return any(
        (answer := form.answer("9")) is not None
        and answer.state is state
        and (ago := chart.days_since(form.when)) is not None
        and ago <= days
        for form in chart.of(*NINE_ITEM_PHQ)
    )


def _phq9_within(chart: PatientRecord, days: int) -> bool:
    """A complete PHQ-9, or one with a valid total, at most `days` old."""
    return any(
        (complete(form) or total_of(form) is not None)
        and (ago := chart.days_since(form.when)) is not None
        and ago <= days
        for form in chart.of(*NINE_ITEM_PHQ)
    )


def depression_care(chart: PatientRecord) -> tuple[Fact, ...]:
    """R13: facts that show depression care: antidepressant, mental-health visit within 12 months, active disorder."""
    found = [chart.fact(name) for name in (*ANTIDEPRESSANTS, "mh_visit_yr")]
    return tuple(fact for fact in (*found, chart.depressive_disorder) if fact is not None and fact.value)
