"""How current a fact is, and its level by age: rules R1, R2 and R7."""

from __future__ import annotations

from datetime import timedelta

from fhir_adapters.facts import PatientRecord, When
from models.rules.findings import Level, Topic, Urgency

RECENT_DAYS = 90
POSITIVE_DAYS = 14
SAME_ENCOUNTER_DAYS = 7
ONE_DAY = timedelta(hours=24)


def is_current(chart: PatientRecord, when: When | None, encounter: str | None) -> bool:
    """R1: same local date, or at most 24 h before `as_of`, or the hook's encounter and at most 7 days old.

    A future date counts as today's (R11). Without a date nothing is current: it counts as positive (R1).
    """
    if when is None:
        return False
    if when.day >= chart.today:
        return True
    if when.instant is not None and chart.as_of - when.instant <= ONE_DAY:
        return True
    days = (chart.today - when.day).days
    return encounter is not None and encounter == chart.encounter and days <= SAME_ENCOUNTER_DAYS


def acute_level(chart: PatientRecord, when: When | None, encounter: str | None) -> Level | None:
    """R2: acute while current, recent to 90 days, then history (None). Undated counts as positive (R1)."""
    if when is None:
        return Topic.POSITIVE_SAFETY_ANSWER, Urgency.PROMPT
    if is_current(chart, when, encounter):
        return Topic.ACUTE_SAFETY, Urgency.ACUTE
    return recent_level(chart, when)


def positive_level(chart: PatientRecord, when: When | None, window: int = POSITIVE_DAYS) -> Level | None:
    """R7: positive within the window, recent to 90 days, then history (None)."""
    days = chart.days_since(when)
    if days is None or days <= window:
        return Topic.POSITIVE_SAFETY_ANSWER, Urgency.PROMPT
    return recent_level(chart, when)


def recent_level(chart: PatientRecord, when: When | None) -> Level | None:
    """Recent to 90 days, then history (None)."""
    days = chart.days_since(when)
    return (Topic.RECENT_SAFETY, Urgency.PROMPT) if days is not None and days <= RECENT_DAYS else None


def is_within(chart: PatientRecord, when: When | None, days: int) -> bool:
    """Whether an answer is at most `days` old, or undated."""
    ago = chart.days_since(when)
    return ago is None or ago <= days
