"""The notices at discharge: findings with their follow-up steps, and what could not be read (decision 0013).

The first notice appears while any step is not on file since the findings, with the topic and urgency of the most urgent
one. Only rule R3 lowers a finding: when every step is on file, this service is silent; the others are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

from explanations.judgement.assessment import Assessment
from explanations.judgement.next_steps import discharge_steps
from explanations.words.findings.anomalies import anomaly_line
from explanations.words.findings.statements import Statement, statement
from explanations.words.findings.steps import SHORT, is_none, step_lines
from explanations.words.language import Language, later
from explanations.words.lines import Line, LineRole, sourced
from explanations.words.notices.escalations import told_words
from explanations.words.notices.notice import (
    IN_THE_CHART,
    Basis,
    BasisKind,
    Notice,
    NoticeSettings,
    broken_line,
    lines_of,
    rules_of,
)
from explanations.words.notices.notice_list import from_findings, ordered
from explanations.words.notices.safety import anomaly_facts
from explanations.words.notices.summaries import findings_words, sentences, summary
from explanations.words.tables import complete
from fhir_adapters.facts import ForeignEntries
from fhir_adapters.instruments import Instrument
from models.rules.discharge import Step, StepKind
from models.rules.findings import SAFETY_TOPICS, Kind, SafetyFinding, Topic

MOST_ODD = 2
MOST_ADVICE = 3


def discharge_notices(assessment: Assessment, settings: NoticeSettings) -> tuple[Notice, ...]:
    """The notices of an assessment made by `assess_discharge`; empty when there is nothing to say."""
    unordered = []
    topics = [Topic.COULD_NOT_ASSESS]
    if any(step.done is None for step in assessment.steps):
        safety = [finding for finding in assessment.findings if finding.topic in SAFETY_TOPICS]
        unordered.append(_steps_notice(assessment, safety, settings))
    else:
        topics.append(Topic.DATA_ANOMALY)  # else a line of the first notice
    for topic in topics:
        findings = [finding for finding in assessment.findings if finding.topic is topic]
        if findings:
            notice = from_findings(assessment, topic, findings, settings)
            unordered.append(_to_be_checked(notice, findings, settings) if topic is Topic.DATA_ANOMALY else notice)
    return ordered(assessment, unordered, settings)


def _steps_notice(assessment: Assessment, findings: list[SafetyFinding], settings: NoticeSettings) -> Notice:
    """Findings first, then each step, then what to consider. The first finding is the most urgent one."""
    settings = settings.safe
    say = settings.say
    first, statements = findings[0], [statement(finding, settings.zone, say) for finding in findings]
    acute = first.topic is Topic.ACUTE_SAFETY
    due = [step for step in assessment.steps if step.done is None]
    steps = _without(findings, assessment.steps)
    screens, no_screen = _screens(statements, steps)
    return Notice(
        topic=first.topic,
        urgency=first.urgency,
        summary=summary(first.topic, say, _actions(due, say), sentences(findings_words(statements, say), say)),
        heading=say(IN_THE_CHART),
        chart=(
            *lines_of(screens, say),
            *step_lines(
                steps,
                settings.zone,
                say,
                no_screen=no_screen,
                in_part=any(finding.partly_searched for finding in findings),
            ),
            *_doubts(assessment, say),
        ),
        consider=_advice(findings, due, settings.contact if acute else None, acute=acute, say=say),
        consider_heading=say("Before discharge"),
        basis=Basis(
            kind=BasisKind.ACUTE_ANSWERS if acute else BasisKind.ANSWERS,
            rules=rules_of(findings),
            told=told_words(assessment, settings) if acute else "",
        ),
        crisis=True,
        drafts=discharge_steps(assessment.steps, assessment.chart, settings.region),
    )


def _without(findings: list[SafetyFinding], steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps; an entry that is itself the one finding is not named a second time as a step that does not count."""
    itself = findings[0].references if len(findings) == 1 else ()
    return tuple(replace(step, seen=tuple(e for e in step.seen if e.reference not in itself)) for step in steps)


def _screens(statements: list[Statement], steps: Iterable[Step]) -> tuple[list[Statement], bool]:
    """The statements, and whether the steps' own line says that no screen was found, so that the finding need not."""
    first, *others = statements
    later = tuple(line for line in first.later if line.role is not LineRole.NONE_LATER)
    if others or later == first.later or not any(is_none(step) for step in steps):
        return statements, False
    return [replace(first, later=later)], True


def _to_be_checked(notice: Notice, findings: list[SafetyFinding], settings: NoticeSettings) -> Notice:
    """A data anomaly worded for this hook, which never makes an estimate."""
    say = settings.say
    first = statement(findings[0], settings.zone, say)
    others = isinstance(findings[0].anomaly, ForeignEntries)
    action = say("Check whose they are.") if others else say("Check the source.")
    consider = say("Check whose they are") if others else say("Check the source")
    facts = anomaly_facts(findings, [first], say)
    return replace(notice, summary=summary(Topic.DATA_ANOMALY, say, action, facts), consider=(consider,))


def _actions(due: list[Step], say: Language) -> tuple[str, ...]:
    """The steps to check; without their names where there is no room."""
    named = say("Before discharge, check: {steps}.", steps=", ".join(say(SHORT[step.kind]) for step in due))
    return named, say("Check the follow-up steps before discharge.")


def _doubts(assessment: Assessment, say: Language) -> list[Line]:
    """Doubts about the notice: data that is contradictory or another patient's, visits that cannot be read."""
    chart = assessment.chart
    odd = [
        sourced(anomaly_line(anomaly, say), anomaly.references)
        for anomaly in chart.anomalies
        if anomaly.flaw.stops_model
    ]
    left = len(odd) - MOST_ODD
    rest = [Line(text=say("and {count} more to check in the chart data", count=left))] if left > 0 else []
    visits = [broken_line(entry, say) for entry in chart.unreadable if entry.kind == "Encounter"]
    return [*odd[:MOST_ODD], *rest, *visits[:MOST_ODD]]


def _advice(
    findings: list[SafetyFinding], due: list[Step], contact: str | None, *, acute: bool, say: Language
) -> tuple[str, ...]:
    """Three things to consider, the most urgent first, by the findings and the steps that are due.

    An answer that cannot be read: look at the source (R4); one that was declined: ask. A non-acute positive ASQ: the
    brief suicide safety assessment comes before discharge (docs/clinical-sources.md S3); in an acute case the full
    evaluation covers it.
    """
    kinds = {step.kind for step in due}
    to_assess = bool(kinds & {StepKind.RISK_ASSESSMENT, StepKind.PSYCHOSOCIAL})
    screened = [f for f in findings if f.form and f.form.instrument is Instrument.ASQ]
    positive = (Kind.ASQ, Kind.ALL_REFUSED)
    asq = any(f.kind in positive and f.topic is Topic.POSITIVE_SAFETY_ANSWER for f in screened)
    advice: list[Advice] = []
    if acute:
        advice.append(Advice.STAY)
    if contact:
        advice.append(Advice.CALL)
    if any(f.kind in (Kind.UNREADABLE_ANSWER, Kind.UNHEARD) for f in findings):
        advice.append(Advice.LOOK)
    elif any(f.kind is Kind.DECLINED_ANSWER for f in findings):
        advice.append(Advice.ASK)
    if asq and not acute:
        advice.append(Advice.BRIEF_ASSESSMENT if to_assess else Advice.BRIEF_IF_NOT_DONE)
    elif not acute:
        advice.append(Advice.ASSESS if to_assess else Advice.REVIEW_ASSESSMENT)
    advice.append(Advice.MAKE_PLAN if StepKind.SAFETY_PLAN in kinds else Advice.REVIEW_PLAN)
    advice.append(Advice.AGREE_CONTACT if StepKind.APPOINTMENT in kinds else Advice.CONFIRM_APPOINTMENT)
    first, rest = advice[: MOST_ADVICE - 1], advice[MOST_ADVICE - 1 :]
    lines = [say(ADVICE[item], contact=contact) for item in (*first, rest[0])]
    return (*lines[:-1], "; ".join([lines[-1], *(say(JOINED[item]) for item in rest[1:])]))


class Advice(StrEnum):
    """What can be considered before discharge."""

    STAY = "stay"
    CALL = "call"
    LOOK = "look"
    ASK = "ask"
    BRIEF_ASSESSMENT = "brief-assessment"
    BRIEF_IF_NOT_DONE = "brief-if-not-done"
    ASSESS = "assess"
    REVIEW_ASSESSMENT = "review-assessment"
    MAKE_PLAN = "make-plan"
    REVIEW_PLAN = "review-plan"
    AGREE_CONTACT = "agree-contact"
    CONFIRM_APPOINTMENT = "confirm-appointment"


ADVICE = complete(
    {
        Advice.STAY: later("Stay with the patient; full safety evaluation"),
        Advice.CALL: later("{contact} (set by this site)"),
        Advice.LOOK: later("Look at the source and ask directly"),
        Advice.ASK: later("Ask directly"),
        Advice.BRIEF_ASSESSMENT: later("Brief suicide safety assessment"),
        Advice.BRIEF_IF_NOT_DONE: later("Brief suicide safety assessment, if not done"),
        Advice.ASSESS: later("Clinical assessment; no single instrument decides"),
        Advice.REVIEW_ASSESSMENT: later("Review the assessment on file with the patient"),
        Advice.MAKE_PLAN: later("Make a safety plan; discuss access to means"),
        Advice.REVIEW_PLAN: later("Review the safety plan on file; discuss access to means"),
        Advice.AGREE_CONTACT: later("Agree on a contact within 7 days"),
        Advice.CONFIRM_APPOINTMENT: later("Confirm the appointment on file and a contact within 7 days"),
    },
    Advice,
)
# The wording of advice that is joined to the previous line by a semicolon.
JOINED = {
    Advice.MAKE_PLAN: later("make a safety plan; discuss access to means"),
    Advice.REVIEW_PLAN: later("review the safety plan on file; discuss access to means"),
    Advice.AGREE_CONTACT: later("agree on follow-up contact within 7 days"),
    Advice.CONFIRM_APPOINTMENT: later("confirm the appointment on file and a contact within 7 days"),
}
