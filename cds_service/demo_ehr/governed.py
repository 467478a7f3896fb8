"""The demo's service as a hospital governs it: models approved and live from the start, acute answers on a pager."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from cds_service.control.acts import ModeRow, set_mode
from cds_service.control.targets import Mode, known_of
from cds_service.demo_ehr.authorization.staff import CRISIS, OPERATIONS, PEOPLE, SAFETY
from cds_service.demo_ehr.config import CLIENT_ID, Addresses
from cds_service.settings.approvals import Approval, ApprovedModel, Criterion, Measure, Use
from cds_service.settings.config import ServiceConfig
from cds_service.settings.escalation import Channel, Contact, EscalationSettings, MessageContent
from cds_service.settings.governance import GovernanceSettings, Role
from cds_service.settings.webhook import Webhook
from cds_service.storage.store import Store
from models.scoring.registry import Model

OFFICER = PEOPLE[0]
APPROVAL = "demo-2026"


def governed(config: ServiceConfig, addresses: Addresses, models: Iterable[Model], now: datetime) -> ServiceConfig:
    """The settings with governance pages, a contact, and an approval of these models for half a year."""
    pages = GovernanceSettings(
        issuer=addresses.staff_issuer,
        client_id=CLIENT_ID,
        client_secret=addresses.staff_secret,
        scopes=("openid", "profile"),
        roles_claim="groups",
        roles={
            Role.SAFETY_OFFICER: frozenset({SAFETY}),
            Role.OPERATOR: frozenset({OPERATIONS}),
            Role.RESPONDER: frozenset({CRISIS}),
        },
        idle_s=60 * 60,
        absolute_s=8 * 60 * 60,
    )
    sites = tuple(replace(site, escalation=_escalation(addresses)) for site in config.sites)
    return replace(config, sites=sites, governance=pages, approvals=(_approval(config, models, now),))


def _escalation(addresses: Addresses) -> EscalationSettings:
    pager = Webhook(url=addresses.pager_url, secret=addresses.pager_secret)
    return EscalationSettings(
        contacts=(Contact(name="Crisis team", channel=Channel.WEBHOOK, webhook=pager),),
        content=MessageContent.INITIALS_AND_PLACE,
        chart_url=f"{addresses.page_origin}/patients/{{patient}}",
    )


def _approval(config: ServiceConfig, models: Iterable[Model], now: datetime) -> Approval:
    return Approval(
        id=APPROVAL,
        version="1",
        sites=tuple(site.id for site in config.sites),
        services=(),
        owner="Head of psychiatry, demo hospital",
        clinical_safety_officer=OFFICER.name,
        approved_on=now.date(),
        review_by=now.date() + timedelta(days=180),
        uses=(Use.SILENT, Use.PILOT, Use.LIVE),
        models=tuple(ApprovedModel(outcome=m.outcome, version=m.version, digest=m.digest) for m in models),
        success=(_at_least(Measure.ACCEPTED_SHARE, 0.3, "Three of ten prompts are acted on."),),
        exits=(_at_least(Measure.NEAR_MISSES, 2, "Two near misses in three months end it."),),
    )


def _at_least(measure: Measure, value: float, text: str) -> Criterion:
    return Criterion(measure=measure, comparison="at-least", value=value, least_n=1, window_days=90, text=text)


def make_live(store: Store, config: ServiceConfig, models: Iterable[Model], now: datetime) -> None:
    """Records that these models are live at each site, as its safety officer would set it."""
    known = known_of(config)
    for site in config.sites:
        for model in models:
            row = ModeRow(
                site=site.id,
                service="",
                outcome=model.outcome,
                version=model.version,
                mode=Mode.LIVE,
                at=now,
                by=f"{OFFICER.name} ({OFFICER.id})",
                reason="the demo begins",
                through="demo",
                approval=APPROVAL,
            )
            set_mode(store, row, known=known)
