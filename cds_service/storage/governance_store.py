"""The rows of the governance pages: sign-ins that wait for their callback, and sessions.

Every method is one transaction and raises StoreUnavailable when the database fails.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from cds_service.storage.store import Store
from cds_service.storage.tables import batch, governance_session, sign_in

# Anybody may begin a sign-in: beyond this number the oldest are dropped.
MOST_WAITING = 1000
KEPT_S = 24 * 60 * 60
BATCH = 500
EMPTY = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernanceSession:
    """A stored session. sealed: who it is; started, used: seconds since 1970; ended: why, or None."""

    digest: str
    sealed: bytes
    started: int
    used: int
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class GovernanceRows:
    """The governance pages' side of one store."""

    store: Store

    def put_sign_in(self, digest: str, sealed: bytes, now: int, expires: int) -> None:
        """Stores a sign-in until its callback; drops expired and excess ones."""
        newest = sa.select(sign_in.c.digest).order_by(sign_in.c.expires.desc()).offset(MOST_WAITING).limit(BATCH)
        with self.store.transaction() as connection:
            connection.execute(sign_in.insert().values(digest=digest, sealed=sealed, expires=expires))
            # Of those of one second any may count as the oldest, but not the one that was just begun.
            for gone in (sign_in.c.expires < now, sa.and_(sign_in.c.digest.in_(newest), sign_in.c.digest != digest)):
                connection.execute(sign_in.delete().where(batch(sign_in, gone, BATCH)))

    def take_sign_in(self, digest: str, now: int) -> bytes | None:
        """A sign-in, only once even for simultaneous callbacks; None if unknown, used or expired."""
        taken = sign_in.delete().where(sign_in.c.digest == digest)
        with self.store.transaction() as connection:
            row = connection.execute(taken.returning(sign_in.c.sealed, sign_in.c.expires)).first()
        return bytes(row.sealed) if row is not None and row.expires >= now else None

    def put_session(self, new: GovernanceSession) -> None:
        """Stores a new session; drops those of yesterday."""
        values = {"digest": new.digest, "sealed": new.sealed, "started": new.started, "used": new.used}
        old = governance_session.c.used < new.started - KEPT_S
        with self.store.transaction() as connection:
            connection.execute(governance_session.insert().values(values))
            connection.execute(governance_session.delete().where(batch(governance_session, old, BATCH)))

    def session(self, digest: str) -> GovernanceSession | None:
        """A session, even if ended."""
        found = sa.select(governance_session).where(governance_session.c.digest == digest)
        with self.store.transaction() as connection:
            row = connection.execute(found).mappings().first()
        return None if row is None else GovernanceSession(**{**row, "sealed": bytes(row["sealed"])})

    def use_session(self, digest: str, now: int) -> None:
        """Notes when it was last used."""
        self._change(digest, used=now)

    def end_session(self, digest: str, reason: str) -> None:
        """Ends a session for good."""
        self._change(digest, ended=reason, sealed=EMPTY)

    def _change(self, digest: str, **values: object) -> None:
        going_on = sa.and_(governance_session.c.digest == digest, governance_session.c.ended.is_(None))
        with self.store.transaction() as connection:
            connection.execute(governance_session.update().where(going_on).values(**values))
