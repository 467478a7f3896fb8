"""A trend in words: its finding in a sentence or two, and every result as a table row.

Changes are stated in points and dates. Incomplete, contradictory or undated results are mentioned, not left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import pairwise

from explanations.judgement.timeline import Point, PointState, Timeline, window
from explanations.words.findings.answers import OPTIONS, answer_words, none_words
from explanations.words.language import Language, later, many, shared_days
from explanations.words.tables import complete
from fhir_adapters.facts import AnswerState
from fhir_adapters.instruments import Band

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
        PointState.CONTRADICTORY: later("contradicts itself; check the source"),
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

# States of forms without a total, and the sentences that mention such forms.
ODD = (
    (
        PointState.INCOMPLETE,
        many("The form of {date} was incomplete.", "{count} forms were incomplete, most recently on {date}."),
    ),
    (
        PointState.CONTRADICTORY,
        many("The form of {date} contradicts itself.", "{count} forms contradict themselves, most recently on {date}."),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendRow:
    """One result as a row; `safety_answer` is None for an instrument without a self-harm item."""

    date: str
    instrument: str
    total: str
    safety_answer: str | None
    state: str
    reference: str


def title_words(timeline: Timeline, say: Language) -> str:
    """The instruments of a timeline: `PHQ-9`, `PHQ-9 and PHQ-9M`."""
    one, *others = (instrument.spec.title for instrument in timeline.instruments)
    return say("{one} and {other}", one=one, other=others[0]) if others else one


def trend_rows(timeline: Timeline, say: Language, zone: tzinfo | None = None) -> tuple[TrendRow, ...]:
    """Every result, latest first; those without a full date last. `zone`: of times, for results of one day."""
    others = [point for point in timeline.points if not point.day]
    shared = shared_days(point.when for point in timeline.placed)
    return tuple(
        _row(point, timeline, say, zone if point.day in shared else None)
        for point in (*reversed(timeline.placed), *others)
    )


def _row(point: Point, timeline: Timeline, say: Language, zone: tzinfo | None) -> TrendRow:
    return TrendRow(
        date=say.dated(point.when, zone),
        instrument=point.instrument.spec.title,
        # Translators: in the column of totals: there is none.
        total=say("none") if point.total is None else say("{total} of {top}", total=point.total, top=timeline.top),
        safety_answer=safety_words(point, say, unread=timeline.unread) if timeline.safety_item else None,
        state=state_words(point, say, unread=timeline.unread),
        reference=point.reference,
    )


def safety_words(point: Point, say: Language, *, unread: bool = False) -> str:
    """The answer to the self-harm item: in words, declined, left blank, could not be read, or not on file."""
    answer = point.safety_answer
    if answer is None:
        return none_words(say, unread=unread)
    if answer.state is AnswerState.ANSWERED:
        return answer_words(answer, point.instrument, say)
    return say(UNANSWERED[answer.state])


def state_words(point: Point, say: Language, *, unread: bool = False) -> str:
    """How complete and readable the form is."""
    message = STATE_WORDS[point.state]
    if point.state is PointState.TOTAL_ONLY and unread:
        message = later("total as recorded; its answers were not read")
    if point.state is PointState.TOTAL_ONLY and point.answered:
        message = later("total as recorded; {answered} of {items} answers on file")
    state = say(message, answered=point.answered, items=point.items)
    # Translators: `state` is what is said of a form, such as "complete".
    return say("{state}; provisional", state=state) if point.provisional else state


def trend_sentence(timeline: Timeline, say: Language) -> str:
    """The finding of the trend, and what it leaves out."""
    known = [point for point in timeline.placed if point.total is not None]
    parts = (
        _course(timeline, known, say),
        _safety_above_0(known, timeline, say),
        *_safety_unsaid(timeline, say),
        *_odd(timeline, say),
        left_out_words(timeline, say),
    )
    return " ".join(part for part in parts if part)


def _course(timeline: Timeline, known: Sequence[Point], say: Language) -> str:
    if not known:
        absent = later("No dated {instrument} total on file.")
        none = later("No dated {instrument} total was read.") if timeline.unread else absent
        return say(none, instrument=title_words(timeline, say))
    first, last = known[0], known[-1]
    start, end = _on(first, say), _on(last, say)
    if len(known) == 1:
        # Translators: `result` is a total with its date, such as "14 on 3 August 2026".
        return say("One result: {result}.", result=_at(first, say))
    if first.day == last.day:
        totals = ", ".join(
            [*(str(point.total) for point in known[:-1]), _with_safety_answer(str(last.total), last, say)]
        )
        return say.many(
            "{count} result on {date}: {totals}.",
            "{count} results on {date}: {totals}.",
            len(known),
            date=end,
            totals=totals,
        )
    if len(known) == 2:
        return say("{course}.", course=_with_safety_answer(_change(first, last, say), last, say))
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
    steps = [(end.total or 0) - (start.total or 0) for start, end in pairwise(points)]
    return all(step >= 0 for step in steps) or all(step <= 0 for step in steps)


def _change(before: Point, after: Point, say: Language) -> str:
    first, last = before.total or 0, after.total or 0
    message = (
        later("{first} on both {start} and {end}")
        if first == last
        else later("Fell from {first} to {last} between {start} and {end}")
        if last < first
        else later("Rose from {first} to {last} between {start} and {end}")
    )
    return say(message, first=first, last=last, start=_on(before, say), end=_on(after, say))


def _at(point: Point, say: Language) -> str:
    # Translators: a total and its date.
    result = say("{total} on {date}", total=point.total, date=_on(point, say))
    return _with_safety_answer(result, point, say)


def _with_safety_answer(result: str, point: Point, say: Language) -> str:
    """A result with the answer to the self-harm item if above 0."""
    if not point.safety_score:
        return result
    frequency = say(OPTIONS[point.instrument.spec.scale][point.safety_score])
    # Translators: "14 on 3 August 2026 with item 9 answered several days"; a change can stand in place of the result.
    return say(
        "{result} with item {item} answered {frequency}", result=result, item=point.safety_item, frequency=frequency
    )


def _on(point: Point, say: Language) -> str:
    return say.long_day(point.day) if point.day else say("a day not recorded")


def _safety_above_0(known: Sequence[Point], timeline: Timeline, say: Language) -> str:
    """Self-harm items above 0 on earlier results and on forms without a total, which the line would hide."""
    last = known[-1:]
    others = [point for point in timeline.placed if point.safety_score and point not in last]
    if not others:
        return ""
    item, date = others[-1].safety_item, _on(others[-1], say)
    if len(others) == 1:
        return say("Item {item} was above 0 on {date}.", item=item, date=date)
    if last:
        return say.many(
            "Item {item} was above 0 on {count} other form, most recently on {date}.",
            "Item {item} was above 0 on {count} other forms, most recently on {date}.",
            len(others),
            item=item,
            date=date,
        )
    return say.many(
        "Item {item} was above 0 on {count} form, most recently on {date}.",
        "Item {item} was above 0 on {count} forms, most recently on {date}.",
        len(others),
        item=item,
        date=date,
    )


def _safety_unsaid(timeline: Timeline, say: Language) -> list[str]:
    """Self-harm items that a total or picture would hide: declined, unreadable, implied, or without a full date."""
    points = timeline.points if timeline.safety_item else ()
    reached_with = timeline.instruments[0].spec.total_of_others + 1  # rule R6
    groups = (
        # Translators: `dates` is the date of the latest form, and how many more there are.
        (later("Item {item} was above 0: {dates}."), [p for p in points if p.safety_score and not p.day]),
        (later("Item {item} was declined: {dates}."), [p for p in points if _safety_is(p, AnswerState.DECLINED)]),
        (
            later("Item {item} could not be read: {dates}."),
            [p for p in points if _safety_is(p, AnswerState.UNREADABLE)],
        ),
        (
            later("A total of {total} or more means item {item} was above 0; its answer was not read: {dates}.")
            if timeline.unread
            else later("A total of {total} or more means item {item} was above 0; its answer is not on file: {dates}."),
            [p for p in points if p.safety_answer is None and (p.total or 0) >= reached_with],
        ),
    )
    named = {"item": timeline.safety_item, "total": reached_with}
    return [say(message, dates=_days(group, say), **named) for message, group in groups if group]


def _safety_is(point: Point, state: AnswerState) -> bool:
    return point.safety_answer is not None and point.safety_answer.state is state


def _days(points: Sequence[Point], say: Language) -> str:
    """The date of the latest, and how many more there are."""
    latest = say.dated(next((point for point in reversed(points) if point.day), points[0]).when)
    return say("{date} and {count} more", date=latest, count=len(points) - 1) if len(points) > 1 else latest


def _odd(timeline: Timeline, say: Language) -> list[str]:
    """Forms on the time axis without a total."""
    groups = ((messages, [point for point in timeline.placed if point.state is state]) for state, messages in ODD)
    return [say.many(*messages, len(points), date=_on(points[-1], say)) for messages, points in groups if points]


def left_out_words(timeline: Timeline, say: Language) -> str:
    """What the picture cannot show: results before its first day, and those without a full date up to today."""
    start = window(timeline)
    older = sum(point.day < start for point in timeline.placed if point.day)
    undated = len(timeline.points) - len(timeline.placed)
    message = (
        later("In the table only: {older} from before {date} and {undated} without a full date up to today.")
        if older and undated
        else later("In the table only: {older} from before {date}.")
        if older
        else later("In the table only: {undated} without a full date up to today.")
    )
    return say(message, older=older, undated=undated, date=say.long_day(start)) if older or undated else ""
