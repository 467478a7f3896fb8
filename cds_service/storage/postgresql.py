"""Connections to PostgreSQL on which no wait is endless.

A server that hangs but whose kernel still acknowledges is noticed neither by a statement timeout, which the server
itself keeps, nor by TCP.
"""

from __future__ import annotations

import math
import time
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DisconnectionError

from cds_service.storage.store import WAIT_S

ASK_AFTER_S = 5


class BoundedConnection(psycopg.Connection[Any]):
    """Every wait for the server ends after `limit_s` seconds (None: never), and with it the connection."""

    limit_s: float | None = WAIT_S

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ANN401  # as psycopg's own
        """Raises psycopg.OperationalError when the server does not answer in time."""
        try:
            return super().wait(gen, interval, self.limit_s if timeout is None else timeout)
        except psycopg.errors._WaitTimeout:  # noqa: SLF001  # psycopg raises it, and has no public name for it
            self.pgconn.finish()
            raise


def postgresql_engine(url: sa.URL, most_connections: int) -> sa.Engine:
    """An engine with a limit on every wait."""
    arguments = {
        "connect_timeout": WAIT_S,
        "options": f"-c statement_timeout={1000 * WAIT_S} -c lock_timeout={1000 * WAIT_S}",
        "tcp_user_timeout": 1000 * WAIT_S,
    }
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args=arguments,
        pool_timeout=WAIT_S,
        max_overflow=most_connections,
    )
    sa.event.listen(engine, "do_connect", _connect)
    sa.event.listen(engine, "checkin", _note_use)
    sa.event.listen(engine, "checkout", _ask_if_rested)
    return engine


def _connect(_dialect: object, _record: object, args: list[str], parameters: dict[str, Any]) -> BoundedConnection:
    return BoundedConnection.connect(*args, **parameters)


def _note_use(_connection: object, record: Any) -> None:  # noqa: ANN401  # the pool's record of a connection
    record.info["used"] = time.monotonic()


def _ask_if_rested(connection: Any, record: Any, _proxy: object) -> None:  # noqa: ANN401  # as above
    """Asks a connection that rested whether its server is still there; a busy one would be asked at every call."""
    if time.monotonic() - record.info.get("used", math.inf) < ASK_AFTER_S:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error as error:
        raise DisconnectionError from error  # the pool takes another
