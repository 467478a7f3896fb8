"""Connections that are shut down at a deadline, and kept open between calls until then.

Time-outs of requests hold per read; a deadline for a whole answer needs the underlying sockets. Only connections are
kept: no cookie, no answer, no token.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

SERVERS_KEPT, CONNECTIONS_KEPT = 16, 16


class Watch:
    """Shuts down the connections of one call at the deadline.

    A server that sends a byte now and then would never reach a read time-out.
    """

    def __init__(self, deadline: float) -> None:
        self.used: dict[HTTPConnection, socket.socket | None] = {}
        self.over = False
        self.lock = threading.Lock()
        self.timer = threading.Timer(max(0.0, deadline - time.monotonic()), self.cut)
        self.timer.daemon = True

    def __enter__(self) -> None:
        _threads.watch = self
        self.timer.start()

    def __exit__(self, *_: object) -> None:
        _threads.watch = None
        self.timer.cancel()
        with self.lock:
            self.used.clear()

    def add(self, connection: HTTPConnection) -> None:
        """Registers a connection that is about to be used."""
        # With its socket: after an answer that ends the connection, the connection no longer holds it.
        with self.lock:
            self.used[connection] = connection.sock
            if self.over:
                _shut_down(connection.sock)

    def remove(self, connection: HTTPConnection) -> None:
        """Releases a connection that is about to serve another call."""
        with self.lock:
            self.used.pop(connection, None)

    def cut(self) -> None:
        """Shuts down every connection in use."""
        with self.lock:
            self.over = True
            for opened in self.used.values():
                _shut_down(opened)


def _shut_down(opened: socket.socket | None) -> None:
    if opened is not None:
        with suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)


class _Threads(threading.local):
    watch: Watch | None = None


_threads = _Threads()


class _Final(HTTPResponse):
    """The final answer, after any interim ones such as 103 Early Hints.

    http.client skips only 100. Their number is limited by the deadline.
    """

    def begin(self) -> None:
        super().begin()
        while 100 <= self.status < 200 and self.status != HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment]  # tells http.client that nothing was read
            super().begin()


class _Watched(HTTPConnection):
    """A connection that registers with the watch of the current call, when opened and when reused."""

    response_class = _Final
    watch: Watch | None = None

    def connect(self) -> None:
        super().connect()
        _tell(self)

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # as urllib3 calls it
        if self.sock is not None:
            _tell(self)
        super().request(*args, **kwargs)


class _WatchedTls(_Watched, HTTPSConnection):
    pass


def _tell(connection: _Watched) -> None:
    connection.watch = _threads.watch
    if connection.watch:
        connection.watch.add(connection)


class _LettingGo(HTTPConnectionPool):
    """A pool whose connections leave their watch before another call can take them."""

    def _put_conn(self, conn: Any) -> None:  # noqa: ANN401  # as urllib3 calls it
        if isinstance(conn, _Watched) and conn.watch:
            conn.watch.remove(conn)
            conn.watch = None
        super()._put_conn(conn)


class _Plain(_LettingGo):
    ConnectionCls = _Watched


class _Tls(_LettingGo, HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


POOLS = PoolManager(num_pools=SERVERS_KEPT, maxsize=CONNECTIONS_KEPT)
POOLS.pool_classes_by_scheme = {"http": _Plain, "https": _Tls}


class _Adapter(HTTPAdapter):
    """The adapter of one call: its connections come from the pools of the process."""

    def init_poolmanager(self, *_args: object, **_kwargs: object) -> None:
        """No pools of its own."""
        self.poolmanager = POOLS

    def close(self) -> None:
        """Leaves the pools open for the next call."""


@contextmanager
def watched_session(deadline: float) -> Iterator[requests.Session]:
    """A session whose connections are shut down at the deadline (time.monotonic seconds), whatever they are doing.

    An answer that was cut off may look whole: check the time before trusting it.
    """
    with Watch(deadline), requests.Session() as session:
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter())
        yield session
