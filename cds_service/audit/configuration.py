"""Which settings, models and approvals came into force, as events: one each time that they differ from before."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime

import msgspec

from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.store import Store
from cds_service.storage.tables import control_version, insert_into

LOADED = "settings"
"""A row of `control_version` beside that of control: which settings were last put on record, by any worker."""


def record_configuration(store: Store, facts: Mapping[str, object], now: datetime) -> bool:
    """Puts these facts on record if they are not those that were last; whether it did. Raises StoreUnavailable."""
    number = int.from_bytes(hashlib.sha256(msgspec.json.encode(facts)).digest()[:7])
    with store.transaction() as connection:
        row = insert_into(connection, control_version).values(name=LOADED, number=number)
        differs = control_version.c.number != number
        row = row.on_conflict_do_update(index_elements=["name"], set_={"number": number}, where=differs)
        is_new = connection.execute(row.returning(control_version.c.name)).first() is not None
        if is_new:
            append(connection, NewEvent(site="", kind=AuditKind.CONFIGURATION, at=now.isoformat(), event=facts))
    return is_new
