"""`mhcds subscription`: what the FHIR server of a site must be given, so that it notifies this service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cds_service.commands.options import REQUIRED_CONFIG, SITE, configured, print_json

if TYPE_CHECKING:
    from cds_service.settings.sites import SiteConfig

SECRET = "THE-SECRET-OF-[subscription]"  # noqa: S105  # what stands in its place
HEARTBEAT_S = 3600


@click.group()
def subscription() -> None:
    """Subscriptions at a site's FHIR server."""


@subscription.command("show")
@REQUIRED_CONFIG
@SITE
@click.option("--topic", metavar="URL", help="A topic of the server, for the topic-based form (R5 backport).")
@click.option("--payload", type=click.Choice(["empty", "id-only", "full-resource"]), help="What a notification holds. "
              "Default: full-resource, with --topic id-only.")  # fmt: skip
@click.option("--heartbeat", default=HEARTBEAT_S, show_default=True, type=click.IntRange(60, 86400),
              help="Seconds between heartbeats, with --topic.")  # fmt: skip
def subscription_show(folder: Path, site: str, topic: str | None, payload: str | None, heartbeat: int) -> None:
    """Print the Subscription resources that the site's IT creates at its FHIR server, as a JSON list.

    The secret is not printed; put it where the header says.
    """
    from cds_service.errors import ConfigError
    from fhir_adapters.writing.subscriptions import PayloadContent, by_criteria, by_topic

    config = configured(folder)
    try:
        chosen = config.site(site)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    content = PayloadContent(payload or ("id-only" if topic else "full-resource"))
    endpoint, header = _endpoint(chosen, config.address), f"Authorization: Bearer {SECRET}"
    found: list[dict[str, Any]]
    if topic:
        found = [by_topic(endpoint, header, content, topic, heartbeat)]
    elif content is PayloadContent.ID_ONLY:
        raise click.BadParameter("R4's own form has no ids alone; choose empty or full-resource, or name a --topic",
                                 param_hint="--payload")  # fmt: skip
    else:
        found = by_criteria(endpoint, header, content, chosen.reading)
    print_json(found)


def _endpoint(site: SiteConfig, address: str | None) -> str:
    if site.subscription is None:
        raise click.ClickException(f"site {site.id}: expected [subscription] in its file; found none")
    if address is None:
        raise click.ClickException("expected public_url in service.toml, since the FHIR server calls it; found none")
    return f"{address}/subscriptions/{site.id}"
