"""A store from its URL: SQLite or PostgreSQL, with time limits, and ready for use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from cds_service.errors import ConfigError, StoreUnavailable
from cds_service.storage.store import Store
from cds_service.storage.versions import check, newest, revision, upgrade

WAIT_S = 2
MOST_CONNECTIONS = 60  # of one worker, beyond the five that stay open


def open_store(url: str) -> Store:
    """The store at a URL: sqlite:///file or postgresql://...; no connection is made yet. Raises ConfigError."""
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise ConfigError("store: expected sqlite:///file or postgresql://user@host/database") from error
    kind = parsed.get_backend_name()
    if kind == "postgresql":
        options = f"-c statement_timeout={1000 * WAIT_S} -c lock_timeout={1000 * WAIT_S}"
        # The last: only our side can notice a server that vanished silently.
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
    """The store, ready for use: SQLite is created or upgraded to this version; PostgreSQL must have it already.

    Raises ConfigError.
    """
    path = create_folder(url)
    store = open_store(url)
    try:
        if path is None:
            check(store)
        elif revision(store) != newest():
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
