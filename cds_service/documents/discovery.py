"""GET /cds-services: the services offered; GET /data-needs.json: what they read and why. Public, without patient data.

Below /sites/<id> the same for one site: with the key for its own codes, and without a page size where it wants none.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from flask import Blueprint, Response

from cds_service.documents.data_needs import DATA_NEEDS, EXTENSION, as_json
from cds_service.hooks.access import named_site
from cds_service.hooks.catalogue import HOOK_VERSION, SERVICES, SPECIFICATION, Service
from cds_service.serving.cacheable import cacheable
from cds_service.serving.runtime import Runtime
from cds_service.settings.sites import SiteConfig
from fhir_adapters.access.templates import local_template


def document(services: Iterable[Service] = SERVICES, site: SiteConfig | None = None, address: str = "") -> bytes:
    """The discovery document, of one site or for all; the list is present even if empty.

    address: the public one, for the link to the data needs.
    """
    needs = f"{address}{site.path if site else ''}{DATA_NEEDS}"
    entries = [_entry(service, site) for service in services]
    return msgspec.json.encode({"services": entries, "extension": {EXTENSION: {"url": needs}}})


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

    @blueprint.get("/cds-services", strict_slashes=False)
    @blueprint.get("/sites/<site>/cds-services", strict_slashes=False)
    def services(site: str | None = None) -> Response:
        config = runtime.config()
        body = document(site=named_site(config, site) if site else None, address=config.address or "")
        return cacheable(body, "application/json")

    @blueprint.get(DATA_NEEDS)
    @blueprint.get(f"/sites/<site>{DATA_NEEDS}")
    def data_needs(site: str | None = None) -> Response:
        maps = named_site(runtime.config(), site).reading.maps if site else ()
        return cacheable(msgspec.json.encode(as_json(local_template(maps))), "application/json")

    return blueprint
