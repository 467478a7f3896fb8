"""Escalations as they stand: for cards and pages, and with their timeline for whoever looks after them. Only reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import RowMapping

from cds_service.errors import ServiceError
from cds_service.escalation.links import PatientLink, unsealed
from cds_service.escalation.messages import TELLING
from cds_service.keys.data_key import DataKey
from cds_service.storage.chain import AuditKind
from cds_service.storage.store import Store
from cds_service.storage.tables import audit_event, card, delivery, escalation, escalation_event
from explanations.judgement.escalation import Done, Escalation, EscalationState
from models.rules.findings import Topic

SHOWN_FOR = timedelta(days=1)
"""How long a page shows that an escalation was acknowledged."""


class NoSuchEscalation(ServiceError):
    """There is none with that id, for that site and patient; or it is closed. Which of these is not said."""

    status = 404
    code = "not-found"

    def __init__(
        self, text: str = "there is no such escalation; `mhcds escalation list --all` shows those there are"
    ) -> None:
        super().__init__(text)


class EscalationStatus(StrEnum):
    """The values are stable: they stand in records."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneEntry:
    """Something that was done, who says so, and when (ISO 8601)."""

    what: Done
    by: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactMessage:
    """A message to a contact. kind: its type. delivered, due: seconds since 1970; failure: of the last attempt."""

    id: str
    contact: str
    kind: str
    at: str
    attempts: int
    due: int
    delivered: int | None
    failure: str | None
    reference: str | None

    @property
    def arrived(self) -> bool:
        """Whether the contact's own system has it."""
        return self.delivered is not None and self.failure is None


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationRow:
    """One escalation; times are ISO 8601 and UTC, `due` in seconds since 1970. patient: a pseudonym; None for a drill.

    contact: whose turn it is; None: nobody is on duty. events: how many acute events it is about.
    acts: its events of the audit chain, in order, each with its time as `at`.
    """

    id: str
    site: str
    patient: str | None
    status: EscalationStatus
    at: str
    due: int | None
    step: int
    round: int
    contact: str | None
    drill: bool
    acknowledged: str | None
    acknowledged_by: str | None
    through: str | None
    done: tuple[DoneEntry, ...]
    closed: str | None
    why_closed: str | None
    events: int = 0
    messages: tuple[ContactMessage, ...] = ()
    acts: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether nobody has acknowledged it, and it is not closed."""
        return self.status is EscalationStatus.OPEN

    @property
    def overdue(self) -> bool:
        """Whether every contact has had their turn, and none has acknowledged it in time."""
        return self.round > 1

    @property
    def told(self) -> ContactMessage | None:
        """The message that arrived last while it was open."""
        told = [message for message in self.messages if message.arrived and message.kind in TELLING]
        return max(told, key=lambda message: (message.delivered, message.id), default=None)


C = escalation.c
EVENTS = sa.select(sa.func.count()).where(escalation_event.c.escalation == C.id).scalar_subquery()
COLUMNS = [*(C[name] for name in EscalationRow.__slots__ if name in C), EVENTS.label("events")]


def standing(row: EscalationRow) -> Escalation | None:
    """An escalation as cards and pages say it; None once it was closed without anybody's acknowledgement."""
    value = Escalation(
        state=EscalationState.WAITING,
        id=row.id,
        contact=row.contact,
        at=datetime.fromisoformat(row.at),
        overdue=row.overdue,
        done=tuple(dict.fromkeys(entry.what for entry in row.done)),
    )
    if row.acknowledged is not None:
        at, by = datetime.fromisoformat(row.acknowledged), row.acknowledged_by or ""
        return replace(value, state=EscalationState.ACKNOWLEDGED, at=at, by=by)
    if not row.is_open:
        return None
    if (told := row.told) is not None:
        at = datetime.fromtimestamp(told.delivered or 0, UTC)
        return replace(value, state=EscalationState.TOLD, contact=told.contact, at=at)
    if row.contact is None:
        return replace(value, state=EscalationState.NOBODY_ON_DUTY)
    return replace(value, at=datetime.fromisoformat(row.messages[-1].at)) if row.messages else value


def current(store: Store, site: str, patient: str, now: datetime) -> Escalation | None:
    """The latest of a patient that is open, or that was acknowledged within a day. Raises StoreUnavailable."""
    with store.transaction() as connection:
        row = latest(connection, site, patient, now)
    return None if row is None else standing(row)


def latest(connection: sa.Connection, site: str, patient: str, now: datetime) -> EscalationRow | None:
    """The same as a row."""
    shown = sa.or_(C.status == EscalationStatus.OPEN, C.acknowledged > (now - SHOWN_FOR).isoformat())
    which = sa.and_(C.site == site, C.patient == patient, shown)
    return _first(connection, sa.select(*COLUMNS).where(which).order_by(C.at.desc(), C.id).limit(1))


def about(connection: sa.Connection, digests: Collection[str]) -> EscalationRow | None:
    """The newest that is about one of these events."""
    theirs = sa.select(escalation_event.c.escalation).where(escalation_event.c.digest.in_(digests))
    which = sa.select(*COLUMNS).where(C.id.in_(theirs)).order_by(C.at.desc(), C.id)
    return _first(connection, which.limit(1))


def _first(connection: sa.Connection, which: sa.Select[Any]) -> EscalationRow | None:
    return next(iter(_whole(connection, connection.execute(which).mappings().all())), None)


def open_of_cards(store: Store, sites: Sequence[str], cards: Collection[str]) -> list[str]:
    """The open escalations that these cards of acute answers showed: of their patient, with no later event."""
    a, e = audit_event.c, escalation_event.c
    answer = sa.and_(a.site == card.c.site, a.seq == card.c.answer)
    theirs = sa.and_(C.site == a.site, C.patient == a.patient, C.status == EscalationStatus.OPEN)
    shown = sa.and_(card.c.uuid.in_(cards), card.c.site.in_(sites), card.c.topic == Topic.ACUTE_SAFETY)
    later = sa.exists().where(e.escalation == C.id, e.at > a.at)
    found = sa.select(C.id).distinct().select_from(card).join(audit_event, answer).join(escalation, theirs)
    with store.transaction() as connection:
        return list(connection.scalars(found.where(shown, ~later)))


def listed(
    connection: sa.Connection,
    sites: Sequence[str] | None = None,
    *,
    open_only: bool = True,
    since: datetime | None = None,
) -> list[EscalationRow]:
    """Escalations with their messages, the newest first. sites: None for every site.

    since: of those that are not open, only those opened since then.
    """
    which = sa.and_(
        sa.true() if sites is None else C.site.in_(sites),
        C.status == EscalationStatus.OPEN if open_only else sa.true(),
        sa.true() if since is None else sa.or_(C.status == EscalationStatus.OPEN, C.at >= since.isoformat()),
    )
    found = connection.execute(sa.select(*COLUMNS).where(which).order_by(C.at.desc(), C.id))
    return _whole(connection, found.mappings().all())


def one(connection: sa.Connection, identifier: str) -> EscalationRow:
    """One escalation with its messages and its events of the audit chain. Raises NoSuchEscalation."""
    row = _first(connection, sa.select(*COLUMNS).where(C.id == identifier))
    if row is None:
        raise NoSuchEscalation
    if row.patient is None and not row.drill:
        return row  # erased
    c = audit_event.c
    theirs = [c.site == row.site, c.kind == AuditKind.ESCALATION, c.event.is_not(None), c.at >= row.at]
    theirs += [c.patient == row.patient] if row.patient is not None else []
    found = connection.execute(sa.select(c.at, c.event).where(*theirs).order_by(c.seq))
    acts = [{"at": each.at, **msgspec.json.decode(each.event)} for each in found]
    return replace(row, acts=tuple(act for act in acts if act["escalation"] == identifier))


def patient_of(connection: sa.Connection, key: DataKey, identifier: str) -> PatientLink | None:
    """Which patient it is about; None once that is emptied, or sealed with another key. Raises NoSuchEscalation."""
    found = connection.execute(sa.select(C.sealed).where(C.id == identifier)).scalar()
    if found is None:
        raise NoSuchEscalation
    return unsealed(key, bytes(found))


def _whole(connection: sa.Connection, rows: Sequence[RowMapping]) -> list[EscalationRow]:
    """With their messages; one query, however many there are."""
    sent: dict[str, list[dict[str, Any]]] = {row["id"]: [] for row in rows}
    found = sa.select(delivery).where(delivery.c.escalation.in_(sent)).order_by(delivery.c.id)
    for each in connection.execute(found).mappings() if sent else ():
        sent[each["escalation"]].append(_plain(each, kind=msgspec.json.decode(each["body"])["type"]))
    return [msgspec.convert(_plain(row, messages=sent[row["id"]]), EscalationRow) for row in rows]


def _plain(row: RowMapping, **more: object) -> dict[str, Any]:
    """A row without SQLAlchemy's own kind of name, which msgspec does not take."""
    return {str(name): value for name, value in row.items()} | more
