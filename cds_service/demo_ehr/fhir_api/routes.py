"""The demo EHR's FHIR R4 API under /fhir: metadata, read, search, create and update, for a bearer token.

Two kinds of token: that of a hook call reads every chart of this demo; one from the authorization server has the rights
of its scopes, in one patient's chart. Errors are OperationOutcomes. Not a FHIR server for anything else.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Protocol

from flask import Blueprint, Response, g, request

from cds_service.demo_ehr.authorization.scopes import WRITABLE
from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.fhir_api.charts import Charts, ManyMatches, VersionConflict, reference_of, version_of
from cds_service.demo_ehr.fhir_api.writes import Unprocessable, check_resource
from cds_service.demo_ehr.search import DATES, ELEMENTS, SearchError

__all__ = ["Charts", "base_url", "create_blueprint"]

FHIR_JSON = "application/fhir+json"
MOST_BYTES = 1024 * 1024


class Bearer(Protocol):
    """What a token lets its bearer do: read (r), search (s), create (c), change (u)."""

    def of_type(self, right: str, resource_type: str) -> bool:
        """With some resource of the type."""

    def of(self, right: str, resource: Json) -> bool:
        """With this resource."""


class _HookBearer:
    """The service, while it answers a hook: it may read."""

    def of_type(self, right: str, resource_type: str) -> bool:  # noqa: ARG002  # as Bearer
        return right in "rs"

    def of(self, right: str, resource: Json) -> bool:
        return self.of_type(right, resource["resourceType"])


def _nobody(_token: str) -> Bearer | None:
    return None


def create_blueprint(
    charts: Charts, token: str, *, base: str | None = None, access: Callable[[str], Bearer | None] = _nobody
) -> Blueprint:
    """The routes under /fhir. All but `metadata` want `Authorization: Bearer`.

    token: that of hook calls. access: what any other token allows, None for one that is unknown or over. base: the
    FHIR base that links and locations name (default: as the caller addressed it).
    """
    blueprint = Blueprint("fhir", __name__, url_prefix="/fhir")
    blueprint.before_request(lambda: _refuse_strangers(token, access))
    too_long = f"Expected at most {MOST_BYTES} bytes."
    blueprint.register_error_handler(413, lambda _error: _outcome(413, "too-long", too_long))

    _add_reading(blueprint, charts, base)

    @blueprint.post("/<resource_type>")
    def create(resource_type: str) -> Response:
        return _refused("c", resource_type) or _create(charts, resource_type, base or base_url())

    @blueprint.put("/<resource_type>/<resource_id>")
    def update(resource_type: str, resource_id: str) -> Response:
        return _refused("u", resource_type) or _update(charts, resource_type, resource_id)

    return blueprint


def _add_reading(blueprint: Blueprint, charts: Charts, base: str | None) -> None:
    """Metadata, read and search."""

    @blueprint.get("/metadata")
    def metadata() -> Response:
        return _fhir(_capability_statement())

    @blueprint.get("/<resource_type>/<resource_id>")
    def read(resource_type: str, resource_id: str) -> Response:
        if refused := _refused("r", resource_type):
            return refused
        resource = charts.read(resource_type, resource_id)
        if resource is None:
            return _outcome(404, "not-found", f"No {resource_type} has this id here.")
        return _stored(resource) if g.bearer.of("r", resource) else _not_yours()

    @blueprint.get("/<resource_type>")
    @blueprint.post("/<resource_type>/_search")
    def type_search(resource_type: str) -> Response:
        if refused := _refused("s", resource_type):
            return refused
        parameters = [*request.args.items(multi=True), *request.form.items(multi=True)]
        try:
            allowed = g.bearer
            page = charts.page(base or base_url(), resource_type, parameters, lambda r: allowed.of("s", r))
        except SearchError as error:
            return _outcome(400, "invalid", f"{error}.")
        return _fhir(page)


def base_url() -> str:
    """The FHIR base as the caller addressed it."""
    return f"{request.host_url.rstrip('/')}/fhir"


def _refuse_strangers(token: str, access: Callable[[str], Bearer | None]) -> Response | None:
    if request.endpoint == "fhir.metadata":
        return None
    scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
    presented = presented.strip()
    if scheme.lower() == "bearer" and hmac.compare_digest(presented.encode(), token.encode()):
        g.bearer = _HookBearer()
        return None
    bearer = access(presented) if scheme.lower() == "bearer" and presented else None
    if bearer is not None:
        g.bearer = bearer
        return None
    refused = _outcome(401, "login", "A bearer token of this demo is needed; this one is missing, unknown or over.")
    error = ', error="invalid_token"' if presented else ""
    refused.headers["WWW-Authenticate"] = f'Bearer realm="demo EHR"{error}'
    return refused


def _refused(right: str, resource_type: str) -> Response | None:
    """The refusal of this right on this type, if any."""
    if resource_type not in ELEMENTS:
        return _outcome(404, "not-supported", f"This EHR has no resource type {resource_type[:40]!r}.")
    if right in "cu" and resource_type not in WRITABLE:
        return _outcome(405, "not-supported", f"This EHR takes no {resource_type}.")
    if g.bearer.of_type(right, resource_type):
        return None
    refused = _outcome(403, "forbidden", f"The token's scopes do not allow this with {resource_type}.")
    refused.headers["WWW-Authenticate"] = 'Bearer realm="demo EHR", error="insufficient_scope"'
    return refused


def _not_yours() -> Response:
    return _outcome(403, "forbidden", "The token is for another patient's chart, or for a part of this one.")


def _create(charts: Charts, resource_type: str, base: str) -> Response:
    unless = request.headers.get("If-None-Exist")
    name, _, value = (unless or "").partition("=")
    if unless is not None and (name != "identifier" or "|" not in value or "&" in value):
        return _outcome(412, "not-supported", "Expected If-None-Exist: identifier=system|value.")
    taken = _taken("c", resource_type)
    if isinstance(taken, Response):
        return taken
    try:
        stored, new = charts.create(taken, value if unless is not None else None)
    except ManyMatches:
        return _outcome(412, "multiple-matches", "More than one resource has this identifier.")
    answer = _stored(stored, 201 if new else 200)
    answer.headers["Location"] = f"{base}/{reference_of(stored)}/_history/{version_of(stored)}"
    return answer


def _update(charts: Charts, resource_type: str, resource_id: str) -> Response:
    before = charts.read(resource_type, resource_id)
    if before is None:
        return _outcome(405, "not-supported", "This EHR gives ids itself; there is no resource of this id.")
    if not g.bearer.of("u", before):
        return _not_yours()
    taken = _taken("u", resource_type)
    if isinstance(taken, Response):
        return taken
    if taken.get("id") != resource_id:
        return _outcome(400, "invalid", "Expected the id of the address in the resource.")
    expected = request.headers.get("If-Match", "").removeprefix('W/"').removesuffix('"')
    try:
        return _stored(charts.update(taken, int(expected) if expected.isdecimal() else None))
    except VersionConflict:
        return _outcome(412, "conflict", "The chart holds another version of this resource.")


def _taken(right: str, resource_type: str) -> Json | Response:
    """The resource in the request's body, or why it is refused."""
    request.max_content_length = MOST_BYTES
    if request.mimetype not in (FHIR_JSON, "application/json"):
        return _outcome(415, "not-supported", f"Expected {FHIR_JSON}.")
    try:
        resource = check_resource(resource_type, json.loads(request.get_data()))
    except (ValueError, RecursionError):
        return _outcome(400, "structure", "Expected JSON.")
    except Unprocessable as error:
        return _outcome(422, "invalid", str(error))
    return resource if g.bearer.of(right, resource) else _not_yours()


def _stored(resource: Json, status: int = 200) -> Response:
    """A resource with its version; without a body if the writer prefers."""
    minimal = request.method != "GET" and "return=minimal" in request.headers.get("Prefer", "")
    answer = Response(status=status, content_type=FHIR_JSON) if minimal else _fhir(resource, status)
    answer.headers["ETag"] = f'W/"{version_of(resource)}"'
    return answer


def _fhir(resource: Json, status: int = 200) -> Response:
    return Response(json.dumps(resource, ensure_ascii=False), status=status, content_type=FHIR_JSON)


def _outcome(status: int, code: str, text: str) -> Response:
    issue = {"severity": "error", "code": code, "diagnostics": text}
    return _fhir({"resourceType": "OperationOutcome", "issue": [issue]}, status)


def _capability_statement() -> Json:
    def kind(name: str) -> str:
        return "date" if name in DATES else "reference" if name == "questionnaire" else "token"

    resources = [
        {
            "type": resource_type,
            "interaction": [
                {"code": code}
                for code in ("read", "search-type", *(("create", "update") if resource_type in WRITABLE else ()))
            ],
            "conditionalCreate": resource_type in WRITABLE,
            "searchParam": [
                *(
                    []
                    if resource_type in ("Patient", "Practitioner", "Medication")
                    else [{"name": "patient", "type": "reference"}]
                ),
                *({"name": name, "type": kind(name)} for name in ELEMENTS[resource_type]),
            ],
        }
        for resource_type in ELEMENTS
    ]
    security = "http://terminology.hl7.org/CodeSystem/restful-security-service"
    service = {"coding": [{"system": security, "code": "SMART-on-FHIR"}]}
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-23",
        "kind": "instance",
        "software": {"name": "mental-health-cds demo EHR"},
        "implementation": {"description": "Synthetic patients. Nothing here is real."},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server", "security": {"service": [service]}, "resource": resources}],
    }
