"""The audit chain: one append-only sequence of events for each site, each event linked to the one before it.

digest = SHA-256 of salt, time, kind and event; link = SHA-256 of the link before, the number and the digest. An erased
event keeps both, so the chain stays whole without it; the random salt went with it, so its digest tells nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cds_service.storage.tables import audit_event, chain_head

FIRST_LINK = "0" * 64


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
    GOVERNANCE = "governance"  # a sign-in to the governance pages, or what was looked at there


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to append. site: "" for the whole deployment; at: ISO 8601; patient: a pseudonym."""

    site: str
    kind: AuditKind
    at: str
    event: Mapping[str, Any]
    patient: str | None = None


def append(connection: sa.Connection, *events: NewEvent) -> None:
    """Appends events within the caller's transaction, which holds the head of each site's chain until it ends."""
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert
    for new in sorted(events, key=lambda event: event.site):  # one order, so that transactions cannot deadlock
        start = insert(chain_head).values(site=new.site, seq=0, link=FIRST_LINK)
        # An update that changes nothing locks the row, whether it was there or not.
        locked = start.on_conflict_do_update(index_elements=["site"], set_={"seq": chain_head.c.seq})
        head = connection.execute(locked.returning(chain_head.c.seq, chain_head.c.link)).one()
        salt, text = secrets.token_hex(16), msgspec.json.encode(new.event).decode()
        digest = event_digest(salt, new.at, new.kind, text)
        link = next_link(head.link, head.seq + 1, digest)
        row = {"site": new.site, "seq": head.seq + 1, "at": new.at, "kind": new.kind.value, "patient": new.patient}
        row |= {"event": text, "salt": salt, "digest": digest, "link": link}
        connection.execute(audit_event.insert().values(row))
        moved = chain_head.update().where(chain_head.c.site == new.site)
        connection.execute(moved.values(seq=head.seq + 1, link=link))


def event_digest(salt: str, at: str, kind: str, event: str) -> str:
    """The digest of an event's own content, in hex."""
    return hashlib.sha256(f"{salt}\0{at}\0{kind}\0{event}".encode()).hexdigest()


def next_link(before: str, seq: int, digest: str) -> str:
    """The link of the event with this number, in hex."""
    return hashlib.sha256(f"{before}{seq}\0{digest}".encode()).hexdigest()
