"""The active medicines of a chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_adapters.facts import Fact
from fhir_adapters.reading.lists.chart_resources import ChartResources
from fhir_adapters.reading.lists.medications import (
    Medicine,
    concept_of,
    dose_text,
    is_active,
    medication_facts,
    medicine,
)
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import first_when, when


@dataclass(frozen=True, slots=True, kw_only=True)
class MedicineList:
    """Active medicines. `unnamed`: at least one came without its name. `nameless`: resources that name nothing."""

    medicines: tuple[Medicine, ...]
    unnamed: bool
    nameless: tuple[r4.Resource, ...]

    def facts(self, classes: Sequence[str]) -> list[Fact]:
        """Medicine facts. Where a name was not sent, no class is known to be absent."""
        facts = medication_facts(self.medicines, classes)
        return [fact for fact in facts if fact.value is not False or not self.unnamed]


def medicine_list(resources: ChartResources) -> MedicineList:
    """What the patient is meant to be taking now, in the order of the chart."""
    medications = {name: resource.content for resource in resources.of("Medication") for name in resource.names}
    active, nameless, unnamed = [], [], False
    for resource in resources.of("MedicationRequest", "MedicationStatement"):
        use: r4.MedicationUse = resource.content
        period = use.effective_period or r4.Period()
        ended = when(period.end, resources.zone, resources.today)
        if not is_active(use, resource.kind) or (ended and ended.day < resources.today):
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
    return MedicineList(medicines=tuple(active), unnamed=unnamed, nameless=tuple(nameless))
