"""The hospital's OpenID provider, by Authlib: where to sign in, and who came back.

Authorization code with PKCE (S256), state and nonce. The provider's addresses come from its discovery document, whose
issuer must be the one in the settings; https alone, no redirects, and an ID token signed by a key of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]  # Authlib ships no types
from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]  # as above
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]  # as above
from cachetools import TTLCache
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry, extract_compact

from cds_service.governance.errors import PageRefusal, PageRefused
from cds_service.settings.governance import GovernanceSettings
from fhir_adapters.access.deadline import watched_session
from smart_launch.errors import EhrFailed
from smart_launch.oauth.issuer_keys import IssuerKeys
from smart_launch.oauth.outbound import TIMEOUT_S, allowed_url, get_json

FRESH_S = 600.0
LEEWAY_S = 60
LONGEST_TEXT = 255
# None that a client's secret or nothing at all could make.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one sign-in sends along, and must find again."""

    redirect_uri: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Who signed in. groups: the values of the claim that roles hang on."""

    subject: str
    name: str
    groups: tuple[str, ...]
    id_token: str


class Provider:
    """One process's view of the provider: its discovery document and keys, for some minutes."""

    def __init__(self, *, local: Callable[[], bool]) -> None:
        self._local = local
        self._documents: TTLCache[str, dict[str, Any]] = TTLCache(10, FRESH_S)
        self._lock = threading.Lock()
        self.keys = IssuerKeys(local=local)

    def sign_in_url(self, settings: GovernanceSettings, attempt: Attempt) -> str:
        """The authorization request. Raises PageRefused when the provider cannot be used."""
        url = self._endpoint(self._metadata(settings), "authorization_endpoint")
        client = _client(settings, attempt)
        made, _ = client.create_authorization_url(
            url, state=attempt.state, nonce=attempt.nonce, code_verifier=attempt.verifier
        )
        return str(made)

    def sign_out_url(self, settings: GovernanceSettings, id_token: str, back: str) -> str | None:
        """Where to sign out at the provider too (RP-Initiated Logout 1.0); None if it offers no such place."""
        try:
            url = self._endpoint(self._metadata(settings), "end_session_endpoint")
        except PageRefused:
            return None
        fields = {"id_token_hint": id_token, "client_id": settings.client_id, "post_logout_redirect_uri": back}
        return f"{url}{'&' if '?' in url else '?'}{urlencode(fields)}"

    def signed_in(
        self, settings: GovernanceSettings, attempt: Attempt, code: str, iss: str | None, now: datetime
    ) -> SignedIn:
        """Who comes back with this code. Raises PageRefused; nothing of a token that cannot be trusted is used."""
        metadata = self._metadata(settings)
        promised = metadata.get("authorization_response_iss_parameter_supported") is True
        if iss != settings.issuer and (iss is not None or promised):
            raise _failed("expected iss of the provider that was asked (RFC 9207)")
        id_token = _id_token(settings, attempt, code, metadata, self._endpoint(metadata, "token_endpoint"))
        header, claims = self._signed(id_token, self._endpoint(metadata, "jwks_uri"))
        expected = {name: {"essential": True, "value": getattr(settings, of)} for name, of in CLAIMS.items()}
        token = CodeIDToken(claims, header, expected, {"nonce": attempt.nonce, "client_id": settings.client_id})
        try:
            token.validate(now=int(now.timestamp()), leeway=LEEWAY_S)
        except (JoseError, AuthlibBaseError, TypeError, ValueError) as error:
            raise _failed(f"ID token: {type(error).__name__} {getattr(error, 'claim', '')}".strip()) from error
        subject, name = claims.get("sub"), claims.get("name")
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_TEXT or not subject.isprintable():
            raise _failed("ID token: expected sub of 1 to 255 characters")
        shown = name if isinstance(name, str) and name.isprintable() and name.strip() else subject
        groups = groups_in(claims, settings.roles_claim)
        return SignedIn(subject=subject, name=shown[:LONGEST_TEXT], groups=groups, id_token=id_token)

    def _metadata(self, settings: GovernanceSettings) -> dict[str, Any]:
        url = f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        with self._lock:
            found = self._documents.get(url)
        if found is None:
            try:
                answer = get_json(url)
            except EhrFailed as error:
                raise _failed("discovery: the provider's document could not be read") from error
            if answer.status != 200 or answer.content.get("issuer") != settings.issuer:
                raise _failed("discovery: expected the issuer that [governance] names, letter by letter")
            found = answer.content
            with self._lock:
                self._documents[url] = found
        return found

    def _endpoint(self, metadata: Mapping[str, Any], name: str) -> str:
        """An address from the document: https, on whichever host the provider names."""
        url = metadata.get(name)
        try:
            if isinstance(url, str) and allowed_url(url, [urlsplit(url).hostname or ""], local=self._local()):
                return url
        except ValueError:
            pass
        raise _failed(f"discovery: expected {name} with https")

    def _signed(self, id_token: str, jwks_uri: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims, once the signature holds; keys are read again for one that is not known."""
        registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
        try:
            kid = extract_compact(id_token.encode()).headers().get("kid")
            keys = {"keys": [*self.keys.keys(jwks_uri, kid if isinstance(kid, str) else None)]}
            token = jwt.decode(id_token, key=KeySet.import_key_set(keys), registry=registry)  # type: ignore[arg-type]
        except (EhrFailed, JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise _failed(f"ID token: {type(error).__name__}") from error
        return dict(token.header), dict(token.claims)


CLAIMS = {"iss": "issuer", "aud": "client_id"}


def groups_in(claims: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """The texts in a claim, named as a whole or by a path such as realm_access.roles; none for anything else."""
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    several = value if isinstance(value, list) else [value]
    return tuple(one for one in several if isinstance(one, str))


def _client(settings: GovernanceSettings, attempt: Attempt, method: str = "client_secret_basic") -> OAuth2Session:
    return OAuth2Session(
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        token_endpoint_auth_method=method,
        scope=" ".join(settings.scopes),
        redirect_uri=attempt.redirect_uri,
        code_challenge_method="S256",
    )


def _id_token(settings: GovernanceSettings, attempt: Attempt, code: str, metadata: Mapping[str, Any], url: str) -> str:
    """Exchanges a code. The access token is thrown away: nothing is asked of the provider in the person's name."""
    offered = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    method = "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"
    client = _client(settings, attempt, method)
    try:
        with watched_session(time.monotonic() + TIMEOUT_S) as session:
            client.session = session
            token = client.fetch_token(
                url, code=code, code_verifier=attempt.verifier, grant_type="authorization_code",
                timeout=TIMEOUT_S, allow_redirects=False,
            )  # fmt: skip
    except (AuthlibBaseError, OSError, ValueError, AttributeError) as error:
        raise _failed(f"token endpoint: {type(error).__name__}") from error
    id_token = token.get("id_token") if isinstance(token, dict) else None
    if not isinstance(id_token, str):
        raise _failed("token endpoint: expected an ID token")
    return id_token


def _failed(why: str) -> PageRefused:
    return PageRefused(PageRefusal.PROVIDER, why)
