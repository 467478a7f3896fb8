"""What most resources have in common: whose they are, their security labels, and when they were changed."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from fhir_adapters.resources.r4.datatypes import Element, Reference
from fhir_adapters.resources.r4.resource_types import Appointment


def subject_of(content: Element) -> Reference | None:
    """The reference by which a resource says whose it is."""
    found = (
        getattr(content, "subject", None) or getattr(content, "beneficiary", None) or getattr(content, "patient", None)
    )
    return found if isinstance(found, Reference) else None


def subjects_of(content: Element) -> tuple[Reference, ...]:
    """Every reference by which a resource says whose it is: of an Appointment, the participants who may be patients."""
    if isinstance(content, Appointment):
        return tuple(p.actor for p in content.participant if p.actor and may_be_patient(p.actor))
    one = subject_of(content)
    return (one,) if one else ()


def may_be_patient(reference: Reference) -> bool:
    """Whether a reference does not surely point to something other than a Patient."""
    kind = reference.target.rpartition("/")[0].rpartition("/")[2]
    return kind == "Patient" or not kind.isalpha()


# The extension of the security-labelling guide (DS4P) that names the law behind a label.
LABEL_BASIS = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-sec-label-basis"


def security_labels(content: Element) -> frozenset[str]:
    """The codes of the security labels, and of the laws that they rest on."""
    meta = getattr(content, "meta", None)
    if meta is None or not meta.security:
        return NO_LABELS
    codings = meta.security
    laws = (e.value_coding for c in codings for e in c.extension if e.url == LABEL_BASIS and e.value_coding)
    return frozenset(c.code for c in (*codings, *laws) if c.code)


NO_LABELS: frozenset[str] = frozenset()


def updated(content: Element) -> datetime | None:
    """When this version of a resource was made, where it says so with a time zone."""
    meta = getattr(content, "meta", None)
    if meta is None or not meta.last_updated:
        return None
    with suppress(ValueError):
        moment = datetime.fromisoformat(meta.last_updated)
        return moment if moment.tzinfo else None
    return None
