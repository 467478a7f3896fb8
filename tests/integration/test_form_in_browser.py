"""The form as a real browser shows it, with scripts switched off: steps for item 9, focus, from enter to the chart."""

from __future__ import annotations

import re
import shutil

import pytest
from builders import patient
from form_desk import ADDRESS, Desk, desks
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from fhir_adapters.writing.questionnaires import FORMS, form

QUESTIONS = form("phq-9").questions


@pytest.fixture
def desk_of(server, tmp_path):
    with desks(server, tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as tool:
        found = tool.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


def opened(browser: Browser, desk: Desk, path: str, *, scripts: bool = False, width: int = 400) -> Page:
    """A page of the app in the browser; requests go to the app in this process."""
    page = browser.new_context(java_script_enabled=scripts, viewport={"width": width, "height": 900}).new_page()

    def serve(route: Route) -> None:
        asked = route.request
        sent = {"headers": {"Content-Type": asked.headers.get("content-type", ""), "Origin": ADDRESS}}
        with desk.client().open(
            asked.url.removeprefix(ADDRESS), base_url=ADDRESS, method=asked.method, data=asked.post_data_buffer, **sent
        ) as found:
            route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.data)

    page.route(f"{ADDRESS}/**", serve)
    page.goto(f"{ADDRESS}/smart/app/{desk.launch}/{path}")
    return page


def test_the_steps_show_at_once_when_item_9_calls_for_them_and_go_when_it_does_not(browser, desk_of) -> None:
    page = opened(browser, desk_of(), "forms/phq-9")
    steps = page.locator(".help-now .finding")
    expect(steps).to_be_hidden()

    for choice, visible in (("1", False), ("2", True), ("1", False), ("4", True), ("declined", True)):
        page.check(f"#q-44260-8-{choice}")
        expect(steps).to_be_visible(visible=visible)
    expect(steps).to_contain_text("988")
    expect(steps).to_contain_text("Nobody has been notified")


def test_a_form_gets_into_the_chart_and_out_of_it_without_a_script(browser, desk_of) -> None:
    desk = desk_of()
    page = opened(browser, desk, "forms/phq-9")
    page.locator("label.tile", has_text="Several days").nth(8).click()  # anywhere on the tile
    page.get_by_role("button", name="Review answers").click()
    expect(page.locator("#errors")).to_be_focused()
    expect(page.locator("#q-44260-8-2")).to_be_checked()

    page.get_by_role("link", name="Question 1 is not answered yet").click()
    for question in QUESTIONS[:8]:
        page.check(f"#q-{question.code}-2")
    page.get_by_role("button", name="Review answers").click()
    expect(page.locator("h1")).to_be_focused()
    expect(page.locator(".finding.warning")).to_contain_text("PHQ-9 item 9: 1 of 3, several days")
    page.get_by_role("button", name="Write to chart").click()
    expect(page.locator("h1")).to_have_text("Written to the chart")
    assert len(desk.stored()) == 11
    expect(page.get_by_role("link", name="Start ASQ")).to_have_attribute("href", re.compile("/forms/asq$"))

    page.get_by_role("button", name="Undo: mark as entered in error").click()
    expect(page.locator("h1")).to_have_text("Undone")
    assert {r["status"] for r in desk.stored()} == {"entered-in-error"}


def test_answers_can_be_changed_and_a_draft_task_is_three_presses(browser, desk_of) -> None:
    desk = desk_of()
    page = opened(browser, desk, "forms/phq-2")
    for question in QUESTIONS[:2]:
        page.check(f"#q-{question.code}-4")
    page.get_by_role("button", name="Review answers").click()
    page.get_by_role("button", name="Change answers").click()
    expect(page.locator("#q-44250-9-4")).to_be_checked()
    page.get_by_role("button", name="Review answers").click()
    page.get_by_role("button", name="Complete the PHQ-9").click()
    expect(page.locator("#q-44255-8-4")).to_be_checked()
    expect(page.locator("#errors")).to_have_count(0)

    page.goto(f"{ADDRESS}/smart/app/{desk.launch}/tasks/new")
    page.check("#days-3")
    page.check("#order")
    page.get_by_role("button", name="Review the draft").click()
    page.get_by_role("button", name="Write to chart").click()
    assert [r["resourceType"] for r in desk.stored()] == ["Task", "ServiceRequest"]


def test_the_asq_asks_of_acuity_only_after_a_yes_or_a_refusal_and_says_the_steps_at_once(browser, desk_of) -> None:
    desk = desk_of()
    page = opened(browser, desk, "forms/asq")
    acuity, steps = page.locator("#q-acuity"), page.locator(".help-now .finding")
    expect(page.get_by_text("Ask the patient:")).to_be_visible()

    for choice, asked in (("2", False), ("1", True), ("2", False), ("declined", True)):
        page.check(f"#q-q3-{choice}")
        expect(acuity).to_be_visible(visible=asked)
        expect(steps).to_be_visible(visible=asked)
    expect(steps).to_contain_text("Ask the acuity question now")
    for item in ("q1", "q2", "q4"):
        page.check(f"#q-{item}-2")
    page.get_by_role("button", name="Review answers").click()
    expect(page.locator("#errors")).to_contain_text("Question 5 is not answered yet")
    page.check("#q-acuity-1")
    page.get_by_role("button", name="Review answers").click()

    expect(page.locator(".finding.acute")).to_contain_text("ASQ: acute positive screen")
    expect(page.locator(".finding.acute")).to_contain_text("Stay with the patient")
    expect(page.get_by_role("link", name="NIMH ASQ Toolkit")).to_be_visible()
    page.get_by_role("button", name="Write to chart").click()
    expect(page.locator("h1")).to_have_text("Written to the chart")
    expect(page.locator("main")).to_contain_text("Stay with the patient")
    (response,) = desk.stored()
    asked = ["q1", "q2", "q3", "q4", "acuity"]
    assert [item["linkId"] for item in response["item"]] == [f"mental-health-cds/asq/{item}" for item in asked]


def test_four_times_no_ends_the_asq_and_the_epds_shows_the_steps_for_its_tenth(browser, desk_of) -> None:
    desk = desk_of()
    page = opened(browser, desk, "forms/asq")
    for item in ("q1", "q2", "q3", "q4"):
        page.check(f"#q-{item}-2")
    page.get_by_role("button", name="Review answers").click()
    expect(page.locator("main")).to_contain_text("ASQ: no to all four questions. That does not rule out risk")
    expect(page.get_by_role("row", name="5. Are you having")).to_contain_text("Not asked")

    page.goto(f"{ADDRESS}/smart/app/{desk.launch}/forms/epds")
    for number in range(1, 10):
        page.check(f"#q-item{number}-1")
    expect(page.locator(".help-now .finding")).to_be_hidden()
    page.check("#q-item10-3")
    expect(page.locator(".help-now .finding")).to_contain_text("EPDS item 10")
    page.get_by_role("button", name="Review answers").click()
    expect(page.locator("main")).to_contain_text("EPDS total 19 of 30")  # six of nine list the worst answer first
    expect(page.locator(".finding.warning")).to_contain_text("EPDS item 10: 1 of 3, hardly ever")


@pytest.mark.parametrize("scripts", [False, True])
def test_the_audit_c_asks_on_after_any_answer_but_never(browser, desk_of, scripts: bool) -> None:
    page = opened(browser, desk_of(), "forms/audit-c", scripts=scripts)
    drinks, count = page.locator("fieldset", has_text="on a typical day"), page.locator(".count")
    for choice, asked in (("1", False), ("2", True), ("declined", True), ("5", True)):
        page.check(f"#q-68518-0-{choice}")
        expect(drinks).to_be_visible(visible=asked)
        if scripts:
            expect(count).to_contain_text("of 3 answered" if asked else "1 of 1 answered")
    page.check("#q-68519-8-3")
    page.check("#q-68518-0-1")
    page.get_by_role("button", name="Review answers").click()

    expect(page.locator("main")).to_contain_text("AUDIT-C total 0 of 12")
    expect(page.get_by_role("row", name="2. How many")).to_contain_text("Not asked")
    expect(page.get_by_role("row", name="2. How many")).not_to_contain_text("5 or 6")


def test_a_form_is_in_the_patients_language_and_reviewed_in_the_clinicians(browser, desk_of) -> None:
    spanish = {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es-MX"}]}, "preferred": True}
    desk = desk_of(patient(communication=[spanish]))
    page = opened(browser, desk, "forms/phq-9", scripts=True)
    expect(page.get_by_text("Pensamientos de que estaría mejor")).to_be_visible()

    page.get_by_role("link", name="English").click()
    expect(page.get_by_text("Thoughts that you would be better off dead")).to_be_visible()
    page.get_by_role("link", name="español").click()
    expect(page.get_by_text("Pensamientos de que estaría mejor")).to_be_visible()
    expect(page.locator("h1")).to_be_focused()
    for digit in "000000000":
        page.keyboard.press(digit)
    expect(page.get_by_text("Asked in: Spanish")).to_be_visible()
    expect(page.get_by_role("row", name="1. Little interest")).to_contain_text("Not at all")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Written to the chart")
    response = next(each for each in desk.stored() if each["resourceType"] == "QuestionnaireResponse")
    assert (response["language"], response["item"][0]["text"]) == ("es", "Poco interés o placer en hacer cosas")


def test_nothing_of_a_form_is_wider_than_its_window(browser, desk_of) -> None:
    desk = desk_of()
    page = opened(browser, desk, "tasks/new", scripts=True)

    for path in (*(f"forms/{name}" for name in FORMS), "tasks/new"):
        page.goto(f"{ADDRESS}/smart/app/{desk.launch}/{path}")
        for width in (320, 400, 1100):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_nine_digits_lead_to_the_review_and_enter_writes(browser, desk_of) -> None:
    desk = desk_of()
    page = opened(browser, desk, "forms/phq-9", scripts=True)
    expect(page.get_by_text("Press 0 to 3 to answer")).to_be_visible()
    expect(page.locator("h1")).to_be_focused()

    for digit in "21032103":
        page.keyboard.press(digit)
    assert [page.locator(f"#q-{q.code} :checked").get_attribute("value") for q in QUESTIONS[:8]] == [
        q.options[int(digit)].code for q, digit in zip(QUESTIONS, "21032103", strict=False)
    ]
    expect(page.locator("#q-44260-8-1")).to_be_focused()
    for other in ("4", "9", "a", "Control+1", "Alt+1"):
        page.keyboard.press(other)
    expect(page.locator(":checked")).to_have_count(8)

    page.keyboard.press("0")
    expect(page.get_by_text("PHQ-9 total 12 of 27, moderate")).to_be_visible()
    expect(page.get_by_role("button", name="Write to chart")).to_be_focused()
    # With any problem, the review still puts the question on difficulty.
    page.check("#q-69722-7-2")
    page.get_by_role("button", name="Write to chart").press("Enter")
    expect(page.locator("h1")).to_have_text("Written to the chart")
    assert len(desk.stored()) == 12


def test_digits_do_nothing_away_from_the_questions_and_their_heading(browser, desk_of) -> None:
    page = opened(browser, desk_of(), "forms/phq-9", scripts=True)

    page.get_by_role("link", name="Leave without saving").focus()
    page.keyboard.press("2")

    expect(page.locator(":checked")).to_have_count(0)


def test_a_digit_that_brings_up_the_steps_stays_with_them_and_can_be_changed(browser, desk_of) -> None:
    page = opened(browser, desk_of(), "forms/phq-9", scripts=True)

    page.locator("#q-44260-8-1").focus()
    page.keyboard.press("1")

    expect(page.locator("#q-44260-8-2")).to_be_focused()
    expect(page.locator(".help-now .finding")).to_be_visible()
    page.keyboard.press("0")
    expect(page.locator(".help-now .finding")).to_be_hidden()
    expect(page.locator("#q-69722-7-1")).to_be_focused()


def test_what_is_answered_is_counted_and_no_total_is_given_before_the_end(browser, desk_of) -> None:
    page = opened(browser, desk_of(), "forms/phq-9", scripts=True)
    count = page.locator(".count")
    expect(count).to_have_text("0 of 9 answered")

    for question in QUESTIONS[:3]:
        page.check(f"#q-{question.code}-4")
    page.check("#q-69722-7-1")
    expect(count).to_have_text("3 of 9 answered")
    page.check("#q-44250-9-declined")
    expect(count).to_have_text("2 of 9 answered, 1 declined")
    expect(count).to_be_in_viewport(ratio=1)


def test_an_error_goes_when_its_question_is_answered_in_place_and_above(browser, desk_of) -> None:
    page = opened(browser, desk_of(), "forms/phq-9", scripts=True)
    page.check("#q-44250-9-1")
    page.get_by_role("button", name="Review answers").click()
    expect(page.locator("#errors li")).to_have_count(8)
    expect(page).to_have_title("Error: PHQ-9 with the patient")

    page.check("#q-44255-8-declined")
    expect(page.locator("#q-44255-8 .error")).to_have_count(0)
    expect(page.locator("#q-44255-8")).not_to_have_attribute("aria-describedby", "q-44255-8-error")
    expect(page.locator("#errors li")).to_have_count(7)
    expect(page.locator("#errors")).not_to_contain_text("Question 2 ")
    for question in QUESTIONS[2:9]:
        page.check(f"#q-{question.code}-1")
    expect(page.locator("#errors, .error:not([hidden]), .open")).to_have_count(0)
    expect(page).to_have_title("PHQ-9 with the patient")


def test_the_form_is_short_on_a_telephone_and_a_table_from_600_px_on(browser, desk_of) -> None:
    desk = desk_of()
    page = opened(browser, desk, "forms/phq-9", scripts=True)
    expect(page.locator(".count")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollHeight") <= 2225

    page = opened(browser, desk, "forms/phq-9", width=700)
    assert page.evaluate("document.documentElement.scrollHeight") <= 1300
    places = page.evaluate(
        """() => [...document.querySelectorAll('.counted')].map(question => {
            const box = element => element.getBoundingClientRect();
            const legend = box(question.querySelector('legend')), tiles = [...question.querySelectorAll('.tile')].map(box);
            return {left: tiles.map(tile => Math.round(tile.left)), beside: tiles.every(tile => tile.left >= legend.right),
                rows: new Set(tiles.map(tile => tile.top)).size, least: Math.min(...tiles.map(tile => tile.height))};
        })"""
    )
    assert len(places) == 9
    assert all(place["beside"] and place["rows"] == 1 and place["least"] >= 44 for place in places)
    assert len({tuple(place["left"]) for place in places}) == 1
    heads = page.evaluate("[...document.querySelectorAll('.head .tiles span')].map(e => e.getBoundingClientRect())")
    middles = [head["left"] + head["width"] / 2 for head in heads]
    assert all(abs(a - b) < 60 for a, b in zip(middles, [left + 30 for left in places[0]["left"]], strict=True))
    expect(
        page.get_by_role("group", name="1. Little interest").get_by_role("radio", name="Several days")
    ).to_have_count(1)


def written(page: Page) -> None:
    for question in QUESTIONS[:9]:
        page.check(f"#q-{question.code}-2")
    page.get_by_role("button", name="Review answers").click()
    page.get_by_role("button", name="Write to chart").click()
    expect(page.locator("h1")).to_have_text("Written to the chart")


def test_what_was_written_can_be_copied_to_a_note(browser, desk_of) -> None:
    page = opened(browser, desk_of(), "forms/phq-9", scripts=True)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    written(page)

    page.get_by_role("button", name="Copy to note").click()

    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()").replace("\r\n", "\n")
    assert "PHQ-9 total 9 of 27, mild\nPHQ-9 item 9: 1 of 3, several days\n1. Little" in copied
    assert copied == page.locator("#note").input_value()


def test_where_nothing_may_be_copied_the_text_is_selected(browser, desk_of) -> None:
    page = opened(browser, desk_of(), "forms/phq-9", scripts=True)
    written(page)
    page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', {value: undefined}); document.execCommand = () => false"
    )

    page.get_by_role("button", name="Copy to note").click()

    expect(page.get_by_text("Selected: copy it with the keyboard")).to_be_visible()
    assert "item 9" in page.evaluate("getSelection().toString()")


def test_without_a_script_the_text_for_the_note_is_there_and_references_are_folded(browser, desk_of) -> None:
    page = opened(browser, desk_of(), "forms/phq-9")
    written(page)

    expect(page.get_by_role("button", name="Copy to note")).to_have_count(0)
    page.get_by_text("Show the text").click()
    expect(page.locator("#note")).to_be_visible()
    assert "entered" not in page.locator("#note").input_value()  # nobody knows the name
    expect(page.locator(".references")).to_be_hidden()
    page.get_by_text("Sources").click()
    expect(page.locator(".references")).to_contain_text("QuestionnaireResponse/")
