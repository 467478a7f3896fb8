"""The steps after a finding in words: on file with date and reference, none found, could not be read, or not certain.

These four are never confused. Only the date and reference of an entry are shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo

from explanations.words.findings.gaps import gap_words
from explanations.words.language import Language, code, later
from explanations.words.lines import Line
from explanations.words.tables import complete
from models.rules.discharge import APPOINTMENT_DAYS, UNSURE, NotCounted, Step, StepEntry, StepKind

LABELS = complete(
    {
        StepKind.RISK_ASSESSMENT: later("Suicide risk assessment since then"),
        StepKind.SAFETY_PLAN: later("Safety plan since then"),
        StepKind.APPOINTMENT: later("Follow-up appointment within {days} days"),
    },
    StepKind,
)
SHORT = complete(
    {
        # Translators: in a list after "Before discharge, check:".
        StepKind.RISK_ASSESSMENT: later("risk assessment"),
        # Translators: in a list after "Before discharge, check:".
        StepKind.SAFETY_PLAN: later("safety plan"),
        # Translators: in a list after "Before discharge, check:".
        StepKind.APPOINTMENT: later("follow-up"),
    },
    StepKind,
)
SEEN = complete(
    {
        # Translators: {entry} is the date of an entry of the chart, and the reference to it.
        NotCounted.SAME_DAY: later("one of the same day: {entry}; which came first is not recorded"),
        NotCounted.UNDATED: later("one without a date: {entry}"),
        NotCounted.ORDER_UNKNOWN: later("one on file: {entry}; whether it came later is not recorded"),
        NotCounted.FUTURE: later("one {entry}; not counted"),
        NotCounted.BEFORE: later("an earlier one: {entry}"),
        NotCounted.BEFORE_ONSET: later("one from before the onset on record: {entry}"),
        NotCounted.NOT_COMPLETE: later("one not final, or not known to be a clinician’s: {entry}; not counted"),
        NotCounted.NOT_UNDERSTOOD: later("one whose wording is not understood: {entry}; not counted"),
        NotCounted.NOT_BEGUN: later("one that has not begun, or begins at an unknown time: {entry}; not counted"),
        NotCounted.NOT_IN_FORCE: later("one that is on hold or has ended: {entry}"),
        NotCounted.OTHER_PURPOSE: later("other appointment booked {entry}, purpose not recorded as follow-up"),
        NotCounted.PENDING: later("one is pending, not confirmed: {entry}"),
        NotCounted.DECLINED: later("one was declined by the patient: {entry}"),
        NotCounted.TODAY: later("one is today, not a follow-up after discharge: {entry}"),
        NotCounted.TOO_FAR: later("one is booked later than that: {entry}"),
    },
    NotCounted,
)
MOST_SEEN = 2


def step_lines(steps: Iterable[Step], zone: tzinfo, say: Language) -> tuple[Line, ...]:
    """One line per step."""
    return tuple(_line(step, zone, say) for step in steps)


def _line(step: Step, zone: tzinfo, say: Language) -> Line:
    shown = [entry.reference for entry in step.seen[:MOST_SEEN]]
    if step.done is not None:
        shown = [step.done.reference]
    elif step.unread:
        shown = [*step.unreadable[:1], *shown]
    label = say(LABELS[step.kind], days=APPOINTMENT_DAYS)
    # Translators: {step} as in "Safety plan since then", {found} as in "none found in the records read".
    text = say("{step}: {found}", step=label, found=_found(step, zone, say))
    return Line(text=text, sources=tuple(code(reference) for reference in shown))


def _found(step: Step, zone: tzinfo, say: Language) -> str:
    if step.done is not None:
        return _entry(step.done, step.kind, zone, say)
    seen = [
        say(SEEN[entry.not_counted], entry=_entry(entry, step.kind, zone, say))
        for entry in step.seen
        if entry.not_counted
    ]
    rest = [say("and {count} more", count=len(seen) - MOST_SEEN)] if len(seen) > MOST_SEEN else []
    if step.unread:
        start = _unread(step, say)
    elif any(entry.not_counted in UNSURE for entry in step.seen):
        start = say("not certain")
    else:
        start = say("none found in the records read")
    return "; ".join((start, *seen[:MOST_SEEN], *rest))


def _unread(step: Step, say: Language) -> str:
    missing = [gap_words(gap, say) for gap in step.missing]
    named = [say.references(step.unreadable)] if step.unreadable else []
    return say("could not be read ({reasons})", reasons="; ".join((*missing, *named)))


def _entry(entry: StepEntry, kind: StepKind, zone: tzinfo, say: Language) -> str:
    when, source = entry.when, code(entry.reference)
    if kind is StepKind.APPOINTMENT and when is not None:
        return say("{date}, {source}", date=say.day_time(when, zone), source=source)
    if entry.not_counted is NotCounted.FUTURE and when is not None and not when.future:
        return say("{date}, in the future, {source}", date=say.dated(when, zone), source=source)
    return say("{date}, {source}", date=say.dated(when, zone), source=source)
