"""Draft orders and tasks as FHIR resources, each a dict of its own.

Every one has `status: draft` and `intent: proposal`: a person must accept and sign it; nothing starts and nobody is
called. Codes are those of the verified code lists. Pure; `explanations.judgement.next_steps` says when one is offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from fhir_adapters.codesets.questions import coding_of
from fhir_adapters.codesets.terminology import LOINC, RISK_ASSESSMENT, SNOMED
from fhir_adapters.instruments import Instrument

MESSAGE_SYSTEM = "urn:mental-health-cds:escalation-message"


@dataclass(frozen=True, slots=True, kw_only=True)
class Orderable:
    """An orderable item: a code with its display; without a verified code, its name alone."""

    code: str = ""
    system: str = ""
    display: str

    @property
    def concept(self) -> dict[str, Any]:
        """As a CodeableConcept."""
        coding = {"system": self.system, "code": self.code, "display": self.display}
        return {"coding": [coding]} if self.code else {"text": self.display}


def _panel(instrument: Instrument) -> Orderable:
    code, display = coding_of(instrument, "panel")
    return Orderable(system=LOINC, code=code, display=display)


PHQ9, PHQ9M, CSSRS = (_panel(kind) for kind in (Instrument.PHQ9, Instrument.PHQ9M, Instrument.CSSRS))
ASSESSMENT = Orderable(system=SNOMED, code=RISK_ASSESSMENT, display="Suicide risk assessment (procedure)")
# NICE NG225; its SNOMED code was not found at a source, so it is ordered by name.
PSYCHOSOCIAL = Orderable(display="Psychosocial assessment")


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftContext:
    """The patient and encounter of a draft. `user`, `user_name`: the clinician. `today`: the local day."""

    patient_id: str
    today: date
    encounter: str | None = None
    user: str | None = None
    user_name: str | None = None


def service_request(what: Orderable, context: DraftContext) -> dict[str, Any]:
    """A draft ServiceRequest for `what`, today."""
    resource: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "proposal",
        "code": what.concept,
        "subject": {"reference": f"Patient/{context.patient_id}"},
        "occurrenceDateTime": context.today.isoformat(),
    }
    return _placed(resource, context)


def follow_up_task(context: DraftContext, days: int) -> dict[str, Any]:
    """A draft Task for a follow-up contact within `days` days."""
    resource: dict[str, Any] = {
        "resourceType": "Task",
        "status": "draft",
        "intent": "proposal",
        "description": f"Follow-up contact within {days} days",
        "for": {"reference": f"Patient/{context.patient_id}"},
        "restriction": {"period": {"end": (context.today + timedelta(days=days)).isoformat()}},
    }
    return _placed(resource, context)


def escalation_task(
    message: str, *, description: str, patient_id: str | None, owner: str | None, at: datetime, end: datetime
) -> dict[str, Any]:
    """A draft Task that asks somebody to look, recognised by the id of its message.

    patient_id: None for a rehearsal. owner: whom the site names for it. at, end: since when, and until when.
    """
    resource: dict[str, Any] = {
        "resourceType": "Task",
        "identifier": [{"system": MESSAGE_SYSTEM, "value": message}],
        "status": "draft",
        "intent": "proposal",
        "priority": "stat",
        "description": description,
        "authoredOn": at.isoformat(timespec="seconds"),
        "restriction": {"period": {"end": end.isoformat(timespec="seconds")}},
    }
    if patient_id is not None:
        resource["for"] = {"reference": f"Patient/{patient_id}"}
    if owner is not None:
        resource["owner"] = {"reference": owner}
    return resource


def _placed(resource: dict[str, Any], context: DraftContext) -> dict[str, Any]:
    if context.encounter:
        resource["encounter"] = {"reference": context.encounter}
    if context.user and context.user.startswith(("Practitioner/", "PractitionerRole/")):
        resource["requester"] = {
            "reference": context.user,
            **({"display": context.user_name} if context.user_name else {}),
        }
    return resource
