"""The active medicines of a chart, and past ones of the classes that the models know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fhir_adapters.facts import Fact, MedicineUse
from fhir_adapters.reading.lists.chart_resources import ChartResources
from fhir_adapters.reading.lists.medications import (
    Medicine,
    concept_of,
    dose_text,
    ends_of,
    is_active,
    is_past,
    medication_facts,
    medicine,
)
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import first_when, when


@dataclass(frozen=True, slots=True, kw_only=True)
class MedicineList:
    """Active medicines. `unnamed`: at least one came without its name. `nameless`: resources that name nothing."""

    medicines: tuple[Medicine, ...]
    past: tuple[MedicineUse, ...]
    unnamed: bool
    nameless: tuple[r4.Resource, ...]

    def facts(self, classes: Sequence[str]) -> list[Fact]:
        """Medicine facts. Where a name was not sent, no class is known to be absent."""
        facts = medication_facts(self.medicines, classes)
        return [fact for fact in facts if fact.value is not False or not self.unnamed]


def medicine_list(resources: ChartResources) -> MedicineList:
    """What the patient is meant to be taking now, in the order of the chart."""
    medications = {name: resource.content for resource in resources.of("Medication") for name in resource.names}
    active, past, nameless, unnamed = [], [], [], False
    for resource in resources.of("MedicationRequest", "MedicationStatement"):
        use: r4.MedicationUse = resource.content
        period = use.effective_period or r4.Period()
        ended = when(period.end, resources.zone, resources.today)
        over = ended is not None and ended.day < resources.today
        active_then = is_active(use, resource.kind)
        if over or not active_then:
            if (active_then or is_past(use, resource.kind)) and (gone := _past(resource, medications, resources)):
                past.append(gone)
            continue
        moment = first_when(resources.zone, resources.today, use.authored_on, use.effective_date_time, period.start)
        entry = medicine(concept_of(use, medications), moment, resource.reference, dose_text(use))
        if entry is None and use.medication_reference and use.medication_reference.reference:
            unnamed = True
            entry = Medicine(
                name=use.medication_reference.reference, classes=frozenset(), when=moment, reference=resource.reference
            )
        if entry:
            active.append(entry)
        else:
            nameless.append(resource)
    return MedicineList(medicines=tuple(active), past=tuple(past), unnamed=unnamed, nameless=tuple(nameless))


def _past(
    resource: r4.Resource, medications: Mapping[str, r4.Medication], resources: ChartResources
) -> MedicineUse | None:
    """A past medicine, if of a known class; that others cannot be read or named is nobody's gap."""
    use, zone, today = resource.content, resources.zone, resources.today
    period = use.effective_period or r4.Period()
    begun = first_when(zone, today, use.authored_on, use.effective_date_time, period.start)
    entry = medicine(concept_of(use, medications), begun, resource.reference, dose_text(use))
    if entry is None or not entry.classes:
        return None
    ended = first_when(zone, today, *ends_of(use))
    return entry.use(active=False, ended=ended if ended and not ended.future else None)
