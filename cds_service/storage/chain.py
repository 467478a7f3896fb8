"""The audit chain: one append-only sequence of events for each site, each event linked to the one before it.

digest = SHA-256 of salt and event; link = SHA-256 of the link before, number, time, kind and digest. Before the first
stands the site's own first link, so that no site's chain passes for another's. An erased event keeps all but event,
salt and patient, so the chain stays whole without it; the random salt went with it, so its digest tells nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from itertools import groupby
from typing import Any

import msgspec
import sqlalchemy as sa

from cds_service.storage.audit_fields import check
from cds_service.storage.tables import audit_event, chain_head, insert_into

Head = tuple[int, str]
"""The number and link of a chain's last event."""


class AuditKind(StrEnum):
    """What happened. The values are stable: they stand in records and exports."""

    ANSWER = "answer"  # a hook call
    APP = "app"  # a page of the SMART app, or what was done on it
    FEEDBACK = "feedback"
    MODE = "mode"
    SWITCH = "switch"
    OPT_OUT = "opt-out"
    CONFIGURATION = "configuration"
    EXPORT = "export"
    ERASURE = "erasure"
    INCIDENT = "incident"
    ESCALATION = "escalation"
    SNOOZE = "snooze"
    TRIAL = "trial"
    READING = "reading"  # a chart that the service read by itself, or why it did not
    GOVERNANCE = "governance"  # a sign-in to the governance pages, or what was looked at there


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to append. site: "" for the whole deployment; at: ISO 8601; patient: a pseudonym, added to the event."""

    site: str
    kind: AuditKind
    at: str
    event: Mapping[str, Any]
    patient: str | None = None


COLUMNS = tuple(column.name for column in audit_event.columns)


def append(connection: sa.Connection, *events: NewEvent) -> None:
    """Appends events within the caller's transaction, which holds the head of each site's chain until it ends.

    One call a transaction, as its last work: so no two transactions wait for each other's heads. Raises ValueError for
    a field that is not listed in `audit_fields`.
    """
    checked = [_checked(event) for event in events]
    for site, group in groupby(sorted(checked, key=lambda event: event.site), lambda event: event.site):
        start = insert_into(connection, chain_head).values(site=site, seq=0, link=first_link(site))
        # An update that changes nothing locks the row, whether it was there or not.
        locked = start.on_conflict_do_update(index_elements=["site"], set_={"seq": chain_head.c.seq})
        head = connection.execute(locked.returning(chain_head.c.seq, chain_head.c.link)).one()
        contents = [Content.of(new.kind, new.at, new.event) for new in group]
        rows = linked(site, (head.seq, head.link), contents)
        connection.execute(audit_event.insert(), [dict(zip(COLUMNS, row, strict=True)) for row in rows])
        moved = chain_head.update().where(chain_head.c.site == site)
        connection.execute(moved.values(seq=rows[-1][1], link=rows[-1][-1]))


@dataclass(frozen=True, slots=True)
class Content:
    """An event without its place in the chain."""

    at: str
    kind: str
    patient: str | None
    event: str
    salt: str
    digest: str

    @classmethod
    def of(cls, kind: AuditKind, at: str, event: Mapping[str, Any]) -> Content:
        """With a new salt."""
        salt, text = secrets.token_hex(16), msgspec.json.encode(event).decode()
        return cls(at, kind.value, event.get("patient"), text, salt, event_digest(salt, text))


def _checked(new: NewEvent) -> NewEvent:
    if new.patient is not None:
        new = replace(new, event={**new.event, "patient": new.patient})
    check(new.kind, new.event)
    return new


def linked(site: str, head: Head, contents: Iterable[Content]) -> Sequence[tuple[Any, ...]]:
    """The rows of `audit_event` that follow the head, their columns in order."""
    (seq, link), rows = head, []
    for new in contents:
        seq += 1
        link = next_link(link, seq, new.at, new.kind, new.digest)
        rows.append((site, seq, new.at, new.kind, new.patient, new.event, new.salt, new.digest, link))
    return rows


@cache
def first_link(site: str) -> str:
    """What the first event of a site links to, in hex."""
    return hashlib.sha256(f"mhcds audit\0{site}".encode()).hexdigest()


def event_digest(salt: str, event: str) -> str:
    """The digest of an event's own content, in hex."""
    return hashlib.sha256(f"{salt} {event}".encode()).hexdigest()


def next_link(before: str, seq: int, at: str, kind: str, digest: str) -> str:
    """The link of the event with this number, in hex. PostgreSQL computes the same in `calls`."""
    return hashlib.sha256(f"{before} {seq} {at} {kind} {digest}".encode()).hexdigest()
