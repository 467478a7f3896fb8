"""Screening answers put together to forms.

One `Administration` is one form filled in once, whatever shape it came in: item Observations, a panel with members or
components, a total alone, or a QuestionnaireResponse. Nothing is imputed, no total is pro-rated, and forms are
never mixed to a total that nobody had. What an answer means is for `models.rules.safety_rules`.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from heapq import merge
from itertools import islice

from fhir_adapters.codesets.questions import Target
from fhir_adapters.facts import Administration, AnswerState, ItemAnswer, When
from fhir_adapters.instruments import SAFETY_ITEMS, Instrument
from fhir_adapters.reading.answers import (
    codings,
    graded,
    most_severe,
    nothing_there,
    overall_level,
    scores_by_code,
    total_in,
    yes_or_no,
)
from fhir_adapters.reading.response_items import items_of
from fhir_adapters.resources import r4


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One value of a form, before the form is put together."""

    instrument: Instrument
    item: str
    answer: ItemAnswer | None
    number: int | None
    level: str | None
    when: When | None
    encounter: str | None
    provisional: bool
    reference: str
    form: str | None


def pieces_of(
    target: Target,
    value: r4.Value,
    *,
    when: When | None,
    encounter: str | None,
    provisional: bool,
    reference: str,
    form: str | None,
) -> list[Piece]:
    """The piece that one coded value is; empty for a panel without a value of its own."""
    answer, number, level = None, None, None
    if target.item == "panel":
        if nothing_there(value):
            return []
        target = replace(target, item="total")
    if target.item == "total":
        if nothing_there(value):
            return []
        found = total_in(value)
        # A total that cannot be read is kept as -1: out of range, hence an anomaly, never nothing.
        number = int(found) if found is not None and found == int(found) else -1
    elif target.item == "level":
        level = overall_level(value)
        if level is None:
            if nothing_there(value):
                return []
            answer = ItemAnswer(item="level", state=AnswerState.UNREADABLE, reference=reference)
    elif target.item == "most-severe":
        answer = most_severe(value, reference)
        target = replace(target, item=answer.item)
    elif target.instrument.spec.yes_no or target.item in _further(target.instrument):
        answer = yes_or_no(target.item, value, reference)
    else:
        answer = graded(target.item, value, target.instrument, reference)
    return [
        Piece(
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
    ]


def _further(instrument: Instrument) -> tuple[str, ...]:
    safety = instrument.spec.safety
    return safety.further if safety else ()


NAMES_A_FORM = re.compile("|".join(i.spec.known_by for i in Instrument if i.spec.known_by), re.IGNORECASE)


def seems_a_screen(response: r4.QuestionnaireResponse) -> bool:
    """Whether a response is, by its canonical or its answer codes, one of the instruments: read or not read."""
    scores = {code for instrument in SAFETY_ITEMS for code in scores_by_code(instrument)}

    coded = any(c.code in scores for item in items_of(response) for answer in item.answer for c in codings(answer))
    return bool(NAMES_A_FORM.search(response.questionnaire or "")) or coded


ASKS_OF_SELF_HARM = re.compile(
    r"suicid|better off dead|(?:hurt|harm|kill)ing (?:your|my)self|self[- ]harm", re.IGNORECASE
)


def words_name_an_answer(response: r4.QuestionnaireResponse) -> bool:
    """Whether a question that is not mapped asks of self-harm in its words and has an answer that is no plain no."""
    return any(
        ASKS_OF_SELF_HARM.search((item.text or "")[:1000])
        and not nothing_there(answer)
        and (said := graded("words", answer, Instrument.PHQ9, "")).score != 0
        and said.yes is not False
        for item in items_of(response)
        for answer in item.answer
    )


def administrations(pieces: Iterable[Piece]) -> tuple[Administration, ...]:
    """Pieces put together to forms: by the form they name, else by instrument, encounter and hour.

    Loose pieces of one hour (of one day, where no time was recorded) are one form, also when they disagree: the worst
    answers stand, and the form is marked contradictory. Forms of one day that agree are one, unless they were filled in
    at different hours or in different encounters. The order of the pieces does not matter.
    """
    ordered = sorted(pieces, key=_order)
    teens = {p.form or _time(p) for p in ordered if p.instrument is Instrument.PHQ9M}
    groups: dict[tuple[object, ...], list[Piece]] = {}
    begun: dict[tuple[Instrument, str | None], datetime] = {}
    for piece in ordered:
        teen = piece.instrument is Instrument.PHQ9 and (piece.form or _time(piece)) in teens
        instrument = Instrument.PHQ9M if teen else piece.instrument
        moment: object = piece.form or _time(piece)
        if not piece.form and piece.when and piece.when.instant:
            start = begun.get((instrument, piece.encounter))
            if start is None or piece.when.instant - start > ONE_HOUR:
                start = begun[instrument, piece.encounter] = piece.when.instant
            moment = start
        groups.setdefault((instrument, moment, None if piece.form else piece.encounter), []).append(piece)
    forms = _merged([_form(key[0], group) for key, group in groups.items() if isinstance(key[0], Instrument)])
    return tuple(_checked(form) for form in _merged([_settled(form) for form in forms]))


def _order(piece: Piece) -> tuple[str, datetime, str, str, str]:
    instant = piece.when.instant if piece.when and piece.when.instant else FIRST
    return piece.instrument.value, instant, _time(piece), piece.item, piece.reference


FIRST = datetime.min.replace(tzinfo=UTC)


def _time(piece: Piece) -> str:
    return piece.when.text if piece.when else "undated"


def _merged(forms: Iterable[Administration]) -> list[Administration]:
    """Forms joined with the first earlier one that they can be one with."""
    kept = _Kept()
    for form in forms:
        place = next((n for n in kept.near(form) if _may_be_one(kept.joined[n], form)), None)
        if place is None:
            kept.add(form)
        else:
            kept.join(place, form)
    return [joined.whole() for joined in kept.joined]


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


class _Kept:
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


ONE_HOUR = timedelta(hours=1)


def _settled(form: Administration) -> Administration:
    """Items 1 and 2 of a PHQ-9 alone, without a total, are a PHQ-2."""
    items = {a.item for a in form.answers}
    if form.instrument is Instrument.PHQ9 and items and items <= {"1", "2"} and form.total is None:
        return replace(form, instrument=Instrument.PHQ2)
    return form


def _form(instrument: Instrument, pieces: list[Piece]) -> Administration:
    answers: dict[str, ItemAnswer] = {}
    conflict = len({p.number for p in pieces if p.number is not None}) > 1
    for piece in pieces:
        known = answers.get(piece.item)
        if piece.answer is None:
            continue
        conflict = conflict or (known is not None and _disagree(piece.answer, known))
        if known is None or _worse(piece.answer, known):
            answers[piece.item] = piece.answer
    total = max((p for p in pieces if p.number is not None), key=lambda p: p.number or 0, default=None)
    level = max((p for p in pieces if p.level), key=lambda p: GRAVITY.index(p.level or "low"), default=None)
    dated = [p.when for p in pieces if p.when]
    return Administration(
        instrument=instrument,
        when=max(dated, key=_moment, default=None),
        answers=tuple(answers.values()),
        total=total.number if total else None,
        total_reference=total.reference if total else None,
        level=level.level if level else None,
        level_reference=level.reference if level else None,
        encounter=next((p.encounter for p in pieces if p.encounter), None),
        provisional=any(p.provisional for p in pieces),
        contradictory=conflict,
        references=tuple(dict.fromkeys(p.reference for p in pieces)),
    )


def _disagree(one: ItemAnswer, other: ItemAnswer) -> bool:
    """Whether two answers to one question say different things; a yes and a score above 0 do not."""
    if one.score is not None and other.score is not None:
        return one.score != other.score
    return bool(one.score or one.yes) != bool(other.score or other.yes)


GRAVITY = ("low", "moderate", "high")


def _worse(one: ItemAnswer, other: ItemAnswer) -> bool:
    """Whether `one` is the more serious of two answers to the same question."""

    def rank(answer: ItemAnswer) -> tuple[int, int]:
        order = (AnswerState.BLANK, AnswerState.ANSWERED, AnswerState.DECLINED, AnswerState.UNREADABLE)
        said = answer.score if answer.score is not None else int(bool(answer.yes))
        return (10 if said else order.index(answer.state), said)

    return rank(one) > rank(other)


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
        when=max((f.when for f in (one, other) if f.when), key=_moment, default=None),
        answers=tuple(answers[item] for item in sorted(answers, key=lambda item: (len(item), item))),
        total=one.total if one.total is not None else other.total,
        total_reference=one.total_reference or other.total_reference,
        level=one.level or other.level,
        level_reference=one.level_reference or other.level_reference,
        encounter=one.encounter or other.encounter,
        provisional=one.provisional or other.provisional,
        contradictory=one.contradictory or other.contradictory,
    )


def _moment(when: When) -> tuple[date, bool, str]:
    return when.day, when.instant is not None, when.instant.isoformat() if when.instant else when.text


def _checked(form: Administration) -> Administration:
    """The form with its total checked against its items."""
    if form.instrument.spec.yes_no:
        return replace(form, contradictory=False)
    off_scale = any(a.out_of_range for a in form.answers)
    wrong = form.total is not None and not (0 <= form.total <= form.instrument.spec.top_total and total_fits(form))
    return replace(form, contradictory=form.contradictory or off_scale or wrong)


def total_fits(form: Administration) -> bool:
    """Whether the recorded total can be reached from the answers on file."""
    scores = form.item_scores
    if form.total is None or not scores:
        return True
    open_items = max(0, len(form.instrument.spec.items) - len(scores))
    return sum(scores) <= form.total <= sum(scores) + open_items * form.instrument.spec.top_item


def complete(form: Administration) -> bool:
    """Whether every item of a graded instrument has a score."""
    spec = form.instrument.spec
    return not spec.yes_no and all(form.score(item) is not None for item in spec.items)


def total_of(form: Administration) -> int | None:
    """The form's total: as recorded when it does not contradict its items, else the sum of complete items."""
    if form.contradictory:
        return None
    if form.total is not None:
        return form.total
    if complete(form):
        return sum(form.score(item) or 0 for item in form.instrument.spec.items)
    return None
