"""docs/gallery.html holds everything that people see, in both languages, in one file, and is clean itself.

Whether its pages are as they are now is for `make gallery` and the reader of its difference; what they look like in each
scheme and width, for test_looks.
"""

from __future__ import annotations

import json
import re

import pytest
from app_views import ENTRY, PATIENT_FACTS
from axe_playwright_python.base import AXE_SCRIPT
from card_kinds import KINDS
from chromium import chromium
from gallery import AXE, MOST_BYTES, PAGE, everything


@pytest.fixture(scope="module")
def text() -> str:
    return PAGE.read_text("utf-8")


@pytest.fixture(scope="module")
def pages(text: str) -> dict[str, str]:
    return json.loads(text.partition('id="data">')[2].partition("</script>")[0])["pages"]


def test_it_is_one_file_of_two_megabytes_at_most(text: str) -> None:
    assert len(text.encode()) <= MOST_BYTES
    assert not re.findall(
        r'(?:src|action)="(?!data:)[^"]*"|<link(?! rel="icon" href="data:)', text.partition('id="data">')[0]
    )
    assert "default-src 'none'" in text


def test_everything_that_people_see_is_in_it_in_both_languages(pages: dict[str, str]) -> None:
    listed = {f"{one.ident}.{key}" for one in everything() for key in one.keys}

    assert {*pages} == listed, "make gallery"
    assert all(len(inner) > 200 for inner in pages.values())
    for name in (
        *(f"card-{kind}" for kind in KINDS),
        *(f"entry-{step}" for step in ENTRY),
        *(f"patient-{name}" for name in PATIENT_FACTS),
    ):
        assert {f"{name}.en", f"{name}.es"} <= {*pages}, name


@pytest.mark.parametrize("width", [320, 1200])
def test_its_frames_are_drawn_as_chosen_and_axe_finds_nothing(width: int) -> None:
    faults: list[str] = []
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text))
        page.goto(PAGE.as_uri())
        page.get_by_role("radio", name="Spanish").check()
        page.get_by_role("radio", name="dark").check()
        frame = page.frame_locator('iframe[data-page="card-acute"][data-key="es"]')

        dark = frame.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")

        assert dark == "rgb(18, 24, 30)"
        assert page.locator('iframe[data-page="card-acute"][data-key="en"]').is_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert faults == []
        page.evaluate(AXE_SCRIPT)
        assert page.evaluate(AXE) == []
