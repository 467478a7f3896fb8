"""What opens an incident without anybody's doing: rates, approvals, settings. Each look is a few small queries."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from cds_service.audit.verify import Verified
from cds_service.control.acts import modes
from cds_service.control.approved import verdict_at
from cds_service.control.targets import SPEAKING
from cds_service.incidents.incidents import OPEN, Fact, NewIncident, open_incident
from cds_service.incidents.kinds import IncidentKind
from cds_service.settings.approvals import Approval, ApprovalState
from cds_service.settings.config import ServiceConfig
from cds_service.settings.service_ids import ASK_MODELS
from cds_service.storage.chain import AuditKind
from cds_service.storage.store import Store
from cds_service.storage.tables import audit_event, incident
from explanations.judgement.assessment import Engine
from fhir_adapters.facts import Consent
from models.rules.findings import Topic

log = logging.getLogger("mhcds")
DAY = timedelta(days=1)
MOST_EVENTS, LEAST_ANSWERS = 1000, 50
ENDS_SOON = timedelta(days=14)


def open_all(store: Store, found: Iterable[NewIncident], now: datetime) -> None:
    """Opens those whose occasion has no incident."""
    for new in found:
        with store.transaction() as connection:
            open_incident(connection, new, now)


# ---- answers ------------------------------------------------------------------------------------------------------


class _Answer(msgspec.Struct):
    """What is counted of an answer's event."""

    anomalies: int = 0
    unreadable: int = 0
    topics: tuple[str, ...] = ()
    held_back: tuple[str, ...] = ()
    quieted: bool = False
    switched_off: str | None = None
    consent: str | None = None

    @property
    def is_affected(self) -> bool:
        """Whether its chart contradicted itself, could not be read or not be assessed; no switch is the cause."""
        not_assessed = Topic.COULD_NOT_ASSESS in self.topics and not self.held_back
        return bool(self.anomalies or self.unreadable or self.quieted or not_assessed)


def anomaly_rates(store: Store, config: ServiceConfig, now: datetime) -> Iterator[NewIncident]:
    """Sites of whose answers more are affected than their limit allows; one a day, and none while one is open."""
    for site in config.sites:
        answers = _latest_answers(store, site.id, now)
        affected = sum(answer.is_affected for answer in answers)
        if len(answers) < LEAST_ANSWERS or affected <= site.anomaly_limit * len(answers) or _is_open(store, site.id):
            continue
        day = f"{now:%Y-%m-%d}"
        facts: dict[str, Fact] = {
            "day": day,
            "answers": len(answers),
            "affected": affected,
            "limit": site.anomaly_limit,
        }
        occasion = f"anomaly-rate:{site.id}:{day}"
        yield NewIncident(site=site.id, kind=IncidentKind.ANOMALY_RATE, occasion=occasion, facts=facts)


def _latest_answers(store: Store, site: str, now: datetime) -> list[_Answer]:
    """Of the last day, among the last events of the site, and of nobody who has opted out."""
    c = audit_event.c
    last = sa.select(c.at, c.kind, c.event).where(c.site == site).order_by(c.seq.desc()).limit(MOST_EVENTS)
    with store.transaction() as connection:
        rows = connection.execute(last).all()
    since = (now - DAY).isoformat()
    answers = (
        msgspec.json.decode(row.event, type=_Answer)
        for row in rows
        if row.kind == AuditKind.ANSWER and row.event is not None and row.at > since
    )
    return [answer for answer in answers if not answer.switched_off and answer.consent != Consent.OPTED_OUT]


def _is_open(store: Store, site: str) -> bool:
    same = (incident.c.site == site, incident.c.kind == IncidentKind.ANOMALY_RATE.value, incident.c.status == OPEN)
    with store.transaction() as connection:
        return connection.execute(sa.select(incident.c.id).where(*same)).first() is not None


# ---- approvals ----------------------------------------------------------------------------------------------------


def approvals(store: Store, config: ServiceConfig, engine: Engine, now: datetime) -> Iterator[NewIncident]:
    """Approvals that have ended with nothing in their place, and modes that let a model speak without one."""
    governed = {site.id: site for site in config.sites if config.governed(site.id)}
    for site in governed.values():
        verdicts = (
            verdict_at(config, site.id, service, model, mode, site.day(now))
            for model in site.models_of(engine)
            for service in ASK_MODELS
            for mode in SPEAKING
        )
        ended = {v.approval.id: v.approval for v in verdicts if v.state is ApprovalState.EXPIRED and v.approval}
        yield from (_ended(site.id, approval) for approval in ended.values())
    by_version = {(model.outcome, model.version): model for model in engine.models}
    for row in modes(store):
        model = by_version.get((row.outcome, row.version))
        if row.site not in governed or model is None or row.mode not in SPEAKING:
            continue
        today = governed[row.site].day(now)
        state = verdict_at(config, row.site, row.service, model, row.mode, today).state
        if state not in (ApprovalState.VALID, ApprovalState.EXPIRED):
            facts = {"outcome": row.outcome, "version": row.version, "service": row.service, "mode": row.mode.value}
            occasion = ":".join(("approval-missing", *row.key))
            yield NewIncident(site=row.site, kind=IncidentKind.APPROVAL_MISSING, occasion=occasion, facts=facts)


def _ended(site: str, approval: Approval) -> NewIncident:
    ended = approval.review_by.isoformat()
    facts, occasion = {"approval": approval.id, "ended": ended}, f"approval-expired:{site}:{approval.id}:{ended}"
    return NewIncident(site=site, kind=IncidentKind.APPROVAL_EXPIRED, occasion=occasion, facts=facts)


def warn_of_ends(config: ServiceConfig, now: datetime) -> None:
    """A line in the log for each approval whose end is near."""
    for approval in config.approvals:
        left = approval.review_by - now.date()
        if timedelta(0) <= left <= ENDS_SOON:
            said = {"event": "approval-ends-soon", "approval": approval.id, "review_by": approval.review_by.isoformat()}
            log.warning(json.dumps({**said, "days_left": left.days}))


# ---- the audit chain ----------------------------------------------------------------------------------------------


def audit_faults(chains: Iterable[Verified]) -> Iterator[NewIncident]:
    """One for each chain with faults; another once there are others than before."""
    for chain in chains:
        if chain.faults:
            seen = repr([(fault.kind.value, fault.seq) for fault in chain.faults])
            occasion = f"audit-fault:{chain.site}:{hashlib.sha256(seen.encode()).hexdigest()}"
            first = chain.faults[0]
            facts: dict[str, Fact] = {"fault": first.kind.value, "seq": first.seq, "faults": len(chain.faults)}
            yield NewIncident(site=chain.site, kind=IncidentKind.AUDIT_FAULT, occasion=occasion, facts=facts)


# ---- settings -----------------------------------------------------------------------------------------------------


def settings_not_in_force(problem: str | None) -> Iterator[NewIncident]:
    """Of the whole deployment, where there is a problem."""
    if problem is not None:
        kind = IncidentKind.SETTINGS_NOT_RELOADED
        yield NewIncident(site="", kind=kind, occasion=kind.value)
