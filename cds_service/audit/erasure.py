"""Erasure that leaves a chain whole: of one person's events, and of those that a site keeps no longer (decision 0044).

An erased event keeps its place, time, kind, digest and link. Gone are its content, salt and patient, its cards, the
sealed comments on them, the words of near misses reported in the same launch of the app, and what leads from an
escalation or an arm of a trial to its patient. Each erasure is an event
that says which numbers went, never whose they were; erasures themselves stay. In small batches, so that no call waits.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import sqlalchemy as sa

from cds_service.audit.runs import extend
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.housekeeping import empty_log
from cds_service.storage.store import Store
from cds_service.storage.tables import (
    allocation,
    arrival,
    audit_event,
    card,
    delivery,
    escalation,
    escalation_event,
    feedback,
    incident,
    incident_note,
    snooze,
)

T = TypeVar("T")
AT_ONCE = 200
PAGE = 1000
REST_S = 0.02
ERASED_UNIT = "erased-"
ERASED = {"event": None, "salt": None, "patient": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """Why events go. act: person or age."""

    act: str
    by: str
    reason: str
    at: datetime


def erase_people(store: Store, site: str, patients: Sequence[str], why: Erasure) -> int:
    """Erases all events of these patients, given as pseudonyms, and returns how many. Raises StoreUnavailable."""
    c = audit_event.c
    theirs = sa.select(c.seq).where(c.site == site, c.patient.in_(patients), c.kind != AuditKind.ERASURE)
    with store.transaction(patient=True) as connection:
        found = connection.scalars(theirs.order_by(c.seq)).all()
    for some in _parts(found):
        _erase(store, site, some, why)
    with store.transaction() as connection:
        _unlink(connection, sa.and_(escalation.c.site == site, escalation.c.patient.in_(patients)))
        for table in (snooze, arrival):
            connection.execute(table.delete().where(table.c.site == site, table.c.patient.in_(patients)))
        _leave_trials(connection, site, patients)
    empty_log(store)
    return len(found)


def erase_old(store: Store, site: str, days: int, now: datetime) -> int:
    """Erases the events of a site that are older than so many days, and returns how many. Raises StoreUnavailable."""
    c, total = audit_event.c, 0
    limit = (now - timedelta(days=days)).date().isoformat()
    why = Erasure(act="age", by="service", reason=f"kept for {days} days", at=now)
    # Not from the beginning: what was erased before would be read again each time.
    live = sa.select(c.seq).where(c.site == site, c.event.is_not(None), c.kind != AuditKind.ERASURE)
    with store.transaction(patient=True) as connection:
        after = (connection.scalar(live.order_by(c.seq).limit(1)) or 1) - 1
    while True:
        page = sa.select(c.seq, c.at, c.kind, c.event.is_(None).label("erased")).where(c.site == site, c.seq > after)
        with store.transaction() as connection:
            rows = connection.execute(page.order_by(c.seq).limit(PAGE)).all()
        old = [row for row in rows if row.at < limit]
        if not old:
            break
        kept = [row.seq for row in old if not row.erased and row.kind != AuditKind.ERASURE]
        for some in _parts(kept):
            _erase(store, site, some, why)
            time.sleep(REST_S)  # for the calls that wait
        after, total = rows[-1].seq, total + len(kept)
    with store.transaction() as connection:  # comments on cards that are not ours belong to no event
        unknown = sa.and_(feedback.c.site == site, feedback.c.answer.is_(None), feedback.c.at < limit)
        connection.execute(feedback.update().where(unknown, feedback.c.comment.is_not(None)).values(comment=None))
        past = sa.and_(escalation.c.site == site, escalation.c.status != "open", escalation.c.at < limit)
        _unlink(connection, past)
    if total:
        empty_log(store)
    return total


def _erase(store: Store, site: str, numbers: Sequence[int], why: Erasure) -> None:
    c = audit_event.c
    runs: list[list[int]] = []
    for number in numbers:
        extend(runs, number)
    with store.transaction() as connection:
        _erase_reports(connection, site, numbers)
        connection.execute(audit_event.update().where(c.site == site, c.seq.in_(numbers)).values(ERASED))
        connection.execute(card.delete().where(card.c.site == site, card.c.answer.in_(numbers)))
        said = feedback.update().where(feedback.c.site == site, feedback.c.answer.in_(numbers))
        connection.execute(said.values(comment=None))
        event = {"act": why.act, "by": why.by, "reason": why.reason, "count": len(numbers), "numbers": runs}
        append(connection, NewEvent(site=site, kind=AuditKind.ERASURE, at=why.at.isoformat(), event=event))


def _unlink(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    """Takes from escalations whom they are about; that there was one, who had it and when stays."""
    c = escalation.c
    ids = sa.select(c.id).where(which, sa.or_(c.patient.is_not(None), sa.func.length(c.sealed) > 0))
    for found in _parts(connection.scalars(ids).all()):
        connection.execute(escalation_event.delete().where(escalation_event.c.escalation.in_(found)))
        connection.execute(delivery.update().where(delivery.c.escalation.in_(found)).values(reference=None))
        connection.execute(escalation.update().where(c.id.in_(found)).values(patient=None, sealed=b""))


def _leave_trials(connection: sa.Connection, site: str, patients: Sequence[str]) -> None:
    """Takes the person from each allocation; its number and arm stay, so that the sequence can still be verified."""
    of_theirs = sa.and_(allocation.c.site == site, allocation.c.unit.in_(patients))
    for trial, unit in connection.execute(sa.select(allocation.c.trial, allocation.c.unit).where(of_theirs)).all():
        one = sa.and_(of_theirs, allocation.c.trial == trial, allocation.c.unit == unit)
        nobody = f"{ERASED_UNIT}{secrets.token_hex(12)}"
        connection.execute(allocation.update().where(one).values(unit=nobody))


def _erase_reports(connection: sa.Connection, site: str, numbers: Sequence[int]) -> None:
    """Erases what people wrote on near misses of the launches that these events belong to."""
    c = audit_event.c
    events = sa.select(c.event).where(c.site == site, c.seq.in_(numbers), c.kind == AuditKind.APP, c.event.is_not(None))
    launches = {json.loads(event).get("launch") for event in connection.scalars(events)}
    if not launches:
        return
    at_site = connection.execute(sa.select(incident.c.id, incident.c.facts).where(incident.c.site == site))
    reported = [row.id for row in at_site if row.facts.get("launch") in launches]
    connection.execute(incident_note.update().where(incident_note.c.incident.in_(reported)).values(text=None))


def _parts(numbers: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(numbers), AT_ONCE):
        yield numbers[start : start + AT_ONCE]
