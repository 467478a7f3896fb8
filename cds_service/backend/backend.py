"""Tokens of the service's own (SMART Backend Services), a site each, and reads and writes with them.

A token is kept in memory until shortly before it ends, and goes below the base of its site alone. No user is behind it:
what it may read and write is what the site's EHR gave our client.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from datetime import datetime

from cds_service.errors import ServiceError
from cds_service.settings.backend import BackendSettings
from cds_service.settings.sites import SiteConfig
from fhir_adapters.access.client import FhirClient
from fhir_adapters.writing.confirmed import FhirWriter
from smart_launch.errors import EhrFailed
from smart_launch.oauth.discovery import Discovery
from smart_launch.oauth.own_keys import OwnKeys
from smart_launch.oauth.scopes import not_granted
from smart_launch.oauth.tokens import TokenEndpoint

log = logging.getLogger("mhcds")
EARLY_S = 60


class BackendFailed(ServiceError):
    """There is no token: the site has no [backend], or its token endpoint gave none."""

    status = 502
    code = "transient"


class Backend:
    """The tokens of one process. local: whether http on this machine is allowed. clock: seconds, for their life."""

    def __init__(
        self,
        *,
        keys: Callable[[], OwnKeys],
        local: Callable[[], bool],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys, self._now, self._clock = keys, now, clock
        self._discovery = Discovery(local=local, launches=False)
        self._kept: dict[tuple[str, BackendSettings], tuple[str, float]] = {}

    def token(self, site: SiteConfig) -> str:
        """An access token for the site's server. Raises BackendFailed."""
        settings = _settings(site)
        token, until = self._kept.get((site.id, settings), ("", 0.0))
        return token if self._clock() < until else self._fetched(site.id, settings)

    def forget(self, site: SiteConfig) -> None:
        """Drops a token that the server no longer accepts."""
        self._kept.pop((site.id, _settings(site)), None)

    def reader(self, site: SiteConfig, deadline: float) -> FhirClient:
        """Reads until the deadline (time.monotonic seconds). Raises BackendFailed."""
        return FhirClient(base=_settings(site).base, token=self.token(site), deadline=deadline)

    def writer(self, site: SiteConfig, patient: str | None, deadline: float) -> FhirWriter:
        """Writes into the chart of one patient, or what belongs to none. Raises BackendFailed."""
        return FhirWriter(base=_settings(site).base, token=self.token(site), patient=patient, deadline=deadline)

    def _fetched(self, site: str, settings: BackendSettings) -> str:
        registration = settings.registration(site)
        try:
            endpoints = self._discovery.endpoints(registration)
            endpoint = TokenEndpoint(endpoints=endpoints, registration=registration, keys=self._keys(), now=self._now())
            answer = endpoint.own_access(settings.scopes)
        except EhrFailed as error:
            self._discovery.forget(registration)
            raise BackendFailed(f"no token of our own: {error}") from error
        if answer.scopes is not None and (lacking := not_granted(settings.scopes, answer.scopes)):
            said = {"event": "backend-scopes-missing", "site": site, "missing": [".".join(each) for each in lacking]}
            log.warning(json.dumps(said))
        until = self._clock() + max(answer.expires_in - EARLY_S, answer.expires_in / 2)
        self._kept[site, settings] = (answer.access_token, until)
        return answer.access_token


def _settings(site: SiteConfig) -> BackendSettings:
    if site.backend is None:
        raise BackendFailed(f"site {site.id}: expected [backend] in its file; found none")
    return site.backend
