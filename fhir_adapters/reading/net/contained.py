"""Contained resources as entries of their own: a report that holds its results is read like one that refers to them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fhir_adapters.errors import NotFhir
from fhir_adapters.reading.net.responses import contained
from fhir_adapters.resources import r4
from fhir_adapters.resources.belonging import About, Owner, about
from fhir_adapters.resources.gathered import ANSWER_TYPES

HOLDERS = (r4.Observation, r4.QuestionnaireResponse, r4.DiagnosticReport)


def with_contained(own: Iterable[r4.Resource], owner: Owner) -> list[r4.Resource]:
    """The resources, and those contained in them that can hold an answer of the same patient."""
    own = list(own)
    if not any(map(_holds_others, own)):
        return own
    found: list[r4.Resource] = []
    for resource in own:
        found.append(resource)
        for raw in contained(resource.content.contained) if _holds_others(resource) else ():
            try:
                inner = r4.read(raw)
            except NotFhir:
                continue
            if inner.kind in ANSWER_TYPES and _is_own(inner, owner):
                found.append(_named(inner, resource))
    return found


def _holds_others(resource: r4.Resource) -> bool:
    return isinstance(resource.content, HOLDERS) and resource.content.contained is not r4.NOT_THERE


def _is_own(inner: r4.Resource, owner: Owner) -> bool:
    """Whether a contained resource is of its container's patient: unless it names another."""
    if inner.content is not None and about(inner, owner, {}) is About.OTHERS:
        return False
    subject = inner.owner if inner.content is None else r4.subject_of(inner.content)
    return subject is None or not subject.target or subject.target.startswith("#") or owner.is_named_by(subject)


def _named(inner: r4.Resource, container: r4.Resource) -> r4.Resource:
    """The inner resource by its container's name, and dated by it where it has no date."""
    content, outer = inner.content, container.content
    if isinstance(content, r4.Observation) and not (
        content.effective_date_time or content.effective_instant or content.effective_period or content.issued
    ):
        period = getattr(outer, "effective_period", None)
        content.effective_date_time = getattr(outer, "effective_date_time", None) or (period.start if period else None)
        content.issued = getattr(outer, "issued", None)
    if isinstance(content, r4.QuestionnaireResponse) and not content.authored:
        content.authored = getattr(outer, "effective_date_time", None) or getattr(outer, "issued", None)
    name = f"{container.reference}#{inner.reference.partition('/')[2]}"
    return msgspec.structs.replace(inner, reference=name, names=(name,))
