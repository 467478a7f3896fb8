"""Public keys of CDS clients: by value from a site's file, or by URL, cached.

A key set is fetched over https (plain http on this machine in development), without redirects, with time and size
limits. It is cached for the response's max-age (1 minute to 1 day, else 10 minutes), fetched again at most once a
minute when a token names an unknown key, and stays in use while its host is down, for some hours. Answers 404 and 410
say that there is no set any more: it ends at once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
import msgspec
import requests

from cds_service.errors import Overloaded
from fhir_adapters.access.deadline import watched_session

log = logging.getLogger("mhcds")
# Allowed algorithms by key type (RFC 7518). Never `none`, never a shared secret.
ALGORITHMS = {
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("RSA", None): ("RS384", "RS256", "PS384"),
}
ALL_ALGORITHMS = tuple(name for names in ALGORITHMS.values() for name in names)
LEAST_RSA_BITS = 2048
# RFC 7638 thumbprint of the public CDS Hooks sandbox's key, whose private half is published: anybody can sign with it.
# Read from the sandbox's repository in 2026.
SANDBOX_KEY = "s9fOe-KDYD1myZ8YCzleUqJQgrYZL49kVijBxhnZvZc"
SANDBOX_ISSUER = "https://sandbox.cds-hooks.org"

BETWEEN_READS_S = 60
AFTER_FAILURE_S = 5
FRESH_S, LEAST_FRESH_S, MOST_FRESH_S = 600, 60, 86_400
DEFAULT_KEYS_H = 24
MOST_BYTES = 256 * 1024
TIMEOUT_S = 2.0


class KeyUnusable(ValueError):
    """A JWK that cannot verify a client's token; the message says what was expected."""


class SetGone(KeyUnusable):
    """There is no key set at its address any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """One public key, with the algorithms that fit its type."""

    kid: str
    algorithms: tuple[str, ...]
    public: Any = field(repr=False)
    thumbprint: str


class _Jwk(msgspec.Struct):
    """The members of a JWK that we use (RFC 7517)."""

    kty: str
    kid: str = ""
    crv: str | None = None
    alg: str | None = None
    use: str | None = None
    key_ops: list[str] | None = None


def verification_key(jwk: Mapping[str, Any]) -> VerificationKey:
    """A key from a JWK. Raises KeyUnusable, never quoting the key."""
    try:
        read = msgspec.convert(jwk, _Jwk)
    except msgspec.ValidationError as error:
        raise KeyUnusable("expected a JWK: kty and kid in it, which are text, as are crv, alg and use") from error
    kid, kty = read.kid, read.kty
    if not kid:
        raise KeyUnusable("expected a kid, which tokens name it by; found none")
    if "d" in jwk or "k" in jwk:
        raise KeyUnusable(f"key {kid}: expected a public key; found a private or shared one, remove it from here")
    fitting = ALGORITHMS.get((kty, read.crv if kty == "EC" else None))
    if not fitting:
        raise KeyUnusable(f"key {kid}: expected kty RSA, or EC on P-256 or P-384")
    algorithms = tuple(a for a in fitting if read.alg in (None, a))
    signs = read.use in (None, "sig") and (read.key_ops is None or "verify" in read.key_ops)
    if not algorithms or not signs:
        raise KeyUnusable(f"key {kid}: expected a signing key with alg one of {', '.join(fitting)}")
    members = ("crv", "kty", "x", "y") if kty == "EC" else ("e", "kty", "n")
    try:
        canonical = json.dumps({name: jwk[name] for name in members}, sort_keys=True, separators=(",", ":"))
        public = jwt.PyJWK(dict(jwk), algorithm=algorithms[0]).key
    except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
        raise KeyUnusable(f"key {kid}: expected {', '.join(members)} in base64url that make a key") from error
    if kty == "RSA" and public.key_size < LEAST_RSA_BITS:
        raise KeyUnusable(f"key {kid}: expected an RSA key of at least {LEAST_RSA_BITS} bits")
    digest = hashlib.sha256(canonical.encode()).digest()
    thumbprint = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return VerificationKey(kid=kid, algorithms=algorithms, public=public, thumbprint=thumbprint)


def usable(document: object) -> tuple[VerificationKey, ...]:
    """The usable keys of a JWK Set; others (another purpose, unknown kinds) are skipped.

    Raises KeyUnusable when it is not a JWK Set.
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise KeyUnusable("expected a JWK Set: an object with an array keys")
    keys_found = []
    for jwk in keys:
        try:
            keys_found.append(verification_key(jwk if isinstance(jwk, dict) else {}))
        except KeyUnusable:
            continue
    return tuple(keys_found)


@dataclass(slots=True)
class _Cached:
    """The cached set of one URL. Times are monotonic. `next_retry`: earliest fetch after a failure."""

    keys: tuple[VerificationKey, ...] = ()
    read_at: float = 0.0
    fresh_until: float = 0.0
    next_retry: float = 0.0
    next_for_unknown: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def named(self, kid: str, since: float) -> tuple[VerificationKey, ...]:
        """The keys with that kid, if they were read after `since`."""
        return tuple(key for key in self.keys if key.kid == kid and self.read_at > since)


class KeySets:
    """The key sets of one process, by URL.

    most_waiting: how many calls may wait for key hosts at once. A forged token makes its call wait for the host of
    whatever issuer it names, so they must not be all.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, most_waiting: Callable[[], float] = lambda: math.inf
    ) -> None:
        self._clock = clock
        self._most_waiting = most_waiting
        self._waiting = 0
        self._cached: dict[str, _Cached] = {}
        self._lock = threading.Lock()

    def keys(self, url: str, kid: str, max_age_h: float = DEFAULT_KEYS_H) -> tuple[VerificationKey, ...]:
        """The keys with that kid; empty if the set has none, or was not read within these hours.

        Raises Overloaded when the set must be read and too many wait already.
        """
        with self._lock:
            cached = self._cached.setdefault(url, _Cached())
        since = self._clock() - 3600 * max_age_h
        known = bool(cached.named(kid, since))
        if self._is_due(cached, kid, since):
            with self._place() as free:
                if not free and not known:
                    raise Overloaded("too many calls wait for keys; try again shortly", why="keys-awaited")
                # A call whose key is cached need not wait for another call's fetch.
                if free and cached.lock.acquire(timeout=0 if known else TIMEOUT_S):
                    try:
                        if self._is_due(cached, kid, since):
                            self._read(url, cached, since)
                    finally:
                        cached.lock.release()
        return cached.named(kid, since)

    @contextmanager
    def _place(self) -> Iterator[bool]:
        """A place among the calls that wait; False if there is none."""
        with self._lock:
            free = self._waiting < self._most_waiting()
            self._waiting += free
        try:
            yield free
        finally:
            with self._lock:
                self._waiting -= free

    def _is_due(self, cached: _Cached, kid: str, since: float) -> bool:
        """Whether the set must be read for this key: it is stale, or lacks the key and may be read again."""
        now = self._clock()
        if now < cached.next_retry:
            return False
        if now >= cached.fresh_until or cached.read_at <= since:
            return True
        return not cached.named(kid, since) and now >= cached.next_for_unknown

    def _read(self, url: str, cached: _Cached, since: float) -> None:
        now = self._clock()
        if now < cached.fresh_until and cached.read_at > since:
            cached.next_for_unknown = now + BETWEEN_READS_S
        try:
            keys, fresh_s = _fetched(url)
        # AttributeError: a TLS connection that is cut during a read. RecursionError: excessive nesting.
        except (requests.RequestException, OSError, AttributeError, RecursionError, ValueError) as error:
            if isinstance(error, SetGone):
                cached.keys, cached.fresh_until = (), now
            trusted = len(cached.keys) if cached.read_at > since else 0
            cached.next_retry = self._clock() + (BETWEEN_READS_S if trusted else AFTER_FAILURE_S)
            # Our own messages quote nothing; those of a library may.
            why = str(error) if isinstance(error, KeyUnusable) else type(error).__name__
            where = url.partition("?")[0]
            log.warning(json.dumps({"event": "key-set-not-read", "url": where, "why": why, "keys_trusted": trusted}))
            return
        cached.keys, cached.read_at, cached.fresh_until = keys, now, now + fresh_s


def _fetched(url: str) -> tuple[tuple[VerificationKey, ...], float]:
    """The set at a URL, and how many seconds it stays fresh."""
    deadline = time.monotonic() + TIMEOUT_S
    headers = {"Accept": "application/json, application/jwk-set+json"}
    with (
        watched_session(deadline) as session,
        session.get(url, headers=headers, timeout=TIMEOUT_S, allow_redirects=False, stream=True) as answer,
    ):
        if answer.status_code != requests.codes.ok:
            kind = SetGone if answer.status_code in (requests.codes.not_found, requests.codes.gone) else KeyUnusable
            raise kind(f"expected status 200; found {answer.status_code}")
        body = b""
        for part in answer.iter_content(16 * 1024):
            body += part
            if len(body) > MOST_BYTES:
                raise KeyUnusable("expected a small set")
        fresh = re.search(r"\bmax-age=(\d{1,9})\b", answer.headers.get("Cache-Control", ""))
    if time.monotonic() >= deadline:
        raise KeyUnusable("expected the set within two seconds")
    seconds = int(fresh[1]) if fresh else FRESH_S
    return usable(msgspec.json.decode(body)), min(max(seconds, LEAST_FRESH_S), MOST_FRESH_S)
