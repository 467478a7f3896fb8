"""`mhcds mode`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cds_service.commands.options import AS_JSON, BY, CONFIG, REASON, REQUIRED_CONFIG, SITE

if TYPE_CHECKING:
    from datetime import datetime

MODES = ("off", "silent", "silent-with-review", "pilot", "trial", "live")


@click.group(invoke_without_command=True)
@CONFIG
@AS_JSON
@click.pass_context
def mode(context: click.Context, folder: Path | None, as_json: bool) -> None:
    """What a model may do at a site: off, silent, silent-with-review, pilot, trial, live. Rules have no mode.

    Without a subcommand it is `mode show`.
    """
    if context.invoked_subcommand is None and folder is not None:
        context.invoke(mode_show, folder=folder, as_json=as_json)
    elif context.invoked_subcommand is None:
        click.echo(context.get_help())


@mode.command("show")
@REQUIRED_CONFIG
@AS_JSON
def mode_show(folder: Path, as_json: bool) -> None:
    """Show the mode of every model, since when, by whom, and whether it is approved."""
    from cds_service.commands import modes

    modes.show(folder, as_json=as_json)


@mode.command("set")
@REQUIRED_CONFIG
@click.argument("wanted", metavar="MODE", type=click.Choice(MODES))
@SITE
@click.option("--service", default="", help="Id of one service. Default: all.")
@click.option("--model", required=True, metavar="OUTCOME[@VERSION]", help="Such as depression, or depression@3.0.0.")
@BY
@REASON
@click.option("--approval", default="", metavar="ID", help="The approval that allows it. Default: the valid one.")
@click.option("--user", "users", multiple=True, help="Pilot: a user, such as Practitioner/123. Repeatable.")
@click.option("--department", "departments", multiple=True, help="Pilot: Location/… or Organization/…. Repeatable.")
@click.option(
    "--share", type=float, help="0 to 1: the share of patients in a pilot, or of answers to review (default 0.05)."
)
@AS_JSON
def mode_set(  # noqa: PLR0913  # one argument an option
    *,
    folder: Path,
    wanted: str,
    site: str,
    service: str,
    model: str,
    by: str,
    reason: str,
    approval: str,
    users: tuple[str, ...],
    departments: tuple[str, ...],
    share: float | None,
    as_json: bool,
) -> None:
    """Set the mode of a model, as of the next call. At a governed site, a model needs an approval to speak."""
    from cds_service.commands import modes
    from cds_service.control.acts import ModeRow
    from cds_service.control.targets import Mode
    from cds_service.serving.runtime import now_utc

    outcome, _, version = model.partition("@")
    row = ModeRow(
        site=site, service=service, outcome=outcome, version=version, mode=Mode(wanted), at=now_utc(), by=by,
        reason=reason, through="command", approval=approval, users=users, departments=departments,
    )  # fmt: skip
    modes.change(folder, row, share, as_json=as_json)


@mode.command("review")
@REQUIRED_CONFIG
@SITE
@click.option("--since", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]), help="From this day on, UTC.")
@AS_JSON
def mode_review(folder: Path, site: str, since: datetime | None, as_json: bool) -> None:
    """List the answers in the sample for review: time, pseudonym of the patient, estimates."""
    from cds_service.commands import modes

    modes.review(folder, site, since, as_json=as_json)
