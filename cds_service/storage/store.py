"""Data that must outlive a request: used tokens, call counts, shown gaps, responses and their cards, feedback.

SQLite by default (WAL, every commit synced to disk), PostgreSQL by URL; the same statements on both. Workers share
nothing else. Every public method is one transaction; a database failure raises StoreUnavailable, and the caller decides
what continues without it (docs/decisions/0016-store.md).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from cds_service.errors import StoreUnavailable
from cds_service.storage.tables import answer, card, feedback, shown_gap, tally, used_token

REST_S = 2
TALLY_KEPT = 60  # windows of a minute
SHOWN_KEPT_S = 24 * 60 * 60  # the longest window that a site can set


class Admission(Enum):
    """The store's verdict on a verified token."""

    ADMITTED = "admitted"
    REPLAYED = "replayed"
    TOO_MANY = "too-many"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRow:
    """A sent card, for feedback to link to, without its text."""

    uuid: str
    topic: str
    indicator: str
    suggestions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRow:
    """One item of feedback. `digest` is the same for exact repeats; `comment` is sealed."""

    digest: str
    card: str
    outcome: str
    outcome_at: str
    suggestions: tuple[str, ...]
    reason_system: str | None = None
    reason_code: str | None = None
    reason_hl7: str | None = None
    comment: bytes | None = None


class Outage:
    """A failing database, so that calls shortly afterwards do not each wait for it."""

    def __init__(self) -> None:
        self.until = 0.0

    def begin(self) -> None:
        """The database has just failed."""
        self.until = time.monotonic() + REST_S

    @property
    def lasts(self) -> bool:
        """Whether it failed recently."""
        return time.monotonic() < self.until


@dataclass(frozen=True, slots=True)
class Store:
    """One database per process, with a connection pool. The app's rows are in `app_store`."""

    engine: sa.Engine
    outage: Outage = field(default_factory=Outage)

    def admit(self, digest: str, expires: int, client: str, now: int, most_a_minute: int) -> Admission:
        """Records a token and its call; from now on the token counts as used.

        expires, now: seconds since 1970. most_a_minute: 0 for no limit.
        """
        minute = now // 60
        with self.transaction() as connection:
            if not self.new(connection, used_token, {"digest": digest, "expires": expires}):
                return Admission.REPLAYED
            calls = self._counted(connection, client, minute)
            if calls == 1:  # a client's first call in a minute tidies up
                connection.execute(used_token.delete().where(used_token.c.expires < now))
                connection.execute(tally.delete().where(tally.c.minute < minute - TALLY_KEPT))
                connection.execute(shown_gap.delete().where(shown_gap.c.at <= now - SHOWN_KEPT_S))
        return Admission.TOO_MANY if 0 < most_a_minute < calls else Admission.ADMITTED

    def _counted(self, connection: sa.Connection, client: str, minute: int) -> int:
        add = self._dialect.insert(tally).values(client=client, minute=minute, calls=1)
        add = add.on_conflict_do_update(index_elements=["client", "minute"], set_={"calls": tally.c.calls + 1})
        return int(connection.execute(add.returning(tally.c.calls)).scalar_one())

    def note_shown(self, digest: str, now: int, window: int) -> bool:
        """Notes that a card about a gap is shown; False where that was noted within the window.

        now: seconds since 1970; window: seconds. Of several calls at once one is told True.
        """
        add = self._dialect.insert(shown_gap).values(digest=digest, at=now)
        # One of the future was noted by a clock that went wrong.
        again = sa.or_(shown_gap.c.at <= now - window, shown_gap.c.at > now)
        add = add.on_conflict_do_update(index_elements=["digest"], set_={"at": now}, where=again)
        with self.transaction() as connection:
            return connection.execute(add.returning(shown_gap.c.digest)).first() is not None

    def write_answer(self, at: datetime, site: str, event: Mapping[str, Any], cards: Iterable[CardRow]) -> int:
        """Appends one response with its cards; on disk when this returns. Returns the row number."""
        rows = [
            {"uuid": c.uuid, "site": site, "topic": c.topic, "indicator": c.indicator, "suggestions": [*c.suggestions]}
            for c in cards
        ]
        with self.transaction() as connection:
            done = connection.execute(answer.insert().values(at=at.isoformat(), event=dict(event)))
            number = int(done.inserted_primary_key[0])  # type: ignore[index]  # one row went in
            if rows:
                connection.execute(card.insert(), [row | {"answer": number} for row in rows])
        return number

    def write_feedback(
        self, at: datetime, sites: Sequence[str], service: str, items: Iterable[FeedbackRow]
    ) -> tuple[int, int]:
        """Appends the new items, each with its card. Returns how many were new, and how many had known cards.

        sites: those that the client's token covers; only their cards count as known.
        """
        new = known = 0
        with self.transaction() as connection:
            for item in items:
                same_card = sa.and_(card.c.uuid == item.card, card.c.site.in_(sites))
                sent_card = connection.execute(
                    sa.select(card.c.answer, card.c.topic, card.c.site).where(same_card)
                ).first()
                values = {
                    "at": at.isoformat(),
                    "site": sent_card.site if sent_card else sites[0],
                    "service": service,
                    "answer": sent_card.answer if sent_card else None,
                    "topic": sent_card.topic if sent_card else None,
                    "digest": item.digest,
                    "card": item.card,
                    "outcome": item.outcome,
                    "outcome_at": item.outcome_at,
                    "suggestions": [*item.suggestions],
                    "reason_system": item.reason_system,
                    "reason_code": item.reason_code,
                    "reason_hl7": item.reason_hl7,
                    "comment": item.comment,
                }
                new += self.new(connection, feedback, values)
                known += sent_card is not None
        return new, known

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        """Every row of a table, in order of its key."""
        with self.transaction() as connection:
            result = connection.execute(sa.select(table).order_by(*table.primary_key.columns))
            return [dict(row) for row in result.mappings()]

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    @property
    def _dialect(self) -> Any:  # noqa: ANN401  # two modules with the same function
        return postgresql if self.engine.dialect.name == "postgresql" else sqlite

    def new(self, connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
        """Inserts a row unless its key exists; True if inserted. RETURNING, since drivers count differently."""
        add = self._dialect.insert(table).values(values).on_conflict_do_nothing()
        return connection.execute(add.returning(*table.primary_key.columns)).first() is not None

    @contextmanager
    def transaction(self, *, snapshot: bool = False, patient: bool = False) -> Iterator[sa.Connection]:
        """One transaction. snapshot: a consistent view of all rows. patient: no statement timeout."""
        if self.outage.lasts:
            raise StoreUnavailable("the store failed a moment ago and is not asked")
        postgres = self.engine.dialect.name == "postgresql"
        try:
            with self.engine.connect() as connection:
                if snapshot and not postgres:
                    connection.exec_driver_sql("BEGIN")
                    yield connection
                    return
                if snapshot:
                    connection = connection.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
                with connection.begin():
                    if postgres and patient:
                        connection.exec_driver_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
                    yield connection
        except SQLAlchemyError as error:
            if isinstance(error, OperationalError | PoolTimeoutError):
                self.outage.begin()
            # The driver's message may quote values.
            raise StoreUnavailable(f"the store failed ({type(error).__name__})") from error
