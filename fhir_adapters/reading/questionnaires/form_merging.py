"""Forms that tell of one occasion, joined: those of one hour, day and encounter that agree.

A chart can hold thousands of forms, so that each is compared only with those that it can be one with.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from heapq import merge
from itertools import islice

from fhir_adapters.facts import Administration, When

ONE_HOUR = timedelta(hours=1)
FIRST = datetime.min.replace(tzinfo=UTC)


def merged(forms: Iterable[Administration]) -> list[Administration]:
    """Forms joined with the first earlier one that they can be one with."""
    index = _FormIndex()
    for form in forms:
        place = next((n for n in index.near(form) if _may_be_one(index.joined[n], form)), None)
        if place is None:
            index.add(form)
        else:
            index.join(place, form)
    return [joined.whole() for joined in index.joined]


# With how many forms of its day or hour a form is compared, beside those that say the same. Where more of them
# contradict each other, the next stands by itself: nothing of it is lost.
MOST_COMPARED = 30
Key = tuple[object, ...]


@dataclass(slots=True, kw_only=True, eq=False)
class _Joined:
    """A form and those that were joined with it; `form` has no references of its own, `references` has them all."""

    form: Administration
    references: dict[str, None]
    responses: set[str]

    def whole(self) -> Administration:
        """The form with all its references."""
        return replace(self.form, references=tuple(self.references))


class _FormIndex:
    """Forms in the order in which they came, and where to look for those of a day or hour and an encounter."""

    def __init__(self) -> None:
        self.joined: list[_Joined] = []
        self._places: dict[Key, list[int]] = {}

    def near(self, form: Administration) -> Iterable[int]:
        """The first places whose forms can, by instrument, time and encounter, be one with `form`."""
        times: list[Key] = [("day", form.when.day)] if form.when else [("undated",)]
        if form.when and form.when.instant:
            hour = _hour(form.when.instant)
            times = [("untimed", form.when.day), *(("hour", hour + step) for step in (-1, 0, 1))]
        whose = (form.encounter, None) if form.encounter else (ANY_ENCOUNTER,)
        said = _said(form)
        any_said = merge(*(self._places.get((form.instrument, *time, one), ()) for time in times for one in whose))
        same_said = merge(*(self._places.get((form.instrument, *time, said), ()) for time in times))
        return merge(islice(any_said, MOST_COMPARED), islice(same_said, MOST_COMPARED))

    def add(self, form: Administration) -> None:
        """Keeps a form by itself."""
        self.joined.append(
            _Joined(
                form=replace(form, references=()),
                references=dict.fromkeys(form.references),
                responses=_responses(form),
            )
        )
        for key in _keys(form):
            self._places.setdefault(key, []).append(len(self.joined) - 1)

    def join(self, place: int, form: Administration) -> None:
        """Joins a form with that of a place."""
        joined = self.joined[place]
        before, joined.form = joined.form, _union(joined.form, form)
        joined.references.update(dict.fromkeys(form.references))
        joined.responses |= _responses(form)
        old, new = _keys(before), _keys(joined.form)
        for key in old - new:
            places = self._places[key]
            del places[bisect_left(places, place)]
        for key in new - old:
            insort(self._places.setdefault(key, []), place)


ANY_ENCOUNTER = "any"  # no reference is such a word


def _hour(instant: datetime) -> int:
    return (instant - FIRST) // ONE_HOUR


def _keys(form: Administration) -> set[Key]:
    if form.when is None:
        times: list[Key] = [("undated",)]
    else:
        instant = form.when.instant
        times = [("day", form.when.day), ("hour", _hour(instant)) if instant else ("untimed", form.when.day)]
    said = _said(form)
    return {(form.instrument, *time, part) for time in times for part in (form.encounter, ANY_ENCOUNTER, said)}


def _said(form: Administration) -> Key:
    """All that two forms must have in common to agree in everything."""
    return form.total, form.level, frozenset((a.item, a.state, a.score, a.yes) for a in form.answers)


def _responses(form: Administration) -> set[str]:
    return {r for r in form.references if r.startswith("QuestionnaireResponse/")}


def _may_be_one(joined: _Joined, other: Administration) -> bool:
    one = joined.form
    if one.instrument is not other.instrument:
        return False
    if one.encounter and other.encounter and one.encounter != other.encounter:
        return False
    first, second = one.when, other.when
    if first is None or second is None:
        close = first is second
    elif first.instant and second.instant:
        close = abs(first.instant - second.instant) <= ONE_HOUR
    else:
        close = first.day == second.day
    return close and _agree(one, other) and not _two_halves(joined, other)


def _two_halves(joined: _Joined, other: Administration) -> bool:
    """Whether two responses each hold what the other lacks: together they would be a form that nobody filled in."""
    named = _responses(other)
    if not named or not joined.responses or not named.isdisjoint(joined.responses):
        return False
    asked = [{a.item for a in form.answers} for form in (joined.form, other)]
    return not (asked[0] <= asked[1] or asked[1] <= asked[0])


def _agree(one: Administration, other: Administration) -> bool:
    if one.total is not None and other.total is not None and one.total != other.total:
        return False
    if one.level and other.level and one.level != other.level:
        return False
    for answer in one.answers:
        twin = other.answer(answer.item)
        if twin and (twin.state, twin.score, twin.yes) != (answer.state, answer.score, answer.yes):
            return False
    return True


def _union(one: Administration, other: Administration) -> Administration:
    """Two forms that agree, as one, but for the references."""
    answers = {a.item: a for a in other.answers} | {a.item: a for a in one.answers}
    return replace(
        one,
        when=max((f.when for f in (one, other) if f.when), key=moment, default=None),
        answers=tuple(answers[item] for item in sorted(answers, key=lambda item: (len(item), item))),
        total=one.total if one.total is not None else other.total,
        total_reference=one.total_reference or other.total_reference,
        level=one.level or other.level,
        level_reference=one.level_reference or other.level_reference,
        encounter=one.encounter or other.encounter,
        provisional=one.provisional or other.provisional,
        contradictory=one.contradictory or other.contradictory,
    )


def moment(when: When) -> tuple[date, bool, str]:
    """What a time is compared by: one with a time of day is later than the bare day."""
    return when.day, when.instant is not None, when.instant.isoformat() if when.instant else when.text
