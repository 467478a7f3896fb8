"""A message to a contact of a site, by the channel that the site's file names for the contact."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from cds_service.backend.backend import Backend
from cds_service.escalation.messages import TELLING, MessageKind, as_sent
from cds_service.escalation.records import patient_of
from cds_service.keys.data_key import DataKey
from cds_service.sending import email, task, webhook
from cds_service.sending.attempt import Claimed, SendResult
from cds_service.settings.config import ServiceConfig
from cds_service.settings.escalation import Channel
from cds_service.storage.store import Store
from explanations.words.pages.escalation_message import contact_words

KNOWN_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What messages to contacts take besides the settings: key of the sealed rows, and tokens of our own."""

    key: DataKey
    backend: Backend


def tell(store: Store, config: ServiceConfig, means: Means, message: Claimed, now: datetime) -> SendResult:
    """Sends a message about an escalation once. Raises StoreUnavailable."""
    site = next((site for site in config.sites if site.id == message.site), None)
    settings = site.escalation if site else None
    contact = settings.contact(message.contact or "") if settings else None
    if site is None or settings is None or contact is None or message.escalation is None:
        # The settings may be older or newer than the message: it ends only once every process must have read them.
        lasts = now - datetime.fromisoformat(message.at)
        return SendResult(failure="no such contact", final=lasts > KNOWN_WITHIN)
    with store.transaction() as connection:
        body = as_sent(connection, config, means.key, message.escalation, message.body)
        patient = patient_of(connection, means.key, message.escalation) if contact.channel is Channel.TASK else None
    if contact.webhook is not None:
        return webhook.post(contact.webhook, replace(message, body=body), now)
    said = msgspec.json.decode(body)
    if said["type"] not in TELLING:
        return SendResult(failure="not by this channel", final=True)
    link, is_drill = said["data"].get("link", ""), said["type"] == MessageKind.DRILL
    words = contact_words(site.cards.say.safe, link=link, within_min=contact.within_min, drill=is_drill)
    if contact.email is not None and settings.smtp is not None:
        return email.deliver(settings.smtp, email.mail(settings.smtp, contact.email, message.id, words, now))
    if contact.channel is not Channel.TASK:
        return SendResult(failure="nowhere")
    if patient is None and not is_drill:
        return SendResult(failure="patient no longer known", final=True)
    return task.create(means.backend, site, contact, message, None if is_drill else patient, words, link, now)
