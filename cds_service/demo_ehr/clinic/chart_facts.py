"""The chart facts on the demo page: the latest values with dates and references.

Reads the synthetic resources as their EHR would, for display only; independent of what the service reads. Each
screening form is one row, with its answers behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cds_service.demo_ehr.clinic.chart_words import FactRow, dated_text, moment_of, name_of, value_of
from cds_service.demo_ehr.clinic.screening_rows import derived_from, form_row, screening
from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.fhir_api.charts import reference_of

__all__ = ["FactRow", "FactSection", "chart_sections", "dated_text", "written_rows"]

VISITS_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSection:
    """A headed group of rows, never empty."""

    heading: str
    rows: tuple[FactRow, ...]


def chart_sections(chart: Iterable[Json], as_of: datetime) -> tuple[FactSection, ...]:
    """The facts view of one chart: screening, measurements, problems, medicines, plans, visits; empty ones left out."""
    by_type: dict[str, list[Json]] = {}
    for resource in chart:
        by_type.setdefault(resource["resourceType"], []).append(resource)
    observations = by_type.get("Observation", [])
    survey = [o for o in observations if _category(o) == "survey"]
    values = [o for o in observations if _category(o) != "survey"]
    sections = (
        ("Screening", screening(survey, by_type.get("QuestionnaireResponse", []), as_of)),
        ("Measurements and habits", [_measurement(o, as_of) for o in values]),
        ("Problems", [_problem(c, as_of) for c in by_type.get("Condition", [])]),
        ("Medicines", [_medicine(m, as_of) for m in by_type.get("MedicationRequest", [])]),
        ("Plans", [_plan(p, as_of) for p in by_type.get("CarePlan", [])]),
        ("Visits", _visits(by_type.get("Encounter", []), as_of)),
    )
    return tuple(FactSection(heading=heading, rows=tuple(rows)) for heading, rows in sections if rows)


def written_rows(written: Iterable[Json], as_of: datetime) -> list[tuple[FactRow, tuple[Json, ...]]]:
    """What apps wrote, one row a form with what was derived from it, and one for anything else; in the order given."""
    resources = list(written)
    forms = [resource for resource in resources if resource["resourceType"] == "QuestionnaireResponse"]
    derived = derived_from((r for r in resources if r["resourceType"] == "Observation"), forms)
    folded = {reference_of(observation) for held in derived.values() for observation in held}
    rows = []
    for resource in resources:
        reference = reference_of(resource)
        if reference not in folded:
            of_form = derived.get(reference, [])
            rows.append((_written(resource, of_form, as_of), (resource, *of_form)))
    return rows


def _written(resource: Json, derived: Sequence[Json], as_of: datetime) -> FactRow:
    kind = resource["resourceType"]
    if kind == "QuestionnaireResponse":
        row = form_row(resource, derived, as_of)
        what, value = row.what, row.value + (f", with {len(derived)} results" if derived else "")
    elif kind == "Observation":
        what, value = name_of(resource.get("code")), value_of(resource) or str(resource.get("status", ""))
    else:
        what = str(resource.get("description") or name_of(resource.get("code")))
        value = f"{'task' if kind == 'Task' else 'order'}, status {resource.get('status', '')}"
    when = dated_text(resource["meta"]["lastUpdated"], as_of)
    return FactRow(what=what, value=value, when=f"Written {when}", reference=reference_of(resource))


def _measurement(observation: Json, as_of: datetime) -> FactRow:
    parts = [part["valueQuantity"] for part in observation.get("component", ())]
    # Blood pressure is the one vital sign with parts: systolic, then diastolic.
    value = "/".join(f"{q['value']:g}" for q in parts) + f" {parts[0]['unit']}" if parts else value_of(observation)
    name = name_of(observation.get("code")).partition(" panel")[0]
    when = dated_text(moment_of(observation), as_of)
    return FactRow(what=name, value=value, when=when, reference=reference_of(observation))


def _problem(condition: Json, as_of: datetime) -> FactRow:
    state = condition["clinicalStatus"]["coding"][0]["code"]
    when = dated_text(condition["onsetDateTime"], as_of)
    return FactRow(what=condition["code"]["text"], value=state, when=when, reference=reference_of(condition))


def _medicine(order: Json, as_of: datetime) -> FactRow:
    when, end = dated_text(order["authoredOn"], as_of), order.get("dispenseRequest", {}).get("validityPeriod", {})
    return FactRow(
        what=order["medicationCodeableConcept"]["text"],
        value=order["dosageInstruction"][0]["text"],
        when=f"{when}, until {dated_text(end['end'], as_of)}" if end else when,
        reference=reference_of(order),
    )


def _plan(plan: Json, as_of: datetime) -> FactRow:
    when = dated_text(plan["period"]["start"], as_of)
    return FactRow(what=plan["title"], value=plan["status"], when=when, reference=reference_of(plan))


def _visits(encounters: Sequence[Json], as_of: datetime) -> list[FactRow]:
    """The latest visits, and the others behind one row."""
    rows = [_visit(encounter, as_of) for encounter in _newest_first(encounters)]
    latest, earlier = rows[:VISITS_SHOWN], rows[VISITS_SHOWN:]
    if len(earlier) < 2:
        return rows
    parts = tuple((row.what, row.when) for row in earlier)
    return [*latest, FactRow(what="Earlier", value=f"{len(earlier)} visits", when="", reference="", parts=parts)]


def _visit(encounter: Json, as_of: datetime) -> FactRow:
    return FactRow(
        what=encounter["reasonCode"][0]["text"],
        value=encounter["class"]["display"],
        when=dated_text(encounter["period"]["start"], as_of),
        reference=reference_of(encounter),
    )


def _newest_first(encounters: Sequence[Json]) -> list[Json]:
    return sorted(encounters, key=lambda encounter: str(encounter["period"]["start"]), reverse=True)


def _category(observation: Json) -> str:
    """The first category; a result of an app without one is shown as a form's."""
    codings = [c for part in observation.get("category", ()) for c in part.get("coding", ())]
    return str(codings[0].get("code", "")) if codings else "survey"
