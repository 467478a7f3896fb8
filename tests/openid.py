"""A real OpenID provider (oidc-provider-mock) as its own process on loopback, and people who sign in at it.

Everybody reaches it through `Between`, which passes on what is asked and what is answered, unless a test has it forge.
The process is ended by its id.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import requests
from ehr import app_of, free_port, jws, private, private_key, public_jwk, settings
from flask import Flask, Response, request
from werkzeug.serving import make_server

CLIENT = "mhcds-governance"
OURS = "https://cds.example"
ROLES = {"viewer": ["cds-board"], "safety-officer": ["cds-safety"], "operator": ["cds-it"], "responder": ["cds-duty"]}
PEOPLE = {
    "vera": {"name": "Vera Board", "groups": ["cds-board", "choir"]},
    "olu": {"name": "Olu Officer", "groups": ["cds-safety"]},
    "otto": {"name": "Otto Officer", "groups": ["cds-safety"]},
    "ines": {"name": "Ines Operator", "groups": ["cds-it"]},
    "rhea": {"name": "Rhea Responder", "groups": ["cds-duty"]},
    "nobody": {"name": "Nora Nobody", "groups": ["choir"]},
}


@dataclass(kw_only=True)
class Between:
    """The provider as everybody knows it. change: path -> what becomes of its JSON there; stand: what answers instead."""

    issuer: str
    upstream: str
    change: dict[str, Callable[[dict], dict]] = field(default_factory=dict)
    stand: dict[str, Callable[[], Response]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def forge(self, header: dict | None = None, key: str = "forger", *, publish: bool = False, **claims) -> None:
        """From here on ID tokens have these claims (... leaves one out), signed by another key; published or not."""

        def forged(token: dict) -> dict:
            payload = token["id_token"].split(".")[1]
            whole = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))) | claims
            whole = {name: value for name, value in whole.items() if value is not ...}
            head = {"alg": "RS256", "kid": "forged"} | (header or {})
            signer = b"" if head["alg"] == "none" else private_key("RS256", key)
            if head["alg"].startswith("HS"):
                signer = CLIENT.encode()
            return token | {"id_token": jws(head, whole, signer, head["alg"])}

        self.change["/oauth2/token"] = forged
        if publish:
            self.change["/jwks"] = lambda _keys: {"keys": [public_jwk("RS256", "forged", key)]}

    def honest(self) -> None:
        self.change.clear()
        self.stand.clear()
        self.asked.clear()


@contextmanager
def provider() -> Iterator[Between]:
    """The provider, with its people."""
    port, front = free_port(), free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--no-refresh-token", "true"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={"AUTHLIB_INSECURE_TRANSPORT": "1", "PATH": ""},
    )  # fmt: skip
    between = Between(issuer=f"http://127.0.0.1:{front}", upstream=f"http://127.0.0.1:{port}")
    server = make_server("127.0.0.1", front, _front(between), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for _ in range(200):
            with suppress(requests.ConnectionError):
                requests.get(f"{between.upstream}/jwks", timeout=5).raise_for_status()
                break
            time.sleep(0.1)
        for name, claims in PEOPLE.items():
            requests.put(f"{between.upstream}/users/{name}", json=claims, timeout=10).raise_for_status()
        yield between
    finally:
        server.shutdown()
        server.server_close()
        process.terminate()
        process.wait(timeout=10)


def _front(between: Between) -> Flask:
    app = Flask("between", static_folder=None)

    @app.route("/<path:path>", methods=["GET", "POST"])
    def pass_on(path: str) -> Response:
        between.asked.append(f"{request.method} /{path}")
        if stand := between.stand.get(f"/{path}"):
            return stand()
        kept = {name: value for name, value in request.headers if name in ("Authorization", "Content-Type", "Host")}
        got = requests.request(
            request.method, f"{between.upstream}/{path}", params=request.query_string.decode(), headers=kept,
            data=request.get_data() or None, timeout=20, allow_redirects=False,
        )  # fmt: skip
        body = got.content
        if (change := between.change.get(f"/{path}")) and got.ok:
            body = json.dumps(change(got.json())).encode()
        back = {name: got.headers[name] for name in ("Location",) if name in got.headers}
        return Response(body, got.status_code, back, content_type=got.headers.get("Content-Type"))

    return app


def governed(
    folder: Path, between: Between, *, service: dict | None = None, site: dict | None = None, **changes
) -> Path:
    """A folder of settings with governance pages behind this provider."""
    private(folder / "client-secret", "correct horse battery staple")
    table = {
        "issuer": between.issuer,
        "client_id": CLIENT,
        "client_secret": {"file": "client-secret"},
        "roles": ROLES,
    } | changes
    table = {name: value for name, value in table.items() if value is not ...}
    return settings(folder, service={"public_url": OURS, "governance": table} | (service or {}), site=site)


@dataclass(kw_only=True)
class Browser:
    """A person's browser: cookies, and no script."""

    app: Flask
    client: object = None

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    def get(self, path: str, **headers: str):
        return self.client.get(path, base_url=OURS, headers=headers)

    def post(self, path: str, fields: dict | None = None, **headers: str):
        return self.client.post(path, base_url=OURS, data=fields or {}, headers=headers)

    def to_provider(self, **asked: str) -> str:
        """The authorization request."""
        return self.get(f"/governance/sign-in?{urlencode(asked)}").headers["Location"]

    def back(self, who: str, **asked: str) -> str:
        """Signs in there; the path of the callback with its code and state."""
        answer = requests.post(self.to_provider(**asked), data={"sub": who}, timeout=20, allow_redirects=False)
        return answer.headers["Location"].removeprefix(OURS)

    def sign_in(self, who: str):
        return self.get(self.back(who))

    def csrf(self) -> str:
        """The token of this session, from a page."""
        return self.get("/governance/").text.partition('name="csrf" value="')[2].partition('"')[0]


def desk_app(folder: Path, between: Between, **wanted) -> Flask:
    """The service with governance pages, in this process."""
    kept = {name: wanted.pop(name) for name in ("now", "engine") if name in wanted}
    return app_of(governed(folder, between, **wanted), **kept)
