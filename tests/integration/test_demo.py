"""The demo as a person meets it: its FHIR API, its page, its terminal text, and the whole command.

The parts are tried against a small service that answers as told, over real HTTP; the last tests run the
command itself, with the real service.
"""

import io
import os
import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count

import pytest
import requests
from ehr import MHCDS
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome
from flask import Flask, request
from smart_run import running

from cds_service.app import create_app
from cds_service.demo_ehr import codes
from cds_service.demo_ehr.clinic.clinic_list import clinic_days
from cds_service.demo_ehr.clinic.hook_client import Exchange, ServiceUnreachableError, topic
from cds_service.demo_ehr.clinic.page import card_html, create_blueprint
from cds_service.demo_ehr.clinic.panel import AppPlace
from cds_service.demo_ehr.clinic.state import Clinic, proposal_of
from cds_service.demo_ehr.config import CLIENT_ID, Addresses, demo_config
from cds_service.demo_ehr.ehr import registered
from cds_service.demo_ehr.fhir_api import routes as fhir_server
from cds_service.demo_ehr.fhir_api.charts import Charts
from cds_service.demo_ehr.patients.people import demo_patients
from cds_service.demo_ehr.runner import run_demo
from cds_service.serving.engine import load_engine

AS_OF = datetime(2026, 11, 23, 16, 12, tzinfo=UTC)
TOKEN = "token-of-this-run"
PATIENTS = demo_patients(AS_OF)
TOMAS = PATIENTS[1]
STELLAN = PATIENTS[5]
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"

PHQ9_ORDER = {
    "resourceType": "ServiceRequest",
    "status": "draft",
    "intent": "proposal",
    "code": {"coding": [{"system": "http://loinc.org", "code": "44249-1"}]},
}


def a_card(expected, number, **changes):
    return {
        "uuid": f"card-{number}",
        "summary": f"Summary {number} of {expected.topic}.",
        "detail": "**In the chart**\n\n- item, `Observation/one`\n\n| Date | Total |\n|:--|:--|\n| 1 Nov 2026 | 8 |",
        "indicator": expected.indicator,
        "source": {"label": "mental-health-cds", "topic": {"system": "urn:x", "code": expected.topic}},
        "suggestions": [
            {
                "uuid": f"suggestion-{number}",
                "label": "Draft order: PHQ-9, today",
                "actions": [
                    {
                        "type": "create",
                        "description": "Draft order: PHQ-9, today",
                        "resource": PHQ9_ORDER,
                    }
                ],
            }
        ],
        "overrideReasons": [{"code": "asked", "system": "urn:x", "display": "Asked; documented in my note"}],
        "links": [{"label": "A guideline", "url": "https://guideline.example/" + "long/" * 20, "type": "absolute"}],
    } | changes


def answering_service(*, cards=None, calls=None, status=200):
    """A CDS service that gives the expected cards, or those told; it reads over FHIR what was left out."""
    app = Flask("service of the test")
    expected = {patient.id: patient.expected for patient in demo_patients()}
    numbers = count(1)

    @app.get("/cds-services")
    def discovery():
        patient = "{{context.patientId}}"
        prefetch = {
            "patient": f"Patient/{patient}",
            "screening": f"Observation?patient={patient}&code=http://loinc.org|44260-8,http://loinc.org|44261-6",
            "encounters": f"Encounter?patient={patient}",
            "questionnaires": f"QuestionnaireResponse?patient={patient}",
            "procedures": f"Procedure?patient={patient}",
        }
        service = {"id": "depression-suicide-risk", "hook": "patient-view", "description": "x", "prefetch": prefetch}
        return {"services": [service]}

    @app.post("/cds-services/depression-suicide-risk")
    def hook():
        body = request.get_json()
        if "encounters" not in body["prefetch"]:
            url = f"{body['fhirServer']}/Encounter?patient={body['context']['patientId']}"
            token = body["fhirAuthorization"]["access_token"]
            answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
            assert Bundle.model_validate_json(answer.content).total > 0
        if calls is not None:
            calls.append(body)
        if status != 200:
            issue = {"severity": "error", "code": "exception", "diagnostics": "Questionnaires could not be read."}
            return {"resourceType": "OperationOutcome", "issue": [issue]}, status
        wanted = expected[body["context"]["patientId"]] if cards is None else cards
        return {"cards": [a_card(one, next(numbers)) for one in wanted]}

    return app


def run(app, **changes):
    """The exit status of a demo run that ends by itself, and what it printed."""
    out = io.StringIO()
    status = run_demo(lambda _addresses: app, once=True, out=out, **changes)
    return status, out.getvalue()


def unfolded(printed):
    """Printed text without the line breaks of the terminal's width."""
    return re.sub(r"\s+", " ", printed)


@pytest.fixture
def fhir():
    app = Flask("fhir of the test")
    app.register_blueprint(fhir_server.create_blueprint(Charts(p.chart for p in PATIENTS), TOKEN))
    client = app.test_client()

    def get(path, token=TOKEN):
        return client.get(f"/fhir/{path}", headers={"Authorization": f"Bearer {token}"} if token else {})

    return get


@pytest.fixture
def clinic():
    clinic = Clinic(patients=PATIENTS, as_of=AS_OF)
    for number, patient in enumerate(PATIENTS, start=1):
        cards = tuple(a_card(one, f"{number}-{n}") for n, one in enumerate(patient.expected, start=1))
        clinic.exchanges[patient.id] = exchange(cards)
    return clinic


@pytest.fixture
def browser(clinic):
    app = Flask("page of the test", static_folder=None)
    app.register_blueprint(create_blueprint(clinic))
    return app.test_client()


def exchange(cards, **changes):
    values = {
        "request": {"hook": "patient-view", "fhirAuthorization": {"access_token": TOKEN}},
        "status": 200,
        "answer": {"cards": cards},
        "cards": cards,
        "problem": None,
        "seconds": 0.01,
    }
    return Exchange(**values | changes)


# The FHIR API


def test_metadata_is_open_and_valid(fhir):
    answer = fhir("metadata", token=None)

    statement = CapabilityStatement.model_validate_json(answer.data)

    assert answer.content_type == "application/fhir+json"
    assert statement.fhirVersion == "4.0.1"
    assert "QuestionnaireResponse" in [r.type for r in statement.rest[0].resource]


@pytest.mark.parametrize("token", [None, "", "another-token"])
def test_reads_without_the_token_are_refused(fhir, token):
    answer = fhir(f"Patient/{TOMAS.id}", token=token)

    assert answer.status_code == 401
    assert "Bearer" in answer.headers["WWW-Authenticate"]
    assert TOMAS.id not in answer.text
    OperationOutcome.model_validate_json(answer.data)


def test_a_read_gives_the_resource(fhir):
    assert fhir(f"Patient/{TOMAS.id}").get_json()["name"][0]["family"] == "Wójcik"


@pytest.mark.parametrize("path", ["Patient/nobody", "Basic/1", "Basic?patient=x"])
def test_what_is_not_there_is_a_404_outcome(fhir, path):
    answer = fhir(path)

    assert answer.status_code == 404
    OperationOutcome.model_validate_json(answer.data)


def test_a_search_gives_one_patients_resources_in_a_valid_bundle(fhir):
    found = Bundle.model_validate_json(fhir(f"Observation?patient={TOMAS.id}").data)

    assert found.type == "searchset"
    assert {entry.resource.subject.reference for entry in found.entry} == {f"Patient/{TOMAS.id}"}


def test_a_search_without_a_match_has_no_entry_at_all(fhir):
    found = fhir(f"Procedure?patient={TOMAS.id}").get_json()

    assert (found["total"], "entry" in found) == (0, False)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("code=http://loinc.org|8302-2,http://loinc.org|8867-4", {"height", "pulse"}),
        ("code=8302-2", {"height"}),
        ("code=http://snomed.info/sct|8302-2", set()),
        ("code=|8302-2", set()),
        ("category=social-history", {"smoking", "alcohol-often", "alcohol-drinks"}),
        ("category=vital-signs&code=8302-2,72166-2", {"height"}),
        ("date=gt2026-11-23", set()),
        ("date=ge2026-07-26&date=le2026-07-26&code=8302-2", {"height"}),
        ("date=lt2026-07-26", set()),
        ("date=ge2026-07-27", set()),
        ("status=final&code=8302-2", {"height"}),
        ("status=preliminary", set()),
    ],
)
def test_search_parameters_narrow_the_answer(fhir, query, ids):
    found = fhir(f"Observation?subject=Patient/{TOMAS.id}&{query}").get_json()

    assert {entry["resource"]["id"] for entry in found.get("entry", [])} == {f"tomas-{name}" for name in ids}


def test_medicines_and_visits_are_searched_by_intent_status_and_class(fhir):
    def total(query):
        return fhir(query).get_json()["total"]

    assert total(f"MedicationRequest?patient={STELLAN.id}&intent=order&status=active") == 5
    assert total(f"MedicationRequest?patient={STELLAN.id}&intent=plan") == 0
    assert total(f"Encounter?patient={STELLAN.id}&class=AMB") == 9
    assert total(f"Encounter?patient={STELLAN.id}&class=EMER") == 0


def test_a_date_that_cannot_be_read_is_a_400_that_says_so(fhir):
    answer = fhir("Observation?date=gelater")

    assert answer.status_code == 400
    assert "later" in answer.get_json()["issue"][0]["diagnostics"]


def test_pages_follow_each_other_without_gap_or_repeat(fhir):
    seen, path = [], "Observation?status=final"
    while path:
        page = fhir(path).get_json()
        assert len(page["entry"]) <= 50
        seen += [entry["resource"]["id"] for entry in page["entry"]]
        path = next((link["url"].partition("/fhir/")[2] for link in page["link"] if link["relation"] == "next"), None)

    assert len(seen) == len(set(seen)) == page["total"] > 100


def test_the_caller_may_ask_for_smaller_pages(fhir):
    page = fhir(f"Encounter?patient={STELLAN.id}&_count=4").get_json()

    assert len(page["entry"]) == 4
    assert page["link"][1]["relation"] == "next"


# The terminal


def test_every_patient_is_asked_about_over_http_and_printed():
    calls = []

    status, printed = run(answering_service(calls=calls))

    assert status == 0
    assert [call["context"]["patientId"] for call in calls] == [p.id for p in PATIENTS]
    assert all(call["context"]["userId"] == "Practitioner/demo-clinician" for call in calls)
    assert all(patient.name in printed for patient in PATIENTS)
    assert "Every patient got the expected cards." in printed


@pytest.mark.parametrize(("status", "ended"), [(200, 0), (502, 1)])
def test_a_clinic_elsewhere_is_told_why_its_cards_are_not_compared(status, ended):
    found, printed = run(answering_service(cards=[], status=status), compared=False)

    assert found == ended
    assert printed.splitlines()[-1] == "Cards are not compared: the demo expects those of the United States."
    assert (f"- {TOMAS.name}: The service could not answer" in printed) == bool(ended)


def test_what_this_patient_leaves_out_is_not_sent():
    calls = []

    run(answering_service(calls=calls))

    sent = {call["context"]["patientId"]: call["prefetch"] for call in calls}
    assert "encounters" not in sent[STELLAN.id]
    assert sent[TOMAS.id]["encounters"]["total"] == 1
    assert sent[TOMAS.id]["patient"]["id"] == TOMAS.id


def test_text_for_a_file_holds_no_control_codes_and_fits_80_columns():
    _, printed = run(answering_service())
    lines = [line for line in printed.splitlines() if "https://" not in line]

    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", printed)
    assert max(map(len, lines)) <= 80


def test_indicators_links_drafts_and_reasons_are_readable_without_colour():
    _, printed = run(answering_service())

    assert all(word in printed for word in ("CRITICAL · acute-safety", "WARNING · ", "INFO · "))
    assert "[ Draft order: PHQ-9, today ]" in printed
    assert "https://guideline.example/" + "long/" * 20 in printed
    assert "Override: Asked; documented in my note" in printed
    assert "No cards. This is not reassurance." in printed


def test_cards_that_the_demo_does_not_expect_are_listed_and_end_in_1():
    surplus = PATIENTS[0].expected

    status, printed = run(answering_service(cards=surplus))

    assert status == 1
    assert "Tomás Wójcik: expected acute-safety (critical), which did not come" in unfolded(printed)
    assert "Pilar Ostrowski: positive-safety-answer (warning) came, which was not expected" in re.sub(
        r"\s+", " ", printed
    )


def test_a_failure_is_not_shown_as_nothing_to_say():
    status, printed = run(answering_service(status=412))

    assert status == 1
    assert "status 412. Questionnaires could not be read." in unfolded(printed)
    assert "No cards. This is not reassurance." not in printed


def test_a_service_without_our_hook_is_named_in_one_sentence():
    status, printed = run(Flask("empty"))

    assert status == 1
    assert "could not be read" in unfolded(printed)
    assert "Traceback" not in printed


@pytest.mark.parametrize("host", ["192.0.2.7", "::", "example.org"])
def test_other_hosts_than_loopback_are_refused(host):
    status, printed = run(answering_service(), host=host)

    assert status == 1
    assert "loopback" in printed


def test_a_port_in_use_is_said_in_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        status, printed = run(answering_service(), port=port)

    assert status == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in unfolded(printed)


# The page


def test_every_patient_can_be_opened(browser):
    for patient in PATIENTS:
        answer = browser.get(f"/patients/{patient.id}")

        assert answer.status_code == 200
        assert f"<h1>{patient.name}</h1>" in answer.text
        assert answer.text.count("<h1") == 1


def test_a_patient_with_a_course_is_open_and_the_list_says_a_word_for_each(browser):
    page = browser.get("/").text

    assert "<h1>Marguerite Okafor</h1>" in page
    assert "Synthetic patients. Nothing here is real." in page
    assert "Monday clinic, 23 November" in page
    assert "Today is" not in page
    words = re.findall(r'<span class="word[^"]*">([^<]+)</span>', page)
    assert words == ["Ask", "Follow up", "Acute", "Ask again", "Ask again", "Follow up", "Prompt", "Ask", "Ask",
                     "Follow up", "Ask", "Check data", "Not assessed", "No card"]  # fmt: skip


NAMES = re.compile(r'<span class="who">([^<,]+), \d+</span>')


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("find=wojcik", ["Tomás Wójcik"]),
        ("find=TOMÁS+w", ["Tomás Wójcik"]),
        ("find=pain", ["Ingrid Solheim-Park", "Eleni Marchetti", "Kwabena Lindqvist"]),
        ("find=pain&sort=name", ["Eleni Marchetti", "Ingrid Solheim-Park", "Kwabena Lindqvist"]),
        ("find=nobody", []),
        ("find=%3Cscript%3Ealert(1)%3C/script%3E&sort=%00", []),
        ("find=lin&sort=urgency", ["Mei-Lin Abernathy", "Kwabena Lindqvist"]),
    ],
)
def test_the_list_is_searched_by_name_and_reason_without_a_script(browser, query, names):
    page = browser.get(f"/patients/{TOMAS.id}?{query}").text

    assert NAMES.findall(page) == names
    assert ("No patient with that name or reason." in page) == (not names)
    assert "<h1>Tomás Wójcik</h1>" in page
    assert "<script>alert" not in page


def test_sorted_by_urgency_the_most_urgent_cards_come_first_and_no_card_last(browser):
    page = browser.get("/?sort=urgency").text

    words = re.findall(r'<span class="word ?(\w*)">([^<]+)</span>', page)
    assert [indicator for indicator, _ in words] == ["critical", *["warning"] * 5, *["info"] * 7, ""]
    assert [word for _, word in words][-1] == "No card"
    assert [word for _, word in words][1:6] == ["Ask"] * 4 + ["Ask again"]


@pytest.mark.parametrize(
    ("day", "heading", "today"),
    [
        ("2026-11-27", "Friday clinic, 27 November", None),
        ("2026-11-28", "Monday clinic, 30 November", "Saturday, 28 November"),
        ("2026-11-29", "Monday clinic, 30 November", "Sunday, 29 November"),
        ("2028-12-31", "Monday clinic, 1 January", "Sunday, 31 December"),
    ],
)
def test_there_is_a_clinic_on_weekdays_and_a_weekend_is_said_as_it_is(day, heading, today):
    assert clinic_days(datetime.fromisoformat(f"{day}T03:00:00+00:00")) == (heading, today)


def test_no_card_is_said_in_words(browser):
    assert "No cards. This is not reassurance." in browser.get(f"/patients/{PATIENTS[12].id}").text


def test_no_answer_is_not_shown_as_nothing_to_say(browser, clinic):
    clinic.exchanges[TOMAS.id] = exchange(
        None, answer="", problem="The service could not answer: status 412.", status=412
    )

    page = browser.get(f"/patients/{TOMAS.id}").text

    assert "The service could not answer: status 412." in page
    assert "No cards. This is not reassurance." not in page


def test_text_of_a_card_is_never_executed(browser, clinic):
    hostile = a_card(
        TOMAS.expected[0],
        HOSTILE,
        summary=HOSTILE,
        detail=f"{HOSTILE}\n\n[x](javascript:alert(1)) ![y](https://elsewhere.example/y.png)\n\n# heading",
        links=[{"label": HOSTILE, "url": "javascript:alert(1)", "type": "absolute"},
               {"label": HOSTILE, "url": "https://guideline.example/", "type": "absolute"}],
        overrideReasons=[{"code": HOSTILE, "display": HOSTILE}],
        source={"label": HOSTILE, "topic": {"code": HOSTILE}},
    )  # fmt: skip
    clinic.exchanges[TOMAS.id] = exchange((hostile,))

    page = browser.get(f"/patients/{TOMAS.id}").text

    assert HOSTILE not in page
    assert not re.search(r"<script>|<img\b", page)
    assert 'href="javascript' not in page
    assert page.count("<h1") == 1


def test_tables_of_a_card_carry_no_inline_style():
    html = card_html("| Date | Total |\n|:--|:-:|\n| 1 Nov | 8 |")

    assert "<td>8</td>" in html
    assert "style" not in html


def test_the_page_may_load_its_own_files_and_nothing_else(browser):
    answer = browser.get("/")
    policy = answer.headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=", answer.text)
    own = re.findall(r'(?:src|<link[^>]*href)="([^"]+)"', answer.text)
    assert own == ["/static/icon.svg", "/static/demo.css", "/static/demo.js"]
    for path in own:
        with browser.get(path) as file:
            assert file.status_code == 200


def test_the_token_is_not_on_the_page(browser):
    assert TOKEN not in browser.get("/").text


A_TASK = {
    "resourceType": "Task",
    "status": "draft",
    "intent": "proposal",
    "for": {"reference": f"Patient/{TOMAS.id}"},
}
ORDER = {"card": "acute-safety", "suggestion": "ServiceRequest/44249-1"}


def test_a_pressed_suggestion_becomes_a_draft_once_and_can_be_discarded(browser):
    url = f"/patients/{TOMAS.id}"

    answers = [browser.post(f"{url}/drafts", data=ORDER) for _ in range(2)]
    taken = browser.get(url).text
    browser.post(f"{url}/drafts/discard", data=ORDER)

    assert [(a.status_code, a.headers["Location"]) for a in answers] == [(303, f"{url}#drafts")] * 2
    assert taken.count('<div class="draft">') == 1
    assert "In Drafts: Draft order: PHQ-9, today" in taken
    assert '<div class="draft">' not in browser.get(url).text


@pytest.mark.parametrize("changes", [{"card": "recent-safety"}, {"suggestion": "ServiceRequest/93373-9"}])
def test_only_what_a_card_of_the_patient_suggests_becomes_a_draft(browser, changes):
    browser.post(f"/patients/{TOMAS.id}/drafts", data=ORDER | changes)
    browser.post(f"/patients/{PATIENTS[0].id}/drafts", data=ORDER)

    assert '<div class="draft">' not in browser.get(f"/patients/{TOMAS.id}").text
    assert '<div class="draft">' not in browser.get(f"/patients/{PATIENTS[0].id}").text


def test_a_recorded_reason_leaves_the_card_in_place(browser):
    url = f"/patients/{TOMAS.id}"

    answer = browser.post(f"{url}/overrides", data={"card": "acute-safety", "reason": "asked"})
    page = browser.get(url).text

    assert answer.headers["Location"] == f"{url}#card-acute-safety"
    assert "Recorded: “Asked; documented in my note”. The finding stays in the chart." in page
    assert "Summary 2-1 of acute-safety." in page
    assert "Not acting on this card" not in page


def test_what_was_done_with_a_card_stays_with_its_topic_when_the_cards_come_anew(browser, clinic):
    url = f"/patients/{TOMAS.id}"
    browser.post(f"{url}/drafts", data=ORDER)
    browser.post(f"{url}/overrides", data={"card": "acute-safety", "reason": "asked"})

    clinic.exchanges[TOMAS.id] = exchange((a_card(TOMAS.expected[0], "other-ids"),))
    same = browser.get(url).text
    clinic.charts.create(A_TASK)
    another = browser.get(url).text

    assert "Summary other-ids" in same
    assert "Recorded: “Asked" in same
    assert "Not acting on this card" not in same
    assert "Recorded before the chart changed: “Asked" in another
    assert "Not acting on this card" in another
    assert all(page.count("In Drafts: Draft order: PHQ-9, today") == 1 for page in (same, another))


def test_cards_are_asked_anew_at_every_opening_and_after_a_write_by_the_app(browser, clinic):
    asked = []

    class Client:
        def open_chart(self, patient):
            asked.append(patient.id)
            return exchange((a_card(TOMAS.expected[0], len(asked)),))

    clinic.client = Client()
    first, second = (browser.get(f"/patients/{TOMAS.id}").text for _ in range(2))
    clinic.charts.create(A_TASK)
    browser.get(f"/patients/{STELLAN.id}")
    browser.get(f"/patients/{STELLAN.id}")

    assert "Summary 1 of" in first
    assert "Summary 2 of" in second
    assert asked == [TOMAS.id, TOMAS.id, STELLAN.id, TOMAS.id, STELLAN.id]
    assert browser.get(f"/patients/{TOMAS.id}/changes").text == "1"


def test_a_service_that_went_away_leaves_no_old_cards_on_the_page(browser, clinic):
    class Gone:
        def open_chart(self, _patient):
            raise ServiceUnreachableError("The service did not answer.")

    assert "Summary 2-1" in browser.get(f"/patients/{TOMAS.id}").text
    clinic.client = Gone()

    page = browser.get(f"/patients/{TOMAS.id}").text

    assert "The service did not answer." in page
    assert "Summary 2-1" not in page


def test_unknown_patients_and_foreign_callers_are_refused(browser):
    url = f"/patients/{TOMAS.id}/drafts"

    assert browser.get("/patients/nobody").status_code == 404
    assert browser.get("/", headers={"Host": "elsewhere.example"}).status_code == 403
    assert browser.post(url, headers={"Origin": "https://elsewhere.example"}).status_code == 403
    assert browser.post(url, headers={"Origin": "http://localhost"}).status_code == 303


# The panel


LAUNCH = "http://127.0.0.1:1/smart/launch"


@pytest.fixture
def with_app(clinic):
    """The page with an app, and the launches that were made."""
    addresses = Addresses(
        service="http://127.0.0.1:1", fhir_base="http://127.0.0.1:2/fhir", page_origin="http://localhost"
    )
    launches = []

    def new_launch(*launch):
        launches.append(launch)
        return "the-handle"

    app = Flask("page of the test", static_folder=None)
    place = AppPlace(addresses=addresses, client=registered(addresses), new_launch=new_launch)
    app.register_blueprint(create_blueprint(clinic, place))
    return app.test_client(), launches


def linked_card(url=LAUNCH, **changes):
    link = {"label": "Open detailed view", "url": url, "type": "smart", "appContext": "said by the card"}
    return a_card(TOMAS.expected[0], 1, links=[link], **changes)


def test_the_app_opens_in_the_panel_from_a_card_with_what_the_card_says(with_app, clinic):
    browser, launches = with_app
    clinic.exchanges[TOMAS.id] = exchange((linked_card(),))
    url = f"/patients/{TOMAS.id}"

    before = browser.get(url).text
    after = [browser.get(f"{url}?app={of}").text for of in ("acute-safety", "", "unknown")]

    assert "<iframe" not in before
    assert '<button class="second">Open detailed view</button>' in before
    where = f"{LAUNCH}?iss=http%3A%2F%2F127.0.0.1%3A2%2Ffhir&amp;launch=the-handle"
    assert all(f'<iframe name="app" title="Detailed view of {TOMAS.name}" src="{where}">' in page for page in after)
    assert launches == [(CLIENT_ID, TOMAS.id, said, None) for said in ("said by the card", None, None)]


def test_the_app_opens_in_a_window_of_its_own_as_it_did_in_the_panel(with_app, clinic):
    browser, launches = with_app
    clinic.exchanges[TOMAS.id] = exchange((linked_card(),))

    answer = browser.post(f"/patients/{TOMAS.id}/launch", data={"app": "acute-safety"})

    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (303, LAUNCH)
    assert launches == [(CLIENT_ID, TOMAS.id, "said by the card", None)]


def test_a_card_that_orders_a_phq_9_opens_its_form_directly(with_app, clinic):
    browser, launches = with_app
    url = f"/patients/{TOMAS.id}"
    clinic.exchanges[TOMAS.id] = exchange((linked_card(),))
    offered = browser.get(url).text
    browser.get(f"{url}?app=acute-safety&form=1")
    clinic.exchanges[TOMAS.id] = exchange((linked_card(suggestions=[]),))
    not_offered = browser.get(f"{url}?app=acute-safety&form=1").text

    assert "Answer a PHQ-9</button>" in offered
    assert "Answer a PHQ-9</button>" not in not_offered
    assert [intent for *_, intent in launches] == ["phq-9", None]


def test_a_link_to_an_app_that_is_not_registered_leads_nowhere(with_app, clinic):
    browser, launches = with_app
    clinic.exchanges[TOMAS.id] = exchange((linked_card("http://127.0.0.1:1/smart/other"),))

    page = browser.get(f"/patients/{TOMAS.id}?app=acute-safety").text

    assert "Open detailed view</button>" not in page
    assert not re.search(r'(?:href|action|src)="[^"]*/smart/other', page)
    assert launches == [(CLIENT_ID, TOMAS.id, None, None)]


def test_without_an_app_there_is_no_panel(browser):
    page = browser.get(f"/patients/{TOMAS.id}?app=").text

    assert "<iframe" not in page
    assert 'id="app"' not in page
    assert "/governance/" not in page
    assert browser.post(f"/patients/{TOMAS.id}/launch").status_code == 404


def test_until_the_app_is_opened_its_place_says_what_to_do_in_three_steps(with_app):
    browser, _ = with_app

    steps = re.findall(r"<li><strong>(\w+)", browser.get("/").text)

    assert steps == ["Read", "Open", "Answer"]
    assert "<li><strong>" not in browser.get(f"/patients/{TOMAS.id}?app=").text


def test_no_other_page_may_frame_this_one(with_app):
    assert "frame-ancestors 'none'" in with_app[0].get("/").headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Observation", "status": "final", "code": {}},
        {"resourceType": "Observation", "status": "entered-in-error", "code": {"coding": [{"code": "44260-8"}]},
         "valueInteger": 1},
        {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueQuantity": {"value": 3}},
        {"resourceType": "QuestionnaireResponse", "status": "completed", "item": []},
        {"resourceType": "QuestionnaireResponse", "status": "entered-in-error", "authored": "2026",
         "item": [{"linkId": "g", "item": [{"linkId": "1", "answer": [{"valueCoding": {}}]}, {}]}]},
        {"resourceType": "Task", "status": "draft", "intent": "proposal"},
        {"resourceType": "ServiceRequest", "status": "draft", "intent": "proposal", "code": {"text": HOSTILE}},
    ],
    ids=lambda resource: resource["resourceType"],
)  # fmt: skip
def test_whatever_an_app_wrote_can_be_shown(with_app, clinic, resource):
    subject = {"for" if resource["resourceType"] == "Task" else "subject": {"reference": f"Patient/{TOMAS.id}"}}
    stored, _ = clinic.charts.create(resource | subject)

    page = with_app[0].get(f"/patients/{TOMAS.id}").text

    assert stored["id"] in page.partition('id="written"')[2]
    assert HOSTILE not in page


def test_a_form_that_an_app_wrote_with_its_results_is_one_row(with_app, clinic):
    form, *results = demo_form(total=12)

    stored, _ = clinic.charts.create(form)
    for result in results:
        clinic.charts.create(result | {"derivedFrom": [{"reference": f"QuestionnaireResponse/{stored['id']}"}]})
    page = with_app[0].get(f"/patients/{TOMAS.id}").text
    written, facts = page.partition('id="written"')[2].split('class="facts"')

    assert facts.count("total 12, 8 of 9 questions answered") == 1
    assert re.search(r"PHQ-9 item 9</dt><dd>declined", facts)
    assert written.count('class="draft"') == 1
    assert "total 12, 8 of 9 questions answered, with 2 results" in written


def demo_form(total):
    """A PHQ-9 as the app writes it: the form, its total and an item, derived from the form."""
    subject, moment = {"reference": f"Patient/{TOMAS.id}"}, "2026-11-23T16:20:00+00:00"
    several = {"valueCoding": {"code": "LA6569-3", "display": "Several days"}}
    absent = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
    declined = {"valueCoding": {"system": absent, "code": "asked-declined", "display": "Asked But Declined"}}
    items = [{"linkId": f"/{code}", "answer": [several]} for code in codes.PHQ9_ITEMS[:8]]
    form = {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": "urn:mental-health-cds:questionnaire:phq-9|1",
        "status": "completed",
        "subject": subject,
        "authored": moment,
        "item": [*items, {"linkId": f"/{codes.PHQ9_ITEMS[8]}", "answer": [declined]}],
    }

    def result(code, text, value):
        return {
            "resourceType": "Observation",
            "status": "final",
            "category": [{"coding": [{"code": "survey"}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": code}], "text": text},
            "subject": subject,
            "effectiveDateTime": moment,
        } | value

    score = {"valueQuantity": {"value": total, "unit": "{score}", "code": "{score}"}}
    return [form, result("44261-6", "PHQ-9 total score", score), result("44250-9", "Little interest", several)]


# The real service


@pytest.fixture(scope="module")
def engine():
    return load_engine()


@pytest.mark.parametrize(
    "moment",
    ["2026-11-23T00:00:00", "2026-11-23T00:05:00", "2028-02-29T23:59:30", "2027-03-01T12:00:00", "2027-01-01T03:00:00"],
)
def test_the_expected_cards_come_on_whatever_day_the_demo_runs(engine, moment):
    as_of = datetime.fromisoformat(moment).replace(tzinfo=UTC)

    status, printed = run(create_app(demo_config(), engine=engine, now=lambda: as_of), as_of=as_of)

    assert status == 0, printed


def test_whatever_the_service_suggests_can_be_drafted_and_is_listed(engine):
    with running(engine=engine) as run:
        clinic, page = run.ehr.clinic, run.addresses.page_origin
        drafted = 0
        for patient in clinic.patients:
            clinic.open(patient)
            for card in clinic.cards(patient):
                for suggestion in card.get("suggestions", ()):
                    form = {"card": topic(card), "suggestion": proposal_of(suggestion)}
                    requests.post(f"{page}/patients/{patient.id}/drafts", data=form, timeout=60)
                    assert suggestion["actions"][0]["resource"] in [draft.resource for draft in clinic.drafts(patient)]
                    drafted += 1
            listed = requests.get(f"{page}/patients/{patient.id}", timeout=60).text
            assert listed.count("not signed.") == listed.count("In Drafts: ") == len(clinic.drafts(patient))

    assert drafted > 14


@contextmanager
def command(*arguments):
    """The running command; whatever a test finds, it does not outlive it."""
    environment = os.environ | {"PYTHONWARNINGS": "default", "COLUMNS": "80"}
    # A shell in the background has its children ignore Ctrl-C, and they theirs.
    process = subprocess.Popen(
        [*MHCDS, "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # nothing but that
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_the_demo_shows_every_expected_card_and_ends_with_0():
    with command("--once") as demo:
        printed, errors = demo.communicate()

    assert demo.returncode == 0, printed + errors
    assert all(patient.name in printed for patient in PATIENTS)
    assert "\x1b" not in printed


def test_the_staying_demo_tells_the_crisis_team_and_ctrl_c_ends_it_cleanly():
    with command() as demo:
        address = None
        for line in demo.stdout:
            if line.startswith("Page: "):
                address = line.removeprefix("Page: ").strip()
            if line.startswith("Open it"):
                break
        page = requests.get(address, timeout=60).text
        until = time.monotonic() + 60
        # The pager has its message a moment before it is on record for the card.
        wanted = ("Acute answer: TW", "Crisis team was sent a message at")
        while any(words not in requests.get(f"{address}patients/{TOMAS.id}", timeout=60).text for words in wanted):
            assert time.monotonic() < until, "the pager has no message, or the card does not say so"
            time.sleep(0.2)
        demo.send_signal(signal.SIGINT)
        rest, errors = demo.communicate(timeout=120)

    assert "<h1>Marguerite Okafor</h1>" in page
    assert demo.returncode == 0, rest + errors
    assert "Traceback" not in errors
