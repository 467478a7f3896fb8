"""JSON text to the parts of R4 and R4B that we read: `read` for a resource, `contents` for a Bundle.

Named as in FHIR. Does not interpret; `fhir_adapters.reading` does.
"""

from fhir_adapters.resources.r4.bundle import FIRST_PAGE, MOST_NESTED, Contents, contents, says_unfiltered, self_link
from fhir_adapters.resources.r4.datatypes import (
    NOT_THERE,
    CodeableConcept,
    Coding,
    Element,
    Identifier,
    Period,
    Reference,
    Value,
    as_number,
)
from fhir_adapters.resources.r4.elements import LABEL_BASIS, may_be_patient, subject_of, subjects_of
from fhir_adapters.resources.r4.faults import FOREIGN, MUST_UNDERSTAND
from fhir_adapters.resources.r4.resource import PEEK, Resource, read
from fhir_adapters.resources.r4.resource_types import (
    TYPES,
    Answer,
    Appointment,
    CarePlan,
    Component,
    Condition,
    Consent,
    DiagnosticReport,
    DispenseRequest,
    Dosage,
    Encounter,
    Flag,
    Husk,
    Medication,
    MedicationUse,
    Observation,
    Patient,
    Prediction,
    Procedure,
    Provision,
    Questionnaire,
    QuestionnaireItem,
    QuestionnaireResponse,
    QuestionOfForm,
    RiskAssessment,
    StatusChange,
    TimedDosage,
)
from fhir_adapters.resources.r4.salvage import husk

__all__ = [
    "FIRST_PAGE", "FOREIGN", "LABEL_BASIS", "MOST_NESTED", "MUST_UNDERSTAND", "NOT_THERE", "PEEK", "TYPES",
    "Answer", "Appointment", "CarePlan", "CodeableConcept", "Coding", "Component", "Condition", "Consent", "Contents",
    "DiagnosticReport", "DispenseRequest", "Dosage", "Element", "Encounter", "Flag", "Husk", "Identifier", "Medication",
    "MedicationUse", "Observation", "Patient", "Period", "Prediction", "Procedure", "Provision", "QuestionOfForm",
    "Questionnaire", "QuestionnaireItem", "QuestionnaireResponse", "Reference", "Resource", "RiskAssessment",
    "StatusChange", "TimedDosage", "Value",
    "as_number", "contents", "husk", "may_be_patient", "read", "says_unfiltered", "self_link", "subject_of",
    "subjects_of",
]  # fmt: skip
