"""Who the user is: verifies the ID token's signature and claims, allowing for deviations seen in practice.

First the signature by one of the issuer's own keys, then the claims. A token that cannot be checked is refused. The key
of a user is (iss, sub), never a name or an address (SMART-078).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import jwt
import msgspec
from jwt.utils import base64url_decode

from fhir_adapters.duplicates import named_twice
from fhir_adapters.resources.identity import shown
from smart_launch.errors import EhrFailed, LaunchRefused
from smart_launch.oauth.discovery import Endpoints
from smart_launch.oauth.issuer_keys import IssuerKeys
from smart_launch.oauth.launch_context import ID
from smart_launch.session.sessions import User
from smart_launch.settings import Registration

ALGORITHMS = {("RSA", None): ("RS256", "RS384", "PS384"), ("EC", "P-256"): ("ES256",), ("EC", "P-384"): ("ES384",)}
LEAST_RSA_BITS = 2048
LEEWAY_S = 60
# An ID token proves who has just signed in: one that is older, or good for longer, was not made for that.
OLDEST_S = LONGEST_S = 24 * 60 * 60
LONGEST_SUBJECT = 255
CLINICIANS = ("Practitioner", "PractitionerRole")
# Resource types of users who are not clinicians, on any server and in any spelling.
NO_CLINICIAN = re.compile(
    r"(?:.*/)?(?:Patient|RelatedPerson|Person)/[^/?#]*(?:/_history/[^/?#]*)?/*(?:[?#].*)?", re.IGNORECASE | re.DOTALL
)


def verified_user(
    token: str,
    *,
    registration: Registration,
    endpoints: Endpoints,
    keys: IssuerKeys,
    nonce: str,
    now: datetime,
) -> User:
    """The user in an ID token. Raises EhrFailed (page `identity`) for the first problem.

    Raises LaunchRefused for a patient or relative, who must not see these pages (docs/clinical-safety.md).
    """
    issuer, url = keys.source(registration, endpoints)
    claims = _signed_claims(token, url, keys)
    _check_claims(claims, issuer, registration.client_id, nonce, int(now.timestamp()))
    profile = claims.get("fhirUser") or claims.get("profile")
    if profile is not None and not isinstance(profile, str):
        raise _invalid("expected fhirUser as text")
    if profile is not None and NO_CLINICIAN.fullmatch(profile):
        raise LaunchRefused("callback: expected a clinician as the user", "clinicians-only", 403)
    name = claims.get("name")
    return User(
        iss=issuer,
        subject=str(claims["sub"]),
        fhir_user=fhir_user(profile, registration.iss),
        name=shown(name) if isinstance(name, str) else None,
    )


def _signed_claims(token: str, url: str, keys: IssuerKeys) -> dict[str, Any]:
    """The claims, if signed by a key of the issuer. Raises EhrFailed."""
    try:
        header = jwt.get_unverified_header(token)
        twice = named_twice(base64url_decode(token.partition(".")[0]))
    except jwt.PyJWTError as error:
        raise _invalid("expected a signed JWT") from error
    algorithm, kid = header.get("alg"), header.get("kid")
    if "crit" in header or (kid is not None and not isinstance(kid, str)):
        raise _invalid("expected no critical header and a kid as text")
    for key in keys.keys(url, kid):
        allowed = ALGORITHMS.get((str(key.get("kty")), key.get("crv") if key.get("kty") == "EC" else None), ())
        usable = key.get("use") in (None, "sig") and key.get("alg") in (None, algorithm)
        if algorithm not in allowed or not usable:
            continue
        try:
            public = jwt.PyJWK(key, algorithm=algorithm).key
            if getattr(public, "key_size", 0) < LEAST_RSA_BITS and key.get("kty") == "RSA":
                continue
            raw = jwt.PyJWS().decode(token, public, algorithms=[algorithm])
            claims = msgspec.json.decode(raw)
        except (jwt.PyJWTError, msgspec.DecodeError, RecursionError, ValueError, TypeError):
            continue
        if twice or named_twice(raw):
            raise _invalid("expected each member of header and claims once")
        if isinstance(claims, dict):
            return claims
    raise _invalid("expected a signature by a key of its issuer")


def _check_claims(claims: Mapping[str, Any], issuer: str, client_id: str, nonce: str, now: int) -> None:
    """Raises EhrFailed unless the claims are for us, current, and for this launch (SMART-074)."""
    if claims.get("iss") != issuer:
        raise _invalid("expected iss to be the issuer that discovery or the registration names")
    audience = claims.get("aud")
    several = audience if isinstance(audience, list) else [audience]
    if client_id not in several:
        raise _invalid("expected aud to be our client id")
    if (len(several) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise _invalid("expected azp to be our client id")
    expires, issued = _seconds(claims.get("exp")), _seconds(claims.get("iat"))
    if expires is None or not now - LEEWAY_S < expires <= now + LONGEST_S + LEEWAY_S:
        raise _invalid("expected exp in the future, within a day")
    if issued is None or not now - OLDEST_S <= issued <= now + LEEWAY_S:
        raise _invalid("expected iat not in the future or long ago")
    before = claims.get("nbf")
    if before is not None and ((start := _seconds(before)) is None or start > now + LEEWAY_S):
        raise _invalid("expected nbf in the past")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        raise _invalid("expected sub of 1 to 255 characters")
    # Always sent, so it must come back (OpenID Connect Core 1.0, section 3.1.3.7 (11)).
    if claims.get("nonce") != nonce:
        raise _invalid("expected the nonce of this launch")


def _seconds(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _invalid(why: str) -> EhrFailed:
    return EhrFailed(f"ID token: {why}", "identity")


def fhir_user(value: object, iss: str) -> str | None:
    """`Practitioner/1` from an absolute or relative address below the FHIR base; None for anything else (SMART-075).

    An unreadable value does not prevent reading the chart: only someone who writes must be known.
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
