"""Things printed for people: progress of long work, and one assessment as readable text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cds_service.demo_ehr.terminal import card_panel
from cds_service.demo_ehr.terminal import console as console_on
from models.risk import NotScored

if TYPE_CHECKING:
    from cds_service.assess_files import Assessed

Report = Callable[[str, int, int], None]


def console() -> Console:
    """Standard output as a console; control codes only if it is a terminal."""
    return console_on(sys.stdout)


@contextmanager
def progress() -> Iterator[Report]:
    """A bar on standard error; elsewhere than on a terminal, one line a step. Yields (what, done, total) -> None."""
    if not sys.stderr.isatty():
        said: set[str] = set()

        def line(what: str, _done: int, total: int) -> None:
            if what not in said:
                said.add(what)
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


def print_assessed(result: Assessed) -> None:
    """One input: its cards, or that there is nothing to say; then why a model gave no score, and what is missing."""
    out = console()
    record = result.assessment.record
    out.rule(f"{result.name}: patient {record.patient_id}, as of {record.as_of:%d %b %Y %H:%M} UTC", align="left")
    for card in msgspec.to_builtins(result.cards):
        out.print(card_panel(card))
    if not result.cards:
        out.print("Looked, nothing to say. This does not say that the patient is well.")
    for score in result.assessment.scores:
        said = score.detail if isinstance(score, NotScored) else f"scored, {score.band.value.replace('-', ' ')}"
        out.print(f"Model {score.outcome}: {said}")
    out.print(f"{len(record.facts)} facts read, {len(result.assessment.missing)} model inputs missing.")
