"""A timeline to SVG text: results with their bands, the medicines for mood and the visits on the same time axis.

Rendered in two widths; the page shows one. Colours are CSS variables: `ink`, `muted`, `bar`, `band-a`, `band-b`,
`axis`, `card`. Colour never means better or worse, lines join known totals only, and none extends past the last result.
The table of `words.pages.trends.trend_rows` is the full equivalent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from explanations.judgement.timeline import Point, Timeline, window
from explanations.pictures.plot_parts import (
    LANE_HEIGHT,
    band_entries,
    halo,
    key,
    key_entries,
    mark,
    medicine_lane,
    visit_lane,
)
from explanations.pictures.svg import Box, el, picture, text
from explanations.pictures.trend_layout import Frame, labels, segments, time_labels
from explanations.words.language import Language
from explanations.words.pages.trends import BAND_WORDS, title_words, trend_sentence

MOST_LANES = 6
TICKS = {27: (0, 5, 10, 15, 20, 27), 21: (0, 5, 10, 15, 21)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Width:
    """A width of the picture, in units; `right` is the margin beside the plot, for band names when wide."""

    units: int
    plot_height: int
    right: int
    name: str


WIDE = Width(units=640, plot_height=190, right=112, name="wide")
NARROW = Width(units=360, plot_height=168, right=8, name="narrow")
LEFT, ABOVE = 28, 20


def trend(timeline: Timeline, width: Width, ident: str, say: Language) -> str:
    """The picture, or "" without a placed result. `ident` prefixes its ids and must be unique on the page."""
    if not timeline.placed:
        return ""
    area = Box(LEFT, ABOVE, width.units - width.right, ABOVE + width.plot_height)
    frame = Frame(start=window(timeline), end=timeline.today, top=timeline.top, area=area)
    shown = [point for point in timeline.placed if point.day and frame.shows(point.day)]
    below, height = _below(timeline, shown, frame, width, say)
    drawn = [
        *_bands(timeline, frame, width, say),
        *_scale(timeline, frame, say),
        *(_line(start, end, frame, solid=solid) for start, end, solid in segments(shown)),
        *(mark(point.state, *frame.at(point), safety=bool(point.safety_score)) for point in shown),
        *(halo(label.text, label.x, label.y, label.anchor) for label in labels(shown, frame, say)),
        *below,
    ]
    title = say("{instrument} over time", instrument=title_words(timeline, say))
    return picture(f"{ident}-{width.name}", width.units, height, title, trend_sentence(timeline, say), drawn)


def _bands(timeline: Timeline, frame: Frame, width: Width, say: Language) -> Iterable[str]:
    starts = [start for start, _ in timeline.bands]
    for place, (low, high) in enumerate(zip(starts, [*starts[1:], timeline.top], strict=True)):
        upper, lower = frame.y(high), frame.y(low)
        colour = f"var(--band-{'ab'[place % 2]})"
        wide = frame.area.right - frame.area.left
        yield el("rect", x=frame.area.left, y=upper, width=wide, height=lower - upper, fill=colour)
        if width is WIDE:
            name = say(BAND_WORDS[timeline.bands[place][1]])
            yield text(name, frame.area.right + 8, (upper + lower) / 2 + 4, small=True, fill="muted")


def _scale(timeline: Timeline, frame: Frame, say: Language) -> Iterable[str]:
    for tick in TICKS[timeline.top]:
        yield text(str(tick), frame.area.left - 6, frame.y(tick) + 4, anchor="end", fill="muted")
    floor = frame.area.bottom
    yield el("line", x1=frame.area.left, y1=floor, x2=frame.area.right, y2=floor, stroke="var(--axis)")
    for label in time_labels(frame, floor + 18, say):
        if label.anchor == "middle":
            yield el("line", x1=label.x, y1=floor, x2=label.x, y2=floor + 4, stroke="var(--axis)")
        yield text(label.text, label.x, label.y, anchor=label.anchor, fill="muted")


def _line(start: Point, end: Point, frame: Frame, *, solid: bool) -> str:
    (x1, y1), (x2, y2) = frame.at(start), frame.at(end)
    dashes = {} if solid else {"stroke_dasharray": "4 4"}
    return el("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke="var(--bar)", stroke_width=1.5, **dashes)


def _below(
    timeline: Timeline, shown: list[Point], frame: Frame, width: Width, say: Language
) -> tuple[list[str], float]:
    """The parts below the time axis (lanes, visits, key, band names), and the total height."""
    y = frame.area.bottom + 30
    drawn: list[str] = []
    for lane in timeline.lanes[:MOST_LANES]:
        drawn += medicine_lane(lane, frame, y, say)
        y += LANE_HEIGHT
    left_out = len(timeline.lanes) - MOST_LANES
    if left_out > 0:
        note = say("and {count} more in the list of medicines", count=left_out)
        drawn.append(text(note, frame.area.left, y + 12, small=True, fill="muted"))
        y += 22
    visits = [visit for visit in timeline.visits if frame.shows(visit.day)]
    if visits:
        drawn += visit_lane(visits, frame, y, say)
        y += LANE_HEIGHT
    y += 6
    for entries in (key_entries(shown, say), [] if width is WIDE else band_entries(timeline, say)):
        lines, y = key(entries, frame.area.left, width.units - 4, y)
        drawn += lines
    return drawn, y + 6
