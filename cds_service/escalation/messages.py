"""What goes to a contact: put among what is sent with the change that it is about, and completed when it goes out.

What is stored holds nothing of the patient. The link, and where the site wants them initials and place, are added at
the moment of sending from the sealed row, so they are gone once that is emptied.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import RowMapping

from cds_service.escalation.links import unsealed
from cds_service.keys.data_key import DataKey
from cds_service.settings.config import ServiceConfig
from cds_service.settings.escalation import Channel, Contact, MessageContent
from cds_service.storage.tables import delivery, escalation

WITHDRAWN = "withdrawn"
PAGE = "/governance/escalations/"


class MessageKind(StrEnum):
    """The `type` of a message. The values are stable: receivers know them."""

    OPENED = "escalation.opened"
    ACKNOWLEDGED = "escalation.acknowledged"
    CLOSED = "escalation.closed"
    DRILL = "escalation.drill"


TELLING = (MessageKind.OPENED, MessageKind.DRILL)


def tell(connection: sa.Connection, row: RowMapping, contact: Contact, now: datetime) -> None:
    """Tells a contact of an escalation, or of a drill. row: of the table, with the step that this is."""
    kind = MessageKind.DRILL if row["drill"] else MessageKind.OPENED
    said = {"step": row["step"], "acknowledge_within_min": contact.within_min}
    announce(connection, row, contact.name, contact.channel, kind, now, **said)


def withdraw(connection: sa.Connection, row: RowMapping, kind: MessageKind, now: datetime, **said: Any) -> None:  # noqa: ANN401  # of JSON
    """Takes back what has not gone out, and says the end of it to each contact whose own system may have heard of it.

    An e-mail or a task says where to look; there is nothing to take back.
    """
    take_back(connection, row, now)
    # One that was under way may arrive although it has just been taken back.
    c = delivery.c
    heard = sa.and_(c.escalation == row["id"], c.attempts > 0, sa.or_(c.failure.is_(None), c.failure == WITHDRAWN))
    sent = connection.execute(sa.select(c.contact, c.body).where(heard).order_by(c.id)).all()
    channels = {each.contact: msgspec.json.decode(each.body)["data"]["channel"] for each in sent}
    for contact, channel in channels.items():
        if channel == Channel.WEBHOOK:
            announce(connection, row, contact, Channel.WEBHOOK, kind, now, **said)


def take_back(connection: sa.Connection, row: RowMapping, now: datetime) -> None:
    """Nobody is sent what has not gone out."""
    waits = sa.and_(delivery.c.escalation == row["id"], delivery.c.delivered.is_(None))
    change = {"delivered": int(now.timestamp()), "failure": WITHDRAWN}
    connection.execute(delivery.update().where(waits).values(change))


def announce(
    connection: sa.Connection, row: RowMapping, contact: str, channel: Channel, kind: MessageKind,
    now: datetime, **said: Any,  # noqa: ANN401  # of JSON
) -> None:  # fmt: skip
    """Puts a message among those to send, within the caller's transaction, which has changed the row."""
    data = {"id": row["id"], "site": row["site"], "contact": contact, "channel": channel, "at": row["at"], **said}
    data |= {"drill": True} if row["drill"] else {}
    body = msgspec.json.encode({"type": kind, "timestamp": now.isoformat(), "data": data}).decode()
    count = sa.select(sa.func.count()).where(delivery.c.escalation == row["id"])
    # No full stop in it: it separates what is signed.
    identifier = f"{row['id']}-{connection.execute(count).scalar_one() + 1:03d}"
    values = {"id": identifier, "site": row["site"], "lane": f"{row['id']}:{contact}", "escalation": row["id"]}
    values |= {"contact": contact, "body": body, "at": now.isoformat(), "attempts": 0, "due": int(now.timestamp())}
    connection.execute(delivery.insert().values(values))


def as_sent(connection: sa.Connection, config: ServiceConfig, key: DataKey, identifier: str, body: str) -> str:
    """The text of a message as it goes out. identifier: of its escalation; body: as it is stored."""
    message = msgspec.json.decode(body)
    data = message["data"]
    if config.address is not None:
        data["link"] = f"{config.address}{PAGE}{identifier}"
    site = next((site for site in config.sites if site.id == data["site"]), None)
    wanted = site is not None and site.escalation is not None and site.escalation.content is not MessageContent.LINK
    if wanted and data["channel"] != Channel.EMAIL and message["type"] in TELLING:
        sealed = connection.execute(sa.select(escalation.c.sealed).where(escalation.c.id == identifier)).scalar()
        link = unsealed(key, bytes(sealed or b""))
        for name, value in (("initials", link and link.initials), ("place", link and link.place)):
            if value:
                data[name] = value
    return msgspec.json.encode(message).decode()
