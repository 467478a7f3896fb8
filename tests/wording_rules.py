"""What no text for people may say, in each language: the rows of tests/wording/<language>.toml, and what they find.

A line that must quote such a phrase, in order to refuse or to forbid it, carries the words `language: quoted` in a
comment of its own format; for a message of a catalogue that is its comment for translators.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from explanations.words.catalogues import listed, read_catalogue

FOLDER = Path(__file__).parent / "wording"
LANGUAGES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
CATALOGUES = {".po", ".pot"}
MARKER = "language: quoted"
# Pages for boards and data scientists give intervals and rates; what a clinician or patient reads does not.
NUMBERS = {"denominator", "percentage"}


class WordingRule(NamedTuple):
    """One row. messages: it holds for what clinicians and patients read, not for code and docs."""

    kind: str
    pattern: re.Pattern[str]
    why: str
    caught: list[str]
    passed: list[str]
    messages: bool


class Passage(NamedTuple):
    """A stretch of text and the source lines that it stands on, counted from 1."""

    text: str
    first_line: int
    last_line: int
    quoted: bool = False


def _compiled(pattern: str) -> re.Pattern[str]:
    """Between words; a space is any white space."""
    spaced = pattern.replace(" ?", r"\s*").replace(" ", r"\s+")
    return re.compile(rf"(?<!\w)(?:{spaced})(?!\w)", re.IGNORECASE)


@cache
def _file(language: str) -> dict:
    return tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8"))


def of_a_hundred(language: str) -> re.Pattern[str]:
    """How this language gives a share: people out of a hundred."""
    return _compiled(_file(language)["of_a_hundred"])


def dictionary(language: str) -> str:
    """Hunspell's name of this language's dictionary."""
    return _file(language)["dictionary"]


@cache
def rules(language: str) -> tuple[WordingRule, ...]:
    return tuple(
        WordingRule(
            kind=row["kind"],
            pattern=_compiled(row["pattern"]),
            why=row["why"],
            caught=row["caught"],
            passed=row.get("passed", []),
            messages=row.get("messages", False),
        )
        for row in _file(language)["rule"]
    )


def faults(text: str, language: str = "en", *, messages: bool = True) -> Iterator[tuple[re.Match[str], WordingRule]]:
    """Each phrase of a text that may not be said. messages: clinicians or patients read it."""
    for rule in rules(language):
        if messages or not rule.messages:
            yield from ((match, rule) for match in rule.pattern.finditer(text))


def language_of(path: Path) -> str:
    """The language of a file: a catalogue's folder names it (`es`, `es_MX`); all else is English."""
    return path.parents[1].name.partition("_")[0] if path.suffix == ".po" else "en"


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


def catalogue_passages(path: Path) -> Iterator[Passage]:
    """The texts of a catalogue that are shown: translations of a `.po`, the English messages of a `.pot`."""
    for message in listed(read_catalogue(path)):
        shown = message.string if path.suffix == ".po" else message.id
        quoted = any(MARKER in comment for comment in (*message.user_comments, *message.auto_comments))
        for text in shown if isinstance(shown, tuple | list) else (shown,):
            yield Passage(text, message.lineno or 1, message.lineno or 1, quoted)


def passages(path: Path) -> Iterator[Passage]:
    if path.suffix in CATALOGUES:
        yield from catalogue_passages(path)
        return
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from python_passages(source)
    else:
        yield Passage(source, 1, source.count("\n") + 1)


def problems(path: Path) -> list[str]:
    """Each forbidden phrase of a file with its line and the reason; none where the line is marked as a quotation."""
    lines = path.read_text(encoding="utf-8").splitlines()
    messages = path.suffix in {*CATALOGUES, ".html"}
    whole_file = path.suffix not in {*CATALOGUES, ".py"}
    found = []
    for passage in passages(path):
        for match, rule in faults(passage.text, language_of(path), messages=messages):
            at = passage.text.count("\n", 0, match.start()) + 1 if whole_file else passage.first_line
            until = at + match.group().count("\n") if whole_file else passage.last_line
            if path.suffix == ".html" and rule.kind in NUMBERS:
                continue
            if not passage.quoted and not any(MARKER in line for line in lines[at - 1 : until]):
                found.append(f"{path.name}:{at}: {match.group()!r}: {rule.why}")
    return found
