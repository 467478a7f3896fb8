"""No code reads a sentence to decide anything: sentences for people are made last, from values.

Looked for are comparisons, searches and cuts with a constant that reads as a sentence (two words, or markup of ours), or
of an attribute that holds one. Comparing with an enum member is fine: that is a value.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest
from sources import ROOT, modules, tree_of

SENTENCE = re.compile(r"[^\W\d_]{2,}[,;:]? +[^\W\d_]|^\*\*|^[A-Z][a-z]+:$")
# What notices, lines, statements, gaps and scores that were not given say to people.
SAID = {"summary", "detail", "text", "reason", "basis", "chart", "consider", "label", "heading"}
CUTS = {
    "startswith", "endswith", "replace", "split", "rsplit", "partition", "rpartition", "removeprefix", "removesuffix",
    "find", "rfind", "index", "count",
}  # fmt: skip
SEARCHES = {"search", "match", "fullmatch", "findall", "finditer", "sub", "subn", "split", "compile"}

# (file, a part of the line): why it may.
ALLOWED = {
    ("cds_service/demo_ehr/clinic/screening_rows.py", '"total score" in text'): "the demo EHR reads charts as an EHR does",
    ("cds_service/serving/server.py", "msg.startswith(UNREADABLE)"): "gunicorn names this failure by its message alone",
    ("fhir_adapters/reading/lists/after_care.py", "re.compile("): "words that charts use for plans and visits",
    ("fhir_adapters/resources/validation.py", '"got multiple" in error["msg"]'): "pydantic gives this error no type",
    ("smart_launch/forms/safety.py", '.replace("**", "")'): "takes the bold off a text; nothing is decided",
}  # fmt: skip


def constants(tree: ast.Module) -> dict[str, ast.expr]:
    """A module's constants."""
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


@cache
def named_sentences() -> frozenset[str]:
    """The names of constants that hold a sentence, in any module."""
    named = (constants(tree_of(path)).items() for path in modules())
    return frozenset(name for module in named for name, value in module if is_sentence(value))


def sentences_known_in(tree: ast.Module) -> set[str]:
    """The names that stand for a sentence in a module: its own, and those that it imports."""
    imported = {a.asname or a.name for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names}
    own = constants(tree)
    return {name for name, value in own.items() if is_sentence(value)} | (imported & named_sentences() - own.keys())


def is_sentence(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(SENTENCE.search(node.value))


def says(node: ast.AST, names: set[str]) -> bool:
    """Whether a value is a sentence: a constant, the name of one, or an attribute that holds one."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(says(inner, names) for inner in node.elts)
    if isinstance(node, ast.Name):
        return node.id in names
    return is_sentence(node) or (isinstance(node, ast.Attribute) and node.attr in SAID)


def is_member(node: ast.AST) -> bool:
    """Whether a value is a member of an enum, such as Urgency.ACUTE, or None."""
    return (isinstance(node, ast.Attribute) and node.attr.isupper()) or (
        isinstance(node, ast.Constant) and not node.value
    )


def reads(node: ast.AST, names: set[str]) -> bool:
    """Whether a piece of code compares, searches or cuts a sentence."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        by_value = any(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops)
        return by_value and any(says(side, names) for side in sides) and not any(map(is_member, sides))
    if isinstance(node, ast.match_case):
        return any(map(is_sentence, ast.walk(node.pattern)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        given = any(says(argument, names) for argument in node.args)
        cut = node.func.attr in CUTS and says(node.func.value, names)
        return cut or (given and node.func.attr in CUTS | SEARCHES)
    return False


def lines_read(tree: ast.Module) -> Iterator[int]:
    """The number of each line that reads a sentence."""
    names = sentences_known_in(tree)
    for node in ast.walk(tree):
        if reads(node, names):
            yield node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno


def test_no_sentence_is_read_to_decide_anything() -> None:
    found, used = [], set()
    for path in modules():
        name = path.relative_to(ROOT).as_posix()
        lines = path.read_text(encoding="utf-8").splitlines()
        for number in lines_read(tree_of(path)):
            text = lines[number - 1].strip()
            excuses = {(file, part) for file, part in ALLOWED if file == name and part in text}
            used |= excuses
            if not excuses:
                found.append(f"{name}:{number}: {text}")

    assert found == [], "compare the value that the sentence is made from:\n" + "\n".join(found)
    assert set(ALLOWED) - used == set(), "no longer there"


@pytest.mark.parametrize(
    "source",
    [
        'if reason == "not on file": pass',
        'if "no model was used" in basis: pass',
        'if notice.label in ("a", "b"): pass',
        'basis = basis.replace("no model", "a model")',
        "rule = notice.basis.partition(';')",
        're.search("[Rr]ule R[0-9]+ or", text)',
        're.search("R[0-9]+", notice.basis)',
        "rule = RULE.search(notice.basis)",
        'bold = line.startswith("**")',
        'match text:\n    case "not on file": pass',
    ],
)
def test_a_sentence_that_is_read_is_noticed(source: str) -> None:
    assert list(lines_read(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "if gap.reason == GapReason.NOT_PERMITTED: pass",
        "if gap.reason is not None: pass",
        'if notice.summary != "": pass',
        'if code == "44249-1": pass',
        'system, _, code = token.partition("|")',
        'line = f"{notice.summary} and more"',
        'raise ValueError("expected a number")',
    ],
)
def test_values_are_compared_and_sentences_are_made_freely(source: str) -> None:
    assert not list(lines_read(ast.parse(source)))
