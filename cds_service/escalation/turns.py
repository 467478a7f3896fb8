"""A turn of an escalation is taken: written down, its contact told, and what is on record of it. One transaction."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from cds_service.escalation.duty import Turn
from cds_service.escalation.messages import tell
from cds_service.incidents.incidents import Fact, NewIncident, open_incident
from cds_service.incidents.kinds import IncidentKind
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.tables import escalation


class EscalationAct(StrEnum):
    """What happened to an escalation. The values are stable: they stand in the audit chain.

    begun: somebody's hours began, since nobody was on duty when it was opened.
    """

    OPENED = "opened"
    JOINED = "joined"
    BEGUN = "begun"
    MOVED_ON = "moved-on"
    ACKNOWLEDGED = "acknowledged"
    HANDED_BACK = "handed-back"
    DONE = "done"
    CLOSED = "closed"
    REFUSED = "refused"


def take(
    connection: sa.Connection, row: RowMapping, turn: Turn, now: datetime, *conditions: sa.ColumnElement[bool]
) -> tuple[RowMapping, dict[str, Any]] | None:
    """The row after the turn, and what its event says of it; None where the row no longer meets the conditions."""
    change: dict[str, Any] = {"round": turn.round, "due": None if turn.due is None else int(turn.due.timestamp())}
    if turn.contact is not None:
        change |= {"contact": turn.contact.name, "step": row["step"] + 1}
    elif turn.due is not None:  # nobody's turn, until hours begin: they do not end a round that has just begun
        change |= {"contact": None}
    this = sa.and_(escalation.c.id == row["id"], *conditions)
    taken = connection.execute(escalation.update().where(this).values(change).returning(escalation)).mappings().first()
    if taken is None or turn.contact is None:
        return None if taken is None else (taken, {})
    tell(connection, taken, turn.contact, now)
    said = {"contact": turn.contact.name, "channel": turn.contact.channel.value, "step": taken["step"]}
    return taken, said


def record(connection: sa.Connection, row: RowMapping, what: EscalationAct, now: datetime, **said: object) -> None:
    """The event in the audit chain, the last work of a transaction."""
    event = {"what": what.value, "escalation": row["id"], **({"drill": True} if row["drill"] else {}), **said}
    new = NewEvent(site=row["site"], kind=AuditKind.ESCALATION, at=now.isoformat(), event=event, patient=row["patient"])
    append(connection, new)


def open_about(connection: sa.Connection, row: RowMapping, kind: IncidentKind, now: datetime, **facts: Fact) -> None:
    """An incident about an escalation, for somebody who looks after the service."""
    known: dict[str, Fact] = {"escalation": row["id"], **facts}
    new = NewIncident(site=row["site"], kind=kind, occasion=f"{kind}:{row['id']}", facts=known)
    open_incident(connection, new, now)
