"""`mhcds check-config`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cds_service.commands.options import configured


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
        if site.path:
            click.echo(f"site {site.id}: discovery {config.address or ''}{site.path}/cds-services")
        else:
            click.echo(
                f"site {site.id}: no discovery of its own; an address takes letters, digits and . _ ~ - in the id"
            )
        for key, template in site.local_prefetch:
            click.echo(f"site {site.id}: prefetch {key}: {template}")
        if site.local_prefetch and not site.reading.fhir_bases:
            click.echo(
                f"site {site.id}: warning: no fhir_bases, so answers in its own codes are known only if the client "
                f"sends {', '.join(key for key, _ in site.local_prefetch)}; else every call says that they are missing"
            )
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
