"""The order of findings, on which card each stands, and which of them are history: rule R14."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from fhir_adapters.facts import Course
from fhir_adapters.reading.lists.conditions import severity
from models.rules.findings import Kind, SafetyFinding, Topic, Urgency
from models.rules.timing import RECENT_DAYS


def by_urgency(finding: SafetyFinding) -> tuple[int, int, bool, int]:
    """The most urgent first, by topic as R14 has it; within a topic acute facts (R2, R4) first, then the latest."""
    acute = finding.rule in ("R2", "R4") and finding.kind is not Kind.UNREADABLE_ANSWER
    days = finding.days if finding.days is not None else -1
    return -finding.urgency, list(Topic).index(finding.topic), not acute, days


def by_graveness(finding: SafetyFinding) -> tuple[int, int]:
    """Attempts and self-harm first, then the latest."""
    graveness = severity(finding.event.kind) if finding.event else 1
    return (0 if graveness == 0 else 1, finding.days if finding.days is not None else -1)


def day_of(finding: SafetyFinding) -> tuple[Topic, date | None]:
    """The topic and the day of a finding."""
    return finding.topic, finding.when.day if finding.when else None


def is_history(finding: SafetyFinding) -> bool:
    """Whether a finding is coded as history or older than 90 days, so without a card of its own (R2, R7, R8)."""
    if finding.event is not None and finding.event.course is Course.HISTORY:
        return True
    old = finding.days is not None and finding.days > RECENT_DAYS
    return finding.topic is Topic.RECENT_SAFETY and old


# Positive answers to a form. One that is unreadable, declined or not understood is none.
ANSWERED = (Kind.SELF_HARM_ITEM, Kind.TOTAL_IMPLIES_ITEM, Kind.CSSRS, Kind.ASQ, Kind.RISK_LEVEL, Kind.ALL_REFUSED)


def by_card(findings: Iterable[SafetyFinding]) -> dict[Topic, list[SafetyFinding]]:
    """The findings of each card by its topic, in their order (decision 0042).

    An earlier positive answer stands on the card of current ones, where there are any.
    """
    cards: dict[Topic, list[SafetyFinding]] = {}
    for finding in findings:
        current = (t for t in (Topic.POSITIVE_SAFETY_ANSWER, Topic.ACUTE_SAFETY) if _answered(cards.get(t, ())))
        topic = next(current, finding.topic) if is_earlier_answer(finding) else finding.topic
        cards.setdefault(topic, []).append(finding)
    return cards


def _answered(findings: Iterable[SafetyFinding]) -> bool:
    return any(finding.kind in ANSWERED for finding in findings)


def is_earlier_answer(finding: SafetyFinding) -> bool:
    """Whether it is a positive answer (R6, R7) of the last 90 days that is no longer current, and nothing has lowered.

    Acute facts (R2), coded entries and what a later negative lowered (R3) are more, or other, than that.
    """
    recent = finding.topic is Topic.RECENT_SAFETY and finding.urgency is Urgency.PROMPT
    return recent and finding.kind in ANSWERED and finding.rule in ("R6", "R7")
