"""A chart to an assessment: rules first, then estimates, then the reasons for each estimate.

Rules never wait for a model, and a model failure becomes `NotScored`; it cannot silence a finding. One list here
decides when a model stays silent (rules R9 to R13).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from explanations.errors import NotExact
from explanations.judgement.control import MaySpeak, speaks
from explanations.judgement.escalation import Escalation
from explanations.judgement.rationale import Explanation, reasons
from explanations.judgement.regions import DEFAULT_REGION, Region
from fhir_adapters.facts import Administration, AnswerState, ChartPart, Consent, Fact, PatientRecord
from fhir_adapters.reading.questionnaires.totals import is_complete, total_of
from models.errors import ModelError
from models.inputs.feature_schema import ANTIDEPRESSANTS, FEATURES, FeatureSpec, FeatureVector
from models.inputs.features import PHQ_DAYS, Inputs, MissingInput, inputs
from models.inputs.outcomes import OUTCOME_SPECS, OUTCOMES, SilencingAnswer
from models.rules.discharge import Step
from models.rules.findings import Kind, SafetyFinding
from models.rules.safety_rules import apply_safety_rules
from models.rules.timing import RECENT_DAYS, is_within
from models.scoring.registry import Model
from models.scoring.risk import BandThresholds, NotScored, NotScoredReason, RiskBand, RiskScore
from models.scoring.score import score

MEASURE_AGAIN_DAYS = 120
ADULT_YEARS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFailure:
    """A model that could not be loaded, and why. version: the one that a site keeps; None: the newest."""

    outcome: str
    version: str | None = None
    reason: str

    @property
    def name(self) -> str:
        """Outcome and version, for operators."""
        return f"{self.outcome} {self.version}" if self.version else self.outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The models of this process, of an outcome older versions first, and those that could not be loaded."""

    models: tuple[Model, ...] = ()
    failures: tuple[ModelFailure, ...] = ()

    def of(self, kept: Mapping[str, str]) -> Engine:
        """The models of a site that keeps these versions, by outcome, and otherwise has the newest."""
        chosen: dict[str, Model] = {}
        lost = {failure.outcome for failure in self.failures if failure.version is None}
        for model in self.models:
            newest = model.outcome not in kept and model.outcome not in lost
            if newest or model.version == kept.get(model.outcome):
                chosen[model.outcome] = model
        return replace(self, models=tuple(chosen.values()))

    @property
    def features(self) -> tuple[FeatureSpec, ...]:
        """The inputs that some model takes, in the order of FEATURES; without a model, all."""
        return _taken(tuple(model.schema.names for model in self.models))


@cache
def _taken(names: tuple[tuple[str, ...], ...]) -> tuple[FeatureSpec, ...]:
    return tuple(spec for spec in FEATURES if any(spec.name in own for own in names)) or FEATURES


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Everything concluded about one chart. `in_care` holds the facts that show depression care (R13).

    `asked`: names of the inputs that the models take; `missing`: those without a usable value.
    `steps`: follow-up of findings, at discharge and in the app; empty at other hooks. `unspoken`: scores of models that
    may not speak, for the record alone; `scores` has the reason in their place. `escalation`: who has been told of its
    acute findings; None: nobody is.
    """

    chart: PatientRecord
    findings: tuple[SafetyFinding, ...]
    history: tuple[SafetyFinding, ...]
    scores: tuple[RiskScore | NotScored, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    asked: tuple[str, ...] = ()
    missing: tuple[MissingInput, ...] = ()
    in_care: tuple[Fact, ...]
    steps: tuple[Step, ...] = ()
    unspoken: tuple[RiskScore, ...] = ()
    escalation: Escalation | None = None

    def above(self) -> tuple[RiskScore, ...]:
        """Scores at or above their threshold."""
        return tuple(s for s in self.scores if isinstance(s, RiskScore) and s.band is RiskBand.AT_OR_ABOVE_THRESHOLD)

    def prompting(self) -> tuple[RiskScore, ...]:
        """Scores that call for a screening prompt: above threshold, except those measured again in care (R13)."""
        return tuple(s for s in self.above() if not (self.in_care and OUTCOME_SPECS[s.outcome].measured_in_care))

    def measure_again(self) -> bool:
        """In care, above the threshold of an outcome measured in care, its instrument not on file for 120 days."""
        return bool(self.due_again())

    def due_again(self) -> tuple[RiskScore, ...]:
        """The scores behind `measure_again`."""
        return tuple(s for s in self.above() if self.in_care and _is_due(self.chart, s.outcome))


def assess(
    chart: PatientRecord,
    engine: Engine,
    thresholds: BandThresholds = BandThresholds(),
    *,
    out_of_time: bool = False,
    may_speak: MaySpeak = speaks,
    region: Region = DEFAULT_REGION,
) -> Assessment:
    """Findings, then scores, then reasons. `out_of_time`: skip the models; the rules still run, whoever may speak.

    Where the region has no models none is asked, and there is not even the reason why there is no score (R15); nor
    anything about a consent that could not be read, since consent silences models only.
    """
    reading = apply_safety_rules(chart)
    if not region.models:
        needless = [u.what for u in chart.lacking] == [ChartPart.CONSENTS] and not chart.unreadable
        findings = (f for f in reading.findings if not (needless and f.kind is Kind.NOT_OBTAINED))
        return Assessment(
            chart=chart,
            findings=region.urged(findings),
            history=reading.history,
            in_care=() if chart.deceased else depression_care(chart),
        )
    features = engine.features
    model_inputs = inputs(chart, features)
    asked = None if out_of_time else engine
    estimates = [_estimate(chart, model_inputs, asked, thresholds, outcome, may_speak) for outcome in OUTCOMES]
    return Assessment(
        chart=chart,
        findings=region.urged(reading.findings),
        history=reading.history,
        scores=tuple(scored for scored, _ in estimates),
        explanations=tuple(behind for _, behind in estimates if isinstance(behind, Explanation)),
        unspoken=tuple(behind for _, behind in estimates if isinstance(behind, RiskScore)),
        asked=tuple(spec.name for spec in features),
        missing=model_inputs.missing,
        in_care=() if chart.deceased else depression_care(chart),
    )


def _estimate(
    chart: PatientRecord,
    model_inputs: Inputs,
    engine: Engine | None,
    thresholds: BandThresholds,
    outcome: str,
    may_speak: MaySpeak,
) -> tuple[RiskScore | NotScored, Explanation | RiskScore | None]:
    """A score with its explanation, or why there is none, with the score that is not spoken.

    A score that cannot be explained exactly is not shown.
    """
    reason = silencing_reason(chart, outcome)
    if reason:
        return NotScored(outcome=outcome, reason=reason), None
    if not any(_documented(fact) for fact in model_inputs.facts.values()):
        # Empty lists are known values, but a chart with only a name and a birthday is no basis for an estimate.
        missing = tuple(gap.name for gap in model_inputs.missing)
        return NotScored(outcome=outcome, reason=NotScoredReason.TOO_LITTLE_DATA, missing=missing), None
    if engine is None:
        return NotScored(outcome=outcome, reason=NotScoredReason.OUT_OF_TIME), None
    model = next((m for m in engine.models if m.outcome == outcome), None)
    if model is None:
        return NotScored(outcome=outcome, reason=NotScoredReason.MODEL_UNAVAILABLE), None
    permission = may_speak(model)
    if permission.why_not is not None:
        behind = _unspoken(model, model_inputs, thresholds) if permission.asked else None
        return NotScored(outcome=outcome, reason=permission.why_not), behind
    try:
        vector = model_inputs.vector(model.schema)
        scored = score(model, vector, thresholds.threshold_for(model))
        return scored, None if isinstance(scored, NotScored) else _explained(scored, model_inputs, model, vector)
    except ModelError:
        return NotScored(outcome=outcome, reason=NotScoredReason.MODEL_FAILED), None
    except NotExact:
        return NotScored(outcome=outcome, reason=NotScoredReason.NOT_EXPLAINED), None


def _unspoken(model: Model, model_inputs: Inputs, thresholds: BandThresholds) -> RiskScore | None:
    """A score for the record alone; None where there is none, for whatever reason."""
    try:
        scored = score(model, model_inputs.vector(model.schema), thresholds.threshold_for(model))
    except ModelError:
        return None
    return scored if isinstance(scored, RiskScore) else None


def _documented(fact: Fact) -> bool:
    """Whether the fact has a source other than the Patient resource."""
    return any(not reference.startswith("Patient/") for reference in fact.references)


def _explained(scored: RiskScore, model_inputs: Inputs, model: Model, vector: FeatureVector) -> Explanation:
    """The explanation of a score. Raises NotExact when it does not add up."""
    names = model.schema.names
    return Explanation(
        outcome=scored.outcome,
        base_log_odds=scored.base_log_odds,
        log_odds=scored.log_odds,
        reasons=reasons(scored, names, model_inputs.facts),
        known=len(model_inputs.facts.keys() & names),
        inputs=len(names),
        names=names,
        values=vector.values,
    )


def silencing_reason(chart: PatientRecord, outcome: str) -> NotScoredReason | None:
    """Why no estimate may be made for this chart (consent, R9 to R12), or None."""
    for applies, reason in (
        (chart.deceased, NotScoredReason.DECEASED),
        (chart.age_years is None, NotScoredReason.AGE_UNKNOWN),
        (chart.age_years is not None and chart.age_years < ADULT_YEARS, NotScoredReason.UNDER_AGE),
        (chart.consent is Consent.OPTED_OUT, NotScoredReason.OPTED_OUT),
        (chart.consent is Consent.DENIED, NotScoredReason.CONSENT_DENIED),
        (chart.consent is Consent.UNKNOWN, NotScoredReason.CONSENT_UNKNOWN),
        (bool(chart.lacking), NotScoredReason.DATA_UNKNOWN),
        (any(entry.may_hide_answer for entry in chart.unreadable), NotScoredReason.DATA_UNREADABLE),
        (any(is_within(chart, entry.when, RECENT_DAYS) for entry in chart.unheard), NotScoredReason.DATA_UNREADABLE),
        (any(anomaly.flaw.stops_model for anomaly in chart.anomalies), NotScoredReason.DATA_ANOMALY),
    ):
        if applies:
            return reason
    silencing = next((a for a in OUTCOME_SPECS[outcome].silenced_by if _is_on_file(chart, a, PHQ_DAYS)), None)
    if silencing is not None:
        unreadable = silencing.state is AnswerState.UNREADABLE
        return NotScoredReason.UNREADABLE if unreadable else NotScoredReason.ANSWERED
    if chart.fact("female") is None:
        return NotScoredReason.SEX_NOT_MODELLED if chart.fact("other_gender") else NotScoredReason.SEX_UNKNOWN
    return None


def _is_due(chart: PatientRecord, outcome: str) -> bool:
    """R13: whether an outcome that is measured in care has not been measured for 120 days."""
    spec = OUTCOME_SPECS[outcome]
    return spec.measured_in_care and not any(_is_on_file(chart, a, MEASURE_AGAIN_DAYS) for a in spec.silenced_by)


def _is_on_file(chart: PatientRecord, silencing: SilencingAnswer, days: int) -> bool:
    """Whether a dated answer of this kind, at most `days` old, is on file."""
    return any(
        _holds(form, silencing) and (ago := chart.days_since(form.when)) is not None and ago <= days
        for form in chart.of(*silencing.instruments)
    )


def _holds(form: Administration, silencing: SilencingAnswer) -> bool:
    if silencing.item is None:
        return is_complete(form) or total_of(form) is not None
    answer = form.answer(silencing.item)
    return answer is not None and answer.state is silencing.state


def depression_care(chart: PatientRecord) -> tuple[Fact, ...]:
    """R13: evidence of depression care: antidepressant, mental-health visit within 12 months, active disorder."""
    signs = [chart.fact(name) for name in (*ANTIDEPRESSANTS, "mh_visit_yr")]
    return tuple(fact for fact in (*signs, chart.depressive_disorder) if fact is not None and fact.value)
