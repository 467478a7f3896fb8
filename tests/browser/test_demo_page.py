"""The demo as a newcomer meets it, in a real browser: a card, the app, a form, and the card that changes.

And as its safety officer does: what is switched off on the governance pages changes the cards of the next patient.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from chromium import chromium
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect
from smart_run import Run, running

from cds_service.demo_ehr.patients.people import OPENS_WITH
from cds_service.serving.engine import load_engine

AXE = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join('; ')))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def run() -> Iterator[Run]:
    with running(engine=load_engine()) as found:
        yield found


def opened(browser: Browser, run: Run, **settings: object) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}, **settings).new_page()
    page.goto(run.addresses.page_origin)
    return page


def app_in(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[name=app]")


def answer(form: FrameLocator, scores: list[int]) -> None:
    for place, score in enumerate(scores):
        form.locator("fieldset.question").nth(place).locator("label.tile").nth(score).click()
    form.get_by_role("button", name="Review answers").click()
    form.get_by_role("button", name="Write to chart").click()
    expect(form.locator("h1")).to_have_text(re.compile("^Written"))


def test_a_card_the_app_a_form_and_the_card_that_changes(browser, run) -> None:
    page = opened(browser, run)
    cards = page.locator("#cards article")
    expect(page.get_by_role("heading", level=1)).to_have_text("Marguerite Okafor")
    expect(cards).to_have_count(1)
    expect(cards.locator(".indicator")).to_have_text("Follow up")
    expect(cards.get_by_text("PHQ-9 was 16").first).to_be_visible()

    page.get_by_role("button", name="Open detailed view").click()
    expect(app_in(page).get_by_text("Okafor, Marguerite").first).to_be_visible()
    page.get_by_role("button", name="Answer a PHQ-9").click()
    answer(app_in(page), [2, 3, 2, 2, 1, 2, 2, 1, 1])

    expect(cards.first.locator(".indicator")).to_have_text("Ask")
    expect(page.get_by_role("status")).to_contain_text("The chart has changed")
    expect(page.locator(".facts tbody tr").first).to_contain_text("total 16, 9 of 9 questions answered")
    expect(page.locator(".clinic a[aria-current] .word")).to_have_text("Ask")
    expect(page.locator("#written .draft")).to_have_count(1)
    expect(app_in(page).locator("h1")).to_have_text(re.compile("^Written"))


def test_from_a_card_to_a_written_phq_9_takes_twelve_presses_and_eleven_keys(browser, run) -> None:
    page = opened(browser, run)
    presses = 0

    def press(what: Locator) -> None:
        nonlocal presses
        what.click()
        presses += 1

    press(page.get_by_role("button", name="Answer a PHQ-9"))
    form = app_in(page)
    for place, score in enumerate([2, 2, 1, 1, 0, 1, 2, 1, 0]):
        press(form.locator("fieldset.question").nth(place).locator("label.tile").nth(score))
    press(form.get_by_role("button", name="Review answers"))
    press(form.get_by_role("button", name="Write to chart"))
    expect(form.locator("h1")).to_have_text(re.compile("^Written"))
    assert presses == 12

    form.get_by_role("button", name="Undo: mark as entered in error").click()
    expect(form.locator("h1")).to_have_text("Undone")
    page.get_by_role("link", name="Close and reload").click()
    page.get_by_role("button", name="Answer a PHQ-9").focus()
    keys = ["Enter", *"221101210", "Enter"]
    for place, key in enumerate(keys):
        page.keyboard.press(key)
        if place == 0:
            expect(app_in(page).locator("h1")).to_be_focused()
        elif key == "0" and place == len(keys) - 2:
            expect(app_in(page).get_by_role("button", name="Write to chart")).to_be_focused()
    expect(app_in(page).locator("h1")).to_have_text(re.compile("^Written"))
    assert len(keys) < presses


def test_without_a_script_closing_the_app_shows_the_card_that_changed(browser, run) -> None:
    page = opened(browser, run, java_script_enabled=False)
    page.get_by_role("button", name="Answer a PHQ-9").click()
    answer(app_in(page), [0] * 9)
    expect(page.locator("#cards .indicator")).to_have_text("Follow up")
    page.get_by_role("link", name="Close and reload").click()

    expect(page.get_by_text("No cards. This is not reassurance.")).to_be_visible()
    expect(page.locator("iframe")).to_have_count(0)


def test_a_draft_and_a_reason_stay_after_the_app_wrote(browser, run) -> None:
    page = opened(browser, run)
    page.get_by_role("button", name=re.compile("^Draft order: PHQ-9")).click()
    page.get_by_label("Not acting on this card").select_option("reviewed")
    page.get_by_role("button", name="Record the reason").click()
    page.get_by_role("button", name="Answer a PHQ-9").click()
    answer(app_in(page), [2, 2, 2, 2, 2, 2, 2, 0, 0])
    expect(page.get_by_role("status")).to_contain_text("The chart has changed")

    card = page.locator("#card-depression-follow-up")
    expect(card.get_by_text("Recorded before the chart changed")).to_contain_text("Followed up; documented in my note")
    expect(page.locator("#drafts .draft")).to_have_count(1)


def test_the_list_is_searched_sorted_and_always_in_sight_on_a_wide_screen(browser, run) -> None:
    page = opened(browser, run)
    page.get_by_label("Sort by").select_option("urgency")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name=re.compile("Tomás Wójcik")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tomás Wójcik")
    expect(page.locator(".clinic li")).to_have_count(14)
    expect(page.locator(".clinic .word").first).to_have_text("Acute")
    page.goto(f"{run.addresses.page_origin}/patients/{OPENS_WITH}")

    expect(page.locator(".clinic details")).not_to_have_attribute("open", "")
    expect(page.get_by_role("link", name=re.compile("Tomás Wójcik"))).to_be_visible()
    page.set_viewport_size({"width": 400, "height": 900})
    expect(page.get_by_role("link", name=re.compile("Tomás Wójcik"))).to_be_hidden()
    page.get_by_text("Patients (14)").click()
    expect(page.get_by_role("link", name=re.compile("Tomás Wójcik"))).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(browser, run, scheme: str) -> None:
    page = opened(browser, run, color_scheme=scheme)
    for address in (
        "/",
        f"/patients/{OPENS_WITH}?app=",
        "/patients/tomas-wojcik?sort=urgency&find=o",
        "/patients/pilar-ostrowski",
    ):
        for width in (320, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(run.addresses.page_origin + address)
            page.evaluate(AXE_SCRIPT)
            assert page.evaluate(AXE) == [], (address, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)


# ---- the safety officer


PROMPTED, ACUTE = "stellan-brannigan", "tomas-wojcik"


@pytest.fixture
def governed_run() -> Iterator[Run]:
    with running(engine=load_engine(), governance=True) as found:
        yield found


def signed_in(clinic: Page, person: str) -> Page:
    """The governance pages, opened from the clinic's page, for one of the staff."""
    with clinic.context.expect_page() as opening:
        clinic.get_by_role("link", name="For the safety officer").click()
    pages = opening.value
    pages.get_by_role("link", name="Sign in").click()
    pages.get_by_role("button", name=person).click()
    expect(pages.get_by_role("heading", level=1)).to_have_text("Overview")
    return pages


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_sign_in_for_staff(browser, governed_run, scheme: str) -> None:
    page = browser.new_context(color_scheme=scheme).new_page()
    page.goto(governed_run.addresses.governance_url)
    page.get_by_role("link", name="Sign in").click()
    for width in (320, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(AXE_SCRIPT)

        assert page.evaluate(AXE) == [], width
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def switch_off(pages: Page, what: str, service: str = "") -> None:
    pages.get_by_role("link", name="Switches").click()
    pages.get_by_label("Service").select_option(service)
    pages.get_by_label("What").select_option(what)
    pages.get_by_label("Reason").last.fill("a rehearsal")
    pages.get_by_role("button", name="Switch off from the next call on").click()
    expect(pages.get_by_role("status")).to_be_visible()


def switch_on(pages: Page) -> None:
    pages.get_by_role("link", name="Switches").click()
    pages.get_by_label("Reason").first.fill("rehearsed")
    pages.get_by_role("button", name=re.compile("^Switch on")).click()
    expect(pages.get_by_text("Nothing is switched off.")).to_be_visible()


def words(clinic: Page, run: Run, patient: str) -> list[str]:
    """What the cards of a patient say on opening the chart: the words for their urgency."""
    clinic.goto(f"{run.addresses.page_origin}/patients/{patient}")
    return clinic.locator("#cards .indicator").all_inner_texts()


def test_a_model_that_the_safety_officer_switches_off_prompts_no_more_and_then_again(browser, governed_run) -> None:
    clinic = opened(browser, governed_run)
    assert words(clinic, governed_run, PROMPTED) == ["Prompt"]

    pages = signed_in(clinic, "Dr. Iris Haugen")
    switch_off(pages, "model:depression")

    assert words(clinic, governed_run, PROMPTED) == []
    assert words(clinic, governed_run, ACUTE) == ["Acute"]
    switch_on(pages)
    assert words(clinic, governed_run, PROMPTED) == ["Prompt"]


def test_a_service_that_an_operator_switches_off_says_so_in_every_chart(browser, governed_run) -> None:
    clinic = opened(browser, governed_run)
    pages = signed_in(clinic, "Lena Marchetti")

    switch_off(pages, "all", service="depression-suicide-risk")

    for patient in (ACUTE, PROMPTED):
        assert words(clinic, governed_run, patient) == ["Not assessed"]
        expect(clinic.locator("#cards .summary")).to_contain_text("switched off")
    switch_on(pages)
    assert words(clinic, governed_run, ACUTE) == ["Acute"]


def test_a_safety_topic_goes_on_until_another_safety_officer_has_confirmed(browser, governed_run) -> None:
    clinic = opened(browser, governed_run)
    first = signed_in(clinic, "Dr. Iris Haugen")
    switch_off(first, "topic:acute-safety")
    assert words(clinic, governed_run, ACUTE) == ["Acute"]
    first.get_by_role("button", name="Sign out").click()

    second = signed_in(clinic, "Dr. Samuel Boateng")
    second.get_by_role("link", name="Switches").click()
    second.get_by_role("button", name="Confirm: switch off topic acute-safety").click()

    assert "Acute" not in words(clinic, governed_run, ACUTE)


def test_whoever_has_no_role_sees_nothing_of_it(browser, governed_run) -> None:
    clinic = opened(browser, governed_run)
    with clinic.context.expect_page() as opening:
        clinic.get_by_role("link", name="For the safety officer").click()
    opening.value.get_by_role("link", name="Sign in").click()
    opening.value.get_by_role("button", name="Jonas Weller").click()

    expect(opening.value.get_by_role("heading", level=1)).to_have_text("You have no role here")
    expect(opening.value.get_by_text("depression")).to_have_count(0)


# ---- somebody is told


def told(browser: Browser, run: Run, **settings: object) -> Page:
    """The page of the acute patient, of whom the crisis team has been told."""
    page = opened(browser, run, **settings)
    page.goto(f"{run.addresses.page_origin}/patients/{ACUTE}")
    expect(page.locator("#cards .detail")).to_contain_text("it has not been delivered yet")
    run.send()
    expect(page.locator("#pager")).to_contain_text("Acute answer: TW")
    return page


def test_the_crisis_team_acknowledges_on_its_pager_and_the_card_says_who_and_when(browser, governed_run) -> None:
    page = told(browser, governed_run)
    expect(page.get_by_role("status")).to_have_text("The pager has news. The cards were asked for anew.")
    expect(page.locator("#cards .detail")).to_contain_text("Crisis team was sent a message at")

    page.get_by_role("button", name="Acknowledge as Amina Sato").click()

    expect(page.locator("#pager")).to_contain_text("Acknowledged by Amina Sato")
    expect(page.locator("#cards .detail")).to_contain_text(re.compile(r"Acknowledged by Amina Sato, \d\d:\d\d UTC\."))
    page.get_by_role("button", name="Open detailed view").click()
    expect(app_in(page).locator("#told")).to_contain_text("Acknowledged by Amina Sato")
    expect(app_in(page).get_by_role("button", name="Acknowledge finding")).to_have_count(0)


def test_a_clinician_acknowledges_and_says_what_was_done_in_the_app_by_keyboard_alone(browser, governed_run) -> None:
    page = told(browser, governed_run)
    page.get_by_role("button", name="Open detailed view").click()
    app = app_in(page)
    expect(app.locator("#told")).to_contain_text("nobody has acknowledged it yet")

    app.get_by_role("button", name="Acknowledge finding").press("Enter")
    expect(app.locator("#told")).to_contain_text("Acknowledged by Dr Robin Lindqvist")
    app.get_by_text("What was done…").press("Enter")
    app.get_by_label("Safety plan made").press("Space")
    app.get_by_role("button", name="Record what was done").press("Enter")

    expect(app.locator("#told")).to_contain_text("Recorded as done: safety plan made.")
    expect(app.get_by_role("link", name="Draft order: suicide risk assessment, today")).to_be_visible()
    governed_run.send()
    expect(page.locator("#pager")).to_contain_text("Acknowledged by Dr Robin Lindqvist")
    expect(page.locator("#cards .detail")).to_contain_text("Recorded as done: safety plan made.")


def test_whoever_has_the_pager_sees_whose_chart_it_is_only_after_signing_in(browser, governed_run) -> None:
    page = told(browser, governed_run)
    assert "Tomás" not in page.locator("#pager").inner_text()

    with page.context.expect_page() as opening:
        page.get_by_role("link", name="Who it is").click()
    staff = opening.value
    expect(staff.get_by_role("link", name=re.compile("chart"))).to_have_count(0)
    staff.get_by_role("link", name="Sign in").click()
    staff.get_by_role("button", name="Amina Sato").click()

    expect(staff.get_by_role("link", name=re.compile("chart")).first).to_have_attribute(
        "href", f"{governed_run.addresses.page_origin}/patients/{ACUTE}"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_a_page_with_a_message_on_the_pager(browser, governed_run, scheme: str) -> None:
    page = told(browser, governed_run, color_scheme=scheme)
    for width in (320, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(AXE_SCRIPT)

        assert page.evaluate(AXE) == [], width
        assert page.evaluate("document.documentElement.scrollWidth") <= width
