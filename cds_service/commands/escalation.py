"""`mhcds escalation`: who was told of acute answers, who has them, and what nobody has yet."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cds_service.commands.options import AS_JSON, BY, REQUIRED_CONFIG, one_line, opened, print_json

if TYPE_CHECKING:
    from cds_service.escalation.records import EscalationRow

HEADINGS = ("id", "opened", "site", "told last", "state", "by")
THROUGH = "command"
ID = click.argument("identifier", metavar="ID")


@click.group()
def escalation() -> None:
    """Escalations of acute answers: list, acknowledge, hand back, close."""


@escalation.command("list")
@REQUIRED_CONFIG
@click.option("--site", help="One site only. Default: all.")
@click.option("--all", "every", is_flag=True, help="Include acknowledged and closed ones.")
@AS_JSON
def escalation_list(folder: Path, site: str | None, *, every: bool, as_json: bool) -> None:
    """List escalations, newest first. Patients appear as pseudonyms."""
    from cds_service.commands.terminal import print_table
    from cds_service.escalation.records import listed

    with opened(folder, ready=True) as (config, store), store.transaction() as connection:
        found = listed(connection, None if site is None else [config.site(site).id], open_only=not every)
    if as_json:
        print_json(found)
    elif found:
        print_table(HEADINGS, map(_row, found), whole=("id", "opened"))
    else:
        click.echo("No escalations." if every else "No open escalations; --all lists the others.")


@escalation.command("acknowledge")
@REQUIRED_CONFIG
@ID
@BY
def escalation_acknowledge(folder: Path, identifier: str, by: str) -> None:
    """Record that somebody has taken it on, so that nobody else is told."""
    from cds_service.escalation.escalations import acknowledge

    with opened(folder, ready=True) as (_, store), store.transaction() as connection:
        now = datetime.now(UTC)
        known = acknowledge(connection, identifier, by=one_line(by, "--by"), through=THROUGH, now=now)
    if known.first:
        click.echo(f"{identifier} is acknowledged by {known.by}.")
    else:
        click.echo(f"{identifier} was acknowledged by {known.by or 'feedback'} on {_minute(known.at)} already.")


@escalation.command("hand-back")
@REQUIRED_CONFIG
@ID
@BY
def escalation_hand_back(folder: Path, identifier: str, by: str) -> None:
    """Record that whoever acknowledged it cannot go, so that the next contact is told."""
    from cds_service.escalation.escalations import hand_back

    with opened(folder, ready=True) as (_, store), store.transaction() as connection:
        hand_back(connection, identifier, by=one_line(by, "--by"), through=THROUGH, now=datetime.now(UTC))
    click.echo(f"{identifier} is open again; the next contact is told.")


@escalation.command("close")
@REQUIRED_CONFIG
@ID
@BY
@click.option("--reason", required=True, type=click.Choice(["handled", "in-error", "drill"]), help="Why.")
def escalation_close(folder: Path, identifier: str, by: str, reason: str) -> None:
    """Close an escalation: nobody else is told, and contacts who were told hear that it is closed."""
    from cds_service.escalation.escalations import CloseReason, close

    with opened(folder, ready=True) as (_, store), store.transaction() as connection:
        now = datetime.now(UTC)
        close(connection, identifier, reason=CloseReason(reason), by=one_line(by, "--by"), through=THROUGH, now=now)
    click.echo(f"{identifier} is closed.")


def _minute(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _row(row: EscalationRow) -> tuple[str, ...]:
    state = f"{row.status}, overdue" if row.is_open and row.overdue else str(row.status)
    state = f"{state} (drill)" if row.drill else state
    return (
        row.id,
        _minute(row.at),
        row.site,
        row.contact or "nobody on duty",
        state,
        row.acknowledged_by or row.through or "",
    )
