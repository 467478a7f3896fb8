"""A site's own system on loopback, which gets webhooks and answers as a test tells it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    """got: (id, body) of what was verified, in order; asked: how often it was called; refused: what did not verify."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/incidents?from=cds"
        self.got: list[tuple[str, dict]] = []
        self.asked: list[str] = []
        self.refused: list[str] = []
        self.answers: Callable[[str], object] = lambda _message: 204
        self.free = threading.Event()
        self.clock: Callable[[], datetime] | None = None

    def verified(self, body: bytes, headers: dict[str, str]) -> dict:
        """The message; by the library's own look at the time, or by the clock that a test has set."""
        if self.clock is None:
            return Webhook(SECRET).verify(body, headers)
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        if headers["webhook-signature"] != Webhook(SECRET).sign(headers["webhook-id"], at, body.decode()):
            raise WebhookVerificationError("no matching signature")
        if abs((self.clock() - at).total_seconds()) > 300:
            raise WebhookVerificationError("too old or too new")
        return json.loads(body)


def _handler(receiver: Callable[[], Receiver]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            here = receiver()
            body = self.rfile.read(int(self.headers["Content-Length"]))
            name = self.headers["webhook-id"]
            here.asked.append(name)
            answer = here.answers(name)
            if answer == "close":
                self.connection.close()
                return
            if answer == "hang":
                here.free.wait(30)
                return
            if answer == "drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while not here.free.wait(0.05):
                    self.wfile.write(b"X-More: 1\r\n")
                return
            if answer == "late":
                here.free.wait(0.6)
                answer = 200
            if answer == "redirect":
                self.send_response(307)
                self.send_header("Location", here.url)
                self.end_headers()
                return
            if answer in (200, 204):
                try:
                    here.got.append((name, here.verified(body, dict(self.headers))))
                except WebhookVerificationError as error:
                    here.refused.append(str(error))
                    answer = 401
            self.send_response(answer)
            self.end_headers()
            if answer == 200:
                self.wfile.write(json.dumps({"received": True}).encode())

        def log_message(self, *_words: object) -> None:
            pass

    return Handler


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver for as long as the block lasts."""
    found: list[Receiver] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(lambda: found[0]))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that gives up is what some tests are about
    found.append(Receiver(server.server_port))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found[0]
    finally:
        found[0].free.set()
        server.shutdown()
        server.server_close()
        thread.join()
