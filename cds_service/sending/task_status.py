"""What became of the Tasks of open escalations: somebody took one, or turned it down."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import RowMapping

from cds_service.backend.backend import Backend, BackendFailed
from cds_service.errors import StoreUnavailable
from cds_service.escalation.escalations import acknowledge, move_on
from cds_service.escalation.records import EscalationStatus, NoSuchEscalation
from cds_service.settings.config import ServiceConfig
from cds_service.settings.sites import SiteConfig
from cds_service.storage.store import Store
from cds_service.storage.tables import delivery, escalation
from fhir_adapters.errors import GatewayFailed, NotAuthorized, ServerFailed, TooLate, Unreachable
from fhir_adapters.received import cleaned

log = logging.getLogger("mhcds")
# Not "received" nor "ready": systems set these by themselves, when nobody has taken it on yet (FHIR R4, TaskStatus).
TAKEN = ("accepted", "in-progress", "completed")
TURNED_DOWN = ("rejected", "cancelled", "failed", "entered-in-error")
THROUGH = "task"
# For all Tasks of a look together: less than until the next one; and for one.
LOOK_S, READ_S = 45.0, 10.0
MOST_BY = 200


def look_at_tasks(store: Store, config: ServiceConfig, backend: Backend, now: Callable[[], datetime]) -> None:
    """Reads each Task once and does what follows from its status. Raises StoreUnavailable."""
    deadline = time.monotonic() + LOOK_S
    sites = {site.id: site for site in config.sites if site.backend}
    sent = _sent_tasks(store)
    last = {(task["escalation"], task["contact"]): task["reference"] for task in sent}
    for task in sent:
        if task["reference"] is None or task["site"] not in sites or time.monotonic() >= deadline:
            continue
        try:
            found = _read(backend, sites[task["site"]], task["reference"], min(deadline, time.monotonic() + READ_S))
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # whatever an EHR answers for one Task, the others are looked at
            said = {"event": "task-not-read", "site": task["site"], "escalation": task["escalation"]}
            log.warning(json.dumps({**said, "why": type(error).__name__}))
            if isinstance(error, BackendFailed | TooLate | Unreachable | ServerFailed | GatewayFailed):
                del sites[task["site"]]  # its other Tasks would only cost those of other sites their time
            continue
        _follow(store, task, found, now(), is_last=last[task["escalation"], task["contact"]] == task["reference"])


def _follow(store: Store, task: RowMapping, found: dict[str, Any], now: datetime, *, is_last: bool) -> None:
    """Does what follows from the status of a Task. is_last: no later message went to the contact."""
    with store.transaction() as connection:
        if found.get("status") in TAKEN:
            with suppress(NoSuchEscalation):  # closed since
                acknowledge(connection, task["escalation"], by=_owner(found), through=THROUGH, now=now)
        elif found.get("status") in TURNED_DOWN and is_last:
            move_on(connection, task["escalation"], task["contact"], now)


def _sent_tasks(store: Store) -> Sequence[RowMapping]:
    """Site, escalation, contact and reference of each message about an open escalation; without a Task no reference."""
    d, is_open = delivery.c, escalation.c.status == EscalationStatus.OPEN
    theirs = sa.select(d.site, d.escalation, d.contact, d.reference).join(escalation).where(is_open).order_by(d.id)
    with store.transaction() as connection:
        return connection.execute(theirs).mappings().all()


def _read(backend: Backend, site: SiteConfig, reference: str, deadline: float) -> dict[str, Any]:
    """The Task as it stands, with a new token where the one kept is no longer accepted."""
    try:
        (found,) = backend.reader(site, deadline).get(reference)
    except NotAuthorized:
        backend.forget(site)
        (found,) = backend.reader(site, deadline).get(reference)
    return dict(msgspec.json.decode(found.text)) if found.kind == "Task" else {}


def _owner(task: dict[str, Any]) -> str:
    """Whose it is, as the EHR says it; "" where it does not."""
    owner = task.get("owner")
    named = (owner.get("display") or owner.get("reference")) if isinstance(owner, dict) else None
    return cleaned(named, MOST_BY) if isinstance(named, str) else ""
