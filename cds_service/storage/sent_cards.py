"""The cards that were sent, as feedback names them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

import sqlalchemy as sa

from cds_service.storage.store import Store
from cds_service.storage.tables import card


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCard:
    """A card that we sent: its site, the ids of its suggestions, and the rest as in `CardRow`."""

    site: str
    suggestions: tuple[str, ...]
    topic: str
    indicator: str
    patient: str | None
    shown_to: str | None
    prompted: str
    basis: str


def sent_cards(store: Store, sites: Sequence[str], uuids: Collection[str]) -> dict[str, SentCard]:
    """Those of these cards that were sent to one of the sites, by uuid. Raises StoreUnavailable."""
    wanted = sa.select(card.c.uuid, *(card.c[field.name] for field in fields(SentCard)))
    with store.transaction() as connection:
        rows = connection.execute(wanted.where(card.c.uuid.in_(uuids), card.c.site.in_(sites))).mappings().all()
    return {row["uuid"]: SentCard(**{name: row[name] for name in row if name != "uuid"}) for row in rows}
