"""Parts of a trend: marks, labels, lanes of medicines and visits, and the key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from explanations.judgement.timeline import Lane, Point, PointState, Timeline, VisitDay
from explanations.pictures.svg import el, text, text_width, words
from explanations.pictures.trend_layout import MARK, Frame, segments, shortened
from explanations.words.language import Language
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
    placed: dict[str, str | float] = {"x": x, "y": y, "text_anchor": anchor, "font_size": 12}
    return el("text", words(content), **placed, fill="var(--ink)", stroke_linejoin="round", **look)


def medicine_lane(lane: Lane, frame: Frame, y: float, say: Language) -> list[str]:
    """A medicine: its name, a line from its first order to today, as it is active, and a tick per order.

    Dashed from the left edge if no order has a full date.
    """
    left, right, line = frame.area.left, frame.area.right, y + 22
    before = bool(lane.days) and lane.days[0] < frame.start
    name = shortened(lane.label or say("Medicine"), right - left - text_width(_begun(lane, frame, "", say)))
    inside = [when for when in lane.days if frame.shows(when)]
    x = left if before or not lane.days else frame.x(lane.days[0])
    dashes: dict[str, str | float] = {} if lane.days else {"stroke_dasharray": "2 3"}
    return [
        text(_begun(lane, frame, name, say), left, y + 12),
        el("line", x1=x, y1=line, x2=right, y2=line, stroke="var(--bar)", stroke_width=3, **dashes),
        *(_tick(frame.x(when), line - 5, line + 5) for when in inside),
    ]


def _begun(lane: Lane, frame: Frame, medicine: str, say: Language) -> str:
    """The name of a medicine, with the date of its first order if the lane cannot show it."""
    if not lane.days:
        return say("{medicine}, date of the order not recorded", medicine=medicine)
    if lane.days[0] < frame.start:
        # Translators: the date of the first order of a medicine.
        return say("{medicine}, since {date}", medicine=medicine, date=say.day(lane.days[0]))
    return medicine


def visit_lane(visits: Sequence[VisitDay], frame: Frame, y: float, say: Language) -> list[str]:
    """Visits as ticks on a line; mental-health visits have taller ticks that extend below it."""
    mental = any(visit.mental_health for visit in visits)
    line = y + 22
    # Translators: the key of a chart: visits for mental health have a long tick.
    caption = say("Visits (long: mental health)") if mental else say("Visits")
    return [
        text(caption, frame.area.left, y + 12),
        el("line", x1=frame.area.left, y1=line, x2=frame.area.right, y2=line, stroke="var(--axis)"),
        *(
            _tick(
                frame.x(visit.day), line - (7 if visit.mental_health else 4), line + (7 if visit.mental_health else 0)
            )
            for visit in visits
        ),
    ]


def _tick(x: float, top: float, bottom: float) -> str:
    return el("line", x1=x, y1=top, x2=x, y2=bottom, stroke="var(--bar)", stroke_width=2)


def key_entries(points: Sequence[Point], say: Language) -> list[Entry]:
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
    return entries


def _dashes(x: float, y: float) -> str:
    look: dict[str, str | float] = {"stroke": "var(--bar)", "stroke_width": 1.5, "stroke_dasharray": "4 4"}
    return el("line", x1=x - 7, y1=y, x2=x + 7, y2=y, **look)


def band_entries(timeline: Timeline, say: Language) -> list[Entry]:
    """The names of the bands, for a picture without room beside the plot."""
    starts = [start for start, _ in timeline.bands]
    ends = [*(start - 1 for start in starts[1:]), timeline.top]
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
        wide = (18 if draw else 0) + text_width(label, small=True) + 12
        if not placed or x + wide > right:
            x, y, placed = left, y + KEY_LINE, True
        if draw:
            drawn.append(draw(x + 7, y - 4))
        drawn.append(text(label, x + (18 if draw else 0), y, small=True, fill="muted"))
        x += wide
    return drawn, y
