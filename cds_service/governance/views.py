"""What the pages show, as plain values: models and their permission, approvals, settings. Nothing of a patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import sqlalchemy as sa

from cds_service.control.acts import ModeRow, SwitchRow, moment_words, switches
from cds_service.control.approved import unmet_words, verdict_of
from cds_service.control.permission import Asker, permission
from cds_service.control.snapshot import ControlState
from cds_service.control.targets import SPEAKING, Mode, default_mode
from cds_service.serving.runtime import Runtime
from cds_service.settings.approvals import ApprovalVerdict
from cds_service.settings.config import ServiceConfig
from cds_service.settings.service_ids import ASK_MODELS, ServiceId
from cds_service.settings.sites import SiteConfig
from cds_service.settings.trials import trial_of
from cds_service.storage.tables import chain_head, opt_out
from models.inputs.outcomes import OUTCOMES
from models.scoring.registry import Model
from models.scoring.risk import NotScoredReason

WHY = {
    NotScoredReason.CONTROL_UNKNOWN: "modes and switches, or the file switch.toml, cannot be read",
    NotScoredReason.SWITCHED_OFF: "it is switched off",
    NotScoredReason.OFF: "its mode is off",
    NotScoredReason.SILENT: "its mode is silent; its scores are recorded",
    NotScoredReason.TRIAL_NOT_RUNNING: "no trial of it runs",
    NotScoredReason.NOT_APPROVED: "no approval in force names it",
    NotScoredReason.APPROVAL_EXPIRED: "its approval has ended",
    NotScoredReason.APPROVED_OTHER: "its approval is for another artifact or another use",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """A model at a site. mode: for all services; single: recorded for one service.

    approval: words; alarm: it is to speak and may not. silent: why it says nothing, or where it says nothing.
    """

    site: str
    outcome: str
    version: str
    digest: str
    mode: Mode
    recorded: ModeRow | None
    single: tuple[ModeRow, ...]
    approval: str
    speaks: bool
    silent: str

    @property
    def key(self) -> str:
        """The value of a form's choice."""
        return f"{self.site}|{self.outcome}|{self.version}"

    @property
    def alarm(self) -> bool:
        """Whether it is to speak and may not."""
        return bool(self.silent) and any(mode in SPEAKING for mode in (self.mode, *(row.mode for row in self.single)))


def controls(runtime: Runtime) -> ControlState:
    """Modes and switches as of this moment."""
    runtime.controls.look()
    return runtime.controls()


def model_states(runtime: Runtime, config: ServiceConfig) -> list[ModelState]:
    """Every model that some site uses."""
    state, now = controls(runtime), runtime.now()
    return [
        _model_state(state, config, site, model, site.day(now))
        for site in config.sites
        for model in site.models_of(runtime.engine)
    ]


def _model_state(state: ControlState, config: ServiceConfig, site: SiteConfig, model: Model, today: date) -> ModelState:
    """By what a call would be told at each service; whoever is in a pilot, or in a trial that runs, is everybody."""
    rows = [row for key, row in state.modes.items() if key[::2] == (site.id, model.outcome) and key[3] == model.version]
    of_all = next((row for row in rows if not row.service), None)
    governed = config.governed(site.id)
    mode = of_all.mode if of_all else default_mode(governed=governed)
    why: dict[str, list[str]] = {}
    for service in ASK_MODELS:
        who = Asker(site=site.id, service=service, user=None, patient="", draw=lambda _purpose: 0.0)
        told = permission(state, config, who, today, model, (), arm=partial(_in_time, config, site.id)).why_not
        off = "the service is switched off" if state.service_off(site.id, service) else ""
        words = off or ("" if told in (None, NotScoredReason.NOT_IN_PILOT) else WHY[told])
        why.setdefault(words, []).append(service)
    silent = [f"{words}, at {' and '.join(where)}" if len(why) > 1 else words for words, where in why.items() if words]
    use = next((m for m in SPEAKING if m in {mode, *(row.mode for row in rows)}), Mode.LIVE)
    return ModelState(
        site=site.id,
        outcome=model.outcome,
        version=model.version,
        digest=model.digest,
        mode=mode,
        recorded=of_all,
        single=tuple(row for row in rows if row.service),
        approval=_approval_words(verdict_of(config, site.id, model, use, today)) if governed else "not asked for here",
        speaks="" in why,
        silent="; ".join(silent),
    )


def _in_time(
    config: ServiceConfig, site: str, outcome: str, _departments: tuple[str, ...], today: date
) -> NotScoredReason | None:
    trial = trial_of(config.trials, site, outcome, today)
    return None if trial and trial.runs(today) else NotScoredReason.TRIAL_NOT_RUNNING


def _approval_words(verdict: ApprovalVerdict) -> str:
    approval = verdict.approval
    if approval is None or not verdict.is_valid:
        return unmet_words(verdict)
    where = f", {' and '.join(approval.services)} alone" if approval.services else ""
    return f"{approval.id}, until {approval.review_by}{where}"


def off_and_pending(runtime: Runtime) -> list[SwitchRow]:
    """What is switched off, also by the file, and what waits for a second person."""
    rows = switches(runtime.store, runtime.now())
    return [*rows, *(row for row in controls(runtime).off if row.file)]


def heads(connection: sa.Connection) -> list[dict[str, Any]]:
    """The last event of each chain: site, number, link."""
    return [dict(row) for row in connection.execute(sa.select(chain_head).order_by(chain_head.c.site)).mappings()]


def opted_out(connection: sa.Connection) -> dict[str, int]:
    """How many patients of each site have opted out."""
    counted = (
        sa.select(opt_out.c.site, sa.func.count().label("patients")).group_by(opt_out.c.site).order_by(opt_out.c.site)
    )
    return {row.site: row.patients for row in connection.execute(counted)}


# What is shown of an event, in this order; estimates, users and whatever is new are not.
OF_EVENTS = (
    "what", "act", "service", "status", "topics", "rules", "models", "not_scored", "held_back", "switched_off",
    "review", "consent", "not_for", "outcome", "version", "topic", "mode", "severity", "card", "page", "found",
    "reason", "by",
)  # fmt: skip


def event_facts(event: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and value of what an event says, without what it leaves empty."""
    named = ((name.replace("_", " "), event.get(name)) for name in OF_EVENTS)
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)) for name, value in named if value
    ]


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
    service = [
        ("mode", config.mode),
        ("public_url", config.address or ""),
        ("store", (config.store or "temporary").partition(":")[0]),
        ("data_key", "given" if config.data_key else "in a file beside the database"),
        ("smart_keys", "given" if config.smart_keys else "in files beside the database"),
        ("models", "those shipped" if config.models is None else config.models.name),
        ("body_bytes", str(config.body_bytes)),
        ("cors_origins", ", ".join(config.cors_origins) or "none"),
        ("trusted_proxies", ", ".join(config.trusted_proxies) or "none"),
        ("tls", "by the service itself" if config.tls else "by a proxy"),
        ("server_timing", _yes(config.server_timing)),
    ]
    limits = [(name, str(getattr(config.limits, name))) for name in config.limits.__struct_fields__]
    groups = [("service.toml", service), ("[limits]", limits)]
    if (governance := config.governance) is not None:
        who = [(role.value, ", ".join(sorted(values))) for role, values in governance.roles.items()]
        named = [(name, getattr(governance, name)) for name in ("issuer", "client_id", "roles_claim")]
        groups.append(("[governance]", [*named, *who]))
    return [*groups, *((f"sites/*.toml: {site.id}", list(_site(site))) for site in config.sites)]


def _site(site: SiteConfig) -> Iterator[tuple[str, str]]:
    yield "time_zone", str(site.cards.zone)
    yield "language, region", f"{site.cards.say.locale}, {site.cards.region.id}"
    yield "dialect", site.dialect.value
    yield "consent", site.reading.consent.use
    yield "on_missing", site.on_missing.value
    yield "show_probability", _yes(site.cards.show_probability)
    yield "fhir_bases", ", ".join(site.reading.fhir_bases) or "none"
    for outcome in OUTCOMES:
        yield f"[models] {outcome}", site.models.get(outcome, "the newest")
    for issuer in site.issuers:
        yield "issuer", f"{issuer.iss}, {', '.join(issuer.algorithms)}"
    for entry in site.smart:
        yield "smart", f"{entry.iss}, client {entry.client_id}, {entry.authentication}"


def _yes(value: object) -> str:
    return "yes" if value else "no"
