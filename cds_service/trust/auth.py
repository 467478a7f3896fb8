"""An Authorization header to a VerifiedClient, in two steps with two types.

`check_signature` trusts only the issuer table: the token's issuer, key and algorithm must be in it, and the signature
must verify (SignedToken). `check_claims` then checks the claims (VerifiedClient). Every fault raises Unauthenticated
with the same response; `why`, one of a fixed set of words, is for the log.
CDS Hooks 2.0, "Trusting CDS Clients"; RFC 7515, 7519, 8725.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jwt
import msgspec
from jwt.utils import base64url_decode

from cds_service.errors import Unauthenticated
from cds_service.keys.key_sets import ALL_ALGORITHMS, SANDBOX_KEY, KeySets, VerificationKey
from cds_service.settings.issuers import Issuer, IssuerUse
from cds_service.storage.calls import TokenUse
from fhir_adapters.duplicates import named_twice

MOST_TOKEN = 16 * 1024
MOST_JTI = 1024
JWS = jwt.PyJWS()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedToken:
    """A token whose signature these entries of the table verify. Its claims are not checked yet."""

    issuers: tuple[Issuer, ...]
    claims: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedClient:
    """A client that may call. `sites`: those its token covers, several if the issuer serves several.

    token: the use that the call makes of its token, None in the demo, which has no tokens.
    """

    iss: str
    sites: tuple[str, ...]
    token: TokenUse | None


def verify_client(
    header: str | None,
    addresses: Iterable[str],
    issuers: Iterable[Issuer],
    key_sets: KeySets,
    now: datetime,
    use: IssuerUse = IssuerUse.HOOKS,
) -> VerifiedClient:
    """The client of an Authorization header. `addresses`: what aud may be. Raises Unauthenticated."""
    return check_claims(check_signature(bearer(header), tuple(issuers), key_sets, use), tuple(addresses), now)


def bearer(header: str | None) -> str:
    """The token. Raises Unauthenticated."""
    scheme, _, token = (header or "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("no-token")
    if len(token) > MOST_TOKEN or not token.isascii():
        raise Unauthenticated("malformed")
    return token


def check_signature(
    token: str, issuers: tuple[Issuer, ...], key_sets: KeySets, use: IssuerUse = IssuerUse.HOOKS
) -> SignedToken:
    """The token, its signature verified with a key of its issuer in the table. Raises Unauthenticated."""
    try:
        unverified = JWS.decode_complete(token, options={"verify_signature": False})
        header, claims = unverified["header"], msgspec.json.decode(unverified["payload"])
        # Another reader of this token may keep the first of two claims.
        twice = any(map(named_twice, (base64url_decode(token.partition(".")[0]), unverified["payload"])))
    except (jwt.PyJWTError, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Unauthenticated("malformed") from error
    if twice:
        raise Unauthenticated("named-twice")
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if algorithm not in ALL_ALGORITHMS:
        raise Unauthenticated("algorithm", algorithm)
    if not isinstance(kid, str) or not kid or not isinstance(kind, str) or kind.upper() != "JWT" or "crit" in header:
        raise Unauthenticated("header")
    iss = claims.get("iss") if isinstance(claims, dict) else None
    entries = [i for i in issuers if i.iss == iss and algorithm in i.algorithms]
    if not entries:
        raise Unauthenticated("issuer", iss)
    entries = [i for i in entries if use in i.uses]
    if not entries:
        raise Unauthenticated("use")
    jku = header.get("jku")
    entries = [i for i in entries if jku is None or jku in i.jku]
    if not entries:
        raise Unauthenticated("jku", jku)
    good = tuple(i for i in entries if _verifies(token, algorithm, _keys_of(i, kid, key_sets)))
    if not good:
        raise Unauthenticated("signature")
    return SignedToken(issuers=good, claims=claims)


def _keys_of(entry: Issuer, kid: str, key_sets: KeySets) -> Iterable[VerificationKey]:
    keys = key_sets.keys(entry.jwks_url, kid, entry.jwks_max_age_h) if entry.jwks_url else entry.keys
    return (k for k in keys if k.kid == kid and (entry.sandbox or k.thumbprint != SANDBOX_KEY))


def _verifies(token: str, algorithm: str, keys: Iterable[VerificationKey]) -> bool:
    for key in keys:
        if algorithm in key.algorithms:
            try:
                # It takes the token apart once more, 0.04 ms: that is the price of leaving each check to the library.
                JWS.decode(token, key.public, algorithms=[algorithm])
            except (jwt.PyJWTError, TypeError, ValueError):
                continue
            return True
    return False


def check_claims(signed: SignedToken, addresses: tuple[str, ...], now: datetime) -> VerifiedClient:
    """The client, if aud, times, jti and tenant match an entry of the table. Raises Unauthenticated.

    Checked here rather than by pyjwt, which reads the clock itself; in this code time is an argument.
    """
    claims, moment = signed.claims, now.timestamp()
    jti = claims.get("jti")
    if not isinstance(jti, str) or not jti or len(jti) > MOST_JTI:
        raise Unauthenticated("jti")
    tenant = claims.get("tenant")
    if tenant is not None and not isinstance(tenant, str):
        raise Unauthenticated("tenant")
    why = "audience"
    good: list[Issuer] = []
    for entry in signed.issuers:
        fault = _fault(entry, claims, addresses, moment)
        if fault is None:
            good.append(entry)
        else:
            why = fault
    if not good:
        raise Unauthenticated(why, claims.get("aud") if why == "audience" else None)
    iss, sites = good[0].iss, tuple(dict.fromkeys(entry.site for entry in good))
    token = TokenUse(
        digest=hashlib.sha256(f"{iss}\0{jti}".encode(errors="replace")).hexdigest(),
        expires=math.ceil(claims["exp"]) + max(entry.leeway_s for entry in good),
        client=hashlib.sha256(f"{iss}\0{sites}\0{tenant}".encode()).hexdigest(),
        at=int(moment),
    )
    return VerifiedClient(iss=iss, sites=sites, token=token)


def _fault(entry: Issuer, claims: Mapping[str, Any], addresses: tuple[str, ...], now: float) -> str | None:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(a, str) and a in (*addresses, *entry.audiences) for a in audiences):
        return "audience"
    expires, issued, start = _time(claims, "exp"), _time(claims, "iat"), _time(claims, "nbf")
    if expires is None or issued is None or ("nbf" in claims and start is None):
        return "times"
    if expires <= now - entry.leeway_s:
        return "expired"
    if max(issued, start or issued) > now + entry.leeway_s:
        return "not-yet"
    if expires <= issued or expires - issued > entry.max_lifetime_s:
        return "lifetime"
    if entry.tenants and claims.get("tenant") not in entry.tenants:
        return "tenant"
    return None


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """Seconds since 1970, or None if the claim is not such a number."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e12 else None
