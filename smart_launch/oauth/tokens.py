"""The token endpoint: exchanges a code, refreshes or revokes a token, gives us one of our own, and authenticates us.

Written without an OAuth library for the reasons in docs/decisions/0018-smart-app.md. Tokens and codes are never
decoded, logged or put into an address.
"""

from __future__ import annotations

import base64
import json
import logging
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

import jwt

from smart_launch.errors import EhrFailed, said_by_ehr
from smart_launch.oauth.discovery import Endpoints
from smart_launch.oauth.outbound import post_form
from smart_launch.oauth.own_keys import ALGORITHMS, OwnKey, OwnKeys
from smart_launch.oauth.scopes import split_scopes
from smart_launch.settings import ClientAuthentication, Registration

log = logging.getLogger("mhcds")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_S, BACKDATED_S = 240, 20
SHORT_S = 300  # assumed lifetime of a token without expires_in
LONGEST_S = 24 * 60 * 60
LONGEST_TEXT = 64 * 1024
# Fields of our requests that may not come back on a page or in a log.
SECRET = ("code", "code_verifier", "refresh_token", "token", "client_secret", "client_assertion")
# Error of a token endpoint -> page (SMART-061).
PAGES = {
    "invalid_grant": "launch-expired",
    "invalid_client": "not-registered",
    "unauthorized_client": "not-registered",
    "invalid_scope": "scope-refused",
    "access_denied": "access-denied",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """A token response. expires_in: seconds. context: the whole response, for `launch_context`."""

    access_token: str = field(repr=False)
    expires_in: int
    scopes: tuple[str, ...] | None
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    context: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpoint:
    """One EHR's token endpoint, as our client uses it."""

    endpoints: Endpoints
    registration: Registration
    keys: OwnKeys
    now: datetime

    def exchange(self, code: str, verifier: str, redirect_uri: str) -> TokenResponse:
        """Exchanges a code, once (SMART-052, 057). Raises EhrFailed."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        return token_response(self._post(self.endpoints.token, fields), first=True)

    def refresh(self, refresh_token: str) -> TokenResponse:
        """A new token. Raises EhrFailed."""
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return token_response(self._post(self.endpoints.token, fields), first=False)

    def own_access(self, scopes: Iterable[str]) -> TokenResponse:
        """A token of our own, without a user (SMART Backend Services). Raises EhrFailed."""
        fields = {"grant_type": "client_credentials", "scope": " ".join(scopes)}
        return token_response(self._post(self.endpoints.token, fields), first=False)

    def revoke(self, token: str, hint: str) -> None:
        """Revokes a token if the EHR has a revocation endpoint (RFC 7009). Raises EhrFailed."""
        if self.endpoints.revocation is not None:
            self._post(self.endpoints.revocation, {"token": token, "token_type_hint": hint}, empty=True)

    def _post(self, url: str, fields: dict[str, str], *, empty: bool = False) -> dict[str, Any]:
        authentication, headers = self._authentication()
        response = post_form(url, {**fields, **authentication}, headers, empty=empty)
        if response.status != 200:
            ours = [value for name, value in (fields | authentication).items() if name in SECRET]
            hidden = [*ours, *headers.values(), self.registration.secret or ""]
            raise _token_error(response.status, response.content, self.registration, hidden)
        return response.content

    def _authentication(self) -> tuple[dict[str, str], dict[str, str]]:
        """Client authentication as (form fields, headers)."""
        ours = self.registration
        if ours.authentication is ClientAuthentication.PRIVATE_KEY_JWT:
            return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self._assertion()}, {}
        secret = ours.secret or ""
        if ours.authentication is ClientAuthentication.SECRET_POST:
            return {"client_id": ours.client_id, "client_secret": secret}, {}
        # Each is form-url-encoded before base64 (RFC 6749 section 2.3.1).
        pair = f"{quote_plus(ours.client_id)}:{quote_plus(secret)}"
        return {}, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    def _assertion(self) -> str:
        """A new JWT for this call only (SMART-055, 056)."""
        key, now = self._signing_key(), int(self.now.timestamp())
        claims = {
            "iss": self.registration.client_id,
            "sub": self.registration.client_id,
            "aud": self.endpoints.token,
            "iat": now - BACKDATED_S,
            "nbf": now - BACKDATED_S,
            "exp": now + ASSERTION_S,
            "jti": str(uuid.uuid4()),
        }
        # No `jku`: it is optional, and servers that hold our keys by value refuse it (SMART-055).
        headers = {"kid": key.kid, "typ": "JWT"}
        return jwt.encode(claims, key.private, algorithm=key.algorithm, headers=headers)

    def _signing_key(self) -> OwnKey:
        registered = self.registration.algorithm
        accepted = (registered,) if registered else self.endpoints.algorithms or ALGORITHMS
        key = next((k for name in ALGORITHMS if name in accepted and (k := self.keys.signing(name))), None)
        if key is None:
            raise EhrFailed(
                "expected a signing key that the EHR accepts (smart_keys in service.toml)", "not-registered"
            )
        return key


def token_response(content: Mapping[str, Any], *, first: bool) -> TokenResponse:
    """A token response, each member checked (SMART-058). Raises EhrFailed, which never quotes it."""
    token, kind = content.get("access_token"), content.get("token_type")
    if not _printable(token):
        raise EhrFailed("token answer: expected access_token as printable ASCII text")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise EhrFailed("token answer: expected token_type Bearer")
    scope = content.get("scope")
    if scope is not None and not isinstance(scope, str):
        raise EhrFailed("token answer: expected scope as text")
    if first and scope is None:
        raise EhrFailed("token answer: expected scope, the granted rights")
    refresh, identity = content.get("refresh_token"), content.get("id_token")
    return TokenResponse(
        access_token=str(token),
        expires_in=_seconds(content.get("expires_in")),
        scopes=None if scope is None else split_scopes(scope),
        refresh_token=refresh if _printable(refresh) else None,
        id_token=identity if isinstance(identity, str) and len(identity) <= LONGEST_TEXT else None,
        context=content,
    )


def _printable(text: object) -> bool:
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_TEXT:
        return False
    return text.isascii() and text.isprintable() and " " not in text


def _seconds(value: object) -> int:
    """Whole seconds; some servers send a string. Absent or invalid values give SHORT_S."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return SHORT_S
    try:
        return max(0, min(int(float(value)), LONGEST_S))
    except (ValueError, OverflowError):
        return SHORT_S


def _token_error(
    status: int, content: Mapping[str, Any], registration: Registration, hidden: Iterable[str]
) -> EhrFailed:
    """The error of a token endpoint, with its own words."""
    said = said_by_ehr(content.get("error"), content.get("error_description"), hidden)
    code, words = (said.code, said.words) if said else ("", "")
    event = {"event": "smart-token-refused", "site": registration.site, "status": status, "error": code, "words": words}
    # invalid_client: keys and client ids are set up by hand per environment, so somebody must look (SMART-008).
    (log.error if code == "invalid_client" else log.warning)(json.dumps(event))
    return EhrFailed(f"the token endpoint answered {status}", PAGES.get(code, "ehr-failed"), said=said)
