"""Events of the audit chains for other systems: lines of JSON, or of FHIR AuditEvent.

Those of patients who opted out are left out, since an export may serve monitoring; an audit by law asks for all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.store import Store
from cds_service.storage.tables import audit_event, chain_head, opt_out
from fhir_adapters.writing.audit_events import RecordedEvent, audit_event_resource

PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What leaves. format: jsonl or fhir. site: None for all; since, until: ISO 8601, the end not included."""

    format: str
    site: str | None = None
    since: str | None = None
    until: str | None = None
    everyone: bool = False


def record_export(store: Store, export: Export, by: str, reason: str, now: datetime) -> None:
    """Puts the export on record, before anything leaves. Raises StoreUnavailable, ValueError."""
    event = {"what": "events", "format": export.format, "by": by, "reason": reason, "everyone": export.everyone}
    event |= {"site": export.site, "since": export.since, "until": export.until}
    with store.transaction() as connection:
        append(connection, NewEvent(site=export.site or "", kind=AuditKind.EXPORT, at=now.isoformat(), event=event))


def exported(store: Store, export: Export, progress: Callable[[str, int, int], None]) -> Iterator[str]:
    """A line for each event, by site and number. As JSON an erased one is there without its content; in FHIR it is not.

    progress: told site, done, total. Raises StoreUnavailable.
    """
    with store.transaction() as connection:
        heads = {row.site: row.seq for row in connection.execute(sa.select(chain_head).order_by(chain_head.c.site))}
    for site, last in heads.items():
        if export.site in (None, site):
            yield from _of_site(store, export, site, last, progress)


def _of_site(
    store: Store, export: Export, site: str, last: int, progress: Callable[[str, int, int], None]
) -> Iterator[str]:
    c, after = audit_event.c, 0
    with store.transaction() as connection:
        left_out = set(connection.scalars(sa.select(opt_out.c.patient).where(opt_out.c.site == site)))
    line = _as_fhir if export.format == "fhir" else _as_json
    while after < last:
        page = sa.select(audit_event).where(c.site == site, c.seq > after, c.seq <= last).order_by(c.seq).limit(PAGE)
        with store.transaction() as connection:
            rows = connection.execute(page).all()
        if not rows:
            return
        for row in rows:
            is_wanted = (export.since or "") <= row.at and (export.until is None or row.at < export.until)
            if is_wanted and (export.everyone or row.patient not in left_out):
                yield from line(row)
        after = rows[-1].seq
        progress(site or "the deployment", after, last)


def _as_json(row: sa.Row[tuple[object, ...]]) -> Iterator[str]:
    found = {"site": row.site, "seq": row.seq, "at": row.at, "kind": row.kind, "erased": row.event is None}
    yield json.dumps(found | {"event": row.event and json.loads(row.event), "digest": row.digest, "link": row.link})


def _as_fhir(row: sa.Row[tuple[object, ...]]) -> Iterator[str]:
    if row.event is not None:
        event = RecordedEvent(site=row.site, seq=row.seq, at=row.at, kind=row.kind, event=json.loads(row.event))
        yield json.dumps(audit_event_resource(event))
