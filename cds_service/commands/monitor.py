"""`mhcds monitor`: what a site's own outcomes say of its models; with --daily, what the service starts once a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cds_service.commands.options import AS_JSON, REQUIRED_CONFIG, opened, print_json

if TYPE_CHECKING:
    from cds_service.burden.on_record import Window
    from cds_service.monitoring.counting import Weigh
    from cds_service.monitoring.episodes import Episode
    from cds_service.monitoring.site_figures import SiteFigures
    from cds_service.settings.config import ServiceConfig
    from cds_service.settings.sites import SiteConfig
    from cds_service.storage.store import Store

MONTH = click.DateTime(("%Y-%m",))


@click.command()
@REQUIRED_CONFIG
@click.option("--site", help="Of one site. Default: of all.")
@click.option("--since", type=MONTH, help="The first month. Default: the first of the latest twelve.")
@click.option("--until", type=MONTH, help="The last month. Default: the latest whose outcome windows have passed.")
@AS_JSON
@click.option(
    "--html", "page", type=click.Path(path_type=Path), help="Write a report for the board: a new file, of --site."
)
@click.option("--daily", is_flag=True, help="Compute all sites, apply the approvals' criteria, and keep the figures.")
@click.option("--attached", is_flag=True, hidden=True, help="End when standard input does, as its service has then.")
def monitor(  # one option each
    folder: Path, site: str | None, since: datetime | None, until: datetime | None,
    *, as_json: bool, page: Path | None, daily: bool, attached: bool,
) -> None:  # fmt: skip
    """Show what a site's own outcomes say of its models. Nothing is of fewer than 11 people."""
    now = datetime.now(UTC)
    if since and until and until < since:
        raise click.ClickException(f"--until: expected a month not before --since, {since:%Y-%m}; found {until:%Y-%m}")
    if daily:
        if site or since or until or as_json or page:
            raise click.ClickException("--daily: expected no other option than --config; it looks at all sites")
        from cds_service.commands.monitor_daily import look

        look(folder, now, attached=attached)
        return
    with opened(folder, ready=True) as (config, store):
        sites = config.sites if site is None else (config.site(site),)
        if page is not None:
            if len(sites) != 1:
                raise click.ClickException("--html: expected one site; name it by --site")
            from cds_service.commands.monitor_report import write_report

            window = window_of(sites[0], since, until, now)
            found = _episodes(store, sites[0], window, now)
            write_report(
                page,
                store,
                config,
                sites[0],
                window,
                figures_of(store, config, sites[0], window, now, found),
                found,
                now,
            )
            click.echo(f"{page}: {sites[0].id}, {window.since:%Y-%m} to {window.until - timedelta(days=1):%Y-%m}.")
            return
        windows = [(each, window_of(each, since, until, now)) for each in sites]
        rows = [row for each, window in windows for row in figures_of(store, config, each, window, now)]
    if as_json:
        print_json(rows)
        return
    from cds_service.commands.monitor_tables import print_figures

    if not rows:
        click.echo("Nothing is on record of months whose outcome windows have passed.")
    print_figures(rows)


def window_of(site: SiteConfig, since: datetime | None, until: datetime | None, now: datetime) -> Window:
    """The months that are asked for, up to the latest that is closed; else the latest twelve."""
    from cds_service.burden.on_record import Window
    from cds_service.monitoring.daily import closed_months

    closed = closed_months(site, now)
    end = min(closed.until, (until.date() + timedelta(days=31)).replace(day=1)) if until else closed.until
    return Window(since=since.date() if since else min(closed.since, end), until=end)


def figures_of(
    store: Store, config: ServiceConfig, site: SiteConfig, window: Window, now: datetime,
    episodes: Sequence[Episode] | None = None,
) -> tuple[SiteFigures, ...]:  # fmt: skip
    """The figures of a site, from its episodes if they are known already."""
    from cds_service.monitoring.daily import figures_of_site, version_facts

    if episodes is None:
        episodes = _episodes(store, site, window, now)
    weighing = weigh() if episodes else None
    facts = partial(version_facts, config.models, site)
    return figures_of_site(store, site, window, episodes, now, facts=facts, weigh=weighing)


def _episodes(store: Store, site: SiteConfig, window: Window, now: datetime) -> Sequence[Episode]:
    from cds_service.monitoring.linking import episodes

    return episodes(store, site, window, now)


@cache
def weigh() -> Weigh | None:
    """Weighted figures, or None with a line that says what they need."""
    try:
        from models.evaluation.weighting import weighted_figures
    except ImportError:
        click.echo("No weighted figures: they need `pip install mental-health-cds[monitor]`.", err=True)
        return None
    return weighted_figures
