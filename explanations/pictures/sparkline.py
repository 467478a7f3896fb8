"""A small course of totals beside the sentence that says the same: decorative, hidden from screen readers."""

from __future__ import annotations

from collections.abc import Sequence

from explanations.judgement.timeline import Point
from explanations.pictures.svg import decoration, el

WIDTH, HEIGHT, EDGE = 120.0, 36.0, 5.0
MOST_POINTS = 12


def sparkline(points: Sequence[Point], today: int) -> str:
    """The last results, time and scale true; "" for fewer than two. today: its ordinal; the axis ends there.

    An item on self-harm above 0 is a diamond, as in the trend.
    """
    drawn = [point for point in points if point.day and point.total is not None][-MOST_POINTS:]
    if len(drawn) < 2:
        return ""
    first = min(point.day.toordinal() for point in drawn if point.day)
    days = max(1, today - first)

    def place(point: Point) -> tuple[float, float]:
        ordinal = point.day.toordinal() if point.day else today
        top = point.instrument.spec.top_total
        x = EDGE + (ordinal - first) / days * (WIDTH - 2 * EDGE)
        return round(x, 1), round(HEIGHT - EDGE - (point.total or 0) / top * (HEIGHT - 2 * EDGE), 1)

    places = [place(point) for point in drawn]
    line = " ".join(f"{x:g},{y:g}" for x, y in places)
    marks = [
        el("path", d=f"M{x:g} {y - 4:g}l4 4-4 4-4-4z", fill="var(--bar)")
        if point.safety_score
        else el("circle", cx=x, cy=y, r=2.5, fill="var(--bar)")
        for point, (x, y) in zip(drawn, places, strict=True)
    ]
    axis = el("line", x1=0, y1=HEIGHT - EDGE, x2=WIDTH, y2=HEIGHT - EDGE, stroke="var(--axis)")
    course = el("polyline", points=line, fill="none", stroke="var(--bar)", stroke_width=1.5)
    return decoration(WIDTH, HEIGHT, (axis, course, *marks))
