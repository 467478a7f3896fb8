"""Text that a person may read keeps to the language rules: no reassurance, no fortune-telling, no blame.

Read are the sentences inside Python sources (what the commands print and show as help, not comments and other
docstrings), templates, phrases and settings of the packages, and the project's own pages. Code lists (.csv) are left
out: their displays are the words of the authorities that own the codes.

A line that must quote such a phrase, in order to refuse or to forbid it, carries the words `language: quoted` in a
comment of its own format.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sources import PACKAGES, ROOT

TEXT_SUFFIXES = {".css", ".html", ".j2", ".js", ".json", ".md", ".svg", ".toml", ".txt"}
MARKER = "language: quoted"

# What may not be said, and why. Spaces match any white space; letters match in either case.
FORBIDDEN = {
    # "No risk level is written" is a promise that we make, and no reassurance.
    r"(low|no|minimal|zero) (suicid(e|al) )?risk(?! (label|level|score|tier)s?)": "a negative is never reassurance",
    r"low-risk": "a negative is never reassurance",
    r"not at risk": "a negative is never reassurance",
    r"all clear": "a negative is never reassurance",
    r"[✓✔✅🟢]": "a tick or a green light reads as reassurance",
    # Saying that it does not is the truth.
    r"(?<!not\s)(?<!never\s)predict(s|ed|ing)?": "the estimate is of the present; it foretells nothing",
    r"(?<!not\sa\s)(?<!no\s)predictions? of (a |an |the )?(attempt|suicide|death)s?": "as above",
    r"imminent(ly)?": "nobody can know it; say what was answered, and when",
    r"unbiased": "no model is",
    r"commit(s|ted|ting)? suicide": "say: died by suicide",
    r"(complete[sd]?|completing|successful(ly)?) suicide": "say: died by suicide",
    r"(successful|unsuccessful|failed) (suicide )?attempts?": "say: suicide attempt",
    r"suicid(e|al) gestures?": "say what was done",
    r"(suicide )?attempters?": "say: person who attempted suicide",
    r"suicidal (patient|person|people|man|woman)s?": "say: person with thoughts of suicide",
    r"manipulative": "a judgement, not a finding",
    r"epidemic": "alarms, and says nothing about this person",
}
PATTERNS = {
    re.compile(r"(?<!\w)" + pattern.replace(" ", r"\s+") + r"(?!\w)", re.IGNORECASE): why
    for pattern, why in FORBIDDEN.items()
}


class Passage(NamedTuple):
    """A stretch of text and the source lines that it stands on, counted from 1."""

    text: str
    first_line: int
    last_line: int


def is_command(node: ast.AST) -> bool:
    """Whether a function's docstring is shown by `--help`."""
    decorators = getattr(node, "decorator_list", [])
    return any(re.search(r"\b(command|group)\b", ast.unparse(decorator)) for decorator in decorators)


def python_passages(source: str) -> Iterator[Passage]:
    """String constants of a module, without the docstrings that only its readers see."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    hidden = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented)
        and ast.get_docstring(node) is not None
        and isinstance(node.body[0], ast.Expr)
        and not is_command(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in hidden:
            yield Passage(node.value, node.lineno, node.end_lineno or node.lineno)


def passages(path: Path) -> Iterator[Passage]:
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from python_passages(source)
    else:
        yield Passage(source, 1, source.count("\n") + 1)


def problems(path: Path) -> list[str]:
    """Each forbidden phrase of a file with its line and the reason; none where the line is marked as a quotation."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for passage in passages(path):
        whole_file = path.suffix != ".py"
        for pattern, why in PATTERNS.items():
            for match in pattern.finditer(passage.text):
                at = passage.text.count("\n", 0, match.start()) + 1 if whole_file else passage.first_line
                until = at + match.group().count("\n") if whole_file else passage.last_line
                if not any(MARKER in line for line in lines[at - 1 : until]):
                    found.append(f"{path.name}:{at}: {match.group()!r}: {why}")
    return found


def files_that_people_read() -> list[Path]:
    pages = [*ROOT.glob("*.md"), ROOT / "NOTICE", *ROOT.glob("docs/**/*.md")]
    inside = [path for package in PACKAGES for path in (ROOT / package).rglob("*")]
    return pages + [
        path for path in inside if path.suffix in {".py", *TEXT_SUFFIXES} and "__pycache__" not in path.parts
    ]


def test_no_text_for_people_reassures_foretells_or_blames() -> None:
    found = [
        f"{path.relative_to(ROOT).parent}/{problem}" for path in files_that_people_read() for problem in problems(path)
    ]

    assert found == [], "\n".join(found)


def test_sources_pages_and_phrases_are_among_the_files_read() -> None:
    read = {path.relative_to(ROOT).parts[0] for path in files_that_people_read()}

    assert read >= {*PACKAGES, "docs", "README.md"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "This patient is at low\nrisk."),
        ("page.html", "<p>All clear</p>"),
        ("phrases.toml", 'summary = "The model predicts depression"'),
        ("cards.py", 'SUMMARY = "Failed attempt on record"'),
        ("cards.py", 'def summary(n: int) -> str:\n    return f"{n} suicidal patients"'),
        ("commands.py", '@cli.command()\ndef score() -> None:\n    """Predict who will commit suicide."""'),
        ("page.md", "He committed suicide."),
        ("page.md", "✓ nothing found"),
    ],
)
def test_a_forbidden_phrase_is_found_wherever_people_would_read_it(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")

    assert problems(tmp_path / name) != []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", 'Never say "low risk". <!-- language: quoted -->'),
        ("cards.py", 'REFUSED = ("low risk",)  # language: quoted'),
        ("cards.py", '"""Never says low risk."""\n\n# A low risk is never claimed.\nX = 1'),
        ("page.md", "At or above this site's threshold; screening is suggested."),
        ("page.md", "It does not predict attempts, and no risk level is written to the chart."),
    ],
)
def test_quotations_comments_and_careful_words_pass(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")

    assert problems(tmp_path / name) == []
