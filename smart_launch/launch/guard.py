"""Before any page of a launch: the session is this browser's, not over, and its token is good.

A form must also carry the token of its session and come from one of our pages (SMART-092).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from flask import Response, g, request

from explanations.words.language import Language
from smart_launch.errors import Forbidden, SessionOver
from smart_launch.launch.refresh import end_page, unseal_session, with_good_token
from smart_launch.oauth.scopes import grants
from smart_launch.pages.responses import page
from smart_launch.runtime import AppRuntime, digest
from smart_launch.session.cookies import BROWSER, SESSION, cookie
from smart_launch.session.sessions import Session
from smart_launch.session.store import StoredSession
from smart_launch.settings import AppSite, Registration

MOST_FORM_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLaunch:
    """One request within a session. say: the language of its site. expires_in: seconds until it ends if not used."""

    session: Session
    site: AppSite
    registration: Registration
    say: Language
    expires_in: int

    def can_write(self, kind: str, right: str) -> bool:
        """Whether the site and the EHR let this launch create (c) or update (u) a type."""
        return self.registration.write_back and grants(self.session.scopes, kind, right)


def open_launch(app: AppRuntime, launch_id: str) -> OpenLaunch:
    """The launch of a page, used by it, with a token that lasts. Raises SessionOver."""
    launch = load_session(app, launch_id)
    app.store.use_session(launch_id, app.seconds())
    return replace(launch, session=with_good_token(app, launch.registration, launch.session))


def open_form(app: AppRuntime, launch_id: str) -> OpenLaunch:
    """The launch of a form that was sent. Raises SessionOver, or Forbidden for a form that is not of our page."""
    check_origin(app.settings().address)
    request.max_content_length = MOST_FORM_BYTES
    launch = open_launch(app, launch_id)
    if not hmac.compare_digest(request.form.get("csrf", "").encode(), launch.session.csrf.encode()):
        raise Forbidden("form: expected the token of this session", "form-refused")
    return launch


def load_session(app: AppRuntime, launch_id: str) -> OpenLaunch:
    """The launch as it is, neither used nor refreshed. Raises SessionOver."""
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
    say = app.language(site.notices.locale)
    return OpenLaunch(session=session, site=site, registration=registration, say=say, expires_in=left)


def stored_session(app: AppRuntime, launch_id: str) -> StoredSession:
    """The row of that launch, when it is this browser's and not over. Raises SessionOver."""
    secret = cookie(SESSION)
    stored = app.store.session(launch_id)
    if stored is None:
        raise SessionOver("session: expected one that is known")
    # From here on, an error is shown inside the frame of the EHR too.
    g.registration = app.settings().registered(stored.iss)
    browser = cookie(BROWSER)
    ours = browser is not None and hmac.compare_digest(stored.browser, digest(browser))
    if stored.ended is not None:
        raise SessionOver(f"session: {stored.ended}", end_page(stored.ended) if ours else "session-ended")
    if secret is None or not hmac.compare_digest(stored.digest, digest(secret)):
        raise SessionOver("session: expected the cookie of this launch", "session-ended")
    return stored


def check_origin(address: str) -> None:
    """Raises Forbidden for a form that comes from another site, as far as the browser says.

    Our pages send no referrer, so browsers may write Origin as `null`; then the token in the form decides.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site not in (None, "same-origin") or origin not in (None, "null", origin_of(address)):
        raise Forbidden("form: expected it to be sent from a page of this app", "form-refused")


def origin_of(address: str) -> str:
    """The origin of an address as browsers write it: small letters, no default port."""
    parts = urlsplit(address.lower())
    usual = {"http": "80", "https": "443"}.get(parts.scheme, "")
    return f"{parts.scheme}://{parts.netloc.removesuffix(f':{usual}')}"


def render(launch: OpenLaunch, template: str, status: int = 200, **values: object) -> Response:
    """A page of this launch: `launch` for its template, and the token for its forms."""
    ids = {"launch_id": launch.session.launch_id, "csrf": launch.session.csrf}
    return page(launch.say, template, status, launch=launch, **ids, **values)
