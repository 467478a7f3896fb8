"""GET /cds-services: the services offered. Static, public, without patient data; no FHIR request."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from flask import Blueprint, Response

from cds_service.documents.data_needs import EXTENSION, as_json
from cds_service.hooks.catalogue import HOOK_VERSION, SERVICES, SPECIFICATION, Service
from cds_service.serving.cacheable import cacheable


def document(services: Iterable[Service] = SERVICES) -> bytes:
    """The discovery document; the list is present even if empty."""
    return msgspec.json.encode({"services": [_entry(s) for s in services], "extension": {EXTENSION: as_json()}})


def _entry(service: Service) -> dict[str, object]:
    entry = {
        "id": service.id,
        "hook": service.hook,
        "title": service.title,
        "description": service.description,
        "usageRequirements": service.usage,
        "version": SPECIFICATION,
        "hookVersion": HOOK_VERSION,
    }
    return entry | ({"prefetch": dict(service.prefetch)} if service.prefetch else {})


def create_blueprint() -> Blueprint:
    """The discovery route."""
    blueprint = Blueprint("discovery", __name__)
    body = document()

    @blueprint.get("/cds-services", strict_slashes=False)
    def services() -> Response:
        return cacheable(body, "application/json")

    return blueprint
