"""The steps after a finding in words: on file with date and reference, none found, could not be read, or not certain.

These four are never confused. Only the date and reference of an entry are shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo

from explanations.words.findings.gaps import gap_words
from explanations.words.language import Language, capitalised, code, later
from explanations.words.lines import Line
from explanations.words.tables import complete
from models.rules.discharge import APPOINTMENT_DAYS, UNSURE, NotCounted, Step, StepEntry, StepKind

NAMES = complete(
    {
        # Translators: what is looked for after a finding; before a colon, and in a list of what was not found.
        StepKind.RISK_ASSESSMENT: later("risk assessment"),
        StepKind.PSYCHOSOCIAL: later("psychosocial assessment"),
        StepKind.SAFETY_PLAN: later("safety plan"),
        StepKind.APPOINTMENT: later("follow-up booked ({days} days)"),
    },
    StepKind,
)
SHORT = complete(
    {
        # Translators: in a list after "Before discharge, check:".
        StepKind.RISK_ASSESSMENT: later("risk assessment"),
        StepKind.PSYCHOSOCIAL: later("psychosocial assessment"),
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
        NotCounted.SAME_DAY: later("one on the same day: {entry}; which came first is not recorded"),
        NotCounted.UNDATED: later("one without a date: {entry}"),
        NotCounted.ORDER_UNKNOWN: later("one on file: {entry}; whether it came later is not recorded"),
        NotCounted.FUTURE: later("one {entry}; not counted"),
        NotCounted.BEFORE: later("an earlier one: {entry}"),
        NotCounted.BEFORE_ONSET: later("one before the recorded onset: {entry}"),
        NotCounted.NOT_COMPLETE: later("one not final, or not known to be a clinician’s: {entry}"),
        NotCounted.NOT_UNDERSTOOD: later("one that was not understood: {entry}; not counted"),
        NotCounted.NOT_BEGUN: later("one that has not begun, or has no start date: {entry}; not counted"),
        NotCounted.NOT_IN_FORCE: later("one on hold or ended: {entry}"),
        NotCounted.OTHER_PURPOSE: later("another appointment: {entry}; not recorded as follow-up"),
        NotCounted.PENDING: later("one not yet confirmed: {entry}"),
        NotCounted.DECLINED: later("one declined by the patient: {entry}"),
        NotCounted.TODAY: later("one today, before discharge: {entry}"),
        NotCounted.TOO_FAR: later("one booked later than that: {entry}"),
    },
    NotCounted,
)
MOST_SEEN = 2


def step_lines(
    steps: Iterable[Step], zone: tzinfo, say: Language, *, no_screen: bool = False, in_part: bool = False
) -> tuple[Line, ...]:
    """One line per step, but one for all of which nothing was found, with what is never read.

    no_screen: no later screen was found either. in_part: some of the chart could not be read.
    """
    listed = tuple(steps)
    none = [step for step in listed if is_none(step)]
    lines = tuple(_line(step, zone, say) for step in listed if step not in none)
    if not none:
        return (*lines, Line(text=say("Notes and outside care are not read")))
    named = ", ".join([*([say("C-SSRS, ASQ")] if no_screen else []), *(_name(step.kind, say) for step in none)])
    found = later("None found since (notes, outside care unread): {steps}")
    part = later("None found since (notes, outside care and part of the chart unread): {steps}")
    return (*lines, Line(text=say(part if in_part else found, steps=named)))


def is_none(step: Step) -> bool:
    """Whether nothing at all was found of a step, in what was read: never of one that is known by its name alone."""
    return step.done is None and not step.unread and not step.seen and step.kind is not StepKind.PSYCHOSOCIAL


def _name(kind: StepKind, say: Language) -> str:
    return say(NAMES[kind], days=APPOINTMENT_DAYS)


def _line(step: Step, zone: tzinfo, say: Language) -> Line:
    shown = [entry.reference for entry in step.seen[:MOST_SEEN]]
    if step.done is not None:
        shown = [step.done.reference]
    elif step.unread:
        shown = [*step.unreadable[:1], *shown]
    # Translators: {step} as in "Safety plan", {found} as in "none found since in the records read".
    text = say("{step}: {found}", step=capitalised(_name(step.kind, say)), found=_found(step, zone, say))
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
    elif step.kind is StepKind.PSYCHOSOCIAL:
        start = say("none found by name; may be unread")
    else:
        start = say("none found since in the records read")
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
