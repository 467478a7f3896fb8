"""The bodies of the benchmark, from the project's own generator: 1 Patient, 100 Observations, 20 Conditions and 20
MedicationRequests, about 128 kB, with what real resources carry beside their facts (meta, identifiers, encounter,
performers).

`speaking`: both models speak, two cards. `quiet`: the same chart of somebody under 18, so no model speaks, and
there is the card of the rules alone. `sized` is the chart of a given number of resources. `acute` is a short chart with an answer that is acute.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle

from cds_service.demo_ehr import codes
from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.patients import forms
from cds_service.demo_ehr.patients.chart_builder import CLINICIAN, CLINICIAN_NAME, ChartBuilder
from fhir_adapters.access.templates import templates

PATIENT = "benchmark-patient"
ADULT, MINOR = 58, 15
OBSERVATIONS, LISTED = 100, 20
KEYS = {
    "Patient": "patient", "Condition": "conditions", "MedicationRequest": "medications",
    "QuestionnaireResponse": "questionnaires",
}  # fmt: skip
CONDITIONS = (
    codes.INSOMNIA, codes.HYPERTENSION, codes.COPD, codes.ARTHRITIS, codes.ANEMIA, codes.KIDNEY_DISEASE,
    codes.THYROID, codes.HYPERLIPIDEMIA,
)  # fmt: skip
MEDICINES = (
    {"text": "Lisinopril 20 mg tablet"}, {"text": "Albuterol 90 micrograms inhaler"}, {"text": "Zolpidem 5 mg tablet"},
    {"text": "Omeprazole 20 mg capsule"}, codes.concept(codes.RXNORM, "10689", "tramadol"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A hook request, and the number of cards that answer it; None: any."""

    content: bytes
    cards: int | None


def speaking(as_of: datetime | None = None) -> Body:
    return Body(content=request(chart(ADULT, OBSERVATIONS, LISTED, as_of)), cards=2)


def quiet() -> Body:
    return Body(content=request(chart(MINOR, OBSERVATIONS, LISTED)), cards=1)


def sized(resources: int) -> Body:
    """A chart of so many resources, in the shares of the usual one."""
    listed = max(1, resources * LISTED // (OBSERVATIONS + 2 * LISTED))
    return Body(content=request(chart(ADULT, resources - 2 * listed - 1, listed)), cards=None)


def of_forms(number: int) -> Body:
    """A chart with so many PHQ-9 forms, one a day."""
    made = started(ADULT)
    for day in range(number):
        forms.phq9_response(made, day, (2, 2, 1, 2, 0, 1, 2, 1, 0), slash=bool(day % 2))
    return Body(content=request(made.resources), cards=None)


def of_texts(number: int) -> Body:
    """A chart with so many conditions, each in words of its own."""
    made = started(ADULT)
    for n in range(number):
        made.condition(
            "words", {"text": f"Knee pain after a fall from ladder {n}, denies thoughts of self-harm"}, n % 3000
        )
    return Body(content=request(made.resources), cards=None)


def acute(as_of: datetime | None = None) -> Body:
    """A short chart with C-SSRS answers of today that are acute."""
    made = started(ADULT, as_of)
    forms.cssrs_response(made, 0, {"q1": True, "q2": True, "q3": True, "q4": True, "q5": True, "q6": False})
    return Body(content=request(made.resources), cards=1)


def started(age: int, as_of: datetime | None = None) -> ChartBuilder:
    made = ChartBuilder(PATIENT, "bench", as_of or datetime.now(UTC))
    made.patient("Benedicta", "Ankersmit", "female", age, 40)
    return made


def chart(age: int, observations: int, listed: int, as_of: datetime | None = None) -> list[Json]:
    made = started(age, as_of)
    forms.phq9_total(made, 200, 14, forms.phq9_items(made, 200, (2, 2, 2, 2, 2, 1, 2, 1, 0)))
    forms.phq9_items(made, 20, (3, 3))
    days = cycle(range(10, 700, 30))
    while len(made.resources) < 1 + observations:
        day = next(days)
        made.vitals(day, height_cm=166, weight_kg=88, blood_pressure=(148, 86), pulse=86)
        made.smoking(day, codes.DAILY_SMOKER)
        made.alcohol(day, codes.TWO_TO_FOUR_A_MONTH)
        made.sleep(day, 4)
    del made.resources[1 + observations :]
    for code, medicine, day, _ in zip(cycle(CONDITIONS), cycle(MEDICINES), cycle(range(30, 3000, 97)), range(listed)):
        made.condition("condition", code, day)
        made.medication("medicine", medicine, day % 300, "One tablet in the morning")
    return [dressed(resource, n) for n, resource in enumerate(made.resources)]


def dressed(resource: Json, number: int) -> Json:
    """A resource with the members that real ones carry and that nothing here reads."""
    kind = resource["resourceType"]
    if kind == "Patient":
        return resource
    when = resource.get("effectiveDateTime") or resource.get("recordedDate") or resource["authoredOn"]
    day = when[:10]
    who = {"reference": CLINICIAN, "display": CLINICIAN_NAME}
    own = {"system": f"{codes.DEMO}/{kind.lower()}", "value": f"{number:09d}"}
    more: Json = {
        "meta": {"versionId": "1", "lastUpdated": f"{day}T20:00:00.000Z"},
        "encounter": {"reference": f"Encounter/bench-{day}"},
    }
    more |= {
        "Observation": {"issued": f"{day}T20:00:00.000Z", "performer": [who]},
        "Condition": {"recorder": who, "asserter": who, "identifier": [own]},
        "MedicationRequest": {"requester": who, "recorder": who, "priority": "routine", "identifier": [own]},
    }[kind]
    return more | resource


def request(resources: list[Json]) -> bytes:
    """patient-view with a chart: every part was looked for, and those that are not there are null."""
    prefetch: Json = dict.fromkeys((template.key for template in templates()), None)
    prefetch["patient"] = resources[0]
    for key in ("conditions", "medications", "questionnaires", "screening", "measurements"):
        prefetch[key] = searchset(resource for resource in resources if part_of(resource) == key)
    whole = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": CLINICIAN, "patientId": PATIENT},
        "prefetch": prefetch,
    }
    return json.dumps(whole, separators=(",", ":")).encode()


def part_of(resource: Json) -> str:
    """The prefetch key under which a resource comes."""
    kind = resource["resourceType"]
    if kind != "Observation":
        return KEYS[kind]
    return "screening" if resource["category"][0]["coding"][0]["code"] == "survey" else "measurements"


def searchset(resources: Iterator[Json]) -> Json:
    entries = [
        {
            "fullUrl": f"{codes.DEMO}/fhir/{resource['resourceType']}/{resource['id']}",
            "resource": resource,
        }
        for resource in resources
    ]
    return {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}
