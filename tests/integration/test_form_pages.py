"""The pages of a form, from an empty one to the chart: with a real FHIR server, a real store and the app's own routes."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import AS_OF, LOINC, PATIENT, care_plan, given, moment, observation, patient, record_of
from ehr import recorded
from form_desk import SCOPES, Desk, desks, hidden, said, words
from real_server import TOKEN, answering, losing_the_answer

from cds_service.errors import StoreUnavailable
from cds_service.storage.app_store import AppRows
from fhir_adapters.writing.drafts import CSSRS
from fhir_adapters.writing.questionnaires import form
from models.rules.findings import Kind, Topic
from models.rules.safety_rules import apply_safety_rules
from smart_launch.chart.reading import read_chart
from smart_launch.errors import EhrFailed
from smart_launch.forms import entry, result
from smart_launch.launch.signer import with_name
from smart_launch.oauth.scopes import CONSENT, READ_TYPES
from smart_launch.session.sessions import User


@pytest.fixture
def desk_of(server, tmp_path):
    with desks(server, tmp_path) as make:
        yield make


READING = (*SCOPES, *(f"patient/{kind}.rs" for kind in (*READ_TYPES, CONSENT)))
NINE = (1, 1, 1, 1, 1, 1, 1, 1, 0, 2)
PHQ9 = said("phq-9", *NINE)


def reviewed(desk: Desk, fields: dict | None = None) -> dict[str, str]:
    page = desk.post("forms/phq-9", fields or PHQ9)
    assert page.status_code == 200, words(page)
    return hidden(page)


def test_an_empty_form_has_every_question_and_no_answer(desk_of) -> None:
    page = desk_of().get("forms/phq-9")

    text = page.get_data(as_text=True)
    assert page.status_code == 200
    assert text.count("<fieldset") == text.count("<legend") == 10
    assert text.count('type="radio"') == 50
    assert " checked>" not in text and "style=" not in text and "<script>" not in text
    assert "Okafor" in words(page) and "Pfizer" in words(page)
    assert all(q.text in words(page) for q in form("phq-9").questions)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"


def test_a_form_goes_into_the_chart_in_three_steps_and_can_be_undone(desk_of) -> None:
    desk = desk_of()
    review = desk.post("forms/phq-9", PHQ9)
    assert "PHQ-9 total 8 of 27, mild One form with 10 answers" in words(review)
    assert "Signed as you, with your EHR sign-in" in words(review) and "Practitioner/doc" not in words(review)
    assert desk.stored() == []

    done = desk.post("forms/phq-9/write", hidden(review))

    assert done.status_code == 200
    assert "Written to the chart" in words(done) and "QuestionnaireResponse/" in words(done)
    found = desk.stored()
    assert len(found) == 12
    assert found[0]["author"]["reference"].endswith("Practitioner/doc")
    assert found[0]["encounter"]["reference"].endswith("Encounter/e1")
    (read,) = record_of(*found, who=patient() | {"id": desk.who}).administrations
    assert (read.total, read.score("9")) == (8, 0)

    submission = hidden(review)["submission"]
    assert "Written to the chart" in words(desk.get(f"written/{submission}"))
    who = hidden(review)["who"]
    undone = desk.post(f"written/{submission}/undo", {"who": who})
    assert undone.status_code == 200 and "Undone" in words(undone)
    assert {r["status"] for r in desk.stored()} == {"entered-in-error"}


def test_whoever_signs_is_named_on_the_page_and_in_the_chart(desk_of) -> None:
    doctor = User(iss="https://ehr.example", subject="u1", fhir_user="Practitioner/doc", name="Dr Robin Lindqvist")
    desk = desk_of(user=doctor)
    review = desk.post("forms/phq-9", PHQ9)
    desk.post("forms/phq-9/write", hidden(review))
    form_, *observations = desk.stored()

    assert "Signed as Dr Robin Lindqvist." in words(review)
    assert {form_["author"]["display"], *(o["performer"][0]["display"] for o in observations)} == {doctor.name}
    assert all(coding["display"] for o in observations for coding in o["code"]["coding"])
    assert all(a["valueCoding"]["display"] for item in form_["item"] for a in item["answer"])
    assert not any("display" in resource["subject"] for resource in desk.stored())
    desk.post("tasks/write", hidden(desk.post("tasks", {"days": "7"})))
    assert desk.stored()[-1]["requester"]["display"] == doctor.name


@pytest.mark.parametrize(
    ("practitioner", "name"),
    [
        ({"name": [{"family": "Lindqvist", "given": ["Robin"], "prefix": ["Dr"]}]}, "Dr Robin Lindqvist"),
        ({"name": [{"text": "R. Lindqvist, NP"}]}, "R. Lindqvist, NP"),
        ({"name": [{"use": "old", "family": "Berg"}, {"family": "Lindqvist"}]}, "Lindqvist"),
        ({"name": [{"given": ["Robin"]}]}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_name_of_who_signs_is_read_from_the_chart(server, practitioner: dict | None, name: str | None) -> None:
    """None: the server refuses to show it."""
    server.reset()
    server.transaction([{"resourceType": "Practitioner", "id": "signer"} | (practitioner or {})])
    if practitioner is None:
        server.fail("Practitioner/signer", answering(403))
    user = User(iss="https://ehr.example", subject="u1", fhir_user="Practitioner/signer")

    assert with_name(user, server.base, TOKEN).name == name


def test_the_name_of_another_practitioner_signs_nothing(server) -> None:
    server.reset()
    server.transaction([{"resourceType": "Practitioner", "id": "signer", "name": [{"family": "Lindqvist"}]}])
    server.fail("Practitioner/signer", change=lambda found: found | {"id": "other"})
    user = User(iss="https://ehr.example", subject="u1", fhir_user="Practitioner/signer")

    assert with_name(user, server.base, TOKEN) == user


def test_each_open_question_is_named_and_what_was_answered_stays(desk_of) -> None:
    desk = desk_of()

    page = desk.post("forms/phq-9", said("phq-9", 1, 1, None, "declined", 1, 1, 1, 1, None))

    assert page.status_code == 422
    assert "Question 3 is not answered yet. Choose an answer, or “Patient declined”." in words(page)
    text = page.get_data(as_text=True)
    assert 'href="#q-44259-0-1"' in text and 'id="q-44259-0-1"' in text
    assert text.count(" checked>") == 7 and "autofocus" in text
    assert "Error:" in re.search("<title>(.*?)</title>", text, re.DOTALL)[1]


@pytest.mark.parametrize("nine", [1, 2, 3, "declined"])
def test_item_9_brings_the_steps_on_review_and_on_the_page_after_it(desk_of, nine) -> None:
    desk = desk_of(scopes=READING)
    answers = said("phq-9", *[0] * 8, nine)
    review = desk.post("forms/phq-9", answers)
    done = desk.post("forms/phq-9/write", hidden(review))

    for page in (review, done):
        text = words(page)
        assert "PHQ-9 item 9:" in text and "988" in text and "ext. 4410 (set by this site)" in text
        assert text.count("Nobody has been notified.") == 1
    assert ("no total" in words(review)) is (nine == "declined")


def test_the_steps_name_the_crisis_line_in_the_patients_language_on_every_page_of_a_form(desk_of) -> None:
    spanish = {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es-MX"}]}}
    desk = desk_of(patient(communication=[spanish]), scopes=READING)
    answers = said("phq-9", *[0] * 8, 1)
    review = desk.post("forms/phq-9", answers)

    for page in (desk.get("forms/phq-9"), review, desk.post("forms/phq-9/write", hidden(review))):
        assert "988 Lifeline in Spanish, call 988, then press 2" in words(page)


def test_without_item_9_the_steps_are_not_on_the_review_page(desk_of) -> None:
    assert "988" not in words(desk_of().post("forms/phq-9", PHQ9))


def test_answers_can_be_changed_from_the_review_page(desk_of) -> None:
    desk = desk_of()

    page = desk.post("forms/phq-9", reviewed(desk) | {"edit": "1"})

    assert page.status_code == 200
    assert page.get_data(as_text=True).count(" checked>") == 10
    assert "not answered yet" not in words(page)


def test_a_phq_2_of_3_offers_the_phq_9_with_its_answers(desk_of) -> None:
    desk = desk_of()
    review = desk.post("forms/phq-2", said("phq-2", 1, 2))
    assert "complete the PHQ-9" in words(review) and "PHQ-2 total 3 of 6" in words(review)

    page = desk.post("forms/phq-9", said("phq-2", 1, 2) | {"edit": "1"})

    assert page.status_code == 200 and page.get_data(as_text=True).count(" checked>") == 2
    done = desk.post("forms/phq-2/write", hidden(review))
    assert done.status_code == 200 and len(desk.stored()) == 4
    assert "complete the PHQ-9" not in words(desk.post("forms/phq-2", said("phq-2", 1, 1)))


# ---- twice, at once, lost, refused ----


def test_a_second_press_and_two_at_once_write_nothing_new(desk_of) -> None:
    desk = desk_of()
    carried = reviewed(desk)
    gate = threading.Barrier(2)

    def press(_number: int):
        gate.wait()
        return desk.post("forms/phq-9/write", carried)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(press, range(2)))
    again = desk.post("forms/phq-9/write", carried)

    assert [r.status_code for r in (*results, again)] == [200] * 3
    assert len({words(r) for r in (*results, again)}) == 1
    assert len(desk.stored()) == 12


def test_a_partial_failure_says_which_and_the_next_press_writes_the_rest(desk_of, server) -> None:
    desk = desk_of()
    carried = reviewed(desk)
    server.fail("Observation", answering(403), method="POST")

    half = desk.post("forms/phq-9/write", carried)

    assert half.status_code == 502
    assert "Only part of it is in the chart" in words(half) and "The EHR rejected it" in words(half)
    missing, there = words(half).split("Not in the chart")[1].split("Sources")
    assert "The total" in missing and "The completed form" in there and "<details open>" in half.text
    server.reset()
    rest = hidden(half)
    assert rest == carried
    done = desk.post("forms/phq-9/write", rest)
    assert done.status_code == 200 and len(desk.stored()) == 12


def test_a_store_that_fails_after_the_chart_took_the_form_leaves_no_second_one(desk_of, monkeypatch) -> None:
    desk = desk_of()
    carried = reviewed(desk)
    note_written = AppRows.note_written

    def fails(self: AppRows, submission: str, slot: str, reference: str) -> None:
        if slot == "form":
            raise StoreUnavailable("down")
        note_written(self, submission, slot, reference)

    with monkeypatch.context() as down:
        down.setattr(AppRows, "note_written", fails)
        failed = desk.post("forms/phq-9/write", carried)
    desk.clock[0] += timedelta(seconds=61)
    again = desk.post("forms/phq-9/write", carried)

    assert failed.status_code == 503
    assert 'data-page="in-doubt"' in failed.get_data(as_text=True)
    assert "Check the chart before you enter it again" in words(failed)
    assert again.status_code == 200
    assert len(desk.stored()) == 12


def test_a_lost_answer_is_no_second_form(desk_of, server) -> None:
    desk = desk_of()
    carried = reviewed(desk)
    server.fail("QuestionnaireResponse", answering(400), method="POST", times=1)
    server.fail("QuestionnaireResponse", losing_the_answer, method="POST", times=1)

    assert desk.post("forms/phq-9/write", carried).status_code == 200
    assert len(desk.stored()) == 12


# ---- forged, foreign, not allowed ----


@pytest.mark.parametrize(
    "change",
    [
        {"q-44260-8": "LA9999-9"},
        {"q-1234-5": "LA6568-5"},
        {"submission": "x"},
        {"submission": "../../" + "x" * 30},
        {"at": "0"},
        {"at": "99999999999"},
        {"at": "now"},
        {"who": ""},
        {"q-44260-8": ""},
    ],
)
def test_forged_fields_write_nothing(desk_of, change: dict) -> None:
    desk = desk_of()

    page = desk.post("forms/phq-9/write", reviewed(desk) | change)

    assert page.status_code == 400
    assert desk.stored() == [] and desk.server.writes() == []


def test_repeated_fields_are_refused(desk_of) -> None:
    desk = desk_of()
    assert desk.post("forms/phq-9", PHQ9 | {"q-44260-8": ["LA6568-5", "LA6571-9"]}).status_code == 400


def test_smart_092_a_form_of_another_page_or_without_our_token_is_refused(desk_of) -> None:
    desk = desk_of()
    carried = reviewed(desk)

    for path in ("forms/phq-9", "forms/phq-9/write", f"written/{carried['submission']}/undo", "tasks", "tasks/write"):
        assert desk.post(path, carried | {"csrf": "x" * 43}).status_code == 403
        assert desk.post(path, carried, Origin="https://elsewhere.example").status_code == 403
    assert desk.server.writes() == []


def test_a_submission_of_another_launch_is_not_shown_and_not_undone(desk_of) -> None:
    desk = desk_of()
    carried = reviewed(desk)
    desk.post("forms/phq-9/write", carried)
    desk.open("launch-b")
    other = replace(desk, launch="launch-b")

    assert other.get(f"written/{carried['submission']}").status_code == 404
    assert other.post(f"written/{carried['submission']}/undo", {"who": carried["who"]}).status_code == 404
    assert "entered-in-error" not in {r["status"] for r in desk.stored()}
    # The same id in another launch is another submission, and the patient's mark is of the first launch.
    page = other.post("forms/phq-9/write", carried)
    assert page.status_code == 502 and "have changed since this page was shown" in words(page)
    assert len(desk.stored()) == 12


def test_smart_072_a_patient_who_changed_since_the_page_was_shown_stops_the_write(desk_of, server) -> None:
    desk = desk_of()
    carried = reviewed(desk)
    server.transaction([patient(name=[{"family": "Someone-Else"}]) | {"id": desk.who}])

    page = desk.post("forms/phq-9/write", carried)

    assert page.status_code == 502 and "have changed since this page was shown" in words(page)
    assert server.writes() == []


def test_smart_072_another_patient_sent_by_the_server_is_not_believed(desk_of, server) -> None:
    desk = desk_of()
    carried = reviewed(desk)
    server.fail(f"Patient/{desk.who}", change=lambda p: p | {"id": "other"})

    assert desk.post("forms/phq-9/write", carried).status_code == 502
    assert desk.get("forms/phq-9").status_code == 502
    assert server.writes() == []


@pytest.mark.parametrize(
    ("who", "status", "text"),
    [
        ({"birthDate": "2009-01-15"}, 200, "use the PHQ-9M in the chart"),
        ({"deceasedBoolean": True}, 200, "recorded as deceased"),
        ({"deceasedDateTime": "2026-01-01"}, 200, "recorded as deceased"),
        ({"birthDate": None}, 200, "Question"),
    ],
)
def test_who_is_offered_a_form(desk_of, who: dict, status: int, text: str) -> None:
    found = {k: v for k, v in (patient() | who).items() if v is not None}
    desk = desk_of(found)

    page = desk.get("forms/phq-9")

    offered = text == "Question"
    assert page.status_code == status
    assert (text in words(page)) or offered
    assert ("<fieldset" in page.get_data(as_text=True)) is offered
    checked = desk.post("forms/phq-9", PHQ9)
    assert ("Write to chart" in words(checked)) is offered


@pytest.mark.parametrize("allowed", [(), ("patient/QuestionnaireResponse.rs",), ("patient/Observation.cruds",)])
def test_smart_042_without_the_right_to_write_the_form_none_is_offered(desk_of, allowed: tuple) -> None:
    desk = desk_of(scopes=("patient/Patient.rs", *allowed))

    for page in (desk.get("forms/phq-9"), desk.post("forms/phq-9", PHQ9)):
        assert "does not allow this app to write" in words(page)


def test_a_site_that_wants_no_writing_has_none(desk_of) -> None:
    desk = desk_of(write_back=False)

    assert "does not allow this app to write" in words(desk.get("forms/phq-9"))
    assert "does not allow this app to write" in words(desk.get("tasks/new"))


def test_without_the_right_to_write_observations_the_form_goes_in_alone(desk_of) -> None:
    desk = desk_of(scopes=("patient/Patient.rs", "patient/QuestionnaireResponse.cruds"))

    page = desk.post("forms/phq-9/write", reviewed(desk))

    assert page.status_code == 502 and "did not allow this app to write all of it" in words(page)
    assert [r["resourceType"] for r in desk.stored()] == ["QuestionnaireResponse"]
    assert "Write the rest" not in words(page)


@pytest.mark.parametrize("user", [None, User(iss="https://ehr.example", subject="u1", fhir_user="Person/x")])
def test_smart_076_whoever_is_not_known_as_a_practitioner_writes_nothing(desk_of, user: User | None) -> None:
    desk = desk_of(user=user)

    for page in (
        desk.get("forms/phq-9"),
        desk.post("forms/phq-9", PHQ9),
        desk.get("tasks/new"),
        desk.post("tasks", {"days": "7"}),
    ):
        assert page.status_code == 200 and "did not say who you are" in words(page)
    known = {"submission": "x" * 43, "at": str(int(AS_OF.timestamp())), "who": "0" * 32}
    assert "did not say who you are" in words(desk.post("forms/phq-9/write", PHQ9 | known))
    assert "did not say who you are" in words(desk.post("tasks/write", {"days": "7"} | known))
    assert desk.server.writes() == []


def test_smart_082_a_token_that_the_server_no_longer_takes_is_renewed_once(desk_of, server, monkeypatch) -> None:
    desk = desk_of(refresh_token="r")
    carried = reviewed(desk)
    renewed = []

    def refreshed(_app, _registration, session):
        renewed.append(session.version)
        return session

    monkeypatch.setattr(entry, "refresh_session", refreshed)
    server.fail(f"Patient/{desk.who}", answering(401), times=1)
    assert desk.post("forms/phq-9/write", carried).status_code == 200
    assert renewed == [0] and len(desk.stored()) == 12

    server.fail(f"Patient/{desk.who}", answering(401), times=2)
    assert desk.get("forms/phq-9").status_code == 502


def test_a_token_that_is_over_and_cannot_be_renewed_is_an_error_page(desk_of, server) -> None:
    desk = desk_of()
    server.fail(f"Patient/{desk.who}", answering(401))

    assert desk.get("forms/phq-9").status_code == 502


def test_undo_is_offered_for_ten_minutes_where_the_server_lets_us(desk_of) -> None:
    desk = desk_of()
    carried = reviewed(desk)
    assert "Undo" in words(desk.post("forms/phq-9/write", carried))

    desk.clock[0] += timedelta(minutes=10, seconds=1)

    later = desk.get(f"written/{carried['submission']}")
    assert "Undo" not in words(later) and "mark it as entered in error in the chart" in words(later)
    refused = desk.post(f"written/{carried['submission']}/undo", {"who": carried["who"]})
    assert refused.status_code == 502 and "too late" in words(refused)
    assert "entered-in-error" not in {r["status"] for r in desk.stored()}


def test_forms_that_are_not_ours_and_submissions_that_never_were_have_no_page(desk_of) -> None:
    desk = desk_of()
    for path in ("forms/c-ssrs", "forms/phq-9m", "written/" + "x" * 43, "written/x"):
        assert desk.get(path).status_code == 404
    assert desk.post("written/" + "x" * 43 + "/undo").status_code == 404


def test_smart_097_100_what_was_written_is_on_record_and_nothing_of_the_answers_or_the_token(
    desk_of, tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = desk_of()
    with caplog.at_level("INFO"):
        desk.post("forms/phq-9/write", reviewed(desk, said("phq-9", *[3] * 9, 3)))

    kept = b"".join(path.read_bytes() for path in (tmp_path / "store").iterdir())
    for text in ("LA6571", "Okafor", "Nearly every day", TOKEN, "44260-8"):
        assert text not in caplog.text and text.encode() not in kept
    assert '"what": "written"' in caplog.text
    (event,) = events(desk, "written")
    assert event["form"] == "phq-9" and event["launch"] == desk.launch and event["fault"] is None
    assert event["slots"][:2] == ["form", "total"] and event["missing"] == []
    assert event["user"].startswith("pseudonym") and event["patient"].startswith("pseudonym")


def test_a_phq_9_that_is_written_is_a_result_on_record_until_it_is_taken_back(desk_of, caplog) -> None:
    desk = desk_of(scopes=READING)
    carried = reviewed(desk, said("phq-9", *[2] * 8, 0))
    with caplog.at_level("INFO"):
        done = desk.post("forms/phq-9/write", carried)
        desk.get("")
        taken = desk.post(f"written/{carried['submission']}/undo", {"who": carried["who"]})

    assert (done.status_code, taken.status_code) == (200, 200)
    after_writing, summary = (event["measured"] for event in events(desk, "shown"))
    assert after_writing == summary
    assert [(r["outcome"], r["positive"]) for r in summary] == [("depression", True), ("suicidal-ideation", False)]
    (undone,) = (event["measured"] for event in events(desk, "undone"))
    assert [(r["outcome"], r["positive"], r["id"]) for r in undone] == [(r["outcome"], None, r["id"]) for r in summary]
    assert "QuestionnaireResponse" not in str([*summary, *undone])
    assert '"what": "undone"' in caplog.text and "measured" not in caplog.text


def test_a_phq_2_that_is_written_is_no_result(desk_of) -> None:
    desk = desk_of(scopes=READING)
    page = desk.post("forms/phq-2", said("phq-2", 3, 3))
    desk.post("forms/phq-2/write", hidden(page))
    desk.post(f"written/{hidden(page)['submission']}/undo", {"who": hidden(page)["who"]})

    assert {event["what"] for event in (row["event"] for row in recorded(desk.store.store, "app"))} >= {
        "shown",
        "undone",
    }
    assert not any("measured" in row["event"] for row in recorded(desk.store.store, "app"))


def test_smart_098_nothing_of_the_chart_is_taken_for_markup(desk_of) -> None:
    name = '"><script>alert(1)</script>'
    desk = desk_of(patient(name=[{"text": name}], identifier=[{"value": "<b>7</b>"}]))

    for page in (desk.get("forms/phq-9"), desk.post("forms/phq-9", PHQ9), desk.get("tasks/new")):
        text = page.get_data(as_text=True)
        assert "<script>" not in text and "<b>7" not in text
        assert name in words(page) or "alert(1)" in words(page)


# ---- drafts ----


@pytest.mark.parametrize("order", ["assessment", "c-ssrs", "phq-9", "phq-9m"])
def test_the_order_that_a_finding_calls_for_is_chosen_already(desk_of, order: str) -> None:
    desk = desk_of()

    assert f'name="order" id="order" value="{order}" checked' in desk.get(f"tasks/new?order={order}").text
    assert 'value="assessment">' in desk.get("tasks/new").text, "may be added to a contact"
    assert 'value="assessment">' in desk.get("tasks/new?order=contact").text


def test_an_order_goes_into_the_chart_without_a_contact(desk_of) -> None:
    desk = desk_of(scopes=("patient/Patient.rs", "patient/ServiceRequest.c"))
    assert "Within 7 days" not in words(desk.get("tasks/new?order=c-ssrs"))

    review = desk.post("tasks", {"order": "c-ssrs"})
    done = desk.post("tasks/write", hidden(review))

    assert "Draft order: C-SSRS screener, today" in words(review) and "follow-up contact" not in words(review)
    assert "Draft order: C-SSRS screener, today" in words(done)
    (order,) = desk.stored()
    assert (order["resourceType"], order["status"], order["code"]["coding"][0]["code"]) == (
        "ServiceRequest",
        "draft",
        CSSRS.code,
    )


def test_a_draft_task_and_order_go_into_the_chart_in_three_steps(desk_of) -> None:
    desk = desk_of()
    assert desk.get("tasks/new").status_code == 200

    review = desk.post("tasks", {"days": "7", "order": "assessment"})
    assert "within 7 days, by 30 Nov 2026" in words(review) and desk.stored() == []
    done = desk.post("tasks/write", hidden(review))
    desk.post("tasks/write", hidden(review))

    assert done.status_code == 200 and "Written to the chart" in words(done)
    task, order = desk.stored()
    assert (task["resourceType"], task["status"], task["restriction"]["period"]["end"]) == (
        "Task",
        "draft",
        "2026-11-30",
    )
    assert (order["resourceType"], order["status"]) == ("ServiceRequest", "draft")
    assert task["requester"]["reference"].endswith("Practitioner/doc")
    assert "Undo" not in words(done)  # the right to change tasks is not asked for


def test_without_any_choice_the_page_asks_for_one(desk_of) -> None:
    desk = desk_of()

    for fields in ({}, {"days": ""}):
        page = desk.post("tasks", fields)
        assert page.status_code == 422 and "Choose what to draft" in words(page)
        assert " checked>" not in page.get_data(as_text=True)
    assert desk.post("tasks", {"days": "7", "edit": "1"}).status_code == 200


@pytest.mark.parametrize("fields", [{"days": "8"}, {"days": ["7", "1"]}, {"days": "7", "order": "yes"}, {"days": "07"}])
def test_forged_choices_are_refused(desk_of, fields: dict) -> None:
    desk = desk_of()
    assert desk.post("tasks", fields).status_code == 400
    assert desk.post("tasks/write", fields).status_code == 400


@pytest.mark.parametrize(
    ("who", "text"),
    [({"birthDate": "2011-01-15"}, "Within 7 days"), ({"deceasedBoolean": True}, "recorded as deceased")],
)
def test_a_minor_can_be_followed_up_and_somebody_who_died_cannot(desk_of, who: dict, text: str) -> None:
    assert text in words(desk_of(patient() | who).get("tasks/new"))


# ---- after writing ----


def moved(resource: dict, who: str) -> dict:
    """The resource in that patient's chart."""
    return json.loads(json.dumps(resource).replace(f"Patient/{PATIENT}", f"Patient/{who}"))


def before(days: int, total: int) -> dict:
    """A PHQ-9 total of some days ago."""
    return observation(LOINC, "44261-6", moment(f"{days} days ago"), {"valueInteger": total}) | {"id": f"before-{days}"}


AFTER = [
    # (answers, earlier totals) -> result in words, word of the finding, the one button
    ((1, 1, 1, 1, 1, 1, 1, 1, 0), (), "PHQ-9 8, mild; item 9 “not at all”", None, None),
    ((1, 1, 1, 1, 1, 1, 1, 1, 0), ((60, 17),), "; down 9 points from 17 on", None, None),
    ((2, 2, 2, 2, 2, 2, 2, 2, 0), ((60, 12),), "PHQ-9 16, moderately severe; item 9 “not at all”; up 4 points from 12", "Follow up", "Draft follow-up task"),
    ((0, 0, 0, 0, 0, 0, 0, 0, 1), ((60, 12),), "PHQ-9 1, minimal; down 11 points", "Ask", "Draft order: C-SSRS screener, today"),
    ((3, 3, 3, 3, 3, 3, 3, 3, 3), (), "PHQ-9 27, severe", "Ask", "Draft order: suicide risk assessment, today"),
]  # fmt: skip


@pytest.mark.parametrize(("nine", "earlier", "result", "word", "button"), AFTER)
def test_after_writing_the_page_says_what_follows_as_the_summary_does(
    desk_of, nine: tuple, earlier: tuple, result: str, word: str | None, button: str | None
) -> None:
    desk = desk_of(scopes=READING)
    desk.server.transaction([moved(before(days, total), desk.who) for days, total in earlier])

    done = desk.post("forms/phq-9/write", reviewed(desk, said("phq-9", *nine)))

    main = re.findall(r'<a class="button" href="[^"]*">([^<]*)</a>', done.text)
    assert done.status_code == 200 and words(done).partition("Text for your note")[0].count(result) == 1
    assert "Nothing to show" not in words(done)
    assert main == ([button] if button else [])
    assert re.findall(r'<p class="word">([^<]*)</p>', done.text) == ([word] if word else [])
    assert main == re.findall(r'<a class="button" href="[^"]*">([^<]*)</a>', desk.get("").text)
    assert words(done).count("notified") == (1 if word == "Ask" else 0)
    assert "QuestionnaireResponse/" not in words(done).partition("Sources")[0]


def test_a_zero_written_after_a_safety_finding_says_that_it_does_not_rule_out_risk(desk_of) -> None:
    desk = desk_of(scopes=READING)
    desk.server.transaction([moved(found, desk.who) for found in given("Condition T14.91XA, 41 days ago")])

    done = words(desk.post("forms/phq-9/write", reviewed(desk, said("phq-9", *[0] * 9))))

    assert "PHQ-9 0, minimal; item 9 “not at all”. That does not rule out risk." in done
    assert "Suicide attempt recorded 41 days ago" in done


def test_a_chart_that_does_not_give_the_form_back_yet_leaves_what_was_written(desk_of, server) -> None:
    desk = desk_of(scopes=READING)
    carried = reviewed(desk, said("phq-9", *[0] * 8, 1))
    for kind in ("QuestionnaireResponse", "Observation"):  # the search of the chart, not that for what was just sent
        server.fail(f"{kind}?patient=", change=lambda bundle: bundle | {"entry": [], "total": 0})

    done = desk.post("forms/phq-9/write", carried)

    assert done.status_code == 200 and "Written to the chart" in words(done)
    assert "PHQ-9 total 1 of 27, minimal" in words(done) and "the summary may not show this result yet" in words(done)
    assert "988" in words(done) and "ext. 4410 (set by this site)" in words(done)
    (known,) = (event["measured"] for event in events(desk, "measured"))
    assert [(r["outcome"], r["positive"]) for r in known] == [("depression", False), ("suicidal-ideation", True)]
    assert events(desk, "shown") == []


@pytest.mark.parametrize("failure", [EhrFailed("chart: gone", "no-chart"), RuntimeError("Mirta")])
def test_whatever_fails_after_writing_leaves_what_was_written(desk_of, monkeypatch, caplog, failure) -> None:
    desk = desk_of(scopes=READING)
    carried = reviewed(desk)

    def fails(*_args) -> None:
        raise failure

    monkeypatch.setattr(result, "read_chart", fails)
    done = desk.post("forms/phq-9/write", carried)

    assert done.status_code == 200 and "Undo" in words(done) and "PHQ-9 total 8 of 27, mild" in words(done)
    assert ('"type": "RuntimeError"' in caplog.text) is isinstance(failure, RuntimeError)
    assert "Mirta" not in caplog.text


def test_a_chart_that_is_slow_to_read_keeps_nobody_from_knowing_that_it_is_written(
    desk_of, monkeypatch, in_parts
) -> None:
    desk = desk_of(scopes=READING)
    carried = reviewed(desk)
    over = threading.Event()

    def slow(app, launch):
        assert over.wait(60)
        return read_chart(app, launch)

    monkeypatch.setattr(result, "read_chart", slow)
    done = desk.client().post(
        f"/smart/app/{desk.launch}/forms/phq-9/write",
        base_url="https://cds.example",
        data={"csrf": "c" * 43} | carried,
        headers={"Origin": "https://cds.example", "Sec-Fetch-Site": "same-origin"},
        buffered=False,
    )
    first = next(done.iter_encoded()).decode()
    assert "Written to the chart. Reading it again…" in first and len(desk.stored()) == 12
    over.set()
    assert "PHQ-9 8, mild" in b"".join(done.iter_encoded()).decode()


# ---- why a finding is not acted on ----


def events(desk: Desk, what: str) -> list[dict]:
    found = [row["event"] for row in recorded(desk.store.store, "app")]
    return [event for event in found if event["what"] == what and event["launch"] == desk.launch]


def test_an_override_is_on_record_and_the_finding_stays(desk_of) -> None:
    desk = desk_of()

    answer = desk.post("override", {"topic": "positive-safety-answer", "reason": "assessed"})

    assert answer.status_code == 303
    page = desk.get(answer.headers["Location"].partition(f"{desk.launch}/")[2])
    assert "Recorded as feedback, not in the chart: “Assessed; documented in my note”. The finding stays." in words(
        page
    )
    (event,) = events(desk, "overridden")
    assert (event["topic"], event["reason"]) == ("positive-safety-answer", "assessed")
    assert desk.stored() == []
    assert "Recorded:" not in words(desk.get("?recorded=positive-safety-answer.cured"))


@pytest.mark.parametrize(
    "fields",
    [{}, {"topic": "positive-safety-answer", "reason": "estimate-wrong"}, {"topic": "none", "reason": "assessed"}],
)
def test_an_override_that_the_page_does_not_offer_is_refused(desk_of, fields: dict) -> None:
    desk = desk_of()

    assert desk.post("override", fields).status_code == 400
    assert not events(desk, "overridden")


def test_steps_since_are_not_read_without_the_right_and_found_with_it(desk_of) -> None:
    fewer = tuple(scope for scope in READING if "CarePlan" not in scope and "Appointment" not in scope)
    desk = desk_of(scopes=fewer)
    desk.post("forms/phq-9/write", reviewed(desk, said("phq-9", *[1] * 9)))
    desk.clock[0] = AS_OF + timedelta(minutes=5)
    made = care_plan("today") | {"created": (AS_OF + timedelta(minutes=2)).isoformat()}
    desk.server.transaction([moved(made, desk.who)])

    without = words(desk.get(""))
    desk.open("launch-b", scopes=READING)
    desk.launch = "launch-b"
    found = words(desk.get(""))

    assert "None found since: suicide risk assessment. Not read: safety plan; follow-up appointment." in without
    assert "care plans" not in without and "appointments" not in without
    assert "On file since: safety plan, 23 Nov 2026" in found
    assert "None found since: suicide risk assessment; follow-up appointment." in found


# The places of the chosen answers; what is found in the chart afterwards: kinds, and topics as the card has them.
WRITTEN = (
    ("phq-9", (1, 1, 1, 1, 1, 1, 1, 1, 1), {Kind.SELF_HARM_ITEM}, Topic.POSITIVE_SAFETY_ANSWER),
    ("gad-7", (3,) * 7, set(), None),
    ("audit-c", (4, 4, 4), set(), None),
    ("asq", (1, 1, 0, 1, 0), {Kind.ASQ}, Topic.ACUTE_SAFETY),
    ("asq", (1, 1, 0, 1, 1), {Kind.ASQ}, Topic.POSITIVE_SAFETY_ANSWER),
    ("asq", (1, 1, 1, "declined", 1), {Kind.DECLINED_ANSWER}, Topic.POSITIVE_SAFETY_ANSWER),
    ("asq", (1, 1, 1, 1), set(), None),
    (
        "epds",
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 2),
        {Kind.SELF_HARM_ITEM, Kind.DEPRESSION_TOTAL},
        Topic.POSITIVE_SAFETY_ANSWER,
    ),
    ("epds", (0, 0, 3, 0, 3, 3, 3, 3, 3, 3), set(), None),
)


@pytest.mark.parametrize(("name", "places", "kinds", "topic"), WRITTEN)
def test_each_form_goes_through_a_real_server_and_comes_back_as_the_right_finding(
    desk_of, name: str, places: tuple, kinds: set, topic: Topic | None
) -> None:
    desk = desk_of()
    page = desk.post(f"forms/{name}", said(name, *places))
    assert page.status_code == 200, words(page)

    page = desk.post(f"forms/{name}/write", hidden(page))

    assert "Written to the chart" in words(page)
    record = record_of(*desk.stored(), who=patient(id=desk.who))
    assert not record.anomalies
    assert not record.unreadable
    (read,) = record.administrations
    assert read.instrument.value == name
    findings = list(apply_safety_rules(record).findings)
    assert {finding.kind for finding in findings} == kinds
    assert (findings[0].topic if findings else None) is topic


@pytest.mark.parametrize(("age", "asked"), [(7, False), (8, True), (17, True)])
def test_an_asq_is_for_people_from_eight_years_on_and_the_others_for_adults(desk_of, age: int, asked: bool) -> None:
    desk = desk_of(patient(birthDate=f"{AS_OF.year - age}-01-15"))

    asq = words(desk.get("forms/asq"))
    assert ("Have you ever tried" in asq, "This ASQ is for people aged 8 and over" in asq) == (asked, not asked)
    assert "This GAD-7 is for people aged 18 and over" in words(desk.get("forms/gad-7"))
    assert "use the PHQ-9M" in words(desk.get("forms/phq-9"))


def test_england_has_neither_a_suicide_screen_nor_a_band(desk_of) -> None:
    desk = desk_of(region="GB-ENG")

    assert "guidance in this region advises against such tools" in words(desk.get("forms/asq"))
    assert "Start ASQ" not in words(desk.get(""))
    for name, places in (("phq-9", (1,) * 9), ("epds", (0,) * 10)):
        for page in (desk.get(f"forms/{name}"), desk.post(f"forms/{name}", said(name, *places))):
            assert "Ask directly; offer a psychosocial assessment (NICE NG225)" in words(page)
            assert "ASQ" not in words(page)
            assert "C-SSRS" not in words(page)
    assert "complete the PHQ-9" not in words(desk.post("forms/phq-2", said("phq-2", 3, 3)))
    review = words(desk.post("forms/gad-7", said("gad-7", *[1] * 7)))
    assert "GAD-7 total 7 of 21" in review
    assert "mild" not in review
