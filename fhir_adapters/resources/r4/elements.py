"""What most resources have in common: owner, security labels and last update."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from fhir_adapters.resources.r4.datatypes import Element, Reference
from fhir_adapters.resources.r4.resource_types import Appointment


def subject_of(content: Element) -> Reference | None:
    """The reference to a resource's patient."""
    reference = (
        getattr(content, "subject", None) or getattr(content, "beneficiary", None) or getattr(content, "patient", None)
    )
    return reference if isinstance(reference, Reference) else None


def subjects_of(content: Element) -> tuple[Reference, ...]:
    """Every reference to a resource's patient; for an Appointment, the participants who may be patients."""
    if isinstance(content, Appointment):
        return tuple(p.actor for p in content.participant if p.actor and may_be_patient(p.actor))
    subject = subject_of(content)
    return (subject,) if subject else ()


def may_be_patient(reference: Reference) -> bool:
    """Whether a reference may point to a Patient: unless it names another type."""
    return reference.kind == "Patient" or not reference.kind.isalpha()


# The DS4P extension that names the law behind a security label.
LABEL_BASIS = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-sec-label-basis"


def security_labels(content: Element) -> frozenset[str]:
    """The codes of the security labels, and of the laws behind them."""
    meta = getattr(content, "meta", None)
    if meta is None or not meta.security:
        return NO_LABELS
    codings = meta.security
    laws = (e.value_coding for c in codings for e in c.extension if e.url == LABEL_BASIS and e.value_coding)
    return frozenset(c.code for c in (*codings, *laws) if c.code)


NO_LABELS: frozenset[str] = frozenset()


def updated(content: Element) -> datetime | None:
    """When this version of a resource was made, if given with a time zone."""
    meta = getattr(content, "meta", None)
    if meta is None or not meta.last_updated:
        return None
    with suppress(ValueError):
        moment = datetime.fromisoformat(meta.last_updated)
        return moment if moment.tzinfo else None
    return None
