"""Encounters to visit counts of the last twelve months, and to visits that the rules look for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from fhir_adapters.codesets.terminology import SNOMED, canonical
from fhir_adapters.facts import Fact, Visit
from fhir_adapters.reading.conditions import EncounterDate, disorder_groups, is_depressive
from fhir_adapters.reading.listed import listed_fact
from fhir_adapters.resources import r4

TOOK_PLACE = {"finished", "in-progress", "onleave", "triaged", "arrived"}
AMBULATORY = {"AMB", "VR"}
INPATIENT = {"IMP", "ACUTE", "NONAC"}
OTHER = {"EMER", "FLD", "HH", "OBSENC", "PRENC", "SS"}
YEAR = timedelta(days=365)

# 10197000 psychiatric interview and evaluation, and 79094001, its initial form (seen in Synthea R4 bundles).
MENTAL_HEALTH_CODES = {"10197000", "79094001"}
MENTAL_HEALTH_WORDS = (
    "behavioral health",
    "behavioural health",
    "mental health",
    "psychiatr",
    "psycholog",
    "psychotherap",
)


def visit(encounter: r4.Encounter, dates: EncounterDate) -> Visit | None:
    """The visit of these dates, or None when it did not take place (planned, cancelled, entered in error)."""
    if encounter.status not in TOOK_PLACE:
        return None
    concepts = [*encounter.type, *([encounter.service_type] if encounter.service_type else [])]
    mental = any(_mental_health(concept) for concept in concepts)
    reasons = {group for concept in encounter.reason_code for group in disorder_groups(concept)}
    code = (encounter.class_.code or "") if encounter.class_ else ""
    kinds = {"ambulatory": AMBULATORY, "inpatient": INPATIENT, "other": OTHER}
    kind = next((name for name, codes in kinds.items() if code in codes), "unknown")
    return Visit(
        reference=dates.reference,
        when=dates.when,
        until=dates.until,
        kind=kind,
        mental_health=mental,
        for_depression=mental or is_depressive(reasons),
    )


def _mental_health(concept: r4.CodeableConcept) -> bool:
    if any(canonical(c.system or "") == SNOMED and c.code in MENTAL_HEALTH_CODES for c in concept.coding):
        return True
    texts = [text.lower() for text in (concept.text, *(c.display for c in concept.coding)) if text]
    return any(word in text for text in texts for word in MENTAL_HEALTH_WORDS)


def visit_facts(visits: Iterable[Visit], today: date) -> list[Fact]:
    """Counts over the last twelve months: ambulatory visits, hospital stays, mental-health visits."""
    begun = [v for v in visits if v.when and not v.when.future]
    recent = [v for v in begun if v.when and today - v.when.day <= YEAR]
    ambulatory = [v for v in recent if v.kind == "ambulatory"]
    # A stay belongs to the year also when only its end does.
    stays = [v for v in begun if v.kind == "inpatient" and (last := v.until or v.when) and today - last.day <= YEAR]
    mental = [v for v in recent if v.mental_health]
    counted = {"visits_yr": ambulatory, "hosp_yr": stays, "mh_visit_yr": mental}
    return [
        listed_fact(name, len(counts), ((v.when, v.reference) for v in counts), unit="/a")
        for name, counts in counted.items()
    ]
