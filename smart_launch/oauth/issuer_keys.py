"""The public keys of ID token issuers, cached for some minutes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from cachetools import TTLCache

from smart_launch.errors import EhrFailed
from smart_launch.oauth.discovery import Endpoints
from smart_launch.oauth.outbound import allowed_url, get_json, hosts_of
from smart_launch.settings import Registration

FRESH_S, BETWEEN_READS_S = 600.0, 60.0
MOST_CACHED = 1000


class IssuerKeys:
    """The keys cached by one process."""

    def __init__(self, *, local: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._local = local
        self._cached: TTLCache[str, tuple[dict[str, Any], ...]] = TTLCache(MOST_CACHED, FRESH_S, timer=clock)
        self._just_read: TTLCache[str, bool] = TTLCache(MOST_CACHED, BETWEEN_READS_S, timer=clock)
        self._lock = threading.Lock()

    def keys(self, url: str, kid: str | None) -> tuple[dict[str, Any], ...]:
        """The keys with this kid (all if None), read again when none is cached.

        Raises EhrFailed when they cannot be read.
        """
        with self._lock:
            matching = _matching(self._cached.get(url, ()), kid)
            if matching or url in self._just_read:
                return matching
        keys = _fetch(url)
        with self._lock:
            self._cached[url], self._just_read[url] = keys, True
        return _matching(keys, kid)

    def source(self, registration: Registration, endpoints: Endpoints) -> tuple[str, str]:
        """(issuer, address of its keys), registered or else discovered. Raises EhrFailed."""
        issuer = registration.id_token_issuer or endpoints.issuer
        if issuer is None:
            raise EhrFailed("ID token: expected an issuer in smart-configuration or smart.id_token_issuer")
        url = registration.id_token_jwks or endpoints.jwks_uri
        hosts = hosts_of(registration)
        if url is None:
            # Some servers leave jwks_uri out (SMART-025).
            configuration = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            if not allowed_url(configuration, hosts, local=self._local()):
                raise EhrFailed("ID token: expected its issuer on a host of the registration", "ehr-not-trusted")
            url = get_json(configuration).content.get("jwks_uri")
        if registration.id_token_jwks is None and not allowed_url(url, hosts, local=self._local()):
            raise EhrFailed("ID token: expected its keys by https on a host of the registration", "ehr-not-trusted")
        return issuer, str(url)


def _matching(keys: tuple[dict[str, Any], ...], kid: str | None) -> tuple[dict[str, Any], ...]:
    """The keys that may have signed; some servers publish keys without a kid."""
    return keys if kid is None else tuple(key for key in keys if key.get("kid") in (None, kid))


def _fetch(url: str) -> tuple[dict[str, Any], ...]:
    response = get_json(url)
    keys = response.content.get("keys")
    if response.status != 200 or not isinstance(keys, list):
        raise EhrFailed("ID token: expected a JWK Set at jwks_uri", "ehr-unreachable")
    return tuple(key for key in keys if isinstance(key, dict))
