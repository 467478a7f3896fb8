"""Data that must outlive a request: used tokens, call counts, shown gaps, the audit chain, sent cards, feedback.

SQLite by default (WAL, every commit synced to disk), PostgreSQL by URL; the same statements on both. Workers share
nothing else. Every public method is one transaction; a database failure raises StoreUnavailable, and the caller decides
what continues without it (docs/decisions/0016-store.md).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from cds_service.errors import StoreUnavailable
from cds_service.storage.calls import (
    LOOK_IN_POSTGRESQL,
    LOOK_IN_SQLITE,
    AnswerRow,
    SharedCommit,
    TokenUse,
    commit_in_postgresql,
    commit_in_sqlite,
    look,
)
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.lost_file import SqliteFile
from cds_service.storage.tables import audit_event, card, feedback, insert_into, shown_gap, tally, used_token

WAIT_S = 2
REST_S = 2
PROBE = "readiness"


class Admission(Enum):
    """The store's verdict on a verified token."""

    ADMITTED = "admitted"
    REPLAYED = "replayed"
    TOO_MANY = "too-many"


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
    """A failing database: for a while nobody asks it, and then one call at a time does, until one succeeds."""

    def __init__(self) -> None:
        self.until = 0.0
        self.lasts = False
        self._lock = threading.Lock()

    def begin(self) -> None:
        """The database has just failed."""
        with self._lock:
            self.lasts, self.until = True, time.monotonic() + REST_S

    def end(self) -> None:
        """The database has just done its work."""
        self.lasts = False

    def may_ask(self) -> bool:
        """Whether a call may ask the database now."""
        if not self.lasts:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self.until:
                return False
            self.until = now + REST_S  # the others go on without it until this call knows
            return True


@dataclass(frozen=True, slots=True)
class Store:
    """One database per process, with a connection pool. The app's rows are in `app_store`.

    file: SQLite's, None for PostgreSQL.
    """

    engine: sa.Engine
    file: SqliteFile | None = None
    outage: Outage = field(default_factory=Outage)
    commits: SharedCommit = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "commits", SharedCommit(self._commit))

    def admission(self, token: TokenUse, most_a_minute: int) -> tuple[Admission, int]:
        """Whether a token may be used now: a look, which uses up nothing; its use is part of `write_answer`.

        most_a_minute: 0 for no limit. Calls that are still going on do not count yet. The look also brings the number
        that changes with modes, switches and opt-outs.
        """
        with self.raw() as connection:
            used, calls, stamp = look(connection, LOOK_IN_SQLITE if self.file else LOOK_IN_POSTGRESQL, token)
        if used:
            return Admission.REPLAYED, stamp
        return Admission.TOO_MANY if 0 < most_a_minute <= calls else Admission.ADMITTED, stamp

    def use(self, token: TokenUse) -> Admission:
        """Uses a token and counts its call, where no answer is written."""
        with self.transaction() as connection:
            if not self.new(connection, used_token, {"digest": token.digest, "expires": token.expires}):
                return Admission.REPLAYED
            self._count(connection, token.client, token.minute)
        return Admission.ADMITTED

    def write_answer(self, row: AnswerRow) -> int | None:
        """Appends an answer with its cards and uses its token; on disk when this returns.

        Returns the answer's number in its site's chain; None, and nothing is written, if the token was used before.
        """
        return self.commits.write(row)

    def _commit(self, rows: Sequence[AnswerRow]) -> list[int | None]:
        self._put_back()
        with self.raw() as connection:
            numbers = (commit_in_sqlite if self.file is not None else commit_in_postgresql)(connection, rows)
        if self.file is not None and self.file.is_lost():
            raise StoreUnavailable("the database was deleted during a commit")
        return numbers

    def _put_back(self) -> None:
        """Notices a deleted file, and puts back what is still open of it."""
        if self.file is None or not self.file.is_lost():
            return
        try:
            with self.raw() as old:
                self.file.put_back(old)
        except OSError as error:
            raise StoreUnavailable(f"its file was deleted and cannot be put back ({error.strerror})") from error
        self.engine.dispose()

    def write_probe(self) -> None:
        """Writes a row that means nothing, to see whether rows can be written."""
        with self.transaction() as connection:
            self._count(connection, PROBE, 0)

    def _count(self, connection: sa.Connection, client: str, minute: int) -> None:
        add = insert_into(connection, tally).values(client=client, minute=minute, calls=1)
        again = {"calls": tally.c.calls + 1}
        connection.execute(add.on_conflict_do_update(index_elements=["client", "minute"], set_=again))

    def note_shown(self, digest: str, now: int, window: int) -> bool:
        """Notes that a card about a gap is shown; False where that was noted within the window.

        now: seconds since 1970; window: seconds. Of several calls at once one is told True.
        """
        # One of the future was noted by a clock that went wrong.
        again = sa.or_(shown_gap.c.at <= now - window, shown_gap.c.at > now)
        with self.transaction() as connection:
            add = insert_into(connection, shown_gap).values(digest=digest, at=now)
            add = add.on_conflict_do_update(index_elements=["digest"], set_={"at": now}, where=again)
            return connection.execute(add.returning(shown_gap.c.digest)).first() is not None

    def write_feedback(
        self, at: datetime, sites: Sequence[str], service: str, items: Iterable[FeedbackRow]
    ) -> tuple[int, int]:
        """Appends the new items, each with its card. Returns how many were new, and how many had known cards.

        sites: those that the client's token covers; only their cards count as known.
        """
        new, known, moment = list[NewEvent](), 0, at.isoformat()
        with self.transaction() as connection:
            for item in items:
                same_card = sa.and_(card.c.uuid == item.card, card.c.site.in_(sites))
                answer = sa.and_(audit_event.c.site == card.c.site, audit_event.c.seq == card.c.answer)
                sent = sa.select(card.c.site, card.c.answer, card.c.topic, audit_event.c.patient)
                sent_card = connection.execute(sent.join(audit_event, answer).where(same_card)).first()
                said = {
                    "service": service,
                    "card": item.card,
                    "topic": sent_card.topic if sent_card else None,
                    "outcome": item.outcome,
                    "outcome_at": item.outcome_at,
                    "suggestions": item.suggestions,
                    "reason_system": item.reason_system,
                    "reason_code": item.reason_code,
                    "reason_hl7": item.reason_hl7,
                }
                site = sent_card.site if sent_card else sites[0]
                values = {"at": moment, "site": site, "answer": sent_card.answer if sent_card else None}
                values |= {"digest": item.digest, "comment": item.comment}
                known += sent_card is not None
                if self.new(connection, feedback, said | values):
                    patient = sent_card.patient if sent_card else None
                    new.append(NewEvent(site=site, kind=AuditKind.FEEDBACK, at=moment, event=said, patient=patient))
            append(connection, *new)
        return len(new), known

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        """Every row of a table, in order of its key."""
        with self.transaction() as connection:
            result = connection.execute(sa.select(table).order_by(*table.primary_key.columns))
            return [dict(row) for row in result.mappings()]

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    def new(self, connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
        """Inserts a row unless its key exists; True if inserted. RETURNING, since drivers count differently."""
        add = insert_into(connection, table).values(values).on_conflict_do_nothing()
        return connection.execute(add.returning(*table.primary_key.columns)).first() is not None

    @contextmanager
    def transaction(self, *, snapshot: bool = False, patient: bool = False) -> Iterator[sa.Connection]:
        """One transaction. snapshot: a consistent view of all rows. patient: no statement timeout."""
        self._put_back()
        postgres = self.file is None
        with self._asked(), self.engine.connect() as connection:
            if snapshot and not postgres:
                connection.exec_driver_sql("BEGIN")
                yield connection
                return
            if snapshot:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
            with connection.begin():
                if not (postgres and patient):
                    yield connection
                    return
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
                with _unbounded(connection.connection.driver_connection):
                    yield connection

    @contextmanager
    def raw(self) -> Iterator[Any]:
        """A connection of the driver itself, for the statements of a hook call; PostgreSQL's commits each statement."""
        with self._asked():
            pooled = self.engine.raw_connection()
            try:
                connection: Any = pooled.driver_connection
                if self.file is None:
                    connection.autocommit = True
                yield connection
                if self.file is None:
                    connection.autocommit = False
            except BaseException:
                pooled.invalidate()
                raise
            finally:
                pooled.close()

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Raises StoreUnavailable when the database fails or has just failed."""
        if not self.outage.may_ask():
            raise StoreUnavailable("the store failed a moment ago and is not asked")
        driver = self.engine.dialect.loaded_dbapi
        try:
            yield
        except (SQLAlchemyError, driver.Error) as error:
            if isinstance(error, OperationalError | PoolTimeoutError | driver.OperationalError):
                self.outage.begin()
            # The driver's message may quote values.
            raise StoreUnavailable(f"the store failed ({type(error).__name__})") from error
        self.outage.end()


@contextmanager
def _unbounded(connection: Any) -> Iterator[None]:  # noqa: ANN401  # a BoundedConnection, which SQLAlchemy types as Any
    """Without a limit on waits, for work that may take long: backups, upgrades."""
    connection.limit_s = None
    try:
        yield
    finally:
        connection.limit_s = WAIT_S
