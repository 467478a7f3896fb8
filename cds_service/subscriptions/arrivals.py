"""What is to be read since a FHIR server said that something came: one row a patient, durable before the answer.

A row is claimed by putting it off for longer than a reading takes, so a worker that dies leaves it to the others. One
that was noted again meanwhile is sealed anew, and so is not taken off when its reading ends. After a week of failures
one is given up; an incident has said so since their first hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from cryptography.fernet import InvalidToken

from cds_service.errors import StoreUnavailable
from cds_service.incidents.incidents import Fact, NewIncident, open_incident
from cds_service.incidents.kinds import IncidentKind
from cds_service.keys.data_key import DataKey
from cds_service.storage.store import Store
from cds_service.storage.tables import arrival, insert_into, subscription
from fhir_adapters.access.notifications import Notification, NotificationKind

CLAIMED_S = 120
FIRST_WAIT_S, MOST_WAIT_S = 5, 600
FAILED_S, GIVEN_UP_S = 3600, 7 * 24 * 3600
# How long a number may be missing: notifications overtake each other (R5 Backport, "Handling Errors").
PATIENCE_S = 60
# From when a server is searched that was never heard before.
FIRST_LOOK_S = 3600
MOST_MISSING = 200
# A count that goes on so far away has begun anew.
MOST_JUMP = 10_000
AT_ONCE = 50
NO_TOKEN_S = 30
# Charts that wait for so long although none has failed are too many for the readers.
LATE_S = 15 * 60
SERVER = ""


class ToRead(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be read: a patient's chart, a resource (`Type/id`) to learn whose it is, or what is new on the server.

    since: seconds since 1970, of what is new.
    """

    patient: str = ""
    resource: str = ""
    since: int = 0

    @property
    def name(self) -> str:
        """What the row's pseudonym is made of; "" for the server."""
        return self.patient or self.resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A row that this worker alone may read now. at: when it was first noted; attempts: with this one."""

    site: str
    patient: str
    at: str
    attempts: int
    sealed: bytes = field(repr=False)


Missed = dict[str, int]
"""Sites of which this process had to refuse a notification, and since when (seconds since 1970).

Their servers are searched instead, once it can write: R4 servers may never send again what was refused.
"""


def search_missed(store: Store, key: DataKey, missed: Missed, now: datetime) -> None:
    """Asks for those searches. Raises StoreUnavailable."""
    for site in list(missed):
        # Taken off first: what is refused from now on is searched for once more.
        since = missed.pop(site, None)
        if since is None:  # another thread's by now
            continue
        try:
            with store.transaction() as connection:
                _search(connection, key, site, since, now)
        except StoreUnavailable:
            missed[site] = min(since, missed.get(site, since))
            raise


def note(store: Store, key: DataKey, site: str, found: Notification, now: datetime) -> None:
    """Writes down what a notification is about; all of it is on disk when this returns. Raises StoreUnavailable."""
    wanted = [ToRead(patient=patient) for patient in found.patients]
    rows = [_row(key, site, each, now) for each in (*wanted, *(ToRead(resource=each) for each in found.resources))]
    # Mostly one commit: many writers at once cost each other time.
    many = len(rows) - len(rows) % AT_ONCE if len(rows) > AT_ONCE else 0
    _add(store, rows[:many])
    with store.transaction() as connection:
        if rows[many:]:
            connection.execute(_insert(connection), rows[many:])
        since, is_gap = _heard(connection, site, found, int(now.timestamp()))
        if found.unnamed or found.fault:
            _search(connection, key, site, since, now)
        elif is_gap:
            _search(connection, key, site, since, now, wait_s=PATIENCE_S)
        if found.fault:
            open_incident(connection, _silent(site, found.subscription, found.fault, since, 0), now)


def add(store: Store, key: DataKey, site: str, wanted: Sequence[ToRead], now: datetime) -> None:
    """Notes charts and resources that are to be read, each once. Raises StoreUnavailable."""
    _add(store, [_row(key, site, each, now) for each in wanted])


def _add(store: Store, rows: Sequence[dict[str, Any]]) -> None:
    """A few at a time, since hook calls write too."""
    for start in range(0, len(rows), AT_ONCE):
        with store.transaction() as connection:
            connection.execute(_insert(connection), rows[start : start + AT_ONCE])


def _search(connection: sa.Connection, key: DataKey, site: str, since: int, now: datetime, *, wait_s: int = 0) -> None:
    """Notes that the server is to be searched; of two searches the one that begins earlier is kept."""
    same = sa.and_(arrival.c.site == site, arrival.c.patient == SERVER)
    row = connection.execute(sa.select(arrival.c.sealed).where(same).with_for_update()).first()
    earlier = to_read(key, bytes(row.sealed)) if row else None
    wanted = ToRead(since=min(since, earlier.since) if earlier else since)
    connection.execute(_insert(connection), [_row(key, site, wanted, now, wait_s)])


def _row(key: DataKey, site: str, wanted: ToRead, now: datetime, wait_s: int = 0) -> dict[str, Any]:
    patient = key.pseudonym(site, wanted.name) if wanted.name else SERVER
    sealed = key.seal(msgspec.json.encode(wanted).decode())
    row = {"site": site, "patient": patient, "sealed": sealed, "at": now.isoformat(), "attempts": 0}
    return {**row, "due": int(now.timestamp()) + wait_s}


def _insert(connection: sa.Connection) -> sa.Insert:
    new = insert_into(connection, arrival)
    # One whose reading is under way or has failed is not tried sooner.
    sooner = sa.and_(arrival.c.attempts == 0, arrival.c.due > new.excluded.due)
    due = sa.case((sooner, new.excluded.due), else_=arrival.c.due)
    again = {"sealed": new.excluded.sealed, "due": due}
    return new.on_conflict_do_update(index_elements=["site", "patient"], set_=again)


def to_read(key: DataKey, sealed: bytes) -> ToRead | None:
    """What a row says; None where it was sealed with another key."""
    try:
        return msgspec.json.decode(key.unseal(sealed), type=ToRead)
    except InvalidToken:
        return None


def claim(store: Store, sites: Sequence[str], now: datetime) -> Arrival | None:
    """The row whose turn it is: first those never tried, then those that have waited longest. None: none is due."""
    seconds, c = int(now.timestamp()), arrival.c
    # One put off for longer than any wait was put off by a clock that has gone back since.
    due = sa.or_(c.due <= seconds, c.due > seconds + MOST_WAIT_S + CLAIMED_S)
    first = (
        sa.select(c.site, c.patient).where(c.site.in_(sites), due).order_by(c.attempts > 0, c.due, c.patient).limit(1)
    )
    this = sa.tuple_(c.site, c.patient).in_(first.with_for_update(skip_locked=True))
    take = arrival.update().where(this).values(due=seconds + CLAIMED_S, attempts=c.attempts + 1)
    with store.transaction() as connection:
        # Most looks find nothing: they must not take SQLite's one place to write.
        if connection.execute(first).first() is None:
            return None
        row = connection.execute(take.returning(*(c[name] for name in Arrival.__slots__))).mappings().first()
    return None if row is None else Arrival(**{**row, "sealed": bytes(row["sealed"])})


def waiting_since(store: Store, sites: Sequence[str]) -> datetime | None:
    """When the oldest row was noted that has not been read; None if all have. Raises StoreUnavailable."""
    with store.transaction() as connection:
        at = connection.execute(sa.select(sa.func.min(arrival.c.at)).where(arrival.c.site.in_(sites))).scalar_one()
    return None if at is None else datetime.fromisoformat(at)


def finish(connection: sa.Connection, claimed: Arrival, now: datetime, *, again_at: int | None = None) -> None:
    """Takes a row off that was read, or puts it off until then; one noted again meanwhile is read again now."""
    mine = sa.and_(arrival.c.site == claimed.site, arrival.c.patient == claimed.patient)
    same = sa.and_(mine, arrival.c.sealed == claimed.sealed)
    ended = arrival.delete() if again_at is None else arrival.update().values(due=again_at, attempts=0, failure=None)
    connection.execute(ended.where(same))
    anew = arrival.update().values(due=int(now.timestamp()), attempts=0, failure=None)
    connection.execute(anew.where(mine, arrival.c.sealed != claimed.sealed))


def put_off(store: Store, claimed: Arrival, failure: str, now: datetime) -> bool:
    """Notes that a reading failed; whether that has gone on for so long that somebody must look."""
    wait = min(MOST_WAIT_S, FIRST_WAIT_S << min(claimed.attempts - 1, 20))
    age_s = (now - datetime.fromisoformat(claimed.at)).total_seconds()
    lasts = age_s >= FAILED_S
    mine = sa.and_(arrival.c.site == claimed.site, arrival.c.patient == claimed.patient)
    change = {"due": int(now.timestamp()) + wait, "failure": failure}
    later = arrival.delete() if age_s >= GIVEN_UP_S else arrival.update().values(change)
    with store.transaction() as connection:
        connection.execute(later.where(mine, arrival.c.attempts == claimed.attempts))
        if lasts:
            say_not_read(connection, claimed.site, claimed.at, failure, now)
    return lasts


def put_off_all(store: Store, site: str, now: datetime) -> None:
    """Puts off what is due at a site that gives no token: one asks for all. Raises StoreUnavailable."""
    seconds = int(now.timestamp())
    due = sa.and_(arrival.c.site == site, arrival.c.due <= seconds)
    with store.transaction() as connection:
        connection.execute(arrival.update().where(due).values(due=seconds + NO_TOKEN_S))


def say_not_read(connection: sa.Connection, site: str, since: str, failure: str, now: datetime) -> None:
    """Opens the incident that charts of a site are not read, unless it is open. since: ISO 8601."""
    waiting = sa.select(sa.func.count()).where(arrival.c.site == site)
    count = connection.execute(waiting).scalar_one()
    facts: dict[str, Fact] = {"since": since, "failure": failure, "waiting": count}
    kind = IncidentKind.CHART_NOT_READ
    open_incident(connection, NewIncident(site=site, kind=kind, occasion=f"{kind}:{site}", facts=facts), now)


def say_late(store: Store, sites: Iterable[str], now: datetime) -> None:
    """Opens it where charts wait for so long that somebody must look, whatever the reason."""
    for site in sites:
        since = waiting_since(store, [site])
        if since is not None and (now - since).total_seconds() >= LATE_S:
            with store.transaction() as connection:
                say_not_read(connection, site, since.isoformat(), "late", now)


# ---- how far a subscription has been heard ------------------------------------------------------------------------


def _heard(connection: sa.Connection, site: str, found: Notification, now: int) -> tuple[int, bool]:
    """Since when something may have come that is not known, and whether numbers are missing that were not before."""
    c = subscription.c
    here = sa.and_(c.site == site, c.name == found.subscription)
    add = insert_into(connection, subscription).values(
        site=site, name=found.subscription, number=found.total or 0, heard=now, missing={}
    )
    if connection.execute(add.on_conflict_do_nothing().returning(c.name)).first() is not None:
        return now - FIRST_LOOK_S, False
    row = connection.execute(sa.select(c.number, c.heard, c.missing).where(here).with_for_update()).one()
    number, missing = max(row.number, found.total or 0), dict(row.missing)
    anew = found.total is not None and not row.number - MOST_MISSING <= found.total <= row.number + MOST_JUMP
    if anew or found.kind is NotificationKind.HANDSHAKE:
        number, missing = found.total or 0, {}
    elif found.total is not None:
        new = range(max(row.number + 1, found.total - MOST_MISSING), found.total + 1)
        missing |= {str(n): now for n in new}
        missing = {n: at for n, at in missing.items() if int(n) not in found.events}
    connection.execute(subscription.update().where(here).values(number=number, heard=now, missing=missing))
    return min(row.heard, now), anew or bool(missing.keys() - row.missing.keys())


def gaps(connection: sa.Connection, site: str, now: datetime) -> int | None:
    """Opens an incident for numbers that have been missing for too long, once; when to look for others, or None."""
    seconds, c = int(now.timestamp()), subscription.c
    rows = connection.execute(sa.select(c.name, c.missing).where(c.site == site).with_for_update()).all()
    left: list[int] = []
    for row in rows:
        ripe = {n: at for n, at in row.missing.items() if at <= seconds - PATIENCE_S}
        left += [at for n, at in row.missing.items() if n not in ripe]
        if ripe:
            kept = {n: at for n, at in row.missing.items() if n not in ripe}
            here = sa.and_(c.site == site, c.name == row.name)
            connection.execute(subscription.update().where(here).values(missing=kept))
            open_incident(connection, _silent(site, row.name, "gap", min(ripe.values()), len(ripe)), now)
    return min(left) + PATIENCE_S if left else None


def silences(store: Store, expected: Iterable[tuple[str, int]], now: datetime) -> None:
    """Opens an incident for each site that was not heard for so many hours; counts from the first look."""
    seconds, c = int(now.timestamp()), subscription.c
    for site, hours in expected:
        with store.transaction() as connection:
            last = connection.execute(sa.select(sa.func.max(c.heard)).where(c.site == site)).scalar_one()
            if last is None:
                first = insert_into(connection, subscription).values(
                    site=site, name="", number=0, heard=seconds, missing={}
                )
                connection.execute(first.on_conflict_do_nothing())
            elif last < seconds - hours * 3600:
                open_incident(connection, _silent(site, "", "silent", last, 0), now)


def _silent(site: str, name: str, fault: str, since: int, missed: int) -> NewIncident:
    kind = IncidentKind.SUBSCRIPTION_SILENT
    at = datetime.fromtimestamp(since, UTC).isoformat()
    facts: dict[str, Fact] = {"subscription": name, "fault": fault, "since": at, "missed": missed}
    return NewIncident(site=site, kind=kind, occasion=f"{kind}:{site}:{fault}:{name}"[:200], facts=facts)
