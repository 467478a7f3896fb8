"""GET /cds-services: what is on offer. Static, open, without patient data; asks no FHIR server."""

from __future__ import annotations

import hashlib

import msgspec
from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as BaseResponse

from cds_service.catalogue import HOOK_VERSION, SERVICES, SPECIFICATION
from cds_service.data_needs import EXTENSION, as_json


def document() -> bytes:
    """The discovery document."""
    return msgspec.json.encode(
        {
            "services": [
                {
                    "id": s.id,
                    "hook": s.hook,
                    "title": s.title,
                    "description": s.description,
                    "usageRequirements": s.usage,
                    "version": SPECIFICATION,
                    "hookVersion": HOOK_VERSION,
                    "prefetch": dict(s.prefetch),
                }
                for s in SERVICES
            ],
            "extension": {EXTENSION: as_json()},
        }
    )


def create_blueprint() -> Blueprint:
    """The discovery route."""
    blueprint = Blueprint("discovery", __name__)
    body = document()
    tag = hashlib.sha256(body).hexdigest()[:16]

    @blueprint.get("/cds-services", strict_slashes=False)
    def services() -> BaseResponse:
        answer = Response(body, content_type="application/json")
        answer.set_etag(tag)
        answer.headers["Cache-Control"] = "public, max-age=300"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer.make_conditional(request)

    return blueprint
