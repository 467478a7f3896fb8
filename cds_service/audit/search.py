"""Events of the audit chain, found by a patient's pseudonym or by a card. Erased events are found by neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from cds_service.storage.store import Store
from cds_service.storage.tables import audit_event, card

MOST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One event as it was recorded. event: None once it was erased."""

    site: str
    seq: int
    at: str
    kind: str
    event: dict[str, Any] | None


def by_patient(
    store: Store, site: str, patient: str, before: int | None = None, most: int = MOST
) -> tuple[Recorded, ...]:
    """The events of a patient at a site, newest first. patient: the pseudonym; before: a number to go on from."""
    earlier = sa.true() if before is None else audit_event.c.seq < before
    return _found(store, sa.and_(audit_event.c.site == site, audit_event.c.patient == patient, earlier), most)


def by_card(store: Store, site: str, uuid: str) -> tuple[Recorded, ...]:
    """The answer that a card came with; what was said of the card stands in the patient's other events."""
    answer = sa.select(card.c.answer).where(card.c.site == site, card.c.uuid == uuid).scalar_subquery()
    return _found(store, sa.and_(audit_event.c.site == site, audit_event.c.seq == answer), 1)


def _found(store: Store, which: sa.ColumnElement[bool], most: int) -> tuple[Recorded, ...]:
    columns = (audit_event.c[name] for name in ("site", "seq", "at", "kind", "event"))
    wanted = sa.select(*columns).where(which).order_by(audit_event.c.seq.desc()).limit(most)
    with store.transaction() as connection:
        return tuple(
            Recorded(**row | {"event": None if row["event"] is None else msgspec.json.decode(row["event"])})
            for row in map(dict, connection.execute(wanted).mappings())
        )
