"""`mhcds check-config`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cds_service.commands.options import configured

if TYPE_CHECKING:
    from cds_service.settings.sites import SiteConfig


@click.command("check-config")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def check_config(folder: Path | None) -> None:
    """Load and check every setting in FOLDER; each problem is named with file, key and remedy."""
    from cds_service.cards.dialects import Dialect
    from cds_service.serving.engine import load_engine
    from cds_service.settings.sites import OnMissing
    from fhir_adapters.codesets.terminology import unresolved

    config = configured(folder)
    engine = load_engine(config.models)
    for outcome, reason in engine.failures:
        click.echo(f"model {outcome}: {reason}", err=True)
    click.echo(f"mode {config.mode}, address {config.address or 'not set (public_url)'}")
    for site in config.sites:
        click.echo(
            f"site {site.id}: time zone {site.cards.zone}, country {site.cards.country}, "
            f"dialect {site.dialect}, {len(site.reading.fhir_bases)} FHIR bases, "
            f"{len(site.reading.maps)} questionnaire maps, a gap alone is answered with {site.on_missing}"
        )
        if site.dialect is Dialect.SANDBOX and site.on_missing is OnMissing.REFUSE:
            click.echo(f"site {site.id}: the public sandbox draws 412 as if all were well; remove on_missing there")
        for line in _own_addresses(site, config.address or ""):
            click.echo(f"site {site.id}: {line}")
        for issuer in site.issuers:
            keys = issuer.jwks_url or f"{len(issuer.keys)} keys by value"
            click.echo(f"site {site.id}: issuer {issuer.iss}, {', '.join(issuer.algorithms)}, {keys}")
        if not site.issuers:
            click.echo(f"site {site.id}: no [[issuer]], so every call is refused")
    for model in engine.models:
        click.echo(f"model {model.outcome} {model.version}: verified")
    for row in unresolved():
        click.echo(f"code list, no code yet, skipped: {row}")
    sys.exit(1 if engine.failures else 0)


def _own_addresses(site: SiteConfig, address: str) -> Iterator[str]:
    """Its discovery document, and the keys for its own codes."""
    if site.path:
        yield f"discovery {address}{site.path}/cds-services"
    else:
        yield "no discovery of its own; an address takes letters, digits and . _ ~ - in the id"
    yield from (f"prefetch {key}: {template}" for key, template in site.local_prefetch)
    if site.local_prefetch and not site.reading.fhir_bases:
        keys = ", ".join(key for key, _ in site.local_prefetch)
        yield (
            f"warning: no fhir_bases, so answers in its own codes are known only if the client sends {keys}; else "
            "every call says that they are missing"
        )
