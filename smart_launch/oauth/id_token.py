"""Who the user is: the ID token, its signature and its claims, with the deviations that are met in practice.

Two steps, kept apart: a signature of one of the issuer's own keys, then claims that are for us. No checks is a
failure. The key of a user is (iss, sub), never a name or an address (SMART-078).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import jwt
import msgspec

from smart_launch.errors import EhrFailed, LaunchRefused
from smart_launch.oauth.context import ID
from smart_launch.oauth.discovery import Endpoints
from smart_launch.oauth.outbound import allowed_url, get_json, host_of
from smart_launch.session.sessions import User
from smart_launch.settings import Registration

ALGORITHMS = {("RSA", None): ("RS256", "RS384", "PS384"), ("EC", "P-256"): ("ES256",), ("EC", "P-384"): ("ES384",)}
LEAST_RSA_BITS = 2048
LEEWAY_S = 60
OLDEST_S = 24 * 60 * 60
LONGEST_SUBJECT = 255
KEYS_FRESH_S, BETWEEN_READS_S = 600.0, 60.0
CLINICIANS = ("Practitioner", "PractitionerRole")
# Somebody who is no clinician, on whichever server and however it is written.
NO_CLINICIAN = re.compile(
    r"(?:.*/)?(?:Patient|RelatedPerson|Person)/[^/?#]*(?:/_history/[^/?#]*)?/*(?:[?#].*)?", re.IGNORECASE | re.DOTALL
)


@dataclass(slots=True)
class _Kept:
    keys: tuple[dict[str, Any], ...] = ()
    read_at: float = float("-inf")


class IssuerKeys:
    """The public keys of ID token issuers, of one process."""

    def __init__(self, *, local: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._local, self._clock = local, clock
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def keys(self, url: str, kid: str | None) -> tuple[dict[str, Any], ...]:
        """The keys of that kid (all, for a token without), read again when it is not among those kept.

        Raises EhrFailed when they cannot be had.
        """
        with self._lock:
            kept = self._kept.setdefault(url, _Kept())
            age = self._clock() - kept.read_at
            found = _named(kept.keys, kid)
            if age < (KEYS_FRESH_S if found else BETWEEN_READS_S):
                return found
        read = _read_keys(url)
        with self._lock:
            self._kept[url] = _Kept(keys=read, read_at=self._clock())
        return _named(read, kid)

    def source(self, registration: Registration, endpoints: Endpoints) -> tuple[str, str]:
        """(issuer, address of its keys): as registered, else as discovered. Raises EhrFailed."""
        issuer = registration.id_token_issuer or endpoints.issuer
        if issuer is None:
            raise EhrFailed("ID token: expected an issuer in smart-configuration or smart.id_token_issuer")
        url = registration.id_token_jwks or endpoints.jwks_uri
        hosts = (host_of(registration.iss), *registration.hosts)
        if url is None:
            # Some servers leave jwks_uri out (SMART-025).
            about = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            if not allowed_url(about, hosts, local=self._local()):
                raise EhrFailed("ID token: expected its issuer on a host of the registration", "ehr-not-trusted")
            url = get_json(about).content.get("jwks_uri")
        if registration.id_token_jwks is None and not allowed_url(url, hosts, local=self._local()):
            raise EhrFailed("ID token: expected its keys by https on a host of the registration", "ehr-not-trusted")
        return issuer, str(url)


def _named(keys: tuple[dict[str, Any], ...], kid: str | None) -> tuple[dict[str, Any], ...]:
    """The keys that may be meant: some servers name none of theirs."""
    return keys if kid is None else tuple(key for key in keys if key.get("kid") in (None, kid))


def _read_keys(url: str) -> tuple[dict[str, Any], ...]:
    answer = get_json(url)
    keys = answer.content.get("keys")
    if answer.status != 200 or not isinstance(keys, list):
        raise EhrFailed("ID token: expected a JWK Set at jwks_uri", "ehr-unreachable")
    return tuple(key for key in keys if isinstance(key, dict))


def verified_user(
    token: str,
    *,
    registration: Registration,
    endpoints: Endpoints,
    keys: IssuerKeys,
    nonce: str,
    now: datetime,
) -> User:
    """The user that an ID token names. Raises EhrFailed (page `identity`) for the first thing that is wrong.

    Raises LaunchRefused for a patient or relative: their screen is no place for this (docs/clinical-safety.md).
    """
    issuer, url = keys.source(registration, endpoints)
    claims = _signed(token, url, keys)
    _accepted(claims, issuer, registration.client_id, nonce, int(now.timestamp()))
    named = claims.get("fhirUser") or claims.get("profile")
    if named is not None and not isinstance(named, str):
        raise _wrong("expected fhirUser as text")
    if named is not None and NO_CLINICIAN.fullmatch(named):
        raise LaunchRefused("callback: expected a clinician as the user", "clinicians-only", 403)
    return User(iss=issuer, subject=str(claims["sub"]), fhir_user=fhir_user(named, registration.iss))


def _signed(token: str, url: str, keys: IssuerKeys) -> dict[str, Any]:
    """The claims, once a key of the issuer has signed them."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise _wrong("expected a signed JWT") from error
    algorithm, kid = header.get("alg"), header.get("kid")
    if "crit" in header or (kid is not None and not isinstance(kid, str)):
        raise _wrong("expected no critical header and a kid as text")
    for key in keys.keys(url, kid):
        fitting = ALGORITHMS.get((str(key.get("kty")), key.get("crv") if key.get("kty") == "EC" else None), ())
        usable = key.get("use") in (None, "sig") and key.get("alg") in (None, algorithm)
        if algorithm not in fitting or not usable:
            continue
        try:
            public = jwt.PyJWK(key, algorithm=algorithm).key
            if getattr(public, "key_size", 0) < LEAST_RSA_BITS and key.get("kty") == "RSA":
                continue
            raw = jwt.PyJWS().decode(token, public, algorithms=[algorithm])
            claims = msgspec.json.decode(raw)
        except (jwt.PyJWTError, msgspec.DecodeError, RecursionError, ValueError, TypeError):
            continue
        if isinstance(claims, dict):
            return claims
    raise _wrong("expected a signature by a key of its issuer")


def _accepted(claims: Mapping[str, Any], issuer: str, client_id: str, nonce: str, now: int) -> None:
    """The claims are for us, of now, of this launch (SMART-074)."""
    if claims.get("iss") != issuer:
        raise _wrong("expected iss to be the issuer that discovery or the registration names")
    audience = claims.get("aud")
    several = audience if isinstance(audience, list) else [audience]
    if client_id not in several:
        raise _wrong("expected aud to be our client id")
    if (len(several) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise _wrong("expected azp to be our client id")
    expires, issued = _whole(claims.get("exp")), _whole(claims.get("iat"))
    if expires is None or expires <= now - LEEWAY_S:
        raise _wrong("expected exp in the future")
    if issued is None or not now - OLDEST_S <= issued <= now + LEEWAY_S:
        raise _wrong("expected iat of now")
    before = claims.get("nbf")
    if before is not None and ((start := _whole(before)) is None or start > now + LEEWAY_S):
        raise _wrong("expected nbf in the past")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        raise _wrong("expected sub of 1 to 255 characters")
    if "nonce" in claims and claims["nonce"] != nonce:
        raise _wrong("expected the nonce of this launch")


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _wrong(what: str) -> EhrFailed:
    return EhrFailed(f"ID token: {what}", "identity")


def fhir_user(value: object, iss: str) -> str | None:
    """`Practitioner/1` from an absolute or relative address below the FHIR base; None for anything else (SMART-075).

    What cannot be read does not stop reading the chart: only who writes must be known.
    """
    if not isinstance(value, str) or len(value) > 2048:
        return None
    path = value.partition("?")[0]
    if "://" in path:
        try:
            same = urlsplit(path)[:2] == urlsplit(iss)[:2]
        except ValueError:
            return None
        if not same or not path.startswith(f"{iss}/"):
            return None
        path = path.removeprefix(f"{iss}/")
    parts = path.split("/")
    if len(parts) < 2:
        return None
    kind, name = parts[-2:]
    return f"{kind}/{name}" if kind in CLINICIANS and ID.fullmatch(name) else None
