"""GET /smart/callback: from the authorization server back to a session.

The state is checked before anything else that the browser sends; then token, user and patient.
"""

from __future__ import annotations

import hmac
import secrets

from flask import g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from fhir_adapters.received import noted
from fhir_adapters.writing.questionnaires import FORMS
from smart_launch.errors import EhrFailed, EhrRefusal, LaunchRefused, said_by_ehr
from smart_launch.launch.guard import check_opened
from smart_launch.launch.parameters import LONGEST_VALUE, parameter
from smart_launch.launch.signer import with_name
from smart_launch.oauth.discovery import Endpoints
from smart_launch.oauth.id_token import verified_user
from smart_launch.oauth.launch_context import launch_context
from smart_launch.oauth.tokens import TokenResponse
from smart_launch.records import record_event
from smart_launch.runtime import AppRuntime, digest
from smart_launch.session.cookies import BROWSER, SESSION, cookie, put_cookie
from smart_launch.session.sessions import PendingLaunch, Session, User
from smart_launch.session.store import StoredSession
from smart_launch.settings import Registration

# Error of an authorization server -> page.
PAGES = {
    "access_denied": "access-denied",
    "invalid_scope": "scope-refused",
    "invalid_client": "not-registered",
    "unauthorized_client": "not-registered",
}

# What an EHR may say as `intent` to open the form of that name directly.
FORM_INTENTS = tuple(FORMS)


class NoCookie(LaunchRefused):
    """The browser kept no cookie, as some do not in frames. launch_url: starts the same launch in a window."""

    page = "no-cookie"

    def __init__(self, message: str, launch_url: str) -> None:
        super().__init__(message)
        self.launch_url = launch_url


def finish(app: AppRuntime) -> BaseResponse:
    """Starts the session of the launch that this callback belongs to; the browser's earlier ones end.

    No patient carries over (SMART-017).
    """
    check_opened()
    pending, registration = pending_launch(app)
    endpoints = app.discovery.endpoints(registration)
    check_issuer(registration, endpoints)
    response = exchange_code(app, registration, authorization_code(), pending.verifier)
    user = token_user(app, registration, endpoints, response, pending.nonce)
    if not pending.ehr_launch and (user is None or user.fhir_user is None):
        # No chart was open: whoever chose the patient may be the patient.
        raise LaunchRefused(
            "callback: expected a practitioner as the user of a standalone launch", "clinicians-only", 403
        )
    if registration.write_back:
        user = with_name(user, registration.iss, response.access_token)
    session = new_session(app, registration, response, user, pending)
    secret = app.new_secret()
    app.store.put_session(
        StoredSession(
            digest=digest(secret),
            launch=session.launch_id,
            browser=pending.browser,
            iss=registration.iss,
            sealed=app.sealed(session),
            started=session.started,
            used=session.started,
            version=0,
        )
    )
    tenant = session.context.tenant
    record_event(app, session, "launched", ehr_launch=pending.ehr_launch, scopes=list(session.scopes), tenant=tenant)
    landing = redirect(landing_page(session), 303)
    put_cookie(landing, SESSION, secret)  # type: ignore[arg-type]  # werkzeug's and flask's responses set cookies alike
    return landing


def landing_page(session: Session) -> str:
    """The summary, or the form that the EHR names as `intent` (SMART-068); nothing else, whatever is sent (051)."""
    intent = session.context.intent
    if intent in FORM_INTENTS:
        return url_for("smart_forms.enter", launch_id=session.launch_id, name=intent)
    return url_for("smart_app.summary", launch_id=session.launch_id)


def pending_launch(app: AppRuntime) -> tuple[PendingLaunch, Registration]:
    """The launch of the state: known, unused, this browser's. Raises LaunchRefused."""
    state, browser = parameter("state"), cookie(BROWSER)
    if state is None:
        raise LaunchRefused("callback: expected state", noted=refusal_of_nobody())
    sealed = app.store.take_launch(digest(state), app.seconds())
    if sealed is None:
        why = "callback: expected an unused state from the last ten minutes"
        raise LaunchRefused(why, "used", noted=refusal_of_nobody())
    try:
        pending = app.unsealed(sealed, PendingLaunch)
    except ValueError as error:
        raise LaunchRefused("callback: expected a state sealed with this key, by this version", "used") from error
    # From here on, errors may be shown inside the EHR's frame.
    g.registration = registration = app.settings().registered(pending.iss)
    if browser is None:
        raise NoCookie("callback: expected the cookie of the launch", pending.launch_url)
    if registration is None or not hmac.compare_digest(pending.browser, digest(browser)):
        raise LaunchRefused("callback: expected the browser that started the launch", "used")
    return pending, registration


def check_issuer(registration: Registration, endpoints: Endpoints) -> None:
    """Raises LaunchRefused when `iss` is not the server we asked, or is absent although promised (RFC 9207)."""
    iss = parameter("iss")
    known = {endpoints.issuer, registration.id_token_issuer} - {None}
    if not (endpoints.sends_iss and known):
        # Servers that follow no standard here name their FHIR base, or nothing.
        known |= {registration.iss, f"{registration.iss}/"}
    if iss not in known and (iss is not None or endpoints.sends_iss):
        why = "callback: expected iss of the server we asked"
        raise LaunchRefused(why, "ehr-not-trusted", noted=noted("iss", iss) if iss else None)


def authorization_code() -> str:
    """The code. Raises LaunchRefused for an error from the EHR, with its own words."""
    if "error" in request.args:
        said = refusal()
        page = PAGES.get(said.code if said else "", "ehr-refused")
        raise LaunchRefused("callback: the EHR answered with an error", page, said=said)
    code = parameter("code")
    if code is None:
        raise LaunchRefused("callback: expected code")
    return code


def refusal() -> EhrRefusal | None:
    """The error in the address of a callback, whatever it holds and however often it comes."""
    error, description = (next(iter(request.args.getlist(n)), None) for n in ("error", "error_description"))
    return said_by_ehr(error, description, request.args.getlist("state"))


def refusal_of_nobody() -> dict[str, str]:
    """The same for a callback that belongs to no launch: anybody may have written it, so it is for the log alone."""
    said = refusal()
    return noted("error", f"{said.code}: {said.words}") if said else {}


def exchange_code(app: AppRuntime, registration: Registration, code: str, verifier: str) -> TokenResponse:
    """The token for a code. A code is never sent twice (SMART-057)."""
    try:
        return app.token_endpoint(registration).exchange(code, verifier, app.settings().redirect_uri)
    except EhrFailed as error:
        if error.page == "not-registered":
            # The cached configuration may be out of date; the next launch reads it again.
            app.discovery.forget(registration)
        raise


def token_user(
    app: AppRuntime, registration: Registration, endpoints: Endpoints, response: TokenResponse, nonce: str
) -> User | None:
    """The user; None if the EHR does not say, so that nothing can be written.

    Raises EhrFailed or LaunchRefused.
    """
    if response.id_token is None:
        if "openid" in (response.scopes or ()):
            raise EhrFailed("token answer: expected id_token, since openid was granted", "identity")
        return None
    return verified_user(
        response.id_token,
        registration=registration,
        endpoints=endpoints,
        keys=app.issuer_keys,
        nonce=nonce,
        now=app.now(),
    )


def new_session(
    app: AppRuntime, registration: Registration, response: TokenResponse, user: User | None, pending: PendingLaunch
) -> Session:
    """The session of a launch. Raises EhrFailed when the EHR names no patient."""
    app_context, patient = response.context.get("appContext"), response.context.get("patient")
    usable = isinstance(app_context, str) and isinstance(patient, str) and len(app_context) <= LONGEST_VALUE
    topic = app.topic_of(str(app_context), registration.site, str(patient)) if usable else None
    now = app.seconds()
    return Session(
        launch_id=secrets.token_urlsafe(16),
        site=registration.site,
        iss=registration.iss,
        client_id=registration.client_id,
        user=user,
        context=launch_context(response.context, topic=topic),
        scopes=response.scopes or (),
        requested_scopes=pending.requested_scopes,
        token=response.access_token,
        token_expires=now + response.expires_in,
        refresh_token=response.refresh_token,
        csrf=app.new_secret(),
        started=now,
    )
