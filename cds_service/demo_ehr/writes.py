"""What the demo EHR takes from an app: which resources, and what each one must say before it is in a chart."""

from __future__ import annotations

from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.scopes import WRITABLE
from cds_service.demo_ehr.search import DATES, ELEMENTS, SearchError, interval, owner

# What a resource must hold, and the JSON type of it.
NEEDED: dict[str, dict[str, type]] = {
    "QuestionnaireResponse": {"status": str, "item": list},
    "Observation": {"status": str, "code": dict},
    "Task": {"status": str, "intent": str},
    "ServiceRequest": {"status": str, "intent": str, "code": dict},
}


class Unprocessable(Exception):
    """A resource that cannot be taken. Says what was expected, in one sentence."""


def checked(resource_type: str, body: object) -> Json:
    """The resource, when it is of that type, complete, dated readably and some patient's. Raises Unprocessable."""
    if not isinstance(body, dict) or body.get("resourceType") != resource_type or resource_type not in WRITABLE:
        raise Unprocessable(f"Expected a resource of the type {resource_type}.")
    for name, kind in NEEDED[resource_type].items():
        if not isinstance(body.get(name), kind):
            raise Unprocessable(f"Expected {resource_type}.{name}.")
    whose = owner(body)
    if whose is None or not whose.startswith("Patient/"):
        raise Unprocessable(f"Expected {'Task.for' if resource_type == 'Task' else 'subject'} to name the patient.")
    for parameter in DATES:
        element = ELEMENTS[resource_type].get(parameter)
        if element in body:
            _readable(body[element], f"{resource_type}.{element}")
    return body


def _readable(value: object, name: str) -> None:
    try:
        interval(value if isinstance(value, str) else "")
    except SearchError as error:
        raise Unprocessable(f"Expected a FHIR date or dateTime as {name}.") from error
