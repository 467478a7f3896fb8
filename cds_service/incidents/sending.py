"""Messages to the sites' own systems: signed as Standard Webhooks says, at least once, in order for each incident.

A worker claims a message by putting it off for longer than an attempt takes, so one that dies leaves it to the others.
Nothing is given up: waits between attempts grow to an hour, and then stay there for as long as it takes.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import requests
import sqlalchemy as sa
from standardwebhooks import Webhook as Signer

from cds_service.incidents.incidents import NewIncident, open_incident
from cds_service.incidents.kinds import IncidentKind
from cds_service.settings.config import ServiceConfig
from cds_service.settings.webhook import Webhook
from cds_service.storage.store import Store
from cds_service.storage.tables import delivery
from fhir_adapters.access.deadline import watched_session

log = logging.getLogger("mhcds")
ATTEMPT_S = 10.0
CLAIMED_S = 60
FIRST_WAIT_S, MOST_WAIT_S = 5, 3600
STUCK_S = 3600
GONE = "status 410"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A message that this worker alone may send now. at: when it was written, ISO 8601; attempts: with this one."""

    id: str
    site: str
    at: str
    attempts: int
    body: str = field(repr=False)


def send_next(store: Store, config: ServiceConfig, now: Callable[[], datetime]) -> bool:
    """Sends the message that has waited longest, if one is due; whether there was one. Raises StoreUnavailable."""
    claimed = _claim(store, _sites(config), int(now().timestamp()))
    if claimed is None:
        return False
    webhook = config.webhook_of(claimed.site)
    if webhook is not None:
        own = webhook != config.webhook
        _note(store, claimed, _failure(webhook, claimed, now()), now(), claimed.site if own else "")
    return True


def waiting_since(store: Store, config: ServiceConfig) -> datetime | None:
    """When the oldest message was written that has not arrived yet; None if all have, or there is nowhere to send."""
    oldest = sa.select(sa.func.min(delivery.c.at)).where(_undelivered(_sites(config)))
    with store.transaction() as connection:
        at = connection.execute(oldest).scalar_one()
    return None if at is None else datetime.fromisoformat(at)


def wait_s(attempts: int, chance: float) -> int:
    """Seconds until the next attempt, after so many. chance: 0 to 1, so that many messages do not come at once."""
    longest = min(MOST_WAIT_S, FIRST_WAIT_S << min(attempts - 1, 20))
    return round(longest * (1 + chance) / 2)


def _sites(config: ServiceConfig) -> Sequence[str] | None:
    """The sites whose messages are sent; None: all."""
    return None if config.webhook else [site.id for site in config.sites if site.webhook]


def _undelivered(sites: Sequence[str] | None) -> sa.ColumnElement[bool]:
    return sa.and_(delivery.c.delivered.is_(None), sa.true() if sites is None else delivery.c.site.in_(sites))


def _claim(store: Store, sites: Sequence[str] | None, now: int) -> Claimed | None:
    before = delivery.alias()
    earlier = sa.and_(before.c.incident == delivery.c.incident, before.c.id < delivery.c.id)
    # One put off for longer than any wait was put off by a clock that has gone back since.
    due = sa.or_(delivery.c.due <= now, delivery.c.due > now + MOST_WAIT_S + CLAIMED_S)
    free = sa.and_(_undelivered(sites), due, ~sa.exists().where(earlier, before.c.delivered.is_(None)))
    first = sa.select(delivery.c.id).where(free).order_by(delivery.c.due, delivery.c.id).limit(1)
    this = first.with_for_update(skip_locked=True, of=delivery).correlate(None).scalar_subquery()
    claim = delivery.update().where(delivery.c.id == this).values(due=now + CLAIMED_S, attempts=delivery.c.attempts + 1)
    returned = [delivery.c[name] for name in Claimed.__slots__]
    with store.transaction() as connection:
        # Most looks find nothing: they must not take SQLite's one place to write.
        if connection.execute(first).first() is None:
            return None
        row = connection.execute(claim.returning(*returned)).mappings().first()
    return None if row is None else Claimed(**row)


def _failure(webhook: Webhook, message: Claimed, now: datetime) -> str | None:
    """Sends a message once; None if its receiver has it, else a code of what happened."""
    signature = Signer(webhook.secret).sign(message.id, now.astimezone(UTC), message.body)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "mental-health-cds",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    deadline = time.monotonic() + ATTEMPT_S
    body = message.body.encode()
    try:
        with (
            watched_session(deadline) as session,
            session.post(
                webhook.url, body, headers=headers, timeout=ATTEMPT_S, allow_redirects=False, stream=True
            ) as answer,
        ):
            status = answer.status_code
    # AttributeError: a TLS connection that is cut at the deadline.
    except (requests.RequestException, OSError, AttributeError, ValueError) as error:
        return type(error).__name__
    if time.monotonic() >= deadline:
        return "too late"
    return None if 200 <= status < 300 else f"status {status}"


def _note(store: Store, message: Claimed, failure: str | None, now: datetime, owner: str) -> None:
    """Writes down how the attempt went; a failure only if no other worker has taken the message over meanwhile.

    owner: the site whose webhook it is, "" for the deployment's.
    """
    seconds = int(now.timestamp())
    wait = MOST_WAIT_S if failure == GONE else wait_s(message.attempts, random.random())  # noqa: S311  # no secret
    change = {"failure": failure} | ({"due": seconds + wait} if failure else {"delivered": seconds})
    mine = sa.and_(delivery.c.id == message.id, delivery.c.attempts == message.attempts if failure else sa.true())
    stuck = failure is not None and (now - datetime.fromisoformat(message.at)).total_seconds() > STUCK_S
    with store.transaction() as connection:
        connection.execute(delivery.update().where(mine).values(change))
        if stuck:
            facts = {"site": owner, "since": message.at, "failure": str(failure)}
            kind, occasion = IncidentKind.WEBHOOK_STUCK, f"webhook-stuck:{owner}"
            # Of the whole deployment, so that it does not wait for the same webhook where the site has its own.
            open_incident(connection, NewIncident(site="", kind=kind, occasion=occasion, facts=facts), now)
    if failure:
        said = {"event": "webhook-failed", "message": message.id, "why": failure, "attempts": message.attempts}
        log.log(logging.ERROR if stuck else logging.WARNING, json.dumps({**said, "next_s": wait, "stuck": stuck}))
