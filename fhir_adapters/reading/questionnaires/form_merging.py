"""Records of one administration, joined: forms of one hour, day and encounter that agree.

A chart can hold thousands of forms, so each is compared only with the few it could belong to.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from heapq import merge
from itertools import islice, pairwise

from msgspec.structs import replace

from fhir_adapters.facts import Administration, When
from fhir_adapters.instruments import Instrument

ONE_HOUR = timedelta(hours=1)
FIRST = datetime.min.replace(tzinfo=UTC)


def merged(forms: Iterable[Administration]) -> list[Administration]:
    """The forms, each joined with the first earlier one that it could be a record of."""
    forms = list(forms)
    of_instrument: dict[Instrument, list[Administration]] = {}
    for form in forms:
        of_instrument.setdefault(form.instrument, []).append(form)
    indexes = {each: _FormIndex() for each, own in of_instrument.items() if not _days_apart(own)}
    if not indexes:
        return forms
    joined: list[Administration | _Joined] = []
    for form in forms:
        index = indexes.get(form.instrument)
        place = next((n for n in index.near(form) if _may_be_one(index.joined[n], form)), None) if index else None
        if index is None:
            joined.append(form)
        elif place is None:
            joined.append(index.add(form))
        else:
            index.join(place, form)
    return [each.whole() if isinstance(each, _Joined) else each for each in joined]


def _days_apart(forms: list[Administration]) -> bool:
    """Whether forms are so far apart that no two could be one."""
    if len(forms) == 1:
        return True
    days = sorted(form.when.day.toordinal() for form in forms if form.when)
    # Within an hour, days can differ by two: places have left one out.
    return len(days) == len(forms) and all(later - earlier > 2 for earlier, later in pairwise(days))


# The number of forms of its day or hour with which a form is compared, beside those with the same answers. Where more
# of them contradict each other, the next stays separate, and nothing is lost.
MOST_COMPARED = 30
Key = tuple[object, ...]


@dataclass(slots=True, kw_only=True, eq=False)
class _Joined:
    """A form and those joined with it; `references` are those of all of them."""

    form: Administration
    references: dict[str, None]
    responses: set[str]

    def whole(self) -> Administration:
        """The form with all its references."""
        references = tuple(self.references)
        return self.form if references == self.form.references else replace(self.form, references=references)


class _FormIndex:
    """The forms of one instrument, indexed by day or hour, and encounter."""

    def __init__(self) -> None:
        self.joined: list[_Joined] = []
        self._places: dict[Key, list[int]] = {}

    def near(self, form: Administration) -> Iterable[int]:
        """The first places whose forms match `form` by time and encounter."""
        if not self._places:
            return ()
        times: list[Key] = [("day", form.when.day)] if form.when else [("undated",)]
        if form.when and form.when.instant:
            hour = _hour(form.when.instant)
            times = [("untimed", form.when.day), *(("hour", hour + step) for step in (-1, 0, 1))]
        encounters = (form.encounter, None) if form.encounter else (ANY_ENCOUNTER,)
        values = _values(form)
        any_values = self._at((*t, e) for t in times for e in encounters)
        same_values = self._at((*t, values) for t in times)
        return merge(islice(any_values, MOST_COMPARED), islice(same_values, MOST_COMPARED))

    def _at(self, keys: Iterable[Key]) -> Iterable[int]:
        """The places under these keys, in order."""
        found = [places for key in keys if (places := self._places.get(key))]
        return merge(*found) if len(found) > 1 else found[0] if found else ()

    def add(self, form: Administration) -> _Joined:
        """Adds a separate form."""
        added = _Joined(form=form, references=dict.fromkeys(form.references), responses=_responses(form))
        for key in _keys(form):
            self._places.setdefault(key, []).append(len(self.joined))
        self.joined.append(added)
        return added

    def join(self, place: int, form: Administration) -> None:
        """Joins a form with the one at a place."""
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


ANY_ENCOUNTER = "any"  # never a reference


def _hour(instant: datetime) -> int:
    return (instant - FIRST) // ONE_HOUR


def _keys(form: Administration) -> set[Key]:
    if form.when is None:
        times: list[Key] = [("undated",)]
    else:
        instant = form.when.instant
        times = [("day", form.when.day), ("hour", _hour(instant)) if instant else ("untimed", form.when.day)]
    parts = (form.encounter, ANY_ENCOUNTER, _values(form))
    return {(*time, part) for time in times for part in parts}


def _values(form: Administration) -> Key:
    """Everything that two identical forms have in common."""
    return form.total, form.level, frozenset([(a.item, a.state, a.score, a.yes) for a in form.answers])


def _responses(form: Administration) -> set[str]:
    return {r for r in form.references if r.startswith("QuestionnaireResponse/")}


def _may_be_one(joined: _Joined, other: Administration) -> bool:
    form = joined.form
    if form.encounter and other.encounter and form.encounter != other.encounter:
        return False
    first, second = form.when, other.when
    if first is None or second is None:
        close = first is second
    elif first.instant and second.instant:
        close = abs(first.instant - second.instant) <= ONE_HOUR
    else:
        close = first.day == second.day
    return close and _agree(form, other) and not _two_halves(joined, other)


def _two_halves(joined: _Joined, other: Administration) -> bool:
    """Whether two responses each hold items that the other lacks: joined, they would be a form nobody filled in."""
    responses = _responses(other)
    if not responses or not joined.responses or not responses.isdisjoint(joined.responses):
        return False
    items, other_items = ({a.item for a in form.answers} for form in (joined.form, other))
    return not (items <= other_items or other_items <= items)


def _agree(form: Administration, other: Administration) -> bool:
    if form.total is not None and other.total is not None and form.total != other.total:
        return False
    if form.level and other.level and form.level != other.level:
        return False
    for answer in form.answers:
        twin = other.answer(answer.item)
        if twin and (twin.state, twin.score, twin.yes) != (answer.state, answer.score, answer.yes):
            return False
    return True


def _union(form: Administration, other: Administration) -> Administration:
    """Two forms that agree, as one; references are left to the caller."""
    answers = {a.item: a for a in other.answers} | {a.item: a for a in form.answers}
    return replace(
        form,
        when=max((f.when for f in (form, other) if f.when), key=moment, default=None),
        answers=tuple(answers[item] for item in sorted(answers, key=lambda item: (len(item), item))),
        total=form.total if form.total is not None else other.total,
        total_reference=form.total_reference or other.total_reference,
        level=form.level or other.level,
        level_reference=form.level_reference or other.level_reference,
        encounter=form.encounter or other.encounter,
        provisional=form.provisional or other.provisional,
        contradictory=form.contradictory or other.contradictory,
    )


def moment(when: When) -> tuple[date, bool, datetime, str]:
    """Sort key of a time: one with a time of day is later than the bare day."""
    if when.instant:
        return when.day, True, when.instant, ""
    return when.day, False, FIRST, when.text
