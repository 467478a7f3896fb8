"""What may be acute is known by its codes, however they are written; what else is in a chart is not taken for it."""

from __future__ import annotations

import json

import pytest
from builders import codeable, given, resource

from fhir_adapters.codesets.questions import QuestionnaireMap
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.acute_codes import may_be_acute

INTENT = given("C-SSRS, today: question 4 = yes")
MAPPED = QuestionnaireMap(
    instrument=Instrument.ASQ, source="http://local.example/q", items={"kal": "q1", "akut": "acuity"}
)


def body(*resources: dict, **written) -> bytes:
    return json.dumps(resources, **written).encode()


def condition(system: str | None, code: str) -> dict:
    coding = {"code": code} | ({"system": system} if system else {})
    return resource("Condition", code={"coding": [coding]})


@pytest.mark.parametrize("text", [
    body(*INTENT),
    body(*INTENT, indent=2),
    body(*INTENT).replace(b'"code"', b'"c\\u006fde"'),
    body(*INTENT).replace(b"93249-1", b"9324\\u0039-1"),
    body(*given("C-SSRS, today: question 4 = yes", "path")).replace(b"/", b"\\/"),
    body(*given("C-SSRS, today: question 4 = yes", "questionnaire")),
    body(resource("QuestionnaireResponse", item=[{"linkId": "mental-health-cds/asq/acuity"}])),
    body(*given("RiskAssessment, today: high")),
    body(*given("Risk assessment, today: high")),
    body(condition("urn:oid:2.16.840.1.113883.6.90", "x78.1xxa")),
    body(condition(None, "T1491XA")),
    body(condition("http://hl7.org/fhir/sid/icd-9-cm", "E950.3")),
    body(resource("Observation", valueCodeableConcept=codeable("http://snomed.info/sct", "82313006"))),
], ids=["a screen", "with blanks", "an escape in a name", "an escape in a code", "escaped slashes", "a form", "a form of ours", "a RiskAssessment", "a Procedure", "ICD-10-CM", "ICD without dot or system", "ICD-9-CM", "SNOMED CT"])  # fmt: skip
def test_a_code_of_something_acute_is_seen(text: bytes) -> None:
    assert may_be_acute(text, ())


def test_a_site_s_own_codes_of_a_suicide_screen_are_seen() -> None:
    text = body(resource("QuestionnaireResponse", questionnaire=MAPPED.source, item=[{"linkId": "kal"}]))

    assert [may_be_acute(text, maps) for maps in ((), (MAPPED,))] == [False, True]


def test_other_answers_and_what_is_put_in_words_are_not_taken_for_acute() -> None:
    words = resource("Condition", code={"text": "suicide attempt; C-SSRS 93249-1; ein Fall für später"})

    assert not may_be_acute(body(*given("PHQ-9, today: item 9 = 3, total = 20"), words), ())
