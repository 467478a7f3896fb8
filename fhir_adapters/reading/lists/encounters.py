"""Encounters to visits that took place, their counts over the last twelve months, and safety codes in their reasons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

from fhir_adapters.codesets.terminology import SNOMED, canonical
from fhir_adapters.facts import Anomaly, CodedEvent, Fact, Setting, Visit
from fhir_adapters.flaws import Flaw
from fhir_adapters.reading.lists.chart_resources import ChartResources
from fhir_adapters.reading.lists.conditions import (
    CodeContext,
    EncounterDate,
    coded_event,
    disorder_groups,
    is_confirmed,
    is_depressive,
)
from fhir_adapters.reading.lists.list_facts import list_fact
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import when

TOOK_PLACE = {"finished", "in-progress", "onleave", "triaged", "arrived"}
AMBULATORY = {"AMB", "VR"}
INPATIENT = {"IMP", "ACUTE", "NONAC"}
EMERGENCY = {"EMER"}
OTHER = {"FLD", "HH", "OBSENC", "PRENC", "SS"}
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


def _visit(encounter: r4.Encounter, dates: EncounterDate) -> Visit | None:
    """The visit, or None when it did not take place (planned, cancelled, entered in error)."""
    if encounter.status not in TOOK_PLACE:
        return None
    concepts = [*encounter.type, *([encounter.service_type] if encounter.service_type else [])]
    mental = any(_mental_health(concept) for concept in concepts)
    reasons = {group for concept in encounter.reason_code for group in disorder_groups(concept)}
    code = (encounter.class_.code or "") if encounter.class_ else ""
    kinds = {"ambulatory": AMBULATORY, "inpatient": INPATIENT, "emergency": EMERGENCY, "other": OTHER}
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
    # A stay that began earlier counts by its end.
    stays = [v for v in begun if v.kind == "inpatient" and (last := v.until or v.when) and today - last.day <= YEAR]
    mental = [v for v in recent if v.mental_health]
    counted = {"visits_yr": ambulatory, "hosp_yr": stays, "mh_visit_yr": mental}
    return [
        list_fact(name, len(counts), ((v.when, v.reference) for v in counts), unit="/a")
        for name, counts in counted.items()
    ]


def visits_of(resources: ChartResources) -> list[Visit]:
    """Visits that took place; also fills `resources.encounters`, under every name of each."""
    visits = []
    for resource in resources.of("Encounter"):
        period = resource.content.period or r4.Period()
        dates = EncounterDate(
            reference=resource.reference,
            when=when(period.start, resources.zone, resources.today),
            until=when(period.end, resources.zone, resources.today),
        )
        resources.encounters.update(dict.fromkeys(resource.names, dates))
        visit = _visit(resource.content, dates)
        if visit:
            visits.append(visit)
            if visit.kind == "unknown":
                resources.odd.append(
                    Anomaly(flaw=Flaw.VISIT_CLASS_UNKNOWN, references=(resource.reference,), when=visit.when)
                )
    return visits


def reason_events(resources: ChartResources) -> list[CodedEvent]:
    """Safety codes given as the reason of an encounter that took place."""
    return [
        event
        for resource in resources.of("Encounter")
        if resource.content.status in TOOK_PLACE
        for encounter in [resources.encounter(r4.Reference(reference=resource.reference))]
        for concept in resource.content.reason_code
        if (
            event := coded_event(
                concept,
                CodeContext(
                    reference=resource.reference,
                    when=encounter.when if encounter else None,
                    setting=Setting.VISIT_REASON,
                    encounter=encounter,
                ),
            )
        )
    ]


def marked_for_depression(visits: list[Visit], resources: ChartResources) -> tuple[Visit, ...]:
    """The visits, marked where a depressive disorder was a diagnosis of the encounter."""
    if not visits:
        return ()
    coded = {
        encounter.reference
        for resource in resources.of("Condition")
        if is_depressive(disorder_groups(resource.content.code))
        and is_confirmed(resource.content)
        and (encounter := resources.encounter(resource.content.encounter))
    }
    return tuple(replace(v, for_depression=True) if v.reference in coded else v for v in visits)
