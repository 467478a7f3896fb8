"""The result of a safety rule: a finding with its topic and urgency, and all findings of a chart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from fhir_adapters.facts import (
    Administration,
    Anomaly,
    CodedEvent,
    ItemAnswer,
    PatientRecord,
    RiskAssessment,
    Unheard,
    When,
)
from fhir_adapters.reading.questionnaires.totals import total_of
from models.rules.supersession import Later, LaterEntries


class Urgency(IntEnum):
    """How urgent a finding is: ACUTE is critical on the card, PROMPT warning, NOTE info."""

    NOTE = 1
    PROMPT = 2
    ACUTE = 3


class Topic(StrEnum):
    """The static topics of our cards, in the order of R14."""

    ACUTE_SAFETY = "acute-safety"
    POSITIVE_SAFETY_ANSWER = "positive-safety-answer"
    RECENT_SAFETY = "recent-safety"
    DATA_ANOMALY = "data-anomaly"
    DEPRESSION_FOLLOW_UP = "depression-follow-up"
    SCREENING_PROMPT = "screening-prompt"
    COULD_NOT_ASSESS = "could-not-assess"


SAFETY_TOPICS = (Topic.ACUTE_SAFETY, Topic.POSITIVE_SAFETY_ANSWER, Topic.RECENT_SAFETY)


class Kind(StrEnum):
    """What was found. The wording belongs to the cards."""

    SELF_HARM_ITEM = "self-harm-item"
    TOTAL_IMPLIES_ITEM = "total-implies-item"
    CSSRS = "c-ssrs"
    ASQ = "asq"
    RISK_LEVEL = "risk-level"
    ALL_REFUSED = "all-refused"
    CODED = "coded"
    RISK_ASSESSED = "risk-assessed"
    UNREADABLE_ANSWER = "unreadable-answer"
    DECLINED_ANSWER = "declined-answer"
    BLANK_ITEM = "blank-item"
    DEPRESSION_TOTAL = "depression-total"
    ANOMALY = "anomaly"
    NOT_OBTAINED = "not-obtained"
    UNHEARD = "unheard"


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyFinding:
    """One finding. `items` are the answers it restates, the worst first; `value` a total where one matters.

    `days` are whole local days since `when`; None where no date was recorded. `gap` names what is not recorded
    ("acuity", "recency"), which reads as worse (R4). `more_later`: how many later entries `later` does not name.
    `shares_day`: another finding of this topic is of the same day.
    `answers_unread`: answers about self-harm may be unread. `partly_searched`: later screens, risk assessments or
    visits may be.
    """

    rule: str
    kind: Kind
    topic: Topic
    urgency: Urgency
    when: When | None
    days: int | None
    references: tuple[str, ...]
    form: Administration | None = None
    event: CodedEvent | None = None
    anomaly: Anomaly | None = None
    unheard: Unheard | None = None
    assessment: RiskAssessment | None = None
    items: tuple[ItemAnswer, ...] = ()
    value: int | None = None
    gap: str | None = None
    later: tuple[Later, ...] = ()
    more_later: int = 0
    provisional: bool = False
    shares_day: bool = False
    answers_unread: bool = False
    partly_searched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyReading:
    """All results of the rules: findings in the order of R14, and history for other cards to mention."""

    findings: tuple[SafetyFinding, ...]
    history: tuple[SafetyFinding, ...]


Level = tuple[Topic, Urgency]

# A fact older than 90 days, or coded as history: no card of its own (R2, R7, R8).
HISTORY: Level = (Topic.RECENT_SAFETY, Urgency.NOTE)
NOTHING_LATER = LaterEntries()


def lowered(level: Level, later: Iterable[Later]) -> Level:
    """One step down, once: critical to recent-safety warning, warning to recent-safety info."""
    if not any(late.downgrades for late in later):
        return level
    return Topic.RECENT_SAFETY, Urgency(max(Urgency.NOTE, level[1] - 1))


def form_finding(
    chart: PatientRecord,
    *,
    rule: str,
    kind: Kind,
    level: Level | None,
    form: Administration,
    items: tuple[ItemAnswer, ...] = (),
    gap: str | None = None,
    since: LaterEntries = NOTHING_LATER,
) -> SafetyFinding:
    """A finding on a form; a level of None makes it history (NOTE urgency, kept apart by `apply_safety_rules`)."""
    topic, urgency = lowered(level, since.later) if level else HISTORY
    references = tuple(dict.fromkeys(answer.reference for answer in items)) or form.references
    return SafetyFinding(
        rule=rule,
        kind=kind,
        topic=topic,
        urgency=urgency,
        when=form.when,
        days=chart.days_since(form.when),
        references=references,
        form=form,
        items=items,
        value=form.total if kind is Kind.TOTAL_IMPLIES_ITEM else total_of(form),
        gap=gap,
        later=since.later,
        more_later=since.more,
        provisional=form.provisional,
    )
