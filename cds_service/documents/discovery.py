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
from explanations.judgement.regions import DEFAULT_REGION, Region
from explanations.words.language import ENGLISH
from fhir_adapters.access.templates import local_template

OFF = " SWITCHED OFF since {since}: every call is answered with one card that says so, and no chart is read."


def document(
    services: Iterable[Service] = SERVICES,
    site: SiteConfig | None = None,
    address: str = "",
    off: Mapping[str, datetime] = MappingProxyType({}),
    region: Region = DEFAULT_REGION,
) -> bytes:
    """The discovery document, of one site or for all; the list is present even if empty.

    address: the public one, for the link to the data needs. region: whose descriptions and needs. off: service id ->
    since when it is switched off.
    """
    needs = f"{address}{site.path if site else ''}{DATA_NEEDS}"
    entries = [_entry(service, site, off.get(service.id), region) for service in services]
    return msgspec.json.encode({"services": entries, "extension": {EXTENSION: {"url": needs}}})


def _entry(service: Service, site: SiteConfig | None, off: datetime | None, region: Region) -> dict[str, object]:
    description, usage = service.described(region)
    prefetch = dict(service.prefetch(page_size=site is None or site.prefetch_count, region=region))
    prefetch |= dict(site.local_prefetch if site else ())
    entry = {
        "id": service.id,
        "hook": service.hook,
        "title": service.title,
        "description": description + (OFF.format(since=moment_words(off)) if off else ""),
        "usageRequirements": usage + (_languages(site) if site else ""),
        "version": SPECIFICATION,
        "hookVersion": HOOK_VERSION,
    }
    return entry | ({"prefetch": prefetch} if prefetch else {})


def _languages(site: SiteConfig) -> str:
    """In which languages a site's cards come, unless in English alone; and what stays in English."""
    tags = [each.tag for each in site.languages]
    if tags == [ENGLISH]:
        return ""
    unreviewed = [each.tag for each in site.languages if not each.reviewed]
    english = f" Until reviewed, cards in {', '.join(unreviewed)} are in English." if unreviewed else ""
    return f" Cards in {', '.join(tags)}, by Accept-Language.{english}"


def _region(sites: Iterable[SiteConfig]) -> Region:
    """The region to describe: the first where a model may be asked, since its sites need the most; else the first."""
    regions = [site.cards.region for site in sites]
    return next((region for region in regions if region.models), regions[0])


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
        sites = (named,) if named else config.sites
        off = switched_off(runtime.controls(), sites)
        body = document(site=named, address=config.address or "", off=off, region=_region(sites))
        return cacheable(body, "application/json")

    @blueprint.get(DATA_NEEDS)
    @blueprint.get(f"/sites/<site>{DATA_NEEDS}")
    def data_needs(site: str | None = None) -> Response:
        config = runtime.config()
        named = named_site(config, site) if site else None
        local = local_template(named.reading.maps if named else ())
        region = _region((named,) if named else config.sites)
        return cacheable(msgspec.json.encode(as_json(local, region)), "application/json")

    return blueprint
