"""The order of findings, and which of them are history: rule R14."""

from __future__ import annotations

from datetime import date

from fhir_adapters.facts import Course
from fhir_adapters.reading.lists.conditions import severity
from models.rules.findings import Kind, SafetyFinding, Topic
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
