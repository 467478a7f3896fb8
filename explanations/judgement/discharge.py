"""A chart to an assessment at discharge: documented answers, and the steps that follow them (decision 0013).

Same rules and windows as when a chart is opened, but no model: only documented answers and what is on file since. Other
findings are kept only if they may hide an answer (needed data that was not obtained or cannot be read, a blank item 9,
entries set aside because they name another patient), or for answers dated after a death (R10).
"""

from __future__ import annotations

from dataclasses import replace

from explanations.judgement.assessment import Assessment
from explanations.judgement.regions import DEFAULT_REGION, Region
from fhir_adapters.facts import Anomaly, ChartPart, ForeignEntries, PatientRecord
from fhir_adapters.flaws import Flaw
from models.inputs.outcomes import OUTCOMES
from models.rules.discharge import follow_up_steps
from models.rules.findings import SAFETY_TOPICS, Kind, SafetyFinding, Topic
from models.rules.safety_rules import apply_safety_rules
from models.scoring.risk import NotScored, NotScoredReason


def assess_discharge(chart: PatientRecord, region: Region = DEFAULT_REGION) -> Assessment:
    """Findings that bear on discharge, and their follow-up steps; none for a deceased patient (rule R10)."""
    reading = apply_safety_rules(chart)
    findings = tuple(_said_here(finding) for finding in reading.findings if _bears_on_discharge(chart, finding))
    return Assessment(
        chart=chart,
        findings=findings,
        history=reading.history,
        scores=tuple(
            NotScored(outcome=outcome, reason=NotScoredReason.DISCHARGE) for outcome in OUTCOMES if region.models
        ),
        in_care=(),
        steps=follow_up_steps(chart, findings, psychosocial=region.psychosocial),
    )


def _bears_on_discharge(chart: PatientRecord, finding: SafetyFinding) -> bool:
    if finding.kind is Kind.NOT_OBTAINED:
        # Consent silences models only, and none runs here.
        lost = any(unknown.what != ChartPart.CONSENTS for unknown in chart.lacking)
        return lost or any(entry.may_hide_answer for entry in chart.unreadable)
    if finding.anomaly is not None:
        # Another patient's plan or appointment hides no answer; if there is a card, it is a line of it.
        return finding.anomaly.flaw is Flaw.ANSWER_AFTER_DEATH or _may_hide_answers(finding.anomaly)
    return finding.topic in (*SAFETY_TOPICS, Topic.COULD_NOT_ASSESS)


def _said_here(finding: SafetyFinding) -> SafetyFinding:
    """Limits entries that were set aside to those that can hold an answer."""
    if isinstance(finding.anomaly, ForeignEntries) and _may_hide_answers(finding.anomaly):
        return replace(finding, anomaly=replace(finding.anomaly, answers_only=True))
    return finding


def _may_hide_answers(anomaly: Anomaly) -> bool:
    return isinstance(anomaly, ForeignEntries) and anomaly.answers > 0
