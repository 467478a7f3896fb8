"""A chart to an assessment at discharge: documented answers, and the steps that follow them (decision 0013).

Same rules, same windows as when a chart is opened. No model is asked: what is said here is what a person answered and
what is on file since. Of the other findings only those stay that may hide an answer: needed data that was not
obtained or cannot be read, a blank item 9, entries put aside because they name somebody else; and answers dated after
a death (R10).
"""

from __future__ import annotations

from dataclasses import replace

from explanations.judgement.assessment import Assessment
from fhir_adapters.facts import Anomaly, ChartPart, ForeignEntries, PatientRecord
from fhir_adapters.flaws import Flaw
from models.inputs.outcomes import OUTCOMES
from models.rules.discharge import follow_up_steps
from models.rules.findings import SAFETY_TOPICS, Kind, SafetyFinding, Topic
from models.rules.safety_rules import apply_safety_rules
from models.scoring.risk import NotScored, NotScoredReason


def assess_discharge(chart: PatientRecord) -> Assessment:
    """Findings that bear on discharge, and the steps after them. A deceased patient has no steps (rule R10)."""
    reading = apply_safety_rules(chart)
    findings = tuple(_said_here(finding) for finding in reading.findings if _bears_on_discharge(chart, finding))
    return Assessment(
        chart=chart,
        findings=findings,
        history=reading.history,
        scores=tuple(NotScored(outcome=outcome, reason=NotScoredReason.DISCHARGE) for outcome in OUTCOMES),
        explanations=(),
        missing=(),
        in_care=(),
        measure_again=False,
        steps=follow_up_steps(chart, findings),
    )


def _bears_on_discharge(chart: PatientRecord, finding: SafetyFinding) -> bool:
    if finding.kind is Kind.NOT_OBTAINED:
        # Consent silences models alone, and none is asked here.
        lost = any(unknown.what != ChartPart.CONSENTS for unknown in chart.lacking)
        return lost or any(entry.may_hide_answer for entry in chart.unreadable)
    if finding.anomaly is not None:
        # Another's plan or appointment hides no answer, and is a line of the card where there is one.
        return finding.anomaly.flaw is Flaw.ANSWER_AFTER_DEATH or _may_hide_answers(finding.anomaly)
    return finding.topic in (*SAFETY_TOPICS, Topic.COULD_NOT_ASSESS)


def _said_here(finding: SafetyFinding) -> SafetyFinding:
    """Entries that were put aside are said without those that can hold no answer."""
    if isinstance(finding.anomaly, ForeignEntries) and _may_hide_answers(finding.anomaly):
        return replace(finding, anomaly=replace(finding.anomaly, answers_only=True))
    return finding


def _may_hide_answers(anomaly: Anomaly) -> bool:
    return isinstance(anomaly, ForeignEntries) and anomaly.answers > 0
