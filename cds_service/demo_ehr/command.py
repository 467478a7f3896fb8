"""`mhcds demo`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flask import Flask


@click.command()
@click.option("--once", is_flag=True, help="Print the cards of all demo patients and end.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port of the page; 0 takes a free one.")
def demo(once: bool, host: str, port: int) -> None:
    """Start the service with a small demo EHR on loopback and show real cards of synthetic patients."""
    from cds_service.app import create_app
    from cds_service.demo_ehr.config import Addresses, demo_config
    from cds_service.demo_ehr.governed import governed, make_live
    from cds_service.demo_ehr.runner import run_demo
    from cds_service.serving import watch
    from cds_service.serving.engine import load_engine
    from cds_service.serving.runtime import now_utc

    def service(addresses: Addresses) -> Flask:
        engine, now = load_engine(), now_utc()
        config = governed(demo_config(addresses), addresses, engine.models, now)
        app = create_app(config, engine=engine)
        make_live(app.extensions["mhcds"].store, config, engine.models, now)
        if not once:
            watch.start(app.extensions["mhcds"])
        return app

    sys.exit(run_demo(service, once=once, host=host, port=port))
