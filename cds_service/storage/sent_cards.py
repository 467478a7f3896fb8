"""The cards that were sent, as feedback names them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from cds_service.storage.store import Store
from cds_service.storage.tables import card


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCard:
    """The site of a card that we sent, and the ids of its suggestions."""

    site: str
    suggestions: tuple[str, ...]


def sent_cards(store: Store, sites: Sequence[str], uuids: Collection[str]) -> dict[str, SentCard]:
    """Those of these cards that were sent to one of the sites, by uuid. Raises StoreUnavailable."""
    wanted = sa.select(card.c.uuid, card.c.site, card.c.suggestions)
    with store.transaction() as connection:
        rows = connection.execute(wanted.where(card.c.uuid.in_(uuids), card.c.site.in_(sites))).all()
    return {row.uuid: SentCard(site=row.site, suggestions=tuple(row.suggestions)) for row in rows}
