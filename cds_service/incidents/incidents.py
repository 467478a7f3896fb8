"""Incidents: opened once an occasion, with a timeline, until somebody closes them.

Every change is made within the caller's transaction, with its audit event; opening and closing also put the message to
the site's own system into it, which `sending` sends. What people write comes sealed with the data key.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from cryptography.fernet import InvalidToken
from sqlalchemy import RowMapping

from cds_service.errors import ServiceError
from cds_service.incidents.kinds import KINDS, IncidentKind, Severity
from cds_service.keys.data_key import DataKey
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.tables import delivery, incident, incident_note, insert_into

Fact = str | int | float
OPEN, CLOSED = "open", "closed"
SERVICE = "service"  # who, where no person did it
READ = [column for column in incident.c if column.name != "occasion"]
# What a message says of an incident.
SENT = ("id", "kind", "severity", "site", "status", "at", "closed", "facts")


class NoSuchIncident(ServiceError):
    """There is no incident with that id, or none that is open."""

    status = 404
    code = "not-found"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIncident:
    """An incident to open. site: "" for the whole deployment.

    occasion: while one of it is open, no other is opened; nor later, where the kind says so. severity: None for the
    kind's own.
    """

    site: str
    kind: IncidentKind
    occasion: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """Who did something and when. sealed: what they wrote, encrypted."""

    by: str
    at: datetime
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A line of the timeline. what: opened, noted, assigned, closed."""

    at: str
    who: str
    what: str
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to the site's own system. delivered, due: seconds since 1970; failure: of the last attempt."""

    id: str
    at: str
    attempts: int
    due: int
    delivered: int | None
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An incident as it stands; notes and messages in order."""

    id: str
    site: str
    kind: IncidentKind
    severity: Severity
    status: str
    owner: str | None
    at: str
    closed: str | None
    facts: Mapping[str, Fact]
    notes: tuple[Note, ...] = ()
    messages: tuple[Message, ...] = ()


def open_incident(connection: sa.Connection, new: NewIncident, now: datetime) -> str | None:
    """Opens an incident and returns its id; None where its occasion has one.

    Raises ValueError for facts that its kind does not hold.
    """
    row = KINDS[new.kind]
    if strange := set(new.facts) - set(row.facts):
        raise ValueError(f"facts of {new.kind}: expected some of {row.facts}; found {sorted(strange)}")
    values = {
        "id": secrets.token_hex(6),
        "site": new.site,
        "kind": new.kind.value,
        "occasion": new.occasion,
        "severity": (new.severity or row.severity).value,
        "status": OPEN,
        "at": now.isoformat(),
        "facts": dict(new.facts),
    }
    add = insert_into(connection, incident).values(values).on_conflict_do_nothing(index_elements=["occasion"])
    opened = connection.execute(add.returning(*READ)).mappings().first()
    if opened is None:
        return None
    _record(connection, opened, Handling(by=SERVICE, at=now), "opened", facts=dict(new.facts))
    announce(connection, opened, "incident.opened", now)
    return str(opened["id"])


def open_of(connection: sa.Connection, occasion: str) -> str | None:
    """The id of the incident of an occasion, where it has one."""
    found = connection.execute(sa.select(incident.c.id).where(incident.c.occasion == occasion)).scalar_one_or_none()
    return None if found is None else str(found)


def note(connection: sa.Connection, identifier: str, act: Handling) -> None:
    """Adds what somebody wrote to the timeline. Raises NoSuchIncident."""
    _record(connection, _row(connection, identifier), act, "noted")


def assign(connection: sa.Connection, identifier: str, owner: str, act: Handling) -> None:
    """Makes somebody the owner of an open incident. Raises NoSuchIncident."""
    _record(connection, _changed(connection, identifier, {"owner": owner}), act, "assigned", owner=owner)


def close(connection: sa.Connection, identifier: str, act: Handling) -> None:
    """Closes an open incident; of several at once, one does. Raises NoSuchIncident."""
    again = [kind.value for kind, row in KINDS.items() if row.again]
    free = sa.case((incident.c.kind.in_(again), sa.null()), else_=incident.c.occasion)
    change = {"status": CLOSED, "closed": act.at.isoformat(), "occasion": free}
    closed = _changed(connection, identifier, change)
    _record(connection, closed, act, "closed")
    announce(connection, closed, "incident.closed", act.at)


def _changed(connection: sa.Connection, identifier: str, values: Mapping[str, Any]) -> RowMapping:
    """The open incident after the change, whose row is locked from now on."""
    which = sa.and_(incident.c.id == identifier, incident.c.status == OPEN)
    found = connection.execute(incident.update().where(which).values(values).returning(*READ)).mappings().first()
    if found is not None:
        return found
    _row(connection, identifier)
    raise NoSuchIncident(f"incident {identifier}: expected an open one; it is closed")


def _row(connection: sa.Connection, identifier: str) -> RowMapping:
    found = connection.execute(sa.select(*READ).where(incident.c.id == identifier)).mappings().first()
    if found is None:
        raise NoSuchIncident("there is no incident with that id; `mhcds incident list --all` shows those there are")
    return found


def _record(connection: sa.Connection, row: RowMapping, act: Handling, what: str, **fields: object) -> None:
    """One line of the timeline, and the event in the audit chain, which does not hold what was written."""
    at = act.at.isoformat()
    line = {"incident": row["id"], "at": at, "who": act.by, "what": what, "text": act.sealed}
    connection.execute(incident_note.insert().values(line))
    event = {"what": what, "incident": row["id"], "kind": row["kind"], "severity": row["severity"], "by": act.by}
    append(connection, NewEvent(site=row["site"], kind=AuditKind.INCIDENT, at=at, event={**event, **fields}))


def announce(connection: sa.Connection, row: RowMapping, kind: str, now: datetime) -> None:
    """Puts a message about an incident among those to send: no more than somebody needs to come and look."""
    data = {name: row[name] for name in SENT if row[name] is not None}
    body = msgspec.json.encode({"type": kind, "timestamp": now.isoformat(), "data": data}).decode()
    count = connection.execute(sa.select(sa.func.count()).where(delivery.c.incident == row["id"])).scalar_one()
    # No full stop in it: it separates what is signed.
    values = {"id": f"{row['id']}-{count + 1:03d}", "site": row["site"], "lane": row["id"], "incident": row["id"]}
    values |= {"body": body, "at": now.isoformat(), "attempts": 0, "due": int(now.timestamp())}
    connection.execute(delivery.insert().values(values))


# ---- reading ------------------------------------------------------------------------------------------------------


def incidents(connection: sa.Connection, sites: Sequence[str] | None = None, *, closed: bool = False) -> list[Incident]:
    """Incidents, the newest first: those open, or all. sites: None for every site."""
    which = sa.and_(
        sa.true() if sites is None else incident.c.site.in_(sites),
        sa.true() if closed else incident.c.status == OPEN,
    )
    rows = connection.execute(sa.select(*READ).where(which).order_by(incident.c.at.desc(), incident.c.id)).mappings()
    return _whole(connection, rows.all())


def one_incident(connection: sa.Connection, identifier: str) -> Incident:
    """One incident. Raises NoSuchIncident."""
    return _whole(connection, [_row(connection, identifier)])[0]


def export(
    connection: sa.Connection, sites: Sequence[str] | None, key: DataKey, now: datetime, **said: str
) -> list[dict[str, Any]]:
    """All incidents as JSON has them; the export is an event of its own. said: who, and why, for that event."""
    found = incidents(connection, sites, closed=True)
    site = sites[0] if sites and len(sites) == 1 else ""
    event = {"what": "incidents", **said, "count": len(found)}
    append(connection, NewEvent(site=site, kind=AuditKind.EXPORT, at=now.isoformat(), event=event))
    return [as_json(each, key) for each in found]


def as_json(found: Incident, key: DataKey) -> dict[str, Any]:
    """An incident with what people wrote, for JSON."""
    notes = [
        {"at": note.at, "who": note.who, "what": note.what} | ({"text": unsealed(note, key)} if note.sealed else {})
        for note in found.notes
    ]
    return {**asdict(found), "notes": notes}


def unsealed(note: Note, key: DataKey) -> str:
    """What somebody wrote; it stays sealed where the key has been lost."""
    try:
        return key.unseal(note.sealed or b"")
    except InvalidToken:
        return "(sealed with another data key)"


def _whole(connection: sa.Connection, rows: Sequence[RowMapping]) -> list[Incident]:
    """Incidents with their timeline and messages; three queries, however many there are."""
    ids = [row["id"] for row in rows]
    notes: dict[str, list[Note]] = defaultdict(list)
    for line in connection.execute(
        sa.select(incident_note).where(incident_note.c.incident.in_(ids)).order_by(incident_note.c.id)
    ):
        text = None if line.text is None else bytes(line.text)
        notes[line.incident].append(Note(at=line.at, who=line.who, what=line.what, sealed=text))
    messages: dict[str, list[Message]] = defaultdict(list)
    for sent in connection.execute(
        sa.select(delivery).where(delivery.c.incident.in_(ids)).order_by(delivery.c.id)
    ).mappings():
        messages[sent["incident"]].append(Message(**{name: sent[name] for name in Message.__slots__}))
    return [
        Incident(
            **{**row, "kind": IncidentKind(row["kind"]), "severity": Severity(row["severity"])},
            notes=tuple(notes[row["id"]]),
            messages=tuple(messages[row["id"]]),
        )
        for row in rows
    ]
