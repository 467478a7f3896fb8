"""What must outlive a request: used tokens, calls counted, answers and their cards, feedback.

SQLite by default (WAL, every commit synced to disk), PostgreSQL by its URL; the same statements on both.
Workers share nothing else. Every public method is one transaction; a database that fails raises
StoreUnavailable, and the caller decides what goes on without it (docs/decisions/0016-store.md).
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from cds_service.errors import ConfigError, StoreUnavailable
from cds_service.storage.tables import NUMBERED, PASSING, SCHEMA, answer, card, feedback, tally, used_token

WAIT_S = 2
REST_S = 2
ROWS_AT_ONCE = 1000
MOST_CONNECTIONS = 60  # of one worker, beyond the five that stay open
TALLY_KEPT = 60  # windows of a minute


class Admission(Enum):
    """What the store says of a verified token."""

    ADMITTED = "admitted"
    REPLAYED = "replayed"
    TOO_MANY = "too-many"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRow:
    """A card that was sent: what feedback on it is linked to. No word of the card itself."""

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
    """Since when a database has been failing: calls of the next moments do not wait for it one by one."""

    def __init__(self) -> None:
        self.until = 0.0

    def begin(self) -> None:
        """The database has just failed."""
        self.until = time.monotonic() + REST_S

    @property
    def lasts(self) -> bool:
        """Whether it failed a moment ago."""
        return time.monotonic() < self.until


@dataclass(frozen=True, slots=True)
class Store:
    """One database. Made once a process; connections are taken from its pool. The app's rows: `app_store`."""

    engine: sa.Engine
    outage: Outage = field(default_factory=Outage)

    def admit(self, digest: str, expires: int, client: str, now: int, most_a_minute: int) -> Admission:
        """Takes note of a token and of the call; the token counts as used from here on.

        expires, now: seconds since 1970. most_a_minute: 0 for no limit.
        """
        minute = now // 60
        with self.transaction() as connection:
            if not self.new(connection, used_token, {"digest": digest, "expires": expires}):
                return Admission.REPLAYED
            calls = self._counted(connection, client, minute)
            if calls == 1:  # a client's first call of a minute tidies up
                connection.execute(used_token.delete().where(used_token.c.expires < now))
                connection.execute(tally.delete().where(tally.c.minute < minute - TALLY_KEPT))
        return Admission.TOO_MANY if 0 < most_a_minute < calls else Admission.ADMITTED

    def _counted(self, connection: sa.Connection, client: str, minute: int) -> int:
        add = self._dialect.insert(tally).values(client=client, minute=minute, calls=1)
        add = add.on_conflict_do_update(index_elements=["client", "minute"], set_={"calls": tally.c.calls + 1})
        return int(connection.execute(add.returning(tally.c.calls)).scalar_one())

    def write_answer(self, at: datetime, site: str, event: Mapping[str, Any], cards: Iterable[CardRow]) -> int:
        """Appends one answer with its cards; on disk when this returns. The row's number."""
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
        """Appends the items that are not there yet, each with the card that it answers. How many were new, and known.

        sites: those that the client speaks for; only their cards are known.
        """
        new = known = 0
        with self.transaction() as connection:
            for item in items:
                wanted = sa.and_(card.c.uuid == item.card, card.c.site.in_(sites))
                found = connection.execute(sa.select(card.c.answer, card.c.topic, card.c.site).where(wanted)).first()
                values = {
                    "at": at.isoformat(),
                    "site": found.site if found else sites[0],
                    "service": service,
                    "answer": found.answer if found else None,
                    "topic": found.topic if found else None,
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
                known += found is not None
        return new, known

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        """Every row of a table, in order of its key."""
        with self.transaction() as connection:
            found = connection.execute(sa.select(table).order_by(*table.primary_key.columns))
            return [dict(row) for row in found.mappings()]

    def check(self) -> None:
        """Raises StoreUnavailable unless the database answers and has the tables of this version."""
        self.outage.until = 0.0  # whoever asks wants to know how it is now
        found, wanted = self.revision(), newest()
        if found != wanted:
            raise StoreUnavailable(f"its tables are of version {found}, expected {wanted}: run `mhcds db upgrade`")

    def revision(self) -> str | None:
        """The version of its tables; None for an empty database."""
        with self.transaction() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def upgrade(self) -> None:
        """Brings the tables to this version. Doing it again changes nothing. Raises ConfigError for later tables."""
        config = _alembic()
        try:
            with self.transaction(patient=True) as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except CommandError as error:
            found = self.revision()
            raise ConfigError(
                f"store: its tables are of version {found}, later than {newest()}: update mhcds"
            ) from error

    def backup(self, target: Path) -> int:
        """Writes all rows, as of one moment, as gzipped lines of JSON; how many. Secrets stay sealed.

        Raises ConfigError when the file is there already or cannot be written; nothing half is left.
        """
        try:
            file = gzip.open(target, "xt", encoding="utf-8")  # noqa: SIM115  # what cannot be opened must not be removed
        except OSError as error:
            raise ConfigError(f"{target}: expected a new file that can be written ({error.strerror})") from error
        try:
            with file:
                return self._write_all(file)
        except BaseException as error:
            target.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise ConfigError(f"{target}: cannot be written ({error.strerror}); nothing was kept") from error
            raise

    def _write_all(self, file: TextIO) -> int:
        count = 0
        with self.transaction(snapshot=True, patient=True) as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
            file.write(json.dumps({"mhcds": "backup", "revision": revision}) + "\n")
            for table in (t for t in SCHEMA.sorted_tables if t not in PASSING):
                wanted = sa.select(table).order_by(*table.primary_key.columns).execution_options(yield_per=ROWS_AT_ONCE)
                for row in connection.execute(wanted).mappings():
                    values = {k: {"hex": v.hex()} if isinstance(v, bytes) else v for k, v in row.items()}
                    file.write(json.dumps([table.name, values]) + "\n")
                    count += 1
        return count

    def restore(self, source: Path) -> int:
        """Reads a backup into this empty store, whichever database it came from; how many rows. All or nothing.

        Raises ConfigError when the file is no backup of this version or the store is not empty.
        """
        count = 0
        try:
            with gzip.open(source, "rt", encoding="utf-8") as file, self.transaction(patient=True) as connection:
                head = json.loads(next(file, "null"))
                if not isinstance(head, dict) or head.get("mhcds") != "backup":
                    raise ConfigError(f"{source}: expected a file written by `mhcds db backup`")
                if head["revision"] != newest():
                    raise ConfigError(f"{source}: its version is {head['revision']}, this is {newest()}")
                for table in SCHEMA.sorted_tables:
                    if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
                        raise ConfigError(f"restore: expected an empty store; found rows in {table.name}")
                for line in file:
                    name, values = json.loads(line)
                    row = {k: bytes.fromhex(v["hex"]) if isinstance(v, dict) and set(v) == {"hex"} else v
                           for k, v in values.items()}  # fmt: skip
                    connection.execute(SCHEMA.tables[name].insert().values(row))
                    count += 1
                self._numbers_go_on(connection)
        except (OSError, EOFError, ValueError, KeyError) as error:
            raise ConfigError(f"{source}: expected a file written by `mhcds db backup`; it cannot be read") from error
        return count

    def _numbers_go_on(self, connection: sa.Connection) -> None:
        """PostgreSQL counts apart from the rows; SQLite goes on from the highest."""
        if self.engine.dialect.name != "postgresql":
            return
        for table in NUMBERED:
            highest = sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0) + 1).scalar_subquery()
            sequence = sa.func.pg_get_serial_sequence(table.name, "id")
            connection.execute(sa.select(sa.func.setval(sequence, highest, False)))  # noqa: FBT003  # as SQL has it

    def close(self) -> None:
        """Gives back all connections."""
        self.engine.dispose()

    @property
    def _dialect(self) -> Any:  # noqa: ANN401  # two modules with the same function
        return postgresql if self.engine.dialect.name == "postgresql" else sqlite

    def new(self, connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
        """Puts a row in unless its key is there. Whether it is new is asked of the row: drivers count otherwise."""
        add = self._dialect.insert(table).values(values).on_conflict_do_nothing()
        return connection.execute(add.returning(*table.primary_key.columns)).first() is not None

    @contextmanager
    def transaction(self, *, snapshot: bool = False, patient: bool = False) -> Iterator[sa.Connection]:
        """One transaction. snapshot: reads all rows as of one moment. patient: no statement is cut off for its time."""
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


def open_store(url: str) -> Store:
    """The store at a URL: sqlite:///file or postgresql://...; no connection is made yet. Raises ConfigError."""
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise ConfigError("store: expected sqlite:///file or postgresql://user@host/database") from error
    kind = parsed.get_backend_name()
    if kind == "postgresql":
        options = f"-c statement_timeout={1000 * WAIT_S} -c lock_timeout={1000 * WAIT_S}"
        # The last: a server that is gone without a word is noticed on our side alone.
        arguments = {"connect_timeout": WAIT_S, "options": options, "tcp_user_timeout": 1000 * WAIT_S}
        engine = sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            connect_args=arguments,
            pool_pre_ping=True,
            pool_timeout=WAIT_S,
            max_overflow=MOST_CONNECTIONS,
        )
        return Store(engine)
    if kind != "sqlite" or not parsed.database:
        raise ConfigError(f"store: expected sqlite:///file or postgresql://user@host/database; found {kind}")
    engine = sa.create_engine(
        parsed, connect_args={"timeout": WAIT_S}, pool_timeout=WAIT_S, max_overflow=MOST_CONNECTIONS
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return Store(engine)


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401  # the driver's connection
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def prepare(url: str) -> Store:
    """The store, ready for use: SQLite is made or brought to this version, PostgreSQL must be of it already.

    Raises ConfigError.
    """
    path = create_folder(url)
    store = open_store(url)
    try:
        if path is None:
            store.check()
        elif store.revision() != newest():
            store.upgrade()
    except StoreUnavailable as error:
        raise ConfigError(f"store: {error}") from error
    return store


def create_folder(url: str) -> Path | None:
    """The file of a SQLite URL, its folder made if need be; None for another database. Raises ConfigError."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    path = Path(parsed.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError as error:
        raise ConfigError(
            f"store: {path} cannot be written ({error.strerror}); set store to a place that can"
        ) from error
    return path


def newest() -> str:
    """The version of the tables that this code expects."""
    return ScriptDirectory.from_config(_alembic()).get_current_head() or ""


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", "cds_service.storage:migrations")
    return config
