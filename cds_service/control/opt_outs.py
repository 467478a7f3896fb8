"""The patients of a site who have opted out, by pseudonym: each change an act with its event in the audit chain.

We know no patients, so anybody may be put on the list. An id must be as the EHR sends it with its calls; none is kept,
logged or repeated in a message. Effective with the next call of every worker. Raises StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from cds_service.control.acts import Actor, check
from cds_service.control.refused import ActRefused
from cds_service.control.version import changed, lock
from cds_service.keys.data_key import DataKey
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.store import Store
from cds_service.storage.tables import opt_out
from fhir_adapters.access.addresses import is_bare, is_plain

MOST_AT_ONCE = 200
"""Patients of one act: while it is written down, the answers of the site's hook calls wait."""


class OptOutAct(StrEnum):
    """What is done with the list."""

    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """A row of the list. source: through what it came."""

    patient: str
    at: str
    source: str


def pseudonyms(key: DataKey, site: str, patients: Sequence[str]) -> tuple[str, ...]:
    """What stands for these ids at the site. Raises ActRefused, which names places, for what a call cannot send."""
    wrong = [place for place, patient in enumerate(patients, 1) if not (is_bare(patient) and is_plain(patient))]
    if wrong:
        places = ", ".join(map(str, wrong[:20]))
        raise ActRefused(
            "expected ids of patients as the EHR sends them in context.patientId, without Patient/ before them; found "
            f"something else in place {places}. Nothing was changed"
        )
    return tuple(key.pseudonym(site, patient) for patient in patients)


def change_opt_outs(
    store: Store, act: OptOutAct, site: str, patients: Sequence[str], *, actor: Actor, reason: str, now: datetime
) -> tuple[bool, ...]:
    """Puts pseudonyms on the list or takes them off, all or none; for each, whether it was changed by that."""
    check(actor, reason)
    with store.transaction() as connection:
        lock(connection)
        one = _add if act is OptOutAct.ADD else _remove
        done = tuple(one(store, connection, site, patient, actor, now) for patient in patients)
        event = {"act": act.value, "by": actor.who, "through": actor.through, "reason": reason}
        events = [
            NewEvent(site=site, kind=AuditKind.OPT_OUT, at=now.isoformat(), event=event, patient=patient)
            for patient, is_new in zip(patients, done, strict=True)
            if is_new
        ]
        if events:
            changed(connection)
            append(connection, *events)
    return done


def _add(store: Store, connection: sa.Connection, site: str, patient: str, actor: Actor, now: datetime) -> bool:
    row = {"site": site, "patient": patient, "at": now.isoformat(), "source": actor.through}
    return store.new(connection, opt_out, row)


def _remove(_store: Store, connection: sa.Connection, site: str, patient: str, _actor: Actor, _now: datetime) -> bool:
    gone = opt_out.delete().where(opt_out.c.site == site, opt_out.c.patient == patient)
    return connection.execute(gone.returning(opt_out.c.patient)).first() is not None


def opt_outs(store: Store, site: str) -> tuple[OptOut, ...]:
    """The list of a site, in order of time."""
    rows = sa.select(opt_out.c.patient, opt_out.c.at, opt_out.c.source).where(opt_out.c.site == site)
    with store.transaction() as connection:
        found = connection.execute(rows.order_by(opt_out.c.at, opt_out.c.patient))
        return tuple(OptOut(patient=row.patient, at=row.at, source=row.source) for row in found)
