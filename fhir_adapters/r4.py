"""JSON text to the parts of R4 resources that we read.

Each struct lists the elements that are used and no more; unknown elements are ignored, as
FHIR allows. An element of the wrong type makes that one resource unreadable, never the
request. Numbers may arrive as JSON strings (seen in the field), so quantities take both.
Does not interpret: `screening` and `extraction` do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw, Struct

from fhir_adapters.errors import NotFhir


class Element(Struct, rename="camel", gc=False):
    """Base of all wire types: camelCase names on the wire, not tracked by the garbage collector."""


class Extension(Element):
    url: str | None = None
    value_decimal: float | str | None = None
    value_integer: float | str | None = None
    value_code: str | None = None


class Coding(Element):
    system: str | None = None
    code: str | None = None
    display: str | None = None
    extension: list[Extension] = []


class CodeableConcept(Element):
    coding: list[Coding] = []
    text: str | None = None


class Quantity(Element):
    value: float | str | None = None
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class Identifier(Element):
    system: str | None = None
    value: str | None = None


class Reference(Element):
    reference: str | None = None
    identifier: Identifier | None = None
    display: str | None = None

    @property
    def target(self) -> str:
        """Where it points, without a version; empty when it does not."""
        return (self.reference or "").partition("/_history/")[0]


class Period(Element):
    start: str | None = None
    end: str | None = None


class Meta(Element):
    security: list[Coding] = []


class Value(Element):
    """The value[x] of an Observation, a component or a questionnaire answer."""

    value_quantity: Quantity | None = None
    value_codeable_concept: CodeableConcept | None = None
    value_coding: Coding | None = None
    value_integer: float | str | None = None
    value_decimal: float | str | None = None
    value_string: str | None = None
    value_boolean: bool | None = None
    data_absent_reason: CodeableConcept | None = None
    interpretation: list[CodeableConcept] = []
    # Shapes that no answer is read from; kept, because a value that is there must not pass for none.
    value_range: Raw = Raw()
    value_ratio: Raw = Raw()
    value_period: Raw = Raw()
    value_date: Raw = Raw()
    value_time: Raw = Raw()
    value_date_time: Raw = Raw()
    value_sampled_data: Raw = Raw()
    value_uri: Raw = Raw()
    value_reference: Raw = Raw()
    value_attachment: Raw = Raw()


class Component(Value):
    code: CodeableConcept | None = None


class Observation(Value):
    id: str | None = None
    status: str | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    effective_date_time: str | None = None
    effective_instant: str | None = None
    effective_period: Period | None = None
    issued: str | None = None
    component: list[Component] = []
    has_member: list[Reference] = []
    derived_from: list[Reference] = []
    modifier_extension: list[Extension] = []
    meta: Meta | None = None


class Answer(Value):
    item: list[QuestionnaireItem] = []


class QuestionnaireItem(Element):
    link_id: str | None = None
    definition: str | None = None
    answer: list[Answer] = []
    item: list[QuestionnaireItem] = []


class QuestionnaireResponse(Element):
    id: str | None = None
    status: str | None = None
    questionnaire: str | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    authored: str | None = None
    item: list[QuestionnaireItem] = []
    meta: Meta | None = None


class Condition(Element):
    id: str | None = None
    clinical_status: CodeableConcept | None = None
    verification_status: CodeableConcept | None = None
    category: list[CodeableConcept] = []
    code: CodeableConcept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    onset_date_time: str | None = None
    onset_period: Period | None = None
    recorded_date: str | None = None
    modifier_extension: list[Extension] = []
    meta: Meta | None = None


class Medication(Element):
    id: str | None = None
    code: CodeableConcept | None = None


class MedicationUse(Element):
    """MedicationRequest or MedicationStatement."""

    id: str | None = None
    status: str | None = None
    intent: str | None = None
    do_not_perform: bool | None = None
    medication_codeable_concept: CodeableConcept | None = None
    medication_reference: Reference | None = None
    contained: list[Raw] = []
    subject: Reference | None = None
    authored_on: str | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    meta: Meta | None = None


class Encounter(Element):
    id: str | None = None
    status: str | None = None
    class_: Coding | None = msgspec.field(default=None, name="class")
    type: list[CodeableConcept] = []
    service_type: CodeableConcept | None = None
    reason_code: list[CodeableConcept] = []
    subject: Reference | None = None
    period: Period | None = None
    meta: Meta | None = None


class Procedure(Element):
    id: str | None = None
    status: str | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    performed_date_time: str | None = None
    performed_period: Period | None = None
    meta: Meta | None = None


class Coverage(Element):
    id: str | None = None
    status: str | None = None
    type: CodeableConcept | None = None
    beneficiary: Reference | None = None
    period: Period | None = None


class Patient(Element):
    id: str | None = None
    extension: list[Extension] = []
    identifier: list[Identifier] = []
    gender: str | None = None
    birth_date: str | None = None
    deceased_boolean: bool | None = None
    deceased_date_time: str | None = None
    marital_status: CodeableConcept | None = None
    general_practitioner: list[Reference] = []


class Link(Element):
    relation: str | None = None
    url: str | None = None


class EntryResponse(Element):
    status: str | None = None


class Search(Element):
    mode: str | None = None


class BundleEntry(Element):
    full_url: str | None = None
    resource: Raw = Raw()
    search: Search | None = None
    response: EntryResponse | None = None


class Bundle(Element):
    type: str | None = None
    total: int | None = None
    entry: list[BundleEntry] = []
    link: list[Link] = []


class Issue(Element):
    severity: str | None = None
    code: str | None = None


class OperationOutcome(Element):
    issue: list[Issue] = []


class Peek(Element):
    resource_type: str | None = None
    id: Any = None


TYPES: dict[str, type[Element]] = {
    "Patient": Patient,
    "Observation": Observation,
    "QuestionnaireResponse": QuestionnaireResponse,
    "Condition": Condition,
    "MedicationRequest": MedicationUse,
    "MedicationStatement": MedicationUse,
    "Medication": Medication,
    "Encounter": Encounter,
    "Procedure": Procedure,
    "Coverage": Coverage,
    "Bundle": Bundle,
    "OperationOutcome": OperationOutcome,
}
DECODERS: dict[str, msgspec.json.Decoder[Any]] = {name: msgspec.json.Decoder(kind) for name, kind in TYPES.items()}
PEEK: msgspec.json.Decoder[Peek] = msgspec.json.Decoder(Peek)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource as it came: its type, its content or None when unreadable, and how to refer to it.

    `reference` is `Type/id`, else the Bundle's fullUrl, else `Type/(no id)`. `names` are all the
    forms by which another resource may point to it. `fault` says why the content cannot be read; `owner` is then
    the patient that it names, if that much could be read.
    """

    kind: str
    content: Any
    reference: str
    names: tuple[str, ...]
    fault: str | None = None
    owner: Reference | None = None


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
        return Resource(kind=kind, content=decoder.decode(raw), reference=reference, names=names)
    except UNREADABLE as error:
        fault = _where(error)
    content, owner = _second_try(raw, kind)
    whole = content is not None and not isinstance(content, Husk)
    return Resource(
        kind=kind, content=content, reference=reference, names=names, fault=None if whole else fault, owner=owner
    )


UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class Husk(Observation):
    """An Observation of which only code, subject, dates and status could be read."""


HUSK = ("id", "status", "code", "subject", "encounter", "effectiveDateTime", "effectiveInstant", "issued")


def _second_try(raw: bytes | Raw, kind: str) -> tuple[Any, Reference | None]:
    """What can be had of a resource that does not fit its type, and the patient that it names.

    Nulls, which FHIR forbids and systems send, count as absent. Of an Observation with a faulty value at least
    the code is kept: a safety answer that cannot be read must still be seen as one (rule R4).
    """
    try:
        plain = _without_nulls(msgspec.json.decode(raw))
    except UNREADABLE:
        return None, None
    owner = _decoded(plain.get("subject") or plain.get("patient") or plain.get("beneficiary"), OWNER)
    content = _decoded(plain, DECODERS[kind])
    if content is None and kind == "Observation":
        content = _decoded({key: plain[key] for key in HUSK if key in plain}, HUSK_DECODER)
        if content is not None:
            content.data_absent_reason = CodeableConcept(coding=[Coding(code="unsupported")])
    return content, owner


OWNER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Reference)
HUSK_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Husk)


def _decoded(value: object, decoder: msgspec.json.Decoder[Any]) -> Any:  # noqa: ANN401  # any of the types above
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


def _where(error: Exception) -> str:
    """The place of a type error, without the value found there (it may be patient data)."""
    text = str(error) if isinstance(error, msgspec.ValidationError) else ""
    place = text.rpartition(" - at ")[2] if " - at " in text else ""
    return f"an element has the wrong type{f' ({place})' if place else ''}"


FIRST_PAGE = "only the first page was sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The resources of a Bundle. `fault` says why there may be more; `included` were sent along, not searched for."""

    resources: tuple[Resource, ...]
    included: tuple[Resource, ...]
    fault: str | None


def contents(bundle: Bundle, *, all_pages: bool = False) -> Contents:
    """What a Bundle holds. Entries that failed, hold nothing or cannot be read make it incomplete, never shorter.

    `all_pages`: the other pages are at hand, so that a link to the next one says nothing.
    """
    found: list[Resource] = []
    included: list[Resource] = []
    broken = False
    for entry in bundle.entry:
        status = (entry.response.status if entry.response else None) or "200"
        try:
            resource = read(entry.resource, entry.full_url)
        except NotFhir:
            broken = True
            continue
        broken = broken or not status.startswith("2")
        (included if entry.search and entry.search.mode == "include" else found).append(resource)
    outcomes = [r for r in (*found, *included) if r.kind == "OperationOutcome"]
    if any(o.content is None or any(i.severity in ("error", "fatal") for i in o.content.issue) for o in outcomes):
        fault: str | None = "the chart reported an error while searching"
    elif broken:
        fault = "entries are missing or cannot be read"
    else:
        more = not all_pages and any(link.relation == "next" for link in bundle.link)
        fault = FIRST_PAGE if more else None
    return Contents(resources=tuple(found), included=tuple(included), fault=fault)
