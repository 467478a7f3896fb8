"""JSON text to one resource: its readable content and its references. Does not interpret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw

from fhir_adapters.errors import NotFhir
from fhir_adapters.gaps import Gap
from fhir_adapters.resources.r4.datatypes import Element, Reference
from fhir_adapters.resources.r4.elements import security_labels, subjects_of, updated
from fhir_adapters.resources.r4.faults import (
    MUST_UNDERSTAND,
    UNREADABLE,
    WHOLE,
    foreign_elements,
    may_change_meaning,
    wrong_type,
)
from fhir_adapters.resources.r4.resource_types import DECODERS, Observation
from fhir_adapters.resources.r4.salvage import IDENTIFIERS, decoded, salvaged


class Peek(Element):
    """The elements read before the type is known."""

    resource_type: str | None = None
    id: Any = None


PEEK: msgspec.json.Decoder[Peek] = msgspec.json.Decoder(Peek)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource as it came: its type, its content or None when unreadable, and how to refer to it.

    `reference` is `Type/id`, else the Bundle's fullUrl, else `Type/(no id)`. `names` are all references to it.
    `fault`: why it cannot be read at all (no content, or a Husk) or in part. `owner` is then the patient it names, if
    readable. `labels` are the codes of its security labels, `text` its JSON, `updated` when this version was made.
    `unfiltered`: from a search that, by the server's own account, was not limited to the patient.
    """

    kind: str
    content: Any
    reference: str
    names: tuple[str, ...]
    fault: Gap | None = None
    owner: Reference | None = None
    labels: frozenset[str] = frozenset()
    text: bytes = b""
    updated: datetime | None = None
    unfiltered: bool = False


def read(raw: bytes | Raw, full_url: str | None = None) -> Resource:
    """The resource in `raw`. Raises NotFhir when it has no resourceType or is not JSON at all."""
    try:
        peek = PEEK.decode(raw)
    except UNREADABLE as error:
        raise NotFhir("expected a FHIR resource as a JSON object; found something else") from error
    if not peek.resource_type:
        raise NotFhir("expected a FHIR resource; found a JSON object without resourceType")
    kind = peek.resource_type
    url = full_url if full_url and full_url.startswith(("urn:", "http:", "https:")) else None
    own = f"{kind}/{peek.id}" if isinstance(peek.id, str) and peek.id else None
    names = tuple(name for name in (own, url) if name)
    reference = names[0] if names else f"{kind}/(no id)"
    decoder = DECODERS.get(kind)
    if decoder is None:
        return Resource(kind=kind, content=None, reference=reference, names=names)
    try:
        content, fault = decoder.decode(raw), None
    except UNREADABLE as error:
        content, fault = None, wrong_type(error)
    text = bytes(raw)
    if kind != "Bundle":
        fault = fault or foreign_elements(kind, content) or (MUST_UNDERSTAND if may_change_meaning(text) else None)
    if fault is None:
        _name_contained_owner(content, raw)
        return Resource(
            kind=kind,
            content=content,
            reference=reference,
            names=names,
            labels=security_labels(content),
            text=text,
            updated=updated(content),
        )
    rest = salvaged(raw, kind, fault)
    return Resource(
        kind=kind,
        content=rest.content,
        reference=reference,
        names=names,
        fault=rest.fault,
        owner=rest.owner,
        labels=rest.labels,
        text=text,
    )


def _name_contained_owner(content: Element, raw: bytes | Raw) -> None:
    """Replaces each reference to a contained Patient, or focus, by its identifier and type."""
    focus = content.focus if isinstance(content, Observation) else ()
    inner = [s for s in (*subjects_of(content), *focus) if (s.reference or "").startswith("#")]
    if not inner:
        return
    try:
        held = WHOLE.decode(raw).get("contained")
    except UNREADABLE:  # unread elements can hold what no decoder accepts, such as a number of 400 digits
        return
    owners: dict[str, dict[str, Any]] = {}
    for resource in held if isinstance(held, list) else ():
        if isinstance(resource, dict) and isinstance(resource.get("id"), str):
            owners.setdefault(resource["id"], resource)
    for subject in inner:
        holder = owners.get(subject.target[1:], {})
        identifiers = decoded(holder.get("identifier"), IDENTIFIERS) or ()
        subject.identifier = next((i for i in identifiers if i.system and i.value), subject.identifier)
        subject.type = holder["resourceType"] if isinstance(holder.get("resourceType"), str) else None
        subject.reference = None
