"""`mhcds check-config`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from cds_service.settings.config import ServiceConfig
    from cds_service.settings.sites import SiteConfig
    from explanations.judgement.assessment import Engine
    from models.scoring.registry import Model


@click.command("check-config")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def check_config(folder: Path | None) -> None:
    """Check every setting in FOLDER and list all problems at once, each with file, key and remedy."""
    from cds_service.errors import ConfigError
    from cds_service.serving.engine import load_engine
    from cds_service.serving.runtime import now_utc
    from cds_service.settings.config import default_config, read_config
    from cds_service.settings.languages import misnamed
    from cds_service.settings.mismatches import mismatches, unnamed_lines
    from cds_service.settings.private_files import open_to_a_group, open_to_everybody

    try:
        config, problems = read_config(folder) if folder else (default_config(), [])
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    engine = load_engine(config.models, config.kept_models)
    for failure in engine.failures:
        click.echo(f"model {failure.name}: {failure.reason}", err=True)
    warned = misnamed(folder)
    warned += [] if problems else [*_print_settings(config, engine), *_of_languages(config, folder)]
    private, trusted = config.files(folder) if folder else ([], [])
    exposed = list(open_to_everybody(private, trusted))
    usable = () if problems else config.sites
    mismatched = [
        f"site {site.id}: {line}"
        for site in usable
        for line in (*mismatches(config, site), *unnamed_lines(site, site.day(now_utc())))
    ]
    for line in (*mismatched, *exposed, *open_to_a_group(private, trusted), *warned):
        click.echo(f"warning: {line}")
    if problems:
        raise click.ClickException(_by_file(problems))
    sys.exit(1 if engine.failures or (exposed and config.mode == "production") else 0)


def _print_settings(config: ServiceConfig, engine: Engine) -> list[str]:
    """Prints what is set; returns the warnings about approvals."""
    from cds_service.commands.check_approvals import approval_lines, table, unknown_models
    from cds_service.serving.runtime import now_utc
    from fhir_adapters.codesets.terminology import unresolved

    warned: list[str] = []
    lacking: dict[str, Model] = {}
    click.echo(f"mode {config.mode}, address {config.address or 'not set (public_url)'}")
    if (pages := config.governance) is not None:
        at = f"{config.address or 'not set (public_url)'}/governance"
        click.echo(f"governance pages {at}/, sign-in at {pages.issuer}, which sends people back to {at}/callback")
    for site in config.sites:
        used = site.models_of(engine)
        click.echo(f"site {site.id}: models {', '.join(f'{m.outcome} {m.version}' for m in used) or 'none'}")
        for fact in (*_facts(site, config.address or ""), _incidents(config, site)):
            click.echo(f"site {site.id}: {fact}")
        for trial in (each for each in config.trials if each.site == site.id):
            clinics = f"{len(trial.clinics)} clinics" if trial.clinics else "the whole site"
            click.echo(
                f"site {site.id}: trial {trial.id} (version {trial.version}) of {trial.outcome}, {trial.design}, "
                f"{clinics}, {trial.begins} to {trial.ends}; mhcds trial verify compares it with what is on record"
            )
        for line in approval_lines(config, site, used, site.day(now_utc())):
            lacking |= {line.lacking.digest: line.lacking} if line.lacking else {}
            (warned.append if line.warning else click.echo)(f"site {site.id}: {line.text}")
    for model in engine.models:
        click.echo(f"model {model.outcome} {model.version}: verified, digest {model.digest}")
    for row in unresolved():
        click.echo(f"code list, no code yet, skipped: {row}")
    warned += unknown_models(config, engine.models)
    if lacking:
        tables = "\n\n".join(map(table, lacking.values()))
        warned.append(f"to approve a model, name it in a file in approvals/ (docs/governance.md):\n\n{tables}")
    return warned


def _of_languages(config: ServiceConfig, folder: Path | None) -> Iterator[str]:
    """What is in English although a site has another language, and own texts that are no longer used."""
    from cds_service.settings.languages import gaps, site_translation
    from explanations.words.language import ENGLISH

    used = {each.locale for site in config.sites for each in site.languages} - {ENGLISH}
    for locale in sorted(used):
        yield from gaps(site_translation(locale, folder))


def _by_file(problems: Iterable[str]) -> str:
    """How many problems there are, and all of them, each file once."""
    files: dict[str, list[str]] = {}
    for problem in problems:
        file, _, text = problem.partition(": ")
        files.setdefault(file, []).append(text)
    count = sum(map(len, files.values()))
    lists = [f"\n{file}\n" + "\n".join(f"  {text}" for text in texts) for file, texts in files.items()]
    head = f"{count} problem{'s' if count > 1 else ''}; with these settings the service does not start"
    return "\n".join([head, *lists, "\nEvery setting is in docs/configuration.md."])


def _incidents(config: ServiceConfig, site: SiteConfig) -> str:
    webhook = config.webhook_of(site.id)
    if webhook is None:
        return "no [webhook]: incidents are only listed (mhcds incident list)"
    return f"incidents are sent to {urlsplit(webhook.url).netloc}"


def _facts(site: SiteConfig, address: str) -> Iterator[str]:
    """What a site's file says, in short."""
    from cds_service.settings.sites import OnMissing
    from explanations.judgement.alert_limits import NO_LIMITS

    spoken = [each.tag for each in site.languages]
    yield f"language {spoken[0]}" + (f", also {', '.join(spoken[1:])} for those who ask" if spoken[1:] else "")
    yield (
        f"time zone {site.cards.zone}, region {site.cards.region.id}, dialect {site.dialect}, "
        f"{len(site.reading.fhir_bases)} FHIR bases, {len(site.reading.maps)} questionnaire maps"
    )
    refused, hours = site.on_missing is OnMissing.REFUSE, site.gap_card_every_h
    again = f"once in {hours} h" if hours else "at every call"
    yield f"a gap alone is answered with {'412' if refused else f'a card, {again}'}"
    if site.path:
        yield f"discovery {address}{site.path}/cds-services"
    else:
        yield "no discovery address of its own, which takes an id of letters, digits and . _ ~ - only"
    unnamed = ", ".join(each.tag for each in site.languages if each.locale not in site.opt_out_ask)
    whom = f"; in {unnamed} it sends those who say no to the care team ([opt_out.ask])" if unnamed else ""
    yield f"page for patients {address}{site.path or ''}/patients{whom}"
    yield from (f"prefetch {key}: {template}" for key, template in site.local_prefetch)
    for issuer in site.issuers:
        keys = issuer.jwks_url or f"{len(issuer.keys)} keys by value"
        yield f"issuer {issuer.iss}, {', '.join(issuer.algorithms)}, {keys}, for {', '.join(issuer.uses)}"
    if not site.issuers:
        yield "no [[issuer]], so every call is refused"
    if site.escalation is None:
        yield "no [escalation]: nobody is told of acute answers"
    else:
        told = ", then ".join(f"{c.name} ({c.channel}, {c.within_min} min)" for c in site.escalation.contacts)
        yield f"told of acute answers: {told}"
    if site.subscription is not None:
        within = site.subscription.expect_every_h
        silence = f"an incident after {within} h of silence" if within else "silence is not noticed (expect_every_h)"
        yield f"notifications {address}/subscriptions/{site.id}, {silence}"
    limits = site.alerts.limits
    if limits == NO_LIMITS:
        yield "no [alerts]: model and follow-up cards come at every opening of a chart"
    else:
        yield (
            f"model cards once in {limits.model_days} days, not for {limits.assessed_days} days after an assessment; "
            f"the same card once in {limits.repeat_h} h, {limits.daily} a user a day (0: no limit)"
        )
    if site.rules_off_policy:
        yield f"for patients who have opted out the rules are off, by {site.rules_off_policy}"
    for entry in site.smart:
        frames = ", ".join(entry.frame_ancestors) or "no page (frame_ancestors)"
        yield f"SMART app for {entry.iss}, client id {entry.client_id}, {entry.authentication}, framed by {frames}"
