"""An assessment as JSON, as `mhcds assess --format json` prints it.

One object: facts by feature name, findings, scores, reasons, missing inputs, anomalies. Dates are as recorded; no text
is meant for clinicians.
"""

from __future__ import annotations

from typing import Any

from explanations.judgement.assessment import Assessment
from explanations.judgement.regions import Region
from explanations.words.estimates.inputs import reason_line
from explanations.words.estimates.not_scored import not_scored_words
from explanations.words.findings.anomalies import anomaly_words
from explanations.words.findings.gaps import gap_words
from explanations.words.findings.statements import headline
from explanations.words.language import Language, capitalised, language
from explanations.words.notices.topics import INDICATORS
from explanations.words.regional import regional
from fhir_adapters.facts import Anomaly, Fact, When
from models.inputs.features import facts_by_feature
from models.rules.findings import SafetyFinding
from models.scoring.risk import NotScored, RiskScore


def report(name: str, assessment: Assessment, region: Region) -> dict[str, Any]:
    """The whole assessment of the input `name` as plain JSON values, in English as the region uses it."""
    say = regional(language(), region)
    chart = assessment.chart
    return {
        "input": name,
        "patient": chart.patient_id,
        "as_of": chart.as_of.isoformat(),
        "facts": {name: _fact(fact) for name, fact in facts_by_feature(chart).items()},
        "findings": [_finding(finding, say) for finding in assessment.findings],
        "history": [_finding(finding, say) for finding in assessment.history],
        "scores": [_score(score) for score in assessment.scores],
        "reasons": _reasons(assessment),
        "missing": _missing(assessment),
        "anomalies": [_anomaly(a, say) for a in chart.anomalies]
        + [
            {
                "kind": "unit-missing",
                "text": f"{f.name}: the source gives no unit; read as {f.unit} and used for nothing else.",
                "references": list(f.references),
                "effective": _text(f.when),
            }
            for f in chart.facts
            if f.unit_assumed
        ],
    }


def _fact(fact: Fact) -> dict[str, Any]:
    return {"value": fact.value, "unit": fact.unit, "effective": _text(fact.when), "reference": list(fact.references)}


def _anomaly(anomaly: Anomaly, say: Language) -> dict[str, Any]:
    return {
        "kind": anomaly.flaw.kind,
        "text": anomaly_words(anomaly, say),
        "references": list(anomaly.references),
        "effective": _text(anomaly.when),
    }


def _text(when: When | None) -> str | None:
    return when.text if when else None


def _finding(finding: SafetyFinding, say: Language) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "kind": finding.kind.value,
        "topic": finding.topic.value,
        "indicator": INDICATORS[finding.urgency],
        "text": capitalised(headline(finding, say)),
        "effective": _text(finding.when),
        "days": finding.days,
        "references": list(finding.references),
        "later": [
            {"what": late.what, "effective": late.when.text, "reference": late.reference, "downgrades": late.downgrades}
            for late in finding.later
        ],
        **({"later_more": finding.more_later} if finding.more_later else {}),
    }


def _score(score: RiskScore | NotScored) -> dict[str, Any]:
    if isinstance(score, NotScored):
        return {
            "outcome": score.outcome,
            "scored": False,
            "reason": score.reason,
            "detail": not_scored_words(score, language()),
            "missing": list(score.missing),
            "outside": list(score.outside),
        }
    return {
        "outcome": score.outcome,
        "scored": True,
        "probability": score.probability,
        "interval": [score.low, score.high],
        "log_odds": score.log_odds,
        "base_log_odds": score.base_log_odds,
        "threshold": score.threshold,
        "band": score.band.value,
        "model_version": score.model_version,
        "schema": score.schema_id,
    }


def _reasons(assessment: Assessment) -> list[dict[str, Any]]:
    """Every reason per outcome; with the score's base_log_odds they sum to its log_odds within 1e-5."""
    return [
        {
            "outcome": explanation.outcome,
            "concept": reason.concept,
            "log_odds": reason.log_odds,
            "text": reason_line([reason], language()) if reason.documented else None,
            "inputs": [{"name": fact.name, **_fact(fact)} for fact in reason.facts],
            "missing": list(reason.missing),
        }
        for explanation in assessment.explanations
        for reason in explanation.reasons
    ]


def _missing(assessment: Assessment) -> list[dict[str, Any]]:
    unknown = {u.what: gap_words(u.reason, language()) for u in assessment.chart.unknown}
    inputs: list[dict[str, Any]] = [{"input": gap.name, "reason": gap.reason} for gap in assessment.missing]
    return (
        inputs
        + [{"part": what, "reason": reason} for what, reason in unknown.items()]
        + [{"reference": u.reference, "reason": gap_words(u.reason, language())} for u in assessment.chart.unreadable]
    )
