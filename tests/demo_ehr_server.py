"""The demo EHR on loopback for tests, and a scripted SMART app that does a launch step by step.

    with running_ehr(behaviour=Behaviour(need_patient_banner="false")) as ehr:
        app = ScriptedApp(ehr)
        answer = app.launched("pilar-ostrowski")

`ehr.server.behaviour` may be replaced while it runs, and `ehr.clock.pass_s(61)` lets time pass without waiting.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote_plus, urlsplit

import requests
from flask import Flask
from werkzeug.serving import make_server

from cds_service.demo_ehr.authorization.behaviour import Behaviour
from cds_service.demo_ehr.authorization.clients import ASSERTION_TYPE, Client
from cds_service.demo_ehr.authorization.id_tokens import ServerKey, new_key
from cds_service.demo_ehr.authorization.server import AuthorizationServer
from cds_service.demo_ehr.config import CLIENT_ID, Addresses
from cds_service.demo_ehr.ehr import Ehr, create_ehr
from cds_service.demo_ehr.patients.people import DemoPatient, demo_patients

AS_OF = datetime(2026, 11, 23, 16, 12, tzinfo=UTC)
HOOK_TOKEN = "token-of-hook-calls"
SECRET = "a secret: with + and % and ü"
SECRET_CLIENT = "an app with a secret"
OTHER_CLIENT = "another-app"


class Clock:
    """The time now, moved on as a test wants it."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.passed_s

    def pass_s(self, seconds: float) -> None:
        self.passed_s += seconds


@dataclass(frozen=True, kw_only=True)
class RunningEhr:
    """A demo EHR that listens, with its parts."""

    addresses: Addresses
    patients: tuple[DemoPatient, ...]
    parts: Ehr
    clock: Clock
    key: ServerKey  # of the scripted app, registered by URL

    @property
    def server(self) -> AuthorizationServer:
        return self.parts.authorization

    @property
    def base(self) -> str:
        return self.addresses.fhir_base


@contextmanager
def serving(app: Flask, port: int = 0) -> Iterator[str]:
    """Serves an app on 127.0.0.1 and gives its address; ended cleanly."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def running_ehr(
    *, service: str | None = None, behaviour: Behaviour | None = None, patients: tuple[DemoPatient, ...] | None = None
) -> Iterator[RunningEhr]:
    """A demo EHR on loopback. `service`: address of the app that is registered, default one that only has keys."""
    key, clock = new_key("ES384"), Clock()
    app_of_keys, late = Flask("keys of the scripted app"), Flask("EHR of the test")
    app_of_keys.add_url_rule("/smart/jwks.json", "keys", lambda: {"keys": [key.public_jwk]})
    with serving(app_of_keys) as keys_at, _placeholder(late) as (origin, put):
        port = urlsplit(origin).port
        addresses = Addresses(
            service=service or keys_at, fhir_base=f"{origin}/fhir", page_origin=f"http://localhost:{port}"
        )
        chosen = patients or demo_patients(AS_OF)
        parts = create_ehr(addresses, chosen, AS_OF, HOOK_TOKEN, behaviour=behaviour, now=clock)
        redirects = (addresses.redirect_uri,)
        register = parts.authorization.clients.register
        register(Client(client_id=SECRET_CLIENT, name="With a secret", redirect_uris=redirects, secret=SECRET))
        register(
            Client(client_id=OTHER_CLIENT, name="Another", redirect_uris=redirects, keys={"keys": [key.public_jwk]})
        )
        put(parts.app)
        yield RunningEhr(addresses=addresses, patients=tuple(chosen), parts=parts, clock=clock, key=key)


@contextmanager
def _placeholder(first: Flask):
    """Listens before there is an app, since the app has to know its own address."""
    held = {"app": first.wsgi_app}

    def now_in_place(environ, start):
        return held["app"](environ, start)

    def put(app: Flask) -> None:
        held["app"] = app

    first.wsgi_app = now_in_place
    with serving(first) as origin:
        yield origin, put


@dataclass(kw_only=True)
class Callback:
    """What the app's redirect URI is called with."""

    address: str
    parameters: dict[str, str]


@dataclass
class ScriptedApp:
    """A SMART app in steps, each of which a test may change. `how`: jwt, basic or post."""

    ehr: RunningEhr
    client_id: str = CLIENT_ID
    how: str = "jwt"
    scope: str = "launch openid fhirUser online_access patient/Patient.rs patient/Observation.rs"
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def redirect_uri(self) -> str:
        return self.ehr.addresses.redirect_uri

    def discovered(self) -> dict:
        return requests.get(f"{self.ehr.base}/.well-known/smart-configuration", timeout=10).json()

    def request(self, **changes) -> dict[str, str]:
        """An authorization request; a value of None leaves the parameter out."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        values = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": self.state,
            "aud": self.ehr.base,
            "nonce": "nonce-of-this-launch",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | changes
        return {name: value for name, value in values.items() if value is not None}

    def handle(self, patient: str, app_context: str | None = None) -> str:
        return self.ehr.server.new_launch(self.client_id, patient, app_context)

    def authorize(self, *, post: bool = False, **changes) -> requests.Response:
        url, asked = self.discovered()["authorization_endpoint"], self.request(**changes)
        how = {"data": asked} if post else {"params": asked}
        return requests.request("POST" if post else "GET", url, allow_redirects=False, timeout=10, **how)

    def callback(self, answer: requests.Response) -> Callback:
        assert answer.status_code in (302, 303), answer.text
        address, _, query = answer.headers["Location"].partition("?")
        return Callback(address=address, parameters=dict(parse_qsl(query)))

    def code(self, patient: str, app_context: str | None = None, **changes) -> str:
        answer = self.authorize(launch=self.handle(patient, app_context), **changes)
        return self.callback(answer).parameters["code"]

    def assertion(self, *, headers=None, key=None, **changes) -> str:
        now = int(self.ehr.clock())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": f"{self.ehr.base.removesuffix('/fhir')}/token",
            "exp": now + 240,
            "iat": now,
            "jti": secrets.token_urlsafe(12),
        } | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        return (key or self.ehr.key).signed(kept, headers)

    def credentials(self) -> tuple[dict[str, str], dict[str, str]]:
        """Fields of the form and headers that say who the app is."""
        if self.how == "basic":
            pair = f"{quote_plus(SECRET_CLIENT)}:{quote_plus(SECRET)}"
            return {}, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        if self.how == "post":
            return {"client_id": SECRET_CLIENT, "client_secret": SECRET}, {}
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.assertion()}, {}

    def post(self, endpoint: str, **fields) -> requests.Response:
        form, headers = self.credentials()
        kept = {name: value for name, value in (form | fields).items() if value is not None}
        return requests.post(self.discovered()[endpoint], data=kept, headers=headers, timeout=10)

    def exchange(self, code: str, **changes) -> requests.Response:
        fields = {"code": code, "redirect_uri": self.redirect_uri, "code_verifier": self.verifier} | changes
        return self.post("token_endpoint", grant_type="authorization_code", **fields)

    def refresh(self, token: str, **changes) -> requests.Response:
        return self.post("token_endpoint", grant_type="refresh_token", refresh_token=token, **changes)

    def launched(self, patient: str, app_context: str | None = None, **changes) -> dict:
        answer = self.exchange(self.code(patient, app_context, **changes))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fhir(self, method: str, path: str, token: str, body=None, **headers) -> requests.Response:
        return requests.request(
            method,
            f"{self.ehr.base}/{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"}
            | ({"Content-Type": "application/fhir+json"} if body is not None else {})
            | {name.replace("_", "-"): value for name, value in headers.items()},
            timeout=10,
        )
