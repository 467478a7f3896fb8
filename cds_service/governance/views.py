"""What the pages show, as plain values: models and their permission, approvals, settings. Nothing of a patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from importlib.metadata import version
from typing import Any

import sqlalchemy as sa

from cds_service.control.acts import ModeRow, modes, moment_words, switches
from cds_service.control.targets import SPEAKING, Mode, SwitchTarget
from cds_service.serving.runtime import Runtime
from cds_service.settings.approvals import ApprovalState, ApprovalVerdict, Use, approval_verdict
from cds_service.settings.config import ServiceConfig
from cds_service.settings.service_ids import ASK_MODELS, ServiceId
from cds_service.settings.sites import SiteConfig
from cds_service.storage.tables import chain_head, opt_out
from models.inputs.outcomes import OUTCOMES
from models.scoring.registry import Model

USES = {Mode.PILOT: Use.PILOT, Mode.LIVE: Use.LIVE}
BEST_FIRST = list(ApprovalState)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """A model at a site. mode: as recorded for all services, or the default; single: recorded for one service.

    approval: words. silent: why it says nothing at all; "" where it may speak.
    """

    site: str
    outcome: str
    version: str
    digest: str
    mode: Mode
    recorded: ModeRow | None
    single: tuple[ModeRow, ...]
    approval: str
    silent: str

    @property
    def key(self) -> str:
        """The value of a form's choice."""
        return f"{self.site}|{self.outcome}|{self.version}"


def model_states(runtime: Runtime, config: ServiceConfig) -> list[ModelState]:
    """Every model that some site uses."""
    recorded, now = modes(runtime.store), runtime.now()
    off = [row.target for row in switches(runtime.store, now) if row.state == "off"]
    return [
        _model_state(config, site, model, recorded, off, site.day(now))
        for site in config.sites
        for model in runtime.engine.of(site.models).models
    ]


def _model_state(
    config: ServiceConfig,
    site: SiteConfig,
    model: Model,
    recorded: tuple[ModeRow, ...],
    off: list[SwitchTarget],
    today: date,
) -> ModelState:
    rows = [row for row in recorded if (row.site, row.outcome, row.version) == (site.id, model.outcome, model.version)]
    of_all = next((row for row in rows if not row.service), None)
    governed = config.governed(site.id)
    mode = of_all.mode if of_all else Mode.SILENT if governed else Mode.LIVE
    # Of several modes that speak, the widest is what an approval is looked for.
    use = next((USES[m] for m in (Mode.LIVE, Mode.PILOT) if m in {mode, *(row.mode for row in rows)}), Use.LIVE)
    verdict = best_verdict(config, site.id, model, use, today)
    speaking = any(m in SPEAKING for m in (mode, *(row.mode for row in rows)))
    silent = (unmet_words(verdict) if governed else "") if speaking else f"its mode is {mode.value}"
    stops = (
        t for t in off if t.site in ("", site.id) and not (t.service or t.topic) and t.outcome in ("", model.outcome)
    )
    stop = next(stops, None)
    return ModelState(
        site=site.id,
        outcome=model.outcome,
        version=model.version,
        digest=model.digest,
        mode=mode,
        recorded=of_all,
        single=tuple(row for row in rows if row.service),
        approval=_approval_words(verdict) if governed else "not asked for at this site",
        silent=f"{stop.words} is switched off" if stop else silent,
    )


def best_verdict(
    config: ServiceConfig, site: str, model: Model, use: Use, today: date, service: str = ""
) -> ApprovalVerdict:
    """What the approvals say of a model at a site: for one service, or the best of all that ask models."""
    verdicts = [
        approval_verdict(
            config.approvals, site=site, service=asked, outcome=model.outcome, version=model.version,
            digest=model.digest, use=use, today=today,
        )
        for asked in ([service] if service else ASK_MODELS)
    ]  # fmt: skip
    return min(verdicts, key=lambda verdict: BEST_FIRST.index(verdict.state))


def unmet_words(verdict: ApprovalVerdict) -> str:
    """Why there is no valid approval; "" where there is one."""
    approval = verdict.approval
    if approval is None:
        return "no approval names it"
    return {
        ApprovalState.NOT_YET: f"approval {approval.id} begins on {approval.approved_on}",
        ApprovalState.EXPIRED: f"approval {approval.id} ended on {approval.review_by}",
        ApprovalState.OTHER_USE: f"approval {approval.id} is not for this use",
        ApprovalState.OTHER_ARTIFACT: f"approval {approval.id} names another version or digest",
    }.get(verdict.state, "")


def _approval_words(verdict: ApprovalVerdict) -> str:
    approval = verdict.approval
    if approval is None or not verdict.is_valid:
        return unmet_words(verdict)
    where = f", {' and '.join(approval.services)} alone" if approval.services else ""
    return f"{approval.id}, until {approval.review_by}{where}"


def heads(connection: sa.Connection) -> list[dict[str, Any]]:
    """The last event of each chain: site, number, link."""
    return [dict(row) for row in connection.execute(sa.select(chain_head).order_by(chain_head.c.site)).mappings()]


def opted_out(connection: sa.Connection) -> dict[str, int]:
    """How many patients of each site have opted out."""
    counted = (
        sa.select(opt_out.c.site, sa.func.count().label("patients")).group_by(opt_out.c.site).order_by(opt_out.c.site)
    )
    return {row.site: row.patients for row in connection.execute(counted)}


def service_facts(config: ServiceConfig) -> list[tuple[str, str]]:
    """What runs, in short."""
    services = f"{len(ServiceId)}, below {config.address}/cds-services" if config.address else str(len(ServiceId))
    shown = [("Version", version("mental-health-cds")), ("Mode", config.mode), ("Services", services)]
    return [*shown, ("Sites", ", ".join(site.id for site in config.sites))]


def when(moment: str | datetime) -> str:
    """Such as `2026-11-30 10:00 UTC`."""
    return moment_words(datetime.fromisoformat(moment) if isinstance(moment, str) else moment)


# ---- the configuration as loaded ------------------------------------------------------------------------------------
# By what is listed here, never by what is left out: a setting that is new is not shown until somebody adds it.


def shown_settings(config: ServiceConfig) -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups of (setting, value) that hold no secret and no address with one."""
    governance = config.governance
    service = [
        ("mode", config.mode),
        ("public_url", config.address or ""),
        ("store", (config.store or "temporary").partition(":")[0]),
        ("data_key", "given" if config.data_key else "in a file beside the database"),
        ("smart_keys", "given" if config.smart_keys else "in files beside the database"),
        ("models", "those shipped" if config.models is None else str(config.models.name)),
        ("body_bytes", str(config.body_bytes)),
        ("cors_origins", ", ".join(config.cors_origins) or "none"),
        ("trusted_proxies", ", ".join(config.trusted_proxies) or "none"),
        ("tls", "by the service itself" if config.tls else "by a proxy"),
        ("server_timing", _yes(config.server_timing)),
        *((f"limits.{name}", str(getattr(config.limits, name))) for name in config.limits.__struct_fields__),
    ]
    if governance is not None:
        service += [
            ("governance.issuer", governance.issuer),
            ("governance.client_id", governance.client_id),
            ("governance.roles_claim", governance.roles_claim),
            *((f"governance.roles.{role}", ", ".join(sorted(of))) for role, of in governance.roles.items()),
        ]
    return [("service.toml", service), *((f"sites: {site.id}", list(_site(site))) for site in config.sites)]


def _site(site: SiteConfig) -> Iterator[tuple[str, str]]:
    yield "time_zone", str(site.cards.zone)
    yield "language, country", f"{site.cards.locale}, {site.cards.country}"
    yield "dialect", site.dialect.value
    yield "consent", site.reading.consent.use
    yield "on_missing", site.on_missing.value
    yield "show_probability", _yes(site.cards.show_probability)
    yield "fhir_bases", ", ".join(site.reading.fhir_bases) or "none"
    for outcome in OUTCOMES:
        yield f"models.{outcome}", site.models.get(outcome, "the newest")
    for issuer in site.issuers:
        yield "issuer", f"{issuer.iss}, {', '.join(issuer.algorithms)}"
    for entry in site.smart:
        yield "smart", f"{entry.iss}, client {entry.client_id}, {entry.authentication}"


def _yes(value: object) -> str:
    return "yes" if value else "no"
