"""The layout of a trend: time window, scale, and labels that do not overlap. Pure geometry, in picture units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from explanations.judgement.timeline import Point, PointState
from explanations.pictures.svg import Box, text_box, text_width
from explanations.words.language import Language, later

SOLID_DAYS = 90
# Half the size of a mark, and the clearance around it.
MARK = 5.0
ROOM = 7.0
# Between two labels.
GAP = 4.0
Line = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The plot: the days and totals that it shows, and where. `inner`: padding at both ends of the time axis."""

    start: date
    end: date
    top: int
    area: Box
    inner: float = 10.0

    def x(self, when: date) -> float:
        """The x coordinate of a day."""
        share = (when - self.start).days / (self.end - self.start).days
        return self.area.left + self.inner + share * (self.area.right - self.area.left - 2 * self.inner)

    def y(self, total: float) -> float:
        """The y coordinate of a total."""
        return self.area.bottom - total / self.top * (self.area.bottom - self.area.top)

    def at(self, point: Point) -> tuple[float, float]:
        """The position of a result: at its total, or on the baseline without one."""
        when = point.day or self.end
        return self.x(when), self.y(min(max(point.total or 0, 0), self.top))

    def shows(self, when: date) -> bool:
        """Whether a day is within the window."""
        return self.start <= when <= self.end


def segments(points: Sequence[Point]) -> list[tuple[Point, Point, bool]]:
    """Consecutive results with totals, and whether they are at most 90 days apart. Others are skipped."""
    known = [point for point in points if point.total is not None]
    return [(start, end, _apart(start, end) <= SOLID_DAYS) for start, end in pairwise(known)]


def _apart(start: Point, end: Point) -> int:
    return (end.day - start.day).days if start.day and end.day else 0


def label_of(point: Point, say: Language) -> str:
    """The label of a mark: `14`, `14, item 9: 1`, `7 of 9`; for a cross only the item, or ""."""
    result = "" if point.state is PointState.CONTRADICTORY else str(point.total)
    if point.state is PointState.INCOMPLETE:
        # Translators: so many of the items of a form are answered.
        result = say("{answered} of {items}", answered=point.answered, items=point.items)
    if not point.safety_score:
        return result
    # Translators: beside a mark in a chart; keep it short. `result` is a total, or "7 of 9".
    message = later("{result}, item {item}: {score}") if result else later("item {item}: {score}")
    return say(message, result=result, item=point.safety_item, score=point.safety_score)


@dataclass(frozen=True, slots=True)
class Label:
    """A line of text and its position."""

    text: str
    x: float
    y: float
    anchor: str

    @property
    def box(self) -> Box:
        """The area it covers."""
        return text_box(self.text, self.x, self.y, self.anchor)


def labels(points: Sequence[Point], frame: Frame, say: Language) -> list[Label]:
    """The labels that fit: the latest result first, then those with item 9 above 0, then the first, then the others.

    A label overlaps no mark or other label. The first three kinds may cross a line if necessary; the others are left
    to the table.
    """
    at = {id(point): frame.at(point) for point in points}
    taken = [Box(x - ROOM, y - ROOM, x + ROOM, y + ROOM) for x, y in at.values()]
    lines = [(at[id(start)], at[id(end)]) for start, end, _ in segments(points)]
    edge = Box(frame.area.left + 2, 2, frame.area.right - 2, frame.area.bottom - 2)
    placed: list[Label] = []
    for place, point in _by_weight(points):
        must = bool(point.safety_score) or place in (0, len(points) - 1)
        chosen = _placed(_places(label_of(point, say), *at[id(point)]), edge, taken, lines, must=must)
        if chosen:
            placed.append(chosen[0])
            taken.append(chosen[1].wider(GAP))
    return placed


def _placed(
    places: Sequence[Label], edge: Box, taken: Sequence[Box], lines: Sequence[Line], *, must: bool
) -> tuple[Label, Box] | None:
    """The first free place that crosses no line; if it `must` be shown, one that does; else None."""
    second = None
    for label in places:
        box = label.box
        if box.within(edge) and not any(box.meets(other) for other in taken):
            if not any(_crosses(box, line) for line in lines):
                return label, box
            second = second or (label, box)
    return second if must else None


def _by_weight(points: Sequence[Point]) -> list[tuple[int, Point]]:
    last = len(points) - 1
    return sorted(
        enumerate(points), key=lambda pair: (pair[0] != last, not pair[1].safety_score, pair[0] != 0, -pair[0])
    )


def _places(text: str, x: float, y: float) -> list[Label]:
    """Above, below, right and left of a mark, and at its corners; none for empty text."""
    if not text:
        return []
    return [
        Label(text, x, y - ROOM - 3, "middle"),
        Label(text, x - ROOM, y - ROOM - 3, "start"),
        Label(text, x + ROOM, y - ROOM - 3, "end"),
        Label(text, x, y + ROOM + 12, "middle"),
        Label(text, x - ROOM, y + ROOM + 12, "start"),
        Label(text, x + ROOM, y + ROOM + 12, "end"),
        Label(text, x + ROOM + 2, y + 4, "start"),
        Label(text, x - ROOM - 2, y + 4, "end"),
        Label(text, x + ROOM + 2, y + ROOM + 9, "start"),
        Label(text, x - ROOM - 2, y + ROOM + 9, "end"),
        Label(text, x - ROOM - 2, y - ROOM - 2, "end"),
        Label(text, x + ROOM + 2, y - ROOM - 2, "start"),
    ]


def _crosses(box: Box, line: Line) -> bool:
    """Whether a straight line crosses a box, tested in small steps."""
    (x1, y1), (x2, y2) = line
    if max(x1, x2) < box.left or min(x1, x2) > box.right:
        return False
    steps = 1 + int(max(abs(x2 - x1), abs(y2 - y1)) / 3)
    return any(
        box.left <= x1 + (x2 - x1) * n / steps <= box.right and box.top <= y1 + (y2 - y1) * n / steps <= box.bottom
        for n in range(steps + 1)
    )


def time_labels(frame: Frame, y: float, say: Language) -> list[Label]:
    """Today at the right end, the first day at the left, and as many months between them as fit."""
    ends = [
        Label(say("today"), frame.area.right, y, "end"),
        Label(say.day(frame.start), frame.area.left, y, "start"),
    ]
    for every in (1, 2, 3, 6, 12, 24):
        months = [
            Label(say.month(first.year, first.month), frame.x(first), y, "middle")
            for first in _firsts(frame)
            if (first.year * 12 + first.month - 1) % every == 0
        ]
        shown = [label for label in months if not any(_near(label, end) for end in ends)]
        if all(not _near(left, right) for left, right in pairwise(shown)):
            return [*ends, *shown]
    return ends


def _near(left: Label, right: Label) -> bool:
    gap = 10
    return left.box.left - gap < right.box.right and right.box.left - gap < left.box.right


def _firsts(frame: Frame) -> Iterable[date]:
    year, month = frame.start.year, frame.start.month
    while (first := date(year, month, 1)) <= frame.end:
        if first >= frame.start:
            yield first
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)


def shortened(text: str, room: float) -> str:
    """A line truncated to the room available."""
    if text_width(text) <= room:
        return text
    cut, wide = "", text_width("…")
    for letter in text:
        wide += text_width(letter)
        if wide > room:
            break
        cut += letter
    return cut.rstrip() + "…"
