"""GET /cds-services: the services offered. Static, public, without patient data; no FHIR request.

GET /sites/<id>/cds-services is the same for one site: with the key for its own codes, and without a page size where it
wants none.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from flask import Blueprint, Response

from cds_service.documents.data_needs import EXTENSION, as_json
from cds_service.hooks.access import named_site
from cds_service.hooks.catalogue import HOOK_VERSION, SERVICES, SPECIFICATION, Service
from cds_service.serving.cacheable import cacheable
from cds_service.serving.runtime import Runtime
from cds_service.settings.sites import SiteConfig
from fhir_adapters.access.templates import local_template


def document(services: Iterable[Service] = SERVICES, site: SiteConfig | None = None) -> bytes:
    """The discovery document, of one site or for all; the list is present even if empty."""
    entries = [_entry(service, site) for service in services]
    needs = as_json(local_template(site.reading.maps) if site else None)
    return msgspec.json.encode({"services": entries, "extension": {EXTENSION: needs}})


def _entry(service: Service, site: SiteConfig | None) -> dict[str, object]:
    prefetch = dict(service.prefetch(page_size=site is None or site.prefetch_count))
    prefetch |= dict(site.local_prefetch if site else ())
    entry = {
        "id": service.id,
        "hook": service.hook,
        "title": service.title,
        "description": service.description,
        "usageRequirements": service.usage,
        "version": SPECIFICATION,
        "hookVersion": HOOK_VERSION,
    }
    return entry | ({"prefetch": prefetch} if prefetch else {})


def create_blueprint(runtime: Runtime) -> Blueprint:
    """The discovery routes."""
    blueprint = Blueprint("discovery", __name__)
    body = document()

    @blueprint.get("/cds-services", strict_slashes=False)
    def services() -> Response:
        return cacheable(body, "application/json")

    @blueprint.get("/sites/<site>/cds-services", strict_slashes=False)
    def services_of(site: str) -> Response:
        return cacheable(document(site=named_site(runtime.config(), site)), "application/json")

    return blueprint
