"""Guards every page of a launch: the session is this browser's, still open, and its access token is valid.

A form must also carry its session's CSRF token and come from one of our pages (SMART-092).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from flask import Response, g, request

from explanations.words.language import Language
from smart_launch.errors import Forbidden, LaunchRefused, SessionOver
from smart_launch.launch.refresh import end_page, unseal_session, with_good_token
from smart_launch.oauth.scopes import grants
from smart_launch.pages.language import user_language
from smart_launch.pages.responses import page
from smart_launch.runtime import AppRuntime, digest
from smart_launch.session.cookies import BROWSER, SESSION, cookie
from smart_launch.session.sessions import Session
from smart_launch.session.store import StoredSession
from smart_launch.settings import AppSite, Registration

MOST_FORM_BYTES = 64 * 1024
# Fetch Metadata of what somebody opens, in a window or an EHR's frame. Chromium 76 to 79 wrote "nested-navigate".
OPENED_AS, OPENED_BY = (None, "document", "iframe", "frame"), (None, "navigate", "nested-navigate")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLaunch:
    """One request within a session. say: the user's language, also of `site.notices`.

    expires_in: seconds until it ends if idle.
    """

    session: Session
    site: AppSite
    registration: Registration
    say: Language
    expires_in: int

    @property
    def safe(self) -> OpenLaunch:
        """The same, in the language that every notice is in."""
        return replace(self, say=self.site.notices.safe.say)

    def can_write(self, kind: str, right: str) -> bool:
        """Whether site and EHR let this launch create (c) or update (u) a type."""
        return self.registration.write_back and grants(self.session.scopes, kind, right)


def open_launch(app: AppRuntime, launch_id: str) -> OpenLaunch:
    """The launch of a page, marked as used, with a valid token. Raises SessionOver."""
    launch = load_session(app, launch_id)
    app.store.use_session(launch_id, app.seconds())
    return replace(launch, session=with_good_token(app, launch.registration, launch.session))


def open_form(app: AppRuntime, launch_id: str) -> OpenLaunch:
    """The launch of a submitted form. Raises SessionOver, or Forbidden if the form is not ours."""
    check_origin(app.settings().address)
    request.max_content_length = MOST_FORM_BYTES
    launch = open_launch(app, launch_id)
    if not hmac.compare_digest(request.form.get("csrf", "").encode(), launch.session.csrf.encode()):
        raise Forbidden("form: expected the token of this session", "form-refused")
    return launch


def load_session(app: AppRuntime, launch_id: str) -> OpenLaunch:
    """The launch as it is, neither marked as used nor refreshed. Raises SessionOver."""
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
    site = replace(site, notices=replace(site.notices, say=user_language(site.languages)))
    say = site.notices.say
    return OpenLaunch(session=session, site=site, registration=registration, say=say, expires_in=left)


def stored_session(app: AppRuntime, launch_id: str) -> StoredSession:
    """The stored session of this browser. Raises SessionOver if it has none or it has ended."""
    secret = cookie(SESSION)
    stored = app.store.session(launch_id)
    if stored is None:
        raise SessionOver("session: expected a known session")
    # From here on, errors may be shown inside the EHR's frame.
    g.registration = app.settings().registered(stored.iss)
    browser = cookie(BROWSER)
    ours = browser is not None and hmac.compare_digest(stored.browser, digest(browser))
    if stored.ended is not None:
        raise SessionOver(f"session: {stored.ended}", end_page(stored.ended) if ours else "session-ended")
    if secret is None or not hmac.compare_digest(stored.digest, digest(secret)):
        raise SessionOver("session: expected the cookie of this launch", "session-ended")
    return stored


def check_opened() -> None:
    """Raises LaunchRefused when the browser says that it loads this as part of a page, such as an image.

    Old browsers say nothing.
    """
    if request.headers.get("Sec-Fetch-Dest") not in OPENED_AS or request.headers.get("Sec-Fetch-Mode") not in OPENED_BY:
        raise LaunchRefused("launch: expected to be opened as a page or in a frame (Sec-Fetch-Dest)", status=403)


def check_origin(address: str) -> None:
    """Raises Forbidden when the browser says that a form comes from another site.

    Our pages send no referrer, so browsers may send `Origin: null`; then the CSRF token decides.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site not in (None, "same-origin") or origin not in (None, "null", origin_of(address)):
        raise Forbidden("form: expected submission from a page of this app", "form-refused")


def origin_of(address: str) -> str:
    """The origin of an address as browsers write it: lower case, no default port."""
    parts = urlsplit(address.lower())
    usual = {"http": "80", "https": "443"}.get(parts.scheme, "")
    return f"{parts.scheme}://{parts.netloc.removesuffix(f':{usual}')}"


def render(launch: OpenLaunch, template: str, status: int = 200, **values: object) -> Response:
    """A page of this launch; the template gets `launch` and the CSRF token."""
    ids = {"launch_id": launch.session.launch_id, "csrf": launch.session.csrf}
    return page(launch.say, template, status, launch=launch, **ids, **values)
