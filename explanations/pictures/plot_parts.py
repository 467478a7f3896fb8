"""Parts of a trend: marks, labels, lanes of medicines and visits, and the key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from explanations.judgement.timeline import Lane, Point, PointState, Run, Timeline, VisitDay
from explanations.pictures.svg import TEXT_SIZE, el, text, text_width, value_of, words
from explanations.pictures.trend_layout import MARK, Frame, segments, shortened
from explanations.words.language import Language
from explanations.words.pages.events import lane_caption
from explanations.words.pages.trends import BAND_WORDS

LANE_HEIGHT = 32.0
KEY_LINE = 16.0
Entry = tuple[Callable[[float, float], str] | None, str]


def mark(state: PointState, x: float, y: float, *, safety: bool) -> str:
    """The mark of a result: a disc; a diamond where item 9 is above 0; hollow when incomplete; a cross when odd."""
    if state is PointState.CONTRADICTORY:
        a = MARK - 0.5
        path = f"M{x - a:.1f} {y - a:.1f}L{x + a:.1f} {y + a:.1f}M{x - a:.1f} {y + a:.1f}L{x + a:.1f} {y - a:.1f}"
        return el("path", d=path, stroke="var(--ink)", stroke_width=2, fill="none")
    hollow = state is PointState.INCOMPLETE
    look: dict[str, str | float] = {
        "fill": "var(--card)" if hollow else "var(--ink)" if safety else "var(--bar)",
        "stroke": "var(--bar)" if hollow else "var(--card)",
        "stroke_width": 1.5,
    }
    if safety:
        a = MARK + 1.5
        points = ((x, y - a), (x + a, y), (x, y + a), (x - a, y))
        return el("polygon", points=" ".join(f"{px:.1f},{py:.1f}" for px, py in points), **look)
    return el("circle", cx=x, cy=y, r=MARK - 0.5, **look)


def halo(content: str, x: float, y: float, anchor: str) -> str:
    """Text with an outline that keeps it readable on top of a line."""
    look: dict[str, str | float] = {"stroke": "var(--band-a)", "stroke_width": 3, "paint_order": "stroke"}
    placed: dict[str, str | float] = {"x": x, "y": y, "text_anchor": anchor, "font_size": TEXT_SIZE}
    return el("text", words(content), **placed, fill="var(--ink)", stroke_linejoin="round", **look)


Row = Callable[[float], list[str]]
"""A lane, drawn with its upper edge at the height given."""


def medicine_lane(lane: Lane, frame: Frame, say: Language) -> Row:
    """A medicine: its name, a line for each stretch, a tick per order, and a square at a recorded end.

    A stretch without a recorded end is a short dotted line that reaches nowhere; one without a date of its order is
    dotted from the left edge.
    """
    left, right = frame.area.left, frame.area.right
    name = shortened(lane.label or say("Medicine"), right - left - text_width(lane_caption("", lane, frame.start, say)))
    caption = lane_caption(name, lane, frame.start, say)

    def drawn(y: float) -> list[str]:
        line = y + 22
        parts = [text(caption, left, y + 12, room=right - left)]
        if not lane.runs:
            parts.append(_stretch(left, right, line, dotted=True))
        for run in lane.runs:
            parts += _run(run, frame, line)
        return parts

    return drawn


def _run(run: Run, frame: Frame, y: float) -> list[str]:
    begun = frame.area.left if run.days[0] < frame.start else frame.x(run.days[0])
    ticks = [_tick(frame.x(day), y - 5, y + 5) for day in run.days if frame.shows(day)]
    if run.active:
        return [_stretch(begun, frame.area.right, y), *ticks]
    if run.end and frame.shows(run.end):
        end = frame.x(run.end)
        return [_stretch(begun, end, y), *ticks, _square(end, y)]
    if run.end is None and frame.shows(run.days[-1]):
        last = frame.x(run.days[-1])
        return [_stretch(begun, last, y), _stretch(last, min(last + STUB, frame.area.right), y, dotted=True), *ticks]
    return []


STUB = 18.0


def in_window(lane: Lane, start: date) -> bool:
    """Whether any of a medicine lies in a window that ends today."""
    return lane.active or any((run.end or run.days[-1]) >= start for run in lane.runs)


def _stretch(start: float, end: float, y: float, *, dotted: bool = False) -> str:
    dots: dict[str, str | float] = {"stroke_dasharray": "2 3"} if dotted else {}
    return el("line", x1=start, y1=y, x2=end, y2=y, stroke="var(--bar)", stroke_width=3, **dots)


def _square(x: float, y: float) -> str:
    """The mark of an end."""
    return el("rect", x=x - 4, y=y - 4, width=8, height=8, fill="var(--card)", stroke="var(--bar)", stroke_width=2)


def triangle(x: float, y: float) -> str:
    """The mark of a crisis."""
    corners = ((x, y - 7), (x + 6, y + 4), (x - 6, y + 4))
    points = " ".join(f"{value_of(px)},{value_of(py)}" for px, py in corners)
    return el("polygon", points=points, fill="var(--ink)", stroke="var(--card)", stroke_width=1.5)


def sheet(x: float, y: float) -> str:
    """The mark of a safety plan."""
    return el("rect", x=x - 4, y=y - 6, width=8, height=11, fill="var(--card)", stroke="var(--ink)", stroke_width=2)


def event_lane(caption: str, days: Sequence[date], mark_of: Callable[[float, float], str], frame: Frame) -> Row:
    """Marks of single days on a line, under a caption."""
    left, right = frame.area.left, frame.area.right
    return lambda y: [
        text(shortened(caption, right - left), left, y + 12),
        el("line", x1=left, y1=y + 23, x2=right, y2=y + 23, stroke="var(--axis)"),
        *(mark_of(frame.x(day), y + 23) for day in days),
    ]


def note_lane(note: str, frame: Frame) -> Row:
    """A line of text in place of lanes."""
    return lambda y: [text(note, frame.area.left, y + 12, fill="muted", room=frame.area.right - frame.area.left)]


def visit_lane(visits: Sequence[VisitDay], frame: Frame, say: Language) -> Row:
    """Visits as ticks on a line; mental-health visits have taller ticks that extend below it."""
    long = {frame.x(visit.day) for visit in visits if visit.mental_health}
    # Translators: the key of a chart: visits for mental health have a long tick.
    caption = say("Visits (long: mental health)") if long else say("Visits")
    return event_lane(
        caption,
        [visit.day for visit in visits],
        lambda x, y: _tick(x, y - (7 if x in long else 4), y + (7 if x in long else 0)),
        frame,
    )


def _tick(x: float, top: float, bottom: float) -> str:
    return el("line", x1=x, y1=top, x2=x, y2=bottom, stroke="var(--bar)", stroke_width=2)


def key_entries(points: Sequence[Point], lanes: Sequence[Lane], say: Language) -> list[Entry]:
    """The meaning of the marks and lines in use."""

    def marked(state: PointState, *, safety: bool = False) -> Callable[[float, float], str]:
        return lambda x, y: mark(state, x, y, safety=safety)

    shown = {(point.state, bool(point.safety_score)) for point in points}
    entries: list[Entry] = []
    if any(safety and state is not PointState.CONTRADICTORY for state, safety in shown):
        entries.append(
            (marked(PointState.COMPLETE, safety=True), say("item {item} above 0", item=points[0].safety_item))
        )
    if any(state is PointState.INCOMPLETE for state, _ in shown):
        entries.append((marked(PointState.INCOMPLETE), say("incomplete, no total")))
    if any(state is PointState.CONTRADICTORY for state, _ in shown):
        entries.append((marked(PointState.CONTRADICTORY), say("contradicts itself, no total")))
    if any(not solid for _, _, solid in segments(points)):
        entries.append((_dashes, say("more than 90 days apart")))
    if any(run.end for lane in lanes for run in lane.runs):
        # Translators: the key of a mark: on this day a medicine ended.
        entries.append((_square, say("end of a medicine")))
    if any(run.end is None and not run.active for lane in lanes for run in lane.runs):
        entries.append((lambda x, y: _stretch(x - 7, x + 7, y, dotted=True), say("end not recorded")))
    return entries


def _dashes(x: float, y: float) -> str:
    look: dict[str, str | float] = {"stroke": "var(--bar)", "stroke_width": 1.5, "stroke_dasharray": "4 4"}
    return el("line", x1=x - 7, y1=y, x2=x + 7, y2=y, **look)


def band_entries(timeline: Timeline, say: Language) -> list[Entry]:
    """The names of the bands, if they are shown, for a picture without room beside the plot."""
    starts = [start for start, _ in timeline.bands]
    ends = [*(start - 1 for start in starts[1:]), timeline.top] if starts else []
    return [
        # Translators: a range of totals and its name, such as "mild".
        (None, say("{low}–{high} {band}", low=low, high=high, band=say(BAND_WORDS[band])))
        for (low, band), high in zip(timeline.bands, ends, strict=True)
    ]


def key(entries: Iterable[Entry], left: float, right: float, y: float) -> tuple[list[str], float]:
    """The entries, wrapped into lines, and the lower edge of the last line."""
    drawn: list[str] = []
    x, placed = left, False
    for draw, label in entries:
        wide = (18 if draw else 0) + text_width(label) + 12
        if not placed or x + wide > right:
            x, y, placed = left, y + KEY_LINE, True
        if draw:
            drawn.append(draw(x + 7, y - 4))
        begins = x + (18 if draw else 0)
        drawn.append(text(label, begins, y, fill="muted", room=right - begins))
        x += wide
    return drawn, y
