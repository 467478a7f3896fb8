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
from smart_launch.session.sessions import KeptSession, Session
from smart_launch.settings import AppSite, Registration

BEFORE_EXPIRY_S = 30
WAIT_S, PAUSE_S = TIMEOUT_S + 3.0, 0.1
MOST_FORM_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """One request within a session. expires_in: seconds until it ends without another press."""

    session: Session
    site: AppSite
    registration: Registration
    expires_in: int


def opened(app: AppRuntime, launch: str) -> Opened:
    """The session of a page, used by it, with a token that lasts. Raises SessionOver."""
    there = looked_at(app, launch)
    app.store.use_session(launch, app.seconds())
    return replace(there, session=with_good_token(app, there.registration, there.session))


def looked_at(app: AppRuntime, launch: str) -> Opened:
    """The session as it is. Raises SessionOver."""
    kept = found(app, launch)
    session = unsealed(app, kept)
    site = app.settings().site(session.site)
    registration = app.settings().registered(session.iss)
    same = registration is not None and (registration.site, registration.client_id) == (session.site, session.client_id)
    if site is None or registration is None or not same:
        app.store.end_session(launch, "ended")
        raise SessionOver("session: its EHR is no longer registered")
    now = app.seconds()
    if now >= min(kept.used + registration.idle_s, kept.started + registration.absolute_s):
        app.store.end_session(launch, "timed-out")
        raise SessionOver("session: timed out", "timed-out")
    left = min(registration.idle_s, kept.started + registration.absolute_s - now)
    return Opened(session=session, site=site, registration=registration, expires_in=left)


def opened_form(app: AppRuntime, launch: str) -> Opened:
    """The session of a form that was sent. Raises SessionOver, or NotAllowed for a form that is not of our page."""
    check_sender(app.settings().address)
    request.max_content_length = MOST_FORM_BYTES
    there = opened(app, launch)
    if not hmac.compare_digest(request.form.get("csrf", "").encode(), there.session.csrf.encode()):
        raise NotAllowed("form: expected the token of this session", "form-refused")
    return there


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


def found(app: AppRuntime, launch: str) -> KeptSession:
    """The session of that launch, when it is this browser's and not over. Raises SessionOver."""
    secret = cookie(SESSION)
    kept = app.store.session(launch)
    if kept is None:
        raise SessionOver("session: expected one that is known")
    # Whose frames may show what comes of this, an error too.
    g.registration = app.settings().registered(kept.iss)
    browser = cookie(BROWSER)
    ours = browser is not None and hmac.compare_digest(kept.browser, digest(browser))
    if kept.ended is not None:
        raise SessionOver(f"session: {kept.ended}", page_of(kept.ended) if ours else "session-ended")
    if secret is None or not hmac.compare_digest(kept.digest, digest(secret)):
        raise SessionOver("session: expected the cookie of this launch", "session-ended")
    return kept


def page_of(ended: str) -> str:
    """The page that says why a session is over."""
    return ended if ended in ("moved", "timed-out", "closed", "access-ended") else "session-ended"


def unsealed(app: AppRuntime, kept: KeptSession) -> Session:
    """What is kept of a session. Raises SessionOver when it was sealed with another key, or by another version."""
    try:
        return msgspec.json.decode(app.unseal(kept.sealed), type=Session)
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
        app.store.end_session(session.launch, "access-ended")
        raise SessionOver("session: the access that the EHR gave is over", "access-ended")
    return refreshed(app, registration, session)


def refreshed(app: AppRuntime, registration: Registration, session: Session) -> Session:
    """The session with a new token: got by this request, or by another one meanwhile.

    Raises SessionOver; EhrFailed when the EHR's configuration cannot be had, or its token endpoint not be reached.
    """
    # Before its turn is taken: while these cannot be had, nothing is lost and the next request tries again.
    endpoint = app.token_endpoint(registration)
    turn = f"refresh:{session.launch}:{session.version}"
    if not app.store.claim(turn, session.launch, app.seconds()):
        return awaited(app, session)
    try:
        answer = endpoint.refresh(session.refresh_token or "")
    except NotReached:
        # Nothing was sent, so the refresh token is as good as it was.
        app.store.release(turn)
        raise
    except EhrFailed as error:
        app.store.end_session(session.launch, "access-ended")
        raise SessionOver(f"session: not refreshed: {error}", "access-ended") from error
    if answer.context.get("patient") not in (None, session.context.patient):
        app.store.end_session(session.launch, "access-ended")
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
    if not app.store.change_session(session.launch, sealed, changed.version):
        # Over meanwhile: closed, or another launch in this browser.
        raise over(app.store.session(session.launch))
    return changed


def awaited(app: AppRuntime, session: Session) -> Session:
    """The session once another request has refreshed it. Raises SessionOver."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        kept = app.store.session(session.launch)
        if kept is None or kept.ended is not None:
            raise over(kept)
        if kept.version > session.version:
            return unsealed(app, kept)
        time.sleep(PAUSE_S)
    raise SessionOver("session: another request could not refresh it", "access-ended")


def over(kept: KeptSession | None) -> SessionOver:
    """Why a session ended while it was refreshed."""
    ended = (kept.ended if kept else None) or "ended"
    return SessionOver(f"session: {ended} while it was refreshed", page_of(ended))


# ---- pages --------------------------------------------------------------------------------------------------------


def render(there: Opened, template: str, status: int = 200, **values: object) -> Response:
    """A page of this session: `opened` for its template, and the token for its forms."""
    return page(template, status, opened=there, launch=there.session.launch, csrf=there.session.csrf, **values)
