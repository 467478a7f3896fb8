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
    from cds_service.serving.engine import load_engine
    from cds_service.settings.private_files import open_to_a_group, open_to_everybody
    from fhir_adapters.codesets.terminology import unresolved

    config = configured(folder)
    engine = load_engine(config.models, config.kept_models)
    for failure in engine.failures:
        click.echo(f"model {failure.name}: {failure.reason}", err=True)
    click.echo(f"mode {config.mode}, address {config.address or 'not set (public_url)'}")
    for site in config.sites:
        click.echo(
            f"site {site.id}: time zone {site.cards.zone}, country {site.cards.country}, "
            f"dialect {site.dialect}, {len(site.reading.fhir_bases)} FHIR bases, "
            f"{len(site.reading.maps)} questionnaire maps"
        )
        used = engine.of(site.models).models
        click.echo(f"site {site.id}: models {', '.join(f'{m.outcome} {m.version}' for m in used) or 'none'}")
        for line in (*_gaps(site), *_own_addresses(site, config.address or "")):
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
    private, trusted = config.files(folder) if folder else ([], [])
    exposed = list(open_to_everybody(private, trusted))
    for line in (*exposed, *open_to_a_group(private, trusted)):
        click.echo(f"warning: {line}")
    sys.exit(1 if engine.failures or (exposed and config.mode == "production") else 0)


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


def _gaps(site: SiteConfig) -> Iterator[str]:
    """How a gap alone is answered, and a warning where the client would draw that as if all were well."""
    from cds_service.cards.dialects import Dialect
    from cds_service.settings.sites import OnMissing

    refused, hours = site.on_missing is OnMissing.REFUSE, site.gap_card_every_h
    again = f"once in {hours} h" if hours else "at every call"
    yield f"a gap alone is answered with {'412' if refused else f'a card, {again}'}"
    if site.dialect is Dialect.SANDBOX and (refused or hours):
        yield (
            "warning: the public sandbox draws 412, and an answer without cards, as if all were well; leave on_missing "
            "out and set gap_card_every_h = 0"
        )
