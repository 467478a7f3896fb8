"""Whose data it is: every resource is checked against the patient before a fact is read from it.

Legal forms of a reference to the patient: relative, with version, absolute below one of the site's FHIR bases,
a Bundle's fullUrl, or the patient's business identifier (logical, conditional, or of a contained Patient). A
resource that names nobody is not taken for this patient's, and an Observation whose focus is somebody else says
nothing of this patient. An Appointment belongs to each patient who takes part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import unquote

from fhir_adapters.facts import Anomaly, ForeignEntries
from fhir_adapters.flaws import Flaw
from fhir_adapters.resources import r4
from fhir_adapters.resources.gathered import Gathered

# Types that are about no patient; they are only looked up from resources that are.
UNOWNED = ("Medication", "Bundle", "OperationOutcome")


def own_resources(gathered: Gathered) -> tuple[list[r4.Resource], list[Anomaly]]:
    """The patient's own resources, and an anomaly (without content) when others were among them.

    Others' are told from entries that name nobody, and from those of a search that was not limited to the patient.
    """
    owner = owner_of(gathered.patient_id, gathered.patient, gathered.fhir_bases)
    own: list[r4.Resource] = []
    foreign: list[str] = []
    nameless: list[str] = []
    unfiltered: list[str] = []
    for resource in gathered.resources:
        if resource.kind in UNOWNED or resource.kind not in r4.TYPES:
            own.append(resource)
            continue
        named = [reference for reference in _owners(resource) if _names_somebody(reference)]
        if not named:
            if resource.content is None:
                # Nobody knows whose it is, so not even its id is shown.
                own.append(replace(resource, reference=f"{resource.kind}/(patient not readable)"))
            elif resource.unfiltered:
                unfiltered.append(resource.kind)
            else:
                nameless.append(resource.kind)
        elif any(owner.is_named_by(reference) for reference in named) and _about(resource.content, owner):
            own.append(resource)
        elif resource.unfiltered:
            unfiltered.append(resource.kind)
        else:
            foreign.append(resource.kind)
    put_aside = ((Flaw.OF_OTHERS, foreign), (Flaw.OF_NOBODY, nameless), (Flaw.UNFILTERED, unfiltered))
    return own, [_anomaly(flaw, kinds) for flaw, kinds in put_aside if kinds]


def _owners(resource: r4.Resource) -> tuple[r4.Reference, ...]:
    """The references by which a resource says whose it is, as far as it can be read."""
    if resource.content is not None:
        return r4.subjects_of(resource.content)
    return (resource.owner,) if resource.owner else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The patient of the request: every name and identifier by which a reference may point to them.

    `bases` are the beginnings of absolute references to Patients of the same servers.
    """

    names: frozenset[str]
    identifiers: frozenset[tuple[str | None, str | None]]
    bases: tuple[str, ...] = ()

    def is_named_by(self, reference: r4.Reference) -> bool:
        """Whether a reference points to this patient."""
        target = reference.target
        if target.startswith(CONDITIONAL):
            system, bar, value = unquote(target.removeprefix(CONDITIONAL)).partition("|")
            return bool(bar) and (system, value) in self.identifiers
        if target:
            return target in self.names
        identifier = reference.identifier
        return identifier is not None and (identifier.system, identifier.value) in self.identifiers


CONDITIONAL = "Patient?identifier="


def owner_of(patient_id: str, patient: r4.Resource | None, bases: Iterable[str]) -> Owner:
    """The owner of a request's data. `bases`: the FHIR servers that are known to be the site's own.

    Another server's patient can have the same id, so an absolute reference counts below these alone.
    """
    held = patient.content.identifier if patient and patient.content else ()
    beginnings = tuple(f"{base.rstrip('/')}/Patient/" for base in bases)
    absolute = (f"{beginning}{patient_id}" for beginning in beginnings)
    return Owner(
        names=frozenset((f"Patient/{patient_id}", *(patient.names if patient else ()), *absolute)),
        identifiers=frozenset((i.system, i.value) for i in held if i.value),
        bases=beginnings,
    )


def _about(content: object, owner: Owner) -> bool:
    """Whether an Observation is about the patient in whose chart it stands: its focus, where it has one, says so."""
    focus = content.focus if isinstance(content, r4.Observation) else ()
    return not focus or any(owner.is_named_by(reference) for reference in focus)


def _names_somebody(reference: r4.Reference) -> bool:
    """A reference, or an identifier with its system: without one, equal values can belong to two people."""
    identifier = reference.identifier
    return bool(reference.reference or (identifier and identifier.value and identifier.system))


# Types in which an answer or a code of this patient may be lost when they are put aside.
ANSWER_TYPES = ("Observation", "QuestionnaireResponse", "Condition", "Encounter")


def _anomaly(flaw: Flaw, kinds: list[str]) -> Anomaly:
    """The anomaly of entries of these types that were put aside."""
    return ForeignEntries(flaw=flaw, count=len(kinds), answers=sum(kind in ANSWER_TYPES for kind in kinds))
