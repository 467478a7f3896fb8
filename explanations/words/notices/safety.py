"""The notices of documented safety answers, coded events and data anomalies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from explanations.judgement.assessment import Assessment
from explanations.words.findings.statements import Statement
from explanations.words.language import Language, later
from explanations.words.notices.escalations import told_words
from explanations.words.notices.notice import (
    CONSIDER_NOW,
    CONSIDER_TODAY,
    IN_THE_CHART,
    Basis,
    BasisKind,
    Notice,
    NoticeSettings,
    contact_words,
    lines_of,
    rules_of,
)
from explanations.words.notices.summaries import counted_words, findings_words, moment_words, sentences, summary
from explanations.words.tables import complete
from models.rules.findings import Kind, SafetyFinding, Topic
from models.rules.supersession import LaterKind

Facts = tuple[str, ...]


def safety_notice(
    assessment: Assessment,
    findings: list[SafetyFinding],
    statements: list[Statement],
    settings: NoticeSettings,
    consider: tuple[str, ...],
) -> Notice:
    """A safety topic: documented answers and codes, later entries, and what to consider.

    Earlier answers beside current ones are marked as such.
    """
    say, topic = settings.say, findings[0].topic
    pairs = zip(findings, statements, strict=True)
    listed = [said if finding.topic is topic else earlier(said, say) for finding, said in pairs]
    acute = topic is Topic.ACUTE_SAFETY
    if topic is Topic.POSITIVE_SAFETY_ANSWER and any(f.kind is Kind.ASQ for f in findings):
        first = say("Brief suicide safety assessment before the patient leaves")
        consider = (first, *consider[1:])
    if acute and settings.contact:
        consider = (*consider, contact_words(settings.contact, say))
    action, facts = SUMMARIES[topic](findings[0], findings_words(statements, say), say)
    return Notice(
        topic=topic,
        urgency=max(f.urgency for f in findings),
        summary=summary(topic, say, action, sentences(facts, say)),
        heading=say(IN_THE_CHART),
        chart=lines_of(listed, say),
        consider=consider,
        consider_heading=say(CONSIDER_NOW if acute else CONSIDER_TODAY),
        basis=Basis(
            kind=BasisKind.ACUTE_ANSWERS if acute else BasisKind.ANSWERS,
            rules=rules_of(findings),
            told=told_words(assessment, settings) if acute else "",
        ),
        crisis=True,
    )


def earlier(statement: Statement, say: Language) -> Statement:
    """A finding marked as earlier than those of its notice."""
    first, *others = statement.lines
    marked = replace(first, text=say("Earlier: {finding}", finding=first.text))
    return replace(statement, lines=(marked, *others))


def _acute_words(_finding: SafetyFinding, facts: Facts, say: Language) -> tuple[str, Facts]:
    return say("Safety evaluation before the patient leaves."), facts


def _positive_words(finding: SafetyFinding, facts: Facts, say: Language) -> tuple[str, Facts]:
    if finding.kind in (Kind.UNREADABLE_ANSWER, Kind.UNHEARD):
        action = say("Look at the source and ask today.")
    elif finding.kind is Kind.ASQ:  # asked and answered: the assessment follows (docs/clinical-sources.md S3)
        action = say("Brief suicide safety assessment before the patient leaves.")
    else:
        action = say("Ask about thoughts of suicide today.")
    return action, facts


def _recent_words(finding: SafetyFinding, facts: Facts, say: Language) -> tuple[str, Facts]:
    """With the entry that lowered the finding, or another later one, or one of its day, or that none was found."""
    recent = next((entry for entry in finding.later if entry.downgrades), None)
    known = recent or next((entry for entry in finding.later if entry.what is not LaterKind.ITEM_9_ZERO), None)
    same_day = known and finding.when and known.when.day == finding.when.day and not known.downgrades
    action = say(NOT_RULED_OUT.get(recent.what, LATER_NO) if recent else later("Consider reassessing today."))
    if known is None:
        since = (
            later("later screens may be unread") if finding.partly_searched else later("no reassessment found since")
        )
        after = say(since)
    elif same_day:
        after = say("{entry} the same day", entry=say(SHORT_LATER[known.what]))
    else:
        on = later("later {entry} on {date}") if known.when.exact else later("later {entry} ({date})")
        after = say(on, entry=say(SHORT_LATER[known.what]), date=say.dated(known.when))
    return action, (*(say("{finding}; {after}", finding=text, after=after) for text in facts), *facts)


LATER_NO = later("The later no does not rule out risk.")
NOT_RULED_OUT = {
    LaterKind.RISK_ASSESSMENT: later("The later assessment does not rule out risk."),
    LaterKind.ITEM_9_ZERO: later("The later 0 does not rule out risk."),
}
SHORT_LATER = complete(
    {
        LaterKind.CSSRS_NEGATIVE: later("C-SSRS answered no"),
        LaterKind.CSSRS_POSITIVE: later("C-SSRS with positive answers"),
        LaterKind.CSSRS_INCOMPLETE: later("incomplete C-SSRS"),
        LaterKind.ASQ_NEGATIVE: later("ASQ answered no"),
        LaterKind.ASQ_POSITIVE: later("ASQ with positive answers"),
        LaterKind.ASQ_INCOMPLETE: later("incomplete ASQ"),
        LaterKind.LEVEL_POSITIVE: later("positive result of a suicide risk screen"),
        LaterKind.LEVEL_OTHER: later("result of a suicide risk screen"),
        LaterKind.RISK_ASSESSMENT: later("risk assessment"),
        LaterKind.RISK_POSITIVE: later("risk assessment with a positive result"),
        LaterKind.RISK_INCOMPLETE: later("incomplete risk assessment"),
        LaterKind.RISK_BY_SOFTWARE: later("risk score from software"),
        LaterKind.ITEM_9_ZERO: later("item 9 “not at all”"),
    },
    LaterKind,
)
# The action of a summary, and its facts without full stop, the fullest wording first.
SUMMARIES: dict[Topic, Callable[[SafetyFinding, Facts, Language], tuple[str, Facts]]] = {
    Topic.ACUTE_SAFETY: _acute_words,
    Topic.POSITIVE_SAFETY_ANSWER: _positive_words,
    Topic.RECENT_SAFETY: _recent_words,
}


def anomaly_notice(
    _assessment: Assessment,
    findings: list[SafetyFinding],
    statements: list[Statement],
    settings: NoticeSettings,
    consider: tuple[str, ...],
) -> Notice:
    """Data that is contradictory, off its scale or not this patient's (R10, R11)."""
    say = settings.say
    return Notice(
        topic=Topic.DATA_ANOMALY,
        urgency=max(f.urgency for f in findings),
        summary=summary(
            Topic.DATA_ANOMALY,
            say,
            (say("Check the source; no estimate was made."), say("Check the source.")),
            anomaly_facts(findings, statements, say),
        ),
        heading=say(IN_THE_CHART),
        chart=lines_of(statements, say),
        consider=consider,
        consider_heading=say(CONSIDER_TODAY),
        basis=Basis(kind=BasisKind.ANOMALY, rules=rules_of(findings)),
    )


def anomaly_facts(findings: list[SafetyFinding], statements: list[Statement], say: Language) -> tuple[str, ...]:
    """The first anomaly and its date, unless it is a date in the future, which names it; and the number of others."""
    finding, first = findings[0], statements[0]
    dated = moment_words(first, say) if finding.when and not finding.when.future else (first.what,)
    return sentences(counted_words(dated, len(findings) - 1, say), say)
