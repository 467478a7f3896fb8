"""One schema for training and serving: a FHIR patient built from a survey row yields that row's features."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from builders import AS_OF, LOINC, SNOMED, codeable, days_before, observation, patient, record_of, resource

from fhir_adapters.codesets.terminology import table
from fhir_adapters.reading.lists.chronic_conditions import chronic_names
from models.inputs.feature_schema import FEATURES, SCHEMAS
from models.inputs.features import inputs

MEASURED = {"alc_drinks_day": ("11287-0", "{drinks}/d"), "sleep_hours": ("93832-4", "h")}
SMOKING = {0: "266919005", 1: "8517006", 2: "428041000124106", 3: "449868002"}
HEALTH = {1: "Excellent", 2: "Very good", 3: "Good", 4: "Fair", 5: "Poor"}
PHQ_ITEMS = {"DPQ010": 0, "DPQ020": 1, "DPQ030": 2, "DPQ040": 3, "DPQ050": 4, "DPQ060": 5, "DPQ070": 6, "DPQ080": 7}
# Survey questions whose answers FHIR carries in coarser steps, so that not every row can come back exactly.
COARSER = {"alc_days_yr", "food_insec"}


def resources_of(row: dict[str, float]) -> list[dict]:
    """A chart that says what the row says."""
    from builders import PHQ

    today = AS_OF.date().isoformat()
    found = []
    for name, (code, unit) in MEASURED.items():
        if name in row:
            found.append(observation(LOINC, code, today, {"valueQuantity": {"value": row[name], "code": unit}}))
    if "smoke_status" in row:
        value = {"valueCodeableConcept": codeable(SNOMED, SMOKING[int(row["smoke_status"])])}
        found.append(observation(LOINC, "72166-2", today, value))
    if "gen_health" in row:
        found.append(
            observation(LOINC, "61577-3", today, {"valueCodeableConcept": {"text": HEALTH[int(row["gen_health"])]}})
        )
    if "employed" in row:
        word = "Employed" if row["employed"] else "Unemployed"
        found.append(observation(LOINC, "67875-5", today, {"valueCodeableConcept": {"text": word}}))
    if "difficulty_concentrating" in row:
        answer = codeable(LOINC, "LA33-6" if row["difficulty_concentrating"] else "LA32-8")
        found.append(observation(LOINC, "69858-9", today, {"valueCodeableConcept": answer}))
    first_code = {r["feature"]: r for r in reversed(table("chronic_conditions")) if r["system"] == SNOMED}
    for name in chronic_names():
        if row.get(name):
            found.append(resource("Condition", code=codeable(SNOMED, first_code[name]["code"]), recordedDate=today))
    found += medicines(row)
    found += visits(row)
    for name, place in PHQ_ITEMS.items():
        if name in row:
            found.append(observation(LOINC, PHQ[place], today, {"valueInteger": int(row[name])}))
    return found


def medicines(row: dict[str, float]) -> list[dict]:
    first = {}
    for r in table("drug_classes"):
        first.setdefault(r["class"], r["ingredient"])
    names = [first[name] for name in first if row.get(name)]
    names += [f"plain medicine {n}" for n in "abcdefghijklmnopqrstuvwxyz"][
        : max(0, int(row.get("n_rx", 0)) - len(names))
    ]
    return [
        resource("MedicationRequest", status="active", intent="order", medicationCodeableConcept={"text": name})
        for name in names
    ]


def visits(row: dict[str, float]) -> list[dict]:
    def encounter(kind: str, days: int, **elements) -> dict:
        period = {"start": days_before(days).isoformat()}
        return resource("Encounter", status="finished", period=period, **elements) | {"class": {"code": kind}}

    ambulatory, mental = math.ceil(row.get("visits_yr", 0)), int(row.get("mh_visit_yr", 0))
    found = [encounter("AMB", 10 + n) for n in range(ambulatory)]
    found += [encounter("EMER", 40, type=[codeable(SNOMED, "10197000")]) for _ in range(mental)]
    return found + [encounter("IMP", 200) for _ in range(int(row.get("hosp_yr", 0)))]


def test_a_fhir_patient_built_from_a_survey_row_yields_that_rows_features(shared: Path) -> None:
    from models.survey.nhanes import survey_frame

    frame = survey_frame(shared / "data" / "nhanes")
    sample = frame[frame["age"] >= 18].sample(300, random_state=7)
    names = [spec.name for spec in FEATURES if spec.name not in COARSER]
    seen: set[str] = set()
    for values in sample.to_dict("records"):
        row = {name: values[name] for name in names if name in values and not math.isnan(values[name])}
        # A survey answer that was not given has no chart of its own: lists of a chart are complete or absent.
        row |= {
            name: 0.0 for name in (*chronic_names(), "visits_yr", "hosp_yr", "mh_visit_yr", "n_rx") if name not in row
        }
        if row["n_rx"] < sum(bool(row.get(s.name)) for s in FEATURES if s.group == "drugs" and s.kind == "boolean"):
            continue  # one product of several ingredients: more classes than medicines
        who = patient(
            age=int(row["age"]),
            gender="female" if row["female"] else "male",
            generalPractitioner=[{"reference": "Practitioner/1"}] if row.get("usual_place") else [],
        )
        got = inputs(record_of(*resources_of(row), who=who))
        schema = SCHEMAS["suicidal-ideation"]
        wanted = dict(zip(schema.names, schema.vector(row).values, strict=True))
        for name, value in zip(schema.names, got.vector(schema).values, strict=True):
            if name in COARSER or name not in row or (name == "usual_place" and row.get("visits_yr")):
                continue
            assert value == pytest.approx(wanted[name], rel=1e-9), name
            seen.add(name)

    assert seen == set(names), "every input was compared at least once"


def test_race_and_ethnicity_and_item_9_are_inputs_to_no_model() -> None:
    names = {name for schema in SCHEMAS.values() for name in schema.names}

    assert not {name for name in names if "race" in name or "eth" in name or name in ("DPQ090", "phq9", "RIDRETH1")}
