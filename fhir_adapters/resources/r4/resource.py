"""JSON text to one resource: its readable content and its references. Does not interpret."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct

from fhir_adapters.duplicates import ANY, is_kept, lost, named_twice, repeated
from fhir_adapters.errors import NotFhir
from fhir_adapters.gaps import Gap
from fhir_adapters.resources.r4.datatypes import Element, Reference
from fhir_adapters.resources.r4.elements import NO_LABELS, security_labels, subjects_of, updated
from fhir_adapters.resources.r4.faults import (
    MUST_UNDERSTAND,
    UNREADABLE,
    WHOLE,
    foreign_elements,
    may_change_meaning,
    member_twice,
    wrong_type,
)
from fhir_adapters.resources.r4.resource_types import DECODERS, Bundle, Observation
from fhir_adapters.resources.r4.salvage import IDENTIFIERS, decoded, salvaged
from fhir_adapters.resources.r4.whole import Texts, WholeEntry, whole_bundle
from fhir_adapters.surrogates import without_halves


class Peek(Element):
    """The elements read before the type is known."""

    resource_type: str | None = None
    id: Any = None


PEEK: msgspec.json.Decoder[Peek] = msgspec.json.Decoder(Peek)


class Resource(Struct, frozen=True, kw_only=True, gc=False):
    """One resource as it came: its type, its content or None when unreadable, and how to refer to it.

    `reference` is `Type/id`, else the Bundle's fullUrl, else `Type/(no id)`. `names` are all references to it.
    `fault`: why it cannot be read at all (no content, or a Husk) or in part. `owner` is then the patient it names, if
    readable. `labels` are the codes of its security labels. `source`: its JSON, or that of the Bundle where it stands
    at `place`. `unfiltered`: from a search that, by the server's own account, was not limited to the patient.
    `simple`: a Bundle whose entries need no closer look.
    """

    kind: str
    content: Any
    reference: str
    names: tuple[str, ...]
    fault: Gap | None = None
    owner: Reference | None = None
    labels: frozenset[str] = NO_LABELS
    source: bytes | Texts = b""
    place: int | None = None
    unfiltered: bool = False
    simple: bool = False

    @property
    def text(self) -> bytes:
        """Its JSON."""
        if isinstance(self.source, bytes):
            return self.source
        return self.source.whole if self.place is None else self.source.held[self.place]

    @property
    def updated(self) -> datetime | None:
        """When this version was made; None where nothing but a part of it can be read."""
        return None if self.fault else updated(self.content)


def read(raw: bytes | Raw, full_url: str | None = None, *, simple: bool = False) -> Resource:
    """The resource in `raw`. Raises NotFhir when it is not JSON at all, has no resourceType, or two and is not read.

    `simple`: it is part of a text that was found to be so (`_looked_over`).
    """
    text = bytes(raw) if simple else without_halves(bytes(raw))
    if not simple and (whole := whole_bundle(text)):
        names = _names("Bundle", whole.id, full_url)
        source = Texts(text)
        return Resource(
            kind="Bundle", content=whole, reference=_reference("Bundle", names), names=names, source=source, simple=True
        )
    bundle = None if simple else _bundle(text)
    peek, plain = (bundle, None) if bundle else _peeked(text, simple=simple)
    if not peek.resource_type:
        raise NotFhir("expected a FHIR resource; found a JSON object without resourceType")
    kind = peek.resource_type
    names = _names(kind, peek.id, full_url)
    reference = _reference(kind, names)
    decoder = DECODERS.get(kind)
    if decoder is None:
        _check_type(text, simple=simple)
        return Resource(kind=kind, content=None, reference=reference, names=names, source=text)
    content: Any = None
    fault = None
    try:
        content = bundle or decoder.decode(text)
    except UNREADABLE as error:
        fault = wrong_type(error)
    fault = fault or foreign_elements(kind, content)
    twice: frozenset[str] = frozenset()
    if kind == "Bundle":
        simple = simple or _looked_over(content, text)
    elif not simple:
        twice = named_twice(text) if plain is None else lost(text, plain)
        # With two types it may not fit the last one for that alone.
        fault = member_twice(twice) if "resourceType" in twice else fault
        fault = fault or (MUST_UNDERSTAND if may_change_meaning(text) else None)
    if fault is None and not twice:
        if (b"#" in text or b"\\" in text) and (inner := _contained_owners(content)):
            _name_contained(inner, text)
        return Resource(
            kind=kind,
            content=content,
            reference=reference,
            names=names,
            labels=security_labels(content),
            source=text,
            simple=simple,
        )
    rest = salvaged(text, kind, fault or member_twice(twice), twice)
    if kind == "Bundle":
        simple = simple or _looked_over(rest.content, text)
    return Resource(
        kind=kind,
        content=rest.content,
        reference=reference,
        names=names,
        fault=rest.fault,
        owner=rest.owner,
        labels=rest.labels,
        source=text,
        simple=simple,
    )


def entered(entry: WholeEntry, texts: Texts, place: int) -> Resource:
    """The resource of an entry that was decoded with its Bundle."""
    content = entry.resource
    kind = type(content).__name__
    if foreign_elements(kind, content):
        return read(texts.held[place], entry.full_url, simple=True)
    if texts.may_refer_inside and (inner := _contained_owners(content)):
        _name_contained(inner, texts.held[place])
    names = _names(kind, content.id, entry.full_url)
    return Resource(
        kind=kind,
        content=content,
        reference=_reference(kind, names),
        names=names,
        labels=security_labels(content),
        source=texts,
        place=place,
    )


def _names(kind: str, own: object, full_url: str | None) -> tuple[str, ...]:
    """All references to a resource: by its own id, and the fullUrl of its entry."""
    names = (f"{kind}/{own}",) if own and isinstance(own, str) else ()
    if full_url and full_url.startswith(("urn:", "http:", "https:")):
        return (*names, full_url)
    return names


def _reference(kind: str, names: tuple[str, ...]) -> str:
    return names[0] if names else f"{kind}/(no id)"


def _bundle(text: bytes) -> Bundle | None:
    """The Bundle in a text that begins like one: it is the longest text, so it is not peeked into first."""
    if text.find(b'"Bundle"', 0, 60) < 0:
        return None
    try:
        found: Bundle = DECODERS["Bundle"].decode(text)
    except UNREADABLE:
        return None
    return found if found.resource_type == "Bundle" else None


def _peeked(text: bytes, *, simple: bool) -> tuple[Peek, Any]:
    """The type and id of a resource, and all of it as plain JSON where that was read. Raises NotFhir."""
    try:
        if simple or text.find(b'"Bundle"', 0, 60) >= 0:  # its entries are read one by one
            return PEEK.decode(text), None
        try:
            plain = ANY.decode(text)
        except UNREADABLE:  # for an element that may not be used at all
            return PEEK.decode(text), None
        return msgspec.convert(plain, Peek), plain
    except UNREADABLE as error:
        raise NotFhir("expected a FHIR resource as a JSON object; found something else") from error


def _check_type(text: bytes, *, simple: bool) -> None:
    """Raises NotFhir when a resource of a type that is not read also stands under another one."""
    doubtful = text.count(TYPE_NAMED) > 1 or (b"\\" in text and ESCAPED_NAME.search(text))
    if not simple and doubtful and "resourceType" in named_twice(text):
        raise NotFhir("expected a FHIR resource with one resourceType; found two")


def _looked_over(bundle: Bundle | None, text: bytes) -> bool:
    """Whether no member stands twice anywhere in a Bundle's text, and nothing in it changes the meaning of the rest.

    One look at the whole spares a closer one at each entry. Where it finds anything, or cannot tell, a null is added to
    the Bundle if members of it or of an entry stand twice, since one replaces another.
    """
    if bundle is None:
        return False
    try:
        if not may_change_meaning(text) and is_kept(text, ANY.decode(text)):
            return True
    except UNREADABLE:
        pass
    _mark_lost_entries(bundle, text)
    return False


def _mark_lost_entries(bundle: Bundle, text: bytes) -> None:
    """Adds a null to a Bundle when members of it or of an entry stand twice in its text."""
    try:
        members = MEMBERS.decode(text)
    except UNREADABLE:
        members = {}
    named = text.count(TYPE_NAMED)
    held = [entry.resource for entry in bundle.entry if entry]
    # In most Bundles no entry holds contained resources.
    inside = len(held) if named <= len(held) + 1 else sum(bytes(resource).count(TYPE_NAMED) for resource in held)
    # One more than held can also stand in the answer to an entry.
    doubtful = named > inside + 1 or (b"\\" in text and ESCAPED_NAME.search(text))
    if repeated(text, members) or (doubtful and named_twice(text)):
        bundle.entry.append(None)


MEMBERS: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])
TYPE_NAMED = b'"resourceType"'
ESCAPED_NAME = re.compile(rb"\\u00[4-7]")  # a letter that needs none, as in a name


def _contained_owners(content: Element) -> list[Reference]:
    """The references of a resource to a Patient or focus that it contains."""
    focus = content.focus if isinstance(content, Observation) else ()
    return [s for s in (*subjects_of(content), *focus) if (s.reference or "").startswith("#")]


def _name_contained(inner: list[Reference], raw: bytes) -> None:
    """Replaces references to contained resources by their identifier and type."""
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
