"""`mhcds demo`."""

from __future__ import annotations

import sys

import click


@click.command()
@click.option("--once", is_flag=True, help="Print the cards of all demo patients and end.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port of the page; 0 takes a free one.")
def demo(once: bool, host: str, port: int) -> None:
    """Start the service with a small demo EHR on loopback and show real cards of synthetic patients."""
    from cds_service.app import create_app
    from cds_service.demo_ehr.config import demo_config
    from cds_service.demo_ehr.runner import run_demo

    sys.exit(run_demo(lambda addresses: create_app(demo_config(addresses)), once=once, host=host, port=port))
