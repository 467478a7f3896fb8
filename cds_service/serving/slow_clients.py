"""Limits how long, and how many at once, threads wait for clients: for a head, a body, or an answer to be taken.

gunicorn's threads wait for each piece without limit, so a few dozen half-sent requests would stop a service. The
worker's main loop calls `cut` at least once a second. What has reached this machine is still read after a cut, and an
error can be sent. A proxy that buffers whole requests is better protection.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What a thread waits for.

    most_s: how long. how: which direction a cut shuts down. most: how many at once; of more, the oldest are cut, but
    only after `least_s`.
    """

    most_s: float
    how: int
    most: int | None = None
    least_s: float = 0


MOST_AT_ONCE = 24
HEAD = Phase(most_s=5, how=socket.SHUT_RD, most=MOST_AT_ONCE)
# No number: who may send one was checked, and the places for calls and for the app limit them.
BODY = Phase(most_s=10, how=socket.SHUT_RD)
# The body of a call beyond these places.
SPARE_BODY = Phase(most_s=1, how=socket.SHUT_RD, most=MOST_AT_ONCE, least_s=0.5)
# Not at once: a thread that only waits for the processor would lose its answer.
ANSWER = Phase(most_s=10, how=socket.SHUT_RDWR, most=MOST_AT_ONCE, least_s=1)


class Connection(Protocol):
    """gunicorn's connection. With TLS, its socket is replaced before the handshake."""

    sock: socket.socket
    cut: bool


class SlowClients:
    """The connections for which threads wait, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._here = threading.local()
        self._waits: dict[Phase, dict[Connection, float]] = {phase: {} for phase in (HEAD, BODY, SPARE_BODY, ANSWER)}

    def begin(self, phase: Phase, connection: Connection | None = None) -> None:
        """This thread begins to wait for the connection: its own if none is given."""
        connection = self._here.connection = connection or getattr(self._here, "connection", None)
        if connection is None:  # no thread of a worker
            return
        with self._lock:
            self._forget(connection)
            self._waits[phase][connection] = time.monotonic()
        if phase.most is not None:
            self.cut(phase)

    def end(self) -> None:
        """This thread waits for no client any more."""
        connection = getattr(self._here, "connection", None)
        if connection is not None:
            with self._lock:
                self._forget(connection)

    def cut(self, *phases: Phase) -> None:
        """Ends waits that are overdue or too many."""
        now = time.monotonic()
        for phase in phases or self._waits:
            with self._lock:
                late = self._late(phase, now)
            for connection in late:
                connection.cut = True
                with suppress(OSError):
                    # Not the method of a TLS socket: that would send the rest of the connection unencrypted.
                    socket.socket.shutdown(connection.sock, phase.how)

    def _late(self, phase: Phase, now: float) -> list[Connection]:
        waits = self._waits[phase]
        late = []
        while waits:
            connection, since = next(iter(waits.items()))
            surplus = phase.most is not None and len(waits) > phase.most and now - since >= phase.least_s
            if not surplus and now - since < phase.most_s:
                break
            del waits[connection]
            late.append(connection)
        return late

    def _forget(self, connection: Connection) -> None:
        for waits in self._waits.values():
            waits.pop(connection, None)


SLOW_CLIENTS = SlowClients()
