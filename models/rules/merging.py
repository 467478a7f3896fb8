"""Which records of the chart are of the same coded event: rule R8."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from fhir_adapters.facts import CodedEvent, Course, Setting
from fhir_adapters.reading.lists.conditions import severity

Key = tuple[object, ...]


def one_per_event(events: Iterable[CodedEvent]) -> list[CodedEvent]:
    """R8: codes of one encounter, or with the same first six characters, are one event, dated by its earliest record.

    Read so that a new act never hides behind an old date (decision 0003): an initial-encounter code (7th
    character A) more than seven days after the end of the earlier one's encounter is a new event, and so is a graver
    code of a later day in the same encounter. Codes that have no 7th character are one event only within an
    encounter, or with the same code on the same day.
    """
    index = _EventIndex()
    for event in sorted(events, key=_by_date):
        place = index.twin_of(event)
        if place is None:
            index.put(len(index.events), event)
            continue
        twin = index.events[place]
        graver = event if _rank(event) > _rank(twin) else twin
        merged = replace(
            graver,
            when=twin.when,
            subsequent=twin.subsequent and event.subsequent,
            provisional=twin.provisional and event.provisional,
            until=event.until or twin.until,
        )
        index.put(place, merged)
    return index.events


class _EventIndex:
    """The events so far, indexed to find the first that a further record belongs to.

    Only events that share a key can be the same, so a record is compared with few. An event that did not match an
    initial-encounter code is over, or followed up, for later codes too: it is `open` to them again only when another
    record is merged into it.
    """

    def __init__(self) -> None:
        self.events: list[CodedEvent] = []
        self._places: dict[Key, list[int]] = {}
        self._open: dict[Key, list[int]] = {}

    def put(self, place: int, event: CodedEvent) -> None:
        """Sets or appends the event at a place. Events come in the order of `_by_date`."""
        for old in self.events[place : place + 1]:
            for key in _keys(old):
                _drop(self._places[key], place)
                _drop(self._open[key], place)
        self.events[place : place + 1] = [event]
        for key in _keys(event):
            _add(self._places.setdefault(key, []), place)
            _add(self._open.setdefault(key, []), place)

    def twin_of(self, event: CodedEvent) -> int | None:
        """The first place whose event this record belongs to, or None."""
        encounter, stem, code = _encounter_key(event), _stem_key(event), _code_key(event)
        candidates = self._first(encounter, event), self._first_coded(stem if _has_7th(event) else code, event)
        return min((place for place in candidates if place is not None), default=None)

    def _first(self, key: Key, event: CodedEvent) -> int | None:
        places = self._places.get(key, ())
        return next((place for place in places if _same_event(self.events[place], event)), None)

    def _first_coded(self, key: Key, event: CodedEvent) -> int | None:
        if event.when is None and not _has_7th(event):
            return None  # an unknown day matches nothing
        if not _is_initial_care(event) or event.when is None:
            return self._first(key, event)
        still, n = self._open.get(key, []), 0
        while n < len(still):
            first = self.events[still[n]]
            if _same_event(first, event):
                return still[n]
            if first.encounter is not None and first.encounter == event.encounter:
                n += 1  # compared by encounter only: a code of another encounter may still match
            else:
                del still[n]
        return None


def _add(places: list[int], place: int) -> None:
    n = bisect_left(places, place)
    if places[n : n + 1] != [place]:
        places.insert(n, place)


def _drop(places: list[int], place: int) -> None:
    n = bisect_left(places, place)
    if places[n : n + 1] == [place]:
        del places[n]


def _keys(event: CodedEvent) -> list[Key]:
    return [_encounter_key(event), _stem_key(event), _code_key(event)]


def _encounter_key(event: CodedEvent) -> Key:
    # Without an encounter, the reference keeps the event apart.
    return event.course, "encounter", event.encounter, None if event.encounter else event.reference


def _stem_key(event: CodedEvent) -> Key:
    return event.course, event.system, _compared(event)[:6].ljust(6, "X")


def _code_key(event: CodedEvent) -> Key:
    return event.course, event.system, _compared(event), event.when.day if event.when else None


def _by_date(event: CodedEvent) -> tuple[bool, date, str]:
    return event.when is None, event.when.day if event.when else date.max, event.reference


def _rank(event: CodedEvent) -> tuple[bool, int]:
    return event.course is Course.ACTIVE, -severity(event.kind)


def _same_event(first: CodedEvent, second: CodedEvent) -> bool:
    """Whether the later of two records is of the earlier one's event; history and active never merge."""
    if first.course is not second.course:
        return False
    day, later = (e.when.day if e.when else None for e in (first, second))
    if first.encounter is not None and first.encounter == second.encounter:
        graver = severity(second.kind) < severity(first.kind)
        return not (graver and day and later and later > day)
    code, later_code = _compared(first), _compared(second)
    if first.system != second.system:
        return False
    if not _has_7th(second) or code[:6].ljust(6, "X") != later_code[:6]:
        return code == later_code and day is not None and day == later
    ended = first.until.day if first.until else day
    if not _is_initial_care(second) or day is None or later is None:
        return True
    # Initial care after recorded follow-up care is of a new event; so is initial care a week after the last.
    return not (first.subsequent and later > day) and (later - (ended or day)).days <= 7


def _compared(event: CodedEvent) -> str:
    return event.code.replace(".", "").upper()


def _has_7th(event: CodedEvent) -> bool:
    code = _compared(event)
    return len(code) == 7 and code[0].isalpha()


def _is_initial_care(event: CodedEvent) -> bool:
    """Whether the code means initial care; on a problem list, where codes stay, it does not."""
    return _has_7th(event) and _compared(event).endswith("A") and event.setting is not Setting.PROBLEM_LIST
