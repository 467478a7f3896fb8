"""The medicines of a chart that are being taken now, one by one."""

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
    """Active medicines. `unnamed`: the name of at least one was not sent. `nameless`: resources that name nothing."""

    medicines: tuple[Medicine, ...]
    unnamed: bool
    nameless: tuple[r4.Resource, ...]

    def facts(self, classes: Sequence[str]) -> list[Fact]:
        """Medicine facts. Where a name was not sent, a class that was not found is not known to be absent."""
        facts = medication_facts(self.medicines, classes)
        return [fact for fact in facts if fact.value is not False or not self.unnamed]


def medicine_list(resources: ChartResources) -> MedicineList:
    """What the patient is meant to be taking now, in the order of the chart."""
    medications = {name: resource.content for resource in resources.of("Medication") for name in resource.names}
    taken, nameless, unnamed = [], [], False
    for resource in resources.of("MedicationRequest", "MedicationStatement"):
        use: r4.MedicationUse = resource.content
        period = use.effective_period or r4.Period()
        ended = when(period.end, resources.zone, resources.today)
        if not is_active(use, resource.kind) or (ended and ended.day < resources.today):
            continue
        moment = first_when(resources.zone, resources.today, use.authored_on, use.effective_date_time, period.start)
        one = medicine(concept_of(use, medications), moment, resource.reference, dose_text(use))
        if one is None and use.medication_reference and use.medication_reference.reference:
            unnamed = True
            one = Medicine(
                name=use.medication_reference.reference, classes=frozenset(), when=moment, reference=resource.reference
            )
        if one:
            taken.append(one)
        else:
            nameless.append(resource)
    return MedicineList(medicines=tuple(taken), unnamed=unnamed, nameless=tuple(nameless))
