"""Ownership: every resource is checked against the patient before a fact is read from it.

Legal forms of a reference to the patient: relative, with version, absolute below one of the site's FHIR bases,
a Bundle's fullUrl, or the patient's business identifier (logical, conditional, or of a contained Patient). A
resource that names nobody does not count as this patient's, nor does an Observation whose focus is another person; one
whose focus is unclear is unreadable. An Appointment belongs to each participating patient.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import unquote

import msgspec

from fhir_adapters.facts import Anomaly, ForeignEntries
from fhir_adapters.flaws import Flaw
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.resources import r4
from fhir_adapters.resources.gathered import ANSWER_TYPES, Gathered

# Types without a patient; they are only looked up from resources that have one.
UNOWNED = ("Medication", "Questionnaire", "Bundle", "OperationOutcome")


def own_resources(gathered: Gathered) -> tuple[list[r4.Resource], list[Anomaly]]:
    """The patient's own resources, and anomalies (without content) for any others among them.

    Entries of others, entries that name nobody, and entries of a search not limited to the patient are kept apart.
    """
    owner = owner_of(gathered.patient_id, gathered.patient, gathered.fhir_bases)
    kinds: dict[str, str] | None = None
    own: list[r4.Resource] = []
    foreign: list[str] = []
    nameless: list[str] = []
    unfiltered: list[str] = []
    for resource in gathered.resources:
        if resource.kind in UNOWNED or resource.kind not in r4.TYPES:
            own.append(resource)
            continue
        if _is_plainly_of(resource.content, owner):
            own.append(resource)
            continue
        if kinds is None:
            kinds = {name: one.kind for one in gathered.resources for name in one.names}
        named = [reference for reference in _owners(resource) if _names_somebody(reference)]
        if not named:
            if resource.content is None:
                # Its owner is unknown, so not even its id is shown.
                own.append(msgspec.structs.replace(resource, reference=f"{resource.kind}/(patient not readable)"))
            elif resource.unfiltered:
                unfiltered.append(resource.kind)
            else:
                nameless.append(resource.kind)
        elif (
            any(owner.is_named_by(reference) for reference in named)
            and (whose := about(resource, owner, kinds)) is not About.OTHERS
        ):
            own.append(
                resource
                if whose is About.PATIENT
                else msgspec.structs.replace(resource, content=r4.husk(resource.text), fault=FOCUS_UNCLEAR)
            )
        elif resource.unfiltered:
            unfiltered.append(resource.kind)
        else:
            foreign.append(resource.kind)
    set_aside = ((Flaw.OF_OTHERS, foreign), (Flaw.OF_NOBODY, nameless), (Flaw.UNFILTERED, unfiltered))
    return own, [_anomaly(flaw, kinds) for flaw, kinds in set_aside if kinds]


def _is_plainly_of(content: r4.Element | None, owner: Owner) -> bool:
    """Whether a resource names this patient by its subject alone and has no focus, as nearly all do."""
    subject = getattr(content, "subject", None)
    return (
        isinstance(subject, r4.Reference)
        and subject.reference in owner.names
        and subject.identifier is None
        and not getattr(content, "focus", None)
    )


def _owners(resource: r4.Resource) -> tuple[r4.Reference, ...]:
    """The references to a resource's owners, as far as they can be read."""
    if resource.content is not None:
        return r4.subjects_of(resource.content)
    return (resource.owner,) if resource.owner else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The patient of the request: every name and identifier by which a reference may point to them.

    `bases` are the prefixes of absolute references to Patients of the same servers. `numbers`: the values of each
    identifier system, without regard to case.
    """

    names: frozenset[str]
    identifiers: frozenset[tuple[str | None, str | None]]
    bases: tuple[str, ...] = ()
    numbers: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def is_named_by(self, reference: r4.Reference) -> bool:
        """Whether a reference points to this patient, and carries no identifier of another one of the same system."""
        target, identifier = reference.target, reference.identifier
        if target and self.has_not(identifier):
            return False
        if target.startswith(CONDITIONAL):
            system, bar, value = unquote(target.removeprefix(CONDITIONAL)).partition("|")
            return bool(bar) and (system, value) in self.identifiers
        if target:
            return target in self.names
        return identifier is not None and (identifier.system, identifier.value) in self.identifiers

    def has_not(self, identifier: r4.Identifier | None) -> bool:
        """Whether an identifier is another one's: this patient has others of the same system."""
        if identifier is None or not identifier.value:
            return False
        held = self.numbers.get(identifier.system or "")
        return held is not None and identifier.value.strip().casefold() not in held


CONDITIONAL = "Patient?identifier="


def owner_of(patient_id: str, patient: r4.Resource | None, bases: Iterable[str]) -> Owner:
    """The owner of a request's data. `bases`: the site's own FHIR servers.

    Another server's patient can have the same id, so an absolute reference counts only below these.
    """
    held = patient.content.identifier if patient and patient.content else ()
    prefixes = tuple(f"{base.rstrip('/')}/Patient/" for base in bases)
    absolute = (f"{prefix}{patient_id}" for prefix in prefixes)
    numbers: dict[str, set[str]] = {}
    for identifier in held:
        if identifier.system and identifier.value:
            numbers.setdefault(identifier.system, set()).add(identifier.value.strip().casefold())
    return Owner(
        names=frozenset((f"Patient/{patient_id}", *(patient.names if patient else ()), *absolute)),
        identifiers=frozenset((i.system, i.value) for i in held if i.value),
        bases=prefixes,
        numbers={system: frozenset(values) for system, values in numbers.items()},
    )


class About(Enum):
    """What an Observation in the patient's chart is about, by its focus (rule R11)."""

    PATIENT = 1
    OTHERS = 2
    UNCLEAR = 3


# Other people, and what is recorded of relatives.
PEOPLE = frozenset((
    "Patient", "RelatedPerson", "Person", "Group", "Practitioner", "PractitionerRole", "FamilyMemberHistory",
))  # fmt: skip
# Parts of the patient's own care. A device, a place or a body is none: what is said of it is unclear.
CARE = frozenset((
    "AdverseEvent", "AllergyIntolerance", "Appointment", "BodyStructure", "CarePlan", "CareTeam", "ClinicalImpression",
    "Communication", "Composition", "Condition", "DetectedIssue", "DiagnosticReport", "DocumentReference", "Encounter",
    "EpisodeOfCare", "Flag", "Goal", "ImagingStudy", "Immunization", "List", "Media", "MedicationAdministration",
    "MedicationDispense", "MedicationRequest", "MedicationStatement", "NutritionOrder", "Observation", "Procedure",
    "Questionnaire", "QuestionnaireResponse", "RequestGroup", "RiskAssessment", "ServiceRequest",
    "Specimen", "Task",
))  # fmt: skip
FOCUS_UNCLEAR = Gap(cause=Cause.FOCUS_UNCLEAR)


def about(resource: r4.Resource, owner: Owner, kinds: Mapping[str, str]) -> About:
    """What an Observation is about: the patient without a focus, or when the focus is a part of their care.

    `kinds`: the type of each resource by its names. What is said of an unclear focus must neither pass for the
    patient's nor go unheard (rule R4).
    """
    focus = resource.content.focus if isinstance(resource.content, r4.Observation) else ()
    if not focus or any(owner.is_named_by(reference) for reference in focus):
        return About.PATIENT
    found = {reference.kind or reference.type or kinds.get(reference.target, "") for reference in focus}
    if found & PEOPLE or any(owner.has_not(reference.identifier) for reference in focus):
        return About.OTHERS
    return About.PATIENT if found <= CARE else About.UNCLEAR


def _names_somebody(reference: r4.Reference) -> bool:
    """A reference, or an identifier with its system: without one, equal values can belong to two people."""
    identifier = reference.identifier
    return bool(reference.reference or (identifier and identifier.value and identifier.system))


def _anomaly(flaw: Flaw, kinds: list[str]) -> Anomaly:
    """The anomaly of entries of these types that were set aside."""
    return ForeignEntries(flaw=flaw, count=len(kinds), answers=sum(kind in MAY_HIDE for kind in kinds))


# Types that may hide an answer or a code of this patient when set aside.
MAY_HIDE = (*ANSWER_TYPES, "Encounter")
