"""`mhcds figures`: what came of cards and escalations, by site, month, service and topic; who read the module."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from cds_service.commands.options import AS_JSON, REQUIRED_CONFIG, opened, print_json


@click.command()
@REQUIRED_CONFIG
@click.option("--site", help="One site only. Default: all.")
@click.option("--since", type=click.DateTime(("%Y-%m-%d",)), help="The first day. Default: two months before this one.")
@click.option("--until", type=click.DateTime(("%Y-%m-%d",)), help="The day after the last one. Default: tomorrow.")
@AS_JSON
def figures(folder: Path, site: str | None, since: datetime | None, until: datetime | None, *, as_json: bool) -> None:
    """Count what came of cards and escalations, and how many read the module for clinicians. Nobody is named."""
    from cds_service.burden.figures import figures as counted
    from cds_service.burden.on_record import Window, latest_months

    now = datetime.now(UTC)
    default = latest_months(now.date())
    window = Window(since=since.date() if since else default.since, until=until.date() if until else default.until)
    if window.until <= window.since:
        raise click.ClickException(f"--until: expected a day after --since, {window.since}; found {window.until}")
    with opened(folder, ready=True) as (config, store):
        sites = config.sites if site is None else (config.site(site),)
        found = counted(store, sites, window, now)
    if as_json:
        print_json(
            {
                "since": window.since,
                "until": window.until,
                "cards": found.cards,
                "escalations": found.escalations,
                "education": found.education,
            }
        )
        return
    if not found.cards and not found.escalations and not found.education:
        click.echo(f"Nothing is on record from {window.since} to {window.until - timedelta(days=1)}.")
    for cell in found.cards:
        click.echo(f"{cell.site}, {cell.month}, {cell.service}, {cell.topic}")
        came = f"{cell.accepted} accepted, {cell.overridden} overridden{_parts(cell.reasons)}, {cell.ignored} ignored"
        click.echo(f"  {cell.shown} shown: {came}, {cell.waiting} waiting; {cell.repeated} of them repeated")
        click.echo(f"  {sum(cell.held_back.values())} held back{_parts(cell.held_back)}; to act: {cell.to_act.words}")
    for month in found.escalations:
        click.echo(f"{month.site}, {month.month}, escalations")
        answered = f"{month.acknowledged} acknowledged{_parts(month.through)}, {month.unacknowledged} not"
        click.echo(f"  {month.opened} opened, {month.overdue} overdue at some time, {answered}")
        click.echo(f"  to acknowledge: {month.to_acknowledge.words}")
    for read in found.education:
        click.echo(f"{read.site}, {read.month}, the module for clinicians")
        click.echo(f"  read {read.read} times, by {read.users} users")


def _parts(parts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{name} {count}" for name, count in sorted(parts.items(), key=lambda part: -part[1]))
    return f" ({listed})" if listed else ""
