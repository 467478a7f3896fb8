"""A patient's past for a published comparator: diagnoses by its classes, medicines ever ordered, which lists are whole.

Read by `mhcds compare-published` only; no rule, model, card or page uses it. The classes are those of
`codesets/mhrn_diagnoses.csv`, whose patterns match an ICD-10-CM code without its dot, and reproduce the flags of the
list named there. Windows are counted by the reader of these facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache

from fhir_adapters.codesets.terminology import ICD10, ICD10CM, canonical, guessed_system, normal, table
from fhir_adapters.facts import ChartPart, PatientRecord, full_day
from fhir_adapters.reading.extraction import own_chart
from fhir_adapters.reading.lists.chart_resources import ChartResources
from fhir_adapters.reading.lists.conditions import is_confirmed, onset_of
from fhir_adapters.reading.lists.encounters import TOOK_PLACE, visits_of
from fhir_adapters.reading.lists.medications import INTENTS, concept_of, is_active, medicine
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import first_when, when
from fhir_adapters.resources.gathered import Gathered
from fhir_adapters.settings import ReadSettings

# Orders that were or may have been filled.
ORDERED = ("active", "completed", "stopped")
KINDS = {
    ChartPart.CONDITIONS: ("Condition",),
    ChartPart.ENCOUNTERS: ("Encounter",),
    ChartPart.MEDICATIONS: ("MedicationRequest", "MedicationStatement", "Medication"),
    ChartPart.SCREENING: ("Observation",),
    ChartPart.QUESTIONNAIRES: ("QuestionnaireResponse",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDiagnosis:
    """A confirmed Condition, or a coded reason of a visit.

    `coded`: by an ICD-10-CM code, so that it belongs to `classes` alone. `day`: of its encounter, else when recorded,
    else its onset; None where no full date is known. `encounter`: its reference.
    """

    classes: frozenset[str]
    coded: bool
    day: date | None
    encounter: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastMedicine:
    """A medicine once ordered or stated, by drug class and listed ingredient. `current`: taken now."""

    named: bool
    classes: frozenset[str]
    ingredients: tuple[str, ...]
    day: date | None
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CareHistory:
    """The past of one chart. `whole`: the parts that were read in full, so that what is not there is absent."""

    diagnoses: tuple[PastDiagnosis, ...]
    medicines: tuple[PastMedicine, ...]
    whole: frozenset[ChartPart]


def care_history(
    gathered: Gathered, record: PatientRecord, *, settings: ReadSettings, as_of: datetime, whole_chart: bool
) -> CareHistory:
    """The past of the chart of `record`. `whole_chart`: not a hook request, which holds active medicines only."""
    resources, *_ = own_chart(gathered, settings=settings, as_of=as_of)
    visits_of(resources)  # fills the dates of encounters
    broken = {entry.kind for entry in record.unreadable}
    closed = bool(record.withheld) or any(gap.what is ChartPart.REST for gap in record.unknown)
    asked_in_full = gathered.known if whole_chart else gathered.known - {ChartPart.MEDICATIONS}
    return CareHistory(
        diagnoses=(*_conditions(resources), *_reasons(resources)),
        medicines=tuple(_medicines(resources)),
        whole=frozenset(
            part for part, kinds in KINDS.items() if part in asked_in_full and not closed and broken.isdisjoint(kinds)
        ),
    )


def _conditions(resources: ChartResources) -> Iterator[PastDiagnosis]:
    zone, today = resources.zone, resources.today
    for condition in (resource.content for resource in resources.of("Condition")):
        if not is_confirmed(condition):
            continue
        encounter = resources.encounter(condition.encounter)
        recorded = when(condition.recorded_date, zone, today) or onset_of(condition, zone, today)
        codes = _icd10_codes(condition.code)
        yield PastDiagnosis(
            classes=_classes(codes),
            coded=bool(codes),
            day=full_day((encounter and encounter.when) or recorded),
            encounter=encounter.reference if encounter else None,
        )


def _reasons(resources: ChartResources) -> Iterator[PastDiagnosis]:
    for resource in resources.of("Encounter"):
        encounter = resources.encounter(r4.Reference(reference=resource.reference))
        if encounter and resource.content.status in TOOK_PLACE:
            coded = [codes for concept in resource.content.reason_code if (codes := _icd10_codes(concept))]
            for codes in coded:
                yield PastDiagnosis(
                    classes=_classes(codes), coded=True, day=full_day(encounter.when), encounter=encounter.reference
                )


def _medicines(resources: ChartResources) -> Iterator[PastMedicine]:
    zone, today = resources.zone, resources.today
    medications = {name: resource.content for resource in resources.of("Medication") for name in resource.names}
    for resource in resources.of("MedicationRequest", "MedicationStatement"):
        use: r4.MedicationUse = resource.content
        intended = resource.kind == "MedicationStatement" or use.intent in INTENTS
        if use.do_not_perform or use.status not in ORDERED or not intended:
            continue
        period = use.effective_period or r4.Period()
        ordered = first_when(zone, today, use.authored_on, use.effective_date_time, period.start)
        ended = when(period.end, zone, today)
        held = medicine(concept_of(use, medications), ordered, resource.reference)
        yield PastMedicine(
            named=held is not None,
            classes=held.classes if held else frozenset(),
            ingredients=held.ingredients if held else (),
            day=full_day(ordered),
            current=is_active(use, resource.kind) and not (ended and ended.day < today),
        )


def _icd10_codes(concept: r4.CodeableConcept | None) -> list[str]:
    return [
        normal(ICD10CM, coding.code)
        for coding in (concept.coding if concept else ())
        if coding.code
        and (canonical(coding.system) if coding.system else guessed_system(coding.code)) in (ICD10, ICD10CM)
    ]


def _classes(codes: list[str]) -> frozenset[str]:
    return frozenset(name for name, pattern in _patterns() if any(pattern.match(code) for code in codes))


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((row["class"], re.compile(row["pattern"])) for row in table("mhrn_diagnoses"))
