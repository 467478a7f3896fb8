"""Who has been told of an acute answer, in words: short, dated, and no more than is on record.

Every sentence ends with what it does not replace: this is not a monitoring service, and a message is no care.
"""

from __future__ import annotations

from datetime import datetime

from explanations.judgement.assessment import Assessment
from explanations.judgement.escalation import Done, Escalation, EscalationState
from explanations.words.language import clock, later
from explanations.words.notices.notice import NoticeSettings
from explanations.words.tables import complete

STATES = complete(
    {
        EscalationState.NOT_RECORDED: later("Nobody has been notified: no message could be recorded."),
        EscalationState.SWITCHED_OFF: later(
            "Nobody has been notified: cards of acute answers are switched off at this site."
        ),
        EscalationState.NOBODY_ON_DUTY: later("Nobody has been notified: no contact of this site is on duty."),
        # Translators: {contact} is the site's own name of a contact; {when} as in "at 17:51 EST" or "on 29 Nov 2026 at
        # 17:51 EST".
        EscalationState.WAITING: later("A message to {contact} was prepared {when}; it has not been delivered yet."),
        EscalationState.TOLD: later("{contact} was sent a message {when}; nobody has acknowledged it yet."),
        # Translators: {moment} as in "18:02 EST" or "29 Nov 2026, 18:02 EST".
        EscalationState.ACKNOWLEDGED: later("Acknowledged by {by}, {moment}."),
    },
    EscalationState,
)
OVERDUE = {
    EscalationState.WAITING: later("A message to {contact} was prepared {when}; it has not been delivered in time."),
    EscalationState.TOLD: later("{contact} was sent a message {when}; nobody has acknowledged it in time."),
}
BY_NOBODY_NAMED = later("Acknowledged without a name, {moment}.")
DO_NOT_WAIT = later("Not a monitoring service: do not wait for an answer.")
DIRECTLY = later("Not a monitoring service: contact someone directly.")
NO_CARE = later("Not a monitoring service: this does not replace acting.")
DONE = complete(
    {
        # Translators: what was done about an acute answer; in a list after "Recorded as done:", and on a button.
        Done.ASSESSMENT: later("assessment done"),
        Done.SAFETY_PLAN: later("safety plan made"),
        Done.FOLLOW_UP: later("follow-up booked"),
        Done.TRANSFERRED: later("patient transferred"),
    },
    Done,
)
# Names come from other systems too, and stand in markdown.
MARKUP = "`*_~<>[]|\\"
MOST_NAME = 80


def told_words(assessment: Assessment, settings: NoticeSettings) -> str:
    """How far somebody has been told of an assessment's acute findings; "" where the site tells nobody."""
    escalation = assessment.escalation
    return escalation_words(escalation, assessment.chart.as_of, settings) if escalation else ""


def escalation_words(escalation: Escalation, now: datetime, settings: NoticeSettings) -> str:
    """`Crisis team was sent a message at 17:51 EST; nobody has acknowledged it yet. Not a …`."""
    say, state = settings.say, escalation.state
    named = {
        "contact": plain_name(escalation.contact or "") or say("A contact"),
        "by": plain_name(escalation.by),
        **_moments(escalation.at, now, settings),
    }
    if state is EscalationState.ACKNOWLEDGED:
        first = STATES[state] if named["by"] else BY_NOBODY_NAMED
    else:
        first = OVERDUE.get(state, STATES[state]) if escalation.overdue else STATES[state]
    done = "; ".join(say(DONE[one]) for one in escalation.done)
    listed = [say("Recorded as done: {done}.", done=done)] if done else []
    return " ".join((say(first, **named), *listed, say(_last(escalation))))


def _last(escalation: Escalation) -> str:
    if escalation.state is EscalationState.ACKNOWLEDGED:
        return NO_CARE
    told = escalation.state in (EscalationState.WAITING, EscalationState.TOLD)
    return DO_NOT_WAIT if told and not escalation.overdue else DIRECTLY


def _moments(at: datetime | None, now: datetime, settings: NoticeSettings) -> dict[str, str]:
    """When, for a sentence, by the site's clock; with the day unless it is today."""
    say = settings.say
    if at is None:
        unknown = say("time not recorded")
        return {"when": f"({unknown})", "moment": unknown}
    local = at.astimezone(settings.zone)
    named = {"day": say.day(local.date()), "time": clock(local)}
    if local.date() == now.astimezone(settings.zone).date():
        return {"when": say("at {time}", **named), "moment": named["time"]}
    return {"when": say("on {day} at {time}", **named), "moment": say("{day}, {time}", **named)}


def plain_name(text: str) -> str:
    """A name without markup or line breaks, cut to 80 characters."""
    kept = "".join(c if c.isprintable() else " " for c in text if c not in MARKUP)
    return " ".join(kept.split())[:MOST_NAME].rstrip()
