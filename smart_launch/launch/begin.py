"""GET /smart/launch and /smart/jwks.json: from a launch to the EHR's authorization server (`callback` goes on).

The steps are those of SMART App Launch 2.2: an issuer that we know, its endpoints, an authorization request with PKCE
and a state that only this browser can use once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import secrets
from urllib.parse import urlencode

import msgspec
from flask import Blueprint, Response, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from smart_launch.errors import LaunchRefused
from smart_launch.launch.callback import NoCookie, finish
from smart_launch.oauth import scopes
from smart_launch.pages.responses import error_page, page
from smart_launch.runtime import AppRuntime, digest
from smart_launch.session.cookies import BROWSER, cookie, put_cookie
from smart_launch.session.pending import Pending, one
from smart_launch.settings import Registration

log = logging.getLogger("mhcds")
STATE_S = 600


def create_blueprint(app: AppRuntime) -> Blueprint:
    """The three routes."""
    blueprint = Blueprint("smart", __name__)

    @blueprint.get("/smart/launch")
    def launch() -> BaseResponse:
        return looked_at() or begin(app)

    @blueprint.get("/smart/callback")
    def callback() -> BaseResponse:
        try:
            return looked_at() or finish(app)
        except NoCookie as error:
            return error_page(error, again=error.again)

    @blueprint.get("/smart/jwks.json")
    def jwks() -> Response:
        answer = Response(json.dumps(app.keys().published()), content_type="application/json")
        answer.headers["Cache-Control"] = "public, max-age=3600"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    return blueprint


def looked_at() -> Response | None:
    """The answer to HEAD: who only looks at an address begins, ends and uses nothing."""
    return Response() if request.method == "HEAD" else None


def begin(app: AppRuntime) -> BaseResponse:
    """The authorization request of an EHR's launch, or of one that begins here; without either, the choice of EHRs."""
    iss, handle, chosen = (one(name) for name in ("iss", "launch", "standalone"))
    if iss is None and handle is None and chosen is None:
        g.registration = None
        return page("choose.html", choices=[(r.label, key_of(r)) for r in standalone(app)])
    registration = wanted_registration(app, iss, handle, chosen)
    g.registration = registration
    browser = cookie(BROWSER)
    if browser is not None:
        # No patient carries over (SMART-017).
        app.store.end_sessions(digest(browser), "moved")
    secret = browser or app.new_secret()
    if browser is None and request.headers.get("Sec-Fetch-Dest") in ("iframe", "frame") and one("tried") is None:
        return tried(secret)
    if browser is None and one("tried") is not None:
        # The frame did not keep the cookie: the same launch, in a window of its own (SMART-093).
        return page("window.html", status=200, again=launch_again(registration, handle))
    answer = redirect(authorization_request(app, registration, secret, handle), 303)
    put_cookie(answer, BROWSER, secret)  # type: ignore[arg-type]  # werkzeug's and flask's answers set cookies alike
    return answer


def standalone(app: AppRuntime) -> list[Registration]:
    """The EHRs that a launch may begin with here."""
    return [r for r in app.settings().registrations() if r.standalone]


def key_of(registration: Registration) -> str:
    """What names a registration in our own address."""
    return hashlib.sha256(f"{registration.iss}\0{registration.client_id}".encode()).hexdigest()[:16]


def wanted_registration(app: AppRuntime, iss: str | None, handle: str | None, chosen: str | None) -> Registration:
    """The registration that a launch is for. Raises LaunchRefused, before anything is asked of anybody."""
    if chosen is not None and iss is None and handle is None:
        found = next((r for r in standalone(app) if hmac.compare_digest(key_of(r).encode(), chosen.encode())), None)
    elif iss is not None and handle is not None and chosen is None:
        found = app.settings().registered(iss)
    else:
        raise LaunchRefused("launch: expected both iss and launch")
    if found is None:
        log.warning(json.dumps({"event": "smart-launch-refused", "why": "unknown-issuer"}))
        raise LaunchRefused("launch: expected an EHR that is registered here", "unknown-ehr")
    return found


def launch_again(registration: Registration, handle: str | None) -> str:
    """The address of the same launch."""
    kept = {"iss": aud(registration), "launch": handle} if handle else {"standalone": key_of(registration)}
    return f"{url_for('smart.launch')}?{urlencode(kept)}"


def tried(secret: str) -> BaseResponse:
    """Comes back once, to see whether a frame's browser keeps the cookie."""
    answer = redirect(f"{url_for('smart.launch')}?{request.query_string.decode('latin-1')}&tried=1", 303)
    put_cookie(answer, BROWSER, secret)  # type: ignore[arg-type]  # as above
    return answer


def authorization_request(app: AppRuntime, registration: Registration, browser: str, handle: str | None) -> str:
    """Its address, once the launch is kept under a state (SMART-030 to 036)."""
    endpoints = app.discovery.endpoints(registration)
    site = app.settings().site(registration.site)
    asked = (
        scopes.of_launch(registration.scopes, ehr_launch=handle is not None)
        if registration.scopes
        else scopes.wanted(
            ehr_launch=handle is not None,
            version_2=endpoints.version_2,
            consents=site is not None and site.reading.consent.use == "required",
            write_back=registration.write_back,
            online=endpoints.online,
        )
    )
    state, nonce, verifier = app.new_secret(), app.new_secret(), secrets.token_urlsafe(64)
    pending = Pending(
        browser=digest(browser),
        iss=registration.iss,
        verifier=verifier,
        nonce=nonce,
        ehr=handle is not None,
        again=launch_again(registration, handle),
        asked=tuple(asked),
    )
    now = app.seconds()
    app.store.put_launch(digest(state), app.seal(msgspec.json.encode(pending).decode()), now + STATE_S, now)
    fields = {
        "response_type": "code",
        "client_id": registration.client_id,
        "redirect_uri": app.settings().redirect_uri,
        "scope": " ".join(asked),
        "state": state,
        "aud": aud(registration),
        "nonce": nonce,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
        **({"launch": handle} if handle is not None else {}),
    }
    joint = "&" if "?" in endpoints.authorization else "?"
    return f"{endpoints.authorization}{joint}{urlencode(fields)}"


def aud(registration: Registration) -> str:
    """The FHIR base exactly as the EHR gave it: servers compare texts (SMART-031)."""
    given = request.args.get("iss")
    return given if given is not None and given.removesuffix("/") == registration.iss else registration.iss


def challenge(verifier: str) -> str:
    """S256 of a verifier (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
