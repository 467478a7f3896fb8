"""`mhcds serve`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from cds_service.commands.options import CONFIG


@click.command()
@CONFIG
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option(
    "--health-port",
    type=click.IntRange(1, 65535),
    help="A second port, with its own threads, for health and metrics only.",
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Worker processes.")
def serve(folder: Path | None, host: str, port: int, health_port: int | None, workers: int) -> None:
    """Run the service. Only clients in the sites' issuer tables may call; without --config, nobody may."""
    if health_port == port:
        raise click.BadParameter("expected a port other than --port", param_hint="--health-port")
    # xgboost loads scikit-learn, and with it pandas, where they are installed: a second and 80 MB that serving does not
    # need. An entry of None makes an import fail (Python's reference, "The import system").
    sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]  # typed as modules only
    from cds_service.errors import ConfigError
    from cds_service.serving import server
    from cds_service.serving.log import LogLines
    from cds_service.settings.config import default_config, served_at
    from cds_service.settings.live import LiveConfig

    logging.basicConfig(handlers=[LogLines()], force=True)
    logging.getLogger("mhcds").setLevel(logging.INFO)
    try:
        address = served_at(host, port)
        live = LiveConfig.of(folder, address) if folder else LiveConfig(default_config())
        config = live()
        config.check_host(host)
        with server.shared_counters():
            from cds_service.app import create_app, make_ready
            from cds_service.serving.engine import load_engine_apart

            make_ready(config)
            options = server.options(config, host, port, workers, health_port)
            server.serve(lambda: create_app(live, engine=load_engine_apart(live())), options)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
