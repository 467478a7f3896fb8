"""Code systems in the spellings that charts use: read as the system that is meant, and no other."""

from __future__ import annotations

import pytest
from builders import LOCAL, cards_of, codeable, observation, record_of, resource

from fhir_adapters.codesets.terminology import ATC, ICD9CM, ICD10, ICD10CM, LOINC, RXNORM, SNOMED, canonical, table

TODAY = "2026-11-23"
SPELLINGS = {
    LOINC: (
        "http://LOINC.org", "https://loinc.org/", "HTTP://WWW.LOINC.ORG", "http://loinc.org#", "http://loinc.org|2.73",
        "2.16.840.1.113883.6.1", "urn:oid:2.16.840.1.113883.6.1", "URN:OID:2.16.840.1.113883.6.1", "LN", "loinc",
    ),
    SNOMED: (
        "http://snomed.info/sct/731000124108", "https://snomed.info/sct/731000124108/version/20240301",
        "http://snomed.info/sct|http://snomed.info/sct/731000124108/version/20240301", "http://snomed.info/SCT/",
        "SNOMED CT", "SNOMED-CT", "SNOMEDCT", "SCT", "2.16.840.1.113883.6.96",
    ),
    ICD10CM: ("I10C", "ICD-10-CM", "ICD10CM", "icd10-cm", "urn:oid:2.16.840.1.113883.6.90"),
    ICD10: (
        "http://hl7.org/fhir/sid/icd-10/", "I10", "ICD-10", "ICD10", "http://fhir.de/CodeSystem/bfarm/icd-10-gm|2024",
        "http://fhir.de/CodeSystem/dimdi/icd-10-gm", "http://hl7.org/fhir/sid/icd-10-nl", "ICD-10-AM", "ICD10CA",
    ),
    ICD9CM: ("http://hl7.org/fhir/sid/icd-9-cm/diagnosis", "I9C", "urn:oid:2.16.840.1.113883.6.103"),
    RXNORM: ("https://www.nlm.nih.gov/research/umls/rxnorm", "RxNorm", "http://www.nlm.nih.gov/research/umls/RXNORM/"),
    ATC: ("http://fhir.de/CodeSystem/bfarm/atc", "http://whocc.no/atc", "ATC"),
}  # fmt: skip
UNKNOWN = ("http://loinc.org.example", "http://loinc.org/vs", "http://snomed.info/sctx", "urn:oid:2.16.840.1.113883.6.11",
           "L", "http://www.cms.gov/Medicare/Coding/ICD10", "http://hl7.org/fhir/sid/icd-10-pcs", "",
           "http://loinc.org" + "/" * 200 + "x")  # fmt: skip
KNOWN = {row["system"] for row in table("code_systems")}


@pytest.mark.parametrize(("system", "spelling"), [(s, spelling) for s, all_ in SPELLINGS.items() for spelling in all_])
def test_a_spelling_in_use_is_the_system(system: str, spelling: str) -> None:
    assert canonical(spelling) == system


@pytest.mark.parametrize("spelling", UNKNOWN)
def test_an_unknown_system_stays_unknown(spelling: str) -> None:
    assert canonical(spelling) not in KNOWN


def test_every_list_names_its_systems_as_the_code_does() -> None:
    named = {row["system"] for name in ("instruments", "conditions", "medications") for row in table(name)}

    assert all(canonical(system) == system for system in named | KNOWN)


@pytest.mark.parametrize("spelling", [*SPELLINGS[LOINC], None])
def test_item_9_is_heard_in_every_spelling_of_its_system(spelling: str | None) -> None:
    answer = observation(spelling, "44260-8", TODAY, {"valueCodeableConcept": codeable(spelling, "LA6571-9")})

    assert cards_of(record_of(answer))[0].source.topic.code == "positive-safety-answer"


@pytest.mark.parametrize(
    ("system", "code"),
    [
        ("http://fhir.de/CodeSystem/bfarm/icd-10-gm", "X84.9!"),
        ("ICD-10-CM", "X84"),
        ("http://hl7.org/fhir/sid/icd-10-am", "X78.9*"),
        (None, "X84.9!"),
        ("I10", "T14.91XA"),
        ("http://snomed.info/sct/731000124108", "82313006"),
        ("I9C", "E950.4"),
    ],
)
def test_self_harm_is_heard_in_every_edition(system: str | None, code: str) -> None:
    condition = resource("Condition", code=codeable(system, code), recordedDate=TODAY)

    assert [card.source.topic.code for card in cards_of(record_of(condition))] == ["acute-safety"]


@pytest.mark.parametrize(
    ("system", "code"),
    [
        ("http://hl7.org/fhir/sid/icd-10-pcs", "X7800ZZ"),
        ("http://fhir.de/CodeSystem/bfarm/icd-10-gm", "F32.1"),
        ("https://site.example/codes", "82313006"),
        ("I9C", "E960.0"),
    ],
)
def test_other_codes_and_other_systems_are_no_self_harm(system: str, code: str) -> None:
    condition = resource("Condition", code=codeable(system, code), recordedDate=TODAY)

    assert record_of(condition).events == ()


def test_a_sites_own_system_is_known_by_another_spelling() -> None:
    own = LOCAL.replace("https://", "HTTP://WWW.").upper() + "ASQ/"
    answer = observation(own, "acuity", TODAY, {"valueBoolean": True})

    assert [card.source.topic.code for card in cards_of(record_of(answer))] == ["acute-safety"]


def test_a_sites_own_form_is_known_by_another_spelling() -> None:
    item = [{"linkId": "acuity", "answer": [{"valueBoolean": True}]}]
    form = resource("QuestionnaireResponse", status="completed", authored=TODAY, item=item)
    form["questionnaire"] = "http://SITE.example/Questionnaire/asq/|2"

    assert [card.source.topic.code for card in cards_of(record_of(form))] == ["acute-safety"]
