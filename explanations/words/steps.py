"""The steps after a finding in words: on file with date and reference, none found, could not be read, or not certain.

Four different things, never one for another. Nothing of an entry but its date and its reference is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo

from explanations.words.phrasebook import code, dated, day, references
from models.rules.discharge import APPOINTMENT_DAYS, UNSURE, Entry, Step, StepKind, Why

LABELS = {
    StepKind.RISK_ASSESSMENT: "Suicide risk assessment since then",
    StepKind.SAFETY_PLAN: "Safety plan since then",
    StepKind.APPOINTMENT: f"Follow-up appointment within {APPOINTMENT_DAYS} days",
}
SHORT = {
    StepKind.RISK_ASSESSMENT: "risk assessment",
    StepKind.SAFETY_PLAN: "safety plan",
    StepKind.APPOINTMENT: "follow-up",
}
SEEN = {
    Why.SAME_DAY: "one of the same day: {entry}; which came first is not recorded",
    Why.UNDATED: "one without a date: {entry}",
    Why.ORDER_UNKNOWN: "one on file: {entry}; whether it came later is not recorded",
    Why.FUTURE: "one {entry}; not counted",
    Why.BEFORE: "an earlier one: {entry}",
    Why.BEFORE_ONSET: "one from before the onset on record: {entry}",
    Why.NOT_UNDERSTOOD: "one whose words are not understood: {entry}; not counted",
    Why.NOT_BEGUN: "one that has not begun, or begins at a time not known: {entry}; not counted",
    Why.NOT_IN_FORCE: "one that is on hold or has ended: {entry}",
    Why.OTHER_PURPOSE: "other appointment booked {entry}, purpose not recorded as follow-up",
    Why.PENDING: "one is pending, not confirmed: {entry}",
    Why.DECLINED: "one was declined by the patient: {entry}",
    Why.TODAY: "one is of today, no follow-up after discharge: {entry}",
    Why.TOO_FAR: "one is booked later than that: {entry}",
}
MOST_SEEN = 2


def step_lines(steps: Iterable[Step], zone: tzinfo) -> tuple[str, ...]:
    """One line a step."""
    return tuple(f"{LABELS[step.kind]}: {_said(step, zone)}" for step in steps)


def _said(step: Step, zone: tzinfo) -> str:
    if step.done is not None:
        return _entry(step.done, step.kind, zone)
    seen = [SEEN[entry.why].format(entry=_entry(entry, step.kind, zone)) for entry in step.seen if entry.why]
    more = [f"and {len(seen) - MOST_SEEN} more"] if len(seen) > MOST_SEEN else []
    unsure = any(entry.why in UNSURE for entry in step.seen)
    start = _unread(step) if step.unread else "not certain" if unsure else "none found in the records read"
    return "; ".join((start, *seen[:MOST_SEEN], *more))


def _unread(step: Step) -> str:
    named = [references(step.unreadable)] if step.unreadable else []
    return f"could not be read ({'; '.join((*step.missing, *named))})"


def _entry(entry: Entry, kind: StepKind, zone: tzinfo) -> str:
    if kind is StepKind.APPOINTMENT and entry.when is not None:
        clock = f" {entry.when.instant.astimezone(zone):%H:%M}" if entry.when.instant else ""
        return f"{day(entry.when.day)}{clock}, {code(entry.reference)}"
    to_come = " (in the future)" if entry.why is Why.FUTURE and entry.when and not entry.when.future else ""
    return f"{dated(entry.when, zone)}{to_come}, {code(entry.reference)}"
