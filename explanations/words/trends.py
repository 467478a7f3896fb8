"""A trend in words: its finding in a sentence or two, and every result as a row of a table.

Changes are stated in points and dates. What is incomplete, contradictory or without a date is said, not left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from explanations.judgement.timeline import Point, State, Timeline, window
from explanations.words.answers import answer_words
from explanations.words.language import language
from explanations.words.phrasebook import dated, long_day
from fhir_adapters.codesets.instruments import TITLES
from fhir_adapters.facts import AnswerState

# Eight items of 3 each make 24 (rule R6).
REACHED_WITH_ITEM_9 = 25
FREQUENT = {1: "several days", 2: "more than half the days", 3: "nearly every day"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendRow:
    """One result as a row; `item_9` is None for an instrument that has none."""

    date: str
    instrument: str
    total: str
    item_9: str | None
    state: str
    reference: str


def trend_rows(timeline: Timeline) -> tuple[TrendRow, ...]:
    """Every result, the latest first; those without a whole date come last."""
    placed = [point for point in timeline.points if point.day]
    others = [point for point in timeline.points if not point.day]
    return tuple(_row(point, timeline) for point in (*reversed(placed), *others))


def _row(point: Point, timeline: Timeline) -> TrendRow:
    return TrendRow(
        date=dated(point.when),
        instrument=TITLES[point.instrument],
        total="none" if point.total is None else f"{point.total} of {timeline.top}",
        item_9=item_9_words(point) if timeline.has_item_9 else None,
        state=state_words(point),
        reference=point.reference,
    )


def item_9_words(point: Point) -> str:
    """The answer to item 9: with its words, declined, left blank, could not be read, or not on file."""
    answer = point.item_9
    if answer is None:
        return "not on file"
    states = {
        AnswerState.BLANK: "left blank",
        AnswerState.DECLINED: "declined",
        AnswerState.UNREADABLE: "could not be read",
    }
    return states.get(answer.state) or answer_words(answer, point.instrument, language())


def state_words(point: Point) -> str:
    """How far the form is filled in and can be read."""
    states = {
        State.COMPLETE: "complete",
        State.TOTAL_ONLY: "total as recorded; its answers are not on file",
        State.INCOMPLETE: f"incomplete, {point.answered} of {point.items} answered; no total is given",
        State.CONTRADICTORY: "contradictory; check the source",
    }
    if point.state is State.TOTAL_ONLY and point.answered:
        said = f"total as recorded; {point.answered} of {point.items} answers on file"
    else:
        said = states[point.state]
    return f"{said}; provisional" if point.provisional else said


def trend_sentence(timeline: Timeline) -> str:
    """The finding of the trend, with what it leaves out."""
    known = [point for point in timeline.placed if point.total is not None]
    said = [_course(timeline, known), _item_9_of(known, timeline), *_item_9_unsaid(timeline)]
    said += _odd(timeline.placed, State.INCOMPLETE, "incomplete")
    said += _odd(timeline.placed, State.CONTRADICTORY, "contradictory")
    said.append(left_out_words(timeline))
    return " ".join(part for part in said if part)


def _course(timeline: Timeline, known: Sequence[Point]) -> str:
    if not known:
        return f"No {timeline.title} with a total and a whole date is on file."
    first, last = known[0], known[-1]
    if len(known) == 1:
        return f"One result: {_at(first)}."
    if first.day == last.day:
        listed = ", ".join(str(point.total) for point in known)
        return f"{len(known)} results on {_on(last)}: {listed}{_with_item_9(last)}."
    if len(known) == 2:
        return f"{_change(first, last)}{_with_item_9(last)}."
    before = known[-2]
    if _one_way(known[:-1]):
        return f"{_change(first, before)}, then {_at(last)}."
    totals = [point.total or 0 for point in known]
    span = f"{len(known)} results between {_on(first)} and {_on(last)}"
    return f"{span}, from {min(totals)} to {max(totals)}: first {first.total}, last {_at(last)}."


def _one_way(points: Sequence[Point]) -> bool:
    steps = [(two.total or 0) - (one.total or 0) for one, two in pairwise(points)]
    return all(step >= 0 for step in steps) or all(step <= 0 for step in steps)


def _change(one: Point, two: Point) -> str:
    dates = f"between {_on(one)} and {_on(two)}"
    if one.total == two.total:
        return f"{one.total} at both ends {dates}"
    return f"{'Fell' if (two.total or 0) < (one.total or 0) else 'Rose'} from {one.total} to {two.total} {dates}"


def _at(point: Point) -> str:
    return f"{point.total} on {_on(point)}{_with_item_9(point)}"


def _with_item_9(point: Point) -> str:
    score = point.item_9_score
    return f" with item 9 answered {FREQUENT[score]}" if score in FREQUENT else ""


def _on(point: Point) -> str:
    return long_day(point.day) if point.day else "a day not recorded"


def _item_9_of(known: Sequence[Point], timeline: Timeline) -> str:
    """Item 9 above 0 on earlier results, and on forms that have no total: those must not be lost in the line."""
    last = known[-1:]
    others = [point for point in timeline.placed if point.item_9_score and point not in last]
    if not others:
        return ""
    if len(others) == 1:
        return f"Item 9 was above 0 on {_on(others[0])}."
    return f"Item 9 was above 0 on {len(others)} {'other ' if last else ''}forms, the latest of {_on(others[-1])}."


def _item_9_unsaid(timeline: Timeline) -> list[str]:
    """Item 9 where a total or a picture would hide it: declined, unreadable, implied, or without a whole date."""
    points = timeline.points if timeline.has_item_9 else ()
    groups = (
        ("Item 9 was above 0", [p for p in points if p.item_9_score and not p.day]),
        ("Item 9 was declined", [p for p in points if _item_9_is(p, AnswerState.DECLINED)]),
        ("Item 9 could not be read", [p for p in points if _item_9_is(p, AnswerState.UNREADABLE)]),
        (
            f"A total of {REACHED_WITH_ITEM_9} or more cannot be reached without item 9, which is not on file",
            [p for p in points if p.item_9 is None and (p.total or 0) >= REACHED_WITH_ITEM_9],
        ),
    )
    return [f"{said}: {_days(found)}." for said, found in groups if found]


def _item_9_is(point: Point, state: AnswerState) -> bool:
    return point.item_9 is not None and point.item_9.state is state


def _days(points: Sequence[Point]) -> str:
    """The latest of them by its date; how many more there are."""
    latest = next((point for point in reversed(points) if point.day), points[0])
    more = len(points) - 1
    return f"{dated(latest.when)}{f' and {more} more' if more else ''}"


def _odd(points: Sequence[Point], state: State, word: str) -> list[str]:
    found = [point for point in points if point.state is state]
    if not found:
        return []
    if len(found) == 1:
        return [f"The form of {_on(found[0])} was {word}."]
    return [f"{len(found)} forms were {word}, the latest of {_on(found[-1])}."]


def left_out_words(timeline: Timeline) -> str:
    """What the picture has no place for: results before its first day, and those without a whole date up to today."""
    start = window(timeline)
    older = sum(point.day < start for point in timeline.placed if point.day)
    undated = len(timeline.points) - len(timeline.placed)
    said = [f"{older} from before {long_day(start)}"] if older else []
    said += [f"{undated} without a whole date up to today"] if undated else []
    return f"In the table only: {' and '.join(said)}." if said else ""
