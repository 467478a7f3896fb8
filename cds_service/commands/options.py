"""Options and exit errors shared by several commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from datetime import datetime

    from cds_service.control.acts import ActDone
    from cds_service.settings.config import ServiceConfig
    from cds_service.storage.store import Store


CONFIG, REQUIRED_CONFIG = (
    click.option(
        "--config",
        "folder",
        required=required,
        type=click.Path(path_type=Path),
        help="Folder with service.toml and sites/*.toml.",
    )
    for required in (False, True)
)
MODELS = click.option(
    "--model",
    "root",
    type=click.Path(path_type=Path),
    help="Folder of all models, of one outcome or of one version. The newest version is used. Default: those shipped.",
)


MOST_LINE = 200
SITE = click.option("--site", required=True, help="Id of the site.")
BY = click.option("--by", required=True, metavar="NAME", help="Who does this (recorded).")
REASON = click.option("--reason", required=True, metavar="TEXT", help="Why (recorded). No patient's name or id.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@contextmanager
def opened(folder: Path, *, ready: bool = False) -> Iterator[tuple[ServiceConfig, Store]]:
    """The settings in a folder and their store; any error of ours ends the command with its message.

    ready: with its tables as of this version, as where the service starts.
    """
    from cds_service.errors import ServiceError
    from cds_service.storage.opening import create_folder, open_store, prepare

    config = configured(folder)
    try:
        create_folder(config.store or "")
        store = (prepare if ready else open_store)(config.store or "")
        try:
            yield config, store
        finally:
            store.close()
    except ServiceError as error:
        raise click.ClickException(str(error)) from error


def configured(folder: Path | None) -> ServiceConfig:
    """The settings; exits with a clear message if they are invalid."""
    from cds_service.errors import ConfigError
    from cds_service.settings.config import default_config, load_config

    try:
        return load_config(folder) if folder else default_config()
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


def one_line(text: str, option: str) -> str:
    """A name or a reason; exits with a clear message if it is none."""
    text = text.strip()
    if not text or len(text) > MOST_LINE or not text.isprintable():
        raise click.ClickException(f"{option}: expected one line of 1 to {MOST_LINE} characters")
    return text


def print_json(value: object) -> None:
    """What --json prints, of anything that msgspec encodes."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value)))


def print_done(done: ActDone, *, as_json: bool) -> None:
    """What came of an act."""
    if as_json:
        print_json(done)
    else:
        click.echo(done.said)


@contextmanager
def written(file: Path | None) -> Iterator[TextIO]:
    """A new file for its owner alone, or without one standard output."""
    if file is None:
        yield sys.stdout
        return
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            yield out
    except OSError as error:
        raise click.ClickException(f"{file}: expected a new file that can be written ({error.strerror})") from error


def moment_option(text: str | None) -> datetime:
    """The moment of --as-of; exits with a clear message if it is invalid."""
    from cds_service.commands.assess_files import moment

    try:
        return moment(text)
    except (ValueError, OverflowError) as error:
        raise click.ClickException(
            f"--as-of: expected a date such as 2026-11-23 or a date and time; found {text!r}"
        ) from error
