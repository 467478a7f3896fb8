"""Whose data it is: every resource is checked against the patient before a fact is read from it.

Legal forms of a reference to the patient: relative, with version, absolute on the same server,
a Bundle's fullUrl, or the patient's business identifier. A resource that names nobody is not
taken for this patient's.
"""

from __future__ import annotations

from dataclasses import replace

from fhir_adapters import r4
from fhir_adapters.facts import Anomaly
from fhir_adapters.gathered import Gathered

# Types that are about no patient; they are only looked up from resources that are.
UNOWNED = ("Medication", "Bundle", "OperationOutcome")


def own_resources(gathered: Gathered) -> tuple[list[r4.Resource], list[Anomaly]]:
    """The patient's own resources, and an anomaly (without content) when others were among them."""
    patient = gathered.patient
    identifiers = {
        (i.system, i.value) for i in (patient.content.identifier if patient and patient.content else ()) if i.value
    }
    names = {f"Patient/{gathered.patient_id}", *(patient.names if patient else ())}
    own, foreign, nameless = [], 0, 0
    for resource in gathered.resources:
        if resource.kind in UNOWNED or resource.kind not in r4.TYPES:
            own.append(resource)
            continue
        reference = resource.owner if resource.content is None else _patient_reference(resource.content)
        if reference is None or not _names_somebody(reference):
            if resource.content is None:
                # Nobody knows whose it is, so not even its id is shown.
                own.append(replace(resource, reference=f"{resource.kind}/(patient not readable)"))
            else:
                nameless += 1
        elif _is(reference, names, gathered.patient_id, identifiers, gathered.fhir_base):
            own.append(resource)
        else:
            foreign += 1
    return own, [_anomaly(count, words) for count, words in ((foreign, OTHERS), (nameless, NOBODY)) if count]


def _names_somebody(reference: r4.Reference) -> bool:
    """A reference, or an identifier with its system: without one, equal values can belong to two people."""
    identifier = reference.identifier
    return bool(reference.reference or (identifier and identifier.value and identifier.system))


OTHERS = "belonging to another patient or to a server that is not known"
NOBODY = "naming no patient"


def _anomaly(count: int, words: str) -> Anomaly:
    noun = "1 entry" if count == 1 else f"{count} entries"
    were = "was" if count == 1 else "were"
    return Anomaly(
        kind="wrong-patient",
        text=f"The chart data sent held {noun} {words}; {'it' if count == 1 else 'they'} {were} not used.",
    )


def _patient_reference(content: object) -> r4.Reference | None:
    found = getattr(content, "subject", None) or getattr(content, "beneficiary", None)
    return found if isinstance(found, r4.Reference) else None


def _is(
    reference: r4.Reference,
    names: set[str],
    patient_id: str,
    identifiers: set[tuple[str | None, str | None]],
    base: str | None,
) -> bool:
    target = reference.target
    if target:
        if target in names:
            return True
        # Another server's patient can have the same id, so the server must be known to be ours.
        return base is not None and target == f"{base.rstrip('/')}/Patient/{patient_id}"
    identifier = reference.identifier
    return identifier is not None and (identifier.system, identifier.value) in identifiers
