"""The hook call against CDS Hooks 2.0: discovery, cards, status codes, and what nonsense is answered with."""

from __future__ import annotations

import gzip
import json
import math
import uuid
from io import BytesIO

import pytest
from builders import AS_OF, LOINC, PATIENT, PHQ, codeable, given, observation, open_app, patient, resource

from cds_service.sites import ServiceConfig, default_config
from explanations.assessment import Engine
from fhir_adapters.prefetch import templates
from fhir_adapters.validation import faults

ADDRESS = "/cds-services/depression-suicide-risk"


@pytest.fixture(scope="module")
def client():
    return open_app(now=lambda: AS_OF).test_client()


def prefetch(*resources: dict, **instead) -> dict:
    """All prefetch keys, known-empty but for these resources, each under the key that asks for its type."""
    keys = {"Condition": "conditions", "Observation": "screening", "QuestionnaireResponse": "questionnaires",
            "MedicationRequest": "medications", "Encounter": "encounters", "Procedure": "procedures"}  # fmt: skip
    entries: dict[str, list] = {t.key: [] for t in templates()}
    for r in resources:
        entries[keys[r["resourceType"]]].append({"resource": r})
    found = {
        key: {"resourceType": "Bundle", "type": "searchset", "entry": rows} if rows else None
        for key, rows in entries.items()
    }
    return {**found, "patient": patient(), **instead}


def request(**changes) -> dict:
    whole = {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": "Practitioner/doc", "patientId": PATIENT},
        "prefetch": prefetch(),
    }
    return {key: value for key, value in (whole | changes).items() if value is not ...}


def topics(answer) -> list[str]:
    assert answer.status_code == 200, answer.get_json()
    return [f"{c['source']['topic']['code']} {c['indicator']}" for c in answer.get_json()["cards"]]


def diagnostics(answer) -> str:
    body = answer.get_json()
    assert body["resourceType"] == "OperationOutcome"
    assert answer.content_type == "application/json"
    assert faults(body) == []
    return body["issue"][0]["diagnostics"]


# ---- discovery ----


def test_discovery_lists_one_service_per_hook_with_restricted_prefetch_templates(client) -> None:
    answer = client.get("/cds-services")
    services = answer.get_json()["services"]

    assert answer.content_type == "application/json"
    assert [(s["id"], s["hook"]) for s in services] == [
        ("depression-suicide-risk", "patient-view"),
        ("depression-suicide-risk-encounter", "encounter-start"),
        ("suicide-safety-discharge", "encounter-discharge"),
    ]
    for service in services:
        assert (service["version"], service["hookVersion"]) == ("2.0.0", "1.0")
        assert service["title"]
        assert service["description"]
        for template in service["prefetch"].values():
            assert template.startswith(("Patient/{{context.patientId}}", *(f"{t}?patient={{{{context.patientId}}}}" for t in (
                "Condition", "Observation", "QuestionnaireResponse", "MedicationRequest", "Encounter", "Procedure", "Consent", "CarePlan", "Appointment"))))  # fmt: skip


def test_discovery_is_cacheable(client) -> None:
    tag = client.get("/cds-services").headers["ETag"]

    assert client.get("/cds-services", headers={"If-None-Match": tag}).status_code == 304


# ---- cards ----


def test_a_quiet_chart_gets_no_card(client) -> None:
    answer = client.post(ADDRESS, json=request())

    assert answer.status_code == 200
    assert answer.get_json() == {"cards": []}
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_card_has_all_that_clients_rely_on_and_no_empty_member(client) -> None:
    chart = prefetch(*given("PHQ-9, 6 days ago: items 1-7 = 1, item 8 = 0, item 9 = 1"))

    cards = client.post(ADDRESS, json=request(prefetch=chart)).get_json()["cards"]

    assert cards
    ids = [c["uuid"] for c in cards] + [s["uuid"] for c in cards for s in c.get("suggestions", [])]
    assert len(ids) == len({uuid.UUID(i) for i in ids})
    for card in cards:
        assert 0 < len(card["summary"]) < 140
        assert card["indicator"] in ("info", "warning", "critical")
        assert card["source"]["label"]
        assert card["source"]["topic"].keys() == {"code", "system", "display"}
        assert "<" not in card["detail"]
        assert "selectionBehavior" in card or "suggestions" not in card
        assert all(r.keys() == {"code", "system", "display"} for r in card["overrideReasons"])
        assert all(link["type"] == "absolute" and link["url"].startswith("https://") for link in card.get("links", []))
        for suggestion in card.get("suggestions", []):
            for action in suggestion["actions"]:
                assert faults(action["resource"]) == []
                assert action["resource"]["status"] == "draft"
                assert f"Patient/{PATIENT}" in json.dumps(action["resource"])
    assert not list(empty_members({"cards": cards}))


def empty_members(value, path=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from empty_members(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from empty_members(inner, path)
    if value in (None, "", [], {}):
        yield path


def test_no_card_shows_a_number_of_the_model_unless_the_site_turned_it_on(client) -> None:
    answer = client.post(ADDRESS, json=request(prefetch=prompting()))

    assert topics(answer) == ["screening-prompt info"]
    detail = answer.get_json()["cards"][0]["detail"]
    assert "%" not in detail
    assert "survey adults with similar records" not in detail
    assert "machine learning" in answer.get_json()["cards"][0]["summary"]


def prompting() -> dict:
    """A chart on which the depression model prompts: unwell, in no depression care, no PHQ on file."""
    lines = ["Condition 193462001, 100 days ago, problem list", "Condition 13645005, 900 days ago, problem list",
             "Condition 3723001, 900 days ago, problem list", "Condition 230690007, 900 days ago, problem list",
             "Medicine gabapentin, today", "Medicine alprazolam, today", "Medicine oxycodone, today"]  # fmt: skip
    found = [r for line in lines for r in given(line)]
    for days in (5, 20, 60, 90, 120, 150, 180, 210, 240, 270, 300, 330, 340, 350):
        period = {"start": (AS_OF.date().fromordinal(AS_OF.date().toordinal() - days)).isoformat()}
        found.append(resource("Encounter", status="finished", period=period) | {"class": {"code": "AMB"}})
    smoker = observation(
        LOINC, "72166-2", "2026-08-03", {"valueCodeableConcept": codeable("http://snomed.info/sct", "449868002")}
    )
    sleep = observation(LOINC, "93832-4", "2026-08-03", {"valueQuantity": {"value": 4, "code": "h"}})
    health = observation(LOINC, "61577-3", "2026-08-03", {"valueCodeableConcept": {"text": "Poor"}})
    work = observation(LOINC, "67875-5", "2026-08-03", {"valueCodeableConcept": {"text": "Unemployed"}})
    chart = prefetch(*found)
    chart["measurements"] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": r} for r in (smoker, sleep, health, work)],
    }
    return chart


def test_the_models_card_gives_reasons_with_value_date_and_source_and_names_what_is_missing(client) -> None:
    detail = client.post(ADDRESS, json=request(prefetch=prompting())).get_json()["cards"][0]["detail"]

    reasons = [line for line in detail.splitlines() if line.startswith(("- Raised it", "- Lowered it"))]
    assert 1 <= len(reasons) <= 8
    assert all("`" in line for line in reasons)
    assert "other inputs together" in detail
    assert "Not on file: " in detail
    assert "PHQ-2" in detail.partition("Not on file: ")[2]


# ---- nothing hides ----


@pytest.mark.parametrize("key", [t.key for t in templates() if t.needed])
def test_needed_data_that_was_not_sent_and_cannot_be_fetched_is_412(client, key: str) -> None:
    answer = client.post(ADDRESS, json=request(prefetch={k: v for k, v in prefetch().items() if k != key}))

    assert answer.status_code == 412
    assert key in diagnostics(answer)


@pytest.mark.parametrize("key", [t.key for t in templates() if not t.needed])
def test_data_that_is_not_needed_may_be_missing(client, key: str) -> None:
    answer = client.post(ADDRESS, json=request(prefetch={k: v for k, v in prefetch().items() if k != key}))

    assert answer.status_code == 200


def test_a_finding_is_answered_even_when_other_needed_data_is_missing(client) -> None:
    chart = prefetch(*given("C-SSRS, today: question 4 = yes"))
    del chart["conditions"], chart["questionnaires"]

    assert topics(client.post(ADDRESS, json=request(prefetch=chart))) == [
        "acute-safety critical",
        "could-not-assess info",
    ]


def test_an_operation_outcome_in_place_of_data_is_unknown_not_empty(client) -> None:
    refused = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden"}]}

    answer = client.post(ADDRESS, json=request(prefetch=prefetch(screening=refused)))

    assert answer.status_code == 412


def test_a_first_page_alone_is_unknown_not_complete(client) -> None:
    page = {"resourceType": "Bundle", "type": "searchset", "link": [{"relation": "next", "url": "http://ehr/next"}]}

    assert client.post(ADDRESS, json=request(prefetch=prefetch(screening=page))).status_code == 412


def test_a_bare_resource_and_a_bundle_are_both_taken(client) -> None:
    item = given("PHQ-9, 6 days ago: item 9 = 1")[0]
    one = client.post(ADDRESS, json=request(prefetch=prefetch(screening=item)))
    boxed = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": patient()}]}
    two = client.post(ADDRESS, json=request(prefetch=prefetch(screening=item, patient=boxed)))

    assert topics(one) == topics(two) == ["positive-safety-answer warning"]


def test_a_resource_with_no_code_is_said_to_be_unreadable(client) -> None:
    blank = resource("Observation", status="final", valueInteger=1)

    answer = client.post(ADDRESS, json=request(prefetch=prefetch(blank)))

    assert topics(answer) == ["could-not-assess info"]
    assert blank["id"] in answer.get_json()["cards"][0]["detail"]


@pytest.mark.parametrize(
    "value", [{"valueInteger": {"x": 1}}, {"valueCodeableConcept": []}, {"valueBoolean": "perhaps"}]
)
def test_a_safety_answer_of_the_wrong_type_is_a_finding(client, value: dict) -> None:
    answer = client.post(ADDRESS, json=request(prefetch=prefetch(observation(LOINC, PHQ[8], "2026-11-20", value))))

    assert "positive-safety-answer warning" in topics(answer)
    assert "could not be read" in answer.get_json()["cards"][0]["summary"]


def test_another_patients_answers_are_never_used_and_it_is_said(client) -> None:
    foreign = [r | {"subject": {"reference": "Patient/other"}} for r in given("C-SSRS, today: question 4 = yes")]

    answer = client.post(ADDRESS, json=request(prefetch=prefetch(*foreign)))

    assert topics(answer) == ["data-anomaly info"]
    assert "another patient" in answer.get_json()["cards"][0]["summary"]


def test_another_patient_in_the_patient_key_is_refused(client) -> None:
    answer = client.post(ADDRESS, json=request(prefetch=prefetch(patient=patient() | {"id": "other"})))

    assert answer.status_code == 400
    assert "patient" in diagnostics(answer)


def test_a_broken_model_silences_no_finding(client) -> None:
    broken = open_app(engine=Engine(failures=(("depression", "gone"),)), now=lambda: AS_OF).test_client()
    chart = prefetch(*given("C-SSRS, today: question 4 = yes"))

    assert topics(broken.post(ADDRESS, json=request(prefetch=chart))) == ["acute-safety critical"]


def test_the_same_request_gives_the_same_cards(client) -> None:
    fixed = open_app(now=lambda: AS_OF, new_id=lambda: "00000000-0000-4000-8000-000000000001").test_client()
    body = request(prefetch=prompting(), hookInstance="one")

    assert fixed.post(ADDRESS, json=body).data == fixed.post(ADDRESS, json=body).data


# ---- bad input ----


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"hook": ...}, "hook"),
        ({"hook": ""}, "hook"),
        ({"hook": 7}, "hook"),
        ({"hook": "order-sign"}, "hook"),
        ({"hookInstance": ...}, "hookInstance"),
        ({"hookInstance": None}, "hookInstance"),
        ({"context": ...}, "context"),
        ({"context": None}, "context"),
        ({"context": []}, "context"),
        ({"context": {"userId": "Practitioner/doc"}}, "patientId"),
        ({"context": {"userId": "Practitioner/doc", "patientId": None}}, "patientId"),
        ({"context": {"userId": "Practitioner/doc", "patientId": ""}}, "patientId"),
        ({"context": {"userId": "Practitioner/doc", "patientId": 5}}, "patientId"),
        ({"context": {"userId": "Practitioner/doc", "patientId": "Patient/p1"}}, "patientId"),
        ({"context": {"userId": "Practitioner/doc", "patientId": "../../x"}}, "patientId"),
        ({"context": {"userId": "doc", "patientId": "p1"}}, "userId"),
        ({"context": {"patientId": "p1"}}, "userId"),
        ({"prefetch": []}, "prefetch"),
        ({"prefetch": "x"}, "prefetch"),
        ({"fhirServer": 5}, "fhirServer"),
        ({"fhirAuthorization": {"access_token": "t"}}, "fhirServer"),
        ({"fhirServer": "http://127.0.0.1/fhir", "fhirAuthorization": {}}, "access_token"),
        ({"fhirServer": "http://127.0.0.1/fhir", "fhirAuthorization": {"access_token": "t\r\nX: y"}}, "access_token"),
        (
            {"fhirServer": "http://127.0.0.1/fhir", "fhirAuthorization": {"access_token": "t", "patient": "other"}},
            "patient",
        ),
    ],
)
def test_a_malformed_member_is_a_400_that_names_it(client, changes: dict, names: str) -> None:
    answer = client.post(ADDRESS, json=request(**changes))

    assert answer.status_code == 400
    assert names.lower() in diagnostics(answer).lower().replace("_", "_")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"x"', b"{'hook': 1}", b'{"hook": NaN}', b"[" * 200_000]
)
def test_a_body_that_is_no_hook_request_is_a_400(client, body: bytes) -> None:
    answer = client.post(ADDRESS, data=body, content_type="application/json")

    assert answer.status_code == 400
    diagnostics(answer)


def test_not_a_number_in_a_chart_is_refused(client) -> None:
    text = json.dumps(request(prefetch=prefetch(observation(LOINC, PHQ[8], "2026-11-20", {"valueInteger": math.nan}))))

    assert client.post(ADDRESS, data=text, content_type="application/json").status_code == 400


def test_a_body_of_3_mb_is_a_413_that_names_the_limit(client) -> None:
    answer = client.post(ADDRESS, data=b'{"x": "' + b"a" * 3_000_000 + b'"}', content_type="application/json")

    assert answer.status_code == 413
    assert "bytes" in diagnostics(answer)


def test_a_chart_of_1_mb_is_taken(client) -> None:
    many = [
        observation(LOINC, "8867-4", "2026-01-01", {"valueQuantity": {"value": 70, "code": "/min"}})
        for _ in range(4000)
    ]
    body = json.dumps(request(prefetch=prefetch(*many)))

    assert len(body) > 1_000_000
    assert client.post(ADDRESS, data=body, content_type="application/json").status_code == 200


def test_an_unknown_service_is_404_and_a_wrong_method_405_with_allow(client) -> None:
    assert "no service" in diagnostics(client.post("/cds-services/unknown", json=request()))
    assert client.post("/cds-services/unknown", json=request()).status_code == 404
    wrong = client.get(ADDRESS)
    assert wrong.status_code == 405
    assert "POST" in wrong.headers["Allow"]
    diagnostics(wrong)


def test_another_media_type_is_415_and_a_charset_is_fine(client) -> None:
    body = json.dumps(request())

    assert client.post(ADDRESS, data=body, content_type="text/plain").status_code == 415
    assert client.post(ADDRESS, data=body, content_type="application/json; charset=utf-8").status_code == 200


def test_unknown_members_and_extensions_change_nothing(client) -> None:
    body = request(extension={"com.epic.x": 1}, unknown=[1, {"deep": None}])
    body["context"] |= {"encounterId": "e1", "more": {}}

    assert client.post(ADDRESS, json=body).get_json() == {"cards": []}


def test_no_error_repeats_what_was_sent(client) -> None:
    secret = "Zebulon-secret-token"
    body = request(fhirServer="http://127.0.0.1:9/fhir", fhirAuthorization={"access_token": secret, "patient": "other"})
    for sent in (
        body,
        request(context={"userId": "Practitioner/doc", "patientId": f"{secret}/x"}),
        request(hook=secret),
    ):
        answer = client.post(ADDRESS, json=sent)
        assert answer.status_code == 400
        assert secret not in answer.get_data(as_text=True)


def test_the_body_limit_is_the_sites(client) -> None:
    small = open_app(ServiceConfig(sites=default_config().sites, body_bytes=2000), engine=Engine()).test_client()

    assert small.post(ADDRESS, json=request(prefetch=prompting())).status_code == 413


def test_a_chunked_body_above_the_limit_is_413_and_one_within_it_works(client) -> None:
    for size, status in ((3_000_000, 413), (3_000, 200)):
        body = json.dumps(request(more="a" * size)).encode()
        answer = client.post(
            ADDRESS, input_stream=BytesIO(body), content_type="application/json", environ_overrides={"wsgi.input_terminated": True}
        )  # fmt: skip
        assert answer.status_code == status


def packed(body: bytes) -> dict:
    return {"data": body, "content_type": "application/json", "headers": {"Content-Encoding": "gzip"}}


def test_a_body_packed_with_gzip_works_and_a_damaged_one_is_refused(client) -> None:
    body = json.dumps(request()).encode()
    whole = gzip.compress(body)

    assert client.post(ADDRESS, **packed(whole)).get_json() == {"cards": []}
    assert client.post(ADDRESS, **packed(gzip.compress(b" " * 3_000_000 + body))).status_code == 413
    for spoiled in (whole[:-9], whole + whole, body, b"\x1f\x8b", b""):
        assert "gzip" in diagnostics(client.post(ADDRESS, **packed(spoiled)))
    for other in ("br", "deflate", "gzip, gzip"):
        assert client.post(ADDRESS, json=request(), headers={"Content-Encoding": other}).status_code == 415


@pytest.mark.parametrize("patient_id", [".", "..", "a b", "x](http://evil)"])
def test_an_id_that_could_lead_elsewhere_is_a_400(client, patient_id: str) -> None:
    context = {"userId": "Practitioner/doc", "patientId": patient_id}
    assert client.post(ADDRESS, json=request(context=context)).status_code == 400
    context = {"userId": "Practitioner/doc", "patientId": PATIENT, "encounterId": patient_id}
    assert client.post(ADDRESS, json=request(context=context)).status_code == 400


@pytest.mark.parametrize("lifetime", [300, 300.0, "300", ...])
def test_how_long_a_token_lives_is_taken_as_clients_send_it(client, lifetime) -> None:
    granted = {"access_token": "t", "token_type": "bearer", "expires_in": lifetime}
    body = request(
        fhirServer="http://127.0.0.1:9/fhir", fhirAuthorization={k: v for k, v in granted.items() if v is not ...}
    )

    assert client.post(ADDRESS, json=body).status_code == 200


def test_an_unforeseen_error_is_logged_with_its_place_and_without_its_message(caplog) -> None:
    app = open_app(now=lambda: 1 / 0)
    with caplog.at_level("ERROR"):
        answer = app.test_client().post(ADDRESS, json=request())

    assert answer.status_code == 500
    assert "ZeroDivisionError" in caplog.text
    assert "test_hook_call.py" in caplog.text
    assert "division by zero" not in caplog.text


# ---- encounter-start ----

AT_START = "/cds-services/depression-suicide-risk-encounter"
STARTED = {"userId": "PractitionerRole/r1", "patientId": PATIENT, "encounterId": "now"}


def test_an_encounter_that_starts_gets_the_cards_of_a_chart_that_is_opened(client) -> None:
    chart = prefetch(*given("PHQ-9, 6 days ago: items 1-7 = 1, item 8 = 0, item 9 = 1"))

    opened = client.post(ADDRESS, json=request(prefetch=chart))
    started = client.post(AT_START, json=request(hook="encounter-start", context=STARTED, prefetch=chart))

    assert topics(started) == topics(opened) != []


def test_an_answer_of_the_encounter_that_starts_is_current_for_seven_days(client) -> None:
    answer = given("C-SSRS, 5 days ago: question 4 = yes")[0] | {"encounter": {"reference": "Encounter/now"}}
    before = {"userId": "Practitioner/d", "patientId": PATIENT, "encounterId": "another"}

    current = client.post(AT_START, json=request(hook="encounter-start", context=STARTED, prefetch=prefetch(answer)))
    earlier = client.post(AT_START, json=request(hook="encounter-start", context=before, prefetch=prefetch(answer)))

    assert topics(current) == ["acute-safety critical"]
    assert topics(earlier) == ["recent-safety warning"]


@pytest.mark.parametrize("encounter", [{}, {"encounterId": None}, {"encounterId": ""}, {"encounterId": "Encounter/1"}])
def test_encounter_start_requires_a_bare_encounter_id(client, encounter: dict) -> None:
    context = {"userId": "Practitioner/d", "patientId": PATIENT} | encounter

    refused = client.post(AT_START, json=request(hook="encounter-start", context=context))

    assert refused.status_code == 400
    assert "context.encounterId" in diagnostics(refused)


@pytest.mark.parametrize(
    ("address", "hook"), [(ADDRESS, "encounter-start"), (AT_START, "patient-view"), (AT_START, "encounter-discharge")]
)
def test_a_hook_at_the_address_of_another_is_refused(client, address: str, hook: str) -> None:
    refused = client.post(address, json=request(hook=hook, context=STARTED))

    assert refused.status_code == 400
    assert "hook: expected" in diagnostics(refused)
