"""What can be salvaged of a resource that does not fit its type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from fhir_adapters.gaps import Gap
from fhir_adapters.resources.r4.datatypes import Element, Identifier, Meta, Reference
from fhir_adapters.resources.r4.elements import security_labels
from fhir_adapters.resources.r4.faults import (
    MUST_UNDERSTAND,
    NULL_LISTED,
    UNREADABLE,
    WHOLE,
    changes_meaning,
    foreign_elements,
    foreign_types,
    lists_null,
)
from fhir_adapters.resources.r4.resource_types import DECODERS, Bundle, Husk

HUSK = ("id", "status", "code", "subject", "encounter", "effectiveDateTime", "effectiveInstant", "issued", "focus")
UNSUPPORTED = {"coding": [{"code": "unsupported"}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    """The readable content, the fault of the rest, the owner, and the security labels."""

    content: Any
    fault: Gap | None
    owner: Reference | None = None
    labels: frozenset[str] = frozenset()


def salvaged(raw: bytes | Raw, kind: str, fault: Gap, twice: frozenset[str] = frozenset()) -> Salvaged:
    """What can be salvaged of a resource that does not fit its type, and the patient it names.

    Nulls, which FHIR forbids but systems send, count as absent; in a list that may hold an answer one is a fault, and
    the rest is still read. Of an unreadable Observation at least the code is kept: an unreadable safety answer must
    still be seen as one (rule R4). Members that stand `twice` say nothing: not even which is meant of two owners.
    """
    if kind == "Bundle":
        bundle = _without_null_members(raw)
        return Salvaged(content=bundle, fault=None if bundle else fault)
    try:
        sent = msgspec.json.decode(raw)
        plain = _without_nulls(sent)
        changed = changes_meaning(plain)
    except UNREADABLE:
        return Salvaged(content=None, fault=fault)
    if twice:
        plain = {name: value for name, value in plain.items() if name == "meta" or name not in twice}
    owner = decoded(plain.get("subject") or plain.get("patient") or plain.get("beneficiary"), OWNER)
    owner = owner or _only_patient(plain.get("participant"))
    content = None if twice else decoded(plain, DECODERS[kind])
    version = foreign_types(kind, plain) if content is None else foreign_elements(kind, content)
    remaining = version or (MUST_UNDERSTAND if changed else None) or (fault if content is None else None)
    marked = decoded({"meta": plain.get("meta")}, MARKED)
    labels = security_labels(marked) if marked else frozenset()
    if remaining is None:
        gap = NULL_LISTED if lists_null(sent) else None
        return Salvaged(content=content, fault=gap, owner=owner, labels=labels)
    shell = _husk(plain) if kind == "Observation" and not twice & {"code", "subject"} else None
    return Salvaged(content=shell, fault=remaining, owner=owner, labels=labels)


def husk(text: bytes) -> Any:  # noqa: ANN401  # a Husk or None
    """What an Observation asks, of whom and when, without its values; None where not even that can be read."""
    try:
        return _husk(_without_nulls(WHOLE.decode(text)))
    except UNREADABLE:
        return None


def _husk(plain: dict[str, Any]) -> Any:  # noqa: ANN401  # a Husk or None
    held = {key: plain[key] for key in HUSK if key in plain} | {"dataAbsentReason": UNSUPPORTED}
    listed = plain.get("component")
    asked = [c["code"] for c in listed if isinstance(c, dict) and "code" in c] if isinstance(listed, list) else []
    parts = {"component": [{"code": code, "dataAbsentReason": UNSUPPORTED} for code in asked]}
    attempts = (held | parts, {key: value for key, value in held.items() if key != "focus"})
    return next((found for attempt in attempts if (found := decoded(attempt, HUSK_DECODER))), None)


def _only_patient(participants: object) -> Reference | None:
    """The only Patient among the participants of an unreadable Appointment; None when there are several."""
    listed = participants if isinstance(participants, list) else ()
    actors = [decoded(p.get("actor"), OWNER) for p in listed if isinstance(p, dict)]
    patients = [a for a in actors if a and a.kind == "Patient"]
    return patients[0] if len(patients) == 1 else None


class _Marked(Element):
    meta: Meta | None = None


OWNER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Reference)
HUSK_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Husk)
MARKED: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Marked)
IDENTIFIERS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[Identifier])


def decoded(value: object, decoder: msgspec.json.Decoder[Any]) -> Any:  # noqa: ANN401  # any of the types above
    """A value of plain JSON as a struct; None where it is missing or does not fit."""
    try:
        return decoder.decode(msgspec.json.encode(value)) if value else None
    except UNREADABLE:
        return None


def _without_nulls(value: Any) -> Any:  # noqa: ANN401  # plain JSON
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value if inner is not None]
    return value


def _without_null_members(raw: bytes | Raw) -> Bundle | None:
    """A Bundle whose own nulls count as absent; its entries stay as they are."""
    try:
        members = msgspec.json.decode(raw, type=dict[str, Raw])
        present = {name: value for name, value in members.items() if bytes(value).strip() != b"null"}
        return msgspec.json.decode(msgspec.json.encode(present), type=Bundle)
    except UNREADABLE:
        return None
