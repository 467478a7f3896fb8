"""The governance pages in a browser: signed in at a real provider, axe on every page, widths, schemes, without a script."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from chromium import chromium
from ehr import free_port, served
from governance_desk import fill_escalations, fill_figures, listening
from openid import governed, provider
from playwright.sync_api import Browser, Page, expect

from cds_service.governance.pages import PAGES
from cds_service.serving.engine import load_engine

AXE = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join('; ')))"
SMALL = """() => [...document.querySelectorAll('a, button, select, input:not([type=hidden]), summary')]
    .filter(e => e.checkVisibility() && !e.matches('.skip')).map(e => [e.getBoundingClientRect(), e.outerHTML.slice(0, 60)])
    .filter(([box]) => box.height < 24 || box.width < 24).map(([, text]) => text)"""
HEADINGS = "() => [...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1])"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def listened(tmp_path_factory) -> Iterator[tuple[str, dict[str, str]]]:
    """Its address, and the escalations there by patient."""
    with provider() as between, listening(tmp_path_factory.mktemp("desk"), between, load_engine()) as (found, app):
        fill_figures(app)
        yield found, fill_escalations(app)


@pytest.fixture(scope="module")
def address(listened) -> str:
    return listened[0]


def signed_in(browser: Browser, address: str, who: str, **context) -> Page:
    page = browser.new_context(**context).new_page()
    page.goto(f"{address}/governance/")
    page.get_by_role("link", name="Sign in").click()
    page.locator("input[name=sub]").fill(who)
    page.get_by_role("button", name="Authorize").click()
    page.wait_for_url(f"{address}/governance/")
    return page


@pytest.mark.parametrize("who", ["olu", "vera", "rhea"])
def test_every_page_in_every_width_and_scheme(browser: Browser, listened, who: str) -> None:
    address, escalations = listened
    page = signed_in(browser, address, who)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if "Content Security Policy" in m.text else None)
    paths = [path for _, path, *_ in PAGES] + [f"/escalations/{identifier}" for identifier in escalations.values()]
    for path in paths:
        page.goto(f"{address}/governance{path}")
        page.evaluate(AXE_SCRIPT)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for width in (320, 1280):
                page.set_viewport_size({"width": width, "height": 900})
                assert page.evaluate("document.documentElement.scrollWidth") == width, path
                assert page.evaluate(AXE) == [], (path, scheme, width)
                assert page.evaluate(SMALL) == [], path
        headings = page.evaluate(HEADINGS)
        assert headings[0] == 1
        assert all(later <= earlier + 1 for earlier, later in pairwise(headings)), (
            path,
            headings,
        )
    assert faults == []
    page.context.close()


@pytest.mark.parametrize("path", ["/governance/", "/governance/no-such-page", "/governance/callback"])
def test_the_pages_of_somebody_signed_out(browser: Browser, address: str, path: str) -> None:
    page = browser.new_context(viewport={"width": 320, "height": 700}).new_page()
    page.goto(f"{address}{path}")
    page.evaluate(AXE_SCRIPT)

    assert page.evaluate(AXE) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    expect(page.get_by_role("navigation")).to_have_count(0)
    page.context.close()


def test_two_safety_officers_switch_a_topic_off_and_on_again_without_a_script(browser: Browser, address: str) -> None:
    first = signed_in(browser, address, "olu", java_script_enabled=False)
    first.goto(f"{address}/governance/switches")
    first.locator("select[name=what]").select_option("topic:acute-safety")
    first.locator("form.part").get_by_label("Reason").fill("Test of the two people")
    first.get_by_role("button", name="Switch off from the next call on").click()
    expect(first.get_by_role("status")).to_contain_text("Another safety officer has to confirm it")
    expect(first.get_by_role("button", name="Confirm: switch off topic acute-safety")).to_have_count(0)

    second = signed_in(browser, address, "otto", java_script_enabled=False)
    second.goto(f"{address}/governance/switches")
    second.get_by_role("button", name="Confirm: switch off topic acute-safety at all sites").click()
    expect(second.get_by_role("status")).to_contain_text("Switched off from the next call on")

    row = second.locator("li.part", has=second.get_by_role("heading", name="Topic acute-safety at all sites"))
    expect(row).to_contain_text("by Olu Officer (olu), confirmed by Otto Officer (otto)")
    row.get_by_label("Reason").fill("The test is over")
    row.get_by_role("button", name="Switch on: topic acute-safety").click()
    expect(second.get_by_role("status")).to_contain_text("Switched on from the next call on")
    first.context.close()
    second.context.close()


def test_what_a_search_finds_is_readable_on_a_phone_and_stands_in_no_address(browser: Browser, address: str) -> None:
    page = signed_in(browser, address, "ines", viewport={"width": 320, "height": 800})
    page.goto(f"{address}/governance/audit")
    for _ in range(2):
        page.get_by_label("Patient id").fill("MRN-0044-471")
        page.get_by_role("button", name="Search").click()
    page.evaluate(AXE_SCRIPT)

    expect(page.get_by_role("heading", name="1 event")).to_be_visible()
    expect(page.get_by_label("Patient id")).to_have_value("")
    assert page.evaluate(AXE) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert "0044" not in page.url + page.content()
    page.context.close()


def test_signing_out_here_offers_it_there_too_and_back_leads_nowhere(browser: Browser, address: str) -> None:
    page = signed_in(browser, address, "ines")
    page.get_by_role("button", name="Sign out").click()

    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    page.go_back()
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(f"{address}/governance/switches")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.context.close()


def test_a_switch_on_a_page_of_the_real_server_acts_on_the_next_call_in_every_worker(
    browser: Browser, tmp_path
) -> None:
    port = free_port()
    with provider() as between:
        folder = governed(tmp_path, between, service={"public_url": f"http://127.0.0.1:{port}"})
        with served(folder, "--workers", "2", port=port) as server:
            page = signed_in(browser, server.base, "ines")
            page.goto(f"{server.base}/governance/switches")
            page.locator("select[name=service]").select_option("depression-suicide-risk")
            page.locator("select[name=what]").select_option("all")
            page.locator("form.part").get_by_label("Reason").fill("Test")
            page.get_by_role("button", name="Switch off from the next call on").click()
            expect(page.get_by_role("status")).to_contain_text("Switched off")
            off = [server.call().json()["cards"] for _ in range(8)]

            page.get_by_label("Reason").first.fill("The test is over")
            page.get_by_role("button", name="Switch on: service depression-suicide-risk").click()
            expect(page.get_by_role("status")).to_contain_text("Switched on")
            on = [server.call().json()["cards"] for _ in range(8)]
            page.context.close()

    assert all("switched off" in str(cards) for cards in off)
    assert not any("switched off" in str(cards) for cards in on)
