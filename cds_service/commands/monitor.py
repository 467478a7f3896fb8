"""`mhcds monitor`: what a site's own outcomes say of its models; with --daily, what the service starts once a day."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
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

log = logging.getLogger("mhcds")
MONTH = click.DateTime(("%Y-%m",))


@click.command()
@REQUIRED_CONFIG
@click.option("--site", help="Of one site. Default: of all.")
@click.option("--since", type=MONTH, help="The first month. Default: twelve months before this one.")
@click.option("--until", type=MONTH, help="The last month. Default: this one.")
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
    from cds_service.monitoring.daily import whole_months

    now = datetime.now(UTC)
    default = whole_months(now.date())
    window = _window(since, until, default)
    if daily:
        if site or since or until or as_json or page:
            raise click.ClickException("--daily: expected no other option than --config; it looks at all sites")
        _look(folder, default, now, attached=attached)
        return
    with opened(folder, ready=True) as (config, store):
        sites = config.sites if site is None else (config.site(site),)
        if page is not None:
            if len(sites) != 1:
                raise click.ClickException("--html: expected one site; name it by --site")
            from cds_service.commands.monitor_report import write_report

            found = _episodes(store, sites[0], window, now)
            write_report(
                page, store, config, sites[0], window, _figures(store, config, sites[0], window, now, found), found, now
            )
            click.echo(f"{page}: {sites[0].id}, {window.since:%Y-%m} to {window.until - timedelta(days=1):%Y-%m}.")
            return
        rows = [row for each in sites for row in _figures(store, config, each, window, now)]
    if as_json:
        print_json(rows)
        return
    from cds_service.commands.monitor_tables import print_figures

    if not rows:
        click.echo("No episode whose outcome window is over is on record of these months.")
    print_figures(rows)


def _window(since: datetime | None, until: datetime | None, default: Window) -> Window:
    from cds_service.burden.on_record import Window

    first, end = since.date() if since else default.since, default.until
    if until:
        end = (until.date() + timedelta(days=31)).replace(day=1)
    if end <= first:
        raise click.ClickException(f"--until: expected a month not before --since, {first:%Y-%m}; found {until:%Y-%m}")
    return Window(since=first, until=end)


def _figures(
    store: Store, config: ServiceConfig, site: SiteConfig, window: Window, now: datetime,
    episodes: Sequence[Episode] | None = None,
) -> tuple[SiteFigures, ...]:  # fmt: skip
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


# ---- the daily look -----------------------------------------------------------------------------------------------


def _look(folder: Path, window: Window, now: datetime, *, attached: bool) -> None:
    """Everything that the service looks at once a day; a failure is one line of the log, with its kind alone."""
    from cds_service.serving.log import LogLines

    if attached:
        threading.Thread(target=_end_with_service, daemon=True).start()
    logging.basicConfig(handlers=[LogLines()], force=True)
    log.setLevel(logging.INFO)
    os.nice(10)
    try:
        with opened(folder, ready=True) as (config, store):
            _kept(store, config, window, now)
    except click.ClickException as error:
        log.error(json.dumps({"event": "monitor-failed", "why": str(error)}))
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  # a traceback in a log could quote a chart
        log.error(json.dumps({"event": "monitor-failed", "why": type(error).__name__}))
        sys.exit(1)


def _end_with_service() -> None:
    # Not sys.stdin, whose lock this thread would hold when the interpreter ends.
    while os.read(0, 1):
        pass
    os._exit(1)


def _kept(store: Store, config: ServiceConfig, window: Window, now: datetime) -> None:
    from dataclasses import replace

    from cds_service.monitoring.acting import apply_criteria
    from cds_service.monitoring.linking import episodes
    from cds_service.monitoring.site_figures import ALL_MONTHS, write_figures
    from cds_service.serving.engine import load_engine

    all_of = cache(lambda site_id: episodes(store, config.site(site_id), None, now))
    found = {site.id: _figures(store, config, site, window, now, all_of(site.id)) for site in config.sites}
    engine = load_engine(config.models, config.kept_models) if config.approvals else None
    states = apply_criteria(store, config, engine, lambda site: all_of(site.id), now) if engine else ()
    for site, rows in found.items():
        write_figures(
            store, site,
            [
                row if row.month != ALL_MONTHS else replace(row, criteria=tuple(
                    one for one in states if (one.site, one.outcome, one.version) == (site, row.outcome, row.version)
                ))
                for row in rows
            ],
        )  # fmt: skip
        models = len({(row.outcome, row.version) for row in rows})
        log.info(json.dumps({"event": "monitored", "site": site, "models": models}))
