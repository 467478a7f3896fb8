"""Answers that could get lost or be confused with others on the way, found by review: each is shown or said."""

from __future__ import annotations

import json

import pytest
from builders import AS_OF, LOINC, PATIENT, PHQ, cards_of, given, observation, patient, prefetch_of, record_of, resource
from msgspec import Raw

from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.access.prefetch import Access, gather
from fhir_adapters.facts import Consent
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.settings import ReadSettings

TODAY = AS_OF.date().isoformat()
SETTINGS = ReadSettings()


def item_9(score: int, **more) -> dict:
    return observation(LOINC, PHQ[8], TODAY, {"valueInteger": score}, **more)


def hooked(prefetch: dict):
    sent = {key: Raw(json.dumps(value).encode()) for key, value in prefetch.items()}
    return patient_record(
        gather(ChartRequest(patient_id=PATIENT, as_of=AS_OF), sent, Access(), settings=SETTINGS),
        settings=SETTINGS,
        as_of=AS_OF,
    )


def charted(*entries: dict):
    chart = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient()}, *entries]}
    gathered = chart_bundle(json.dumps(chart).encode(), settings=SETTINGS, as_of=AS_OF)
    return patient_record(gathered, settings=SETTINGS, as_of=AS_OF)


def topics(record) -> list[str]:
    return [f"{c.source.topic.code} {c.indicator}" for c in cards_of(record)]


def search(*resources: dict, **more) -> dict:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in resources]} | more


@pytest.mark.parametrize("code", ["suppressed", "forbidden", "incomplete", "too-costly", "throttled"])
def test_a_warning_that_results_are_lacking_is_no_empty_search(code: str) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": code}]}

    record = hooked(prefetch_of([patient()]) | {"screening": search(outcome)})

    assert [u.what for u in record.lacking] == ["screening"]


def test_fewer_entries_than_the_search_found_are_not_all() -> None:
    record = hooked(prefetch_of([patient()]) | {"screening": search(item_9(0), total=50)})

    assert [u.what for u in record.lacking] == ["screening"]


def test_an_answer_in_a_bundle_within_the_bundle_is_read() -> None:
    inner = search(item_9(3))

    assert topics(charted({"resource": inner})) == ["positive-safety-answer warning"]
    beside = search(item_9(0) | {"effectiveDateTime": "2025-01-01"}, inner)
    assert topics(hooked(prefetch_of([patient()]) | {"screening": beside})) == ["positive-safety-answer warning"]


def test_what_a_bundle_within_the_bundle_says_of_itself_is_the_whole_s() -> None:
    inner = search(item_9(3), link=[{"relation": "next", "url": "https://ehr.example/fhir?page=2"}])

    assert [u.what for u in charted({"resource": inner}).lacking] == ["rest"]


def test_two_servers_may_each_have_a_resource_of_one_id() -> None:
    answer = item_9(3) | {"id": "1", "meta": {"lastUpdated": "2026-11-22T10:00:00Z"}}
    pressure = observation(LOINC, "8480-6", TODAY, {"valueQuantity": {"value": 120, "unit": "mmHg"}}) | {
        "id": "1",
        "meta": {"lastUpdated": "2026-11-22T11:00:00Z"},
    }

    record = charted(
        {"fullUrl": "https://a.example/fhir/Observation/1", "resource": answer},
        {"fullUrl": "https://b.example/fhir/Observation/1", "resource": pressure},
    )

    assert topics(record) == ["positive-safety-answer warning"]


def test_a_question_about_self_harm_that_is_not_mapped_is_heard_unless_the_answer_is_no() -> None:
    def form(answer: dict) -> dict:
        asked = {
            "linkId": "17",
            "text": "Thoughts that you would be better off dead, or of hurting yourself",
            "answer": [answer],
        }
        return resource(
            "QuestionnaireResponse",
            status="completed",
            authored=TODAY,
            questionnaire="https://x.example/Questionnaire/123",
            item=[asked],
        )

    assert topics(record_of(form({"valueString": "Nearly every day"}))) == ["positive-safety-answer warning"]
    assert topics(record_of(form({"valueBoolean": True}))) == ["positive-safety-answer warning"]
    assert topics(record_of(form({"valueInteger": 2}))) == ["could-not-assess info"]
    for plain_no in ({"valueString": "Not at all"}, {"valueBoolean": False}, {"valueInteger": 0}):
        assert topics(record_of(form(plain_no))) == []


def test_two_halves_of_a_screen_are_no_negative_screen() -> None:
    acute = given("C-SSRS, 3 days ago: question 1 4 = yes, question 6 = no", "questionnaire")
    halves = [
        *given("C-SSRS, 1 days ago: question 1 2 = no", "questionnaire"),
        *given("C-SSRS, 1 days ago: question 6 = no", "questionnaire"),
    ]

    assert topics(record_of(*acute)) == topics(record_of(*acute, *halves)) == ["recent-safety warning"]


def test_two_codings_of_one_answer_that_disagree_are_no_answer_in_either_order() -> None:
    codings = [{"system": LOINC, "code": code} for code in ("LA6568-5", "LA6571-9")]

    for order in (codings, codings[::-1]):
        answer = observation(LOINC, PHQ[8], TODAY, {"valueCodeableConcept": {"coding": order}})
        assert topics(record_of(answer)) == ["positive-safety-answer warning", "data-anomaly info"]
        intent = observation(
            LOINC,
            "93249-1",
            TODAY,
            {"valueCodeableConcept": {"coding": [{"system": LOINC, "code": c} for c in ("LA32-8", "LA33-6")]}},
        )
        assert topics(record_of(intent)) == ["acute-safety critical"]


def test_forms_without_an_id_are_not_one_form() -> None:
    old, new = (
        given(line, "questionnaire")[0]
        for line in ("C-SSRS, 295 days ago: question 4 = yes", "C-SSRS, today: question 1 2 6 = no")
    )
    for form in (old, new):
        del form["id"]

    record = record_of(old, new)

    assert len(record.administrations) == 2
    assert topics(record) == []


def test_two_units_of_one_value_that_disagree_are_an_anomaly() -> None:
    def weight(unit: str, code: str) -> dict:
        return observation(LOINC, "29463-7", TODAY, {"valueQuantity": {"value": 180, "unit": unit, "code": code}})

    assert [a.flaw.kind for a in record_of(weight("lb", "kg")).anomalies] == ["unit"]
    assert record_of(weight("pounds", "[lb_av]")).fact("weight_kg").value == pytest.approx(81.65, abs=0.01)
    assert record_of(weight("my unit", "kg")).fact("weight_kg").value == 180


def test_an_escaped_name_hides_no_modifier() -> None:
    text = json.dumps(item_9(0)).replace(
        '"resourceType"', '"modifier\\u0045xtension": [{"url": "x"}], "resourceType"', 1
    )
    chart = f'{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{json.dumps(patient())}}},{{"resource":{text}}}]}}'

    record = patient_record(
        chart_bundle(chart.encode(), settings=SETTINGS, as_of=AS_OF), settings=SETTINGS, as_of=AS_OF
    )

    assert topics(record) == ["positive-safety-answer warning"]


@pytest.mark.parametrize("text", ["(" * 300_000, "a" + " " * 300_000 + "a", "1" * 300_000])
def test_a_text_that_is_too_long_to_be_an_answer_is_not_looked_through(text: str) -> None:
    assert "positive-safety-answer warning" in topics(
        record_of(observation(LOINC, PHQ[8], TODAY, {"valueString": text}))
    )


@pytest.mark.parametrize("digits", ["1" * 5000, "-" + "1" * 5000, "1" * 5000 + ".5", "1e9999"])
def test_a_number_of_thousands_of_digits_beside_an_answer_hides_nothing(digits: str) -> None:
    notes = [{"text": "wants to kill himself", "mark": "@"}]
    for answer in (item_9(2, note=notes), observation(LOINC, "8480-6", TODAY, {"valueInteger": 1}, note=notes)):
        chart = {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": r} for r in (patient(), answer)],
        }
        text = json.dumps(chart).replace('"@"', digits).encode()

        record = patient_record(chart_bundle(text, settings=SETTINGS, as_of=AS_OF), settings=SETTINGS, as_of=AS_OF)

        assert "positive-safety-answer warning" in topics(record)
        assert [u.self_harm for u in record.unheard] == [True]


def test_many_versions_of_one_resource_are_read() -> None:
    versions = [{"resource": item_9(0) | {"id": "same", "note": [{"text": f"{n:06d}"}]}} for n in range(20_000)]

    assert len(charted(*versions).administrations) == 1


@pytest.mark.parametrize("text", ["1_20", "0x78", "\u0661\u0662\u0660", "1e9999", "nan", "infinity", "120 mg"])
def test_text_that_json_would_not_write_as_a_number_is_none(text: str) -> None:
    glucose = observation(LOINC, "2345-7", TODAY, {"valueQuantity": {"value": text, "unit": "mg/dL", "code": "mg/dL"}})

    record = record_of(glucose)

    assert record.fact("glucose") is None
    assert [a.flaw.kind for a in record.anomalies] == ["out-of-range"]


FORM = given("PHQ-9, 2 days ago: items 1-8 = 0, item 9 = 2", "questionnaire")[0]
PANEL = observation(LOINC, "44249-1", TODAY, {})
ITEM_9 = {"code": {"coding": [{"system": LOINC, "code": PHQ[8]}]}, "valueInteger": 2}
ASKED_9 = {key: value for key, value in item_9(0).items() if key != "valueInteger"}
NULLS = {
    "the items of a response": FORM | {"item": [None]},
    "a group of a response": FORM | {"item": [{"linkId": "g", "item": [None]}]},
    "the answers to item 9": FORM | {"item": [FORM["item"][-1] | {"answer": [None]}]},
    "what an answer leads to": FORM | {"item": [{"linkId": "1", "answer": [{"valueBoolean": True, "item": [None]}]}]},
    "the components of a panel": PANEL | {"component": [None]},
    "the codes of an Observation": PANEL | {"code": {"coding": [None], "text": "PHQ"}, "valueInteger": 2},
    "the interpretations of an Observation": observation(LOINC, "93249-1", TODAY, {"interpretation": [None]}),
    "the codes of a Condition": resource("Condition", code={"coding": [None], "text": "see the notes"}),
    "a component's codes": PANEL | {"component": [{"code": {"coding": [None]}, "valueInteger": 2}]},
}


@pytest.mark.parametrize("where", NULLS)
def test_a_null_where_an_answer_may_stand_is_not_taken_for_none(where: str) -> None:
    record = record_of(NULLS[where])

    assert len(record.unreadable) == 1
    assert topics(record) == ["could-not-assess info"]


@pytest.mark.parametrize(
    "answer",
    [
        FORM | {"item": [None, *FORM["item"]]},
        FORM | {"item": [*FORM["item"][:-1], FORM["item"][-1] | {"answer": [None, *FORM["item"][-1]["answer"]]}]},
        PANEL | {"component": [ITEM_9, None]},
        ASKED_9 | {"valueCodeableConcept": {"coding": [None, {"system": LOINC, "code": "LA6570-1"}]}},
    ],
)
def test_what_stands_beside_a_null_is_read_and_the_null_is_said(answer: dict) -> None:
    assert topics(record_of(answer)) == ["positive-safety-answer warning", "could-not-assess info"]


@pytest.mark.parametrize("name", ["item", "component", "encounter", "category", "meta"])
def test_a_null_for_a_whole_element_is_its_absence(name: str) -> None:
    assert topics(record_of(item_9(2) | {name: None})) == ["positive-safety-answer warning"]


def test_a_null_entry_before_a_response_does_not_clean_the_response_of_its_own_null() -> None:
    chart = charted(None, {"resource": FORM | {"item": [None]}})

    assert [u.kind for u in chart.unreadable] == ["QuestionnaireResponse"]
    assert [u.what for u in chart.lacking] == ["rest"]


def consent(kind: str, **more) -> dict:
    own = {"status": "active", "patient": {"reference": f"Patient/{PATIENT}"}, "provision": {"type": kind} | more}
    return resource("Consent", **own)


def test_a_null_among_the_rules_of_a_consent_lifts_no_denial_and_leaves_no_permission() -> None:
    def allowed_by(*consents: dict) -> Consent:
        return hooked(prefetch_of([patient()]) | {"consents": search(*consents)}).consent

    assert allowed_by(consent("permit")) is Consent.ALLOWED
    assert allowed_by(consent("permit", provision=[None])) is Consent.UNKNOWN
    assert allowed_by(consent("deny", provision=[None])) is Consent.DENIED
    assert allowed_by(consent("permit", provision=[None]), consent("deny")) is Consent.DENIED
