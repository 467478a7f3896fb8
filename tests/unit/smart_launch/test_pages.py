"""Pages of the app: words for every error, every text in the catalogue, colours that can be read, safe markdown."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from app_views import ENTRY, ERRORS, LOOKS, PAGES, ROUTES, WHO, flask_app, look, summary
from made_up_language import LANGUAGE, TEMPLATES, compiled
from markupsafe import Markup

from explanations.words.gaps import gap_words
from explanations.words.help_lines import crisis_text
from explanations.words.language import language, later
from fhir_adapters.writing.questionnaires import FORMS, form
from smart_launch.pages import markdown
from smart_launch.pages.ehr_style import contrast
from smart_launch.pages.error_words import WORDS, error_words
from smart_launch.pages.language import app_language
from smart_launch.pages.responses import support_code

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "smart_launch"
CSS = (PACKAGE / "static" / "app.css").read_text()
ERROR_TYPES = {"SmartError", "LaunchRefused", "EhrFailed", "SessionOver", "NotAllowed", "NotWritten"}


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

    text = flask_app().test_client().get(f"/smart/look/error/{code}").get_data(as_text=True)

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


def test_the_catalogue_template_is_up_to_date(tmp_path: Path) -> None:
    """`make messages` writes it."""
    made = tmp_path / "app.pot"
    command = [sys.executable, "-W", "ignore", "-m", "babel.messages.frontend", "-q", "extract", "-F", "babel.cfg"]
    options = [
        "-k",
        "later",
        "-k",
        "say",
        "-k",
        "many:1,2",
        "--no-location",
        "--omit-header",
        "--sort-output",
        "-o",
        str(made),
        "smart_launch",
    ]

    subprocess.run([*command, *options], cwd=ROOT, check=True, timeout=60)

    assert made.read_text() == TEMPLATES[0].read_text(), "run `make messages`"


class Texts(HTMLParser):
    """The texts of a page with the names and classes of the elements around them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.found: list[tuple[str, str]] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        values = dict(attrs)
        self.attributes += [values[name] for name in ("alt", "title", "placeholder", "aria-label") if values.get(name)]
        if tag not in ("meta", "link", "input", "br"):
            self.open.append((tag, values.get("class") or values.get("lang") or ""))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self.open]
        if "svg" in tags or "code" in tags:
            return  # pictures and references of the chart
        self.found.append((" ".join(data.split()), " ".join(f"{tag}.{name}" for tag, name in self.open)))


def flat(value: object) -> list[str]:
    """Every text in a value."""
    if isinstance(value, str):
        return [unescape(re.sub(r"<[^>]+>", " ", value)) if isinstance(value, Markup) else value]
    if isinstance(value, tuple | list):
        return [text for part in value for text in flat(part)]
    fields = getattr(value, "__dataclass_fields__", {})
    return [text for name in fields for text in flat(getattr(value, name))]


def words_of_others(page: str) -> str:
    """What a page shows that is not the app's: the chart, the words of `explanations`, and published forms."""
    kind, _, name = page.partition("/")
    texts = [*flat(WHO.banner)]
    if kind in ("summary", "print"):
        reading, there = look(name)
        shown = summary(name)
        notices = [(n.summary, n.chart, n.heading, n.consider, n.consider_heading, n.basis) for n in reading.notices]
        findings = [(f.word, f.chart, f.more or "", f.consider, f.basis, f.crisis or "") for f in shown.findings]
        estimates = [(flat(e.view), [(r.what, r.change) for r in e.rows], e.adds_up) for e in shown.estimates]
        texts += flat(reading.identity) + flat(notices) + flat(findings) + flat(estimates) + flat(shown.known)
        texts += flat([(t.sentence, flat(t.rows)) for t in shown.trends]) + flat(shown.medicines or ())
        texts += flat(shown.about_medicines) + flat(shown.guidelines) + flat(shown.history) + flat(shown.others)
        texts += [shown.no_estimate, shown.withheld, shown.caution, *(outcome.words for outcome in shown.outcomes)]
        texts += [shown.who.born or "", shown.who.identifier or "", shown.read_at, " · ".join(shown.versions)]
        texts += [t.title for t in shown.trends] + [
            gap_words(gap.reason, language()) for gap in reading.assessment.chart.unknown
        ]
        texts += ["questionnaires", "screening answers", "medicines", str(there.site.notices.contact)]
    if kind == "entry":
        for name in FORMS:
            asked = form(name)
            texts += [*flat(asked), *(f"{q.number}. {q.text}" for q in asked.questions)]
        texts += [crisis_text("US", look("bare")[0].assessment.chart.today, language()).replace("**", "")]
        texts += ["Practitioner/lindqvist", "23 Nov 2026", "30 Nov 2026", "PHQ-9 item 9: 1 of 3, several days"]
    return " ".join(" ".join(texts).split()).lower()


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory):
    folder = compiled(tmp_path_factory.mktemp("locale"))
    return flask_app(app_language(LANGUAGE, folder)).test_client()


@pytest.mark.parametrize("page", PAGES)
def test_in_another_language_no_text_of_ours_is_left_in_english(made_up, page: str) -> None:
    read = Texts()
    read.feed(made_up.get(f"/smart/look/{page}").get_data(as_text=True))
    others = words_of_others(page)
    left = []

    for text, where in read.found:
        for piece in re.split(r"‹[^›]*›", text):
            words = re.sub(r"^[\W_]+|[\W_]+$", "", piece)
            if re.search(r"[A-Za-z]{2}", words) and words.lower() not in others:
                left.append((words, where[-80:]))

    chosen = ("Northside Clinic", "Harbour Hospital")
    assert [
        (words, where)
        for words, where in left
        if words not in chosen and not re.fullmatch(r"[2-9A-Z]{3}-[2-9A-Z]{3}", words)
    ] == []
    assert read.attributes == []


def test_a_language_without_a_catalogue_is_english(tmp_path: Path) -> None:
    text = flask_app(app_language("xx", tmp_path)).test_client().get("/smart/look/thanks").get_data(as_text=True)

    assert '<html lang="en">' in text
    assert "Feedback recorded" in text


def test_the_language_of_a_page_is_named(made_up) -> None:
    assert f'<html lang="{LANGUAGE}">' in made_up.get("/smart/look/thanks").get_data(as_text=True)


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
    answer = flask_app().test_client().get(f"/smart/look/{page}")
    text = answer.get_data(as_text=True)

    assert not re.search(r"<script(?! src)|<style|\sstyle=|\son[a-z]+=|javascript:", text)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_made_pages_are_all_looked_at() -> None:
    assert {p.partition("/")[0] for p in PAGES} >= {r.partition("/")[0] for r in ROUTES} | {"entry"}
    assert len(PAGES) > len(LOOKS) + len(ENTRY)
