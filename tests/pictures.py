"""Takes the pictures of README and docs (`make pictures`): the demo as it is built, in a real browser, on one fixed day.

Each picture has its size; colours are reduced to a palette, so that a file stays under 100 kB. Names as arguments take
those alone. `PICTURES` is the list.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from chromium import chromium
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from site_reports import half_a_year
from smart_run import Run, StandingClock, running

from cds_service.demo_ehr.patients.people import OPENS_WITH
from cds_service.monitoring.report import report_page
from cds_service.serving.engine import load_engine

IMAGES = Path(__file__).parents[1] / "docs" / "images"
AT = datetime(2026, 11, 23, 10, 12, tzinfo=UTC)  # a Monday
COLOURS = 128
TOMAS, PILAR = "tomas-wojcik", "pilar-ostrowski"
ANSWERS = (2, 3, 2, 2, 1, 2, 2, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One file in docs/images: what is shown in a window of that size."""

    name: str
    width: int
    height: int
    take: Callable[[Page, Run], None]
    scheme: str = "light"


def demo_page(page: Page, run: Run) -> None:
    """The EHR with the detailed view open beside the cards."""
    for patient in run.ehr.clinic.patients:
        run.ehr.clinic.ask(patient)
    page.goto(f"{run.addresses.page_origin}/")
    page.locator("#cards").get_by_role("button", name="Open detailed view", exact=True).first.click()
    expect(page.frame_locator("iframe[name=app]").locator("h1")).to_be_visible()
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def detail_of(patient: str) -> Callable[[Page, Run], None]:
    """The app, launched from the patient's first card if there is one."""

    def take(page: Page, run: Run) -> None:
        context = run.app_context(patient) if run.ehr.clinic.patient(patient).expected else None
        page.goto(run.launch_url(patient, context))
        page.wait_for_url("**/smart/app/**")
        expect(page.locator("h1")).to_be_visible()

    return take


def told(page: Page, run: Run) -> None:
    """The app for the acute patient, once the crisis team's pager has the message."""
    run.ehr.clinic.ask(run.ehr.clinic.patient(TOMAS))
    run.send()
    run.clock.ahead += 4 * 60
    detail_of(TOMAS)(page, run)


def pager(page: Page, run: Run) -> None:
    """The EHR once the crisis team has acknowledged on its pager; the card says so."""
    for patient in run.ehr.clinic.patients:
        run.ehr.clinic.ask(patient)
    run.send()
    run.clock.ahead += 4 * 60
    run.ehr.clinic.pager.acknowledge(run.ehr.clinic.pager.messages[0].id)
    page.goto(f"{run.addresses.page_origin}/patients/{TOMAS}")
    page.locator("#pager").evaluate("e => e.scrollIntoView({block: 'end'})")


def form(page: Page, run: Run) -> None:
    """The PHQ-9 as it is answered, up to item 9 with its steps."""
    detail_of(OPENS_WITH)(page, run)
    page.goto(f"{page.url.rstrip('/')}/forms/phq-9")
    answer(page)
    page.locator("fieldset.question").nth(7).scroll_into_view_if_needed()


def written(page: Page, run: Run) -> None:
    """What the app says after writing."""
    form(page, run)
    page.get_by_role("button", name="Review answers").click()
    page.get_by_role("button", name="Write to chart").click()
    expect(page.locator("h1")).to_have_text(re.compile("^Written"))


def answer(page: Page) -> None:
    """Answers the nine items."""
    for place, score in enumerate(ANSWERS):
        page.locator("fieldset.question").nth(place).locator("input").nth(score).check(force=True)


def governance(page: Page, run: Run) -> None:
    """The overview of the governance pages, with one model switched off."""
    page.goto(f"{run.addresses.governance_url}switches")
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("button", name="Dr. Iris Haugen").click()
    page.get_by_role("link", name="Switches").click()
    page.get_by_label("What").select_option("model:depression")
    page.get_by_label("Reason").fill("Near miss reported this morning; see the incident")
    page.get_by_role("button", name="Switch off from the next call on").click()
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_text("May not speak")).to_be_visible()


def site_report(page: Page, run: Run) -> None:
    """The report on a site's models, of a made-up year."""
    page.set_content(report_page(half_a_year()))


PICTURES = (
    Picture(name="demo-page", width=1440, height=900, take=demo_page),
    Picture(name="app-panel", width=400, height=560, take=detail_of(OPENS_WITH)),
    Picture(name="app-summary", width=1100, height=900, take=detail_of(OPENS_WITH)),
    Picture(name="app-acute-dark", width=1100, height=700, take=told, scheme="dark"),
    Picture(name="app-acknowledge", width=400, height=560, take=told),
    Picture(name="demo-pager", width=1100, height=700, take=pager),
    Picture(name="app-nothing", width=1100, height=700, take=detail_of(PILAR)),
    Picture(name="app-form", width=1100, height=900, take=form),
    Picture(name="app-written", width=400, height=560, take=written),
    Picture(name="governance", width=1100, height=900, take=governance),
    Picture(name="site-report", width=1000, height=1100, take=site_report),
)


@contextmanager
def window(browser: Browser, picture: Picture) -> Iterator[Page]:
    """A new window of the picture's size."""
    size = {"width": picture.width, "height": picture.height}
    context = browser.new_context(viewport=size, color_scheme=picture.scheme, reduced_motion="reduce")
    yield context.new_page()
    context.close()


def save(shot: bytes, path: Path) -> None:
    """A screenshot with a palette of its own; the same pixels give the same file."""
    # This method keeps rare colours true, such as the red of one acute word.
    how = Image.Quantize.MAXCOVERAGE
    few = Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS, method=how, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def main(names: list[str]) -> None:
    """Writes the pictures of these names, or all."""
    engine = load_engine()
    with chromium() as browser:
        for picture in PICTURES:
            if names and picture.name not in names:
                continue
            # Each from the same start: what one writes is not in the chart of the next.
            demo = running(engine=engine, clock=StandingClock(AT), governance=True)
            with demo as run, window(browser, picture) as page:
                picture.take(page, run)
                path = IMAGES / f"{picture.name}.png"
                save(page.screenshot(), path)
            print(f"{path.relative_to(Path.cwd())}: {path.stat().st_size:,} B")


if __name__ == "__main__":
    main(sys.argv[1:])
