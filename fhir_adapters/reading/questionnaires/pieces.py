"""The values of screening forms, before the forms are assembled."""

from __future__ import annotations

from dataclasses import replace

from msgspec import Struct

from fhir_adapters.codesets.questions import Target
from fhir_adapters.facts import AnswerState, ItemAnswer, Result, When
from fhir_adapters.flaws import Flaw
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.questionnaires.answers import graded, total_in, unreadable, yes_or_no
from fhir_adapters.reading.questionnaires.levels import most_severe, overall_level, unread_level
from fhir_adapters.reading.questionnaires.values import called_abnormal, is_empty
from fhir_adapters.resources import r4


class Piece(Struct, frozen=True, kw_only=True, gc=False):
    """One value of a form, before the form is assembled."""

    instrument: Instrument
    item: str
    answer: ItemAnswer | None
    number: int | None
    level: Result | None
    when: When | None
    encounter: str | None
    provisional: bool
    reference: str
    form: str | None


def piece_of(
    target: Target,
    value: r4.Value,
    *,
    when: When | None,
    encounter: str | None,
    provisional: bool,
    reference: str,
    form: str | None,
    doubt: Flaw | None = None,
) -> Piece | None:
    """The piece of one coded value; None for a panel, a total or an overall result without a value.

    What stands on a panel's own code is its total, or its overall result where it has no total. `doubt`: what is wrong
    with its question; any answer to it is then unreadable, and one on self-harm is of the item on self-harm.
    """
    read = _read(target, value, reference)
    if read is None:
        return None
    target, answer, number, level = read
    if doubt and (answer is None or answer.state is not AnswerState.BLANK):
        if doubt is Flaw.SELF_HARM_UNDER_OTHER_CODE:
            target = _on_self_harm(target.instrument)
        answer, number, level = unreadable(target.item, reference, doubt), None, None
    return Piece(
        instrument=target.instrument,
        item=target.item,
        answer=answer,
        number=number,
        level=level,
        when=when,
        encounter=encounter,
        provisional=provisional,
        reference=reference,
        form=form,
    )


def _read(
    target: Target, value: r4.Value, reference: str
) -> tuple[Target, ItemAnswer | None, int | None, Result | None] | None:
    """What a value holds: an answer, a total or an overall result, and of which item; None for a panel without any."""
    answer, number, level = None, None, None
    if target.item == "panel":
        target = replace(target, item="level" if target.instrument.spec.yes_no else "total")
    if target.item == "total":
        if is_empty(value) and not called_abnormal(value):
            return None
        total = total_in(value)
        # An unreadable total is kept as -1, which is out of range and so an anomaly.
        number = int(total) if total is not None and total == int(total) else -1
    elif target.item == "level":
        level = overall_level(value)
        answer = None if level else unread_level(value, reference)
        if answer and answer.state is AnswerState.BLANK:
            return None
    elif target.item == "most-severe":
        answer = most_severe(value, reference)
        target = replace(target, item=answer.item)
    elif target.instrument.spec.yes_no or target.item in target.instrument.spec.further:
        answer = yes_or_no(target.item, value, reference)
    else:
        answer = graded(target.item, value, target.instrument, reference)
    return target, answer, number, level


def _on_self_harm(instrument: Instrument) -> Target:
    """The question on self-harm of an instrument; of one that has none, an overall result."""
    safety = instrument.spec.safety
    return (
        Target(instrument=instrument, item=safety.item)
        if safety
        else Target(instrument=Instrument.RISK_LEVEL, item="level")
    )
