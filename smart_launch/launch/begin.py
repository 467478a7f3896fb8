"""GET /smart/launch and /smart/jwks.json: from a launch to the EHR's authorization server (then see `callback`).

Follows SMART App Launch 2.2: a registered issuer, its endpoints, an authorization request with PKCE and a state that
only this browser can use, once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import secrets
from urllib.parse import urlencode

from flask import Blueprint, Response, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from fhir_adapters.received import noted
from smart_launch.errors import LaunchRefused, TooManyLaunches
from smart_launch.launch.callback import NoCookie, finish
from smart_launch.launch.guard import check_opened
from smart_launch.launch.parameters import parameter
from smart_launch.oauth.discovery import Endpoints
from smart_launch.oauth.scopes import configured_scopes, default_scopes
from smart_launch.pages.responses import error_page, page, request_language
from smart_launch.runtime import AppRuntime, digest
from smart_launch.session.cookies import BROWSER, cookie, put_cookie
from smart_launch.session.sessions import PendingLaunch
from smart_launch.session.store import WaitingLaunch
from smart_launch.settings import Registration

log = logging.getLogger("mhcds")
STATE_S = 600


def create_blueprint(app: AppRuntime) -> Blueprint:
    """The three routes."""
    blueprint = Blueprint("smart", __name__)

    @blueprint.get("/smart/launch")
    def launch() -> BaseResponse:
        return head_response() or begin(app)

    @blueprint.get("/smart/callback")
    def callback() -> BaseResponse:
        try:
            return head_response() or finish(app)
        except NoCookie as error:
            return error_page(app, error, window_url=error.launch_url)

    @blueprint.get("/smart/jwks.json")
    def jwks() -> Response:
        response = Response(json.dumps(app.keys().published()), content_type="application/json")
        response.headers["Cache-Control"] = "public, max-age=3600"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return blueprint


def head_response() -> Response | None:
    """The response to HEAD, which must change nothing; None for GET."""
    return Response() if request.method == "HEAD" else None


def begin(app: AppRuntime) -> BaseResponse:
    """Redirects an EHR or standalone launch to its authorization server; without either, offers a choice of EHRs.

    An earlier session of this browser goes on until the callback: whoever makes a browser begin a launch ends nothing.
    """
    check_opened()
    iss, handle, chosen = (parameter(name) for name in ("iss", "launch", "standalone"))
    if iss is None and handle is None and chosen is None:
        g.registration = None
        return page(
            request_language(app),
            "choose.html",
            choices=[(r.label, registration_key(r)) for r in standalone_registrations(app)],
        )
    g.registration = registration = registration_for(app, iss, handle, chosen)
    browser = cookie(BROWSER)
    secret = browser or app.new_secret()
    if browser is None and request.headers.get("Sec-Fetch-Dest") in ("iframe", "frame") and parameter("tried") is None:
        return try_cookie(secret)
    if browser is None and parameter("tried") is not None:
        # The frame did not keep the cookie: offer the same launch in its own window (SMART-093).
        return page(request_language(app), "window.html", window_url=launch_url(registration, handle))
    response = redirect(authorization_url(app, registration, secret, handle), 303)
    put_cookie(response, BROWSER, secret)  # type: ignore[arg-type]  # werkzeug's and flask's responses set cookies alike
    return response


def standalone_registrations(app: AppRuntime) -> list[Registration]:
    """The EHRs that allow a standalone launch."""
    return [r for r in app.settings().registrations() if r.standalone]


def registration_key(registration: Registration) -> str:
    """The name of a registration in our URLs."""
    return hashlib.sha256(f"{registration.iss}\0{registration.client_id}".encode()).hexdigest()[:16]


def registration_for(app: AppRuntime, iss: str | None, handle: str | None, chosen: str | None) -> Registration:
    """The registration of a launch. Raises LaunchRefused before any request is sent."""
    if chosen is not None and iss is None and handle is None:
        keys = ((registration_key(r), r) for r in standalone_registrations(app))
        registration = next((r for key, r in keys if hmac.compare_digest(key.encode(), chosen.encode())), None)
    elif iss is not None and handle is not None and chosen is None:
        registration = app.settings().registered(iss)
    else:
        raise LaunchRefused("launch: expected both iss and launch")
    if registration is None:
        found = noted("launch", iss) if iss else {}
        log.warning(json.dumps({"event": "smart-launch-refused", "why": "unknown-issuer", **found}))
        raise LaunchRefused("launch: expected a registered EHR", "unknown-ehr")
    return registration


def launch_url(registration: Registration, handle: str | None) -> str:
    """The URL that starts the same launch again."""
    fields = {"iss": aud(registration), "launch": handle} if handle else {"standalone": registration_key(registration)}
    return f"{url_for('smart.launch')}?{urlencode(fields)}"


def try_cookie(secret: str) -> BaseResponse:
    """Redirects back once, to see whether a browser in a frame keeps the cookie."""
    response = redirect(f"{url_for('smart.launch')}?{request.query_string.decode('latin-1')}&tried=1", 303)
    put_cookie(response, BROWSER, secret)  # type: ignore[arg-type]  # as above
    return response


def authorization_url(app: AppRuntime, registration: Registration, browser: str, handle: str | None) -> str:
    """The authorization request (SMART-030 to 036); stores the launch under its state first.

    Raises TooManyLaunches.
    """
    endpoints = app.discovery.endpoints(registration)
    state, nonce, verifier = app.new_secret(), app.new_secret(), secrets.token_urlsafe(64)
    pending = PendingLaunch(
        browser=digest(browser),
        iss=registration.iss,
        verifier=verifier,
        nonce=nonce,
        ehr_launch=handle is not None,
        launch_url=launch_url(registration, handle),
        requested_scopes=requested_scopes(app, registration, endpoints, ehr_launch=handle is not None),
    )
    now = app.seconds()
    waiting = WaitingLaunch(
        digest=digest(state),
        browser=pending.browser,
        address=app.client_address(),
        sealed=app.sealed(pending),
        expires=now + STATE_S,
    )
    if not app.store.put_launch(waiting, now):
        raise TooManyLaunches("launch: expected fewer unfinished launches of one address or browser within a minute")
    fields = {
        "response_type": "code",
        "client_id": registration.client_id,
        "redirect_uri": app.settings().redirect_uri,
        "scope": " ".join(pending.requested_scopes),
        "state": state,
        "aud": aud(registration),
        "nonce": nonce,
        "code_challenge": code_challenge(verifier),
        "code_challenge_method": "S256",
        **({"launch": handle} if handle is not None else {}),
    }
    joint = "&" if "?" in endpoints.authorization else "?"
    return f"{endpoints.authorization}{joint}{urlencode(fields)}"


def requested_scopes(
    app: AppRuntime, registration: Registration, endpoints: Endpoints, *, ehr_launch: bool
) -> tuple[str, ...]:
    """The scopes to request: those set by the site, else our defaults for what the server supports."""
    if registration.scopes:
        return configured_scopes(registration.scopes, ehr_launch=ehr_launch)
    site = app.settings().site(registration.site)
    return default_scopes(
        ehr_launch=ehr_launch,
        version_2=endpoints.version_2,
        consents=site is not None and site.reading.consent.use == "required",
        write_back=registration.write_back,
        online=endpoints.online,
        supported=endpoints.scopes,
    )


def aud(registration: Registration) -> str:
    """The FHIR base exactly as the EHR sent it: servers compare strings (SMART-031)."""
    iss = request.args.get("iss")
    return iss if iss is not None and iss.removesuffix("/") == registration.iss else registration.iss


def code_challenge(verifier: str) -> str:
    """S256 of a verifier (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
