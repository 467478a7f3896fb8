"""Terminal output for people: cards, tables and progress.

Cards are panels that name their indicator; colour only repeats it: red for critical, amber for warning, blue for info.
Control codes are used on terminals only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import click
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import Markdown, TableElement
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from explanations.words.estimates.inputs import input_name
from explanations.words.language import language
from models.evaluation.drift import InputShift

Report = Callable[[str, int, int], None]


WIDEST = 100
"""Columns beyond which a card's lines are hard to read."""

COLOURS = {"critical": "#d03b3b", "warning": "#b87400", "info": "#2f7fd1"}
PLAIN = {
    "markdown.code": "bold",
    "markdown.item.bullet": "none",
    "markdown.item.number": "none",
    "markdown.link": "none",
    "markdown.link_url": "underline",
    "markdown.table.border": "dim",
    "markdown.table.header": "bold",
    "rule.line": "dim",
}


class _Rows(TableElement):
    """A table without the empty lines of its edge, which would stand beside those between blocks."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for part in super().__rich_console__(console, options):
            if isinstance(part, Table):
                part.show_edge = False
            yield part


class _Detail(Markdown):
    elements = Markdown.elements | {"table_open": _Rows}


def console_on(stream: TextIO) -> Console:
    """A console on a stream; control codes only if that is a terminal."""
    is_terminal = stream.isatty()
    plain = Console(
        file=stream,
        force_terminal=is_terminal,
        theme=Theme(PLAIN),
        highlight=False,
        emoji=False,
        markup=False,
        color_system="auto" if is_terminal else None,
    )
    plain.width = min(plain.width, WIDEST)
    return plain


def console() -> Console:
    """Standard output as a console."""
    return console_on(sys.stdout)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, whole: Sequence[str] = ()) -> None:
    """A table without lines on standard output. whole: the columns that never wrap."""
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading in whole)
    for row in rows:
        table.add_row(*row)
    console().print(table)


def print_card(out: Console, card: Mapping[str, Any]) -> None:
    """One card as a CDS client gets it. Links are outside the panel, so that a whole URL can be copied."""
    out.print(_panel(card))
    for link in card.get("links", ()):
        out.print(Text(f"  {link['label']}:"))
        out.print(Text(f"  {link['url']}"), soft_wrap=True)


def _panel(card: Mapping[str, Any]) -> Panel:
    indicator = str(card.get("indicator", ""))
    colour = COLOURS.get(indicator, "none")
    title = Text(indicator.upper(), style=f"bold {colour}")
    title.append(f" · {card['source']['topic']['code']!s}", style="none")
    parts: list[RenderableType] = [Text(str(card.get("summary", "")), style="bold")]
    if detail := str(card.get("detail") or "").strip():
        # A leading list or table has its own blank line.
        parts += [] if detail.startswith(("- ", "|")) else [Text()]
        parts.append(_Detail(detail, hyperlinks=False))
    if suggestions := [Text(f"[ {suggestion['label']} ]") for suggestion in card.get("suggestions", ())]:
        parts += [Text(), *suggestions]
    if reasons := [str(reason.get("display", "")) for reason in card.get("overrideReasons", ())]:
        parts += [Text(), Text("Override: " + " / ".join(reasons), style="dim")]
    return Panel(Group(*parts), title=title, title_align="left", border_style=colour, padding=(0, 1))


@contextmanager
def progress() -> Iterator[Report]:
    """A bar on standard error, or one line per step if not a terminal. Yields (what, done, total) -> None."""
    if not sys.stderr.isatty():
        printed: set[str] = set()

        def line(what: str, _done: int, total: int) -> None:
            if what not in printed:
                printed.add(what)
                click.echo(f"{what} ({total} steps)" if total > 1 else what, err=True)

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, int] = {}

        def update(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)  # type: ignore[arg-type]  # TaskID is an int

        yield update


def with_progress(what: str, names: Sequence[str]) -> Iterator[str]:
    """The names one by one, with a bar on standard error."""
    with progress() as report:
        for number, name in enumerate(names):
            report(what, number, len(names))
            yield name
        report(what, len(names), len(names))


def drift_table(title: str, shifts: Sequence[InputShift]) -> RenderableType:
    """The inputs whose mix differs from training, or one line that says there are none."""
    unlike = [shift for shift in shifts if shift.unlike]
    if not unlike:
        return Text(f"{title}: no input is unlike the training mix. That says nothing about how right estimates are.")
    table = Table(
        title=f"{title}: {len(unlike)} of {len(shifts)} inputs are unlike the training mix",
        caption="Estimates may be out here: compare them with outcomes, and recalibrate. "
        "PSI: population stability index of the values among those known; above 0.25 is a large shift.",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("input")
    for heading in ("known here", "known in training", "PSI"):
        table.add_column(heading, justify="right")
    for shift in unlike:
        psi = "too few" if shift.psi is None else f"{shift.psi:.2f}"
        table.add_row(
            f"{input_name(shift.name, language())} ({shift.name})",
            f"{shift.known:.0%}",
            f"{shift.known_in_training:.0%}",
            psi,
        )
    return table
