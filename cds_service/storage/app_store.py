"""The rows of the SMART app: implements `smart_launch.session.store.AppStore` on the shared store.

Every method is one transaction and raises StoreUnavailable when the database fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.store import Store
from cds_service.storage.tables import app_session, batch, launch_state, submission, written
from smart_launch.session.store import StoredSession, WaitingLaunch

# How long ended sessions are kept, so that a page can say why; and the idle time after which a session has ended under
# any setting.
KEPT_S = 24 * 60 * 60
OVER_S = 60 * 60
# Pending launches at once. Anybody may begin one: beyond this the oldest are dropped, those of unknown browsers first,
# so that a flood cannot fill the disk (docs/decisions/0033-floods-of-launches.md).
MOST_WAITING = 10_000
# Of them, those begun within WINDOW_S by one network address, or by one browser that has had a session.
MOST_OF_ADDRESS, MOST_OF_BROWSER, WINDOW_S = 300, 20, 60
# Old rows that one call drops from a table, so that no call waits for many. Each call adds one row at most.
BATCH = 500
EMPTY = b""


@dataclass(frozen=True, slots=True)
class AppRows:
    """The app's side of one store."""

    store: Store

    def put_launch(self, launch: WaitingLaunch, now: int) -> bool:
        """Stores a launch until its callback; drops expired and excess ones.

        False if its address, or its browser where that is known, has begun too many within a minute.
        """
        c = launch_state.c
        session = sa.select(app_session.c.launch).where(app_session.c.browser == launch.browser).limit(1)
        with self.store.transaction() as connection:
            known = connection.execute(session).first() is not None
            source, most = (launch.browser, MOST_OF_BROWSER) if known else (launch.address, MOST_OF_ADDRESS)
            latest = sa.and_(c.source == source, c.expires > launch.expires - WINDOW_S)
            if connection.execute(sa.select(sa.func.count()).where(latest)).scalar_one() >= most:
                return False
            row = {"digest": launch.digest, "sealed": launch.sealed, "expires": launch.expires}
            connection.execute(launch_state.insert().values(**row, source=source, known=known))
            kept_first = sa.select(c.digest).order_by(c.known.desc(), c.expires.desc())
            for gone in (c.expires < now, c.digest.in_(kept_first.offset(MOST_WAITING).limit(BATCH))):
                connection.execute(launch_state.delete().where(batch(launch_state, gone, BATCH)))
        return True

    def take_launch(self, digest: str, now: int) -> bytes | None:
        """The launch, only once even for simultaneous calls; None if unknown, used or expired."""
        with self.store.transaction() as connection:
            taken = launch_state.delete().where(launch_state.c.digest == digest)
            row = connection.execute(taken.returning(launch_state.c.sealed, launch_state.c.expires)).first()
        return bytes(row.sealed) if row is not None and row.expires >= now else None

    def put_session(self, stored: StoredSession) -> None:
        """Stores a new session and ends the browser's others; drops yesterday's, and the tokens of abandoned ones.

        Notes on forms are dropped a day later.
        """
        values = {name: getattr(stored, name) for name in COLUMNS}
        left = sa.and_(app_session.c.used < stored.started - OVER_S, app_session.c.ended.is_(None))
        old = {
            app_session: app_session.c.used < stored.started - KEPT_S,
            submission: submission.c.at < stored.started - 2 * KEPT_S,
            written: written.c.at < stored.started - 2 * KEPT_S,
        }
        others = sa.and_(app_session.c.browser == stored.browser, app_session.c.ended.is_(None))
        with self.store.transaction() as connection:
            # First, while no other row is locked: of all these, it alone may have to wait.
            connection.execute(app_session.update().where(others).values(ended="moved", sealed=EMPTY))
            connection.execute(app_session.insert().values(values))
            for table, gone in old.items():
                connection.execute(table.delete().where(batch(table, gone, BATCH)))
            timed_out = app_session.update().where(batch(app_session, left, BATCH))
            connection.execute(timed_out.values(ended="timed-out", sealed=EMPTY))

    def session(self, launch: str) -> StoredSession | None:
        """The session of a launch, even if ended."""
        with self.store.transaction() as connection:
            row = connection.execute(sa.select(app_session).where(app_session.c.launch == launch)).mappings().first()
        return None if row is None else StoredSession(**{**row, "sealed": bytes(row["sealed"])})

    def use_session(self, launch: str, now: int) -> None:
        """Notes when it was last used."""
        self._changed(app_session.c.launch == launch, {"used": now})

    def change_session(self, launch: str, sealed: bytes, version: int) -> bool:
        """Replaces version - 1 of a session. False if another change came first, or it has ended."""
        current = sa.and_(
            app_session.c.launch == launch, app_session.c.version == version - 1, app_session.c.ended.is_(None)
        )
        return self._changed(current, {"sealed": sealed, "version": version}) > 0

    def end_session(self, launch: str, reason: str) -> None:
        """Ends one session."""
        going_on = sa.and_(app_session.c.launch == launch, app_session.c.ended.is_(None))
        self._changed(going_on, {"ended": reason, "sealed": EMPTY})

    def _changed(self, which: sa.ColumnElement[bool], values: Mapping[str, object]) -> int:
        changed = app_session.update().where(which).values(values).returning(app_session.c.launch)
        with self.store.transaction() as connection:
            return len(connection.execute(changed).all())

    def claim(self, submission_id: str, launch: str, now: int) -> bool:
        """Claims a submission; False when it was claimed before."""
        with self.store.transaction() as connection:
            return self.store.new(connection, submission, {"id": submission_id, "launch": launch, "at": now})

    def release(self, submission_id: str) -> None:
        """Releases an unused claim."""
        with self.store.transaction() as connection:
            connection.execute(submission.delete().where(submission.c.id == submission_id))

    def note_written(self, submission_id: str, slot: str, reference: str) -> None:
        """Notes that one resource of a submission is in the chart."""
        row = {"submission": submission_id, "slot": slot, "reference": reference}
        with self.store.transaction() as connection:
            self.store.new(connection, written, row)

    def written(self, submission_id: str) -> dict[str, str]:
        """Slot -> reference of what is already in the chart."""
        with self.store.transaction() as connection:
            rows = connection.execute(sa.select(written).where(written.c.submission == submission_id))
            return {row.slot: row.reference for row in rows}

    def record(self, at: str, event: Mapping[str, object]) -> None:
        """Appends one event; on disk when this returns."""
        with self.store.transaction() as connection:
            append(connection, app_event(at, event))


def app_event(at: str, event: Mapping[str, object]) -> NewEvent:
    """An event of the app, for a transaction that does more than record it."""
    return NewEvent(site=str(event["site"]), kind=AuditKind.APP, at=at, event=event)


COLUMNS = ("digest", "launch", "browser", "iss", "sealed", "started", "used", "version", "ended")
