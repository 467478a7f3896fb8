"""Messages to the sites' own systems and to contacts: at least once, in order within each lane.

A worker claims a message by putting it off for longer than an attempt takes, so one that dies leaves it to the others.
Nothing is given up: waits between attempts grow, to an hour for incidents and to less than a minute for escalations,
and stay there for as long as it takes. Only what a mail server refuses for good is not sent again. New messages go
before those that failed, those of escalations before those of incidents; a contact whose system cost time waits with
all its messages, so that it does not delay others.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import RowMapping

from cds_service.escalation.escalations import move_on
from cds_service.escalation.messages import WITHDRAWN
from cds_service.incidents.incidents import NewIncident, open_incident
from cds_service.incidents.kinds import IncidentKind
from cds_service.sending import webhook
from cds_service.sending.attempt import Claimed, SendResult
from cds_service.sending.contacts import Means, tell
from cds_service.settings.config import ServiceConfig
from cds_service.storage.store import Store
from cds_service.storage.tables import delivery, escalation

log = logging.getLogger("mhcds")
CLAIMED_S = 60
FIRST_WAIT_S, MOST_WAIT_S = 5, 3600
# With the attempt itself, those of an escalation begin at most a minute apart.
ESCALATION_WAIT_S = 45
STUCK_S, ESCALATION_STUCK_S = 3600, 600
SLOW_S = 1.0
GONE = "status 410"
# What the settings of this process do not know: another's may, and nobody else need look.
UNKNOWN = ("no such contact", "not by this channel")
CLAIMED = [delivery.c[name] for name in Claimed.__slots__]
BEFORE = delivery.alias()
# One that was taken back while it was under way is waited for: what says that it is over must not come before it.
WAITS_FOR_ANOTHER = sa.exists().where(
    BEFORE.c.lane == delivery.c.lane,
    BEFORE.c.id < delivery.c.id,
    sa.or_(
        BEFORE.c.delivered.is_(None),
        sa.and_(BEFORE.c.failure == WITHDRAWN, BEFORE.c.attempts > 0, BEFORE.c.due > sa.bindparam("now")),
    ),
)


def send_next(
    store: Store,
    config: ServiceConfig,
    now: Callable[[], datetime],
    means: Means | None = None,
    only: Collection[str] | None = None,
) -> bool:
    """Sends the message whose turn it is, if one is due; whether there was one. Raises StoreUnavailable.

    means: None to send those of incidents alone. only: those of these escalations.
    """
    which = sa.true() if means else delivery.c.escalation.is_(None)
    which = which if only is None else delivery.c.escalation.in_(only)
    claimed = _claim(store, config, int(now().timestamp()), which)
    if claimed is None:
        return False
    began = time.monotonic()
    made = tell(store, config, means, claimed, now()) if means and claimed.escalation else _post(config, claimed, now())
    _note(store, config, claimed, made, now(), slow=time.monotonic() - began >= SLOW_S)
    return True


def waiting_since(store: Store, config: ServiceConfig) -> datetime | None:
    """When the oldest message was written that has not arrived yet; None if all have, or there is nowhere to send."""
    oldest = sa.select(sa.func.min(delivery.c.at)).where(_undelivered(config))
    with store.transaction() as connection:
        at = connection.execute(oldest).scalar_one()
    return None if at is None else datetime.fromisoformat(at)


def wait_s(attempts: int, chance: float, most: int = MOST_WAIT_S) -> int:
    """Seconds until the next attempt, after so many. chance: 0 to 1, so that many messages do not come at once."""
    longest = min(most, FIRST_WAIT_S << min(attempts - 1, 20))
    return round(longest * (1 + chance) / 2)


def _undelivered(config: ServiceConfig) -> sa.ColumnElement[bool]:
    """Messages that have not arrived and can be sent, since the settings say where."""
    told = [site.id for site in config.sites if site.webhook]
    incidents = sa.true() if config.webhook else delivery.c.site.in_(told)
    escalations = delivery.c.site.in_([site.id for site in config.sites if site.escalation])
    return sa.and_(
        delivery.c.delivered.is_(None), sa.case((delivery.c.escalation.is_(None), incidents), else_=escalations)
    )


def _claim(store: Store, config: ServiceConfig, now: int, which: sa.ColumnElement[bool]) -> Claimed | None:
    again, of_incident = delivery.c.attempts > 0, delivery.c.escalation.is_(None)
    longest = sa.case((of_incident, MOST_WAIT_S), else_=ESCALATION_WAIT_S)
    # One put off for longer than any wait was put off by a clock that has gone back since.
    due = sa.or_(delivery.c.due <= now, delivery.c.due > longest + now + CLAIMED_S)
    turn = (again, of_incident, delivery.c.attempts, delivery.c.due, delivery.c.id)
    first = (
        sa.select(delivery.c.id).where(_undelivered(config), which, due, ~WAITS_FOR_ANOTHER).order_by(*turn).limit(1)
    )
    with store.transaction() as connection:
        # Most looks find nothing: they must not take SQLite's one place to write.
        if connection.execute(first, {"now": now}).first() is None:
            return None
        this = first.with_for_update(skip_locked=True, of=delivery).correlate(None).scalar_subquery()
        claim = {"due": now + CLAIMED_S, "attempts": delivery.c.attempts + 1}
        taken = delivery.update().where(delivery.c.id == this).values(claim).returning(*CLAIMED)
        row = connection.execute(taken, {"now": now}).mappings().first()
    return None if row is None else Claimed(**row)


def _post(config: ServiceConfig, message: Claimed, now: datetime) -> SendResult:
    hook = config.webhook_of(message.site)
    return webhook.post(hook, message, now) if hook else SendResult(failure="nowhere")


def _note(
    store: Store, config: ServiceConfig, message: Claimed, made: SendResult, now: datetime, *, slow: bool
) -> None:
    """Writes down how the attempt went; a failure only if no other worker has taken the message over meanwhile."""
    seconds, urgent = int(now.timestamp()), message.escalation is not None
    most = ESCALATION_WAIT_S if urgent else MOST_WAIT_S
    chance = random.random()  # noqa: S311  # no secret
    wait = most if made.failure == GONE else wait_s(message.attempts, chance, most)
    again = made.failure is not None and not made.final
    change = {"failure": made.failure} | ({"due": seconds + wait} if again else {"delivered": seconds})
    change |= {"reference": made.reference} if made.reference else {}
    this = delivery.c.id == message.id
    mine = sa.and_(this, sa.true() if made.failure is None else delivery.c.delivered.is_(None))
    if again:
        mine = sa.and_(mine, delivery.c.attempts == message.attempts)
    lasts_s = (now - datetime.fromisoformat(message.at)).total_seconds()
    is_final = made.final and made.failure not in UNKNOWN
    stuck = is_final or (again and lasts_s > (ESCALATION_STUCK_S if urgent else STUCK_S))
    with store.transaction() as connection:
        # The escalation before its messages, as whoever acknowledges one locks them.
        about = _about(connection, message) if stuck and urgent else None
        if is_final and about is not None and about["round"] == 1 and not about["drill"]:
            # Not later: no round may end before anybody can answer.
            move_on(connection, str(message.escalation), message.contact or "", now)
        connection.execute(delivery.update().where(mine).values(change))
        if made.failure and urgent:
            # One that was taken back meanwhile no longer keeps the next one waiting.
            connection.execute(delivery.update().where(this, delivery.c.failure == WITHDRAWN).values(due=seconds))
        # A rehearsal has its own report.
        if stuck and not (about is not None and about["drill"]):
            open_incident(connection, _incident(config, message, made), now)
    if again and urgent and slow:
        _put_off(store, message, seconds + wait)
    if made.failure:
        event = "contact-not-told" if urgent else "webhook-failed"
        said = {"event": event, "message": message.id, "why": made.failure, "attempts": message.attempts}
        said |= {"next_s": wait if again else None, "stuck": stuck}
        log.log(logging.ERROR if stuck else logging.WARNING, json.dumps(said))


def _about(connection: sa.Connection, message: Claimed) -> RowMapping | None:
    """Round of an escalation, and whether it is a rehearsal; its row is locked from now on."""
    c = escalation.c
    which = sa.select(c.round, c.drill).where(c.id == message.escalation).with_for_update()
    return connection.execute(which).mappings().first()


def _put_off(store: Store, message: Claimed, until: int) -> None:
    """Puts off what else is for this contact, whose system cost time: one message tries it for all."""
    others = sa.select(delivery.c.id).where(
        delivery.c.site == message.site,
        delivery.c.contact == message.contact,
        delivery.c.delivered.is_(None),
        delivery.c.due < until,
    )
    # Two workers may do so at once, each holding what the other wants.
    free = delivery.c.id.in_(others.with_for_update(skip_locked=True))
    with store.transaction() as connection:
        connection.execute(delivery.update().where(free).values(due=until))


def _incident(config: ServiceConfig, message: Claimed, made: SendResult) -> NewIncident:
    """The incident of a message that fails, or was refused."""
    facts = {"since": message.at, "failure": str(made.failure)}
    if message.escalation:
        kind, contact = IncidentKind.CONTACT_UNREACHABLE, message.contact or ""
        occasion = f"{kind}:{message.site}:{contact}"
        return NewIncident(site=message.site, kind=kind, occasion=occasion, facts={**facts, "contact": contact})
    owner = message.site if config.webhook_of(message.site) != config.webhook else ""
    # Of the whole deployment, so that it does not wait for the same webhook where the site has its own.
    facts |= {"site": owner}
    return NewIncident(site="", kind=IncidentKind.WEBHOOK_STUCK, occasion=f"webhook-stuck:{owner}", facts=facts)
