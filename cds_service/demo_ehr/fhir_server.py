"""The demo EHR's FHIR R4 API: metadata, read and search under /fhir, for a bearer token.

Serves the synthetic charts only, read-only, to callers on this machine that hold the token of
this run. Errors are OperationOutcomes. Not a FHIR server for anything else.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Sequence

from flask import Blueprint, Response, request

from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.search import ELEMENTS, SearchError, bundle, search

FHIR_JSON = "application/fhir+json"


class Charts:
    """All resources of the demo EHR, by patient and by reference. Raises ValueError when two share an id."""

    def __init__(self, charts: Iterable[Sequence[Json]]) -> None:
        self.resources: tuple[Json, ...] = tuple(resource for chart in charts for resource in chart)
        self._by_reference = {f"{r['resourceType']}/{r['id']}": r for r in self.resources}
        if len(self._by_reference) != len(self.resources):
            raise ValueError("expected every resource of the demo to have its own id; found one twice")

    def read(self, resource_type: str, resource_id: str) -> Json | None:
        """One resource, or None where there is none."""
        return self._by_reference.get(f"{resource_type}/{resource_id}")

    def page(self, base: str, resource_type: str, parameters: Sequence[tuple[str, str]]) -> Json:
        """One searchset page. Raises SearchError for a parameter that cannot be read."""
        return bundle(search(self.resources, resource_type, parameters), base, resource_type, parameters)


def create_blueprint(charts: Charts, token: str) -> Blueprint:
    """The routes under /fhir. All but `metadata` want `Authorization: Bearer <token>`."""
    blueprint = Blueprint("fhir", __name__, url_prefix="/fhir")

    @blueprint.before_request
    def refuse_strangers() -> Response | None:
        if request.endpoint == "fhir.metadata":
            return None
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
            return None
        refused = _outcome(401, "login", "A bearer token of this demo is needed.")
        refused.headers["WWW-Authenticate"] = 'Bearer realm="demo EHR"'
        return refused

    @blueprint.get("/metadata")
    def metadata() -> Response:
        return _fhir(_capability_statement())

    @blueprint.get("/<resource_type>/<resource_id>")
    def read(resource_type: str, resource_id: str) -> Response:
        if resource_type not in ELEMENTS:
            return _unknown(resource_type)
        found = charts.read(resource_type, resource_id)
        return _fhir(found) if found else _outcome(404, "not-found", f"No {resource_type} has this id here.")

    @blueprint.get("/<resource_type>")
    @blueprint.post("/<resource_type>/_search")
    def type_search(resource_type: str) -> Response:
        if resource_type not in ELEMENTS:
            return _unknown(resource_type)
        parameters = [*request.args.items(multi=True), *request.form.items(multi=True)]
        try:
            return _fhir(charts.page(base_url(), resource_type, parameters))
        except SearchError as error:
            return _outcome(400, "invalid", f"{error}.")

    return blueprint


def base_url() -> str:
    """The FHIR base as the caller addressed it."""
    return f"{request.host_url.rstrip('/')}/fhir"


def _fhir(resource: Json, status: int = 200) -> Response:
    return Response(json.dumps(resource, ensure_ascii=False), status=status, content_type=FHIR_JSON)


def _outcome(status: int, code: str, text: str) -> Response:
    issue = {"severity": "error", "code": code, "diagnostics": text}
    return _fhir({"resourceType": "OperationOutcome", "issue": [issue]}, status)


def _unknown(resource_type: str) -> Response:
    return _outcome(404, "not-supported", f"This EHR has no resource type {resource_type[:40]!r}.")


def _capability_statement() -> Json:
    def kind(name: str) -> str:
        dates = {"date", "authored", "authoredon", "onset-date", "recorded-date"}
        return "date" if name in dates else "token"

    resources = [
        {
            "type": resource_type,
            "interaction": [{"code": "read"}, {"code": "search-type"}],
            "searchParam": [
                *([] if resource_type == "Patient" else [{"name": "patient", "type": "reference"}]),
                *({"name": name, "type": kind(name)} for name in ELEMENTS[resource_type]),
            ],
        }
        for resource_type in ELEMENTS
    ]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-23",
        "kind": "instance",
        "software": {"name": "mental-health-cds demo EHR"},
        "implementation": {"description": "Synthetic patients. Nothing here is real."},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server", "resource": resources}],
    }
