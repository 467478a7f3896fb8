"""An EHR's OAuth endpoints on loopback, as a table of answers: what each path says, and what each was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from ehr import public_jwk

from smart_launch.settings import Registration


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict
    form: dict


@dataclass
class Answer:
    content: object = None
    status: int = 200
    headers: dict = field(default_factory=dict)
    raw: bytes | None = None

    @property
    def body(self) -> bytes:
        return json.dumps(self.content).encode() if self.raw is None else self.raw


class SmartHost(ThreadingHTTPServer):
    """`answers`: path -> Answer, or a function of what was asked. `base` is the FHIR base."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self.root = f"http://127.0.0.1:{self.server_address[1]}"
        self.base = f"{self.root}/fhir"
        self.configuration = {
            "issuer": f"{self.root}/op",
            "jwks_uri": f"{self.root}/jwks",
            "authorization_endpoint": f"{self.root}/authorize",
            "token_endpoint": f"{self.root}/token",
            "revocation_endpoint": f"{self.root}/revoke",
            "grant_types_supported": ["authorization_code"],
            "capabilities": ["launch-ehr", "permission-v2", "sso-openid-connect"],
            "code_challenge_methods_supported": ["S256"],
        }
        self.token = {"access_token": "secret-access", "token_type": "Bearer", "expires_in": 300, "scope": "openid"}
        self.answers: dict[str, Answer | Callable[[Asked], Answer]] = {
            "/fhir/.well-known/smart-configuration": lambda _: Answer(self.configuration),
            "/jwks": Answer({"keys": [public_jwk("RS256", "rsa"), public_jwk("ES384", "ec")]}),
            "/token": lambda _: Answer(self.token),
            "/revoke": Answer(raw=b""),
        }

    def registration(self, **changes) -> Registration:
        known = {"site": "north", "iss": self.base, "client_id": "our-client", "label": "North"}
        return Registration(**(known | changes))

    def of(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == path]


class _Handler(BaseHTTPRequestHandler):
    server: SmartHost

    def do_GET(self) -> None:
        self.reply("GET", {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.reply("POST", {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()})

    def reply(self, method: str, form: dict) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(method, self.path, headers, form)
        self.server.asked.append(asked)
        found = self.server.answers.get(self.path, Answer({}, 404))
        answer = found if isinstance(found, Answer) else found(asked)
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def smart_host() -> Iterator[SmartHost]:
    host = SmartHost()
    thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.shutdown()
        thread.join()
        host.server_close()
