"""Records of what was done, as FHIR R4 AuditEvent resources: pseudonyms and codes, as they are on record.

People stand in `agent` and `entity` by identifier, never by reference: whoever has the key finds them. All else is in
the details of one entity, a field each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PSEUDONYM, EVENT, KIND = (f"urn:mental-health-cds:{name}" for name in ("pseudonym", "audit-event", "audit-kind"))
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
REST = {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"}
LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
ACTIVITY = {"system": DICOM, "code": "110100", "display": "Application Activity"}
PATIENT_RECORD = {"system": DICOM, "code": "110110", "display": "Patient Record"}
# Type and action of each kind; an action of the app depends on what was done.
KINDS: Mapping[str, tuple[Mapping[str, str], str]] = {
    "answer": (REST, "E"),
    "app": (PATIENT_RECORD, "R"),
    "feedback": (REST, "C"),
    "mode": (ACTIVITY, "U"),
    "switch": (ACTIVITY, "U"),
    "opt-out": (ACTIVITY, "U"),
    "configuration": (ACTIVITY, "U"),
    "export": ({"system": DICOM, "code": "110106", "display": "Export"}, "R"),
    "erasure": ({"system": LIFECYCLE, "code": "destroy"}, "D"),
    "incident": (ACTIVITY, "C"),
    "escalation": (ACTIVITY, "E"),
    "snooze": (ACTIVITY, "C"),
    "reading": (PATIENT_RECORD, "R"),
    "trial": (ACTIVITY, "C"),
    "governance": (ACTIVITY, "E"),
}
APP_ACTIONS = {"written": "C", "undone": "D", "overridden": "C", "opinion": "C"}
SERVER_ERROR, CLIENT_ERROR = 500, 400
AGENTS = ("user", "by", "issuer", "patient")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent:
    """An event on record: number `seq` of its site. at: ISO 8601 with its zone."""

    site: str
    seq: int
    at: str
    kind: str
    event: Mapping[str, Any]


def audit_event_resource(recorded: RecordedEvent) -> dict[str, Any]:
    """A valid AuditEvent."""
    event = recorded.event
    kind, action = KINDS[recorded.kind]
    if recorded.kind == "app":
        action = APP_ACTIONS.get(str(event.get("what")), action)
    source: dict[str, Any] = {"observer": {"display": "mental-health-cds"}}
    if recorded.site:
        source["site"] = recorded.site
    return {
        "resourceType": "AuditEvent",
        "type": dict(kind),
        "subtype": [{"system": KIND, "code": recorded.kind}],
        "action": action,
        "recorded": recorded.at,
        "outcome": _outcome(event),
        "agent": list(_agents(event)),
        "source": source,
        "entity": list(_entities(recorded)),
    }


def _outcome(event: Mapping[str, Any]) -> str:
    """Success, minor failure, serious failure, in the codes of audit-event-outcome."""
    status = event.get("status", 0)
    return "8" if status >= SERVER_ERROR else "4" if status >= CLIENT_ERROR else "0"


def _agents(event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Who asked first, then the client through which; the service itself where nobody did."""
    if user := event.get("user"):
        yield {"who": {"identifier": {"system": PSEUDONYM, "value": user}}, "requestor": True}
    elif by := event.get("by"):
        yield {"name": by, "requestor": True}
    else:
        yield {"name": "mental-health-cds", "requestor": True}
    if issuer := event.get("issuer"):
        yield {"who": {"identifier": {"value": issuer}}, "requestor": False}


def _entities(recorded: RecordedEvent) -> Iterator[dict[str, Any]]:
    if patient := recorded.event.get("patient"):
        yield {
            "what": {"identifier": {"system": PSEUDONYM, "value": patient}},
            "type": {"system": ENTITY, "code": "1", "display": "Person"},
            "role": {"system": ROLE, "code": "1", "display": "Patient"},
        }
    details = [
        {"type": name, "valueString": value if isinstance(value, str) else json.dumps(value)}
        for name, value in recorded.event.items()
        if name not in AGENTS and value not in (None, "", [], {})
    ]
    entity: dict[str, Any] = {
        "what": {"identifier": {"system": EVENT, "value": f"{recorded.site}/{recorded.seq}"}},
        "type": {"system": ENTITY, "code": "4", "display": "Other"},
    }
    yield entity | ({"detail": details} if details else {})
