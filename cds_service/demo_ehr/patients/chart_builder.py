"""Synthetic FHIR R4 resources of one patient, dated relative to one moment.

`ChartBuilder` adds and numbers one resource per call, so the same calls give the same ids and texts for the same
`as_of`. Ids read like `ingrid-phq9-item9`. Nothing is random or taken from real people. Charts are defined in `people`;
screening forms in `forms`.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from cds_service.demo_ehr import codes
from cds_service.demo_ehr.codes import Json

CLINICIAN = "Practitioner/demo-clinician"
CLINICIAN_NAME = "Dr Robin Lindqvist"
PRACTITIONER: Json = {
    "resourceType": "Practitioner",
    "id": CLINICIAN.partition("/")[2],
    "active": True,
    "identifier": [{"system": f"{codes.DEMO}/staff-number", "value": "1047"}],
    "name": [{"use": "official", "family": "Lindqvist", "given": ["Robin"], "prefix": ["Dr"]}],
}


def birth_date(as_of: date, age_years: int, days_since_birthday: int) -> date:
    """The birth date of someone aged `age_years` on `as_of`, whose birthday was so many days ago (0-300)."""
    anchor = as_of - timedelta(days=days_since_birthday)
    year = anchor.year - age_years
    # Someone born on 29 February has a birthday in a leap year only.
    leap_only = (anchor.month, anchor.day) == (2, 29)
    return date(year, 2, 28) if leap_only else date(year, anchor.month, anchor.day)


class ChartBuilder:
    """Collects the resources of one patient.

    `patient_id` is the Patient's id, `prefix` begins every other id. `as_of` carries a time zone, and
    all dates are calendar days before it in that zone. Raises ValueError for a time without zone.
    """

    def __init__(self, patient_id: str, prefix: str, as_of: datetime) -> None:
        if as_of.tzinfo is None:
            raise ValueError("as_of needs a time zone: expected an aware datetime, found a naive one")
        self.patient_id = patient_id
        self.prefix = prefix
        self.as_of = as_of
        self.resources: list[Json] = []
        self._counts: dict[str, int] = {}

    def day(self, days_ago: int) -> date:
        """The local calendar day so many days before `as_of`."""
        return self.as_of.date() - timedelta(days=days_ago)

    def moment(self, days_ago: int, clock: str = "09:40") -> str:
        """A FHIR dateTime at a clock time of a past day. Today it never lies after `as_of`, nor on another day."""
        at = datetime.combine(self.day(days_ago), time.fromisoformat(clock), tzinfo=self.as_of.tzinfo)
        if at > self.as_of:
            midnight = self.as_of.replace(hour=0, minute=0, second=0, microsecond=0)
            at = midnight + (self.as_of - midnight) / 2
        return at.isoformat(timespec="seconds")

    def add(self, resource_type: str, name: str, body: Json) -> str:
        """Adds a resource of this patient, gives its reference. A repeated name gets a number: `visit`, `visit-2`."""
        self._counts[name] = self._counts.get(name, 0) + 1
        number = self._counts[name]
        resource_id = f"{self.prefix}-{name}" + (f"-{number}" if number > 1 else "")
        owner = {} if resource_type == "Patient" else {"subject": {"reference": f"Patient/{self.patient_id}"}}
        self.resources.append({"resourceType": resource_type, "id": resource_id} | body | owner)
        return f"{resource_type}/{resource_id}"

    def patient(self, given: str, family: str, gender: str, age_years: int, days_since_birthday: int) -> None:
        """The Patient, with a demo record number and a usual clinician."""
        number = f"{sum(map(ord, self.patient_id)) * 7919 % 1_000_000:06d}"
        self.resources.append(
            {
                "resourceType": "Patient",
                "id": self.patient_id,
                "active": True,
                "identifier": [{"system": f"{codes.DEMO}/record-number", "value": number}],
                "name": [{"use": "official", "family": family, "given": given.split()}],
                "gender": gender,
                "birthDate": birth_date(self.as_of.date(), age_years, days_since_birthday).isoformat(),
                "generalPractitioner": [{"reference": CLINICIAN, "display": CLINICIAN_NAME}],
            }
        )

    def observation(self, name: str, category: str, code: Json, days_ago: int, body: Json, clock: str = "09:40") -> str:
        """A final Observation; `body` holds the value, components or members."""
        return self.add(
            "Observation",
            name,
            {
                "status": "final",
                "category": [{"coding": [{"system": codes.OBSERVATION_CATEGORY, "code": category}]}],
                "code": code,
                "effectiveDateTime": self.moment(days_ago, clock),
            }
            | body,
        )

    def measured(self, name: str, code: Json, days_ago: int, value: float, unit: str) -> str:
        """One vital sign; `unit` is UCUM."""
        return self.observation(name, "vital-signs", code, days_ago, {"valueQuantity": quantity(value, unit)})

    def vitals(
        self, days_ago: int, *, height_cm: float, weight_kg: float, blood_pressure: tuple[int, int], pulse: int,
        us_units: bool = False,
    ) -> None:  # fmt: skip
        """Height, weight, body mass index, blood pressure and heart rate of one visit; inches and pounds if asked."""
        bmi = round(weight_kg / (height_cm / 100) ** 2, 1)
        height = (round(height_cm / 2.54, 1), "[in_i]") if us_units else (height_cm, "cm")
        weight = (round(weight_kg / 0.45359237, 1), "[lb_av]") if us_units else (weight_kg, "kg")
        systolic, diastolic = blood_pressure
        loinc = codes.LOINC
        self.measured("height", codes.concept(loinc, "8302-2", "Body height"), days_ago, *height)
        self.measured("weight", codes.concept(loinc, "29463-7", "Body weight"), days_ago, *weight)
        self.measured("bmi", codes.concept(loinc, "39156-5", "Body mass index"), days_ago, bmi, "kg/m2")
        self.measured("pulse", codes.concept(loinc, "8867-4", "Heart rate"), days_ago, pulse, "/min")
        parts = (("8480-6", "Systolic blood pressure", systolic), ("8462-4", "Diastolic blood pressure", diastolic))
        components = [
            {"code": codes.concept(loinc, code, text), "valueQuantity": quantity(value, "mm[Hg]")}
            for code, text, value in parts
        ]
        panel = codes.concept(loinc, "85354-9", "Blood pressure panel with all children optional")
        self.observation("blood-pressure", "vital-signs", panel, days_ago, {"component": components})

    def smoking(self, days_ago: int, status: Json) -> None:
        """Tobacco smoking status, as a SNOMED CT value."""
        code = codes.concept(codes.LOINC, "72166-2", "Tobacco smoking status")
        self.observation("smoking", "social-history", code, days_ago, {"valueCodeableConcept": status})

    def alcohol(self, days_ago: int, often: Json) -> None:
        """AUDIT-C questions 1 (how often) and 2 (one or two drinks)."""
        answers = (
            ("alcohol-often", codes.ALCOHOL_OFTEN, often),
            ("alcohol-drinks", codes.ALCOHOL_DRINKS, codes.ONE_OR_TWO),
        )
        for name, code, answer in answers:
            self.observation(name, "social-history", code, days_ago, {"valueCodeableConcept": answer})

    def sleep(self, days_ago: int, hours: float) -> None:
        """Hours of sleep a night, as the patient says."""
        self.observation("sleep", "social-history", codes.SLEEP, days_ago, {"valueQuantity": quantity(hours, "h")})

    def condition(
        self, name: str, code: Json, days_ago: int, *, encounter: str | None = None, ended_days_ago: int | None = None
    ) -> str:
        """A confirmed Condition: a problem-list entry, or the diagnosis of an encounter where one is given."""
        category = "encounter-diagnosis" if encounter else "problem-list-item"
        over = ended_days_ago is not None
        body: Json = {
            "clinicalStatus": status(codes.CONDITION_CLINICAL, "resolved" if over else "active"),
            "verificationStatus": status(codes.CONDITION_VERIFICATION, "confirmed"),
            "category": [status(codes.CONDITION_CATEGORY, category)],
            "code": code,
            "onsetDateTime": self.day(days_ago).isoformat(),
            "recordedDate": self.day(days_ago).isoformat(),
        }
        if ended_days_ago is not None:
            body["abatementDateTime"] = self.day(ended_days_ago).isoformat()
        if encounter:
            body["encounter"] = {"reference": encounter}
        return self.add("Condition", name, body)

    def visit(
        self, days_ago: int, reason: str, *, kind: Json = codes.CHECK_UP, place: str = "AMB", name: str = "visit",
        diagnosis: Json | None = None,
    ) -> str:  # fmt: skip
        """A finished encounter; `place` is the v3 class: AMB or EMER (half an hour), or IMP (two nights).

        diagnosis: the reason as a coded concept, where the clinic coded it.
        """
        words = {"AMB": "ambulatory", "EMER": "emergency", "IMP": "inpatient encounter"}
        start = self.moment(days_ago, "09:20")
        end = (
            datetime.fromisoformat(start) + (timedelta(days=2) if place == "IMP" else timedelta(minutes=30))
        ).isoformat(timespec="seconds")
        return self.add(
            "Encounter",
            name,
            {
                "status": "finished",
                "class": {"system": codes.ACT_CODE, "code": place, "display": words[place]},
                "type": [kind],
                "reasonCode": [(diagnosis or {}) | {"text": reason}],
                "period": {"start": start, "end": end},
            },
        )

    def medication(
        self, name: str, drug: Json, days_ago: int, dosage: str, *, ended_days_ago: int | None = None
    ) -> str:
        """An order for a medicine, by code or by text alone: active, or completed where it ended."""
        body: Json = {
            "status": "active" if ended_days_ago is None else "completed",
            "intent": "order",
            "medicationCodeableConcept": drug,
            "authoredOn": self.day(days_ago).isoformat(),
            "dosageInstruction": [{"text": dosage}],
        }
        if ended_days_ago is not None:
            period = {"start": self.day(days_ago).isoformat(), "end": self.day(ended_days_ago).isoformat()}
            body["dispenseRequest"] = {"validityPeriod": period}
        return self.add("MedicationRequest", name, body)

    def safety_plan(self, days_ago: int) -> str:
        """An active plan of care that is a safety plan, without its content."""
        body: Json = {
            "status": "active",
            "intent": "plan",
            "category": [{"coding": [{"system": codes.CARE_PLAN_CATEGORY, "code": "assess-plan"}]}],
            "title": "Safety plan",
            "period": {"start": self.day(days_ago).isoformat()},
        }
        return self.add("CarePlan", "safety-plan", body)


def visit_of_today(patient_id: str, reason: str, as_of: datetime) -> Json:
    """The encounter that begins when an app is opened for a patient in the clinic."""
    return {
        "resourceType": "Encounter",
        "id": f"{patient_id}-today",
        "status": "in-progress",
        "class": {"system": codes.ACT_CODE, "code": "AMB", "display": "ambulatory"},
        "type": [codes.CHECK_UP],
        "reasonCode": [{"text": reason.capitalize()}],
        "subject": {"reference": f"Patient/{patient_id}"},
        "participant": [{"individual": {"reference": CLINICIAN, "display": CLINICIAN_NAME}}],
        "period": {"start": as_of.isoformat(timespec="seconds")},
    }


def quantity(value: float, unit: str) -> Json:
    """A FHIR Quantity in a UCUM unit."""
    words = {"[in_i]": "in", "[lb_av]": "lb", "mm[Hg]": "mmHg", "{score}": "score"}
    return {"value": value, "unit": words.get(unit, unit), "system": codes.UCUM, "code": unit}


def status(system: str, code: str) -> Json:
    """A CodeableConcept that is a bare status or category."""
    return {"coding": [{"system": system, "code": code}]}
