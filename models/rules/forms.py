"""What a completed questionnaire says, as far as a safety rule asks: refused, blank, answered again since."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from fhir_adapters.codesets.instruments import NINE_ITEM_PHQ, SAFETY_ITEM
from fhir_adapters.facts import Administration, AnswerState, Instrument, ItemAnswer, PatientRecord


def said_yes(form: Administration, *items: str) -> tuple[ItemAnswer, ...]:
    """The answers of these items that are yes."""
    return tuple(answer for item in items if (answer := form.answer(item)) and form.yes(item))


def all_refused(form: Administration, *items: str) -> bool:
    """Whether any of these items was put, and every one put was declined."""
    asked = [a for a in form.answers if a.item in items]
    return bool(asked) and all(a.state is AnswerState.DECLINED for a in asked)


def left_blank(form: Administration) -> bool:
    """R5: any of items 3-8 answered and item 9 not (items 1-2 alone are a PHQ-2); any EPDS item, and not item 10."""
    epds = form.instrument is Instrument.EPDS
    others = range(1, 10) if epds else range(3, 9)
    last = form.answer(SAFETY_ITEM[form.instrument])
    answered = any(form.score(str(n)) is not None for n in others)
    return answered and (last is None or last.state is AnswerState.BLANK)


def latest_answered(chart: PatientRecord) -> dict[str, date]:
    """The last day on which each of the two questions, PHQ item 9 and EPDS item 10, was answered."""
    latest: dict[str, date] = {}
    for form in chart.of(*NINE_ITEM_PHQ, Instrument.EPDS):
        item = SAFETY_ITEM[form.instrument]
        if form.when and form.score(item) is not None:
            latest[item] = max(form.when.day, latest.get(item, date.min))
    return latest


def answered_since(latest: Mapping[str, date], form: Administration) -> bool:
    """Whether the same question was answered on the same day or later."""
    last = latest.get(SAFETY_ITEM[form.instrument])
    return form.when is not None and last is not None and last >= form.when.day
