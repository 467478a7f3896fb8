"""Clients that send slowly keep no thread for long: the head of a request, and then its body, must be there in time.

gunicorn's threads wait for each piece without a limit, so that a few dozen half-sent requests would stop a service,
its health check included. One thread a process looks twice a second and ends the reading of what is overdue; the
answer can still be sent. A proxy that takes in whole requests before it passes them on is the better protection.
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
    """What is known of a connection. With TLS its socket is another one after the handshake."""

    sock: socket.socket


class SlowClients:
    """The requests that are being read, each by the thread that reads it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[int, tuple[Connection, float]] = {}
        self._looking = False

    def begin(self, connection: Connection) -> None:
        """This thread begins to read the head of a request."""
        with self._lock:
            self._due[threading.get_ident()] = (connection, time.monotonic() + HEAD_S)
            if not self._looking:  # now and not sooner: threads do not outlive the fork of a worker
                self._looking = True
                threading.Thread(target=self._look, name="slow-clients", daemon=True).start()

    def body_follows(self) -> None:
        """This thread has the head."""
        with self._lock:
            due = self._due.get(threading.get_ident())
            if due:
                self._due[threading.get_ident()] = (due[0], time.monotonic() + BODY_S)

    def end(self) -> None:
        """This thread has read what it wanted."""
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
