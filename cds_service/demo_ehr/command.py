"""`mhcds demo`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flask import Flask


@click.command()
@click.option("--once", is_flag=True, help="Print the cards of all demo patients and exit.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port of the page; 0 takes a free one.")
@click.option(
    "--language", "languages", multiple=True, help="Language of the clinic, such as es. Repeat it to let users choose."
)
@click.option("--region", default="US", show_default=True, help="Where the clinic is: US, GB-ENG or generic.")
@click.option("--reviewed", is_flag=True, help="Show the translation as if it had been reviewed. It has not.")
def demo(once: bool, host: str, port: int, languages: tuple[str, ...], region: str, *, reviewed: bool) -> None:
    """Start the service with a small demo EHR on loopback and show real cards for synthetic patients."""
    from cds_service.app import create_app
    from cds_service.demo_ehr.config import Addresses, DemoPlace, demo_config
    from cds_service.demo_ehr.governed import governed, make_live
    from cds_service.demo_ehr.runner import run_demo
    from cds_service.errors import ConfigError
    from cds_service.serving import watch
    from cds_service.serving.engine import load_engine
    from cds_service.serving.runtime import now_utc
    from cds_service.settings.shapes import one_of, shown
    from explanations.judgement.regions import DEFAULT_REGION, REGIONS

    if region not in REGIONS:
        raise click.ClickException(f"--region: expected {one_of(REGIONS, region)}; found {shown(region)}")
    place = DemoPlace(languages=languages, region=region, reviewed=reviewed)
    try:
        demo_config(place=place)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    if reviewed:
        click.echo("Texts on safety are shown as after a review, by nobody: a person has yet to review them.")

    def service(addresses: Addresses) -> Flask:
        engine, now = load_engine(), now_utc()
        config = governed(demo_config(addresses, place), addresses, engine.models, now)
        app = create_app(config, engine=engine)
        make_live(app.extensions["mhcds"].store, config, engine.models, now)
        if not once:
            watch.start(app.extensions["mhcds"])
        return app

    sys.exit(run_demo(service, once=once, host=host, port=port, compared=REGIONS[region] is DEFAULT_REGION))
