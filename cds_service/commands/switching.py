"""What `mhcds switch` does: in the store, or where that cannot be written in `switch.toml`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from cds_service.commands.options import print_done, print_json
from cds_service.commands.terminal import print_table
from cds_service.control import acts
from cds_service.control.acts import ActDone, Actor, SwitchRow, moment_words
from cds_service.control.refused import ActRefused
from cds_service.control.switch_file import file_off, file_on, read_switches
from cds_service.control.targets import SwitchTarget, known_of
from cds_service.errors import ConfigError, StoreUnavailable
from cds_service.serving.runtime import now_utc
from cds_service.settings.config import ServiceConfig, read_config
from cds_service.settings.files import SWITCHES
from cds_service.storage.opening import prepare
from cds_service.storage.store import Store

T = TypeVar("T")
STATES = {"off": "off", "pending": "waits for a second person"}


def off(folder: Path, target: SwitchTarget, by: str, reason: str, confirmed_by: str, *, in_file: bool) -> ActDone:
    """Switches off. Raises ActRefused."""
    config, now = settings(folder), now_utc()
    known = known_of(config)
    row = SwitchRow(id="file", target=target, at=now, state="off", by=by, reason=reason, confirmed_by=confirmed_by)
    if in_file:
        return file_off(folder / SWITCHES, row, known)
    try:
        return _in(config, lambda store: acts.switch_off(
            store, target, actor=Actor(by, "command"), reason=reason, now=now, known=known
        ))  # fmt: skip
    except StoreUnavailable as error:
        click.echo(f"{error}; {folder / SWITCHES} is used instead.", err=True)
        return file_off(folder / SWITCHES, row, known)


def on(folder: Path, target: SwitchTarget, by: str, reason: str) -> ActDone:
    """Switches on, in the file and in the store. Raises ActRefused."""
    config, now = settings(folder), now_utc()
    known, actor = known_of(config), Actor(by, "command")
    acts.check(actor, reason)
    known.check(target)
    filed = file_on(folder / SWITCHES, target, known)
    try:
        return _in(config, lambda store: acts.switch_on(
            store, target, actor=actor, reason=reason, now=now, known=known, filed=filed
        ))  # fmt: skip
    except StoreUnavailable as error:
        if filed is None:
            raise
        return ActDone(
            done=True, said=f"Taken out of {folder / SWITCHES}: {target.words}. Not on record, since {error}."
        )


def confirm(folder: Path, identifier: str, by: str) -> ActDone:
    """Confirms as a second person. Raises ActRefused."""
    actor = Actor(by, "command")
    return _in(settings(folder), lambda store: acts.confirm(store, identifier, actor=actor, now=now_utc()))


def status(folder: Path) -> tuple[tuple[SwitchRow, ...], tuple[str, ...]]:
    """What is switched off or waits, and what could not be read."""
    config = settings(folder)
    rows, problems = read_switches(folder / SWITCHES, known_of(config))
    try:
        return (*_in(config, lambda store: acts.switches(store, now_utc())), *rows), problems
    except StoreUnavailable as error:
        return rows, (*problems, f"{error}; what it has switched off is not listed")


def settings(folder: Path) -> ServiceConfig:
    """As far as they can be read: a mistake in them must keep nobody from stopping the service."""
    config, problems = read_config(folder)
    if problems:
        click.echo(f"{folder}: problems in the settings, see mhcds check-config; continuing.", err=True)
    return config


def _in(config: ServiceConfig, act: Callable[[Store], T]) -> T:
    """Raises StoreUnavailable also where the store cannot be opened."""
    try:
        store = prepare(config.store or "")
    except ConfigError as error:
        raise StoreUnavailable(str(error)) from error
    try:
        return act(store)
    finally:
        store.close()


def say(act: Callable[[], ActDone], *, as_json: bool) -> None:
    """What came of an act; a refusal ends the command."""
    try:
        done = act()
    except (ActRefused, ConfigError, StoreUnavailable) as error:
        raise click.ClickException(str(error)) from error
    print_done(done, as_json=as_json)


def say_status(folder: Path, *, as_json: bool) -> None:
    """The table of what is switched off; exits with 1 if not all of it could be read."""
    try:
        rows, problems = status(folder)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        print_json({"switches": rows, "problems": problems})
    elif rows:
        print_table(("id", "what", "state", "since, by", "reason"), map(_row, rows), whole=("id",))
    elif not problems:
        click.echo("Nothing is switched off.")
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        sys.exit(1)


def _row(row: SwitchRow) -> tuple[str, ...]:
    state = STATES[row.state] + (f", by {SWITCHES}" if row.file else "")
    by = f"{row.by}, confirmed by {row.confirmed_by}" if row.confirmed_by else row.by
    return row.id, row.target.words, state, f"{moment_words(row.at)}, {by}", row.reason
