"""How the app's pages look and behave in a real browser: every view and state, in each scheme and width.

axe, no horizontal scrolling, headings in order, Tab order, visible focus, sizes of targets, without a script, on paper,
and with a made-up language whose texts are longer by two fifths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from itertools import product

import pytest
from app_views import LOOKS, PAGES, flask_app, serving
from axe_playwright_python.base import AXE_SCRIPT
from builders import AS_OF
from chromium import chromium
from made_up_language import LANGUAGE, compiled
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from explanations.words.language import language, languages
from smart_launch.pages.language import app_language

WIDTHS = (320, 400, 1100)
SCHEMES: dict[str, dict] = {
    "light": {"color_scheme": "light", "forced_colors": "none"},
    "dark": {"color_scheme": "dark", "forced_colors": "none"},
    "forced": {"color_scheme": "light", "forced_colors": "active"},
}
# The whole of a page, folded parts opened, must stay under this; a chart with everything may be larger.
LARGEST, LARGEST_EVER = 63_000, 88_000
AXE = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join('; ')))"
MEASURE = """() => ({
    width: document.documentElement.scrollWidth,
    wider: [...document.querySelectorAll('body *')].filter(e => !e.closest('.visually-hidden, .skip') &&
        e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80)),
    headings: [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].filter(e => e.checkVisibility()).map(e => +e.tagName[1]),
    small: [...document.querySelectorAll('a, button, select, textarea, summary, label.tile')]
        .filter(e => e.checkVisibility() && !e.matches('.skip'))
        .map(e => [e.getBoundingClientRect(), e.textContent.trim().slice(0, 40)])
        .filter(([box]) => box.height < 24 || box.width < 24).map(([box, text]) => `${text} ${box.width}x${box.height}`),
    foldedUnnamed: [...document.querySelectorAll('summary')].filter(e => !e.textContent.trim()).length,
    pictures: [...document.querySelectorAll('svg')].filter(e => e.getAttribute('aria-hidden') !== 'true' &&
        !(e.querySelector('title') && e.querySelector('desc'))).length,
    labels: [...document.querySelectorAll('svg text')].filter(e => e.checkVisibility())
        .map(e => [parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().d, e.textContent])
        .filter(([size]) => size < 11.99),
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(flask_app()) as found:
        yield f"{found}/smart/look"


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    yield made
    made.close()


@pytest.fixture
def light(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    # Asked for last: when the context closes meanwhile, the server is left with an open file.
    context.route("**/icon.svg*", lambda route: route.abort())
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_every_page_in_every_scheme_and_width(context: BrowserContext, address: str, name: str) -> None:
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if "Content Security Policy" in m.text else None)
    answer = page.goto(f"{address}/{name}")
    assert answer is not None
    assert len(answer.body()) <= (LARGEST_EVER if "many" in name else LARGEST)
    page.evaluate(AXE_SCRIPT)

    for scheme, width in product(SCHEMES, WIDTHS):
        page.emulate_media(**SCHEMES[scheme])
        page.set_viewport_size({"width": width, "height": 900})
        look_at(page, width, axe=width != 400 or scheme == "light")
    assert faults == []
    page.close()


def look_at(page: Page, width: int, *, axe: bool) -> None:
    """400 px has the rules of 320 px: what axe sees there it sees once."""
    found = page.evaluate(MEASURE)
    assert (found["width"], found["wider"]) == (width, [])
    assert found["headings"].count(1) == 1
    steps = zip(found["headings"], found["headings"][1:], strict=False)
    assert all(later <= earlier + 1 for earlier, later in steps), found["headings"]
    assert (found["small"], found["foldedUnnamed"], found["pictures"], found["labels"]) == ([], 0, 0, [])
    assert not axe or page.evaluate(AXE) == []


@pytest.mark.parametrize(
    "name", ["summary/ask", "summary/told", "summary/many", "entry/open", "entry/review", "error/failed", "choose"]
)
@pytest.mark.parametrize("width", [320, 1100])
def test_tab_goes_through_a_page_in_reading_order_and_every_focus_is_seen(
    light, address: str, name: str, width: int
) -> None:
    light.set_viewport_size({"width": width, "height": 700})
    light.goto(f"{address}/{name}")
    light.evaluate("document.activeElement.blur()")
    places: list[int] = []

    for _ in range(120):
        light.keyboard.press("Tab")
        seen = light.evaluate(
            """() => {
                const e = document.activeElement;
                if (e === document.body) return null;
                const target = e.matches('input[type=radio], input[type=checkbox]') ? e.closest('label') || e : e;
                const box = target.getBoundingClientRect(), look = getComputedStyle(e);
                const hit = document.elementFromPoint(box.x + Math.min(box.width / 2, 20), box.y + Math.min(box.height / 2, 12));
                return {place: [...document.querySelectorAll('*')].indexOf(e), name: e.outerHTML.slice(0, 120),
                    ring: look.outlineStyle !== 'none' && parseFloat(look.outlineWidth) >= 2,
                    uncovered: hit !== null && (target.contains(hit) || hit.contains(target))};
            }"""
        )
        if seen is None or (places and seen["place"] == places[0]):
            break
        assert seen["ring"] and seen["uncovered"], seen
        places.append(seen["place"])

    assert len(places) > 1 or name == "error/failed"
    assert places == sorted(places)


@pytest.mark.parametrize("name", ["summary/ask", "summary/told", "entry/form", "thanks", "window"])
def test_without_a_script_a_page_says_the_same(browser: Browser, address: str, name: str) -> None:
    said = []
    for script in (True, False):
        context = browser.new_context(java_script_enabled=script)
        page = context.new_page()
        page.goto(f"{address}/{name}")
        helps = page.locator(".by-script").all_inner_texts() if script else []
        said.append(reduce(lambda text, part: text.replace(part, ""), helps, page.locator("body").inner_text()).split())
        context.close()

    assert said[0] == said[1]
    assert len(said[0]) > 30


@pytest.mark.parametrize("name", ["summary/acute", "summary/told", "summary/figures", "print/ask"])
def test_on_paper_everything_is_open_and_nothing_can_be_pressed(light, address: str, name: str) -> None:
    light.goto(f"{address}/{name}")
    light.emulate_media(media="print")

    folded = light.evaluate(
        "[...document.querySelectorAll('main details')].filter(d => !d.closest('.opinion, .override, .off-paper'))"
        ".filter(d => [...d.children].some(c => !c.matches('summary, .off-paper') && c.getBoundingClientRect().height === 0)).length"
    )
    pressable = light.evaluate(
        "[...document.querySelectorAll('button, .button')].filter(e => e.checkVisibility()).length"
    )

    assert (folded, pressable) == (0, 0)
    assert light.locator("main details").count() > 0


@pytest.mark.parametrize("name", [*LOOKS])
def test_a_chart_is_printed_on_two_pages_with_every_line_of_its_findings(light, address: str, name: str) -> None:
    light.goto(f"{address}/print/{name}")
    light.emulate_media(media="print")

    lines = light.locator(".answer li, .answer > p, .finding li, .finding h3, .finding td, .gaps li, .known .gap")

    assert all(lines.evaluate_all("found => found.map(e => e.checkVisibility())"))
    for paper in ("A4", "Letter"):
        assert len(re.findall(rb"/Type\s*/Page\b", light.pdf(format=paper))) <= 2


@pytest.mark.parametrize("locale", languages())
def test_the_page_for_patients_is_one_sheet_in_letters_of_12_points_without_what_is_for_clinicians(
    light, locale: str
) -> None:
    with serving(flask_app(replace(app_language(locale), reviewed=True))) as found:
        for name in ("most", "england"):
            light.goto(f"{found}/smart/look/patient/{name}")
            light.emulate_media(media="print")

            assert light.locator(".off-paper").first.is_visible() is False
            assert light.locator(".foot form").first.is_visible() is False
            letters = light.locator(".urgent p").first.evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
            assert letters >= 15.75
            for paper in ("A4", "Letter"):
                assert len(re.findall(rb"/Type\s*/Page\b", light.pdf(format=paper))) == 1


@pytest.mark.parametrize("name", LOOKS)
def test_the_answer_fits_a_panel_of_400_by_560_whole_with_the_banner(light, address: str, name: str) -> None:
    light.set_viewport_size({"width": 400, "height": 560})
    light.goto(f"{address}/summary/{name}")

    box = light.locator("section.answer").bounding_box()

    assert box is not None and box["y"] + box["height"] <= 560
    assert light.locator("section.answer a.button").count() <= 1


def test_an_override_is_made_without_a_script_and_opens_in_place(light, address: str) -> None:
    light.set_viewport_size({"width": 400, "height": 560})
    light.goto(f"{address}/summary/ask")
    light.get_by_text("Already assessed…").click()

    expect(light.get_by_role("button", name="Record this")).to_be_visible()
    expect(light.get_by_role("radio", name="Assessed; documented in my note")).to_be_visible()


@pytest.mark.parametrize("width", [320, 400])
def test_what_was_done_is_said_without_a_script_and_opens_in_place(light, address: str, width: int) -> None:
    light.set_viewport_size({"width": width, "height": 560})
    light.goto(f"{address}/summary/told")
    expect(light.get_by_role("checkbox").first).not_to_be_visible()

    light.get_by_text("What was done…").click()

    labels = light.locator("#told label").all_inner_texts()
    assert labels == ["Assessment done", "Safety plan made", "Follow-up booked", "Patient transferred"]
    expect(light.get_by_role("button", name="Record what was done")).to_be_visible()
    expect(light.get_by_role("button", name="Acknowledge finding")).to_be_visible()
    assert light.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", WIDTHS)
def test_findings_and_their_action_are_seen_before_anything_is_scrolled(light, address: str, width: int) -> None:
    for name in LOOKS:
        light.set_viewport_size({"width": width, "height": 900})
        light.goto(f"{address}/summary/{name}")
        first = light.locator("main h3, main h2:not(.visually-hidden)").first
        box = first.bounding_box()
        assert box is not None and box["y"] + box["height"] < (500 if name == "many" else 400), name
        action = light.locator("main .actions").first
        if width == 1100 and name not in ("opted-out", "denied", "deceased", "many", "answered"):
            assert action.bounding_box()["y"] < 900, name  # type: ignore[index]


def test_acute_answers_come_before_the_estimate_which_is_folded(light, address: str) -> None:
    light.goto(f"{address}/summary/acute")

    expect(light.get_by_text("Crisis lines:")).to_be_in_viewport()
    expect(light.locator(".reasons").first).not_to_be_visible()
    light.get_by_text("Show the estimate").click()
    expect(light.locator(".reasons").first).to_be_visible()


def test_the_steps_for_item_9_are_said_to_readers_of_the_screen(light, address: str) -> None:
    light.goto(f"{address}/entry/form")
    question = light.locator(".safety-question")

    question.get_by_role("radio", name="Several days").check()

    expect(light.locator(".help-now .finding")).to_be_visible()
    expect(light.locator("#said")).to_contain_text("item 9")
    question.get_by_role("radio", name="Not at all").check()
    expect(light.locator(".help-now .finding")).not_to_be_visible()
    expect(light.locator("#said")).to_be_empty()


def test_the_steps_for_item_9_come_up_in_sight_on_a_small_screen(light, address: str) -> None:
    light.set_viewport_size({"width": 400, "height": 560})
    light.goto(f"{address}/entry/form")
    answer = light.get_by_role("group", name="9. Thoughts").get_by_role("radio", name="Several days")
    answer.evaluate("tile => tile.scrollIntoView({block: 'end'})")

    answer.check()

    expect(light.locator(".help-now h2")).to_be_in_viewport(ratio=1)
    expect(answer).to_be_in_viewport(ratio=1)


def test_leaving_unsent_answers_asks_once(light, address: str) -> None:
    asked: list[str] = []
    light.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    light.goto(f"{address}/entry/form")
    light.get_by_role("radio", name="Several days").first.check()

    light.get_by_role("link", name="Leave without saving").click(no_wait_after=True)
    light.wait_for_timeout(200)

    assert asked == ["beforeunload"]
    assert light.url.endswith("/entry/form")
    light.close(run_before_unload=False)


def test_two_minutes_before_the_end_one_press_keeps_the_page_and_what_is_on_it(light, address: str) -> None:
    asked: list[str] = []

    def extended(route: Route) -> None:
        asked.append(route.request.post_data or "")
        route.fulfill(status=303, headers={"Location": "/smart/app/made/"})

    light.route("**/extend", extended)
    light.clock.install(time=AS_OF)
    light.goto(f"{address}/entry/form")
    light.get_by_role("radio", name="Several days").first.check()
    dialog = light.get_by_role("dialog")

    light.clock.run_for(779_000)
    expect(dialog).not_to_be_visible()
    light.clock.run_for(2_000)
    expect(dialog).to_be_visible()
    light.get_by_role("button", name="Keep open").click()

    expect(dialog).not_to_be_visible()
    assert asked == ["csrf=0123456789"]
    expect(light.locator(":checked")).to_have_count(1)


def test_answering_keeps_the_session_open_and_asks_for_it_at_most_once_a_minute(light, address: str) -> None:
    asked: list[str] = []

    def extended(route: Route) -> None:
        asked.append(route.request.post_data or "")
        route.fulfill(status=303, headers={"Location": "/smart/app/made/"})

    light.route("**/extend", extended)
    light.clock.install(time=AS_OF)
    light.goto(f"{address}/entry/form")
    light.clock.run_for(700_000)
    for place in range(3):
        light.get_by_role("radio", name="Several days").nth(place).check()

    light.wait_for_timeout(100)
    light.clock.run_for(700_000)

    assert asked == ["csrf=0123456789"]
    expect(light.get_by_role("dialog")).not_to_be_visible()


def test_an_answer_after_the_end_of_the_session_is_said_to_be_lost_at_once(light, address: str) -> None:
    light.route("**/extend", lambda route: route.fulfill(status=401, body="ended"))
    light.clock.install(time=AS_OF)
    light.goto(f"{address}/entry/form")
    light.clock.run_for(61_000)

    light.get_by_role("radio", name="Several days").first.check()

    expect(light.get_by_text("could not be kept open")).to_be_visible()


def test_a_session_that_cannot_be_kept_open_says_so(light, address: str) -> None:
    light.route("**/extend", lambda route: route.fulfill(status=401, body="ended"))
    light.clock.install(time=AS_OF)
    light.goto(f"{address}/entry/form")
    light.clock.run_for(781_000)

    light.get_by_role("button", name="Keep open").click()

    expect(light.get_by_text("could not be kept open")).to_be_visible()


def test_a_session_is_not_said_to_be_prolonged_beyond_its_longest(light, address: str) -> None:
    """1,000 seconds are left of the eight hours, 900 of the fifteen minutes."""
    light.route("**/extend", lambda route: route.fulfill(status=303, headers={"Location": "/"}))
    light.clock.install(time=AS_OF)
    light.goto(f"{address}/summary/long-open")
    light.clock.run_for(781_000)
    light.get_by_role("button", name="Keep open").click()
    expect(light.get_by_role("dialog")).not_to_be_visible()

    light.clock.run_for(100_000)
    expect(light.get_by_role("dialog")).to_be_visible()
    light.get_by_role("button", name="Keep open").click()

    expect(light.get_by_text("could not be kept open")).to_be_visible()


@pytest.mark.parametrize("name", PAGES)
def test_texts_longer_by_two_fifths_have_room_at_320_px(longer, name: str) -> None:
    page, address = longer

    page.goto(f"{address}/{name}")

    found = page.evaluate(MEASURE)
    assert (found["width"], found["wider"]) == (320, [])


@pytest.fixture(scope="module")
def longer(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, str]]:
    """A page of 320 px, and the address of the app in the made-up language."""
    spoken = language(LANGUAGE, compiled(tmp_path_factory.mktemp("locale")))
    context = browser.new_context(viewport={"width": 320, "height": 900})
    with serving(flask_app(spoken)) as found:
        yield context.new_page(), f"{found}/smart/look"
    context.close()
