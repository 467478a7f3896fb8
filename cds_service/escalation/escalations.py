"""What is done with an escalation: it moves on by its clock, somebody acknowledges it, says what was done, closes it.

Every change is one update that finds the row as it must be, so of several workers or people one makes it; its audit
event and its messages stand in the same transaction. No network: `sending` sends.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from cds_service.errors import StoreUnavailable
from cds_service.escalation.duty import Turn, next_turn
from cds_service.escalation.messages import MessageKind, take_back, withdraw
from cds_service.escalation.records import EscalationStatus, NoSuchEscalation
from cds_service.escalation.turns import EscalationAct, open_about, record, take
from cds_service.incidents.kinds import IncidentKind
from cds_service.settings.config import ServiceConfig
from cds_service.settings.escalation import Contact
from cds_service.settings.escalation_file import MOST_MIN
from cds_service.storage.store import Store
from cds_service.storage.tables import delivery, escalation, escalation_event
from explanations.judgement.escalation import Done

log = logging.getLogger("mhcds")
C = escalation.c
TURN_S = MOST_MIN * 60
LONGEST_S = 10 * 24 * 60 * 60
TOO_LATE = timedelta(days=1)
"""A turn that is so long past is not taken: the service was down, or a backup was restored (decision 0050)."""


class CloseReason(StrEnum):
    """Why an escalation was closed. The values are stable: they stand in records and messages."""

    HANDLED = "handled"
    IN_ERROR = "in-error"
    DECEASED = "deceased"
    ERASED = "erased"
    DRILL = "drill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """Who has it, and since when (ISO 8601). first: whether that is by this acknowledgement."""

    first: bool
    by: str
    at: str


# ---- the clock ----------------------------------------------------------------------------------------------------


def advance(store: Store, config: ServiceConfig, now: datetime) -> int:
    """Takes the turns that are due and that no other worker has taken; returns how many. Raises StoreUnavailable."""
    sites = {site.id: (site.escalation.contacts, site.cards.zone) for site in config.sites if site.escalation}
    seconds = int(now.timestamp())
    # Put off for longer than a turn (in the first round) or any hours: by a clock that has gone back since.
    odd = sa.or_(C.due > seconds + LONGEST_S, sa.and_(C.contact.is_not(None), C.round <= 1, C.due > seconds + TURN_S))
    come = sa.or_(C.due <= seconds, odd)
    is_due = sa.and_(C.status == EscalationStatus.OPEN, come, C.site.in_(sites))
    with store.transaction() as connection:
        found = connection.execute(sa.select(escalation).where(is_due).order_by(C.due)).mappings().all()
    taken = 0
    for row in found:
        try:
            with store.transaction() as connection:
                taken += _take_turn(connection, *sites[row["site"]], row, now)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # a fault in one must not keep the others from being told
            log.error(json.dumps({"event": "escalation-not-moved", "id": row["id"], "why": type(error).__name__}))
    return taken


def _take_turn(
    connection: sa.Connection, contacts: Sequence[Contact], zone: tzinfo, row: RowMapping, now: datetime
) -> bool:
    """The turn of an escalation; False where another worker has taken it."""
    too_late = datetime.fromtimestamp(row["due"], now.tzinfo) < now - TOO_LATE
    if row["drill"] or too_late:
        turn = Turn(contact=None, round=max(row["round"], 2), due=None)
    else:
        turn = next_turn(contacts, zone, row["contact"], row["round"], now)
    taken = take(connection, row, turn, now, C.status == EscalationStatus.OPEN, C.due == row["due"])
    if taken is None:
        return False
    moved, said = taken
    if too_late:
        take_back(connection, moved, now)
    if moved["round"] > row["round"] and not row["drill"]:
        unanswered(connection, row, now)
    what = EscalationAct.MOVED_ON if row["contact"] else EscalationAct.BEGUN
    record(connection, moved, what, now, **said)
    return True


def open_stranded(store: Store, config: ServiceConfig, now: datetime) -> None:
    """An incident for each that is open at a site that tells nobody any more, or that is gone."""
    telling = [site.id for site in config.sites if site.escalation is not None]
    stranded = sa.and_(C.status == EscalationStatus.OPEN, C.site.not_in(telling), C.drill.is_(False))
    with store.transaction() as connection:
        for row in connection.execute(sa.select(escalation).where(stranded)).mappings().all():
            unanswered(connection, row, now)


def unanswered(connection: sa.Connection, row: RowMapping, now: datetime) -> None:
    """The incident of one that nobody has acknowledged."""
    facts = {"contacts": row["step"], "since": row["at"]}
    open_about(connection, row, IncidentKind.ESCALATION_UNANSWERED, now, **facts)


def move_on(connection: sa.Connection, identifier: str, contact: str, now: datetime) -> None:
    """Ends the turn of a contact who will not take it, if it is theirs: the next one is told at the next look."""
    theirs = sa.and_(C.id == identifier, C.status == EscalationStatus.OPEN, C.contact == contact)
    due = int(now.timestamp())
    connection.execute(escalation.update().where(theirs, C.due > due).values(due=due))


# ---- people -------------------------------------------------------------------------------------------------------


def acknowledge(
    connection: sa.Connection, identifier: str, *, by: str, through: str, now: datetime,
    site: str | None = None, patient: str | None = None,
) -> Acknowledged:  # fmt: skip
    """Somebody has it: nobody else is told. A second one changes nothing, and learns who was first.

    site, patient: those it must be of, where that is known; patient: a pseudonym. by: "" where only the way is known.
    Raises NoSuchEscalation, also for one that was closed before anybody acknowledged it.
    """
    which = _of(identifier, site, patient)
    at = now.isoformat()
    change = {"status": EscalationStatus.ACKNOWLEDGED, "due": None, "acknowledged": at}
    change |= {"acknowledged_by": by, "through": through}
    row = _changed(connection, sa.and_(which, C.status == EscalationStatus.OPEN), change)
    if row is not None:
        withdraw(connection, row, MessageKind.ACKNOWLEDGED, now, by=by, through=through)
        record(connection, row, EscalationAct.ACKNOWLEDGED, now, by=by, through=through)
        return Acknowledged(first=True, by=by, at=at)
    row = connection.execute(sa.select(escalation).where(which)).mappings().first()
    if row is None:
        raise NoSuchEscalation
    if row["acknowledged"] is None:
        raise NoSuchEscalation(f"escalation {identifier}: it was closed at {row['closed']}")
    return Acknowledged(first=False, by=row["acknowledged_by"] or "", at=row["acknowledged"])


def record_done(
    connection: sa.Connection, identifier: str, done: Collection[Done], *, by: str, through: str, now: datetime,
    site: str | None = None, patient: str | None = None,
) -> Acknowledged:  # fmt: skip
    """What was done about it, if anything, by somebody who has it by that. Raises NoSuchEscalation."""
    known = acknowledge(connection, identifier, by=by, through=through, now=now, site=site, patient=patient)
    if not done:
        return known
    # An update that changes nothing holds the row, so that of two who write at once neither is lost.
    row = _changed(connection, _of(identifier, site, patient), {"step": C.step})
    if row is None:
        raise NoSuchEscalation
    new = [{"what": what.value, "by": by, "at": now.isoformat()} for what in dict.fromkeys(done)]
    connection.execute(escalation.update().where(C.id == identifier).values(done=[*row["done"], *new]))
    record(connection, row, EscalationAct.DONE, now, by=by, through=through, done=[each["what"] for each in new])
    return known


def hand_back(
    connection: sa.Connection, identifier: str, *, by: str, through: str, now: datetime, site: str | None = None
) -> None:
    """Whoever acknowledged it cannot go: it is open again, and the next contact is told at the next look.

    Raises NoSuchEscalation unless it is acknowledged and the patient has no other that is open.
    """
    other = escalation.alias()
    taken = sa.and_(other.c.site == C.site, other.c.patient == C.patient, other.c.status == EscalationStatus.OPEN)
    which = sa.and_(_of(identifier, site, None), C.status == EscalationStatus.ACKNOWLEDGED, C.drill.is_(False))
    which = sa.and_(which, ~sa.exists().where(taken))
    change: dict[str, Any] = {"status": EscalationStatus.OPEN, "due": int(now.timestamp())}
    change |= {"round": sa.case((C.round > 1, 2), else_=1)}
    change |= {"acknowledged": None, "acknowledged_by": None, "through": None}
    row = _changed(connection, which, change)
    if row is None:
        raise NoSuchEscalation(
            f"escalation {identifier}: expected one that is acknowledged, of a patient who has no other that is open"
        )
    # What said until now that somebody has it says so no more: a task that was accepted, a card that was answered.
    connection.execute(delivery.update().where(delivery.c.escalation == identifier).values(reference=None))
    events = escalation_event.update().where(escalation_event.c.escalation == identifier)
    connection.execute(events.values(at=now.isoformat()))
    record(connection, row, EscalationAct.HANDED_BACK, now, by=by, through=through)


def close(
    connection: sa.Connection, identifier: str, *, reason: CloseReason, by: str, through: str, now: datetime,
    site: str | None = None,
) -> None:  # fmt: skip
    """Closes one that is open or acknowledged. Whoever sees to an open one has acknowledged it by that.

    Raises NoSuchEscalation.
    """
    known = sa.and_(_of(identifier, site, None), C.status != EscalationStatus.CLOSED)
    at = now.isoformat()
    change: dict[str, Any] = {"status": EscalationStatus.CLOSED, "due": None, "closed": at, "why_closed": reason.value}
    if reason in (CloseReason.HANDLED, CloseReason.IN_ERROR):
        change |= {"acknowledged": sa.func.coalesce(C.acknowledged, at)}
        change |= {"acknowledged_by": sa.func.coalesce(C.acknowledged_by, by)}
        change |= {"through": sa.func.coalesce(C.through, through)}
    row = _changed(connection, known, change)
    if row is None:
        raise NoSuchEscalation
    withdraw(connection, row, MessageKind.CLOSED, now, reason=reason.value)
    if reason is CloseReason.DECEASED and row["acknowledged"] is None:
        unanswered(connection, row, now)
    record(connection, row, EscalationAct.CLOSED, now, by=by, through=through, reason=reason.value)


def close_of(store: Store, site: str, patients: Sequence[str], reason: CloseReason, by: str, now: datetime) -> None:
    """Closes what is open of these patients, given as pseudonyms. Raises StoreUnavailable."""
    theirs = sa.and_(C.site == site, C.patient.in_(patients), C.status == EscalationStatus.OPEN)
    with store.transaction() as connection:
        for identifier in connection.scalars(sa.select(C.id).where(theirs)).all():
            close(connection, identifier, reason=reason, by=by, through="command", now=now)


def _of(identifier: str, site: str | None, patient: str | None) -> sa.ColumnElement[bool]:
    return sa.and_(
        C.id == identifier,
        sa.true() if site is None else C.site == site,
        sa.true() if patient is None else C.patient == patient,
    )


def _changed(connection: sa.Connection, which: sa.ColumnElement[bool], change: dict[str, Any]) -> RowMapping | None:
    """The row after the change, which is locked from now on."""
    return connection.execute(escalation.update().where(which).values(change).returning(escalation)).mappings().first()
