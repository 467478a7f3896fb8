"""GET /smart/launch, /smart/callback and /smart/jwks.json: from a launch to a session.

The steps of a launch are those of SMART App Launch 2.2: an issuer that we know, its endpoints, an authorization
request with PKCE and a state that only this browser can use once; then the code for a token, who the user is, which
patient, and a session of its own. What a browser sends is believed only after that.
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

from smart_launch import scopes
from smart_launch.context import launch_context
from smart_launch.cookies import BROWSER, SESSION, cookie, put_cookie
from smart_launch.discovery import Endpoints
from smart_launch.errors import EhrFailed, LaunchRefused
from smart_launch.id_token import verified_user
from smart_launch.pages import error_page, page
from smart_launch.records import note
from smart_launch.runtime import AppRuntime, digest
from smart_launch.sessions import KeptSession, Session, User
from smart_launch.settings import Registration
from smart_launch.tokens import TokenAnswer, TokenEndpoint

log = logging.getLogger("mhcds")
STATE_S = 600
LONGEST_VALUE = 8000  # some servers write all that they know into a launch or a code


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A launch that waits for its callback. ehr: opened by the EHR rather than by us. again: its address here."""

    browser: str
    iss: str
    verifier: str
    nonce: str
    ehr: bool
    again: str
    asked: tuple[str, ...]


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


# ---- the launch ---------------------------------------------------------------------------------------------------


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


def one(name: str) -> str | None:
    """A query parameter, None when absent. Raises LaunchRefused when it is empty, repeated or odd."""
    values = request.args.getlist(name)
    if not values:
        return None
    value = values[0]
    if len(values) > 1 or not value or len(value) > LONGEST_VALUE or not value.isprintable():
        raise LaunchRefused(f"launch: expected {name} once, with a value")
    return value


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


# ---- the callback -------------------------------------------------------------------------------------------------


def finish(app: AppRuntime) -> BaseResponse:
    """A session for the launch that this callback belongs to."""
    pending, registration = awaited(app)
    endpoints = app.discovery.endpoints(registration)
    check_sender(registration, endpoints)
    code = answered_code()
    answer = token_for(app, registration, endpoints, code, pending.verifier)
    user = user_of(app, registration, endpoints, answer, pending.nonce)
    if not pending.ehr and (user is None or user.fhir_user is None):
        # Nobody's chart was open: whoever chose the patient may be the patient.
        raise LaunchRefused(
            "callback: expected a practitioner as the user of a launch that began here", "clinicians-only", 403
        )
    session = new_session(app, registration, answer, user, pending)
    secret = app.new_secret()
    now = app.seconds()
    app.store.end_sessions(pending.browser, "moved")
    app.store.put_session(
        KeptSession(
            digest=digest(secret),
            launch=session.launch,
            browser=pending.browser,
            iss=registration.iss,
            sealed=app.seal(msgspec.json.encode(session).decode()),
            started=now,
            used=now,
            version=0,
        )
    )
    tenant = session.context.tenant
    note(app, session, "launched", ehr_launch=pending.ehr, scopes=list(session.scopes), tenant=tenant)
    # The landing page is fixed (SMART-051).
    where = redirect(url_for("smart_app.summary", launch=session.launch), 303)
    put_cookie(where, SESSION, secret)  # type: ignore[arg-type]  # as above
    return where


def awaited(app: AppRuntime) -> tuple[Pending, Registration]:
    """The launch that the state names: known, not used before, of this browser. Raises LaunchRefused."""
    state, browser = one("state"), cookie(BROWSER)
    if state is None:
        raise LaunchRefused("callback: expected state")
    sealed = app.store.take_launch(digest(state), app.seconds())
    if sealed is None:
        raise LaunchRefused("callback: expected a state that was not used before, of the last ten minutes", "used")
    try:
        pending = msgspec.json.decode(app.unseal(sealed), type=Pending)
    except (ValueError, msgspec.DecodeError) as error:
        raise LaunchRefused("callback: expected a state sealed with this key, by this version", "used") from error
    # From here on whoever frames the EHR's app sees why it did not work.
    g.registration = registration = app.settings().registered(pending.iss)
    if browser is None:
        raise NoCookie("callback: expected the cookie of the launch", pending.again)
    if registration is None or not hmac.compare_digest(pending.browser, digest(browser)):
        raise LaunchRefused("callback: expected the browser that the launch began in", "used")
    return pending, registration


class NoCookie(LaunchRefused):
    """The browser kept no cookie, as some do in frames. again: the address of the same launch, for a window."""

    page = "no-cookie"

    def __init__(self, message: str, again: str) -> None:
        super().__init__(message)
        self.again = again


def check_sender(registration: Registration, endpoints: Endpoints) -> None:
    """The answer comes from the server that was asked, where it says from whom it is (RFC 9207)."""
    said = one("iss")
    known = {endpoints.issuer, registration.iss, f"{registration.iss}/", registration.id_token_issuer}
    if said is not None and said not in known:
        raise LaunchRefused("callback: expected iss to be the server that was asked", "ehr-not-trusted")


ERRORS = {"access_denied": "access-denied", "invalid_scope": "scope-refused", "unauthorized_client": "not-registered"}


def answered_code() -> str:
    """The code. Raises LaunchRefused for an error of the EHR; what it says beside the code is not shown."""
    error = one_of_many("error")
    if error is not None:
        known = error if error in ERRORS else "other"
        raise LaunchRefused(f"callback: the EHR answered with an error ({known})", ERRORS.get(error, "ehr-refused"))
    code = one("code")
    if code is None:
        raise LaunchRefused("callback: expected code")
    return code


def one_of_many(name: str) -> str | None:
    """The first of a parameter, whatever it holds."""
    return next(iter(request.args.getlist(name)), None)


def token_for(
    app: AppRuntime, registration: Registration, endpoints: Endpoints, code: str, verifier: str
) -> TokenAnswer:
    """The token for a code. A code is never sent twice (SMART-057)."""
    try:
        return endpoint(app, registration, endpoints).exchange(code, verifier, app.settings().redirect_uri)
    except EhrFailed as error:
        if error.page == "not-registered":
            # What is kept of the configuration may be old; the next launch asks again.
            app.discovery.forget(registration)
        raise


def endpoint(app: AppRuntime, registration: Registration, endpoints: Endpoints) -> TokenEndpoint:
    """The EHR's token endpoint, as we use it now."""
    return TokenEndpoint(
        endpoints=endpoints,
        registration=registration,
        keys=app.keys(),
        now=app.now(),
    )


def user_of(
    app: AppRuntime, registration: Registration, endpoints: Endpoints, answer: TokenAnswer, nonce: str
) -> User | None:
    """Who uses the app; None where the EHR does not say, which leaves reading. Raises EhrFailed or LaunchRefused."""
    if answer.id_token is None:
        if "openid" in (answer.scopes or ()):
            raise EhrFailed("token answer: expected id_token, since openid was granted", "identity")
        return None
    return verified_user(
        answer.id_token,
        registration=registration,
        endpoints=endpoints,
        keys=app.issuer_keys,
        nonce=nonce,
        now=app.now(),
    )


def new_session(
    app: AppRuntime, registration: Registration, answer: TokenAnswer, user: User | None, pending: Pending
) -> Session:
    """The session of a launch."""
    said = answer.context.get("appContext")
    patient = answer.context.get("patient")
    known = isinstance(said, str) and isinstance(patient, str) and len(said) <= LONGEST_VALUE
    topic = app.topic_of(str(said), registration.site, str(patient)) if known else None
    now = app.seconds()
    return Session(
        launch=secrets.token_urlsafe(16),
        site=registration.site,
        iss=registration.iss,
        client_id=registration.client_id,
        user=user,
        context=launch_context(answer.context, topic=topic),
        scopes=answer.scopes or (),
        asked=pending.asked,
        token=answer.access_token,
        token_expires=now + answer.expires_in,
        refresh_token=answer.refresh_token,
        csrf=app.new_secret(),
        started=now,
    )
