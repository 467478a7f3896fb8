"""Keeps the store small beside the calls: old rows go in small batches, and SQLite's log goes into its file.

One thread per worker. No batch holds a lock longer than a commit does, so that no call feels it.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from datetime import UTC, datetime

import sqlalchemy as sa

from cds_service.errors import StoreUnavailable
from cds_service.storage.store import PROBE, Store
from cds_service.storage.tables import batch, escalation, shown_gap, snooze, tally, used_token

log = logging.getLogger("mhcds")
DAY_S = 24 * 60 * 60
ROWS_AT_ONCE = 50  # in SQLite about as many pages to write and sync while calls wait (decision 0029)
LOOK_S = 30
CHECKPOINT_S = 1
MOST_PAGES = 4000  # 16 MB of SQLite's log; beyond, its writers wait until it is empty
TALLY_KEPT = 60  # windows of a minute
SHOWN_KEPT_S = DAY_S  # the longest window that a site can set
LINK_KEPT_S = 30 * DAY_S
TOKEN_KEPT_S = DAY_S  # after it expired: so a clock that goes back a little makes no used token new


def start(store: Store) -> threading.Thread:
    """Starts the thread; it ends with the process."""
    thread = threading.Thread(target=_keep, args=(store,), name="housekeeping", daemon=True)
    thread.start()
    return thread


def _keep(store: Store) -> None:
    next_look = 0.0
    while True:
        try:
            if time.monotonic() >= next_look:
                tidy(store, int(time.time()))
                next_look = time.monotonic() + LOOK_S
            checkpoint(store)
        except StoreUnavailable as error:
            next_look = time.monotonic() + LOOK_S
            log.error(json.dumps({"event": "store-unavailable", "at": "housekeeping", "reason": str(error)}))
            time.sleep(LOOK_S)
        time.sleep(CHECKPOINT_S)


def tidy(store: Store, now: int) -> int:
    """Deletes or empties what is of no use at `now`, in seconds since 1970; returns the number of rows."""
    minute = now // 60 - TALLY_KEPT
    return (
        _deleted(store, used_token, used_token.c.expires < now - TOKEN_KEPT_S)
        + _deleted(store, tally, sa.and_(tally.c.minute < minute, tally.c.client != PROBE))
        + _deleted(store, shown_gap, shown_gap.c.at <= now - SHOWN_KEPT_S)
        + _deleted(store, snooze, snooze.c.until <= now)
        + _unsealed(store, now)
    )


def _unsealed(store: Store, now: int) -> int:
    """Empties what leads to the patient of an escalation that somebody has had for long; a message has none by then."""
    c, limit = escalation.c, datetime.fromtimestamp(now - LINK_KEPT_S, UTC).isoformat()
    past = sa.and_(c.status != "open", sa.func.coalesce(c.closed, c.acknowledged) < limit, sa.func.length(c.sealed) > 0)
    with store.transaction() as connection:
        if connection.execute(sa.select(c.id).where(past).limit(1)).first() is None:
            return 0
        return len(connection.execute(escalation.update().where(past).values(sealed=b"").returning(c.id)).all())


def _deleted(store: Store, table: sa.Table, old: sa.ColumnElement[bool]) -> int:
    gone = table.delete().where(batch(table, old, ROWS_AT_ONCE)).returning(*table.primary_key.columns)
    total = 0
    while True:
        with store.transaction() as connection:
            count = len(connection.execute(gone).all())
        total += count
        if count < ROWS_AT_ONCE:
            return total
        time.sleep(0.02)  # for the calls that wait


def checkpoint(store: Store) -> None:
    """Moves SQLite's log into its file beside the calls, which would otherwise do so one after another."""
    if store.file is None:
        return
    with store.raw() as connection:
        _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages > MOST_PAGES:
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()


def empty_log(store: Store) -> None:
    """Leaves nothing in SQLite's log of what was erased, unless somebody still reads there."""
    if store.file is None:
        return
    with store.raw() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
