"""A trend in words: its finding in a sentence or two, and every result as a row of a table.

Changes are stated in points and dates. What is incomplete, contradictory or without a date is said, not left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from explanations.judgement.timeline import Point, PointState, Timeline, window
from explanations.words.answers import OPTIONS, answer_words
from explanations.words.language import Language, later
from explanations.words.tables import complete
from fhir_adapters.facts import AnswerState
from fhir_adapters.instruments import Band, Instrument

REACHED_WITH_ITEM_9 = Instrument.PHQ9.spec.total_of_others + 1  # rule R6
BAND_WORDS = complete(
    {
        # Translators: the published names of the bands of a total; they name the total, not the person.
        Band.MINIMAL: later("minimal"),
        Band.MILD: later("mild"),
        Band.MODERATE: later("moderate"),
        Band.MODERATELY_SEVERE: later("moderately severe"),
        Band.SEVERE: later("severe"),
    },
    Band,
)
STATE_WORDS = complete(
    {
        PointState.COMPLETE: later("complete"),
        PointState.TOTAL_ONLY: later("total as recorded; its answers are not on file"),
        PointState.INCOMPLETE: later("incomplete, {answered} of {items} answered; no total is given"),
        PointState.CONTRADICTORY: later("contradictory; check the source"),
    },
    PointState,
)
UNANSWERED = complete(
    {
        AnswerState.BLANK: later("left blank"),
        AnswerState.DECLINED: later("declined"),
        AnswerState.UNREADABLE: later("could not be read"),
    },
    set(AnswerState) - {AnswerState.ANSWERED},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendRow:
    """One result as a row; `item_9` is None for an instrument that has none."""

    date: str
    instrument: str
    total: str
    item_9: str | None
    state: str
    reference: str


def title_words(timeline: Timeline, say: Language) -> str:
    """The instruments of a timeline: `PHQ-9`, `PHQ-9 and PHQ-9M`."""
    one, *others = (instrument.spec.title for instrument in timeline.instruments)
    return say("{one} and {other}", one=one, other=others[0]) if others else one


def trend_rows(timeline: Timeline, say: Language) -> tuple[TrendRow, ...]:
    """Every result, the latest first; those without a whole date come last."""
    placed = [point for point in timeline.points if point.day]
    others = [point for point in timeline.points if not point.day]
    return tuple(_row(point, timeline, say) for point in (*reversed(placed), *others))


def _row(point: Point, timeline: Timeline, say: Language) -> TrendRow:
    return TrendRow(
        date=say.dated(point.when),
        instrument=point.instrument.spec.title,
        # Translators: in the column of totals: there is none.
        total=say("none") if point.total is None else say("{total} of {top}", total=point.total, top=timeline.top),
        item_9=item_9_words(point, say) if timeline.has_item_9 else None,
        state=state_words(point, say),
        reference=point.reference,
    )


def item_9_words(point: Point, say: Language) -> str:
    """The answer to item 9: with its words, declined, left blank, could not be read, or not on file."""
    answer = point.item_9
    if answer is None:
        return say("not on file")
    if answer.state is AnswerState.ANSWERED:
        return answer_words(answer, point.instrument, say)
    return say(UNANSWERED[answer.state])


def state_words(point: Point, say: Language) -> str:
    """How far the form is filled in and can be read."""
    message = STATE_WORDS[point.state]
    if point.state is PointState.TOTAL_ONLY and point.answered:
        message = later("total as recorded; {answered} of {items} answers on file")
    state = say(message, answered=point.answered, items=point.items)
    # Translators: `state` is what is said of a form, such as "complete".
    return say("{state}; provisional", state=state) if point.provisional else state


def trend_sentence(timeline: Timeline, say: Language) -> str:
    """The finding of the trend, with what it leaves out."""
    known = [point for point in timeline.placed if point.total is not None]
    parts = (
        _course(timeline, known, say),
        _item_9_of(known, timeline, say),
        *_item_9_unsaid(timeline, say),
        *_odd(timeline, say),
        left_out_words(timeline, say),
    )
    return " ".join(part for part in parts if part)


def _course(timeline: Timeline, known: Sequence[Point], say: Language) -> str:
    if not known:
        instrument = title_words(timeline, say)
        return say("No {instrument} with a total and a whole date is on file.", instrument=instrument)
    first, last = known[0], known[-1]
    start, end = _on(first, say), _on(last, say)
    if len(known) == 1:
        # Translators: `result` is a total with its date, such as "14 on 3 August 2026".
        return say("One result: {result}.", result=_at(first, say))
    if first.day == last.day:
        totals = ", ".join([*(str(point.total) for point in known[:-1]), _with_item_9(str(last.total), last, say)])
        return say.many(
            "{count} result on {date}: {totals}.",
            "{count} results on {date}: {totals}.",
            len(known),
            date=end,
            totals=totals,
        )
    if len(known) == 2:
        return say("{course}.", course=_with_item_9(_change(first, last, say), last, say))
    if _one_way(known[:-1]):
        # Translators: `course` is a change such as "Fell from 14 to 9 between 3 March 2026 and 1 June 2026".
        return say("{course}, then {result}.", course=_change(first, known[-2], say), result=_at(last, say))
    values, result = [point.total or 0 for point in known], _at(last, say)
    return say.many(
        "{count} result between {start} and {end}, from {lowest} to {highest}: first {first}, last {last}.",
        "{count} results between {start} and {end}, from {lowest} to {highest}: first {first}, last {last}.",
        len(known),
        start=start,
        end=end,
        lowest=min(values),
        highest=max(values),
        first=first.total,
        last=result,
    )


def _one_way(points: Sequence[Point]) -> bool:
    steps = [(two.total or 0) - (one.total or 0) for one, two in pairwise(points)]
    return all(step >= 0 for step in steps) or all(step <= 0 for step in steps)


def _change(one: Point, two: Point, say: Language) -> str:
    first, last = one.total or 0, two.total or 0
    message = (
        later("{first} at both ends between {start} and {end}")
        if first == last
        else later("Fell from {first} to {last} between {start} and {end}")
        if last < first
        else later("Rose from {first} to {last} between {start} and {end}")
    )
    return say(message, first=first, last=last, start=_on(one, say), end=_on(two, say))


def _at(point: Point, say: Language) -> str:
    # Translators: a total and its date.
    result = say("{total} on {date}", total=point.total, date=_on(point, say))
    return _with_item_9(result, point, say)


def _with_item_9(result: str, point: Point, say: Language) -> str:
    """A result with the answer to item 9 where that is above 0."""
    if not point.item_9_score:
        return result
    frequency = say(OPTIONS[point.instrument.spec.scale][point.item_9_score])
    # Translators: "14 on 3 August 2026 with item 9 answered several days"; a change can stand in place of the result.
    return say("{result} with item 9 answered {frequency}", result=result, frequency=frequency)


def _on(point: Point, say: Language) -> str:
    return say.long_day(point.day) if point.day else say("a day not recorded")


def _item_9_of(known: Sequence[Point], timeline: Timeline, say: Language) -> str:
    """Item 9 above 0 on earlier results, and on forms that have no total: those must not be lost in the line."""
    last = known[-1:]
    others = [point for point in timeline.placed if point.item_9_score and point not in last]
    if not others:
        return ""
    date = _on(others[-1], say)
    if len(others) == 1:
        return say("Item 9 was above 0 on {date}.", date=date)
    if last:
        return say.many(
            "Item 9 was above 0 on {count} other form, the latest of {date}.",
            "Item 9 was above 0 on {count} other forms, the latest of {date}.",
            len(others),
            date=date,
        )
    return say.many(
        "Item 9 was above 0 on {count} form, the latest of {date}.",
        "Item 9 was above 0 on {count} forms, the latest of {date}.",
        len(others),
        date=date,
    )


def _item_9_unsaid(timeline: Timeline, say: Language) -> list[str]:
    """Item 9 where a total or a picture would hide it: declined, unreadable, implied, or without a whole date."""
    points = timeline.points if timeline.has_item_9 else ()
    groups = (
        # Translators: `dates` is the date of the latest form, and how many more there are.
        (later("Item 9 was above 0: {dates}."), [p for p in points if p.item_9_score and not p.day]),
        (later("Item 9 was declined: {dates}."), [p for p in points if _item_9_is(p, AnswerState.DECLINED)]),
        (later("Item 9 could not be read: {dates}."), [p for p in points if _item_9_is(p, AnswerState.UNREADABLE)]),
        (
            later("A total of {total} or more cannot be reached without item 9, which is not on file: {dates}."),
            [p for p in points if p.item_9 is None and (p.total or 0) >= REACHED_WITH_ITEM_9],
        ),
    )
    return [say(message, dates=_days(group, say), total=REACHED_WITH_ITEM_9) for message, group in groups if group]


def _item_9_is(point: Point, state: AnswerState) -> bool:
    return point.item_9 is not None and point.item_9.state is state


def _days(points: Sequence[Point], say: Language) -> str:
    """The latest of them by its date; how many more there are."""
    latest = say.dated(next((point for point in reversed(points) if point.day), points[0]).when)
    return say("{date} and {count} more", date=latest, count=len(points) - 1) if len(points) > 1 else latest


def _odd(timeline: Timeline, say: Language) -> list[str]:
    """Forms on the time axis that give no total."""
    incomplete = [point for point in timeline.placed if point.state is PointState.INCOMPLETE]
    contradictory = [point for point in timeline.placed if point.state is PointState.CONTRADICTORY]
    sentences = []
    if incomplete:
        date = _on(incomplete[-1], say)
        sentences.append(
            say.many(
                "The form of {date} was incomplete.",
                "{count} forms were incomplete, the latest of {date}.",
                len(incomplete),
                date=date,
            )
        )
    if contradictory:
        date = _on(contradictory[-1], say)
        sentences.append(
            say.many(
                "The form of {date} was contradictory.",
                "{count} forms were contradictory, the latest of {date}.",
                len(contradictory),
                date=date,
            )
        )
    return sentences


def left_out_words(timeline: Timeline, say: Language) -> str:
    """What the picture has no place for: results before its first day, and those without a whole date up to today."""
    start = window(timeline)
    older = sum(point.day < start for point in timeline.placed if point.day)
    undated = len(timeline.points) - len(timeline.placed)
    message = (
        later("In the table only: {older} from before {date} and {undated} without a whole date up to today.")
        if older and undated
        else later("In the table only: {older} from before {date}.")
        if older
        else later("In the table only: {undated} without a whole date up to today.")
    )
    return say(message, older=older, undated=undated, date=say.long_day(start)) if older or undated else ""
