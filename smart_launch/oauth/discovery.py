"""`.well-known/smart-configuration` of an EHR: its OAuth endpoints and capabilities.

Cached per EHR for minutes, failures for seconds; read again once when a token endpoint does not know us. Endpoints must
be https on hosts that the registration names, since secrets go there; anything else is refused and logged.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from cachetools import TLRUCache

from smart_launch.errors import EhrFailed
from smart_launch.oauth.outbound import allowed_url, get_json, hosts_of
from smart_launch.settings import Registration

log = logging.getLogger("mhcds")
FRESH_S, LEAST_FRESH_S, MOST_FRESH_S = 600, 60, 3600
MOST_CACHED = 1000
AFTER_FAILURE_S = 5  # so that launches do not wait one by one for an EHR that hangs


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The parts of an EHR's configuration that we use. None: not stated.

    authorization: "" where nobody is to launch. sends_iss: it promises `iss` on every callback (RFC 9207).
    """

    authorization: str
    token: str
    revocation: str | None = None
    issuer: str | None = None
    jwks_uri: str | None = None
    capabilities: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    algorithms: tuple[str, ...] | None = None
    sends_iss: bool = False

    @property
    def version_2(self) -> bool:
        """Whether to request version 2 scopes; the default when a server names neither version."""
        return "permission-v2" in self.capabilities or "permission-v1" not in self.capabilities

    @property
    def online(self) -> bool:
        """Whether it offers refresh tokens while the user is online (online_access)."""
        return "permission-online" in self.capabilities or "online_access" in self.scopes


@dataclass(frozen=True, slots=True)
class _CachedAnswer:
    answer: Endpoints | EhrFailed
    fresh_s: float


class Discovery:
    """The configurations cached by one process. launches: what only a launch needs is required."""

    def __init__(
        self, *, local: Callable[[], bool], launches: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._local, self._launches = local, launches
        self._cached: TLRUCache[str, _CachedAnswer] = TLRUCache(
            MOST_CACHED, lambda _iss, c, now: now + c.fresh_s, clock
        )
        self._lock = threading.Lock()

    def forget(self, registration: Registration) -> None:
        """Drops an EHR's cached configuration, so that the next launch reads it again (SMART-027)."""
        with self._lock:
            self._cached.pop(registration.iss, None)

    def endpoints(self, registration: Registration) -> Endpoints:
        """The endpoints of a registration's EHR. Raises EhrFailed."""
        with self._lock:
            cached = self._cached.get(registration.iss)
        if cached is None:
            try:
                cached = self._fetch(registration)
            except EhrFailed as error:
                cached = _CachedAnswer(error, AFTER_FAILURE_S)
            with self._lock:
                self._cached[registration.iss] = cached
        if isinstance(cached.answer, EhrFailed):
            raise EhrFailed(str(cached.answer), cached.answer.page)
        # The registration may have changed since.
        check_hosts(cached.answer, registration, local=self._local())
        return cached.answer

    def _fetch(self, registration: Registration) -> _CachedAnswer:
        """Reads the endpoints from the EHR. Raises EhrFailed."""
        response = get_json(f"{registration.iss}/.well-known/smart-configuration")
        if response.status != 200:
            raise EhrFailed(f"smart-configuration: expected status 200; found {response.status}", "ehr-unreachable")
        endpoints = parse_configuration(response.content, registration.iss, launches=self._launches)
        check_hosts(endpoints, registration, local=self._local())
        return _CachedAnswer(endpoints, _fresh_s(response.cache_control))


def _fresh_s(cache_control: str) -> float:
    max_age = re.search(r"\bmax-age=(\d{1,9})\b", cache_control)
    return min(max(int(max_age[1]) if max_age else FRESH_S, LEAST_FRESH_S), MOST_FRESH_S)


def parse_configuration(content: dict[str, Any], iss: str, *, launches: bool = True) -> Endpoints:
    """The endpoints in a configuration; without launches the token endpoint alone. Raises EhrFailed."""
    methods = _texts(content, "code_challenge_methods_supported")
    if launches and (methods is None or "S256" not in methods):
        raise EhrFailed("smart-configuration: expected S256 among code_challenge_methods_supported")
    authorization, token = (_address(content, name, iss) for name in ("authorization_endpoint", "token_endpoint"))
    if token is not None and not launches:
        return Endpoints(
            authorization="",
            token=token,
            algorithms=_texts(content, "token_endpoint_auth_signing_alg_values_supported"),
        )
    if authorization is None or token is None:
        raise EhrFailed("smart-configuration: expected authorization_endpoint and token_endpoint")
    return Endpoints(
        authorization=authorization,
        token=token,
        revocation=_address(content, "revocation_endpoint", iss),
        issuer=_text(content, "issuer"),
        jwks_uri=_address(content, "jwks_uri", iss),
        capabilities=frozenset(_texts(content, "capabilities") or ()),
        scopes=frozenset(_texts(content, "scopes_supported") or ()),
        algorithms=_texts(content, "token_endpoint_auth_signing_alg_values_supported"),
        sends_iss=content.get("authorization_response_iss_parameter_supported") is True,
    )


def check_hosts(endpoints: Endpoints, registration: Registration, *, local: bool) -> None:
    """Raises EhrFailed unless all endpoints we use are on the registration's hosts (SMART-028)."""
    hosts = hosts_of(registration)
    for name in ("authorization", "token", "revocation", "jwks_uri"):
        url = None if name == "jwks_uri" and registration.id_token_jwks else getattr(endpoints, name)
        if url and not allowed_url(url, hosts, local=local):
            log.error(json.dumps({"event": "smart-endpoint-refused", "site": registration.site, "endpoint": name}))
            raise EhrFailed(
                f"smart-configuration: expected {name} by https on a host of the registration (smart.hosts)",
                "ehr-not-trusted",
            )


def _text(content: dict[str, Any], name: str) -> str | None:
    value = content.get(name)
    return value if isinstance(value, str) and value else None


def _texts(content: dict[str, Any], name: str) -> tuple[str, ...] | None:
    value = content.get(name)
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else None


def _address(content: dict[str, Any], name: str, iss: str) -> str | None:
    """An absolute address; relative ones are resolved against the FHIR base, as old servers intend (SMART-023)."""
    value = _text(content, name)
    if value is None:
        return None
    try:
        return urljoin(f"{iss}/", value)
    except ValueError as error:
        raise EhrFailed(f"smart-configuration: expected an address as {name}") from error
