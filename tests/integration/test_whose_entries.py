"""Whose an entry is: what an answer is about, identifiers beside references, searches of others, deleted entries."""

from __future__ import annotations

import json

import pytest
from builders import (
    AS_OF,
    CSSRS,
    LOINC,
    MAPS,
    PATIENT,
    PHQ,
    SNOMED,
    bundle,
    cards_of,
    care_plan,
    codeable,
    observation,
    open_app,
    patient,
    prefetch_of,
    record_of,
    resource,
)

from explanations.judgement.assessment import Engine
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.access.prefetch import Access, gather
from fhir_adapters.facts import ChartPart, PatientRecord
from fhir_adapters.flaws import Flaw
from fhir_adapters.gaps import Cause
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.resources import r4
from fhir_adapters.resources.consent import ConsentSettings
from fhir_adapters.resources.gathered import OPENED, SHOWN
from fhir_adapters.settings import ReadSettings

TODAY = AS_OF.date().isoformat()
FULL = "https://ehr.example/fhir"
MRN = "urn:mrn"


def intent(**elements) -> dict:
    return observation(LOINC, CSSRS["q4"], TODAY, {"valueBoolean": True}) | elements


def topics(record) -> list[str]:
    return [f"{c.source.topic.code} {c.indicator}" for c in cards_of(record)]


# ---- R11: what an answer is about ----

ACUTE, OTHERS, UNREAD = ["acute-safety critical"], ["data-anomaly info"], ["positive-safety-answer warning"]
FOCUS = [
    ("their visit", {"reference": "Encounter/e1"}, ACUTE),
    ("their condition", {"reference": f"{FULL}/Condition/c1"}, ACUTE),
    ("another answer", {"reference": "Observation/o2/_history/3"}, ACUTE),
    ("the form", {"reference": "QuestionnaireResponse/q1"}, ACUTE),
    ("a tumour", {"reference": "BodyStructure/b1"}, ACUTE),
    ("a type beside an identifier", {"type": "Encounter", "identifier": {"system": "urn:visits", "value": "8"}}, ACUTE),
    ("a visit of the Bundle", {"reference": "urn:uuid:0000-visit"}, ACUTE),
    ("a contained form", {"reference": "#form"}, ACUTE),
    ("the patient", {"reference": f"Patient/{PATIENT}"}, ACUTE),
    ("the patient, contained", {"reference": "#me"}, ACUTE),
    ("the patient's number", {"identifier": {"system": MRN, "value": "4471"}}, ACUTE),
    ("another patient", {"reference": "Patient/fetus"}, OTHERS),
    ("another server's patient", {"reference": f"https://other.example/fhir/Patient/{PATIENT}"}, OTHERS),
    ("another patient by a search", {"reference": "Patient?identifier=urn:mrn|1"}, OTHERS),
    ("a relative", {"reference": "RelatedPerson/mother"}, OTHERS),
    ("a relative, contained", {"reference": "#mother"}, OTHERS),
    ("a relative by type alone", {"type": "RelatedPerson", "display": "mother"}, OTHERS),
    ("a group", {"reference": "Group/family"}, OTHERS),
    ("a clinician", {"reference": "Practitioner/doc"}, OTHERS),
    ("family history", {"reference": "FamilyMemberHistory/f1"}, OTHERS),
    ("a tablet", {"reference": "Device/tablet"}, UNREAD),
    ("a ward", {"reference": "Location/ward"}, UNREAD),
    ("words alone", {"display": "the baby"}, UNREAD),
    ("nothing", {}, UNREAD),
    ("another patient's number", {"identifier": {"system": MRN, "value": "9"}}, OTHERS),
    ("an unknown number", {"identifier": {"system": "urn:x", "value": "9"}}, UNREAD),
    ("an entry that is not there", {"reference": "urn:uuid:0000-gone"}, UNREAD),
    ("a contained one that is not there", {"reference": "#gone"}, UNREAD),
    ("a made-up type", {"reference": "Thing/1"}, UNREAD),
]  # fmt: skip
CONTAINED = [
    {"resourceType": "QuestionnaireResponse", "id": "form"},
    {"resourceType": "RelatedPerson", "id": "mother"},
    {"resourceType": "Patient", "id": "me", "identifier": [{"system": MRN, "value": "4471"}]},
]


def in_chart(*entries: dict):
    """The record of a chart of these entries of a Bundle, and a patient with a number."""
    who = {"resource": patient(identifier=[{"system": MRN, "value": "4471"}, {"system": "urn:old", "value": "A 1"}])}
    whole = {"resourceType": "Bundle", "type": "collection", "entry": [who, *entries]}
    settings = ReadSettings(maps=MAPS, fhir_bases=(FULL,))
    gathered = chart_bundle(json.dumps(whole).encode(), settings=settings, as_of=AS_OF)
    return patient_record(gathered, settings=settings, as_of=AS_OF)


@pytest.mark.parametrize(("focus", "expected"), [case[1:] for case in FOCUS], ids=[case[0] for case in FOCUS])
def test_r11_a_focus_makes_an_answer_anothers_only_when_it_names_another_person(focus, expected) -> None:
    visit = {"fullUrl": "urn:uuid:0000-visit", "resource": resource("Encounter", status="finished")}

    assert topics(in_chart({"resource": intent(focus=[focus], contained=CONTAINED)}, visit)) == expected


@pytest.mark.parametrize(
    ("focus", "expected"),
    [
        ([], ACUTE),
        ([{"reference": "Encounter/e"}, {"reference": "RelatedPerson/r"}], OTHERS),
        ([{"reference": "Encounter/e"}, {"reference": "Device/d"}], UNREAD),
        ([{"reference": f"Patient/{PATIENT}"}, {"reference": "RelatedPerson/r"}], ACUTE),
        ([None], [*ACUTE, "could-not-assess info"]),
        ({"reference": "Encounter/e"}, UNREAD),
        ([5], UNREAD),
    ],
)
def test_r11_several_foci_and_broken_ones(focus, expected) -> None:
    assert topics(record_of(intent(focus=focus))) == expected


def test_r4_an_unclear_focus_is_no_negative_answer_and_no_measurement() -> None:
    unclear = {"focus": [{"display": "fetus"}]}
    quantity = {"value": 150, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
    record = record_of(
        observation(LOINC, PHQ[8], TODAY, {"valueInteger": 0}) | unclear,
        observation(LOINC, "8480-6", TODAY, {"valueQuantity": quantity}) | unclear,
    )

    assert topics(record) == [*UNREAD, "could-not-assess info"]
    assert record.fact("sbp") is None
    assert [entry.reason.cause for entry in record.unreadable] == [Cause.FOCUS_UNCLEAR]


def test_r4_every_answer_of_a_panel_with_an_unclear_focus_is_unread() -> None:
    parts = [{"code": codeable(LOINC, code), "valueBoolean": False} for code in CSSRS.values()]
    panel = observation(LOINC, "93373-9", TODAY, {}, component=parts, focus=[{"reference": "Device/tablet"}])

    assert topics(record_of(panel)) == UNREAD


@pytest.mark.parametrize(("code", "expected"), [("93373-9", UNREAD), ("44249-1", OTHERS)])
def test_a_panel_that_cannot_be_read_is_named(code: str, expected: list[str]) -> None:
    panel = observation(LOINC, code, TODAY, {"valueString": "see note"}, focus=[{"display": "?"}])

    assert topics(record_of(panel)) == expected


def test_r11_an_unreadable_answer_about_another_person_is_anothers() -> None:
    modifier = {"modifierExtension": [{"url": "https://ehr.example/x", "valueBoolean": True}]}

    assert topics(record_of(intent(focus=[{"reference": "RelatedPerson/r"}]) | modifier)) == OTHERS


def test_a_score_billed_beside_another_entry_is_read() -> None:
    bill = observation("http://www.ama-assn.org/go/cpt", "96127", TODAY, {"valueString": "brief assessment"})
    score = observation(SNOMED, "720433000", TODAY, {"valueInteger": 21})
    score["focus"] = [{"reference": f"Observation/{bill['id']}"}]

    assert [form.total for form in record_of(score, bill).administrations] == [21]


# ---- identifiers beside a reference ----


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ({"system": MRN, "value": "4471"}, ACUTE),
        ({"system": "urn:old", "value": "a 1 "}, ACUTE),
        ({"system": "urn:other", "value": "1"}, ACUTE),
        ({"value": "1"}, ACUTE),
        ({"system": MRN}, ACUTE),
        ({"system": MRN, "value": "1"}, OTHERS),
        ({"system": "urn:old", "value": "4471"}, OTHERS),
    ],
)
@pytest.mark.parametrize("element", ["subject", "focus"])
def test_r11_a_reference_with_another_patients_number_is_not_the_patients(element, identifier, expected) -> None:
    reference = {"reference": f"Patient/{PATIENT}", "identifier": identifier}

    record = in_chart({"resource": intent(**{element: [reference] if element == "focus" else reference})})

    assert topics(record) == expected


# ---- searches that were sent ----

OTHER = {"subject": {"reference": "Patient/p2"}}


def search(*resources: dict, link: str | None) -> dict:
    found = json.loads(bundle(*resources)) | {"type": "searchset", "total": len(resources)}
    return found | ({"link": [{"relation": "self", "url": f"{FULL}/Observation?{link}"}]} if link is not None else {})


def record_sent(screening: dict, access: Access = Access()):
    prefetch = prefetch_of([patient()]) | {"screening": screening}
    from msgspec import Raw

    sent = {key: Raw(json.dumps(value).encode()) for key, value in prefetch.items()}
    gathered = gather(ChartRequest(patient_id=PATIENT, as_of=AS_OF), sent, access, settings=ReadSettings())
    return patient_record(gathered, settings=ReadSettings(), as_of=AS_OF)


@pytest.mark.parametrize(
    ("link", "flaw"),
    [
        ("code=44260-8", Flaw.UNFILTERED),
        ("encounter.patient=x&code=44260-8", Flaw.UNFILTERED),
        (f"patient={PATIENT}&code=44260-8", Flaw.OF_OTHERS),
        (f"subject:Patient={PATIENT}", Flaw.OF_OTHERS),
        ("patient.identifier=urn:mrn%7C4471", Flaw.OF_OTHERS),
        (None, Flaw.OF_OTHERS),
    ],
)
def test_r11_entries_of_others_in_a_search_that_says_it_was_for_all_are_no_anomaly(link, flaw) -> None:
    """Of another search they are a line of the finding's card."""
    record = record_sent(search(intent(), intent(**OTHER), link=link))

    assert [(a.flaw, a.count) for a in record.anomalies] == [(flaw, 1)]
    assert topics(record) == ACUTE
    assert ("1 entry for another patient" in cards_of(record)[0].detail) is (flaw is Flaw.OF_OTHERS)


def test_r11_a_batch_of_searches_goes_by_the_link_of_each() -> None:
    batch = {"resourceType": "Bundle", "type": "batch-response"}
    inner = [search(intent(**OTHER), link="code=1"), search(intent(**OTHER), link=f"patient={PATIENT}")]
    record = record_sent(batch | {"entry": [{"resource": r, "response": {"status": "200"}} for r in inner]})

    assert [(a.flaw, a.count) for a in record.anomalies] == [(Flaw.OF_OTHERS, 1), (Flaw.UNFILTERED, 1)]


@pytest.mark.parametrize("link", ["patient=p2", "subject=Patient/p2", f"subject:Patient={FULL}/Patient/p2,p3"])
@pytest.mark.parametrize("held", [(), (OTHER,)])
def test_r11_a_search_for_another_patient_says_nothing_of_this_one(link, held) -> None:
    record = record_sent(search(*(intent(**other) for other in held), link=link))

    assert [(u.what, u.reason.cause) for u in record.unknown] == [("screening", Cause.OTHER_PATIENT)]
    assert topics(record) == [*(OTHERS * len(held)), "could-not-assess info"]


@pytest.mark.parametrize("link", [f"patient=p2,{PATIENT}", f"patient={FULL}/Patient/{PATIENT}", "patient=internal-7"])
def test_r11_a_search_that_found_or_names_the_patient_was_for_them(link) -> None:
    record = record_sent(search(intent(), link=link))

    assert topics(record) == ACUTE
    assert record.unknown == ()


def test_an_empty_search_for_another_patient_is_not_answered_by_silence() -> None:
    client = open_app(engine=Engine(), now=lambda: AS_OF).test_client()
    prefetch = prefetch_of([patient()]) | {"screening": search(link="patient=p2")}
    context = {"userId": "Practitioner/d", "patientId": PATIENT}
    body = {"hook": "patient-view", "hookInstance": "h", "context": context, "prefetch": prefetch}

    got = client.post("/cds-services/depression-suicide-risk", json=body)

    assert got.status_code != 200 or got.get_json()["cards"]


# ---- what the app alone reads ----

OF_ANOTHER = {"subject": {"reference": "Patient/p2"}}
BESIDE = {
    "another's safety plan": care_plan("today") | OF_ANOTHER,
    "another's appointment": resource("Appointment", status="booked", participant=[{"actor": {"reference": "Patient/p2"}}]),
    "another's medicine": resource("MedicationRequest", status="stopped", intent="order") | OF_ANOTHER,
    "a safety plan that cannot be read": resource("CarePlan", status=5),
    "a medicine that cannot be read": resource("MedicationRequest", status="stopped", intent=7),
    "a medicine without a name": resource("MedicationRequest", status="stopped", intent="order"),
}  # fmt: skip


@pytest.mark.parametrize("name", BESIDE)
def test_what_the_app_alone_reads_changes_no_finding_and_silences_no_model(name: str) -> None:
    """Card and page conclude the same; a record as of a card's call has neither such reads nor their faults."""
    chart = [patient(), intent(), BESIDE[name]]

    def fetch(query: str) -> list[r4.Resource]:
        kind = query.partition("?")[0].partition("/")[0]
        held = [r for r in chart if r["resourceType"] == kind and ("status=active" not in query or "status" not in r)]
        return [r4.read(json.dumps(r).encode()) for r in held]

    def read(parts: tuple[ChartPart, ...]) -> PatientRecord:
        request = ChartRequest(patient_id=PATIENT, as_of=AS_OF, parts=parts)
        settings = ReadSettings(consent=ConsentSettings(use="not-used"))
        gathered = gather(request, {}, Access(fetch=fetch, server=FULL), settings=settings)
        return patient_record(gathered, settings=settings, as_of=AS_OF)

    card, page = read(OPENED), read(SHOWN)

    assert (page.anomalies, page.unreadable, page.facts) == (card.anomalies, card.unreadable, card.facts)
    assert topics(page) == topics(card) == ACUTE
    assert bool(page.unreadable_steps) is (name == "a safety plan that cannot be read")


# ---- deleted entries, and histories ----

ID = "Observation/a1"
GONE = {"request": {"method": "DELETE", "url": ID}, "response": {"status": "204"}}
AT = ["2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z"]
NONE: list[str] = []


def put(at: str | None = None, *, value: bool = True, **more) -> dict:
    answer = intent(id="a1", valueBoolean=value) | ({"meta": {"lastUpdated": at}} if at else {})
    return {"resource": answer, "request": {"method": "PUT", "url": ID}} | more


def deleted(at: str) -> dict:
    return GONE | {"response": {"status": "204", "lastModified": at}}


@pytest.mark.parametrize(
    ("entries", "in_history", "in_transaction"),
    [
        ([put()], ACUTE, ACUTE),
        ([GONE], NONE, NONE),
        ([put(request={"method": "delete", "url": ID})], NONE, NONE),
        ([GONE, put()], NONE, ACUTE),
        ([put(), GONE], ACUTE, ACUTE),
        ([put(at=AT[0]), deleted(AT[1])], NONE, ACUTE),
        ([deleted(AT[0]), put(at=AT[1])], ACUTE, ACUTE),
        ([put(value=False), put()], NONE, ACUTE),
        ([put(AT[0], value=False), put(AT[1])], ACUTE, ACUTE),
        ([put(AT[0]), put(AT[1], value=False)], NONE, NONE),
        ([{"fullUrl": f"{FULL}/{ID}", "request": {"method": "DELETE", "url": f"{FULL}/{ID}"}}, put()], NONE, ACUTE),
        ([{"resource": intent(), "request": {"method": "POST", "url": "Observation"}}, *[GONE, put()]], ACUTE, ACUTE),
    ],
)  # fmt: skip
def test_a_deleted_entry_is_no_resource_and_of_a_history_the_newest_version_counts(
    entries, in_history, in_transaction
) -> None:
    for kind, expected in (("history", in_history), ("transaction", in_transaction), ("batch", in_transaction)):
        whole = json.loads(bundle(patient())) | {"type": kind}
        whole["entry"] += entries
        settings = ReadSettings()
        gathered = chart_bundle(json.dumps(whole).encode(), settings=settings, as_of=AS_OF)
        record = patient_record(gathered, settings=settings, as_of=AS_OF)

        assert topics(record) == expected, kind
        assert record.unknown == record.anomalies == record.unreadable == ()


def test_posted_entries_of_a_history_without_ids_are_all_read() -> None:
    posts = [
        {
            "resource": {k: v for k, v in intent().items() if k != "id"},
            "request": {"method": "POST", "url": "Observation"},
        }
        for _ in range(2)
    ]
    posts[1]["resource"] |= {"code": codeable(LOINC, PHQ[8]), "valueBoolean": None, "valueInteger": 2}
    whole = json.loads(bundle(patient())) | {"type": "history"}
    whole["entry"] += posts
    gathered = chart_bundle(json.dumps(whole).encode(), settings=ReadSettings(), as_of=AS_OF)
    record = patient_record(gathered, settings=ReadSettings(), as_of=AS_OF)

    assert sorted(form.instrument.value for form in record.administrations) == ["c-ssrs", "phq-9"]
