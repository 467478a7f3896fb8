"""Apps registered with the demo EHR, and their authentication at the token endpoint.

`private_key_jwt` with keys by URL or by value (SMART App Launch 2.2, Client Authentication: Asymmetric), and a client
secret by HTTP Basic or in the form. Every failure is the one error `invalid_client`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

import jwt
import requests

from cds_service.demo_ehr.codes import Json

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("ES384", "RS384")
MOST_ASSERTION_LIFE_S = 300
CLOCKS_APART_S = 5
TIMEOUT_S = 5.0


class OAuthError(Exception):
    """An error of RFC 6749, with its code and one sentence."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One registered app. It has either a secret or keys: `keys_url`, or `keys` (a JWKS) by value."""

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    launch_url: str | None = None
    secret: str | None = field(default=None, repr=False)
    keys_url: str | None = None
    keys: Json | None = None


class Clients:
    """The register. `now` gives seconds since 1970."""

    def __init__(self, token_endpoint: str, now: Callable[[], float]) -> None:
        self._token_endpoint = token_endpoint
        self._now = now
        self._registered: dict[str, Client] = {}
        self._used_ids: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def register(self, client: Client) -> None:
        """Registers a client, replacing one with the same id."""
        self._registered[client.client_id] = client

    def known(self, client_id: str | None) -> Client | None:
        """The client with this id."""
        return self._registered.get(client_id or "")

    def authenticated(self, form: Mapping[str, str], authorization: str | None) -> Client:
        """The caller of the token endpoint. Raises OAuthError: `invalid_client`, `invalid_request` for two methods."""
        methods = [bool(authorization), "client_secret" in form, "client_assertion" in form]
        if sum(methods) != 1:
            code = "invalid_client" if not any(methods) else "invalid_request"
            raise OAuthError(code, "Expected one way of client authentication.", 400 if any(methods) else 401)
        if "client_assertion" in form:
            return self._by_assertion(form)
        client_id, secret = _basic(authorization) if authorization else (form.get("client_id"), form["client_secret"])
        if authorization and form.get("client_id", client_id) != client_id:
            raise _refused("The client_id of the form is another.")
        client = self.known(client_id)
        if client is None or client.secret is None or not hmac.compare_digest(client.secret.encode(), secret.encode()):
            raise _refused("Unknown client or wrong secret.")
        return client

    def _by_assertion(self, form: Mapping[str, str]) -> Client:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise _refused("Unknown client_assertion_type.")
        assertion = form["client_assertion"]
        try:
            header = jwt.get_unverified_header(assertion)
            claimed = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.PyJWTError as error:
            raise _refused("The assertion is no JWT.") from error
        client = self.known(claimed.get("iss") if isinstance(claimed.get("iss"), str) else None)
        if client is None or (client.keys_url is None and client.keys is None):
            raise _refused("Unknown client.")
        if header.get("alg") not in ALGORITHMS or header.get("typ") != "JWT":
            raise _refused("Expected alg ES384 or RS384 and typ JWT.")
        if header.get("jku", client.keys_url) != client.keys_url:
            raise _refused("jku is not the registered URL.")
        key = self._key(client, str(header.get("kid")))
        try:
            claims = jwt.decode(
                assertion,
                key,
                algorithms=[header["alg"]],
                # Times and audience are checked below, by this server's clock.
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
            )
        except jwt.PyJWTError as error:
            raise _refused("The signature does not fit.") from error
        self._check(client, claims, form)
        return client

    def _check(self, client: Client, claims: Json, form: Mapping[str, str]) -> None:
        now = self._now()
        audience = claims.get("aud")
        expires, not_before, unique = claims.get("exp"), claims.get("nbf", now), claims.get("jti")
        if claims.get("sub") != client.client_id or form.get("client_id", client.client_id) != client.client_id:
            raise _refused("Expected iss and sub to be the client_id.")
        if self._token_endpoint not in (audience if isinstance(audience, list) else [audience]):
            raise _refused("Expected the token endpoint as aud.")
        if not isinstance(expires, int | float) or not now < expires <= now + MOST_ASSERTION_LIFE_S + CLOCKS_APART_S:
            raise _refused("Expected exp within the next five minutes.")
        if not isinstance(not_before, int | float) or not_before > now + CLOCKS_APART_S:
            raise _refused("The assertion is not valid yet.")
        if not isinstance(unique, str) or not unique:
            raise _refused("Expected a jti.")
        with self._lock:
            self._used_ids = {used: until for used, until in self._used_ids.items() if until > now}
            if (client.client_id, unique) in self._used_ids:
                raise _refused("This jti was used before.")
            self._used_ids[client.client_id, unique] = expires

    def _key(self, client: Client, kid: str) -> jwt.PyJWK:
        """The client's key with this id, fetched each time: key sets change, and this server is not busy."""
        keys = client.keys
        if client.keys_url is not None:
            keys = _fetched(client.keys_url)
        matching = [key for key in (keys or {}).get("keys", ()) if isinstance(key, dict) and key.get("kid") == kid]
        if len(matching) != 1:
            raise _refused("The client's key set has no such key.")
        try:
            return jwt.PyJWK(matching[0])
        except jwt.PyJWTError as error:
            raise _refused("The client's key cannot be read.") from error


def _fetched(url: str) -> Json:
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(url, timeout=TIMEOUT_S, allow_redirects=False)
            answer.raise_for_status()
            keys = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise _refused("The client's key set could not be read.") from error
    if not isinstance(keys, dict):
        raise _refused("The client's key set could not be read.")
    return keys


def _basic(authorization: str) -> tuple[str, str]:
    """Client id and secret, each form-encoded before they are joined (RFC 6749, 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _refused("The Authorization header cannot be read.") from error
    client_id, colon, secret = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise _refused("Expected HTTP Basic.")
    return unquote_plus(client_id), unquote_plus(secret)


def _refused(description: str) -> OAuthError:
    return OAuthError("invalid_client", description, 401)
