"""Builds docs/gallery.html (`make gallery`): cards, pictures, forms and pages for patients, live, in both languages.

One file without anything from elsewhere. Each page is the HTML of the real templates, kept once; a frame shows it in the
width, colours and language that are chosen. Spanish is shown as after a site's review, by a reviewer who is made up.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC
from functools import cache, partial
from itertools import product
from pathlib import Path
from unittest import mock

import app_views
import jinja2
from app_views import AS_OF, ENGINE, ENTRY, LOOKS, PATIENT_FACTS, Look, flask_app, in_full, who_of
from axe_playwright_python.base import AXE_SCRIPT
from builders import LOW, bundle, given, patient
from card_kinds import KINDS, made
from chromium import chromium
from reading_grade import FORMULAS, grades
from sources import ROOT
from wording_rules import rules

from cds_service.commands.assess_files import Assessed, assess_file
from cds_service.commands.assessed_view import print_assessed
from cds_service.settings.config import default_config
from explanations.words.language import Language, language
from explanations.words.notices.notice import NoticeSettings
from explanations.words.patient.page import patient_page
from smart_launch.forms.form_routes import form_page
from smart_launch.pages.language import FOLDERS
from smart_launch.pages.markdown import html

PAGE = ROOT / "docs" / "gallery.html"
FOLDER = Path(__file__).parent / "gallery_pages"
AXE = "axe.run(document, {resultTypes: ['violations']}).then(f => f.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target)))"
STATIC = ROOT / "smart_launch" / "static"
MOST_BYTES = 2_000_000
# A chart with all four states of the strip: read, too old, not on file, could not be read.
MORE_LOOKS = {"four-states": Look(lines=app_views.COURSE, unknown=("medications",))}
MORE_ENTRY = {
    "gad-7-asked": lambda app, launch: form_page(
        app, launch, in_full("gad-7", language=launch.say.locale), who_of(launch)
    )
}
SUMMARIES = {
    "acute": "An acute answer of today",
    "told": "The crisis team has been notified",
    "ask": "Item 9 above 0, six days ago",
    "recent": "A suicide attempt 41 days ago",
    "done-since": "What is on file since",
    "prompt": "A model prompts, patient in care",
    "figures": "A model prompts, figures switched on",
    "nothing": "Nothing to show",
    "partial": "Medicines were not read",
    "not-assessed": "Questionnaires were not read",
    "opted-out": "The patient has opted out",
    "young": "Fifteen years old",
}
INDICATORS = dict(zip(("critical", "warning", "info"), ("acute", "warning", "info"), strict=True))


BOTH = ("en", "es")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One thing: an id of its own, a title, the languages, and how the inner HTML of its body is made in one of them."""

    group: str
    ident: str
    title: str
    made: Callable[[str], str]
    keys: tuple[str, ...] = BOTH


@cache
def speaks() -> dict[str, Language]:
    """The languages shown, by key."""
    spanish = language("es", FOLDERS)
    return {"en": language("en", FOLDERS), "es": replace(spanish, reviewed=True), "es-shipped": spanish}


def body(page: str) -> str:
    """What a frame needs of a page: its body without scripts, spare space, and addresses that lead nowhere here."""
    inner = page.partition("<body>")[2].partition("</body>")[0]
    kept = re.split(r"(<textarea.*?</textarea>|<pre.*?</pre>)", inner, flags=re.DOTALL)
    spare = "".join(part if n % 2 else re.sub(r"\s+", " ", part) for n, part in enumerate(kept))
    return re.sub(
        r'(href|action)="/[^"]*"', r'\1="#main"', re.sub(r"<script.*?</script>|<link[^>]*>", "", spare, flags=re.DOTALL)
    )


@cache
def client(key: str):
    return flask_app(speaks()[key]).test_client()


def view(name: str, key: str) -> str:
    with (
        mock.patch("smart_launch.pages.responses.support_code", return_value="7F3-K2Q"),
        mock.patch.dict(LOOKS, MORE_LOOKS),
        mock.patch.dict(ENTRY, MORE_ENTRY),
    ):
        answer = client(key).get(f"/smart/look/{name}")
    found = body(answer.get_data(as_text=True))
    assert found, (name, answer.status_code)
    return found


def page(group: str, name: str, title: str, keys: tuple[str, ...] = BOTH) -> Shown:
    return Shown(group=group, ident=name.replace("/", "-"), title=title, made=partial(view, name), keys=keys)


def cards() -> Iterator[Shown]:
    """Every kind of card, an acute one also as Spanish ships."""
    for name in KINDS:
        keys = (*BOTH, "es-shipped") if name == "acute" else BOTH
        yield Shown(
            group="Cards",
            ident=f"card-{name}",
            title=name.replace("-", " ").capitalize(),
            made=partial(_cards, name),
            keys=keys,
        )


def _cards(name: str, key: str) -> str:
    found = [
        (card, INDICATORS[card.indicator], html(str(card.detail)))
        for card in made(name, NoticeSettings(zone=UTC, say=speaks()[key]))
    ]
    return body(templates().get_template("cards.html").render(name=name, cards=found))


def part(page_of: str, label: str) -> str:
    """The section with this label, alone on its page."""
    (found,) = re.findall(rf'<section class="[^"]*" aria-labelledby="{label}">.*?</section>', page_of, flags=re.DOTALL)
    opened = re.sub(r"<details(?! open)", "<details open", found)
    return f'<main id="main"><h1 class="visually-hidden">{label}</h1>{opened}</main>'


PICTURES = (
    ("recent", "phq-9-title", "PHQ-9 over time, with treatment, visits and a crisis"),
    ("recent", "gad-7-title", "GAD-7 over time"),
    ("many", "phq-9-title", "Sixty results and fourteen medicines"),
    ("figures", "estimate-title", "Reasons by size and side, and people out of 100"),
    ("four-states", "known-title", "What was known: read, too old, not on file, could not be read"),
)


def pictures() -> Iterator[Shown]:
    for name, label, title in PICTURES:
        made = partial(_picture, name, label)
        yield Shown(group="Pictures", ident=f"picture-{name}-{label}", title=title, made=made)


def _picture(name: str, label: str, key: str) -> str:
    return part(view(f"summary/{name}", key), label)


def everything() -> list[Shown]:
    """All that is shown, in the order of the page."""
    titles = {
        "most": "United States, models speak", "tested": "models are tested, nobody sees them",
        "england": "England: no model", "least": "no model, no way to opt out on file",
    }  # fmt: skip
    return [
        *cards(),
        *pictures(),
        *(page("Patient pages", f"patient/{name}", titles.get(name, name)) for name in PATIENT_FACTS),
        page("Patient pages", "patient/most", "Spanish as it ships", ("es-shipped",)),
        *(page("Forms", f"entry/{step}", step) for step in (*ENTRY, *MORE_ENTRY)),
        *(page("The app", f"summary/{name}", title) for name, title in SUMMARIES.items()),
        page("The app", "print/ask", "for printing"),
        page("The app", "learn/speaks", "the three-minute module"),
        *(page("The app", f"error/{code}", f"error: {code}") for code in ("failed", "timed-out", "no-chart")),
    ]


def assessed(name: str, folder: Path) -> Assessed:
    made = LOOKS[name]
    path = folder / f"{name}.json"
    path.write_bytes(bundle(patient(made.age), *(found for line in made.lines for found in given(line)), *made.more))
    site = replace(default_config().sites[0], thresholds=LOW)
    result = assess_file(str(path), as_of=AS_OF, site=site, engine=ENGINE)
    assert isinstance(result, Assessed)
    return replace(result, name=f"{name}.json")


def terminal(name: str, width: int, folder: Path) -> str:
    """What a terminal of that width shows, without colours."""
    out = io.StringIO()
    with mock.patch.object(sys, "stdout", out), mock.patch.dict(os.environ, {"COLUMNS": str(width)}):
        print_assessed(assessed(name, folder))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def readability() -> list[tuple[str, str, str]]:
    """(page, language, grades) of the pages for patients, as their test has them."""
    return [
        (name, key, ", ".join(f"{formula} {grade:.1f}" for formula, grade in grades(page, key).items()))
        for name, facts in PATIENT_FACTS.items()
        for key in FORMULAS
        for page in [patient_page(facts, speaks()[key], AS_OF.date())]
    ]


def to_review() -> str:
    """The list for a native reviewer, as HTML."""
    text = (ROOT / "docs" / "translating-es.md").read_text("utf-8")
    return html(text.partition("## For a native reviewer to look at first")[2].partition("\n## ")[0])


@cache
def templates() -> jinja2.Environment:
    return jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True)


def styles() -> dict[str, str]:
    """The app's style sheets; the dark tokens by themselves, to be chosen rather than asked of the browser."""
    sheet, forms = (
        re.sub(r"/\*.*?\*/|\s+(?=\s)", "", (STATIC / name).read_text("utf-8"), flags=re.DOTALL)
        for name in ("app.css", "forms.css")
    )
    dark = re.search(r"@media \(prefers-color-scheme: dark\) \{\s*(:root \{.*?\})\s*\}", sheet, flags=re.DOTALL)
    assert dark, "app.css: expected its dark tokens in one block"
    return {"sheet": sheet.replace(dark.group(), ""), "dark": dark.group(1), "forms": forms}


def built(folder: Path, checks: str) -> str:
    """The page. checks: figures of axe and Lighthouse, as HTML."""
    shown = everything()
    said = {f"{one.ident}.{key}": one.made(key) for one in shown for key in one.keys}
    data = {"pages": said, **styles(), "tags": {key: say.tag for key, say in speaks().items()}}
    groups: dict[str, list[Shown]] = {}
    for one in shown:
        groups.setdefault(one.group, []).append(one)
    return templates().get_template("gallery.html").render(
        groups=groups,
        names={"en": "English", "es": "Spanish", "es-shipped": "Spanish as it ships, not reviewed"},
        data=json.dumps(data, ensure_ascii=False, indent=0).replace("</", "<\\/"),
        terminals=[(name, width, terminal(name, width, folder)) for name in ("ask", "prompt") for width in (60, 100)],
        readability=readability(),
        rules={tag: rules(tag) for tag in ("en", "es")},
        to_review=to_review(),
        checks=checks,
        day=AS_OF.date(),
    )  # fmt: skip


def check() -> None:
    """Prints what axe finds in each page, in light and dark, at 320 and 1100 px, and what is wider than its window."""
    sheets = styles()
    pages = {(one, key): one.made(key) for one in everything() for key in one.keys}
    looked, faults = 0, []
    with chromium() as browser:
        tab = browser.new_page()
        for (one, key), inner in pages.items():
            for dark, width in product(("", sheets["dark"]), (320, 1100)):
                tab.set_viewport_size({"width": width, "height": 900})
                sheet = sheets["sheet"] + (sheets["forms"] if one.group == "Forms" else "")
                style = f"{sheet}{dark}:root {{ color-scheme: {'dark' if dark else 'only light'}; }}"
                head = f"<title>{one.title}</title><style>{style}</style>"
                tab.set_content(f'<!doctype html><html lang="{speaks()[key].tag}"><head>{head}</head><body>{inner}')
                tab.evaluate(AXE_SCRIPT)
                looked += 1
                faults += [f"{one.ident}.{key} {width}: {fault}" for fault in tab.evaluate(AXE)]
                if (wide := tab.evaluate("document.documentElement.scrollWidth")) > width:
                    faults.append(f"{one.ident}.{key}: {wide} px wide in {width}")
    print(*faults, f"{looked} views, {len(faults)} faults", sep="\n")


def main(words: list[str]) -> None:
    """Checks the pages, or builds the gallery."""
    if "--check" in words:
        check()
        return
    checks = (FOLDER / "checks.html").read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        text = built(Path(folder), checks)
    size = len(text.encode())
    assert size <= MOST_BYTES, f"expected at most {MOST_BYTES} bytes; found {size}"
    PAGE.write_text(text, "utf-8")
    print(f"docs/gallery.html: {size:,} B")


if __name__ == "__main__":
    main(sys.argv[1:])
