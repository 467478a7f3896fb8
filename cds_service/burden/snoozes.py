"""Snoozes: cards that do not come for a while, by the reason that a clinician gave on a card or on a page."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from cds_service.settings.sites import SiteConfig
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.store import Store
from cds_service.storage.tables import insert_into, snooze
from explanations.judgement.alert_limits import QUIETABLE, SNOOZES, snoozed_until
from models.rules.findings import Topic

LONGEST = timedelta(days=366)
"""Beyond what a site can set. The calendar of its zone may not hold what a client's clock says that is older."""


def note_snoozes(store: Store, wanted: Iterable[dict[str, Any] | None], through: str, now: datetime) -> int:
    """Stores these snoozes (`snooze_row`), each with its audit event, and returns how many are new or longer.

    A repeated or late report changes nothing, since a snooze begins when the reason was given. Raises StoreUnavailable.
    """
    rows = [row for row in wanted if row is not None]
    if not rows:
        return 0
    events = list[NewEvent]()
    with store.transaction() as connection:
        for row in rows:
            if _is_new(connection, row):
                said = {"user": row["shown_to"], **{name: row[name] for name in ("topic", "reason", "days")}}
                event, at = {**said, "through": through}, now.isoformat()
                events.append(
                    NewEvent(site=row["site"], kind=AuditKind.SNOOZE, at=at, event=event, patient=row["patient"])
                )
        append(connection, *events)
    return len(events)


def snooze_row(
    site: SiteConfig, topic: Topic, code: str, *, patient: str, user: str, grounds: str, at: datetime, now: datetime
) -> dict[str, Any] | None:
    """The row of one of our override reasons, with its `days`; None where it holds nothing back, or no longer.

    patient, user: pseudonyms. grounds: as in `Behind.snoozed_as`. at: when the reason was given, UTC.
    """
    rule, zone = SNOOZES.get(code), site.cards.zone
    if rule is None or topic not in QUIETABLE or not (rule.everybody or user) or at < now - LONGEST:
        return None
    limits, at = site.alerts.limits, min(at, now)
    until = snoozed_until(code, at, limits, zone)
    if until <= now:
        return None
    return {
        "site": site.id,
        "patient": patient,
        "shown_to": "" if rule.everybody else user,
        "topic": topic.value,
        "reason": code,
        "basis": grounds,
        "at": int(at.timestamp()),
        "until": int(until.timestamp()),
        "days": (until.date() - at.astimezone(zone).date()).days,
    }


def _is_new(connection: sa.Connection, row: dict[str, Any]) -> bool:
    """Stores a row, unless one that holds as long is there."""
    keys = [column.name for column in snooze.primary_key]
    add = insert_into(connection, snooze).values({column.name: row[column.name] for column in snooze.columns})
    longer = {"at": add.excluded.at, "until": add.excluded.until}
    add = add.on_conflict_do_update(index_elements=keys, set_=longer, where=snooze.c.until < add.excluded.until)
    return connection.execute(add.returning(snooze.c.topic)).first() is not None
