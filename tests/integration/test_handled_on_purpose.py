"""Elements that change what a resource says, one test each: what is read, what is not, and what is said to be unreadable."""

from __future__ import annotations

import json

import pytest
from builders import (
    AS_OF,
    CSSRS,
    ICD,
    LOINC,
    PATIENT,
    PHQ,
    SNOMED,
    bundle,
    cards_of,
    codeable,
    given,
    observation,
    patient,
    record_of,
    resource,
)

from explanations.words.findings.gaps import gap_words
from explanations.words.language import language
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.errors import NotFhir
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.resources import r4
from fhir_adapters.settings import ReadSettings

TODAY = AS_OF.date().isoformat()
STATUS = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
MODIFIER = {"modifierExtension": [{"url": "https://ehr.example/negated", "valueBoolean": True}]}


def topics(*resources: dict, **more) -> list[str]:
    return [f"{c.source.topic.code} {c.indicator}" for c in cards_of(record_of(*resources, **more))]


def attempt(**elements) -> dict:
    return resource("Condition", code=codeable(ICD, "T14.91XA"), recordedDate=TODAY, **elements)


def intent(**elements) -> dict:
    return observation(LOINC, CSSRS["q4"], TODAY, {"valueBoolean": True}, **elements)


def systolic(value=120, when=TODAY, **elements) -> dict:
    quantity = {"value": value, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
    return observation(LOINC, "8480-6", when, {"valueQuantity": quantity}, **elements)


def drug(**elements) -> dict:
    base = {
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "sertraline 50 MG Oral Tablet"},
    }
    return resource("MedicationRequest", **(base | elements))


def visit(**elements) -> dict:
    found = {"status": "finished", "period": {"start": "2026-10-01T10:00:00Z"}} | elements
    return resource("Encounter", **found) | {"class": {"code": "AMB"}}


# ---- entered in error, refuted, unconfirmed, resolved ----

IN_ERROR = {
    "Observation, screening": lambda: intent() | {"status": "entered-in-error"},
    "Observation, cancelled": lambda: intent() | {"status": "cancelled"},
    "Observation, vital sign": lambda: systolic() | {"status": "entered-in-error"},
    "QuestionnaireResponse": lambda: given("PHQ-9, today: items 1-9 = 3", "questionnaire")[0] | {"status": "entered-in-error"},
    "Condition": lambda: attempt(verificationStatus=codeable(STATUS, "entered-in-error")),
    "Condition, refuted": lambda: attempt(verificationStatus=codeable(STATUS, "refuted")),
    "MedicationRequest": lambda: drug(status="entered-in-error"),
    "Encounter": lambda: visit(status="entered-in-error"),
    "Procedure": lambda: resource("Procedure", status="entered-in-error", code=codeable(SNOMED, "225337009"), performedDateTime=TODAY),
}  # fmt: skip


@pytest.mark.parametrize("what", IN_ERROR)
def test_what_was_entered_in_error_never_was(what: str) -> None:
    record = record_of(IN_ERROR[what]())

    assert cards_of(record) == []
    assert not [f.name for f in record.facts if f.references and not f.references[0].startswith("Patient")]
    assert not (record.unreadable or record.anomalies or record.events or record.visits or record.risk_assessments)


@pytest.mark.parametrize("code", ["unconfirmed", "provisional", "differential"])
def test_an_unconfirmed_condition_is_a_safety_finding_called_provisional_and_no_fact(code: str) -> None:
    status = codeable(STATUS, code)
    record = record_of(
        attempt(verificationStatus=status),
        resource("Condition", code=codeable(ICD, "J45.909"), verificationStatus=status),
    )

    assert [e.provisional for e in record.events] == [True]
    assert record.fact("asthma").value is False
    assert record.fact("suicide_history").value is False


@pytest.mark.parametrize("code", ["resolved", "inactive", "remission"])
def test_a_resolved_condition_is_a_fact_of_ever_and_history_for_safety(code: str) -> None:
    status = codeable(CLINICAL, code)
    record = record_of(
        attempt(clinicalStatus=status), resource("Condition", code=codeable(ICD, "J45.909"), clinicalStatus=status)
    )

    assert record.fact("asthma").value is True
    assert cards_of(record) == []
    assert [e.course.value for e in record.events] == ["history"]


# ---- reasons for absence, modifiers, primitive extensions ----


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("asked-declined", ["positive-safety-answer warning"]), ("unsupported", ["positive-safety-answer warning"]), ("error", ["positive-safety-answer warning"]),
     ("not-asked", []), ("unknown", []), ("not-performed", [])],
)  # fmt: skip
def test_a_reason_for_absence_is_read_for_what_it_says(reason: str, expected: list[str]) -> None:
    nine = observation(LOINC, PHQ[8], TODAY, {}, dataAbsentReason=codeable(ABSENT, reason))

    assert topics(nine) == expected


def test_a_vital_sign_with_a_reason_for_absence_is_no_value() -> None:
    absent = observation(LOINC, "8480-6", TODAY, {}, dataAbsentReason=codeable(ABSENT, "not-performed"))

    assert record_of(absent).fact("sbp") is None
    assert record_of(absent, systolic(when="2026-11-01")).fact("sbp").value == 120


MODIFIED = {
    "Observation, screening": (lambda: intent(**MODIFIER), "positive-safety-answer warning"),
    "Observation, in a component": (lambda: observation(LOINC, "44249-1", TODAY, {}, component=[{"code": codeable(LOINC, PHQ[8]), "valueInteger": 3} | MODIFIER]), "data-anomaly info"),
    "Observation, vital sign": (lambda: systolic(**MODIFIER), "could-not-assess info"),
    "QuestionnaireResponse, in an item": (lambda: resource("QuestionnaireResponse", status="completed", authored=TODAY, item=[{"linkId": "44260-8", "answer": [{"valueInteger": 3}]} | MODIFIER]), "could-not-assess info"),
    "Condition": (lambda: attempt(**MODIFIER), "could-not-assess info"),
    "MedicationRequest": (lambda: drug(**MODIFIER), "could-not-assess info"),
    "Encounter": (lambda: visit(**MODIFIER), "could-not-assess info"),
    "Condition, implicit rules": (lambda: attempt(implicitRules="https://ehr.example/rules"), "could-not-assess info"),
}  # fmt: skip


@pytest.mark.parametrize("what", MODIFIED)
def test_a_modifier_extension_that_is_not_known_makes_the_resource_unreadable(what: str) -> None:
    build, expected = MODIFIED[what]

    record = record_of(build())

    assert expected in [f"{c.source.topic.code} {c.indicator}" for c in cards_of(record)]
    assert not [
        f.name for f in record.facts if f.value not in (False, 0) and f.references and "Patient" not in f.references[0]
    ]


def test_an_empty_modifier_extension_and_the_word_in_a_text_change_nothing() -> None:
    quiet = intent(modifierExtension=[], note=[{"text": '"modifierExtension": [1]'}])

    assert topics(quiet) == ["acute-safety critical"]


@pytest.mark.parametrize(
    "missing",
    [
        {
            "_birthDate": {
                "extension": [
                    {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}
                ]
            }
        },
        {"birthDate": None},
        {"birthDate": ""},
    ],
)
def test_a_birth_date_that_was_masked_leaves_the_age_unknown_and_the_rules_on(missing: dict) -> None:
    who = {k: v for k, v in patient().items() if k != "birthDate"} | missing
    record = record_of(intent(), who=who)

    assert record.age_years is None
    assert [c.source.topic.code for c in cards_of(record)] == ["acute-safety"]


def test_cdsh_200_extensions_of_primitives_beside_a_value_change_nothing() -> None:
    nine = observation(
        LOINC,
        PHQ[8],
        TODAY,
        {"valueInteger": 2, "_valueInteger": {"id": "a"}},
        _status={"id": "b"},
        _effectiveDateTime={"id": "c"},
    )

    assert record_of(nine).fact("phq_item_9").value == 2


def test_a_quantity_whose_number_was_masked_is_unreadable_for_safety_and_no_vital_sign() -> None:
    masked = {"valueQuantity": {"_value": {"extension": [{"url": "x"}]}, "unit": "mmHg", "code": "mm[Hg]"}}

    assert topics(observation(LOINC, PHQ[8], TODAY, masked)) == ["positive-safety-answer warning"]
    assert record_of(observation(LOINC, "8480-6", TODAY, masked)).fact("sbp") is None


# ---- time ----


@pytest.mark.parametrize(
    ("recorded", "day", "current"),
    [("2026", "2026-11-23", True), ("2026-11", "2026-11-23", True), ("2026-10", "2026-10-31", False), ("2025", "2025-12-31", False), ("2026-11-23", "2026-11-23", True)],
)  # fmt: skip
def test_a_partial_date_is_the_latest_day_that_it_can_mean(recorded: str, day: str, current: bool) -> None:
    record = record_of(resource("Condition", code=codeable(ICD, "T14.91XA"), recordedDate=recorded))

    assert record.events[0].when.day.isoformat() == day
    assert (
        "acute-safety critical" in topics(resource("Condition", code=codeable(ICD, "T14.91XA"), recordedDate=recorded))
    ) == current


def test_answers_of_one_moment_in_different_time_zones_are_one_form() -> None:
    times = ["2026-11-20T10:00:00Z", "2026-11-20T05:00:00-05:00", "2026-11-20T19:00:00+09:00"]
    items = [observation(LOINC, PHQ[n], times[n % 3], {"valueInteger": 1}) for n in range(9)]

    (form,) = record_of(*items).administrations

    assert record_of(*items).fact("phq9").value == 9
    assert len(form.answers) == 9


def test_the_later_of_two_values_is_found_across_time_zones() -> None:
    first = systolic(150, "2026-11-20T23:30:00-08:00")  # 07:30 UTC on the 21st
    second = systolic(120, "2026-11-21T05:00:00Z")

    for order in ((first, second), (second, first)):
        assert record_of(*order).fact("sbp").value == 150


@pytest.mark.parametrize("who", [{"deceasedBoolean": True}, {"deceasedDateTime": "2026-11-01"}])
def test_a_deceased_patient_gets_no_card_and_answers_after_death_one(who: dict) -> None:
    assert topics(observation(LOINC, CSSRS["q4"], "2026-10-01", {"valueBoolean": True}), who=patient(**who)) == []
    late = topics(intent(), who=patient(**who))
    assert late == (["data-anomaly warning"] if "deceasedDateTime" in who else [])


def test_deceased_false_is_alive() -> None:
    assert topics(intent(), who=patient(deceasedBoolean=False)) == ["acute-safety critical"]


# ---- references ----

FULL = "https://ehr.example/fhir"
REFERENCES = {
    "relative": {"reference": f"Patient/{PATIENT}"},
    "relative with version": {"reference": f"Patient/{PATIENT}/_history/7"},
    "absolute below a base of the site": {"reference": f"{FULL}/Patient/{PATIENT}"},
    "absolute with version": {"reference": f"{FULL}/Patient/{PATIENT}/_history/7"},
    "urn of the bundle": {"reference": "urn:uuid:5e2f1bd4-6f5d-4a36-9f6c-3b6f2b8a0001"},
    "logical": {"identifier": {"system": "urn:mrn", "value": "4471"}},
    "conditional": {"reference": "Patient?identifier=urn:mrn|4471"},
    "conditional, encoded": {"reference": "Patient?identifier=urn%3Amrn%7C4471"},
    "contained": {"reference": "#me"},
    "with type and display": {"reference": f"Patient/{PATIENT}", "type": "Patient", "display": "somebody"},
}
FOREIGN = {
    "another id": {"reference": "Patient/other"},
    "another server": {"reference": f"https://other.example/fhir/Patient/{PATIENT}"},
    "a base that only begins alike": {"reference": f"{FULL}.evil/Patient/{PATIENT}"},
    "another urn": {"reference": "urn:uuid:00000000-0000-0000-0000-000000000000"},
    "another identifier": {"identifier": {"system": "urn:mrn", "value": "1"}},
    "another system": {"identifier": {"system": "urn:other", "value": "4471"}},
    "conditional, another": {"reference": "Patient?identifier=urn:mrn|1"},
    "conditional, no system": {"reference": "Patient?identifier=4471"},
    "contained, another": {"reference": "#you"},
    "contained, not there": {"reference": "#nobody"},
    "a group": {"reference": f"Group/{PATIENT}"},
    "nobody": {},
    "a name alone": {"display": "the patient"},
}  # fmt: skip
CONTAINED = [
    {"resourceType": "Patient", "id": "me", "identifier": [{"system": "urn:mrn", "value": "4471"}]},
    {"resourceType": "Patient", "id": "you", "identifier": [{"system": "urn:mrn", "value": "1"}]},
]
KINDS = {
    "Observation": lambda subject: intent() | {"subject": subject},
    "QuestionnaireResponse": lambda subject: resource("QuestionnaireResponse", status="completed", authored=TODAY, item=[{"linkId": CSSRS["q4"], "answer": [{"valueBoolean": True}]}]) | {"subject": subject},
    "Condition": lambda subject: attempt() | {"subject": subject},
}  # fmt: skip


def read(*resources: dict):
    """A chart whose Patient has a urn in the bundle, an identifier, and a site with one base."""
    who = patient(identifier=[{"system": "urn:mrn", "value": "4471"}])
    settings = ReadSettings(fhir_bases=(FULL,))
    chart = json.loads(bundle(who, *resources))
    chart["entry"][0]["fullUrl"] = "urn:uuid:5e2f1bd4-6f5d-4a36-9f6c-3b6f2b8a0001"
    gathered = chart_bundle(json.dumps(chart).encode(), settings=settings, as_of=AS_OF)
    return patient_record(gathered, settings=settings, as_of=AS_OF)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", REFERENCES)
def test_cdsh_080_the_patient_is_known_by_every_legal_form_of_reference(kind: str, form: str) -> None:
    record = read(KINDS[kind](REFERENCES[form]) | {"contained": CONTAINED})

    assert [c.source.topic.code for c in cards_of(record)] == ["acute-safety"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FOREIGN)
def test_cdsh_085_nobody_else_is_taken_for_the_patient(kind: str, form: str) -> None:
    record = read(KINDS[kind](FOREIGN[form]) | {"contained": CONTAINED})

    assert [c.source.topic.code for c in cards_of(record)] == ["data-anomaly"]
    assert not (record.events or record.administrations)


@pytest.mark.parametrize(
    ("focus", "expected"), [("RelatedPerson/mother", ["data-anomaly"]), (f"Patient/{PATIENT}", ["acute-safety"])]
)
def test_an_observation_about_somebody_else_is_not_about_the_patient(focus: str, expected: list[str]) -> None:
    assert [c.source.topic.code for c in cards_of(record_of(intent(focus=[{"reference": focus}])))] == expected


@pytest.mark.parametrize(
    "elements",
    [{"medicationCodeableConcept": {"text": "sertraline"}}, {"medicationReference": {"reference": "#m"}, "contained": [{"resourceType": "Medication", "id": "m", "code": {"text": "sertraline"}}]},
     {"medicationReference": {"reference": "Medication/m1"}}, {"medicationReference": {"reference": f"{FULL}/Medication/m1"}}, {"medicationReference": {"reference": "Medication/m1/_history/2"}},
     {"medicationReference": {"reference": "Medication/elsewhere", "display": "sertraline 50 mg tablet"}}],
)  # fmt: skip
def test_cdsh_061_080_a_medicine_is_found_in_place_contained_relative_absolute_or_by_its_display(
    elements: dict,
) -> None:
    request = {k: v for k, v in drug().items() if k != "medicationCodeableConcept"} | elements
    medication = {"resourceType": "Medication", "id": "m1", "code": {"text": "sertraline"}}

    assert read(request, medication).fact("rx_ssri").value is True


# ---- other FHIR versions ----

VERSIONS = {
    "STU3 Condition": attempt() | {"clinicalStatus": "active", "verificationStatus": "confirmed"},
    "STU3 Condition by its date": {k: v for k, v in attempt().items() if k != "recordedDate"} | {"assertedDate": TODAY},
    "STU3 QuestionnaireResponse": resource("QuestionnaireResponse", status="completed", authored=TODAY, item=[{"linkId": "44260-8", "answer": [{"valueInteger": 3}]}]) | {"questionnaire": {"reference": "Questionnaire/1"}},
    "STU3 MedicationRequest": drug() | {"context": {"reference": "Encounter/1"}},
    "STU3 Encounter": visit() | {"reason": [{"text": "x"}]},
    "STU3 Procedure": resource("Procedure", status="completed", code=codeable(SNOMED, "225337009")) | {"notDone": False},
    "R5 Condition": attempt() | {"participant": [{"actor": {"reference": "Practitioner/1"}}]},
    "R5 Encounter": visit() | {"class": [{"coding": [{"code": "AMB"}]}], "actualPeriod": {"start": TODAY}},
    "R5 MedicationRequest": {k: v for k, v in drug().items() if k != "medicationCodeableConcept"} | {"medication": {"concept": {"text": "sertraline"}}},
    "R5 Procedure": resource("Procedure", status="completed", code=codeable(SNOMED, "225337009")) | {"occurrenceDateTime": TODAY},
}  # fmt: skip


@pytest.mark.parametrize("what", VERSIONS)
def test_cdsh_041_another_version_is_unreadable_and_says_so(what: str) -> None:
    record = record_of(VERSIONS[what])

    (entry,) = record.unreadable
    assert gap_words(entry.reason, language()).startswith("it looks like FHIR")
    assert what.split(maxsplit=1)[0] in entry.reason.detail
    assert [c.source.topic.code for c in cards_of(record)] == ["could-not-assess"]


@pytest.mark.parametrize(
    "extra",
    [
        {"context": {"reference": "Encounter/1"}},
        {"related": [{"target": {"reference": "Observation/1"}}]},
        {"triggeredBy": [{"type": "reflex"}]},
    ],
)
def test_a_safety_answer_of_another_version_is_a_finding(extra: dict) -> None:
    assert topics(intent() | extra) == ["positive-safety-answer warning"]


def test_r4b_reads_as_r4() -> None:
    r4b = intent() | {"meta": {"profile": ["http://hl7.org/fhir/4.3/StructureDefinition/Observation"]}}

    assert topics(r4b) == ["acute-safety critical"]


# ---- shapes that nobody means ----


@pytest.mark.parametrize("contained", [5, "x", {}, None, [5], [None], [{"id": "me"}], [{"id": "me", "identifier": 5}]])
def test_an_odd_contained_element_is_nobody(contained: object) -> None:
    record = read(intent() | {"subject": {"reference": "#me"}, "contained": contained})

    assert record.administrations == ()


@pytest.mark.parametrize("depth", [600, 900, 5000, 100_000])
@pytest.mark.parametrize("beside", ['"modifierExtension": []', '"status": 5', '"subject": {"reference": "#me"}'])
def test_a_resource_nested_to_any_depth_is_read_or_refused(depth: int, beside: str) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth
    text = f'{{"resourceType": "Observation", "id": "x", {beside}, "foo": {nested}}}'

    try:
        found = r4.read(text.encode())
    except NotFhir:
        assert depth > 900
    else:
        assert found.kind == "Observation"


@pytest.mark.parametrize("depth", [10, 100, 200])
def test_an_answer_is_found_however_deep_its_form_is_nested(depth: int) -> None:
    item: dict = {"linkId": CSSRS["q4"], "answer": [{"valueBoolean": True}]}
    for n in range(depth):
        item = {"linkId": f"g{n}", "item": [item]} if n % 2 else {"linkId": f"g{n}", "answer": [{"item": [item]}]}
    form = resource("QuestionnaireResponse", status="completed", authored=TODAY, item=[item])

    assert topics(form) == ["acute-safety critical"]


def test_a_form_nested_as_deep_as_json_may_be_is_no_error() -> None:
    depth = 330
    text = f'{{"resourceType":"QuestionnaireResponse","id":"q","status":"completed","subject":{{"reference":"Patient/{PATIENT}"}},"item":'
    deep = text + '[{"linkId":"x","item":' * depth + "[]" + "}]" * depth + "}"
    settings = ReadSettings()
    chart = f'{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{json.dumps(patient())}}},{{"resource":{deep}}}]}}'

    record = patient_record(
        chart_bundle(chart.encode(), settings=settings, as_of=AS_OF), settings=settings, as_of=AS_OF
    )

    assert record.administrations == ()
