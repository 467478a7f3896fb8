"""The SMART link of a card, and the reference in it that identifies the card to the app.

`appContext` is an opaque, signed string: card, topic, the patient's pseudonym and expiry. It holds nothing from the
chart, is accepted only for the patient of the launch, and is optional (SMART-070): it says only which finding the
clinician came from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from functools import cache

import msgspec
from itsdangerous import BadData, URLSafeSerializer
from msgspec import UNSET

from cds_service.cards.wire import Card, Link
from cds_service.keys.data_key import DataKey
from cds_service.settings.sites import SiteConfig
from explanations.words.notices.drafts import DETAILS
from fhir_adapters.access.addresses import same_base
from models.rules.findings import Topic

COUNTS_S = 12 * 60 * 60


class _Reference(msgspec.Struct, frozen=True):
    card: str
    topic: str
    site: str
    patient: str
    until: int


def with_app_links(
    cards: Iterable[Card], *, site: SiteConfig, address: str | None, server: str | None, patient_id: str, key: DataKey,
    now: datetime,
) -> list[Card]:  # fmt: skip
    """The cards, each with its link to the app if registered with the site's EHR.

    server: the FHIR server of the call, None if not sent; the app of another server would show another chart.
    """
    bases = [entry.iss for entry in site.smart]
    if address is None or not bases or (server is not None and not any(same_base(server, base) for base in bases)):
        return list(cards)
    patient, until = key.pseudonym(site.id, patient_id), int(now.timestamp()) + COUNTS_S
    signer = _signer(key)
    return [_linked(card, f"{address}/smart/launch", site, patient, until, signer) for card in cards]


def _linked(card: Card, url: str, site: SiteConfig, patient: str, until: int, signer: URLSafeSerializer) -> Card:
    topic = card.source.topic.code
    reference = _Reference(card=card.uuid, topic=topic, site=site.id, patient=patient, until=until)
    label = site.cards.safe.say(DETAILS)
    link = Link(label=label, url=url, type="smart", app_context=signer.dumps(msgspec.to_builtins(reference)))
    return msgspec.structs.replace(card, links=[link, *([] if card.links is UNSET else card.links)])


def topic_of(app_context: str, site: str, patient_id: str, key: DataKey, now: datetime) -> str | None:
    """The topic of the card behind a launch; None if not ours, another patient's, or expired."""
    try:
        reference = msgspec.convert(_signer(key).loads(app_context), _Reference)
    except (BadData, msgspec.ValidationError):
        return None
    ours = reference.site == site and reference.patient == key.pseudonym(site, patient_id)
    known = reference.topic in {topic.value for topic in Topic}
    return reference.topic if ours and known and reference.until >= now.timestamp() else None


@cache
def _signer(key: DataKey) -> URLSafeSerializer:
    return URLSafeSerializer(key.derived(b"app-context"), salt="card", signer_kwargs={"digest_method": hashlib.sha256})
