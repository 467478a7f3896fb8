"""The report on a site's models in a real browser: axe, widths, schemes, without a network or a script, on paper."""

from __future__ import annotations

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from chromium import chromium
from site_reports import half_a_year, nothing

from cds_service.monitoring.report import report_page

AXE = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join('; ')))"
OPEN_ALL = "document.querySelectorAll('details').forEach(found => found.open = true)"


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(browser, scheme: str) -> None:
    for report in (half_a_year(), nothing()):
        for width in (320, 1280):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page = context.new_page()
            asked: list[str] = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.set_content(report_page(report))
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.evaluate(AXE_SCRIPT)
            page.evaluate(OPEN_ALL)

            assert page.evaluate(AXE) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert asked == []
            context.close()


def test_on_paper_what_is_folded_is_shown(browser) -> None:
    page = browser.new_page()
    page.set_content(report_page(half_a_year()))
    page.emulate_media(media="print")

    assert page.get_by_text("Jul 2026").first.is_visible()
    assert page.get_by_text("everybody", exact=True).first.is_visible()
    assert not page.get_by_role("navigation").is_visible()
