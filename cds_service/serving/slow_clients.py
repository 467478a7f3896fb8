"""Limits the time a client may take to send a request's head, and then its body.

gunicorn's threads wait for each piece without limit, so a few dozen half-sent requests would stop a service, including
its health check. One thread per process checks twice a second and ends overdue reads; the response can still be sent. A
proxy that buffers whole requests is better protection.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Protocol

HEAD_S = 5
BODY_S = 10
LOOK_S = 0.5


class Connection(Protocol):
    """gunicorn's connection. With TLS, its socket is replaced after the handshake."""

    sock: socket.socket


class SlowClients:
    """The requests being read, by thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[int, tuple[Connection, float]] = {}
        self._looking = False

    def begin(self, connection: Connection) -> None:
        """This thread starts reading the head of a request."""
        with self._lock:
            self._due[threading.get_ident()] = (connection, time.monotonic() + HEAD_S)
            if not self._looking:  # not sooner: threads do not survive the fork of a worker
                self._looking = True
                threading.Thread(target=self._look, name="slow-clients", daemon=True).start()

    def body_follows(self) -> None:
        """This thread has the head."""
        with self._lock:
            due = self._due.get(threading.get_ident())
            if due:
                self._due[threading.get_ident()] = (due[0], time.monotonic() + BODY_S)

    def end(self) -> None:
        """This thread has finished reading."""
        with self._lock:
            self._due.pop(threading.get_ident(), None)

    def _look(self) -> None:
        while True:
            time.sleep(LOOK_S)
            now = time.monotonic()
            with self._lock:
                overdue = [connection for connection, due in self._due.values() if due <= now]
            for connection in overdue:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RD)


SLOW_CLIENTS = SlowClients()
