"""Launches in a real browser, inside the demo EHR's frame (another site) and in a window, up to the written form."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from builders import given, patient
from chromium import chromium
from playwright.sync_api import Browser, BrowserContext, Error, Frame, Page, Route, expect
from smart_front import front
from smart_run import Run, running

from cds_service.demo_ehr.authorization.behaviour import Behaviour
from cds_service.serving.engine import load_engine

DETAIL = re.compile("Open (the )?detailed view")
TOMAS, BRONWEN, STELLAN = "tomas-wojcik", "bronwen-achterberg", "stellan-brannigan"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def whole() -> Iterator[Run]:
    with running(engine=load_engine()) as found:
        yield found


@pytest.fixture
def run(whole: Run) -> Iterator[Run]:
    whole.behave(Behaviour())
    before = whole.clock.ahead
    yield whole
    whole.behave(Behaviour())
    whole.clock.ahead = before


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with_errors = browser.new_context(viewport={"width": 1500, "height": 1000})
    yield with_errors
    with_errors.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which nothing may fail that the browser would complain about."""
    found = context.new_page()
    faults: list[str] = []
    found.on("pageerror", lambda error: faults.append(str(error)))
    found.on("console", lambda m: faults.append(m.text) if "Content Security Policy" in m.text else None)
    yield found
    assert faults == []


def open_chart(page: Page, run: Run, patient_id: str) -> None:
    page.goto(f"{run.addresses.page_origin}/patients/{patient_id}")


def open_app(page: Page, run: Run, patient_id: str) -> Frame:
    """The app in the EHR's panel."""
    open_chart(page, run, patient_id)
    of_a_card = page.get_by_role("button", name="Open detailed view", exact=True)
    (of_a_card if of_a_card.count() else page.get_by_role("button", name=DETAIL)).first.click()
    return app_frame(page)


def app_frame(page: Page) -> Frame:
    frame = page.wait_for_selector("iframe[name=app]").content_frame()
    frame.wait_for_url(re.compile(r"/smart/app/|/smart/launch"))
    return frame


def open_phq9(frame: Frame) -> None:
    """The form, also where no finding asks for one."""
    frame.goto(frame.url.partition("?")[0] + "forms/phq-9")


def answer_phq9(frame: Frame | Page, scores: list[int]) -> None:
    """Fills the form in by its tiles; the question on difficulty is left out."""
    questions = frame.locator("fieldset.question")
    expect(questions).to_have_count(10)
    for place, score in enumerate(scores):
        questions.nth(place).locator("label.tile").nth(score).click()


def test_smart_091_the_app_works_in_a_frame_of_another_site(page, run, context) -> None:
    frame = open_app(page, run, TOMAS)
    expect(frame.get_by_role("heading", level=1)).to_be_visible()
    expect(frame.get_by_text("C-SSRS question 4").first).to_be_visible()
    expect(frame.get_by_text("Wójcik").first).to_be_visible()

    cookies = {c["name"]: c for c in context.cookies() if c["name"].startswith("__Host-mhcds")}
    assert set(cookies) == {"__Host-mhcds-browser", "__Host-mhcds-session"}
    for cookie in cookies.values():
        assert cookie["secure"]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "None"
        assert cookie["partitionKey"] == "http://localhost"
    frame.goto(frame.url)
    expect(frame.get_by_text("C-SSRS question 4").first).to_be_visible()


def test_the_card_that_the_clinician_came_from_is_marked(page, run) -> None:
    frame = open_app(page, run, TOMAS)

    expect(frame.get_by_text("Opened from this card").first).to_be_visible()


def test_smart_099_the_app_opens_in_a_window_of_its_own(page, run, context) -> None:
    open_app(page, run, TOMAS)
    with context.expect_page() as opening:
        page.get_by_role("button", name="Open in a new window").first.click()
    window = opening.value

    window.wait_for_url(re.compile(r"/smart/app/"))
    expect(window.get_by_text("C-SSRS question 4").first).to_be_visible()


@pytest.mark.parametrize("said", [{"sec-fetch-dest": "iframe"}, {}], ids=["says that it is a frame", "does not say"])
def test_smart_093_a_frame_without_cookies_offers_a_window_that_works(page, run, context, said: dict) -> None:
    def without_cookies(route: Route) -> None:
        """As a browser that keeps no cookies in frames."""
        try:
            framed_request = route.request.frame.parent_frame is not None
        except Error:  # a window that is only about to open
            framed_request = False
        if not framed_request:
            route.continue_()
            return
        answer = route.fetch(max_redirects=0, headers=route.request.headers | said)
        headers = {name: value for name, value in answer.headers.items() if name != "set-cookie"}
        route.fulfill(response=answer, headers=headers)

    context.route(f"{run.addresses.service}/**", without_cookies)
    framed(page, f"{run.addresses.page_origin}/fhir/metadata", run.launch_url(TOMAS))
    frame = page.frame(name="frame")
    link = frame.locator("a[target=_blank]")
    expect(link).to_be_visible()
    with context.expect_page() as opening:
        link.click()

    opening.value.wait_for_url(re.compile(r"/smart/app/"))
    expect(opening.value.get_by_text("C-SSRS question 4").first).to_be_visible()


def test_smart_095_no_other_page_may_frame_the_app(run, context) -> None:
    stranger = context.new_page()
    refused: list[str] = []
    stranger.on("console", lambda m: refused.append(m.text))
    # Another port is another origin.
    elsewhere = run.addresses.service.replace("127.0.0.1", "localhost")
    with stranger.expect_response(re.compile(r"/smart/app/")):
        framed(stranger, f"{elsewhere}/health/live", run.launch_url(TOMAS))
    stranger.wait_for_timeout(300)

    assert any("frame-ancestors" in text for text in refused), refused
    assert "C-SSRS" not in stranger.frame(name="frame").content()


def framed(page: Page, around: str, address: str) -> None:
    """An address in a frame of a page of that origin."""
    page.goto(around)
    page.set_content(f'<iframe name="frame" src="{html.escape(address)}" width="400" height="600"></iframe>')


def test_a_phq_9_goes_from_the_frame_into_the_chart_and_can_be_taken_back(page, run) -> None:
    frame = open_app(page, run, STELLAN)
    frame.get_by_role("link", name=re.compile("Start PHQ-9")).first.click()
    answer_phq9(frame, [1, 2, 1, 0, 0, 1, 2, 0, 0])
    frame.get_by_role("button", name="Review answers").click()
    expect(frame.get_by_text("total 7 of 27")).to_be_visible()
    before = len(run.ehr.charts.of(STELLAN))
    frame.get_by_role("button", name="Write to chart").click()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Written to the chart")

    kinds = [r["resourceType"] for r in run.ehr.charts.of(STELLAN)[before:]]
    assert kinds.count("QuestionnaireResponse") == 1
    assert kinds.count("Observation") == 10
    frame.get_by_role("link", name="Back to the summary").click()
    expect(frame.get_by_text(re.compile("One result: 7 on")).first).to_be_visible()
    open_chart(page, run, STELLAN)
    expect(page.get_by_text("Written by the app")).to_be_visible()
    expect(page.get_by_text("No cards. This is not reassurance.")).to_be_visible()


def test_item_9_brings_the_steps_at_once_and_the_form_goes_on(page, run) -> None:
    frame = open_app(page, run, STELLAN)
    open_phq9(frame)
    steps = frame.locator(".help-now")
    expect(steps).to_be_hidden()
    answer_phq9(frame, [0, 0, 0, 0, 0, 0, 0, 0, 1])

    expect(steps).to_be_visible()
    expect(steps).to_contain_text("988")
    expect(steps).to_contain_text(re.compile("[Nn]obody (has been|was) notified"))
    assert frame.locator("input:checked").count() == 9
    frame.get_by_role("button", name="Review answers").click()
    expect(frame.get_by_text("988").first).to_be_visible()
    expect(frame.get_by_text("total 1 of 27")).to_be_visible()


def test_open_questions_are_named_and_focus_goes_there(page, run) -> None:
    frame = open_app(page, run, STELLAN)
    open_phq9(frame)
    answer_phq9(frame, [1, 1])
    frame.get_by_role("button", name="Review answers").click()

    summary = frame.locator("#errors")
    expect(summary).to_be_focused()
    expect(summary.get_by_role("link")).to_have_count(7)
    assert frame.locator("input:checked").count() == 2


def test_a_second_patient_in_another_tab_ends_the_first(page, run, context) -> None:
    first = open_app(page, run, TOMAS)
    expect(first.get_by_text("C-SSRS question 4").first).to_be_visible()
    other = context.new_page()
    second = open_app(other, run, BRONWEN)
    expect(second.get_by_text("Achterberg").first).to_be_visible()
    first.goto(first.url)

    expect(first.locator("[data-page=moved]")).to_be_visible()
    assert "C-SSRS" not in first.content()


def test_smart_092_an_image_in_the_ehr_that_is_a_launch_ends_no_session(page, run, caplog, monkeypatch) -> None:
    sent, inner = [], run.service.wsgi_app
    monkeypatch.setattr(run.service, "wsgi_app", lambda environ, start: sent.append(environ) or inner(environ, start))
    framed(page, f"{run.addresses.page_origin}/fhir/metadata", run.launch_url(TOMAS))
    frame = page.frame(name="frame")
    expect(frame.get_by_text("C-SSRS question 4").first).to_be_visible()
    # In the EHR's own page, as in a message with pictures: there, the browser sends our cookies.
    sent.clear()
    with page.expect_event("requestfailed"):
        page.evaluate("address => { new Image().src = address }", run.launch_url(BRONWEN))
    asked = sent[0]
    frame.goto(frame.url)

    assert (asked["HTTP_SEC_FETCH_DEST"], asked["HTTP_SEC_FETCH_SITE"]) == ("image", "cross-site")
    assert "__Host-mhcds-browser" in asked["HTTP_COOKIE"]
    assert "expected to be opened as a page" in caplog.text
    expect(frame.get_by_text("C-SSRS question 4").first).to_be_visible()


def test_a_launch_that_the_ehr_refuses_leaves_the_page_before_open(page, run, context) -> None:
    first = open_app(page, run, TOMAS)
    expect(first.get_by_text("C-SSRS question 4").first).to_be_visible()
    run.behave(Behaviour(refuse="access_denied"))
    other = context.new_page()
    open_chart(other, run, BRONWEN)
    other.get_by_role("button", name=DETAIL).first.click()
    app_frame_with(other, "[data-page=access-denied]")
    first.goto(first.url)

    expect(first.get_by_text("C-SSRS question 4").first).to_be_visible()


def test_the_back_button_never_shows_another_patient(page, run) -> None:
    open_app(page, run, TOMAS)
    open_chart(page, run, BRONWEN)
    page.get_by_role("button", name=DETAIL).first.click()
    frame = app_frame(page)
    expect(frame.get_by_text("Achterberg").first).to_be_visible()
    page.evaluate("history.go(-2)")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tomás Wójcik")
    page.wait_for_timeout(1500)

    assert "Achterberg" not in app_frame(page).content()


def test_a_session_that_timed_out_says_so_and_what_was_entered_is_not_written(page, run) -> None:
    run.behave(Behaviour(token_life_s=3600))
    frame = open_app(page, run, STELLAN)
    open_phq9(frame)
    answer_phq9(frame, [1] * 9)
    before = len(run.ehr.charts.of(STELLAN))
    run.clock.ahead += 16 * 60
    frame.get_by_role("button", name="Review answers").click()

    expect(frame.locator("[data-page=timed-out]")).to_be_visible()
    assert len(run.ehr.charts.of(STELLAN)) == before


def test_a_refusal_by_the_ehr_is_a_page_with_a_code(page, run) -> None:
    run.behave(Behaviour(refuse="access_denied"))
    open_chart(page, run, TOMAS)
    page.get_by_role("button", name=DETAIL).first.click()
    frame = app_frame_with(page, "[data-page=access-denied]")

    expect(frame.get_by_text(re.compile(r"[2-9A-Z]{3}-[2-9A-Z]{3}"))).to_be_visible()


def app_frame_with(page: Page, selector: str) -> Frame:
    frame = page.wait_for_selector("iframe[name=app]").content_frame()
    expect(frame.locator(selector)).to_be_visible()
    return frame


def test_everything_works_without_scripts(browser: Browser, run) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1500, "height": 1000})
    page = context.new_page()
    frame = open_app_without_scripts(page, run, STELLAN)
    open_phq9(frame)
    answer_phq9(frame, [0, 1, 0, 0, 0, 0, 0, 0, 2])
    expect(frame.locator(".help-now")).to_be_visible()
    frame.get_by_role("button", name="Review answers").click()
    expect(frame.get_by_role("button", name="Write to chart")).to_be_visible()
    frame.get_by_role("link", name="Leave without saving").click()
    expect(frame.get_by_role("heading", level=1)).to_be_visible()
    context.close()


def open_app_without_scripts(page: Page, run: Run, patient_id: str) -> Frame:
    open_chart(page, run, patient_id)
    page.get_by_role("button", name=DETAIL).first.click()
    frame = page.wait_for_selector("iframe[name=app]").content_frame()
    expect(frame.get_by_role("heading", level=1)).to_be_visible()
    return frame


def test_the_round_trip_on_a_fhir_server_of_others(page, server) -> None:
    who = server.load(patient(), *given("PHQ-9, 20 days ago: item 9 = 0, total = 12"))
    with front(server, who) as ehr:
        page.goto(ehr.launch_url(who))
        page.wait_for_url(re.compile(r"/smart/app/"))
        expect(page.get_by_text("PHQ-9 was 12").first).to_be_visible()
        page.get_by_role("link", name=re.compile("Start PHQ-9")).first.click()
        answer_phq9(page, [0, 1, 1, 0, 0, 0, 0, 0, 0])
        page.get_by_role("button", name="Review answers").click()
        page.get_by_role("button", name="Write to chart").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Written to the chart")
        page.get_by_role("link", name="Back to the summary").click()

        expect(page.get_by_text(re.compile(r"from 12 to 2\b")).first).to_be_visible()


def test_while_a_chart_is_read_the_page_says_so(page, server) -> None:
    seen = threading.Event()

    def late(_handler) -> bool:
        seen.wait(60)
        return False

    who = server.load(patient(), *given("PHQ-9, 20 days ago: item 9 = 0, total = 12"))
    with front(server, who) as ehr:
        server.fail("Condition", late)
        page.goto(ehr.launch_url(who), wait_until="commit")

        expect(page.get_by_text("Reading the chart…")).to_be_visible()
        seen.set()
        expect(page.get_by_text("PHQ-9 was 12").first).to_be_visible()
        expect(page.get_by_text("Reading the chart…")).to_be_hidden()
        expect(page.get_by_role("heading", level=1)).to_have_count(1)


def test_when_the_session_is_over_nothing_of_the_patient_stays_on_the_screen(browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    with running(registration=lambda r: replace(r, idle_s=60)) as run:
        page.goto(run.launch_url(TOMAS))
        expect(page.get_by_text("C-SSRS question 4").first).to_be_visible()
        expect(page.locator("#time-out")).to_be_visible()
        run.clock.ahead += 61
        page.clock.install()
        page.reload()
        expect(page.locator("[data-page=timed-out]")).to_be_visible()
        run.clock.ahead -= 61
        page.goto(run.launch_url(TOMAS))
        run.clock.ahead += 61
        page.clock.fast_forward(64_000)

        expect(page.locator("[data-page=timed-out]")).to_be_visible()
        assert "C-SSRS" not in page.content()
    context.close()


def test_after_item_9_the_written_page_leads_to_the_draft_of_an_assessment(page, run) -> None:
    frame = open_app(page, run, STELLAN)
    open_phq9(frame)
    answer_phq9(frame, [0, 0, 0, 0, 0, 0, 0, 0, 3])
    frame.get_by_role("button", name="Review answers").click()
    frame.get_by_role("button", name="Write to chart").click()
    frame.get_by_role("link", name="Draft order: suicide risk assessment").click()

    expect(frame.get_by_role("checkbox")).to_be_checked()
