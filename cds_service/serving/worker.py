"""gunicorn's threaded worker, changed so that clients that are silent, slow or never leave cannot fill it.

gunicorn gives a new connection to a thread, which waits for its first byte, and closes connections on its main loop,
which waits up to two seconds for each client to leave. Here both wait in the poller (decision 0031).
"""

from __future__ import annotations

import errno
import gc
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]  # gunicorn ships no types
from gunicorn.http.message import Request  # type: ignore[import-untyped]  # as above
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]  # as above

from cds_service.serving.slow_clients import ANSWER, BODY, HEAD, SLOW_CLIENTS

# How long a connection may be silent at its start, or stay open after its end.
SILENT_S = 5
# How long the rest of a refused body is awaited, and how much is read, before the connection is closed instead of kept.
REST_S, REST_BYTES = 0.05, 1024 * 1024
MOST_HEAD = 64 * 1024
HEALTH_PATHS = ("/health/live", "/health/ready", "/metrics")
HEALTH_THREADS = 4
# A collection of garbage walks all that calls under way hold, which is most of what there is. So it waits until there
# are none, and until there are so many new objects. A call leaves eight.
OBJECTS_LEFT = 5_000
# Collections of the younger generations before one of all.
FULL_AFTER = 10

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class BoundedRequest(Request):  # type: ignore[misc]  # gunicorn ships no types
    """A request whose whole head has a limit, and so have the lines after a chunked body.

    gunicorn's own limits, for each line and their number, add up to 3 MB, and it goes through all of it again after
    each 8 kB that arrive: more than a second of processor time for anybody who sends it.
    """

    def parse(self, unreader: Any) -> Any:  # noqa: ANN401  # as gunicorn's own
        """Reads the head."""
        self.max_buffer_headers = MOST_HEAD
        return super().parse(unreader)


class ClientConnection(TConn):  # type: ignore[misc]  # gunicorn ships no types
    """A client's connection. `cut`: reading or sending took too long and was ended."""

    cut = False


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """The worker. A second address, if there is one, answers on health alone, with threads of its own."""

    wsgi: Wsgi

    def __init__(self, *words: Any, **named: Any) -> None:  # noqa: ANN401  # as gunicorn's own
        super().__init__(*words, **named)
        addresses = self.cfg.address
        self.health_port = addresses[1][1] if len(addresses) > 1 else None
        self.health_pool = ThreadPoolExecutor(HEALTH_THREADS)
        self.here = threading.local()

    def load_wsgi(self) -> None:
        """Loads the app."""
        super().load_wsgi()
        self.wsgi = partial(self.answer, self.wsgi)

    def accept(self, listener: socket.socket) -> None:
        """A new connection waits in the poller for its first byte, not in a thread."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        self.nr_conns += 1
        connection = ClientConnection(self.cfg, client, address, listener.getsockname())
        self.wait(connection, self.on_pending_socket_readable)

    def wait(self, connection: ClientConnection, when_readable: Callable[[ClientConnection, Any], None]) -> None:
        """Leaves a connection to the poller for as long as it may be silent."""
        connection.timeout = time.monotonic() + SILENT_S
        self.pending_conns.append(connection)
        self.poller.register(connection.sock, selectors.EVENT_READ, partial(when_readable, connection))

    def leave(self, connection: ClientConnection, waiting: Any) -> None:  # noqa: ANN401  # gunicorn's deque
        """Closes a connection that waits in the poller."""
        waiting.remove(connection)
        self.poller.unregister(connection.sock)
        self.nr_conns -= 1
        connection.close()

    def finish_request(self, connection: ClientConnection, done: Future[object]) -> None:
        """Keeps the connection, or closes it without waiting for the client."""
        if done.cancelled() or done.exception() is not None or done.result():
            super().finish_request(connection, done)
            return
        try:
            # The client must get the whole answer, which a reset would cut short; so what it still sends is taken in.
            connection.sock.settimeout(0)
            socket.socket.shutdown(connection.sock, socket.SHUT_WR)
            self.wait(connection, self.discard)
        except (OSError, ValueError):  # closed already
            self.nr_conns -= 1
            connection.close()

    def discard(self, connection: ClientConnection, _sock: socket.socket) -> None:
        """Reads what a client sends after its last answer; closes when it has left."""
        try:
            left = not socket.socket.recv(connection.sock, 65_536)
        except BlockingIOError:
            left = False
        except OSError:
            left = True
        if left:
            self.leave(connection, self.pending_conns)

    def murder_pending(self) -> None:
        """What gunicorn's main loop does after each turn, at least once a second. When full, the longest wait ends."""
        super().murder_pending()
        while self.nr_conns >= self.worker_connections and (waiting := self.pending_conns or self.keepalived_conns):
            self.leave(waiting[0], waiting)
        SLOW_CLIENTS.cut()
        if gc.get_count()[0] > OBJECTS_LEFT and self.is_at_rest():
            # Seldom all generations: that also frees what Python keeps for new objects, which are then counted anew.
            gc.collect(2 if gc.get_count()[2] > FULL_AFTER else 1)

    def is_at_rest(self) -> bool:
        """Whether all connections wait in the poller."""
        return bool(self.nr_conns == len(self.pending_conns) + len(self.keepalived_conns))

    def enqueue_req(self, connection: ClientConnection) -> None:
        """Gives a request to a thread."""
        pool = self.health_pool if self.is_for_health(connection) else self.tpool
        done = pool.submit(self.handle, connection)
        done.add_done_callback(partial(self.method_queue.defer, self.finish_request, connection))

    def is_for_health(self, connection: ClientConnection) -> bool:
        """Whether the connection came to the address of health and metrics."""
        return bool(self.health_port) and connection.server[1] == self.health_port

    def handle(self, connection: ClientConnection) -> Any:  # noqa: ANN401  # as gunicorn's own
        """One request of a connection, in a thread."""
        self.here.connection = connection
        SLOW_CLIENTS.begin(HEAD, connection)
        try:
            return super().handle(connection)
        finally:
            SLOW_CLIENTS.end()

    def answer(self, app: Wsgi, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401  # WSGI
        """The app's answer. It says `Connection: close` where the rest of the request is not here."""
        connection = self.here.connection
        if self.is_for_health(connection) and environ["PATH_INFO"] not in HEALTH_PATHS:
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        parts = app(environ, start_response)
        try:
            whole = connection.parser.finish_body(time.monotonic() + REST_S, REST_BYTES)
        except (OSError, ParseException):
            whole = False
        if not whole or connection.cut:
            connection.parser.mesg.force_close()
        SLOW_CLIENTS.begin(ANSWER)
        return parts


def head_is_here(_worker: object, _request: object) -> None:
    """Called by gunicorn (`pre_request`) when it has read a head: the body follows."""
    SLOW_CLIENTS.begin(BODY)
