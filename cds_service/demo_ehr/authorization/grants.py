"""What the demo EHR's authorization server has issued: launch handles, codes, access and refresh tokens.

In memory, guarded by one lock. A grant is what a clinician allowed an app in one launch; codes and tokens refer to it,
and revoking it ends them all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

from cds_service.demo_ehr.authorization.clients import OAuthError

VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
"""What a PKCE verifier is (RFC 7636, 4.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """The context behind a launch handle."""

    client_id: str
    patient: str
    encounter: str | None
    app_context: str | None = None
    intent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grant:
    """What one app may do, for which patient. `scopes` are as granted, in the syntax that they were granted in."""

    client_id: str
    scopes: tuple[str, ...]
    patient: str | None
    encounter: str | None
    app_context: str | None
    intent: str | None
    nonce: str | None


@dataclass(slots=True, kw_only=True)
class _Code:
    grant: Grant
    redirect_uri: str
    challenge: str
    expires: float
    used: bool = False


class Grants:
    """`now` gives seconds since 1970."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._launches: dict[str, tuple[Launch, float]] = {}
        self._codes: dict[str, _Code] = {}
        self._access: dict[str, tuple[Grant, float, tuple[str, ...]]] = {}
        self._refresh: dict[str, tuple[Grant, bool]] = {}
        self._ended: set[Grant] = set()
        self._lock = threading.Lock()

    def new_launch(self, launch: Launch, life_s: int) -> str:
        """A handle that can be used repeatedly for `life_s` seconds."""
        handle = secrets.token_urlsafe(24)
        with self._lock:
            self._launches = {h: entry for h, entry in self._launches.items() if entry[1] > self._now()}
            self._launches[handle] = (launch, self._now() + life_s)
        return handle

    def launch(self, handle: str, client_id: str) -> Launch | None:
        """The launch of a handle; None if unknown, expired or another app's."""
        with self._lock:
            launch, expires = self._launches.get(handle, (None, 0.0))
        return launch if launch and launch.client_id == client_id and expires > self._now() else None

    def new_code(self, grant: Grant, redirect_uri: str, challenge: str, life_s: int) -> str:
        """A code that can be exchanged once."""
        code = secrets.token_urlsafe(32)
        expires = self._now() + life_s
        with self._lock:
            self._codes[code] = _Code(grant=grant, redirect_uri=redirect_uri, challenge=challenge, expires=expires)
        return code

    def exchange_code(self, code: str, client_id: str, redirect_uri: str, verifier: str) -> Grant:
        """The grant of a code, which any attempt uses up.

        Raises OAuthError `invalid_grant`. A second use of a code revokes what the first one gave (RFC 6749, 4.1.2).
        """
        with self._lock:
            entry = self._codes.get(code)
            if entry is None or entry.grant.client_id != client_id:
                raise OAuthError("invalid_grant", "Unknown code.")
            if entry.used:
                self._ended.add(entry.grant)
                raise OAuthError("invalid_grant", "This code was used before; what it gave is revoked.")
            entry.used = True
            if entry.expires <= self._now():
                raise OAuthError("invalid_grant", "This code has expired.")
            if entry.redirect_uri != redirect_uri:
                raise OAuthError("invalid_grant", "The redirect_uri is not the one of the authorization request.")
            fits = hmac.compare_digest(challenge_of(verifier).encode(), entry.challenge.encode())
            if not fits or not VERIFIER.fullmatch(verifier):
                raise OAuthError("invalid_grant", "The code_verifier does not fit.")
            return entry.grant

    def new_access_token(self, grant: Grant, life_s: int, scopes: tuple[str, ...]) -> str:
        """An opaque access token for some of a grant's scopes."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._access = {t: entry for t, entry in self._access.items() if entry[1] > self._now()}
            self._access[token] = (grant, self._now() + life_s, scopes)
        return token

    def new_refresh_token(self, grant: Grant) -> str:
        """A refresh token for one use."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._refresh[token] = (grant, False)
        return token

    def refresh(self, token: str, client_id: str, requested: tuple[str, ...]) -> Grant:
        """The grant of a refresh token, which is used up. `requested`: scopes that must be among those granted.

        Raises OAuthError `invalid_grant` or `invalid_scope`. A second use suggests theft and ends the grant.
        """
        with self._lock:
            grant, used = self._refresh.get(token, (None, False))
            if grant is None or grant.client_id != client_id or grant in self._ended:
                raise OAuthError("invalid_grant", "Unknown or revoked refresh token.")
            if used:
                self._ended.add(grant)
                raise OAuthError("invalid_grant", "This refresh token was used before; the grant is revoked.")
            if not set(requested) <= set(grant.scopes):
                raise OAuthError("invalid_scope", "Expected scopes that were granted before.")
            self._refresh[token] = (grant, True)
            return grant

    def access(self, token: str) -> tuple[Grant, tuple[str, ...]] | None:
        """The grant and scopes of an access token; None if unknown, expired or revoked."""
        with self._lock:
            entry = self._access.get(token)
            is_valid = entry is not None and entry[1] > self._now() and entry[0] not in self._ended
        return (entry[0], entry[2]) if entry and is_valid else None

    def revoke(self, token: str, client_id: str) -> None:
        """Ends a token; a refresh token ends its grant. An unknown one counts as ended (RFC 7009, 2.2)."""
        with self._lock:
            if token in self._access and self._access[token][0].client_id == client_id:
                del self._access[token]
            elif token in self._refresh and self._refresh[token][0].client_id == client_id:
                self._ended.add(self._refresh[token][0])


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
