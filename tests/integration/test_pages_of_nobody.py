"""The page for patients and the module for clinicians, inside a launch: nothing of the launch's patient is on them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest
from builders import codeable, given, patient
from ehr import recorded
from form_desk import Desk, desks, words
from real_server import answering

from explanations.judgement.control import Control, ModelUse
from explanations.words.pages.learning import MeasuredHere
from smart_launch.pages.language import app_language

TAGS = "urn:ietf:bcp:47"
NAMED = {"name": [{"family": "Okafor", "given": ["Marguerite"]}]}


@pytest.fixture
def desk_of(server, tmp_path):
    with desks(server, tmp_path) as make:
        yield make


def body(page) -> str:
    assert page.status_code == 200, words(page)
    return page.get_data(as_text=True).partition("<article")[2].partition("</article>")[0]


def changed(desk: Desk, **runtime) -> None:
    """The same desk, with these parts of the runtime."""
    for name, value in runtime.items():
        object.__setattr__(desk.runtime, name, value)


def test_the_page_is_the_same_for_every_patient_and_reads_the_patient_alone(desk_of, server) -> None:
    desk = desk_of(patient(61, **NAMED))
    first = desk.get("patient")
    assert {path.partition("/")[0].partition("?")[0] for path in server.asked()} == {"Patient"}
    desk.who = server.load(patient(33, "male"), *given("PHQ-9, today: items 1-8 = 3, item 9 = 3"))
    desk.open("launch-b")
    desk.launch = "launch-b"

    assert body(desk.get("patient")) == body(first)
    assert "Okafor" not in first.get_data(as_text=True)
    assert desk.launch not in body(first)


def test_it_comes_although_the_chart_cannot_be_read(desk_of, server) -> None:
    desk = desk_of(patient(61, **NAMED))
    whole = body(desk.get("patient"))
    server.fail("Patient", act=answering(500, b"{}"))

    assert body(desk.get("patient")) == whole


@pytest.mark.parametrize(("reviewed", "shown"), [(True, "es"), (False, "en")])
def test_it_is_in_the_patients_language_once_a_person_has_reviewed_that(desk_of, reviewed: bool, shown: str) -> None:
    said = [{"language": codeable(TAGS, "en")}, {"language": codeable(TAGS, "es-MX"), "preferred": True}]
    desk, spanish = desk_of(patient(61, communication=said)), replace(app_language("es"), reviewed=reviewed)
    made = desk.runtime.settings()
    site = replace(made.sites[0], languages=(app_language(), spanish))
    changed(desk, settings=lambda: replace(made, sites=(site,)))

    page = desk.get("patient").get_data(as_text=True)

    assert f'<article class="for-patient" lang="{shown}" dir="ltr">' in page
    assert ('<p class="reading-page" lang="es" dir="ltr">' in page) is not reviewed
    assert "Back to the summary" in page
    assert "AYUDA" in page and "AYUDA" in desk.get("patient?lang=en").get_data(as_text=True)
    links = re.findall(r'href="\?lang=(\w+)"', page)
    assert links == (["en"] if reviewed else [])
    assert 'lang="en" dir="ltr">' in desk.get("patient?lang=en").get_data(as_text=True)


def test_the_crisis_lines_are_in_the_patients_language_also_where_the_site_has_it_not(desk_of) -> None:
    said = [{"language": codeable(TAGS, "es-MX")}]

    assert "AYUDA" in body(desk_of(patient(61, communication=said)).get("patient"))


def test_of_a_patient_who_said_no_nothing_is_read(desk_of, server) -> None:
    desk = desk_of(patient(61, **NAMED))
    changed(desk, control=lambda *_: Control(opted_out=True))

    assert "You can say no" in body(desk.get("patient"))
    assert server.asked() == []


def test_that_it_was_shown_is_on_record(desk_of) -> None:
    desk = desk_of(patient(61, **NAMED))
    desk.get("patient")

    event = recorded(desk.store.store, "app")[-1]["event"]
    assert (event["what"], event["page"]) == ("shown", "patient")


def test_its_open_address_is_offered_for_the_visit_summary(desk_of) -> None:
    desk, address = desk_of(patient(61)), "https://cds.example/sites/s1/patients"
    facts = replace(desk.runtime.patient_facts("s1"), address=address)
    changed(desk, patient_facts=lambda _site: facts)

    assert desk.get("patient").get_data(as_text=True).count(f'href="{address}"') == 1


def test_reading_the_module_is_on_record_by_user_and_without_a_patient(desk_of) -> None:
    desk = desk_of(patient(61, **NAMED))
    page = desk.get("learn")
    assert page.status_code == 200 and "Okafor" not in page.get_data(as_text=True)

    done = desk.post("learn")

    assert done.status_code == 303 and done.headers["Location"].endswith("/learn?learned=1")
    assert "Recorded: you have read this." in words(desk.get("learn?learned=1"))
    row = recorded(desk.store.store, "app")[-1]
    assert row["event"] == {"what": "learned", "site": "s1", "edition": "1", "user": row["event"]["user"]}
    assert row["patient"] is None and row["event"]["user"].startswith("pseudonym-")


def test_a_foreign_form_records_nothing(desk_of) -> None:
    desk = desk_of(patient(61))

    assert desk.post("learn", {"csrf": "x"}).status_code == 403
    assert not [row for row in recorded(desk.store.store, "app") if row["event"]["what"] == "learned"]


def test_an_unknown_user_reads_it_and_is_not_asked_to_record(desk_of) -> None:
    page = desk_of(patient(61), user=None).get("learn")

    assert page.status_code == 200 and "I have read this" not in words(page)


def test_the_module_says_how_often_a_prompt_is_right_here_or_that_nobody_knows(desk_of) -> None:
    desk = desk_of(patient(61))
    known = MeasuredHere(outcome="depression", ppv=(0.31, 0.24, 0.39), since=date(2026, 6, 1), last=date(2026, 10, 31))
    changed(desk, measured_here=lambda _site: (known, MeasuredHere(outcome="suicidal-ideation")))
    said = words(desk.get("learn"))

    assert "Of 100 people flagged here for current depressive symptoms (PHQ-9 of 10 or more) and then asked, " in said
    assert "about 31 reported them (range 24 to 39; 1 Jun 2026 to 31 Oct 2026)." in said
    assert "Thoughts of being better off dead or of self-harm in the last two weeks: not measured here." in said
    assert "%" not in said
    facts = replace(desk.runtime.patient_facts("s1"), models=ModelUse.NONE)
    changed(desk, patient_facts=lambda _site: facts)
    assert "No statistical model is used at this site." in words(desk.get("learn"))


def test_the_module_takes_about_three_minutes(desk_of) -> None:
    desk = desk_of(patient(61))
    changed(
        desk, measured_here=lambda _site: tuple(MeasuredHere(outcome=o) for o in ("depression", "suicidal-ideation"))
    )
    text = re.sub(r"<[^>]+>", " ", body(desk.get("learn")))

    # Technical text is read at about 180 words a minute.
    assert 360 <= len(text.split()) <= 600
