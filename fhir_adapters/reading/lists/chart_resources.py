"""One patient's resources by type, and what was unreadable or anomalous in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, tzinfo

from fhir_adapters.codesets.questions import QuestionnaireMap
from fhir_adapters.facts import Anomaly, Unheard, Unreadable
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.reading.lists.conditions import EncounterDate
from fhir_adapters.resources import r4
from fhir_adapters.resources.belonging import Owner
from fhir_adapters.resources.gathered import ANSWER_TYPES

# All types that facts are read from.
READ_TYPES = (*ANSWER_TYPES, "MedicationRequest", "MedicationStatement", "Encounter", "Procedure")
# Types read only at discharge.
STEP_TYPES = ("CarePlan", "Appointment")
# Facts that no rule, model or page uses: read only by `mhcds assess`.
LEFT_OUT = ("pregnant", "urine_leak", "alc_heavy_ever", "rx_contraceptive")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartResources:
    """One patient's own resources by type, and how to read them.

    `unreadable`, `odd`, `encounters` and `unheard` are filled while reading.
    """

    by_kind: dict[str, list[r4.Resource]]
    owner: Owner
    zone: tzinfo
    today: date
    maps: tuple[QuestionnaireMap, ...]
    left_out: bool
    unreadable: list[Unreadable]
    odd: list[Anomaly]
    encounters: dict[str, EncounterDate]
    unheard: list[Unheard]

    def encounter(self, reference: r4.Reference | None) -> EncounterDate | None:
        """The encounter a reference points to, whatever its form; one that was not sent has no dates."""
        text = reference.target if reference else ""
        if not text:
            return None
        known = self.encounters.get(text)
        if known is None:
            short = "/".join(text.split("/")[-2:]) if "://" in text else text
            known = self.encounters.get(short) or EncounterDate(reference=short, when=None, until=None)
            self.encounters[text] = known
        return known

    def reads(self, fact: str) -> bool:
        """Whether the fact of that name is to be read."""
        return self.left_out or fact not in LEFT_OUT

    def of(self, *kinds: str) -> list[r4.Resource]:
        """The resources of these types."""
        if len(kinds) == 1:
            return self.by_kind.get(kinds[0], [])
        return [resource for kind in kinds for resource in self.by_kind.get(kind, ())]

    def cannot_read(self, resource: r4.Resource, cause: Cause) -> None:
        """Records that `resource` could not be read."""
        self.unreadable.append(unreadable(resource, Gap(cause=cause)))


def unreadable(resource: r4.Resource, reason: Gap) -> Unreadable:
    """The record that `resource` could not be read."""
    may_hide = resource.kind in ANSWER_TYPES
    return Unreadable(kind=resource.kind, reference=resource.reference, reason=reason, may_hide_answer=may_hide)


def has_no_code(concept: r4.CodeableConcept | None) -> bool:
    """Whether a concept has neither a code nor words."""
    return concept is None or not (concept.text or any(c.code or c.display for c in concept.coding))
