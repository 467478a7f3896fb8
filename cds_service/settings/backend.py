"""`[backend]` of a site's file: the service as a SMART backend client of the site's EHR, off unless it is there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings:
    """base: the FHIR server, among the site's fhir_bases. client_id: ours there. scopes: asked of its token endpoint.

    algorithm: of our signature; None: by discovery.
    """

    base: str
    client_id: str
    scopes: tuple[str, ...]
    algorithm: str | None = None
