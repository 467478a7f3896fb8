"""A real FHIR server (sekmet-fhir) on loopback, and a proxy before it that can be told to fail as servers do.

This server takes no search parameters for QuestionnaireResponse: it answers with those of all patients, and says so in
its link to itself. The server believes that the proxy's address is its own, so that its links and references lead through the proxy.
Both end with the test session; the server is ended by its process id.
"""

from __future__ import annotations

import http.client
import json
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path

from builders import PATIENT

TOKEN = "token-of-this-call"
FHIR_JSON = "application/fhir+json"
# What the proxy passes on; everything else belongs to one of the two connections.
PASSED_ON = (
    "Authorization",
    "Accept",
    "Content-Type",
    "Accept-Encoding",
    "If-None-Exist",
    "If-Match",
    "Prefer",
)
PASSED_BACK = ("Location", "ETag")


@dataclass
class Fault:
    """What happens to requests whose path begins with `path`: at most `times` of them, or all.

    `act` gets the handler and returns whether it has answered; `change` works on the server's answer instead.
    Only requests of its method meet it.
    """

    path: str
    method: str = "GET"
    act: Callable[[BaseHTTPRequestHandler], bool] | None = None
    change: Callable[[dict], dict] | None = None
    upstream: Callable[[str], str] | None = None
    times: int | None = None


class Proxy(socketserver.ThreadingTCPServer):
    """The proxy. `seen` are the reads that came, path and Authorization header; `sent` what was to be written.

    Of `sent` each is method, path and headers.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream_port = 0
        self.faults: list[Fault] = []
        self.seen: list[tuple[str, str | None]] = []
        self.sent: list[tuple[str, str, dict[str, str]]] = []
        self.connections = 0
        self.lock = threading.Lock()

    def process_request(self, request, client_address) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def fault(self, path: str, method: str = "GET") -> Fault | None:
        with self.lock:
            fits = (f for f in self.faults if path.startswith(f.path) and f.method == method and f.times != 0)
            found = next(fits, None)
            if found and found.times:
                found.times -= 1
            return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is two writes: the second would wait for the first to be known to arrive
    server: Proxy
    body = b""

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        path = self.path.removeprefix("/fhir/")
        self.body = b""
        fault = self.server.fault(path)
        if fault and fault.act and fault.act(self):
            return
        asked = fault.upstream(self.path) if fault and fault.upstream else self.path
        status, headers, body = self.forward(asked)
        if fault and fault.change:
            body = json.dumps(fault.change(json.loads(body))).encode()
        answer(self, status, body, {"Content-Type": headers.get("Content-Type", FHIR_JSON)})

    def do_POST(self) -> None:
        path = self.path.removeprefix("/fhir/")
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.sent.append((self.command, path, dict(self.headers.items())))
        fault = self.server.fault(path, self.command)
        if fault and fault.act and fault.act(self):
            return
        status, headers, body = self.forward(self.path)
        known = {name.lower(): value for name, value in headers.items()}
        back = {name: known[name.lower()] for name in PASSED_BACK if name.lower() in known}
        answer(self, status, body, {"Content-Type": headers.get("Content-Type", FHIR_JSON)} | back)

    def do_PUT(self) -> None:
        self.do_POST()

    def forward(self, path: str) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream_port, timeout=30)
        try:
            sent = {name: self.headers[name] for name in PASSED_ON if self.headers[name] and name != "Accept-Encoding"}
            upstream.request(self.command, path, self.body or None, sent)
            got = upstream.getresponse()
            return got.status, dict(got.getheaders()), got.read()
        finally:
            upstream.close()

    def log_message(self, *_args) -> None:
        pass


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> bool:
    """Writes one whole answer."""
    with suppress(OSError):
        handler.send_response(status)
        for name, value in ({"Content-Type": FHIR_JSON} | (headers or {})).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
    return True


def answering(status: int, body: bytes = b"", **headers: str):
    """A fault: this answer instead of the server's."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: answer(handler, status, body, named)


def dropping(handler: BaseHTTPRequestHandler) -> bool:
    """A fault: the connection ends without an answer."""
    handler.close_connection = True
    with suppress(OSError):
        handler.connection.shutdown(socket.SHUT_RDWR)
    return True


def losing_the_answer(handler: BaseHTTPRequestHandler) -> bool:
    """A fault: the server does what was asked, and the connection ends without an answer."""
    handler.forward(handler.path)
    return dropping(handler)


def passing_over_conditions(handler: BaseHTTPRequestHandler) -> bool:
    """A fault: the server does not look at If-None-Exist."""
    del handler.headers["If-None-Exist"]
    return False


def cutting_short(body: bytes):
    """A fault: fewer bytes than were announced."""

    def act(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Type", FHIR_JSON)
        handler.send_header("Content-Length", str(len(body) + 1000))
        handler.end_headers()
        handler.wfile.write(body)
        return dropping(handler)

    return act


def hanging(until: threading.Event):
    """A fault: no answer until told so."""

    def act(handler: BaseHTTPRequestHandler) -> bool:
        until.wait(60)
        return dropping(handler)

    return act


@dataclass
class RealServer:
    """The server as a test uses it. `base` is the FHIR base, by way of the proxy."""

    base: str
    proxy: Proxy
    numbers: object = field(default_factory=lambda: count(1))

    def load(self, *resources: dict) -> str:
        """Puts resources of the builders' patient on the server, as a patient of their own; returns the patient's id."""
        new = f"test-{next(self.numbers)}"
        text = json.dumps(resources).replace(f'"Patient/{PATIENT}"', f'"Patient/{new}"')
        moved = json.loads(text)
        for resource in moved:
            if resource["resourceType"] == "Patient":
                resource["id"] = new
        self.transaction(moved)
        return new

    def transaction(self, resources: list[dict]) -> None:
        """Stores resources under their own ids, all or none."""
        entries = [
            {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in resources
        ]
        self.post({"resourceType": "Bundle", "type": "transaction", "entry": entries})

    def post(self, bundle: dict) -> dict:
        """Stores a transaction Bundle; returns the server's answer."""
        client = http.client.HTTPConnection("127.0.0.1", self.proxy.upstream_port, timeout=60)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": FHIR_JSON}
        client.request("POST", "/fhir", json.dumps(bundle), headers)
        got = client.getresponse()
        said = got.read().decode()
        client.close()
        assert got.status == 200, said[:500]
        return json.loads(said)

    def fail(self, path: str, act=None, **details) -> None:
        """From now on requests for `path` meet this fault."""
        self.proxy.faults.append(Fault(path=path, act=act, **details))

    def asked(self, path: str = "") -> list[str]:
        """The paths below the base that were asked for since the test began."""
        paths = [p.removeprefix("/fhir/") for p, _ in self.proxy.seen]
        return [p for p in paths if p.startswith(path)]

    def writes(self, path: str = "") -> list[tuple[str, str]]:
        """Method and path of what was to be written since the test began."""
        return [(method, p) for method, p, _ in self.proxy.sent if p.startswith(path)]

    def get(self, path: str) -> dict:
        """What the server itself has there, past the proxy and its faults."""
        client = http.client.HTTPConnection("127.0.0.1", self.proxy.upstream_port, timeout=60)
        client.request("GET", f"/fhir/{path}", headers={"Authorization": f"Bearer {TOKEN}", "Accept": FHIR_JSON})
        got = client.getresponse()
        said = got.read().decode()
        client.close()
        assert got.status == 200, said[:500]
        return json.loads(said)

    def all_of(self, kind: str) -> list[dict]:
        """Every resource of a type that the server itself has, whosever it is."""
        found, path = [], f"{kind}?_count=500"
        while path:
            page = self.get(path)
            found += [entry["resource"] for entry in page.get("entry", [])]
            following = next((k["url"] for k in page.get("link", []) if k["relation"] == "next"), "")
            path = following.partition("/fhir/")[2]
        return found

    def reset(self) -> None:
        """No faults, nothing seen."""
        self.proxy.faults.clear()
        self.proxy.seen.clear()
        self.proxy.sent.clear()
        self.proxy.connections = 0


SETTINGS = """
base_url: {base}
host: 127.0.0.1
port: {port}
data_dir: {folder}
server_auth: {{types: [bearer], tokens: [{token}]}}
validation: {{inbound: "off"}}
simulator: {{enabled: false}}
log_inbound: false
"""


@contextmanager
def running(folder: Path):
    """The proxy and the server behind it, with its data in `folder`."""
    with Proxy() as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        base = f"http://127.0.0.1:{proxy.server_address[1]}/fhir"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            proxy.upstream_port = free.getsockname()[1]
        settings = folder / "settings.yaml"
        settings.write_text(SETTINGS.format(base=base, port=proxy.upstream_port, folder=folder / "data", token=TOKEN))
        log = (folder / "server.log").open("wb")
        command = [str(Path(sys.executable).with_name("sekmet")), "serve", "-c", str(settings)]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            _wait(process, proxy.upstream_port, folder / "server.log")
            yield RealServer(base=base, proxy=proxy)
        finally:
            process.terminate()
            process.wait(20)
            log.close()
            proxy.shutdown()
            thread.join()


def _wait(process: subprocess.Popen, port: int, log: Path) -> None:
    """Returns when the server takes connections."""
    for _ in range(1200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, log.read_text()[-2000:]
        time.sleep(0.1)
    raise AssertionError(log.read_text()[-2000:])
