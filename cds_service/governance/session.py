"""Who uses the governance pages: from a sign-in to a session, and the guard before every page and form.

The browser holds an opaque secret in a cookie that no other site can make it send; who it is stands in the store,
sealed. Roles follow from the settings of this moment, so taking a group out of them ends what its people may do.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.fernet import InvalidToken
from flask import request

from cds_service.control.acts import Actor
from cds_service.governance.errors import PageRefusal, PageRefused
from cds_service.governance.provider import Attempt, Provider, SignedIn
from cds_service.serving.runtime import Runtime
from cds_service.settings.governance import GovernanceSettings, Role
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.governance_store import GovernanceRows, GovernanceSession
from smart_launch.errors import SmartError
from smart_launch.launch.guard import MOST_FORM_BYTES, check_origin
from smart_launch.launch.parameters import parameter
from smart_launch.runtime import digest
from smart_launch.session.cookies import cookie

# The browser in which a sign-in began, and its session.
BROWSER, SESSION = "__Host-mhcds-sign-in", "__Host-mhcds-governance"
SIGN_IN_S = 600
# A clock that is set back by more than this ends a session: its age is no longer known.
CLOCK_S = 60
MOST_NAME, MOST_SUBJECT = 60, 130
THROUGH = "page"


class Right(msgspec.Struct, frozen=True):
    """Something that only some may do. words: for the page, after "needs the role"."""

    name: str
    roles: frozenset[Role]

    @property
    def words(self) -> str:
        """Who may."""
        return " or ".join(role.value.replace("-", " ") for role in Role if role in self.roles)


SWITCH = Right("switch", frozenset({Role.OPERATOR, Role.SAFETY_OFFICER}))
SWITCH_SAFETY = Right("switch-safety", frozenset({Role.SAFETY_OFFICER}))
SET_MODE = Right("mode", frozenset({Role.SAFETY_OFFICER}))
LOOK = Right("look", frozenset(Role))
READ = Right("read", frozenset(Role) - {Role.RESPONDER})
INCIDENT = Right("incident", frozenset({Role.OPERATOR, Role.SAFETY_OFFICER}))
# With a patient's id one learns whose records they are.
SEARCH_PATIENT = Right("search-patient", frozenset({Role.OPERATOR, Role.SAFETY_OFFICER}))
ESCALATION = Right("escalation", frozenset({Role.OPERATOR, Role.SAFETY_OFFICER, Role.RESPONDER}))
# A page of ours, without what stands before it: nothing in it can lead elsewhere.
WAY_BACK = re.compile(r"/[a-z]+(/[0-9a-f-]{4,36})?")


class WaitingSignIn(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in that waits for its callback. browser: digest of the secret in its cookie. back: the page asked for."""

    browser: str
    nonce: str
    verifier: str
    back: str = "/"


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed in; `issuer` and `subject` are the key. groups: values of the claim that roles hang on."""

    issuer: str
    subject: str
    name: str
    groups: tuple[str, ...]
    csrf: str
    id_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """The person of one request, and what they may do."""

    person: Person
    roles: frozenset[Role]

    def may(self, right: Right) -> bool:
        """Whether one of their roles allows it."""
        return bool(self.roles & right.roles)

    @property
    def actor(self) -> Actor:
        """As records name them: the subject alone is sure to be one person's."""
        subject = self.person.subject[:MOST_SUBJECT]
        return Actor(f"{self.person.name[:MOST_NAME]} ({subject})", THROUGH, subject)

    @property
    def named(self) -> str:
        """Name and subject."""
        return self.actor.who


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the pages are made with."""

    runtime: Runtime
    rows: GovernanceRows
    provider: Provider
    new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(32)

    @property
    def settings(self) -> GovernanceSettings:
        """The settings of this moment. Raises PageRefused once they have no [governance]."""
        settings = self.runtime.config().governance
        if settings is None:
            raise PageRefused(PageRefusal.NOTHING, "[governance] was taken out of the settings")
        return settings

    @property
    def address(self) -> str:
        """Our own, from public_url; the Host header has no say."""
        return self.runtime.config().address or ""

    def seconds(self) -> int:
        """Now, in seconds since 1970."""
        return int(self.runtime.now().timestamp())

    def sealed(self, value: msgspec.Struct) -> bytes:
        """For the store."""
        return self.runtime.key.seal(msgspec.json.encode(value).decode())

    def record(self, what: str, by: str, site: str = "", patient: str | None = None, **facts: Any) -> None:  # noqa: ANN401  # as JSON has it
        """Appends what a person did here to the chain of a site, or of the deployment. patient: a pseudonym."""
        at = self.runtime.now().isoformat()
        event = NewEvent(
            site=site, kind=AuditKind.GOVERNANCE, at=at, event={"what": what, "by": by, **facts}, patient=patient
        )
        with self.rows.store.transaction() as connection:
            append(connection, event)


# ---- signing in and out ---------------------------------------------------------------------------------------------


def way_back(path: str) -> str:
    """The page to come back to after a sign-in, below /governance; the overview for what is no page of ours."""
    return path if WAY_BACK.fullmatch(path) else "/"


def begin(desk: Desk, back: str) -> tuple[str, str]:
    """The provider's address to go to, and the secret for the cookie of this browser. back: as `way_back` gives it."""
    settings, browser = desk.settings, cookie(BROWSER) or desk.new_secret()
    attempt = _attempt(desk, desk.new_secret(), desk.new_secret(), secrets.token_urlsafe(64))
    url = desk.provider.sign_in_url(settings, attempt)
    waiting = WaitingSignIn(browser=digest(browser), nonce=attempt.nonce, verifier=attempt.verifier, back=back)
    now = desk.seconds()
    desk.rows.put_sign_in(digest(attempt.state), desk.sealed(waiting), now, now + SIGN_IN_S)
    return url, browser


def _attempt(desk: Desk, state: str, nonce: str, verifier: str) -> Attempt:
    # Links of the app begin with the path of public_url; so does this one, whatever the Host header says.
    redirect_uri = f"{desk.address}/governance/callback"
    return Attempt(redirect_uri=redirect_uri, state=state, nonce=nonce, verifier=verifier)


def finish(desk: Desk) -> tuple[str, Visitor, str]:
    """A new session for whoever comes back: the secret of its cookie, who it is, and the page they asked for.

    Raises PageRefused.
    """
    settings, state, browser = desk.settings, _parameter("state"), cookie(BROWSER)
    if state is None or browser is None:
        raise PageRefused(PageRefusal.STALE, "callback: expected state and the cookie of the browser that began")
    taken = desk.rows.take_sign_in(digest(state), desk.seconds())
    waiting = None if taken is None else _unsealed(desk, taken, WaitingSignIn)
    if waiting is None or not hmac.compare_digest(waiting.browser, digest(browser)):
        raise PageRefused(
            PageRefusal.STALE, "callback: expected an unused state of this browser, from the last ten minutes"
        )
    if _parameter("error") is not None:
        raise PageRefused(PageRefusal.DECLINED, "callback: the provider answered with an error")
    code = _parameter("code")
    if code is None:
        raise PageRefused(PageRefusal.STALE, "callback: expected code")
    attempt = _attempt(desk, state, waiting.nonce, waiting.verifier)
    found = desk.provider.signed_in(settings, attempt, code, _parameter("iss"), desk.runtime.now())
    person = _person(desk, settings, found)
    visitor = Visitor(person=person, roles=settings.roles_of(frozenset(person.groups)))
    secret, now = desk.new_secret(), desk.seconds()
    desk.record("signed-in" if visitor.roles else "no-role", visitor.named, roles=sorted(visitor.roles))
    desk.rows.put_session(GovernanceSession(digest=digest(secret), sealed=desk.sealed(person), started=now, used=now))
    return secret, visitor, waiting.back


def _person(desk: Desk, settings: GovernanceSettings, found: SignedIn) -> Person:
    """Of their groups only those that give a role are kept: the others are none of our business."""
    known = frozenset().union(*settings.roles.values())
    return Person(
        issuer=settings.issuer,
        subject=found.subject,
        name=found.name,
        groups=tuple(group for group in found.groups if group in known),
        csrf=desk.new_secret(),
        id_token=found.id_token,
    )


def sign_out(desk: Desk) -> str | None:
    """Ends the session of a form; where to sign out at the provider too, if it says so."""
    visitor = form_visitor(desk, needs_role=False)
    desk.rows.end_session(digest(cookie(SESSION) or ""), "signed-out")
    desk.record("signed-out", visitor.named)
    back = f"{desk.address}/governance/"
    return desk.provider.sign_out_url(desk.settings, visitor.person.id_token, back)


# ---- the guard ------------------------------------------------------------------------------------------------------


def page_visitor(desk: Desk) -> Visitor:
    """Who looks at a page. Raises PageRefused: signed out, timed out, or without a role."""
    return _visitor(desk, needs_role=True)


def known_visitor(desk: Desk) -> Visitor | None:
    """Who is signed in, with a role or without; None for nobody."""
    try:
        return _visitor(desk, needs_role=False)
    except PageRefused:
        return None


def form_visitor(desk: Desk, right: Right | None = None, *, needs_role: bool = True) -> Visitor:
    """Who sends a form of ours, and may. Raises PageRefused; a refusal of somebody who is signed in is recorded."""
    request.max_content_length = MOST_FORM_BYTES
    visitor = _visitor(desk, needs_role=needs_role)
    try:
        check_origin(desk.address)
    except SmartError as error:
        raise _recorded(desk, visitor, PageRefusal.FORM, str(error)) from error
    if not hmac.compare_digest(request.form.get("csrf", "").encode(), visitor.person.csrf.encode()):
        raise _recorded(desk, visitor, PageRefusal.FORM, "form: expected the token of this session")
    if right is not None:
        require(desk, visitor, right)
    return visitor


def require(desk: Desk, visitor: Visitor, right: Right) -> None:
    """Raises PageRefused, and records it, unless the visitor may do this."""
    if not visitor.may(right):
        raise _recorded(
            desk, visitor, PageRefusal.NOT_YOURS, f"role: expected one for {right.name}", f"It needs: {right.words}."
        )


def _visitor(desk: Desk, *, needs_role: bool) -> Visitor:
    settings, secret, now = desk.settings, cookie(SESSION), desk.seconds()
    stored = desk.rows.session(digest(secret)) if secret else None
    if stored is None:
        raise PageRefused(PageRefusal.SIGNED_OUT, "session: expected a known cookie")
    if stored.ended is not None:
        raise PageRefused(
            PageRefusal.TIMED_OUT if stored.ended == "timed-out" else PageRefusal.SIGNED_OUT, f"session: {stored.ended}"
        )
    over = now >= min(stored.used + settings.idle_s, stored.started + settings.absolute_s)
    person = _unsealed(desk, stored.sealed, Person)
    if over or now < stored.used - CLOCK_S or person is None or person.issuer != settings.issuer:
        desk.rows.end_session(stored.digest, "timed-out")
        raise PageRefused(PageRefusal.TIMED_OUT, "session: timed out, or not of this clock, key or provider")
    desk.rows.use_session(stored.digest, max(now, stored.used))
    visitor = Visitor(person=person, roles=settings.roles_of(frozenset(person.groups)))
    if needs_role and not visitor.roles:
        raise PageRefused(PageRefusal.NO_ROLE, "role: expected one")
    return visitor


def _recorded(desk: Desk, visitor: Visitor, why: PageRefusal, message: str, detail: str = "") -> PageRefused:
    desk.record("refused", visitor.named, why=why.name.lower().replace("_", "-"), page=(request.endpoint or "")[:80])
    return PageRefused(why, message, detail)


def _unsealed(desk: Desk, sealed: bytes, kind: type[Any]) -> Any:  # noqa: ANN401  # of the kind
    """What was sealed; None for another key's or version's."""
    try:
        return msgspec.json.decode(desk.runtime.key.unseal(sealed), type=kind)
    except (InvalidToken, msgspec.MsgspecError):
        return None


def _parameter(name: str) -> str | None:
    try:
        return parameter(name)
    except SmartError as error:
        raise PageRefused(PageRefusal.STALE, f"callback: expected {name} once, with a value") from error
