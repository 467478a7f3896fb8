"""What safety rules ask of a completed questionnaire: refused, blank, answered again since."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from fhir_adapters.facts import Administration, AnswerState, ItemAnswer, PatientRecord
from fhir_adapters.instruments import NINE_ITEM_PHQ, SAFETY_ITEMS


def said_yes(form: Administration, *items: str) -> tuple[ItemAnswer, ...]:
    """The answers to these items that are yes."""
    return tuple(answer for item in items if (answer := form.answer(item)) and form.yes(item))


def all_refused(form: Administration, *items: str) -> bool:
    """Whether any of these items was asked, and every one asked was declined."""
    answers = [a for a in form.answers if a.item in items]
    return bool(answers) and all(a.state is AnswerState.DECLINED for a in answers)


def left_blank(form: Administration) -> bool:
    """R5: any of items 3-8 answered and item 9 not (items 1-2 alone are a PHQ-2); any EPDS item, and not item 10."""
    last = form.safety_answer
    aside = {SAFETY_ITEMS[form.instrument].item, *(("1", "2") if form.instrument in NINE_ITEM_PHQ else ())}
    answered = any(form.score(item) is not None for item in form.instrument.spec.items if item not in aside)
    return answered and (last is None or last.state is AnswerState.BLANK)


def latest_answered(chart: PatientRecord) -> dict[str, date]:
    """Family of instruments -> the last day on which its question on self-harm was answered."""
    latest: dict[str, date] = {}
    for form in chart.of(*SAFETY_ITEMS):
        family, answer = form.instrument.spec.family, form.safety_answer
        if form.when and answer and answer.score is not None:
            latest[family] = max(form.when.day, latest.get(family, date.min))
    return latest


def answered_since(latest: Mapping[str, date], form: Administration) -> bool:
    """Whether the same item was answered on the same day or later."""
    last = latest.get(form.instrument.spec.family)
    return form.when is not None and last is not None and last >= form.when.day
