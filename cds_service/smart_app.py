"""Wires the SMART app into the service: settings, store, engine and routes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography.fernet import InvalidToken
from flask import Flask, g, request

from cds_service.burden.limits import ChartOpening, limited
from cds_service.burden.snoozes import note_snoozes, snooze_row
from cds_service.escalation.desk import AppDesk
from cds_service.hooks.app_links import topic_of
from cds_service.incidents.near_misses import ReportingRows
from cds_service.serving.runtime import Runtime
from cds_service.serving.site_facts import measured_here, patient_facts
from cds_service.settings.config import ServiceConfig
from cds_service.settings.deployment import APP_SLOTS, LAUNCH_SLOTS
from cds_service.settings.service_ids import ServiceId
from cds_service.settings.sites import SiteConfig
from cds_service.trust.admission import CallSlots
from cds_service.trust.client_address import client_address
from explanations.judgement.alert_limits import Limited
from explanations.judgement.assessment import Assessment
from explanations.judgement.control import Control
from explanations.words.notices.notice import Notice
from models.rules.findings import Topic
from smart_launch.chart import routes as app_pages
from smart_launch.forms import form_routes as form_pages
from smart_launch.launch import begin as launch
from smart_launch.oauth.discovery import Discovery
from smart_launch.oauth.issuer_keys import IssuerKeys
from smart_launch.pages.blueprint import register as register_pages
from smart_launch.runtime import AppRuntime
from smart_launch.session.sessions import Session
from smart_launch.settings import AppSettings, AppSite

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

NOWHERE = "http://127.0.0.1"
# The routes that may wait for an EHR.
WAITING = ("smart", "smart_app", "smart_forms")


def register(app: Flask, runtime: Runtime) -> None:
    """Registers the app's routes with the service."""

    def local() -> bool:
        return runtime.config().mode != "production"

    desk = AppDesk(store=runtime.store, key=runtime.key, config=runtime.config, now=runtime.now)
    app_runtime = AppRuntime(
        settings=lambda: app_settings(runtime.config()),
        engine=runtime.engine,
        store=ReportingRows(runtime.store),
        keys=lambda: runtime.config().own_keys(),
        discovery=Discovery(local=local),
        issuer_keys=IssuerKeys(local=local),
        seal=runtime.key.seal,
        unseal=lambda sealed: _unsealed(runtime, sealed),
        pseudonym=runtime.key.pseudonym,
        control=lambda site, patient, user: _control(runtime, site, patient, user),
        client_address=lambda: runtime.key.pseudonym("", client_address(request, runtime.config().trusted_proxies)),
        topic_of=lambda app_context, site, patient: topic_of(app_context, site, patient, runtime.key, runtime.now()),
        limits=lambda session, found, made: _limits(runtime, session, found, made),
        snooze=lambda session, topic, code, grounds: _snooze(runtime, session, topic, code, grounds),
        now=runtime.now,
        escalation=desk.of,
        escalate=desk.escalate,
        acknowledge=desk.acknowledge,
        patient_facts=lambda site: patient_facts(runtime, (runtime.config().site(site),)),
        measured_here=lambda site: measured_here(runtime, runtime.config().site(site)),
    )
    app.extensions["mhcds-smart"] = app_runtime
    _below(app, lambda: urlsplit(runtime.config().address or NOWHERE).path)
    _limit(app)
    register_pages(
        app,
        app_runtime,
        launch.create_blueprint(app_runtime),
        app_pages.create_blueprint(app_runtime),
        form_pages.create_blueprint(app_runtime),
    )


def _below(app: Flask, path: Callable[[], str]) -> None:
    """Prefixes links and redirects with the path of public_url, which the proxy strips."""
    inner = app.wsgi_app

    def outer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        return inner(environ | {"SCRIPT_NAME": path()}, start)

    app.wsgi_app = outer  # type: ignore[method-assign, assignment]  # as Flask's documentation does


def _limit(app: Flask) -> None:
    """Limits the app's concurrent requests; further ones get the page "unavailable"."""
    pages, launches = CallSlots(), CallSlots()

    def enter() -> None:
        if request.blueprint in WAITING and request.endpoint != "smart.jwks":
            launch = request.endpoint == "smart.launch"
            g.slot = ExitStack()
            g.slot.enter_context(launches.hold(LAUNCH_SLOTS) if launch else pages.hold(APP_SLOTS))

    def leave(_error: BaseException | None) -> None:
        slot: ExitStack | None = g.pop("slot", None)
        if slot is not None:
            slot.close()

    app.before_request(enter)
    app.teardown_request(leave)


def make_ready(config: ServiceConfig) -> None:
    """Before workers start: creates the keys that private_key_jwt needs. Raises ConfigError."""
    config.own_keys()


def app_settings(config: ServiceConfig) -> AppSettings:
    """The app's part of the settings."""
    sites = tuple(map(app_site, config.sites))
    return AppSettings(sites=sites, address=config.address or NOWHERE, local=config.mode != "production")


def app_site(site: SiteConfig) -> AppSite:
    """A site as the app sees it."""
    return AppSite(
        id=site.id,
        reading=site.reading,
        notices=site.cards,
        thresholds=site.thresholds,
        models=site.models,
        registrations=site.smart,
        languages=site.languages,
    )


def _control(runtime: Runtime, site: str, patient: str, user: str | None) -> Control:
    """What a page may use and show, as of this moment."""
    runtime.controls.look()
    return runtime.control(runtime.config(), runtime.asker(site, ServiceId.APP, user, patient))


def _limits(runtime: Runtime, session: Session, assessment: Assessment, notices: tuple[Notice, ...]) -> Limited:
    """Which of these cards the session's user would not be shown now."""
    site, key = runtime.config().site(session.site), runtime.key
    visit = session.context.encounter_reference
    opening = ChartOpening(
        patient=key.pseudonym(site.id, session.context.patient),
        user=_user(runtime, session),
        encounter=key.pseudonym(site.id, visit) if visit else "",
    )
    return limited(runtime.store, key, site, assessment, notices, opening, runtime.now())


def _snooze(runtime: Runtime, session: Session, topic: Topic, code: str, grounds: str | None) -> None:
    """Keeps what the session's user said of a notice that limits apply to. Raises StoreUnavailable."""
    if grounds is None:
        return
    site, now = runtime.config().site(session.site), runtime.now()
    row = snooze_row(
        site,
        topic,
        code,
        patient=runtime.key.pseudonym(site.id, session.context.patient),
        user=_user(runtime, session),
        grounds=grounds,
        at=now,
        now=now,
    )
    note_snoozes(runtime.store, [row], "app", now)


def _user(runtime: Runtime, session: Session) -> str:
    """The pseudonym that the user has in hook calls; "" where the EHR does not say who it is."""
    return runtime.key.pseudonym(session.site, session.fhir_user) if session.fhir_user else ""


def _unsealed(runtime: Runtime, sealed: bytes) -> str:
    try:
        return runtime.key.unseal(sealed)
    except InvalidToken as error:
        raise ValueError("expected data sealed with this deployment's key") from error
