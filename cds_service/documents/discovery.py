"""GET /cds-services: the services offered; GET /data-needs.json: what they read and why. Public, without patient data.

Below /sites/<id> the same for one site: with the key for its own codes, and without a page size where it wants none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec
from flask import Blueprint, Response

from cds_service.control.acts import moment_words
from cds_service.control.snapshot import ControlState
from cds_service.documents.data_needs import DATA_NEEDS, EXTENSION, as_json
from cds_service.hooks.access import named_site
from cds_service.hooks.catalogue import HOOK_VERSION, SERVICES, SPECIFICATION, Service
from cds_service.serving.cacheable import cacheable
from cds_service.serving.runtime import Runtime
from cds_service.settings.sites import SiteConfig
from fhir_adapters.access.templates import local_template

OFF = " SWITCHED OFF since {since}: every call is answered with one card that says so, and no chart is read."


def document(
    services: Iterable[Service] = SERVICES,
    site: SiteConfig | None = None,
    address: str = "",
    off: Mapping[str, datetime] = MappingProxyType({}),
) -> bytes:
    """The discovery document, of one site or for all; the list is present even if empty.

    address: the public one, for the link to the data needs. off: service id -> since when it is switched off.
    """
    needs = f"{address}{site.path if site else ''}{DATA_NEEDS}"
    entries = [_entry(service, site, off.get(service.id)) for service in services]
    return msgspec.json.encode({"services": entries, "extension": {EXTENSION: {"url": needs}}})


def _entry(service: Service, site: SiteConfig | None, off: datetime | None) -> dict[str, object]:
    prefetch = dict(service.prefetch(page_size=site is None or site.prefetch_count))
    prefetch |= dict(site.local_prefetch if site else ())
    entry = {
        "id": service.id,
        "hook": service.hook,
        "title": service.title,
        "description": service.description + (OFF.format(since=moment_words(off)) if off else ""),
        "usageRequirements": service.usage,
        "version": SPECIFICATION,
        "hookVersion": HOOK_VERSION,
    }
    return entry | ({"prefetch": prefetch} if prefetch else {})


def switched_off(state: ControlState, sites: Iterable[SiteConfig]) -> dict[str, datetime]:
    """The services that are switched off at all of these sites, and since when."""
    found = {service.id: [state.service_off(site.id, service.id) for site in sites] for service in SERVICES}
    return {name: max(row.at for row in rows if row) for name, rows in found.items() if rows and all(rows)}


def create_blueprint(runtime: Runtime) -> Blueprint:
    """The discovery routes."""
    blueprint = Blueprint("discovery", __name__)

    @blueprint.get("/cds-services", strict_slashes=False)
    @blueprint.get("/sites/<site>/cds-services", strict_slashes=False)
    def services(site: str | None = None) -> Response:
        config = runtime.config()
        named = named_site(config, site) if site else None
        runtime.controls.look()
        off = switched_off(runtime.controls(), (named,) if named else config.sites)
        body = document(site=named, address=config.address or "", off=off)
        return cacheable(body, "application/json")

    @blueprint.get(DATA_NEEDS)
    @blueprint.get(f"/sites/<site>{DATA_NEEDS}")
    def data_needs(site: str | None = None) -> Response:
        maps = named_site(runtime.config(), site).reading.maps if site else ()
        return cacheable(msgspec.json.encode(as_json(local_template(maps))), "application/json")

    return blueprint
