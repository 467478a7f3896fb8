"""Pages of the app: words for every error, every text in the catalogue, colours that can be read, safe markdown."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from app_views import ENTRY, ERRORS, LOOKS, PAGES, ROUTES, english_app, flask_app, look
from flask import Flask, g
from made_up_language import LANGUAGE, compiled

from explanations.words.language import language, later
from smart_launch.pages import markdown
from smart_launch.pages.ehr_style import contrast
from smart_launch.pages.error_words import WORDS, error_words
from smart_launch.pages.language import app_language
from smart_launch.pages.responses import request_language, support_code
from smart_launch.settings import AppSettings, AppSite

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "smart_launch"
CSS = (PACKAGE / "static" / "app.css").read_text()
ERROR_TYPES = {"SmartError", "LaunchRefused", "EhrFailed", "SessionOver", "Forbidden", "NotWritten"}


# ---- errors -------------------------------------------------------------------------------------------------------


def codes_used() -> set[str]:
    """Every code that the package gives to an error, found in its sources."""
    found: set[str] = set()
    for source in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERROR_TYPES:
                found |= {a.value for a in node.args[1:2] if isinstance(a, ast.Constant) and isinstance(a.value, str)}
                found |= {k.value.value for k in node.keywords if k.arg == "page" and isinstance(k.value, ast.Constant)}
            if isinstance(node, ast.ClassDef) and node.name in ERROR_TYPES:
                pages = [s for s in node.body if isinstance(s, ast.Assign) and s.targets[0].id == "page"]
                found |= {s.value.value for s in pages}
    return found


def test_every_code_that_is_used_has_words() -> None:
    assert codes_used() - set(WORDS) == set()
    assert len(codes_used()) > 15


def test_every_code_with_words_is_used() -> None:
    sources = "".join(p.read_text() for p in PACKAGE.rglob("*.py") if p.name != "error_words.py")

    assert [code for code in WORDS if f'"{code}"' not in sources] == []


@pytest.mark.parametrize("code", ERRORS)
def test_an_error_page_says_what_why_and_what_to_do_and_gives_nothing_away(code: str) -> None:
    words = error_words(code, app_language())

    text = english_app().test_client().get(f"/smart/look/error/{code}").get_data(as_text=True)

    assert f'data-page="{code}"' in text
    assert text.count("<h1") == 1
    for part in (words.headline, words.cause, *words.remedy):
        assert part in text
        assert part.endswith(".")
    assert re.search(r"Support code <strong>[2-9A-Z]{3}-[2-9A-Z]{3}</strong>", text)
    said = text.replace(f'data-page="{code}"', "")
    assert not re.search(r"token|scope|issuer|https?:|Traceback|insufficient", said)


def test_an_unknown_code_is_a_failure() -> None:
    assert error_words("never-heard-of", app_language()) == error_words("failed", app_language())


def test_support_codes_can_be_read_out() -> None:
    assert all(re.fullmatch(r"[2-9A-HJ-NP-Z]{3}-[2-9A-HJ-NP-Z]{3}", support_code()) for _ in range(50))


# ---- texts --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory):
    return flask_app(language(LANGUAGE, compiled(tmp_path_factory.mktemp("locale")))).test_client()


def test_a_language_without_a_catalogue_is_english(tmp_path: Path) -> None:
    text = flask_app(app_language("xx", (tmp_path,))).test_client().get("/smart/look/thanks").get_data(as_text=True)

    assert '<html lang="en" dir="ltr">' in text
    assert "Feedback recorded" in text


def test_a_language_that_is_asked_for_in_two_ways_still_ends() -> None:
    assert app_language()("no such message") == app_language("en")("no such message") == "no such message"


def test_the_language_of_a_page_is_named(made_up) -> None:
    assert f'<html lang="{LANGUAGE}" dir="ltr">' in made_up.get("/smart/look/thanks").get_data(as_text=True)


@pytest.mark.parametrize(("known", "locale"), [(True, LANGUAGE), (False, "en")])
def test_an_error_is_in_the_language_of_the_site_where_that_is_known(known: bool, locale: str) -> None:
    site = look("bare")[1].site
    site = replace(site, languages=(replace(language(), locale=LANGUAGE), language()))
    elsewhere = AppSite(id="other", reading=site.reading, notices=site.notices)
    app = SimpleNamespace(settings=lambda: AppSettings(sites=(elsewhere, site), address=""))

    with Flask("test").test_request_context("/smart/launch"):
        g.registration = site.registrations[0] if known else None
        assert request_language(app).locale == locale


def test_texts_marked_for_later_are_as_they_are() -> None:
    assert later("Acute") == app_language()("Acute") == "Acute"


# ---- colours ------------------------------------------------------------------------------------------------------


def tokens() -> dict[str, dict[str, str]]:
    """The colours of each scheme."""
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    found = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in blocks]
    return {"light": found[0], "dark": found[1], "print": found[0] | found[-1]}


TEXT = [
    (ink, paper)
    for ink in ("ink", "muted", "link")
    for paper in ("page", "card", "band-a", "band-b")
] + [("on-button", "button"), ("acute", "card"), ("warning", "card"), ("info", "card"), ("acute", "page"), ("bar", "card")]  # fmt: skip
MARKS = [("outline", "card"), ("outline", "page"), ("axis", "card"), ("axis", "band-a"), ("bar", "band-b"), ("focus", "card"),
         ("focus", "page"), ("button", "card"), ("button", "page"), ("acute", "page"), ("warning", "page"), ("info", "page")]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_every_pair_of_colours_can_be_read(scheme: str) -> None:
    colours = tokens()[scheme]

    low = [
        (pair, round(contrast(*(colours[n] for n in pair)), 1))
        for pair in TEXT
        if contrast(*(colours[n] for n in pair)) < 4.5
    ]
    low += [
        (pair, round(contrast(*(colours[n] for n in pair)), 1))
        for pair in MARKS
        if contrast(*(colours[n] for n in pair)) < 3
    ]

    assert low == []


def test_no_colour_praises_and_nothing_moves() -> None:
    """No green: in no token does green lead over both other parts."""
    for colours in tokens().values():
        for name, colour in colours.items():
            red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
            assert not green > max(red, blue), name
    assert not re.search(r"animation|transition|@import|url\(", CSS)


def test_every_colour_is_a_token() -> None:
    outside = re.sub(r":root \{.*?\}", "", CSS, flags=re.DOTALL)

    assert re.findall(r"#[0-9a-fA-F]{3,8}\b", outside) == []


# ---- markdown and headers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "<script>x</script>",
        "<b>x</b>",
        "![x](https://a.example/x.png)",
        "# x",
        "[x](javascript:alert(1))",
        "x\n---",
        "<!-- x -->",
    ],
)
def test_markdown_of_a_chart_makes_no_html_of_its_own(text: str) -> None:
    for made in (markdown.html(text), markdown.line(text)):
        assert not re.search(r"<(script|b>|img|h1|h2|hr|a |!--)", made)


def test_a_table_has_no_inline_style() -> None:
    made = markdown.html("| a | b |\n|:--|--:|\n| 1 | 2 |")

    assert "<td>1</td>" in made
    assert "style" not in made


def test_one_line_has_no_paragraph_around_it() -> None:
    assert markdown.line("**Bold** `code`") == "<strong>Bold</strong> <code>code</code>"


@pytest.mark.parametrize("page", PAGES)
def test_no_page_needs_an_inline_style_or_script(page: str) -> None:
    answer = english_app().test_client().get(f"/smart/look/{page}")
    text = answer.get_data(as_text=True)

    assert not re.search(r"<script(?! src)|<style|\sstyle=|\son[a-z]+=|javascript:", text)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_made_pages_are_all_looked_at() -> None:
    assert {p.partition("/")[0] for p in PAGES} >= {r.partition("/")[0] for r in ROUTES} | {"entry"}
    assert len(PAGES) > len(LOOKS) + len(ENTRY)
