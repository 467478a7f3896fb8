"""One assessed input on a terminal: its cards, results over time, estimates with their reasons, and what was known.

Bars and marks repeat the words beside them. Readable from 60 columns on.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cds_service.commands.assess_files import Assessed
from cds_service.commands.terminal import console, print_card
from explanations.judgement.timeline import Point, PointState, Timeline, timelines
from explanations.words.language import Language, capitalised
from explanations.words.pages.availability import Availability, availability
from explanations.words.pages.estimates import EstimateView, estimate_views
from explanations.words.pages.trends import TrendRow, title_words, trend_rows, trend_sentence
from explanations.words.tables import complete
from smart_launch.pages.markdown import plain

MOST_RESULTS = 6
POINTS_A_CELL = 2
SIDE = 8
"""Cells of a reason's bar to either side: a log-odds of 1, as on the app's pages."""
MARKS = complete(
    {
        Availability.READ: "■",
        Availability.TOO_OLD: "◪",
        Availability.NOT_ON_FILE: "□",
        Availability.NOT_READ: "⊠",
        Availability.WITHHELD: "⊠",
    },
    Availability,
)


def print_assessed(result: Assessed) -> None:
    """One input: its cards, or that there is nothing to say; then the parts above and what was read in figures."""
    out, chart, settings = console(), result.assessment.chart, result.site.cards
    say = result.site.languages[0]
    out.rule()
    out.print(Text(f"{result.name}: patient {chart.patient_id}, as of {chart.as_of:%d %b %Y %H:%M} UTC", "bold"))
    for card in msgspec.to_builtins(result.cards):
        print_card(out, card)
    if not result.cards:
        out.print("No cards. This does not mean that the patient is well.")
    for timeline in timelines(chart, settings.region).values():
        if timeline.points:
            out.print(*_results(timeline, say), sep="\n")
    # What is said of every estimate on the same side of its threshold is said once.
    sides: set[bool] = set()
    for view in estimate_views(result.assessment, settings, say):
        out.print(*_estimate(view, again=bool(view.rows) and view.above in sides), sep="\n")
        sides |= {view.above} if view.rows else set()
    out.print(Text(f"\n{say('What was known')}", style="bold"))
    known = _columns()
    for row in availability(result.assessment, say):
        known.add_row(MARKS[row.state], Text(f"{row.part}: {row.words}. {capitalised(row.holds)}.", overflow="fold"))
    out.print(known)
    missing = f", {len(result.assessment.missing)} model inputs missing" if settings.region.models else ""
    out.print(f"{len(chart.facts)} facts read{missing}.")


def _results(timeline: Timeline, say: Language) -> Iterator[RenderableType]:
    yield Text(f"\n{say('{instrument} over time', instrument=title_words(timeline, say))}", style="bold")
    yield Text(trend_sentence(timeline, say))
    undated = (point for point in timeline.points if not point.day)
    points = (*reversed(timeline.placed), *undated)
    table = _columns()
    table.show_header = True
    beside = say("Item %(item)s") % {"item": timeline.safety_item} if timeline.safety_item else ""
    for heading in (say("Date"), "", say("Total"), beside):
        table.add_column(Text(heading, style="dim"))
    for row, point in list(zip(trend_rows(timeline, say), points, strict=True))[:MOST_RESULTS]:
        table.add_row(row.date, _cells(point, timeline.top), row.total, _beside(row, point))
    yield table
    if len(points) > MOST_RESULTS:
        yield Text(f"  {say('and {count} more', count=len(points) - MOST_RESULTS)}")


def _cells(point: Point, top: int) -> str:
    """A total as a bar, a cell for two points, dotted up to the most; without a total nothing, which is not zero."""
    if point.total is None:
        return ""
    wide = -(-top // POINTS_A_CELL)
    whole, half = divmod(min(max(point.total, 0), top), POINTS_A_CELL)
    return ("█" * whole + "▌" * half).ljust(wide, "·")


def _beside(row: TrendRow, point: Point) -> Text:
    """The answer to the item on self-harm, in bold above 0, and the state of a form that is not complete."""
    said = Text()
    if row.safety_answer:
        said.append(row.safety_answer, style="bold" if point.safety_score else "none")
    if point.state is not PointState.COMPLETE or point.provisional:
        said.append(f"; {row.state}" if row.safety_answer else row.state)
    return said


def _estimate(view: EstimateView, *, again: bool) -> Iterator[RenderableType]:
    """again: its detail has been said."""
    yield Text(f"\n{view.headline}", style="bold")
    if not again:
        yield Text(view.detail)
    if view.share:
        yield Text(view.share)
    if view.above:
        table = _columns()
        for row in view.rows:
            table.add_row(Text(plain(row.what), overflow="fold"), _sides(row.log_odds), row.change)
        yield table


def _sides(log_odds: float) -> str:
    """A bar to the left, shaded, if it lowered the estimate; to the right, solid, if it raised it."""
    cells = min(SIDE, max(1, round(abs(log_odds) * SIDE)))
    return f"{'▒' * cells:>{SIDE}}│{'':{SIDE}}" if log_odds < 0 else f"{'':{SIDE}}│{'█' * cells:<{SIDE}}"


def _columns() -> Table:
    """A table without lines or headings."""
    return Table(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 1))
