"""Settings that are valid each, and yet make a launch, a link or a call fail: warnings, for `check-config`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from cds_service.cards.dialects import Dialect
from cds_service.keys.key_sets import SANDBOX_ISSUER
from cds_service.settings.config import ServiceConfig
from cds_service.settings.escalation import Channel, EscalationSettings
from cds_service.settings.escalation_file import uncovered
from cds_service.settings.sites import OnMissing, SiteConfig
from cds_service.settings.trials import Trial
from explanations.words.help_lines import EMERGENCY, PERINATAL, crisis_lines, is_fresh, replaced
from fhir_adapters.access.addresses import is_loopback, same_base
from smart_launch.oauth.scopes import READ, SEARCH, WRITTEN, grants
from smart_launch.settings import Registration

SOON = timedelta(days=30)
IDENTITY = ("openid", "fhirUser")
# What the rules need of a chart that is read because of a notification.
ANSWERS = ("Patient", "Observation", "QuestionnaireResponse", "Condition")


def mismatches(config: ServiceConfig, site: SiteConfig) -> Iterator[str]:
    """One line for each: which settings, what fails, what to write."""
    yield from _of_region(config, site)
    bases = site.reading.fhir_bases
    if site.issuers and not bases:
        elsewhere = config.mode == "production"
        where = "no FHIR server is" if elsewhere else "FHIR servers on this machine alone are"
        yield f"no fhir_bases: {where} read, whatever access a call brings; add the bases that may be"
    if site.local_prefetch and not bases:
        keys = ", ".join(key for key, _ in site.local_prefetch)
        yield (
            f"no fhir_bases: answers in its own codes are known only if the client sends {keys}; else every call says "
            "that they are missing"
        )
    if site.dialect is Dialect.SANDBOX and (site.on_missing is OnMissing.REFUSE or site.gap_card_every_h):
        yield (
            'dialect = "sandbox": it draws 412, and an answer without cards, as if all were well; leave on_missing out '
            "and set gap_card_every_h = 0"
        )
    if any(issuer.sandbox for issuer in site.issuers) and SANDBOX_ISSUER not in config.cors_origins:
        yield f'the public sandbox calls from a browser, which refuses: add "{SANDBOX_ISSUER}" to cors_origins'
    if site.escalation is not None:
        yield from _of_escalation(config, site, site.escalation)
    if site.subscription is not None:
        yield from _of_subscription(site)
    for trial in (each for each in config.trials if each.site == site.id):
        yield from weaknesses(trial, site)
    for entry in site.smart:
        yield from _of_registration(config, site, entry)
    yield from (
        f"fhir_bases {base} has no [[smart]]: cards of calls from there have no link to the app"
        for base in bases
        if site.smart and not any(same_base(base, entry.iss) for entry in site.smart)
    )


def _of_region(config: ServiceConfig, site: SiteConfig) -> Iterator[str]:
    """What a site says of models where no model is asked, and help that it lacks."""
    region, cards = site.cards.region, site.cards
    if not region.models:
        said = {
            "[thresholds]": site.thresholds.by_outcome,
            "[models]": site.models,
            "show_probability": cards.show_probability,
            "a trial": [each for each in config.trials if each.site == site.id],
        }
        if named := [name for name, value in said.items() if value]:
            yield f'region = "{region.id}": no model is asked here, so {", ".join(named)} does nothing; remove it'
    own, usual = (
        [line for line in lines if line.audience == EMERGENCY]
        for lines in (cards.crisis_lines, crisis_lines(region.country))
    )
    yield from (
        f"[[crisis_line]] {line.service}: the emergency number of cards is {line.call} for as long as its check is "
        f'recent, and that of region "{region.id}" is {usual[0].call}; check which one people here call'
        for line in own
        if usual and line.call != usual[0].call
    )
    if not (own or usual):
        yield (
            f'region = "{region.id}": no emergency number is on file, and cards say "the local emergency number"; add '
            '[[crisis_line]] with audience = "emergency"'
        )
    if not any(line.audience in region.help for line in (*cards.crisis_lines, *crisis_lines(region.country))):
        yield f'region = "{region.id}": no crisis line is on file; add [[crisis_line]] with those of your country'


def unnamed_lines(site: SiteConfig, today: date) -> Iterator[str]:
    """The crisis lines that are not named, or soon will not be: a site's own stand in, or their check is old (R14)."""
    region, own = site.cards.region, site.cards.crisis_lines
    gone = replaced(region, [line for line in own if is_fresh(line, today)])
    numbers = {line.number for line in own}
    yield from (
        f"crisis line {line.service} is not named, since a [[crisis_line]] of yours is for the same people in the same "
        "language; to name both, write it as another [[crisis_line]]"
        for line in gone
        if line.audience in (*region.help, PERINATAL) and line.number not in numbers
    )
    for line in (*own, *(line for line in crisis_lines(region.country) if line not in gone)):
        if line.until is None or line.audience == EMERGENCY or line.until > today + SOON:
            continue
        checked = f"crisis line {line.service} was last checked on {line.checked}"
        shown = f"is shown until {line.until}" if line.until >= today else "is no longer shown, the emergency number is"
        again = "check it again, and write the day" if line in own else "check it, and write it"
        yield f"{checked}: it {shown}; {again} in [[crisis_line]]"


def _of_subscription(site: SiteConfig) -> Iterator[str]:
    if site.escalation is None:
        yield "[subscription] without [escalation]: charts are read, and nobody is told; add [escalation]"
    scopes = site.backend.scopes if site.backend else ()
    if lacking := [kind for kind in ANSWERS if not all(grants(scopes, kind, right) for right in (READ, SEARCH))]:
        yield f"[backend] scopes hold no right to read {', '.join(lacking)}: add system/{lacking[0]}.rs and so on"


def _of_escalation(config: ServiceConfig, site: SiteConfig, settings: EscalationSettings) -> Iterator[str]:
    yield from (
        f"[escalation]: by their hours no contact is on duty {span}; nobody is told of an acute answer until then"
        for span in uncovered(settings.contacts)
    )
    if str(site.cards.zone) == "UTC" and any(contact.hours for contact in settings.contacts):
        yield (
            'time_zone = "UTC": the hours of [[escalation.contact]] are by that clock; write the time_zone of the site '
            "itself"
        )
    if config.webhook_of(site.id) is None:
        yield (
            "[escalation] without [webhook]: where no contact answers, nobody else is told; add [webhook], or alert on "
            "/metrics"
        )
    if config.governance is None and any(contact.channel is not Channel.TASK for contact in settings.contacts):
        yield (
            "[escalation] without [governance]: a message leads to no page, and whoever is told cannot "
            "find the patient; add [governance] to service.toml"
        )
    elif settings.chart_url is None:
        yield "[escalation] without chart_url: whoever is told sees an id alone; add the EHR's address of a chart"


def _of_registration(config: ServiceConfig, site: SiteConfig, entry: Registration) -> Iterator[str]:
    where, bases = f"[[smart]] iss {entry.iss}", site.reading.fhir_bases
    if bases and not any(same_base(entry.iss, base) for base in bases):
        yield (
            f"{where} is not among fhir_bases: it opens the app, but calls from it read nothing; add it there, or "
            "write both alike"
        )
    if config.address and is_loopback(config.address) and not is_loopback(entry.iss):
        yield f"public_url {config.address}: only a browser on this machine can open the app from {entry.iss}"
    if entry.scopes is None:
        return
    if not any(grants(entry.scopes, "Patient", right) for right in (READ, SEARCH)):
        yield f"{where}: scopes hold no right to read Patient, without which no page opens; add patient/Patient.rs"
    if lacking := [scope for scope in IDENTITY if scope not in entry.scopes]:
        what = "; standalone launches are refused" if entry.standalone else ""
        yield f"{where}: scopes lack {' and '.join(lacking)}, so nobody can write{what}; add them"
    if entry.write_back and not any(grants(entry.scopes, kind, "c") for kind in WRITTEN):
        yield f"{where}: write_back, but no scope to write; add some, or set write_back = false"


def weaknesses(trial: Trial, site: SiteConfig) -> Iterator[str]:
    """What will make a trial hard to analyse, a line each."""
    needed = len(trial.steps) + 3
    if trial.is_wedge and len(trial.clinics) < needed:
        yield (
            f"trial {trial.id} cannot be analysed: {len(trial.clinics)} clinics for {len(trial.steps)} steps; expected "
            f"{needed} clinics or more, or fewer steps"
        )
    if site.subscription is None:
        yield (
            f"trial {trial.id}: without [subscription] a form filled in elsewhere is seen at the next call, and "
            "one of our app at once, which favours the live arm"
        )
