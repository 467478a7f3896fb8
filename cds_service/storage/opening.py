"""A store from its URL: SQLite or PostgreSQL, with time limits, and ready for use."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from cds_service.errors import ConfigError, StoreUnavailable
from cds_service.storage.lost_file import SqliteFile
from cds_service.storage.store import WAIT_S, Store
from cds_service.storage.versions import NEWEST, check, revision, upgrade

LOG_PAGES = 8000  # `housekeeping` empties the log long before; without it (a command), SQLite does at this size
MOST_CONNECTIONS = 60  # of one worker, beyond the five that stay open


def open_store(url: str) -> Store:
    """The store at a URL: sqlite:///file or postgresql://...; no connection is made yet. Raises ConfigError."""
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise ConfigError("store: expected sqlite:///file or postgresql://user@host/database") from error
    kind = parsed.get_backend_name()
    if kind == "postgresql":
        from cds_service.storage.postgresql import postgresql_engine  # noqa: PLC0415  # a driver that most sites do not need

        return Store(postgresql_engine(parsed, MOST_CONNECTIONS))
    path = create_folder(url)
    if path is None:
        raise ConfigError(f"store: expected sqlite:///file or postgresql://user@host/database; found {kind}")
    return _sqlite(parsed, path)


def _sqlite(url: sa.URL, path: Path) -> Store:
    file = SqliteFile(path)

    def connect() -> sqlite3.Connection:
        # Never a new file in the place of a deleted one: see `lost_file`.
        place = f"file:{quote(str(path.absolute()))}?mode=rw"
        connection = sqlite3.connect(place, uri=True, timeout=WAIT_S, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")  # overwrites what is erased; not every build does so by itself
        connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        file.note_opened()
        return connection

    engine = sa.create_engine(url, creator=connect, pool_timeout=WAIT_S, max_overflow=MOST_CONNECTIONS)
    return Store(engine, file)


def prepare(url: str) -> Store:
    """The store, ready for use: SQLite is created or upgraded to this version; PostgreSQL must have it already.

    Raises ConfigError.
    """
    path = create_folder(url)
    store = open_store(url)
    try:
        if path is None:
            check(store)
        elif revision(store) != NEWEST:
            upgrade(store)
    except StoreUnavailable as error:
        raise ConfigError(f"store: {error}") from error
    return store


def create_folder(url: str) -> Path | None:
    """The file of a SQLite URL, creating its folder; None for another database. Raises ConfigError."""
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
