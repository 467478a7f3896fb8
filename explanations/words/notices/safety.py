"""The notices of documented safety answers, coded events and data anomalies."""

from __future__ import annotations

from collections.abc import Callable

from explanations.judgement.assessment import Assessment
from explanations.words.findings.statements import Statement
from explanations.words.language import Language, later
from explanations.words.notices.notice import (
    CONSIDER_NOW,
    CONSIDER_TODAY,
    IN_THE_CHART,
    Basis,
    BasisKind,
    Notice,
    NoticeSettings,
    contact_words,
    fact_words,
    fit,
    lines_of,
    more_words,
    rules_of,
)
from explanations.words.tables import complete
from fhir_adapters.reading.questionnaires.totals import total_of
from models.rules.findings import Kind, SafetyFinding, Topic
from models.rules.supersession import LaterKind


def safety_notice(
    _assessment: Assessment,
    findings: list[SafetyFinding],
    statements: list[Statement],
    settings: NoticeSettings,
    consider: tuple[str, ...],
) -> Notice:
    """A safety topic: documented answers and codes, later entries, and what to consider."""
    say, topic = settings.say, findings[0].topic
    acute = topic is Topic.ACUTE_SAFETY
    if topic is Topic.POSITIVE_SAFETY_ANSWER and any(f.kind is Kind.ASQ for f in findings):
        first = say("Brief suicide safety assessment during this visit, before the patient leaves")
        consider = (first, *consider[1:])
    if acute and settings.contact:
        consider = (*consider, contact_words(settings.contact, say))
    return Notice(
        topic=topic,
        urgency=max(f.urgency for f in findings),
        summary=SUMMARIES[topic](findings[0], statements[0], len(findings), say),
        heading=say(IN_THE_CHART),
        chart=lines_of(statements, say),
        consider=consider,
        consider_heading=say(CONSIDER_NOW if acute else CONSIDER_TODAY),
        basis=Basis(kind=BasisKind.ACUTE_ANSWERS if acute else BasisKind.ANSWERS, rules=rules_of(findings)),
        crisis=True,
    )


def _acute_summary(_finding: SafetyFinding, statement: Statement, count: int, say: Language) -> str:
    return fit(say("Safety evaluation before the patient leaves."), fact_words(statement, count, say))


def _positive_summary(finding: SafetyFinding, statement: Statement, count: int, say: Language) -> str:
    total = total_of(finding.form) if finding.kind is Kind.SELF_HARM_ITEM and finding.form else None
    if finding.kind in (Kind.UNREADABLE_ANSWER, Kind.UNHEARD):
        action = say("Look at the source and ask today.")
    elif finding.kind is Kind.ASQ:  # asked and answered: the assessment follows (docs/clinical-sources.md S3)
        action = say("Brief suicide safety assessment before the patient leaves.")
    else:
        action = say("Ask about thoughts of suicide today.")
    if total is None:
        return fit(action, fact_words(statement, count, say))
    more = more_words(count, say)
    return fit(
        action,
        say("{what}, {when} (total {total}){more}.", what=statement.what, when=statement.when, total=total, more=more),
    )


def _recent_summary(finding: SafetyFinding, statement: Statement, count: int, say: Language) -> str:
    recent = next((entry for entry in finding.later if entry.downgrades), None)
    known = recent or next((entry for entry in finding.later if entry.what is not LaterKind.ITEM_9_ZERO), None)
    named = {"what": statement.what, "more": more_words(count, say)}
    long, short = named | {"when": statement.when}, named | {"when": say.dated(finding.when)}
    if known is None:
        since = MAY_BE_UNREAD if finding.partly_searched else NONE_LATER
        shorter = say(MAY_BE_UNREAD if finding.partly_searched else NONE_LATER_SHORT, **short)
        return fit(say("Consider reassessing today."), say(since, **long), say(since, **short), shorter)
    action = say("The later no does not rule out risk.") if recent else say("Consider reassessing today.")
    came = {"entry": say(SHORT_LATER[known.what]), "date": say.dated(known.when)}
    text = later("{what}, {when}{more}; later {entry}, {date}.")
    return fit(action, say(text, **long, **came), say(text, **short, **came))


NONE_LATER = later("{what}, {when}{more}; no later C-SSRS, ASQ or risk assessment was read.")
NONE_LATER_SHORT = later("{what}, {when}{more}; no later screen was read.")
MAY_BE_UNREAD = later("{what}, {when}{more}; later screens may be unread.")
SHORT_LATER = complete(
    {
        LaterKind.CSSRS_NEGATIVE: later("C-SSRS answered no"),
        LaterKind.CSSRS_POSITIVE: later("C-SSRS with positive answers"),
        LaterKind.CSSRS_INCOMPLETE: later("C-SSRS, not complete"),
        LaterKind.ASQ_NEGATIVE: later("ASQ answered no"),
        LaterKind.ASQ_POSITIVE: later("ASQ with positive answers"),
        LaterKind.ASQ_INCOMPLETE: later("ASQ, not complete"),
        LaterKind.LEVEL_POSITIVE: later("positive result of a suicide risk screen"),
        LaterKind.LEVEL_OTHER: later("result of a suicide risk screen"),
        LaterKind.RISK_ASSESSMENT: later("risk assessment"),
        LaterKind.RISK_POSITIVE: later("risk assessment with a positive result"),
        LaterKind.RISK_INCOMPLETE: later("risk assessment, not complete"),
        LaterKind.RISK_BY_SOFTWARE: later("risk score from software"),
        LaterKind.ITEM_9_ZERO: later("item 9 “not at all”"),
    },
    LaterKind,
)
SUMMARIES: dict[Topic, Callable[[SafetyFinding, Statement, int, Language], str]] = {
    Topic.ACUTE_SAFETY: _acute_summary,
    Topic.POSITIVE_SAFETY_ANSWER: _positive_summary,
    Topic.RECENT_SAFETY: _recent_summary,
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
        summary=fit(
            say("Check the source; no estimate was made."), anomaly_fact(findings[0], statements[0], len(findings), say)
        ),
        heading=say(IN_THE_CHART),
        chart=lines_of(statements, say),
        consider=consider,
        consider_heading=say(CONSIDER_TODAY),
        basis=Basis(kind=BasisKind.ANOMALY, rules=rules_of(findings)),
    )


def anomaly_fact(finding: SafetyFinding, statement: Statement, count: int, say: Language) -> str:
    """The anomaly and its date, unless the anomaly is a date in the future, which names it already."""
    named = {"what": statement.what, "more": more_words(count, say)}
    if finding.when and not finding.when.future:
        return say("{what} ({when}){more}.", when=statement.when, **named)
    return say("{what}{more}.", **named)
