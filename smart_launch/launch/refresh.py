"""Refreshes a session's token.

One request at a time does so across all workers, since a refresh token must not be used twice (SMART-080).
"""

from __future__ import annotations

import time

import msgspec

from smart_launch.errors import EhrFailed, SessionOver
from smart_launch.oauth.outbound import TIMEOUT_S, NothingSent
from smart_launch.runtime import AppRuntime
from smart_launch.session.sessions import Session
from smart_launch.session.store import StoredSession
from smart_launch.settings import Registration

BEFORE_EXPIRY_S = 30
WAIT_S, PAUSE_S = TIMEOUT_S + 3.0, 0.1


def with_good_token(app: AppRuntime, registration: Registration, session: Session) -> Session:
    """The session, refreshed if its token is about to expire. Raises SessionOver."""
    if app.seconds() < session.token_expires - BEFORE_EXPIRY_S:
        return session
    if session.refresh_token is None:
        if app.seconds() < session.token_expires:
            return session
        app.store.end_session(session.launch_id, "access-ended")
        raise SessionOver("session: the access granted by the EHR has expired", "access-ended")
    return refresh_session(app, registration, session)


def refresh_session(app: AppRuntime, registration: Registration, session: Session) -> Session:
    """The session with a new token, obtained by this request or another.

    Raises SessionOver; EhrFailed when the EHR's configuration or token endpoint cannot be reached.
    """
    # Before the claim: if the configuration cannot be read, nothing is lost and the next request tries again.
    endpoint = app.token_endpoint(registration)
    claim = f"refresh:{session.launch_id}:{session.version}"
    if not app.store.claim(claim, session.launch_id, app.seconds()):
        return wait_for_refresh(app, session)
    try:
        response = endpoint.refresh(session.refresh_token or "")
    except NothingSent:
        # The refresh token has not been used.
        app.store.release(claim)
        raise
    except EhrFailed as error:
        app.store.end_session(session.launch_id, "access-ended")
        raise SessionOver(f"session: not refreshed: {error}", "access-ended", said=error.said) from error
    if response.context.get("patient") not in (None, session.context.patient):
        app.store.end_session(session.launch_id, "access-ended")
        raise SessionOver("session: expected the patient of the launch when refreshing", "access-ended")
    changed = msgspec.structs.replace(
        session,
        token=response.access_token,
        token_expires=app.seconds() + response.expires_in,
        # A server that does not rotate refresh tokens may send none.
        refresh_token=response.refresh_token or session.refresh_token,
        scopes=response.scopes if response.scopes is not None else session.scopes,
        version=session.version + 1,
    )
    if not app.store.change_session(session.launch_id, app.sealed(changed), changed.version):
        # Closed meanwhile, or ended by another launch in this browser.
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


def unseal_session(app: AppRuntime, stored: StoredSession) -> Session:
    """Decrypts a stored session. Raises SessionOver when it was sealed with another key or by another version."""
    try:
        return app.unsealed(stored.sealed, Session)
    except ValueError as error:
        raise SessionOver("session: expected a session sealed with this key by this version") from error


def ended_meanwhile(stored: StoredSession | None) -> SessionOver:
    """Why a session ended while it was refreshed."""
    ended = (stored.ended if stored else None) or "ended"
    return SessionOver(f"session: {ended} while it was refreshed", end_page(ended))


def end_page(ended: str) -> str:
    """The page that says why a session is over."""
    return ended if ended in ("moved", "timed-out", "closed", "access-ended") else "session-ended"
