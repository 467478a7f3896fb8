"""Before any page of a launch: the session is this browser's, not over, and its token is good.

Forms are checked first: our own token in them, sent from our own page (SMART-092). The token is refreshed by one
request at a time, over all workers, since a refresh token must not be used twice (SMART-080).
"""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import msgspec
from flask import Response, g, request

from smart_launch.errors import EhrFailed, NotAllowed, SessionOver
from smart_launch.oauth.outbound import TIMEOUT_S, NotReached
from smart_launch.pages.responses import page
from smart_launch.runtime import AppRuntime, digest
from smart_launch.session.cookies import BROWSER, SESSION, cookie
from smart_launch.session.sessions import Session, StoredSession
from smart_launch.settings import AppSite, Registration

BEFORE_EXPIRY_S = 30
WAIT_S, PAUSE_S = TIMEOUT_S + 3.0, 0.1
MOST_FORM_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLaunch:
    """One request within a session. expires_in: seconds until it ends without another press."""

    session: Session
    site: AppSite
    registration: Registration
    expires_in: int


def open_launch(app: AppRuntime, launch_id: str) -> OpenLaunch:
    """The session of a page, used by it, with a token that lasts. Raises SessionOver."""
    launch = load_session(app, launch_id)
    app.store.use_session(launch_id, app.seconds())
    return replace(launch, session=with_good_token(app, launch.registration, launch.session))


def load_session(app: AppRuntime, launch_id: str) -> OpenLaunch:
    """The session as it is. Raises SessionOver."""
    stored = stored_session(app, launch_id)
    session = unseal_session(app, stored)
    site = app.settings().site(session.site)
    registration = app.settings().registered(session.iss)
    same = registration is not None and (registration.site, registration.client_id) == (session.site, session.client_id)
    if site is None or registration is None or not same:
        app.store.end_session(launch_id, "ended")
        raise SessionOver("session: its EHR is no longer registered")
    now = app.seconds()
    if now >= min(stored.used + registration.idle_s, stored.started + registration.absolute_s):
        app.store.end_session(launch_id, "timed-out")
        raise SessionOver("session: timed out", "timed-out")
    left = min(registration.idle_s, stored.started + registration.absolute_s - now)
    return OpenLaunch(session=session, site=site, registration=registration, expires_in=left)


def open_form(app: AppRuntime, launch_id: str) -> OpenLaunch:
    """The session of a form that was sent. Raises SessionOver, or NotAllowed for a form that is not of our page."""
    check_sender(app.settings().address)
    request.max_content_length = MOST_FORM_BYTES
    launch = open_launch(app, launch_id)
    if not hmac.compare_digest(request.form.get("csrf", "").encode(), launch.session.csrf.encode()):
        raise NotAllowed("form: expected the token of this session", "form-refused")
    return launch


def check_sender(address: str) -> None:
    """The form comes from a page of ours, as far as the browser says. Raises NotAllowed.

    Pages refer nothing, so browsers may write Origin as `null`; then the token in the form decides.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site not in (None, "same-origin") or origin not in (None, "null", origin_of(address)):
        raise NotAllowed("form: expected it to be sent from a page of this app", "form-refused")


def origin_of(address: str) -> str:
    """The origin of an address as browsers write it: small letters, no default port."""
    parts = urlsplit(address.lower())
    usual = {"http": "80", "https": "443"}.get(parts.scheme, "")
    return f"{parts.scheme}://{parts.netloc.removesuffix(f':{usual}')}"


def stored_session(app: AppRuntime, launch_id: str) -> StoredSession:
    """The session of that launch, when it is this browser's and not over. Raises SessionOver."""
    secret = cookie(SESSION)
    stored = app.store.session(launch_id)
    if stored is None:
        raise SessionOver("session: expected one that is known")
    # Whose frames may show what comes of this, an error too.
    g.registration = app.settings().registered(stored.iss)
    browser = cookie(BROWSER)
    ours = browser is not None and hmac.compare_digest(stored.browser, digest(browser))
    if stored.ended is not None:
        raise SessionOver(f"session: {stored.ended}", end_page(stored.ended) if ours else "session-ended")
    if secret is None or not hmac.compare_digest(stored.digest, digest(secret)):
        raise SessionOver("session: expected the cookie of this launch", "session-ended")
    return stored


def end_page(ended: str) -> str:
    """The page that says why a session is over."""
    return ended if ended in ("moved", "timed-out", "closed", "access-ended") else "session-ended"


def unseal_session(app: AppRuntime, stored: StoredSession) -> Session:
    """What is kept of a session. Raises SessionOver when it was sealed with another key, or by another version."""
    try:
        return msgspec.json.decode(app.unseal(stored.sealed), type=Session)
    except (ValueError, msgspec.DecodeError) as error:
        raise SessionOver("session: expected what was sealed with this key, by this version") from error


# ---- the token ----------------------------------------------------------------------------------------------------


def with_good_token(app: AppRuntime, registration: Registration, session: Session) -> Session:
    """The session with a token that lasts; refreshed when it is about to expire. Raises SessionOver."""
    if app.seconds() < session.token_expires - BEFORE_EXPIRY_S:
        return session
    if session.refresh_token is None:
        if app.seconds() < session.token_expires:
            return session
        app.store.end_session(session.launch_id, "access-ended")
        raise SessionOver("session: the access that the EHR gave is over", "access-ended")
    return refresh_session(app, registration, session)


def refresh_session(app: AppRuntime, registration: Registration, session: Session) -> Session:
    """The session with a new token: got by this request, or by another one meanwhile.

    Raises SessionOver; EhrFailed when the EHR's configuration cannot be had, or its token endpoint not be reached.
    """
    # Before its turn is taken: while these cannot be had, nothing is lost and the next request tries again.
    endpoint = app.token_endpoint(registration)
    turn = f"refresh:{session.launch_id}:{session.version}"
    if not app.store.claim(turn, session.launch_id, app.seconds()):
        return wait_for_refresh(app, session)
    try:
        answer = endpoint.refresh(session.refresh_token or "")
    except NotReached:
        # Nothing was sent, so the refresh token is as good as it was.
        app.store.release(turn)
        raise
    except EhrFailed as error:
        app.store.end_session(session.launch_id, "access-ended")
        raise SessionOver(f"session: not refreshed: {error}", "access-ended") from error
    if answer.context.get("patient") not in (None, session.context.patient):
        app.store.end_session(session.launch_id, "access-ended")
        raise SessionOver("session: expected the patient of the launch when refreshing", "access-ended")
    changed = msgspec.structs.replace(
        session,
        token=answer.access_token,
        token_expires=app.seconds() + answer.expires_in,
        # A server that sends none leaves the old one in use; one that rotates sends the next.
        refresh_token=answer.refresh_token or session.refresh_token,
        scopes=answer.scopes if answer.scopes is not None else session.scopes,
        version=session.version + 1,
    )
    sealed = app.seal(msgspec.json.encode(changed).decode())
    if not app.store.change_session(session.launch_id, sealed, changed.version):
        # Over meanwhile: closed, or another launch in this browser.
        raise ended_meanwhile(app.store.session(session.launch_id))
    return changed


def wait_for_refresh(app: AppRuntime, session: Session) -> Session:
    """The session once another request has refreshed it. Raises SessionOver."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        stored = app.store.session(session.launch_id)
        if stored is None or stored.ended is not None:
            raise ended_meanwhile(stored)
        if stored.version > session.version:
            return unseal_session(app, stored)
        time.sleep(PAUSE_S)
    raise SessionOver("session: another request could not refresh it", "access-ended")


def ended_meanwhile(stored: StoredSession | None) -> SessionOver:
    """Why a session ended while it was refreshed."""
    ended = (stored.ended if stored else None) or "ended"
    return SessionOver(f"session: {ended} while it was refreshed", end_page(ended))


# ---- pages --------------------------------------------------------------------------------------------------------


def render(launch: OpenLaunch, template: str, status: int = 200, **values: object) -> Response:
    """A page of this session: `launch` for its template, and the token for its forms."""
    return page(template, status, launch=launch, launch_id=launch.session.launch_id, csrf=launch.session.csrf, **values)
