"""What keeps a negative from lowering a finding: rule R3.

An unread or positive answer about self-harm beside it, of the same day or later, of whatever kind. One without a date
may be of today, so it always does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from fhir_adapters.facts import (
    ACUTE_RESULTS,
    POSITIVE_RESULTS,
    Administration,
    AnswerState,
    Course,
    PatientRecord,
    RiskResult,
    When,
)
from fhir_adapters.instruments import SUICIDE_SCREENS
from models.rules.merging import one_per_event
from models.rules.unread import may_answer

# An answer that was refused is no "no" (R4, R5).
UNANSWERED = (AnswerState.UNREADABLE, AnswerState.DECLINED)


def is_positive(form: Administration) -> bool:
    """Whether a suicide screen holds any yes, or an overall result that is acute or positive."""
    return any(a.yes for a in form.answers) or form.level in (*ACUTE_RESULTS, *POSITIVE_RESULTS)


def item_9_endorsed(form: Administration) -> bool:
    """PHQ-9 item 9 (or EPDS item 10) answered above "not at all" ("never")."""
    answer = form.safety_answer
    return answer is not None and ((answer.score or 0) >= 1 or answer.yes is True)


def _objects(form: Administration) -> bool:
    """Whether a form holds a positive, declined or unreadable answer about self-harm."""
    spec = form.instrument.spec
    if form.instrument in SUICIDE_SCREENS:
        return is_positive(form) or any(a.state in UNANSWERED for a in form.answers)
    if spec.safety is None:
        return False
    answers = [a for name in (spec.safety.item, *spec.safety.further) if (a := form.answer(name))]
    implied = form.total is not None and spec.total_of_others < form.total <= spec.top_total
    return item_9_endorsed(form) or implied or any(a.yes or a.state in UNANSWERED for a in answers)


# A date and an encounter.
Moment = tuple[When | None, str | None]


class Objections:
    """Unread or positive answers about self-harm, by day."""

    def __init__(self, moments: Iterable[Moment]) -> None:
        held = list(moments)
        self._undated = any(when is None for when, _ in held)
        by_day: dict[date, list[tuple[When, str | None]]] = {}
        for when, encounter in held:
            if when:
                by_day.setdefault(when.day, []).append((when, encounter))
        self._last_day = max(by_day, default=date.min)
        self._days = {day: _Day(of_day) for day, of_day in by_day.items()}

    def against(self, when: When, encounter: str | None) -> bool:
        """Whether any is not known to be earlier than a negative at `when`."""
        if self._undated or self._last_day > when.day:
            return True
        return when.day in self._days and self._days[when.day].outlast(when, encounter)


class _Day:
    """The objections of one day."""

    def __init__(self, held: list[tuple[When, str | None]]) -> None:
        self._encounters = {encounter for _, encounter in held}
        instants = [when.instant for when, _ in held if when.instant]
        self._latest = max(instants) if len(instants) == len(held) else None

    def outlast(self, when: When, encounter: str | None) -> bool:
        """Whether a negative is not later than all of them, and in another encounter."""
        if self._latest is None or when.instant is None or None in self._encounters or encounter is None:
            return True
        return encounter in self._encounters or self._latest >= when.instant


def objecting_answers(chart: PatientRecord) -> Iterator[Moment]:
    """Every unread or positive answer of a chart. Follow-up care (R8) says nothing of its own day, history neither."""
    yield from ((form.when, form.encounter) for form in chart.administrations if _objects(form))
    for event in one_per_event(chart.events):
        if event.course is Course.ACTIVE and not event.subsequent:
            yield event.when, event.encounter
    yield from ((entry.when, None) for entry in chart.unheard if may_answer(entry))
    yield from objecting_assessments(chart)


def objecting_assessments(chart: PatientRecord) -> Iterator[Moment]:
    """The risk assessments with a result that is unreadable, or higher than low."""
    return ((a.when, a.encounter) for a in chart.risk_assessments if a.result not in (None, RiskResult.LOW))
