"""Options and exit errors shared by several commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from datetime import datetime

    from cds_service.settings.config import ServiceConfig


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


def configured(folder: Path | None) -> ServiceConfig:
    """The settings; exits with a clear message if they are invalid."""
    from cds_service.errors import ConfigError
    from cds_service.settings.config import default_config, load_config

    try:
        return load_config(folder) if folder else default_config()
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


def moment_option(text: str | None) -> datetime:
    """The moment of --as-of; exits with a clear message if it is invalid."""
    from cds_service.commands.assess_files import moment

    try:
        return moment(text)
    except (ValueError, OverflowError) as error:
        raise click.ClickException(
            f"--as-of: expected a date such as 2026-11-23 or a date and time; found {text!r}"
        ) from error
