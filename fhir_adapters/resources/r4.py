"""JSON text to the parts of R4 and R4B resources that we read.

Each struct lists the elements that are used and no more; unknown elements are ignored, as
FHIR allows. What makes one resource unreadable, never the request: an element of the wrong type, an element of
another FHIR version, a modifier extension or implicit rules (which FHIR forbids to pass over when they are not
understood). Numbers may arrive as JSON strings (seen in the field), so quantities take both.
Does not interpret: `screening` and `extraction` do.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct

from fhir_adapters.errors import NotFhir
from fhir_adapters.gaps import Cause, Gap


class Element(Struct, rename="camel", gc=False):
    """Base of all wire types: camelCase names on the wire, not tracked by the garbage collector.

    What a sender can repeat a million times in one body has tuples, of which an empty one costs nothing.
    """


NUMBER = re.compile(r"\s*[+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?\s*", re.ASCII)


def as_number(value: float | str) -> float:
    """A number that may have come as text. Raises ValueError for text that is none, as JSON writes numbers."""
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise ValueError("expected a number as JSON writes it")
    return float(value)


class Extension(Element):
    url: str | None = None
    value_decimal: float | str | None = None
    value_integer: float | str | None = None
    value_code: str | None = None
    value_coding: Coding | None = None


class Coding(Element):
    system: str | None = None
    code: str | None = None
    display: str | None = None
    extension: tuple[Extension, ...] = ()


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


# Elements that only another FHIR version has are kept unread: that they are there says enough (FOREIGN below).
Absent = Raw
NOT_THERE = Raw()


class Meta(Element):
    last_updated: str | None = None
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
    interpretation: tuple[CodeableConcept, ...] = ()
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
    focus: list[Reference] = []
    meta: Meta | None = None
    context: Absent = NOT_THERE
    related: Absent = NOT_THERE
    triggered_by: Absent = NOT_THERE


class Answer(Value):
    item: tuple[QuestionnaireItem, ...] = ()


class QuestionnaireItem(Element):
    link_id: str | None = None
    text: str | None = None
    definition: str | None = None
    answer: tuple[Answer, ...] = ()
    item: tuple[QuestionnaireItem, ...] = ()


class QuestionnaireResponse(Element):
    id: str | None = None
    status: str | None = None
    questionnaire: str | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    authored: str | None = None
    item: list[QuestionnaireItem] = []
    meta: Meta | None = None
    context: Absent = NOT_THERE
    parent: Absent = NOT_THERE


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
    meta: Meta | None = None
    context: Absent = NOT_THERE
    asserted_date: Absent = NOT_THERE
    participant: Absent = NOT_THERE


class Medication(Element):
    id: str | None = None
    code: CodeableConcept | None = None
    meta: Meta | None = None


class Dosage(Element):
    text: str | None = None


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
    # Read on its own and shown only: a dosage of another form must not make its medicine unreadable.
    dosage_instruction: Raw = Raw()
    dosage: Raw = Raw()
    meta: Meta | None = None
    context: Absent = NOT_THERE
    medication: Absent = NOT_THERE
    taken: Absent = NOT_THERE


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
    reason: Absent = NOT_THERE
    actual_period: Absent = NOT_THERE
    subject_status: Absent = NOT_THERE


class Procedure(Element):
    id: str | None = None
    status: str | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    performed_date_time: str | None = None
    performed_period: Period | None = None
    meta: Meta | None = None
    context: Absent = NOT_THERE
    not_done: Absent = NOT_THERE
    occurrence_date_time: Absent = NOT_THERE
    occurrence_period: Absent = NOT_THERE


class Coverage(Element):
    id: str | None = None
    status: str | None = None
    type: CodeableConcept | None = None
    beneficiary: Reference | None = None
    period: Period | None = None
    meta: Meta | None = None


class ConsentActor(Element):
    reference: Reference | None = None


class Provision(Element):
    """A rule of a Consent, or an exception to the rule above it."""

    type: str | None = None
    period: Period | None = None
    actor: tuple[ConsentActor, ...] = ()
    action: tuple[CodeableConcept, ...] = ()
    security_label: tuple[Coding, ...] = ()
    purpose: tuple[Coding, ...] = ()
    # What narrows a rule to some data. Not read: that a rule is narrowed says enough (`consent`).
    class_: Raw = msgspec.field(default=Raw(), name="class")
    code: Raw = Raw()
    data_period: Raw = Raw()
    data: Raw = Raw()
    provision: tuple[Provision, ...] = ()


class Consent(Element):
    id: str | None = None
    status: str | None = None
    scope: CodeableConcept | None = None
    patient: Reference | None = None
    policy_rule: CodeableConcept | None = None
    provision: Provision | None = None
    meta: Meta | None = None
    decision: Absent = NOT_THERE
    except_: Absent = msgspec.field(default=NOT_THERE, name="except")


class CarePlanDetail(Element):
    """An activity of a care plan, described in the plan itself."""

    status: str | None = None
    do_not_perform: bool | None = None
    code: CodeableConcept | None = None


class CarePlanActivity(Element):
    detail: CarePlanDetail | None = None


class CarePlan(Element):
    id: str | None = None
    status: str | None = None
    intent: str | None = None
    category: list[CodeableConcept] = []
    title: str | None = None
    description: str | None = None
    subject: Reference | None = None
    period: Period | None = None
    created: str | None = None
    activity: list[CarePlanActivity] = []
    meta: Meta | None = None
    context: Absent = NOT_THERE
    definition: Absent = NOT_THERE
    custodian: Absent = NOT_THERE


class Participant(Element):
    actor: Reference | None = None
    status: str | None = None


class Appointment(Element):
    id: str | None = None
    status: str | None = None
    service_category: list[CodeableConcept] = []
    service_type: list[CodeableConcept] = []
    specialty: list[CodeableConcept] = []
    appointment_type: CodeableConcept | None = None
    reason_code: list[CodeableConcept] = []
    reason_reference: list[Reference] = []
    description: str | None = None
    comment: str | None = None
    start: str | None = None
    participant: list[Participant] = []
    meta: Meta | None = None
    reason: Absent = NOT_THERE
    incoming_referral: Absent = NOT_THERE
    virtual_service: Absent = NOT_THERE


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
    meta: Meta | None = None


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
    # A null in a list is kept: in its place something was meant to stand.
    entry: list[BundleEntry | None] = []
    link: list[Link | None] = []


class Issue(Element):
    severity: str | None = None
    code: str | None = None


class OperationOutcome(Element):
    issue: list[Issue] = []


STU3, R5 = "STU3", "R5"
# Elements of other FHIR versions, by the attribute that holds them. MedicationStatement.context is R4 as well.
FOREIGN: dict[str, dict[str, str]] = {
    "Observation": {"context": STU3, "related": STU3, "triggered_by": R5},
    "QuestionnaireResponse": {"context": STU3, "parent": STU3},
    "Condition": {"context": STU3, "asserted_date": STU3, "participant": R5},
    "MedicationRequest": {"context": STU3, "medication": R5},
    "MedicationStatement": {"taken": STU3, "medication": R5},
    "Encounter": {"reason": "STU3 or R5", "actual_period": R5, "subject_status": R5},
    "Procedure": {"context": STU3, "not_done": STU3, "occurrence_date_time": R5, "occurrence_period": R5},
    "Consent": {"except_": STU3, "decision": R5},
    "CarePlan": {"context": STU3, "definition": STU3, "custodian": R5},
    "Appointment": {"reason": "STU3 or R5", "incoming_referral": STU3, "virtual_service": R5},
}
# Elements that are there in R4 with another type: (element, JSON type there) -> version.
RETYPED: dict[str, dict[tuple[str, type], str]] = {
    "QuestionnaireResponse": {("questionnaire", dict): STU3},
    "Condition": {("clinicalStatus", str): STU3, ("verificationStatus", str): STU3},
    "Encounter": {("class", list): R5},
    "Consent": {("policyRule", str): STU3, ("provision", list): R5},
    "Appointment": {("serviceCategory", dict): STU3},
}


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
    "Consent": Consent,
    "CarePlan": CarePlan,
    "Appointment": Appointment,
    "Bundle": Bundle,
    "OperationOutcome": OperationOutcome,
}
DECODERS: dict[str, msgspec.json.Decoder[Any]] = {name: msgspec.json.Decoder(kind) for name, kind in TYPES.items()}
PEEK: msgspec.json.Decoder[Peek] = msgspec.json.Decoder(Peek)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource as it came: its type, its content or None when unreadable, and how to refer to it.

    `reference` is `Type/id`, else the Bundle's fullUrl, else `Type/(no id)`. `names` are all the
    forms by which another resource may point to it. `fault` says why it cannot be read: where there is no content or a
    Husk, nothing else of it; else what the fault names. `owner` is then the patient that it names, if that much could
    be read. `labels` are the codes of its security labels, `text` is the JSON that it was read from, `updated` when
    this version was made. `unfiltered`: found by a search of which the server says that it did not look at the patient.
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
        content, fault = None, _where(error)
    text = bytes(raw)
    if kind != "Bundle":
        fault = fault or _foreign(kind, content) or (MUST_UNDERSTAND if _may_change_meaning(text) else None)
    if fault is None:
        _name_contained_owner(content, raw)
        return Resource(
            kind=kind,
            content=content,
            reference=reference,
            names=names,
            labels=_labels(content),
            text=text,
            updated=_updated(content),
        )
    second = _second_try(raw, kind, fault)
    return Resource(
        kind=kind,
        content=second.content,
        reference=reference,
        names=names,
        fault=second.fault,
        owner=second.owner,
        labels=second.labels,
        text=text,
    )


UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
MUST_UNDERSTAND = Gap(cause=Cause.MUST_UNDERSTAND)


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


def _name_contained_owner(content: Element, raw: bytes | Raw) -> None:
    """Puts the identifier of a contained Patient into the place of each reference to it."""
    inner = [s for s in subjects_of(content) if (s.reference or "").startswith("#")]
    if not inner:
        return
    try:
        held = WHOLE.decode(raw).get("contained")
    except UNREADABLE:  # elements that are not read can hold what no decoder takes, such as a number of 400 digits
        return
    owners: dict[str, dict[str, Any]] = {}
    for one in held if isinstance(held, list) else ():
        if isinstance(one, dict) and isinstance(one.get("id"), str):
            owners.setdefault(one["id"], one)
    for subject in inner:
        identifiers = _decoded(owners.get(subject.target[1:], {}).get("identifier"), IDENTIFIERS) or ()
        subject.identifier = next((i for i in identifiers if i.system and i.value), subject.identifier)
        subject.reference = None


def _foreign(kind: str, content: Element) -> Gap | None:
    """The fault of a resource that has elements of another FHIR version."""
    for name, version in FOREIGN_PAIRS.get(kind, ()):
        if getattr(content, name) is not NOT_THERE:
            return Gap(cause=Cause.FOREIGN_VERSION, detail=version)
    return None


FOREIGN_PAIRS = {kind: tuple(names.items()) for kind, names in FOREIGN.items()}


def _retyped(kind: str, plain: dict[str, Any]) -> Gap | None:
    """The fault of a resource whose elements have the types of another FHIR version."""
    for (name, shape), version in RETYPED.get(kind, {}).items():
        if isinstance(plain.get(name), shape):
            return Gap(cause=Cause.FOREIGN_VERSION, detail=version)
    return None


def _may_change_meaning(text: bytes) -> bool:
    """Whether a resource holds, anywhere, what FHIR forbids to pass over. The look at the text spares most the walk."""
    # Names can also be written with escapes.
    if b'"modifierExtension"' not in text and b'"implicitRules"' not in text and b"\\u" not in text:
        return False
    try:
        return _changes_meaning(WHOLE.decode(text))
    except UNREADABLE:  # as above; then nobody knows
        return True


# Numbers with a point stay text: they are not looked at, and one beyond all doubles (1e999) must not hide an answer.
WHOLE: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=str)


def _changes_meaning(plain: Any) -> bool:  # noqa: ANN401  # plain JSON
    left = [plain]  # a list of what is still to be looked at: recursion would end at a depth that a sender chooses
    while left:
        here = left.pop()
        if isinstance(here, dict):
            if here.get("modifierExtension") or here.get("implicitRules"):
                return True
            left += here.values()
        elif isinstance(here, list):
            left += here
    return False


# The extension of the security-labelling guide (DS4P) that names the law behind a label.
LABEL_BASIS = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-sec-label-basis"


def _labels(content: Element) -> frozenset[str]:
    """The codes of the security labels, and of the laws that they rest on."""
    meta = getattr(content, "meta", None)
    if meta is None or not meta.security:
        return NO_LABELS
    codings = meta.security
    laws = (e.value_coding for c in codings for e in c.extension if e.url == LABEL_BASIS and e.value_coding)
    return frozenset(c.code for c in (*codings, *laws) if c.code)


NO_LABELS: frozenset[str] = frozenset()


def _updated(content: Element) -> datetime | None:
    """When this version of a resource was made, where it says so with a time zone."""
    meta = getattr(content, "meta", None)
    if meta is None or not meta.last_updated:
        return None
    with suppress(ValueError):
        moment = datetime.fromisoformat(meta.last_updated)
        return moment if moment.tzinfo else None
    return None


class Husk(Observation):
    """An Observation of which only code, subject, dates and status could be read."""


HUSK = ("id", "status", "code", "subject", "encounter", "effectiveDateTime", "effectiveInstant", "issued")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Second:
    content: Any
    fault: Gap | None
    owner: Reference | None = None
    labels: frozenset[str] = frozenset()


def _second_try(raw: bytes | Raw, kind: str, fault: Gap) -> _Second:
    """What can be had of a resource that does not fit its type, and the patient that it names.

    Nulls, which FHIR forbids and systems send, count as absent; in a list where an answer may stand one is a fault,
    and the rest is read all the same. Of an Observation that cannot be read at least the code is kept: a safety answer
    that cannot be read must still be seen as one (rule R4).
    """
    if kind == "Bundle":
        bundle = _without_null_members(raw)
        return _Second(content=bundle, fault=None if bundle else fault)
    try:
        sent = msgspec.json.decode(raw)
        plain = _without_nulls(sent)
        changed = _changes_meaning(plain)
    except UNREADABLE:
        return _Second(content=None, fault=fault)
    owner = _decoded(plain.get("subject") or plain.get("patient") or plain.get("beneficiary"), OWNER)
    owner = owner or _only_patient(plain.get("participant"))
    content = _decoded(plain, DECODERS[kind])
    version = _retyped(kind, plain) if content is None else _foreign(kind, content)
    remaining = version or (MUST_UNDERSTAND if changed else None) or (fault if content is None else None)
    marked = _decoded({"meta": plain.get("meta")}, MARKED)
    labels = _labels(marked) if marked else frozenset()
    if remaining is None:
        gap = NULL_LISTED if _lists_null(sent) else None
        return _Second(content=content, fault=gap, owner=owner, labels=labels)
    content = None
    if kind == "Observation":
        content = _decoded({key: plain[key] for key in HUSK if key in plain}, HUSK_DECODER)
        if content is not None:
            content.data_absent_reason = CodeableConcept(coding=[Coding(code="unsupported")])
    return _Second(content=content, fault=remaining, owner=owner, labels=labels)


def _only_patient(participants: object) -> Reference | None:
    """The one Patient among the participants of an Appointment that cannot be read; None when there are several."""
    listed = participants if isinstance(participants, list) else ()
    actors = [_decoded(p.get("actor"), OWNER) for p in listed if isinstance(p, dict)]
    patients = [a for a in actors if a and f"/{a.target}".rpartition("/")[0].endswith("/Patient")]
    return patients[0] if len(patients) == 1 else None


class _Marked(Element):
    meta: Meta | None = None


OWNER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Reference)
HUSK_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Husk)
MARKED: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Marked)
IDENTIFIERS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[Identifier])


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


# Lists in which each element may be an answer, the code of one, an issue of a search or an exception from a consent.
TELLING = (
    "item", "answer", "component", "coding", "interpretation", "reasonCode", "issue", "provision", "actor", "action",
    "purpose", "securityLabel",
)  # fmt: skip
NULL_LISTED = Gap(cause=Cause.NULL_LISTED)


def _lists_null(plain: Any) -> bool:  # noqa: ANN401  # plain JSON
    left = [plain]  # as in `_changes_meaning`
    while left:
        here = left.pop()
        if isinstance(here, dict):
            listed = (here.get(name) for name in TELLING)
            if any(isinstance(elements, list) and None in elements for elements in listed):
                return True
            left += here.values()
        elif isinstance(here, list):
            left += here
    return False


def _without_null_members(raw: bytes | Raw) -> Bundle | None:
    """A Bundle whose own nulls count as absent; its entries are left as they came."""
    try:
        members = msgspec.json.decode(raw, type=dict[str, Raw])
        kept = {name: value for name, value in members.items() if bytes(value).strip() != b"null"}
        return msgspec.json.decode(msgspec.json.encode(kept), type=Bundle)
    except UNREADABLE:
        return None


def _where(error: Exception) -> Gap:
    """The place of a type error, without the value found there (it may be patient data)."""
    text = str(error) if isinstance(error, msgspec.ValidationError) else ""
    place = text.rpartition(" - at ")[2] if " - at " in text else ""
    return Gap(cause=Cause.WRONG_TYPE_AT, detail=place) if place else Gap(cause=Cause.WRONG_TYPE)


# Issue types that say that results are lacking, however mildly they are said.
LACKING = {
    "suppressed", "forbidden", "security", "login", "expired", "incomplete", "too-costly", "throttled", "timeout",
    "transient", "exception", "lock-error", "no-store",
}  # fmt: skip


def _withholds(issue: Issue) -> bool:
    return issue.severity in ("error", "fatal") or issue.code in LACKING


FIRST_PAGE = Gap(cause=Cause.FIRST_PAGE)
# How deep Bundles may lie in Bundles; two levels occur. Each level is read through anew, so deeper ones are not read.
MOST_NESTED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The resources of a Bundle. `fault` says why there may be more; `included` were sent along, not searched for."""

    resources: tuple[Resource, ...]
    included: tuple[Resource, ...]
    fault: Gap | None


def contents(bundle: Bundle, *, all_pages: bool = False) -> Contents:
    """What a Bundle holds. Entries that failed, hold nothing or cannot be read make it incomplete, never shorter.

    `all_pages`: the other pages are at hand, so that a link to the next one says nothing.
    """
    found: list[Resource] = []
    included: list[Resource] = []
    broken = None in bundle.link  # it may have led to the next page
    links = list(bundle.link)
    left = [(entry, 0) for entry in reversed(bundle.entry)]
    while left:
        entry, depth = left.pop()
        if entry is None:
            broken = True
            continue
        status = (entry.response.status if entry.response else None) or "200"
        try:
            resource = read(entry.resource, entry.full_url)
        except NotFhir:
            broken = True
            continue
        broken = broken or not status.startswith("2")
        if resource.kind == "Bundle" and resource.content is not None and resource.content.entry:
            # A search within a batch answer
            if depth < MOST_NESTED:
                left += [(inner, depth + 1) for inner in reversed(resource.content.entry)]
                links += resource.content.link
                broken = broken or None in resource.content.link
            broken = broken or depth >= MOST_NESTED
            continue
        broken = broken or (resource.kind == "Bundle" and resource.content is None)
        (included if entry.search and entry.search.mode == "include" else found).append(resource)
    outcomes = [r for r in (*found, *included) if r.kind == "OperationOutcome"]
    if any(o.content is None or o.fault or any(_withholds(i) for i in o.content.issue) for o in outcomes):
        fault: Gap | None = Gap(cause=Cause.SEARCH_FAILED)
    elif broken:
        fault = Gap(cause=Cause.ENTRIES_BROKEN)
    else:
        more = not all_pages and any(link and link.relation == "next" for link in links)
        fault = FIRST_PAGE if more else None
    return Contents(resources=tuple(found), included=tuple(included), fault=fault)
