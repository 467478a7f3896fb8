"""A page in a language that is written from the right, and the choice of a language, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from app_views import flask_app, serving
from axe_playwright_python.base import AXE_SCRIPT
from chromium import chromium
from made_up_language import FROM_THE_RIGHT, compiled
from playwright.sync_api import Browser, Page

from explanations.words.language import language
from smart_launch.pages.language import FOLDERS

AXE = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.map(v => v.id))"
MEASURE = """() => {
    const seen = [...document.querySelectorAll('body *')]
        .filter(e => e.checkVisibility() && !e.closest('.visually-hidden, .skip, svg'));
    const box = e => e.getBoundingClientRect();
    const edge = document.querySelector('.answer, .finding');
    return {
        direction: getComputedStyle(document.body).direction,
        width: document.documentElement.scrollWidth,
        outside: seen.filter(e => box(e).left < -1 || box(e).right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80)),
        edge: edge && [getComputedStyle(edge).borderRightWidth, getComputedStyle(edge).borderLeftWidth],
        pictures: [...document.querySelectorAll('svg')].filter(e => getComputedStyle(e).direction !== 'ltr').length,
    };
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def mirrored(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, str]]:
    """A page of the browser, and the address of the app in a language that is written from the right."""
    say = language(FROM_THE_RIGHT, compiled(tmp_path_factory.mktemp("locale"), FROM_THE_RIGHT))
    with serving(flask_app(say)) as found:
        yield browser.new_page(), f"{found}/smart/look"


@pytest.mark.parametrize("name", ["summary/acute", "summary/many", "entry/form", "entry/review", "error/failed"])
def test_a_page_from_the_right_is_mirrored_and_nothing_leaves_it(mirrored, name: str) -> None:
    page, address = mirrored
    page.goto(f"{address}/{name}")

    for width in (320, 1100):
        page.set_viewport_size({"width": width, "height": 900})
        found = page.evaluate(MEASURE)
        assert (found["direction"], found["width"], found["outside"], found["pictures"]) == ("rtl", width, [], 0)
        if name == "summary/acute":
            assert found["edge"] == ["6px", "1px"]
    page.evaluate(AXE_SCRIPT)
    assert page.evaluate(AXE) == []


def test_what_nobody_reviewed_is_marked_as_english_on_a_spanish_page(browser: Browser) -> None:
    spanish = replace(language("es", FOLDERS), reviewed=False)
    with serving(flask_app(spanish)) as found:
        page = browser.new_page()
        page.goto(f"{found}/smart/look/summary/acute")

        assert page.locator("html").get_attribute("lang") == "es"
        assert page.locator(".answer").get_attribute("lang") == "en"
        assert page.locator(".answer .crisis").get_attribute("lang") == "en"
        assert page.locator(".answer > p[lang=es]").count() == 1
        assert "source 1" in page.locator(".finding .chart-lines").first.inner_text()
        page.close()
