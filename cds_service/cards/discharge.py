"""The cards at discharge: one with the findings and the steps after them, and what could not be read (decision 0013).

The card comes while at least one step is not on file since the findings; it takes the topic and the indicator of the
most urgent one. Rule R3 alone lowers a finding: when every step is on file this service is silent, the others are not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cds_service.cards.chart_opened import presented
from cds_service.cards.wire import Card
from explanations.judgement.assessment import Assessment
from explanations.words.language import Language, language
from explanations.words.notice_list import ordered
from explanations.words.notices import (
    MOST_SUMMARY,
    Notice,
    NoticeSettings,
    fit,
    from_findings,
    lines_of,
    more,
    rules_of,
)
from explanations.words.phrasebook import code, dated, references
from explanations.words.statements import Statement, statement
from explanations.words.steps import SHORT, step_lines
from fhir_adapters.facts import Instrument, PatientRecord
from models.rules.discharge import CONTACT_DAYS, Step, StepKind
from models.rules.findings import SAFETY_TOPICS, Kind, SafetyFinding, Topic

MOST_ODD = 2
MOST_ADVICE = 3
LIMITS = "Care given elsewhere, notes and documents are not read."


def discharge_cards(
    assessment: Assessment,
    settings: NoticeSettings,
    _say: Language,
    *,
    new_id: Callable[[], str],
    user: str | None = None,
) -> list[Card]:
    """The cards of an assessment made by `assess_discharge`; empty when there is nothing to say."""
    said = []
    topics = [Topic.COULD_NOT_ASSESS]
    if any(step.done is None for step in assessment.steps):
        safety = [finding for finding in assessment.findings if finding.topic in SAFETY_TOPICS]
        said.append(_steps_notice(assessment, safety, settings))
    else:
        topics.append(Topic.DATA_ANOMALY)  # a line of the card where there is one
    for topic in topics:
        found = [finding for finding in assessment.findings if finding.topic is topic]
        if found:
            notice = from_findings(assessment, topic, found, settings)
            said.append(_checked_at_source(notice, found, settings) if topic is Topic.DATA_ANOMALY else notice)
    return presented(assessment, ordered(assessment, said, settings), settings, new_id=new_id, user=user)


def _steps_notice(assessment: Assessment, findings: list[SafetyFinding], settings: NoticeSettings) -> Notice:
    """Findings first, then each step, then what to consider. The first finding is the most urgent one."""
    first, said = findings[0], [statement(finding, settings.zone, settings.say) for finding in findings]
    acute = first.topic is Topic.ACUTE_SAFETY
    due = [step for step in assessment.steps if step.done is None]
    rules = rules_of(findings)
    return Notice(
        topic=first.topic,
        urgency=first.urgency,
        summary=_summary(first, said[0], due, len(findings)),
        chart=(
            *lines_of(said),
            *(line.text for line in step_lines(assessment.steps, settings.zone, settings.say)),
            *_doubts(assessment),
        ),
        consider=_advice(findings, due, settings.contact if acute else None, acute=acute),
        consider_heading="Consider before discharge",
        basis=f"Restates answers in the chart (rule {rules}) and what is on file since; no model was used. "
        f"{LIMITS} {'Nobody has been notified: this is not' if acute else 'Not'} a monitoring service.",
        crisis=True,
        steps=_for_buttons(assessment.chart, assessment.steps),
    )


def _for_buttons(chart: PatientRecord, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps as the drafts see them: an appointment more than seven days ahead leaves the contact to be agreed."""
    return tuple(
        replace(step, done=None)
        if step.kind is StepKind.APPOINTMENT
        and step.done
        and step.done.when
        and (step.done.when.day - chart.today).days > CONTACT_DAYS
        else step
        for step in steps
    )


def _checked_at_source(notice: Notice, findings: list[SafetyFinding], settings: NoticeSettings) -> Notice:
    """A data anomaly in the words of this hook, at which no estimate is ever made."""
    said = statement(findings[0], settings.zone, settings.say)
    others = findings[0].anomaly is not None and findings[0].anomaly.of_answers is not None
    action = "Check whose they are" if others else "Check the source"
    on = f" ({said.when})" if findings[0].when else ""
    summary = fit(f"{action}.", f"{said.what}{on}{more(len(findings))}.", f"{said.what}{on}.")
    return replace(notice, summary=summary, consider=(action,))


def _summary(finding: SafetyFinding, said: Statement, due: list[Step], count: int) -> str:
    """What was found and when, then which steps to check. What was found is cut rather than its date."""
    date = f", {dated(finding.when)}."
    action = f"Before discharge, check: {', '.join(language()(SHORT[step.kind]) for step in due)}."
    if len(said.what) + len(date) + 1 + len(action) > MOST_SUMMARY:
        action = "Check the follow-up steps before discharge."
    room = MOST_SUMMARY - len(date) - 1 - len(action)
    what = said.what if len(said.what) <= room else f"{said.what[: room - 1].rstrip(' ,;.:')}…"
    return fit(action, f"{what}, {said.when}{more(count)}.", f"{what}{date[:-1]}{more(count)}.", f"{what}{date}")


def _doubts(assessment: Assessment) -> list[str]:
    """What casts doubt on the card: data that contradicts itself or is another's, visits that cannot be read."""
    chart = assessment.chart
    odd = [f"{a.text} {references(a.references)}".strip() for a in chart.anomalies if a.stops_model]
    rest = [f"and {len(odd) - MOST_ODD} more to check in the chart data"] if len(odd) > MOST_ODD else []
    visits = [f"{code(u.reference)} could not be read: {u.reason}" for u in chart.unreadable if u.kind == "Encounter"]
    return [*odd[:MOST_ODD], *rest, *visits[:MOST_ODD]]


def _advice(findings: list[SafetyFinding], due: list[Step], contact: str | None, *, acute: bool) -> tuple[str, ...]:
    """Three things to consider, the most urgent first, worded by what was found and which steps are due.

    An answer that cannot be read: look at the source (R4). A non-acute positive ASQ: the brief suicide safety
    assessment comes before discharge (docs/clinical-sources.md S3); in an acute case the full evaluation is more.
    """
    kinds = {step.kind for step in due}
    to_assess = StepKind.RISK_ASSESSMENT in kinds
    screened = [f for f in findings if f.form and f.form.instrument is Instrument.ASQ]
    positive = (Kind.ASQ, Kind.ALL_REFUSED)
    asq = any(f.kind in positive and f.topic is Topic.POSITIVE_SAFETY_ANSWER for f in screened)
    unreadable = any(f.kind is Kind.UNREADABLE_ANSWER for f in findings)
    urgent = [f"{contact} (set by this site)"] if contact else []
    if acute:
        urgent.insert(0, "Stay with the patient; full safety evaluation before the patient leaves")
    if unreadable:
        urgent.append("Look at the source and ask directly")
    if asq and not acute:
        urgent.append(f"Brief suicide safety assessment before discharge{'' if to_assess else ', if not done'}")
    elif not acute:
        urgent.append(
            "Clinical assessment with the patient; one instrument alone does not decide"
            if to_assess
            else "Go through the assessment on file with the patient"
        )
    plan = "Make the safety plan together" if StepKind.SAFETY_PLAN in kinds else "Go through the safety plan on file"
    follow_up = "Agree a follow-up contact within 7 days, and who makes it"
    if StepKind.APPOINTMENT not in kinds:
        follow_up = "Make sure of the appointment on file, and of a contact within 7 days"
    listed = [*urgent, f"{plan}; talk about access to means", follow_up]
    first, rest = listed[: MOST_ADVICE - 1], listed[MOST_ADVICE - 1 :]
    return *first, "; ".join([rest[0], *(line[0].lower() + line[1:] for line in rest[1:])])
