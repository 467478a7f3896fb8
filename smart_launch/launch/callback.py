"""GET /smart/callback: from the authorization server back to a session of its own.

State first; then the code for a token, who the user is, which patient. What a browser sends is believed only after
that.
"""

from __future__ import annotations

import hmac
import secrets

import msgspec
from flask import g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from smart_launch.errors import EhrFailed, LaunchRefused
from smart_launch.oauth.context import launch_context
from smart_launch.oauth.discovery import Endpoints
from smart_launch.oauth.id_token import verified_user
from smart_launch.oauth.tokens import TokenAnswer
from smart_launch.records import note
from smart_launch.runtime import AppRuntime, digest
from smart_launch.session.cookies import BROWSER, SESSION, cookie, put_cookie
from smart_launch.session.pending import LONGEST_VALUE, Pending, one
from smart_launch.session.sessions import Session, StoredSession, User
from smart_launch.settings import Registration


def finish(app: AppRuntime) -> BaseResponse:
    """A session for the launch that this callback belongs to."""
    pending, registration = awaited(app)
    endpoints = app.discovery.endpoints(registration)
    check_sender(registration, endpoints)
    code = answered_code()
    answer = token_for(app, registration, code, pending.verifier)
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
        StoredSession(
            digest=digest(secret),
            launch=session.launch_id,
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
    where = redirect(url_for("smart_app.summary", launch_id=session.launch_id), 303)
    put_cookie(where, SESSION, secret)  # type: ignore[arg-type]  # werkzeug's and flask's answers set cookies alike
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


def token_for(app: AppRuntime, registration: Registration, code: str, verifier: str) -> TokenAnswer:
    """The token for a code. A code is never sent twice (SMART-057)."""
    try:
        return app.token_endpoint(registration).exchange(code, verifier, app.settings().redirect_uri)
    except EhrFailed as error:
        if error.page == "not-registered":
            # What is kept of the configuration may be old; the next launch asks again.
            app.discovery.forget(registration)
        raise


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
        launch_id=secrets.token_urlsafe(16),
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
