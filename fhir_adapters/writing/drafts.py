"""Draft orders and tasks as FHIR resources, each a dict of its own.

Every one has `status: draft` and `intent: proposal`: a person must accept and sign it; nothing starts and nobody is
called. Codes are those of the verified code lists. Pure; `explanations.words.topics` says when one is offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from fhir_adapters.codesets.terminology import LOINC, RISK_ASSESSMENT, SNOMED


@dataclass(frozen=True, slots=True, kw_only=True)
class Orderable:
    """What can be ordered: one code with its display."""

    code: str
    system: str
    display: str


PHQ9 = Orderable(system=LOINC, code="44249-1", display="PHQ-9 quick depression assessment panel [Reported.PHQ]")
PHQ9M = Orderable(
    system=LOINC, code="89206-7", display="Patient Health Questionnaire-9: Modified for Teens [Reported.PHQ.Teen]"
)
CSSRS = Orderable(
    system=LOINC, code="93373-9", display="Columbia - suicide severity rating scale screener - recent [C-SSRS]"
)
ASSESSMENT = Orderable(system=SNOMED, code=RISK_ASSESSMENT, display="Suicide risk assessment (procedure)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The patient and visit that a draft is for. `user` is the clinician's reference, `today` the local day."""

    patient_id: str
    today: date
    encounter: str | None = None
    user: str | None = None


def service_request(what: Orderable, visit: Visit) -> dict[str, Any]:
    """A draft ServiceRequest for `what`, today."""
    resource: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "proposal",
        "code": {"coding": [{"system": what.system, "code": what.code, "display": what.display}]},
        "subject": {"reference": f"Patient/{visit.patient_id}"},
        "occurrenceDateTime": visit.today.isoformat(),
    }
    return _placed(resource, visit)


def follow_up_task(visit: Visit, days: int) -> dict[str, Any]:
    """A draft Task for a follow-up contact within `days` days."""
    resource: dict[str, Any] = {
        "resourceType": "Task",
        "status": "draft",
        "intent": "proposal",
        "description": f"Follow-up contact within {days} days",
        "for": {"reference": f"Patient/{visit.patient_id}"},
        "restriction": {"period": {"end": (visit.today + timedelta(days=days)).isoformat()}},
    }
    return _placed(resource, visit)


def _placed(resource: dict[str, Any], visit: Visit) -> dict[str, Any]:
    if visit.encounter:
        resource["encounter"] = {"reference": visit.encounter}
    if visit.user and visit.user.startswith(("Practitioner/", "PractitionerRole/")):
        resource["requester"] = {"reference": visit.user}
    return resource
