"""Writes that the demo EHR accepts from an app: valid R4 of a supported type, about one of its patients."""

from __future__ import annotations

from cds_service.demo_ehr.authorization.scopes import WRITABLE
from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.search import owner
from fhir_adapters.resources.validation import faults

MOST_NAMED = 5


class Unprocessable(Exception):
    """A refused resource; the message says in one sentence what was expected."""


def check_resource(resource_type: str, body: object) -> Json:
    """The resource, when it is of that type, valid and some patient's. Raises Unprocessable."""
    if not isinstance(body, dict) or body.get("resourceType") != resource_type or resource_type not in WRITABLE:
        raise Unprocessable(f"Expected a resource of the type {resource_type}.")
    faults_found = faults(body)
    if faults_found:
        raise Unprocessable(f"Expected valid R4; found {'; '.join(faults_found[:MOST_NAMED])}.")
    whose = owner(body)
    if whose is None or not whose.startswith("Patient/"):
        raise Unprocessable(f"Expected {'Task.for' if resource_type == 'Task' else 'subject'} to name the patient.")
    return body
