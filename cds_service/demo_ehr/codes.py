"""Codes that the synthetic charts use: systems, and concepts as FHIR CodeableConcepts.

Every code here stands in the project's own code lists or feature map. Where no verified code
exists a chart carries text alone, as real charts do. C-SSRS and EPDS wording is not reproduced
(licences): their questions go by number.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
"""A JSON object: a FHIR resource or a part of one."""

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
UCUM = "http://unitsofmeasure.org"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
CARE_PLAN_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/careplan-category"
CONDITION_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
CONDITION_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
CONDITION_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
ABSENT_REASON = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
ORDINAL_VALUE = "http://hl7.org/fhir/StructureDefinition/ordinalValue"

DEMO = "https://demo-ehr.example"
"""Namespace of the demo's own identifiers and forms; a reserved name, it leads nowhere."""


def concept(system: str, code: str, text: str) -> Json:
    """A CodeableConcept of one coding, with the text that the chart shows."""
    return {"coding": [{"system": system, "code": code, "display": text}], "text": text}


def numbered(code: str, text: str) -> Json:
    """A LOINC concept without its official display, for questions that must not be quoted."""
    return {"coding": [{"system": LOINC, "code": code}], "text": text}


ANEMIA = concept(SNOMED, "271737000", "Anemia")
ARTHRITIS = concept(SNOMED, "3723001", "Arthritis")
ASTHMA = concept(SNOMED, "195967001", "Asthma")
BIPOLAR = concept(SNOMED, "13746004", "Bipolar disorder")
DEPRESSION = concept(ICD10CM, "F33.1", "Major depressive disorder, recurrent, moderate")
HYPERLIPIDEMIA = concept(SNOMED, "55822004", "Hyperlipidemia")
HYPERTENSION = concept(SNOMED, "59621000", "Essential hypertension")
INSOMNIA = concept(ICD10CM, "G47.0", "Insomnia")
KIDNEY_DISEASE = concept(SNOMED, "709044004", "Chronic kidney disease")
PREGNANCY = concept(SNOMED, "77386006", "Pregnancy")
SELF_HARM = concept(SNOMED, "418420002", "Intentionally harming self")
THYROID = concept(SNOMED, "14304000", "Disorder of thyroid gland")
COPD = concept(SNOMED, "13645005", "Chronic obstructive lung disease")

CHECK_UP = {"text": "Check-up"}
PSYCHIATRY = concept(SNOMED, "10197000", "Psychiatric interview and evaluation")

NEVER_SMOKED = concept(SNOMED, "266919005", "Never smoked tobacco")
FORMER_SMOKER = concept(SNOMED, "8517006", "Ex-smoker")
DAILY_SMOKER = concept(SNOMED, "449868002", "Smokes tobacco daily")

SERTRALINE = concept(RXNORM, "36437", "sertraline")
LITHIUM = concept(RXNORM, "197890", "lithium carbonate 300 MG Oral Tablet")

PHQ9_PANEL = concept(LOINC, "44249-1", "PHQ-9 quick depression assessment panel [Reported.PHQ]")
PHQ9_TOTAL = concept(LOINC, "44261-6", "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]")
PHQ9_ITEMS = ("44250-9", "44255-8", "44259-0", "44254-1", "44251-7", "44258-2", "44252-5", "44253-3", "44260-8")
PHQ9_DIFFICULTY = "69722-7"
PHQ_ANSWERS = (
    ("LA6568-5", "Not at all"),
    ("LA6569-3", "Several days"),
    ("LA6570-1", "More than half the days"),
    ("LA6571-9", "Nearly every day"),
)

CSSRS_PANEL = numbered("93373-9", "C-SSRS screener")
CSSRS_ITEMS = {
    "q1": "93246-7",
    "q2": "93247-5",
    "q3": "93248-3",
    "q4": "93249-1",
    "q5": "93250-9",
    "q6": "93267-3",
    "q6_recent": "93269-9",
}
SUICIDE_RISK_LEVEL = numbered("93374-7", "C-SSRS overall result")
HIGH = {"coding": [{"system": LOINC, "code": "LA9193-9", "display": "High"}], "text": "High"}

EPDS_PANEL = numbered("71354-5", "EPDS")
EPDS_TOTAL = numbered("99046-5", "EPDS total score")

YES_SNOMED = {"system": SNOMED, "code": "373066001", "display": "Yes"}
NO_SNOMED = {"system": SNOMED, "code": "373067005", "display": "No"}
YES_LOINC = {"system": LOINC, "code": "LA33-6", "display": "Yes"}
NO_LOINC = {"system": LOINC, "code": "LA32-8", "display": "No"}

ALCOHOL_OFTEN = numbered("68518-0", "Alcohol, how often (AUDIT-C 1)")
ALCOHOL_DRINKS = numbered("68519-8", "Alcohol, drinks on such a day (AUDIT-C 2)")
SLEEP = concept(LOINC, "93832-4", "Sleep duration")
MONTHLY_OR_LESS = concept(LOINC, "LA18926-8", "Monthly or less")
TWO_TO_FOUR_A_MONTH = concept(LOINC, "LA18927-6", "2-4 times a month")
ONE_OR_TWO = concept(LOINC, "LA15694-5", "1 or 2")
