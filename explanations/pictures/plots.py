"""A timeline to SVG text: results with their bands, and what else happened on the same time axis under them.

Rendered in three widths; the page shows the one that fits, so that labels keep their size. Colours are CSS variables:
`ink`, `muted`, `bar`, `band-a`, `band-b`, `axis`, `card`. Colour never means better or worse, lines join known totals
only, and none extends past the last result. The tables of `words.pages` are the full equivalent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from explanations.judgement.timeline import Point, Timeline, window
from explanations.pictures.plot_parts import (
    LANE_HEIGHT,
    band_entries,
    event_lane,
    halo,
    in_window,
    key,
    key_entries,
    mark,
    medicine_lane,
    note_lane,
    sheet,
    triangle,
    visit_lane,
)
from explanations.pictures.svg import Box, el, picture, text
from explanations.pictures.trend_layout import Frame, labels, segments, time_labels
from explanations.words.language import Language
from explanations.words.pages.events import crisis_caption, events_sentence
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


WIDE = Width(units=560, plot_height=190, right=124, name="wide")
NARROW = Width(units=330, plot_height=168, right=8, name="narrow")
SMALL = Width(units=250, plot_height=150, right=8, name="small")
LEFT, ABOVE = 28, 20


def trend(timeline: Timeline, width: Width, ident: str, say: Language) -> str:
    """The picture, or "" with fewer than two results. `ident` prefixes its ids and must be unique on the page."""
    shown = timeline.shown
    if not shown:
        return ""
    area = Box(LEFT, ABOVE, width.units - width.right, ABOVE + width.plot_height)
    frame = Frame(start=window(timeline), end=timeline.today, top=timeline.top, area=area)
    below, height = _below(timeline, shown, frame, width, say)
    drawn = [
        *_bands(timeline, frame, width, say),
        *_scale(timeline, frame, say),
        _course(shown, frame),
        *(mark(point.state, *frame.at(point), safety=bool(point.safety_score)) for point in shown),
        *(halo(label.text, label.x, label.y, label.anchor) for label in labels(shown, frame, say)),
        *below,
    ]
    title = say("{instrument} over time", instrument=title_words(timeline, say))
    finding = " ".join(filter(None, (trend_sentence(timeline, say), events_sentence(timeline, say))))
    return picture(f"{ident}-{width.name}", width.units, height, title, finding, drawn)


def _bands(timeline: Timeline, frame: Frame, width: Width, say: Language) -> Iterable[str]:
    starts = [start for start, _ in timeline.bands] or [0]
    for place, (low, high) in enumerate(zip(starts, [*starts[1:], timeline.top], strict=True)):
        upper, lower = frame.y(high), frame.y(low)
        colour = f"var(--band-{'ab'[place % 2]})"
        wide = frame.area.right - frame.area.left
        place_of = {"x": frame.area.left, "y": upper, "width": wide, "height": lower - upper}
        yield el("rect", class_="band", **place_of, fill=colour)
        if width is WIDE and timeline.bands:
            name = say(BAND_WORDS[timeline.bands[place][1]])
            yield text(name, frame.area.right + 8, (upper + lower) / 2 + 4, fill="muted", room=width.right - 12)


def _scale(timeline: Timeline, frame: Frame, say: Language) -> Iterable[str]:
    for tick in TICKS[timeline.top]:
        yield text(str(tick), frame.area.left - 6, frame.y(tick) + 4, anchor="end", fill="muted")
    floor = frame.area.bottom
    yield el("line", x1=frame.area.left, y1=floor, x2=frame.area.right, y2=floor, stroke="var(--axis)")
    for label in time_labels(frame, floor + 18, say):
        if label.anchor == "middle":
            yield el("line", x1=label.x, y1=floor, x2=label.x, y2=floor + 4, stroke="var(--axis)")
        yield text(label.text, label.x, label.y, anchor=label.anchor, fill="muted")


def _course(points: Sequence[Point], frame: Frame) -> str:
    """The lines between results with totals."""
    lines = []
    for start, end, solid in segments(points):
        (x1, y1), (x2, y2) = frame.at(start), frame.at(end)
        dashes = {} if solid else {"stroke_dasharray": "4 4"}
        lines.append(el("line", x1=x1, y1=y1, x2=x2, y2=y2, **dashes))
    return el("g", *lines, stroke="var(--bar)", stroke_width=1.5)


def _below(
    timeline: Timeline, shown: Sequence[Point], frame: Frame, width: Width, say: Language
) -> tuple[list[str], float]:
    """The parts below the time axis (events, medicines, visits, key, band names), and the total height."""
    y = frame.area.bottom + 30
    drawn: list[str] = []
    lanes = [lane for lane in timeline.lanes if in_window(lane, frame.start)]
    rows = [
        event_lane(crisis_caption(shown_crises, say), [c.day for c in shown_crises], triangle, frame)
        if (shown_crises := [crisis for crisis in timeline.crises if frame.shows(crisis.day)])
        else None,
        event_lane(say("Safety plan"), plans, sheet, frame)
        if (plans := [day for day in timeline.plans if frame.shows(day)])
        else None,
        *(medicine_lane(lane, frame, say) for lane in lanes[:MOST_LANES]),
        note_lane(say("and {count} more", count=len(lanes) - MOST_LANES), frame) if len(lanes) > MOST_LANES else None,
        visit_lane(visits, frame, say)
        if (visits := [visit for visit in timeline.visits if frame.shows(visit.day)])
        else None,
    ]
    for row in rows:
        if row:
            drawn += row(y)
            y += LANE_HEIGHT
    y += 6
    for entries in (key_entries(shown, lanes, say), [] if width is WIDE else band_entries(timeline, say)):
        lines, y = key(entries, frame.area.left, width.units - 4, y)
        drawn += lines
    return drawn, y + 6
