"""Adapts a generic card to the kind of CDS client.

generic        the card as CDS Hooks 2.0 defines it
sandbox        the same; the public sandbox renders HTML in details, and ours holds none
epic           topic codes of letters and digits only; suggestions with one action each
oracle-health  the same card; links are those that the site registered (`allowed_links`)

Facts on Epic and Oracle Health are second-hand (docs/registering/). Safety texts are the same in all.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec
from msgspec import UNSET

from cds_service.cards.wire import Card


class Dialect(StrEnum):
    """The kinds of client that a site may name."""

    GENERIC = "generic"
    EPIC = "epic"
    ORACLE_HEALTH = "oracle-health"
    SANDBOX = "sandbox"


def in_dialect(cards: Iterable[Card], dialect: Dialect, allowed_links: tuple[str, ...] | None) -> list[Card]:
    """The cards in this client's dialect."""
    return [_card(card, dialect, allowed_links) for card in cards]


def _card(card: Card, dialect: Dialect, allowed_links: tuple[str, ...] | None) -> Card:
    if allowed_links is not None:
        card = _with_links(card, allowed_links)
    if dialect is not Dialect.EPIC:
        return card
    topic = msgspec.structs.replace(card.source.topic, code=card.source.topic.code.replace("-", ""))
    card = msgspec.structs.replace(card, source=msgspec.structs.replace(card.source, topic=topic))
    if card.suggestions is not UNSET:
        single = [s for s in card.suggestions if len(s.actions) == 1]
        return msgspec.structs.replace(card, suggestions=single or UNSET, selection_behavior="any" if single else UNSET)
    return card


def _with_links(card: Card, allowed: tuple[str, ...]) -> Card:
    """The card with the links that the site registered; its source's address is one of them."""
    if card.source.url is not UNSET and not _registered(card.source.url, allowed):
        card = msgspec.structs.replace(card, source=msgspec.structs.replace(card.source, url=UNSET))
    if card.links is UNSET:
        return card
    # A SMART link is not opened directly: the client looks it up among its registered apps.
    links = [link for link in card.links if link.type == "smart" or _registered(link.url, allowed)]
    return msgspec.structs.replace(card, links=links or UNSET)


def _registered(url: str, allowed_links: tuple[str, ...]) -> bool:
    return any(_below(url, allowed) for allowed in allowed_links)


def _below(url: str, allowed: str) -> bool:
    """Whether an address is the allowed one or below it."""
    return url == allowed or url.startswith(allowed.rstrip("/") + "/")
