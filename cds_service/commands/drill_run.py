"""A drill of the whole chain: a made-up chart is judged, each contact is told, and it is seen who answers.

The patient is nobody: an id that begins with `drill-`, in no chart and on no record. The escalations are marked as
drills in the store, in the audit chain and in every message, and figures leave them out.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cds_service.escalation.escalations import CloseReason, close
from cds_service.escalation.links import PatientLink
from cds_service.escalation.opening import open_drill
from cds_service.escalation.records import EscalationRow, NoSuchEscalation, one
from cds_service.sending.contacts import Means
from cds_service.sending.queue import send_next
from cds_service.sending.task_status import look_at_tasks
from cds_service.settings.config import ServiceConfig
from cds_service.settings.escalation import Channel, Contact
from cds_service.settings.sites import SiteConfig
from cds_service.storage.store import Store
from explanations.judgement.assessment import Engine
from explanations.judgement.judge import judge
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.codesets.terminology import LOINC
from models.rules.findings import Urgency

SERVICE = "drill"
REST_S = 0.5
TASKS_EVERY_S = 10
LAST_S = 15
INTENT, YES = "93249-1", "LA33-6"  # C-SSRS, question 4, answered yes


class DrillResult(StrEnum):
    """What came of it for one contact. The values are stable: they stand in reports."""

    IN_TIME = "acknowledged-in-time"
    LATE = "acknowledged-late"
    NOT_ACKNOWLEDGED = "not-acknowledged"
    STOPPED = "stopped-waiting"  # before the contact's time was over
    NOT_DELIVERED = "not-delivered"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactDrill:
    """One contact's part. on_duty: by the site's hours when it began; told, delivered, acknowledged: UTC.

    failure: of the last attempt. by, through: who acknowledged, and how.
    """

    contact: str
    channel: Channel
    on_duty: bool
    within_min: int
    escalation: str
    told: datetime
    attempts: int
    delivered: datetime | None
    failure: str | None
    acknowledged: datetime | None
    by: str | None
    through: str | None
    result: DrillResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """The whole of it. patient: the made-up id. rules: those that found the answer. began, ended: UTC."""

    site: str
    patient: str
    rules: tuple[str, ...]
    began: datetime
    ended: datetime
    wait_min: float
    contacts: tuple[ContactDrill, ...]

    @property
    def passed(self) -> bool:
        """Whether each contact acknowledged in time."""
        return all(contact.result is DrillResult.IN_TIME for contact in self.contacts)


def rules_of_drill(site: SiteConfig, patient: str, now: datetime) -> tuple[str, ...]:
    """The rules that call the made-up chart acute, by the judgement of every call; none: nothing would be told."""
    answer = {
        "resourceType": "Observation",
        "id": f"{patient}-answer",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": INTENT}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": now.isoformat(),
        "valueCodeableConcept": {"coding": [{"system": LOINC, "code": YES}]},
    }
    entries = [{"resource": each} for each in ({"resourceType": "Patient", "id": patient}, answer)]
    raw = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    found = judge(
        ChartRequest(patient_id=patient, as_of=now),
        lambda request, settings: chart_bundle(raw, settings=settings, as_of=request.as_of),
        site.judgement,
        Engine(),
    )
    return tuple(f.rule for f in found.assessment.findings if f.urgency is Urgency.ACUTE)


def rehearse(
    store: Store,
    config: ServiceConfig,
    site: SiteConfig,
    contacts: Sequence[Contact],
    wait_min: float,
    means: Means,
    now: Callable[[], datetime],
) -> Drill:
    """Tells these contacts and waits until each has acknowledged, or for so long. Raises StoreUnavailable.

    It sends what is its own by itself, whether a service runs beside it or not.
    """
    began, patient = now(), f"drill-{secrets.token_hex(6)}"
    rules = rules_of_drill(site, patient, began)
    link = PatientLink(patient_id=patient, initials="D.D.", place="drill")
    named: list[tuple[str, Contact]] = []
    try:
        for contact in contacts:
            name = open_drill(store, means.key, site, link, contact, now(), service=SERVICE)
            named.append((name, contact))  # so that it is closed although the next cannot be opened
        _wait(store, config, [name for name, _ in named], time.monotonic() + 60 * wait_min, means, now)
        ended = now()
        with store.transaction() as connection:
            found = tuple(_seen(one(connection, name), each, site, began, ended) for name, each in named)
    finally:
        for name, _ in named:
            with suppress(NoSuchEscalation), store.transaction() as connection:  # somebody has closed it
                close(connection, name, reason=CloseReason.DRILL, by=SERVICE, through="command", now=now())
        _send(store, config, [name for name, _ in named], time.monotonic() + LAST_S, means, now)
    return Drill(
        site=site.id, patient=patient, rules=rules, began=began, ended=ended, wait_min=wait_min, contacts=found
    )


def _wait(
    store: Store, config: ServiceConfig, names: list[str], until: float, means: Means, now: Callable[[], datetime]
) -> None:
    """Returns when each of these is acknowledged, the time is up, or somebody stops the command."""
    next_tasks = 0.0
    with suppress(KeyboardInterrupt):
        while True:
            _send(store, config, names, until, means, now)
            if time.monotonic() >= next_tasks:
                next_tasks = time.monotonic() + TASKS_EVERY_S
                look_at_tasks(store, config, means.backend, now)
            with store.transaction() as connection:
                waiting = [name for name in names if one(connection, name).acknowledged is None]
            if not waiting or time.monotonic() >= until:
                return
            time.sleep(REST_S)


def _send(
    store: Store, config: ServiceConfig, names: list[str], until: float, means: Means, now: Callable[[], datetime]
) -> None:
    """Sends messages of these alone: others are for a service, with the settings that are in force by then."""
    while send_next(store, config, now, means, only=names) and time.monotonic() < until:
        pass


def _seen(row: EscalationRow, contact: Contact, site: SiteConfig, began: datetime, ended: datetime) -> ContactDrill:
    message = row.messages[0]
    told = datetime.fromisoformat(message.at)
    until = told + timedelta(minutes=contact.within_min)
    acknowledged = None if row.acknowledged is None else datetime.fromisoformat(row.acknowledged)
    delivered = datetime.fromtimestamp(message.delivered or 0, began.tzinfo) if message.arrived else None
    if acknowledged is not None:
        result = DrillResult.IN_TIME if acknowledged <= until else DrillResult.LATE
    elif message.arrived:
        result = DrillResult.STOPPED if ended < until else DrillResult.NOT_ACKNOWLEDGED
    else:
        result = DrillResult.NOT_DELIVERED if message.delivered is None else DrillResult.REFUSED
    return ContactDrill(
        contact=contact.name,
        channel=contact.channel,
        on_duty=contact.on_duty(began.astimezone(site.cards.zone)),
        within_min=contact.within_min,
        escalation=row.id,
        told=told,
        attempts=message.attempts,
        delivered=delivered,
        failure=message.failure,
        acknowledged=acknowledged,
        by=row.acknowledged_by,
        through=row.through,
        result=result,
    )
