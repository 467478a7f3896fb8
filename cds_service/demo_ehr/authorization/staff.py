"""The demo's sign-in for staff: a small OpenID provider for the governance pages. Who signs in is chosen on its page.

An issuer of its own beside the SMART server, as in a hospital. Authorization code with PKCE; in memory, each code and
each choice good once.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from cachetools import TTLCache
from flask import Blueprint, Response, abort, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from cds_service.demo_ehr.authorization import id_tokens
from cds_service.demo_ehr.authorization.clients import Client, Clients, OAuthError
from cds_service.demo_ehr.authorization.grants import challenge_of
from cds_service.demo_ehr.codes import Json

CODE_LIFE_S, CHOICE_LIFE_S, MOST_WAITING = 60, 600, 100
SAFETY, OPERATIONS, CRISIS = "cds-safety", "cds-operations", "crisis-team"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody of the staff. group: the one that gives a role at the service, if any."""

    id: str
    name: str
    about: str
    group: str = ""


PEOPLE = (
    Member(id="staff-1", name="Dr. Iris Haugen", about="Clinical safety officer", group=SAFETY),
    Member(id="staff-2", name="Dr. Samuel Boateng", about="Deputy safety officer", group=SAFETY),
    Member(id="staff-3", name="Lena Marchetti", about="Operator", group=OPERATIONS),
    Member(id="staff-4", name="Jonas Weller", about="Receptionist, without a role", group=""),
    Member(id="staff-5", name="Amina Sato", about="Crisis team, has the pager", group=CRISIS),
)
ON_CALL = PEOPLE[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A checked authorization request, and from the choice on, by whom."""

    state: str
    nonce: str
    challenge: str
    person: Member | None = None


@dataclass(slots=True)
class StaffSignIn:
    """The provider at `issuer`, for one client. now: seconds since 1970."""

    issuer: str
    client: Client
    now: Callable[[], float] = time.time
    key: id_tokens.ServerKey = field(default_factory=id_tokens.new_key)
    _waiting: TTLCache[str, SignIn] = field(init=False)
    _codes: TTLCache[str, SignIn] = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._waiting = TTLCache(MOST_WAITING, CHOICE_LIFE_S, timer=self.now)
        self._codes = TTLCache(MOST_WAITING, CODE_LIFE_S, timer=self.now)

    @property
    def redirect_uri(self) -> str:
        """Where a person is sent back to."""
        return self.client.redirect_uris[0]

    def configuration(self) -> Json:
        """The body of `.well-known/openid-configuration`."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.key.algorithm],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "authorization_response_iss_parameter_supported": True,
        }

    def waiting(self, sign_in: SignIn) -> str:
        """A handle for a request that waits for the choice of a person."""
        return self._put(self._waiting, sign_in)

    def chosen(self, handle: str, person: Member | None) -> str:
        """Where to send the browser back to; LookupError for a handle that is used, too old or unknown."""
        with self._lock:
            sign_in = self._waiting.pop(handle)
        answer = {"state": sign_in.state, "iss": self.issuer}
        if person is None:
            return f"{self.redirect_uri}?{urlencode({'error': 'access_denied', **answer})}"
        named = SignIn(state="", nonce=sign_in.nonce, challenge=sign_in.challenge, person=person)
        return f"{self.redirect_uri}?{urlencode({'code': self._put(self._codes, named), **answer})}"

    def id_token(self, code: str, verifier: str) -> str:
        """The ID token for a code. Raises OAuthError `invalid_grant`."""
        with self._lock:
            sign_in = self._codes.pop(code, None)
        if sign_in is None or sign_in.person is None or challenge_of(verifier) != sign_in.challenge:
            raise OAuthError("invalid_grant", "Expected a code of the last minute, unused, with its verifier.")
        person = sign_in.person
        claims = id_tokens.claims(
            issuer=self.issuer,
            subject=person.id,
            client_id=self.client.client_id,
            now=int(self.now()),
            nonce=sign_in.nonce,
            fhir_user=None,
        )
        return self.key.signed(claims | {"name": person.name, "groups": [person.group] if person.group else []})

    def _put(self, kept: TTLCache[str, SignIn], sign_in: SignIn) -> str:
        handle = secrets.token_urlsafe(24)
        with self._lock:
            kept[handle] = sign_in
        return handle


def create_blueprint(provider: StaffSignIn) -> Blueprint:
    """The provider's routes, below the path of its issuer."""
    path = urlsplit(provider.issuer).path
    blueprint = Blueprint("staff", __name__, url_prefix=path, template_folder="../templates")
    blueprint.before_request(lambda: _check_host(provider))
    _add_published(blueprint, provider)
    clients = Clients(f"{provider.issuer}/token", provider.now)
    clients.register(provider.client)

    @blueprint.get("/authorize")
    def authorize() -> Response:
        sign_in = _asked(provider)
        if sign_in is None:
            return _page(provider, "refused", 400)
        return _page(provider, "staff", people=PEOPLE, waiting=provider.waiting(sign_in))

    @blueprint.post("/authorize")
    def choose() -> BaseResponse:
        person = next((p for p in PEOPLE if p.id == request.form.get("person")), None)
        try:
            return redirect(provider.chosen(request.form.get("request", ""), person), 303)
        except LookupError:
            return _page(provider, "refused", 400)

    @blueprint.post("/token")
    def token() -> Response:
        try:
            return _json(_token(provider, clients))
        except OAuthError as error:
            return _json({"error": error.code, "error_description": error.description}, error.status)

    return blueprint


def _check_host(provider: StaffSignIn) -> None:
    """As the authorization server does."""
    if request.host != urlsplit(provider.issuer).netloc:
        abort(403)


def _add_published(blueprint: Blueprint, provider: StaffSignIn) -> None:
    @blueprint.get("/.well-known/openid-configuration")
    def configuration() -> Response:
        return _json(provider.configuration())

    @blueprint.get("/jwks")
    def jwks() -> Response:
        return _json({"keys": [provider.key.public_jwk]})


def _asked(provider: StaffSignIn) -> SignIn | None:
    """The authorization request; None unless it is as agreed."""
    asked = request.args
    expected = {
        "client_id": provider.client.client_id,
        "redirect_uri": provider.redirect_uri,
        "response_type": "code",
        "code_challenge_method": "S256",
    }
    is_whole = all(asked.get(name) for name in ("state", "nonce", "code_challenge"))
    if not is_whole or any(asked.get(name) != value for name, value in expected.items()):
        return None
    return SignIn(state=asked["state"], nonce=asked["nonce"], challenge=asked["code_challenge"])


def _token(provider: StaffSignIn, clients: Clients) -> Json:
    form = request.form.to_dict()
    clients.authenticated(form, request.headers.get("Authorization"))
    if form.get("redirect_uri") != provider.redirect_uri:
        raise OAuthError("invalid_grant", "Expected the redirect_uri of the authorization request.")
    id_token = provider.id_token(form.get("code", ""), form.get("code_verifier", ""))
    # The access token opens nothing: OAuth wants one.
    return {"access_token": secrets.token_urlsafe(32), "token_type": "Bearer", "id_token": id_token}


def _page(provider: StaffSignIn, name: str, status: int = 200, **values: object) -> Response:
    back = urlsplit(provider.redirect_uri)
    response = Response(render_template(f"demo_ehr/{name}.html", **values), status=status)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {back.scheme}://{back.netloc}"
    )
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response


def _json(body: Json, status: int = 200) -> Response:
    response = Response(json.dumps(body), status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
