"""The resource types that are read: each struct lists only the elements used.

Unknown elements are ignored, as FHIR allows. An element of the wrong type makes its resource unreadable.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from msgspec import Raw

from fhir_adapters.resources.r4.datatypes import (
    NOT_THERE,
    Absent,
    CodeableConcept,
    Coding,
    Element,
    Extension,
    Identifier,
    Meta,
    Period,
    Reference,
    Value,
)


class Typed(Element, tag_field="resourceType", tag=True):
    """A resource, which says its type."""


class Component(Value):
    code: CodeableConcept | None = None


class Observation(Value, tag_field="resourceType", tag=True):
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
    contained: Raw = NOT_THERE
    note: Raw = NOT_THERE
    meta: Meta | None = None
    context: Absent = NOT_THERE
    related: Absent = NOT_THERE
    triggered_by: Absent = NOT_THERE
    # Searched for the name of an instrument: an unexpected method must not make an answer unreadable.
    method: Raw = NOT_THERE


class Answer(Value):
    item: tuple[QuestionnaireItem, ...] = ()


class QuestionnaireItem(Element):
    link_id: str | None = None
    text: str | None = None
    definition: str | None = None
    answer: tuple[Answer, ...] = ()
    item: tuple[QuestionnaireItem, ...] = ()


class QuestionnaireResponse(Typed):
    id: str | None = None
    status: str | None = None
    questionnaire: str | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    authored: str | None = None
    item: list[QuestionnaireItem] = []
    identifier: Raw = NOT_THERE
    # Extensions of the canonical, such as its display.
    questionnaire_extension: Raw = msgspec.field(default=NOT_THERE, name="_questionnaire")
    contained: Raw = NOT_THERE
    meta: Meta | None = None
    context: Absent = NOT_THERE
    parent: Absent = NOT_THERE


class Condition(Typed):
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
    note: Raw = NOT_THERE
    meta: Meta | None = None
    context: Absent = NOT_THERE
    asserted_date: Absent = NOT_THERE
    participant: Absent = NOT_THERE


class Medication(Typed):
    id: str | None = None
    code: CodeableConcept | None = None
    meta: Meta | None = None


class Dosage(Element):
    text: str | None = None


class _Repeat(Element):
    bounds_period: Period | None = None


class _Timing(Element):
    repeat: _Repeat | None = None


class TimedDosage(Element):
    timing: _Timing | None = None

    @property
    def end(self) -> str | None:
        """When it was to end."""
        repeat = self.timing.repeat if self.timing else None
        return repeat.bounds_period.end if repeat and repeat.bounds_period else None


class DispenseRequest(Element):
    validity_period: Period | None = None


class StatusChange(Element):
    url: str | None = None
    value_date_time: str | None = None


class MedicationUse(Typed):
    """What MedicationRequest and MedicationStatement have in common."""

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
    # Decoded separately and only shown: an unexpected dosage must not make its medicine unreadable.
    dosage_instruction: Raw = NOT_THERE
    dosage: Raw = NOT_THERE
    # Likewise: when a past medicine ended.
    dispense_request: Raw = NOT_THERE
    extension: Raw = NOT_THERE
    meta: Meta | None = None
    context: Absent = NOT_THERE
    medication: Absent = NOT_THERE
    taken: Absent = NOT_THERE


class MedicationRequest(MedicationUse): ...


class MedicationStatement(MedicationUse): ...


class Encounter(Typed):
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


class Procedure(Typed):
    id: str | None = None
    status: str | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    performed_date_time: str | None = None
    performed_period: Period | None = None
    reason_code: list[CodeableConcept] = []
    outcome: CodeableConcept | None = None
    note: Raw = NOT_THERE
    meta: Meta | None = None
    context: Absent = NOT_THERE
    not_done: Absent = NOT_THERE
    occurrence_date_time: Absent = NOT_THERE
    occurrence_period: Absent = NOT_THERE


class DiagnosticReport(Typed):
    id: str | None = None
    status: str | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    issued: str | None = None
    result: list[Reference] = []
    conclusion: str | None = None
    conclusion_code: list[CodeableConcept] = []
    contained: Raw = NOT_THERE
    meta: Meta | None = None


class Flag(Typed):
    """An alert on the chart."""

    id: str | None = None
    status: str | None = None
    category: list[CodeableConcept] = []
    code: CodeableConcept | None = None
    subject: Reference | None = None
    period: Period | None = None
    meta: Meta | None = None


class QuestionOfForm(Element):
    link_id: str | None = None
    text: str | None = None
    definition: str | None = None
    code: tuple[Coding, ...] = ()
    item: tuple[QuestionOfForm, ...] = ()


class Questionnaire(Typed):
    """A form, from which a response is known and its questions have codes and words."""

    id: str | None = None
    url: str | None = None
    name: str | None = None
    title: str | None = None
    code: list[Coding] = []
    item: list[QuestionOfForm] = []
    meta: Meta | None = None


class Prediction(Element):
    """One outcome of a RiskAssessment. Numbers are not read: that there are any is enough."""

    outcome: CodeableConcept | None = None
    qualitative_risk: CodeableConcept | None = None
    rationale: str | None = None
    probability_decimal: Raw = NOT_THERE
    probability_range: Raw = NOT_THERE
    relative_risk: Raw = NOT_THERE


class RiskAssessment(Typed):
    id: str | None = None
    status: str | None = None
    method: CodeableConcept | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    occurrence_date_time: str | None = None
    occurrence_period: Period | None = None
    performer: Reference | None = None
    prediction: list[Prediction] = []
    note: Raw = NOT_THERE
    meta: Meta | None = None
    context: Absent = NOT_THERE
    comment: Absent = NOT_THERE
    reason: Absent = NOT_THERE


class Coverage(Typed):
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
    # Limits of a rule to some data. Not read: that a rule is limited is enough (`consent`).
    class_: Raw = msgspec.field(default=NOT_THERE, name="class")
    code: Raw = NOT_THERE
    data_period: Raw = NOT_THERE
    data: Raw = NOT_THERE
    provision: tuple[Provision, ...] = ()


class Consent(Typed):
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


class CarePlan(Typed):
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


class Appointment(Typed):
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


class Patient(Typed):
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


class EntryRequest(Element):
    method: str | None = None
    url: str | None = None


class EntryResponse(Element):
    status: str | None = None
    last_modified: str | None = None


class Search(Element):
    mode: str | None = None


class BundleEntry(Element):
    full_url: str | None = None
    resource: Raw = NOT_THERE
    search: Search | None = None
    request: EntryRequest | None = None
    response: EntryResponse | None = None


class Bundle(Element):
    resource_type: str | None = None
    id: Any = None
    type: str | None = None
    total: int | None = None
    # A null in a list is kept: it replaces something.
    entry: list[BundleEntry | None] = []
    link: list[Link | None] = []


class Issue(Element):
    severity: str | None = None
    code: str | None = None


class OperationOutcome(Typed):
    id: Any = None
    issue: list[Issue] = []


class Husk(Observation):
    """An Observation with only its codes, subject, focus, dates and status readable."""


# Every resource that is read but a Bundle.
Entered = (
    Patient
    | Observation
    | QuestionnaireResponse
    | Condition
    | MedicationRequest
    | MedicationStatement
    | Medication
    | Encounter
    | Procedure
    | DiagnosticReport
    | Flag
    | Questionnaire
    | RiskAssessment
    | Coverage
    | Consent
    | CarePlan
    | Appointment
    | OperationOutcome
)
TYPES: dict[str, type[Element]] = {kind.__name__: kind for kind in (*get_args(Entered), Bundle)}
DECODERS: dict[str, msgspec.json.Decoder[Any]] = {name: msgspec.json.Decoder(kind) for name, kind in TYPES.items()}
