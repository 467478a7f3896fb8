"""The cards at discharge: one with the findings and the steps after them, and what could not be read (decision 0013).

The card comes while at least one step is not on file since the findings; it takes the topic and the indicator of the
most urgent one. Rule R3 alone lowers a finding: when every step is on file this service is silent, the others are not.
"""

from __future__ import annotations

from collections.abc import Callable

from cds_service.card_topics import MOST_SUMMARY, CardSettings, Draft, fit, from_findings, lines_of, more, rules_of
from cds_service.cards import presented
from cds_service.wire import Card
from explanations.assessment import Assessment
from explanations.phrasebook import Phrasebook, code, dated, references
from explanations.statements import Statement, statement
from explanations.step_words import SHORT, step_lines
from models.discharge import Step, StepKind
from models.safety_rules import SAFETY_TOPICS, SafetyFinding, Topic

MOST_ODD = 2
LIMITS = "Care given elsewhere, notes and documents are not read."


def discharge_cards(
    assessment: Assessment,
    settings: CardSettings,
    _phrases: Phrasebook,
    *,
    new_id: Callable[[], str],
    user: str | None = None,
) -> list[Card]:
    """The cards of an assessment made by `assess_discharge`; empty when there is nothing to say."""
    drafts = []
    topics = [Topic.COULD_NOT_ASSESS]
    if any(step.done is None for step in assessment.steps):
        safety = [finding for finding in assessment.findings if finding.topic in SAFETY_TOPICS]
        drafts.append(_steps_draft(assessment, safety, settings))
    else:
        topics.append(Topic.DATA_ANOMALY)  # a line of the card where there is one
    for topic in topics:
        found = [finding for finding in assessment.findings if finding.topic is topic]
        drafts += [from_findings(assessment, topic, found, settings)] if found else []
    return presented(assessment, drafts, settings, new_id=new_id, user=user)


def _steps_draft(assessment: Assessment, findings: list[SafetyFinding], settings: CardSettings) -> Draft:
    """Findings first, then each step, then what to consider. The first finding is the most urgent one."""
    first, said = findings[0], [statement(finding, settings.zone) for finding in findings]
    acute = first.topic is Topic.ACUTE_SAFETY
    due = [step for step in assessment.steps if step.done is None]
    rules = rules_of(findings)
    return Draft(
        topic=first.topic,
        urgency=first.urgency,
        summary=_summary(first, said[0], due, len(findings)),
        chart=(*lines_of(said), *step_lines(assessment.steps, settings.zone), *_doubts(assessment)),
        consider=_advice(due, settings.contact if acute else None, acute=acute),
        consider_heading="Consider before discharge",
        basis=f"Restates answers in the chart (rule {rules}) and what is on file since; no model was used. "
        f"{LIMITS} {'Nobody has been notified: this is not' if acute else 'Not'} a monitoring service.",
        crisis=True,
        steps=assessment.steps,
    )


def _summary(finding: SafetyFinding, said: Statement, due: list[Step], count: int) -> str:
    """What was found and when, then which steps to check. What was found is cut rather than its date."""
    date = f", {dated(finding.when)}."
    action = f"Before discharge, check: {', '.join(SHORT[step.kind] for step in due)}."
    if len(said.what) + len(date) + 1 + len(action) > MOST_SUMMARY:
        action = "Check the follow-up steps before discharge."
    room = MOST_SUMMARY - len(date) - 1 - len(action)
    what = said.what if len(said.what) <= room else f"{said.what[: room - 1].rstrip(' ,;.:')}…"
    return fit(action, f"{what}, {said.when}{more(count)}.", f"{what}{date[:-1]}{more(count)}.", f"{what}{date}")


def _doubts(assessment: Assessment) -> list[str]:
    """What casts doubt on the card: data that contradicts itself or is another's, visits that cannot be read."""
    record = assessment.record
    odd = [f"{a.text} {references(a.references)}".strip() for a in record.anomalies if a.stops_model]
    rest = [f"and {len(odd) - MOST_ODD} more to check in the chart data"] if len(odd) > MOST_ODD else []
    visits = [f"{code(u.reference)} could not be read: {u.reason}" for u in record.unreadable if u.kind == "Encounter"]
    return [*odd[:MOST_ODD], *rest, *visits[:MOST_ODD]]


def _advice(due: list[Step], contact: str | None, *, acute: bool) -> tuple[str, ...]:
    """Three things to consider, worded by which steps are due; in an acute case with the site's contact."""
    kinds = {step.kind for step in due}
    assess = "Clinical assessment with the patient; one instrument alone does not decide"
    if acute:
        assess = "Stay with the patient; full safety evaluation before the patient leaves"
    elif StepKind.RISK_ASSESSMENT not in kinds:
        assess = "Go through the assessment on file with the patient"
    plan = "Make the safety plan together" if StepKind.SAFETY_PLAN in kinds else "Go through the safety plan on file"
    plan = f"{plan}; talk about access to means"
    follow_up = "Agree a follow-up contact within 7 days, and who makes it"
    if StepKind.APPOINTMENT not in kinds:
        follow_up = "Make sure of the appointment on file, and of a contact within 7 days"
    if contact:
        return assess, f"{plan}; agree a follow-up contact within 7 days", f"{contact} (set by this site)"
    return assess, plan, follow_up
