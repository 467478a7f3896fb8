"""An acknowledgement from a contact's own system: signed as Standard Webhooks says, with that contact's secret.

Whatever is wrong with it the answer is one and the same, and nothing changes; which check failed is in the log.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import RowMapping
from standardwebhooks import Webhook as Signer
from werkzeug.datastructures import Headers

from cds_service.errors import ServiceError
from cds_service.escalation.escalations import Acknowledged, acknowledge
from cds_service.escalation.turns import EscalationAct, record
from cds_service.settings.config import ServiceConfig
from cds_service.settings.escalation import Contact
from cds_service.storage.store import Store
from cds_service.storage.tables import delivery, escalation
from explanations.words.pages.escalation_message import nobody_named

log = logging.getLogger("mhcds")
TOLERANCE_S = 300
# So that nobody fills the record by repeating what is refused.
RECORDED_EVERY_S = 60
THROUGH = "webhook"


class NotSigned(ServiceError):
    """The acknowledgement could not be verified; the response never says which check failed. why: for the log."""

    status = 401
    code = "login"
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Webhook-Signature realm="escalations"'}

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(
            "expected the id of an escalation that a contact was told of, signed as Standard Webhooks says with that "
            "contact's secret at most 5 min ago; nothing was changed"
        )


def acknowledge_signed(
    store: Store,
    config: ServiceConfig,
    identifier: str,
    by: str,
    headers: Headers,
    body: bytes,
    now: datetime,
) -> Acknowledged:
    """Acknowledges an escalation for a contact's system. by: "" for the contact itself. headers: of the request.

    Raises NotSigned, NoSuchEscalation for one that was closed before anybody acknowledged it, or StoreUnavailable.
    """
    with store.transaction() as connection:
        row = connection.execute(sa.select(escalation).where(escalation.c.id == identifier)).mappings().first()
        told = _told(connection, config, identifier)
    contact = _signer(told, headers, body, now)
    if isinstance(contact, str) or row is None:
        why = contact if isinstance(contact, str) else "nobody told"
        _note_refusal(store, row, why, now)
        raise NotSigned(why)
    # That nobody is named must not read as if a person were.
    who = by or nobody_named(config.site(row["site"]).cards.say.safe, contact.name)
    with store.transaction() as connection:
        return acknowledge(connection, identifier, by=who, through=THROUGH, now=now)


def _told(connection: sa.Connection, config: ServiceConfig, identifier: str) -> list[Contact]:
    """The contacts with a webhook whose system may have heard of an escalation."""
    d = delivery.c
    heard = sa.select(d.site, d.contact).where(d.escalation == identifier, d.attempts > 0).distinct()
    rows = connection.execute(heard).all()
    sites = {site.id: site.escalation for site in config.sites if site.escalation}
    found = [sites[row.site].contact(row.contact) for row in rows if row.site in sites]
    return [contact for contact in found if contact is not None and contact.webhook is not None]


def _signer(told: Iterable[Contact], headers: Headers, body: bytes, now: datetime) -> Contact | str:
    """Whose signature it is, or why it is nobody's."""
    if not told:
        return "nobody told"
    time = headers.get("webhook-timestamp", "")
    if not (time.isascii() and time.isdigit() and len(time) <= 10):
        return "no time"
    at = datetime.fromtimestamp(int(time), UTC)
    if abs((now - at).total_seconds()) > TOLERANCE_S:
        return "too old or too new"
    given = [text.encode() for text in headers.get("webhook-signature", "").split()]
    for contact in told:
        secret = contact.webhook.secret if contact.webhook else ""
        expected = Signer(secret).sign(headers.get("webhook-id", ""), at, body.decode()).encode()
        if any(hmac.compare_digest(expected, text) for text in given):
            return contact
    return "another signature"


def _note_refusal(store: Store, row: RowMapping | None, why: str, now: datetime) -> None:
    """In the log, and of an escalation that there is, now and then in the record too."""
    log.warning(json.dumps({"event": "acknowledgement-refused", "why": why, "escalation": row["id"] if row else None}))
    if row is None or not store.note_shown(f"refused:{row['id']}:{why}", int(now.timestamp()), RECORDED_EVERY_S):
        return
    with store.transaction() as connection:
        record(connection, row, EscalationAct.REFUSED, now, through=THROUGH, reason=why)
