"""`mhcds monitor`: what a site's own outcomes say of its models; with --daily, what the service starts once a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from cds_service.commands.monitor_figures import episodes_of, figures_of, window_of
from cds_service.commands.options import AS_JSON, REQUIRED_CONFIG, opened, print_json

MONTH = click.DateTime(("%Y-%m",))


@click.command()
@REQUIRED_CONFIG
@click.option("--site", help="One site only. Default: all.")
@click.option("--since", type=MONTH, help="The first month. Default: the first of the last twelve.")
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
    """Show what a site's own outcomes say about its models. No figure covers fewer than 11 people."""
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

            (of_site,) = sites
            window = window_of(of_site, since, until, now)
            found = episodes_of(store, of_site, window, now)
            figures = figures_of(store, config, of_site, window, now, found)
            write_report(page, store, config, of_site, window, figures, found, now)
            click.echo(f"{page}: {of_site.id}, {window.since:%Y-%m} to {window.until - timedelta(days=1):%Y-%m}.")
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
