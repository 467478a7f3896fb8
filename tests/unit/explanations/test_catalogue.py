"""The catalogue of explanations: complete, and filled by literal messages alone."""

from __future__ import annotations

import ast
import re
from collections import Counter

import pytest
from babel.messages.catalog import Message
from message_templates import gathered
from sources import modules, tree_of

from explanations.errors import PhrasesIncomplete
from explanations.words.catalogues import listed, read_catalogue
from explanations.words.language import language
from explanations.words.tables import complete


def messages_in(tree: ast.Module) -> set[str]:
    """The literal messages of `say`, `many` and `later` in a module."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("say", "many", "later"):
                texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                found |= set(texts[:2] if name == "many" else texts[:1])
    return found


@pytest.fixture(scope="module")
def found() -> list[Message]:
    """All messages of the sources, as they are now."""
    return [message for catalogue in gathered().values() for message in listed(catalogue)]


def test_the_templates_are_up_to_date() -> None:
    for template, now in gathered().items():
        shipped = {message.id: message.auto_comments for message in listed(read_catalogue(template))}
        assert shipped.keys() == {message.id for message in listed(now)}, f"{template.name}: run `make messages`"


def test_every_message_is_gathered(found: list[Message]) -> None:
    """Also where Babel does not look, such as inside an f-string."""
    known = {text for message in found for text in ([message.id] if isinstance(message.id, str) else message.id)}

    used = {
        text
        for package in ("explanations", "smart_launch")
        for module in modules(package)
        for text in messages_in(tree_of(module))
    }

    assert used - known - {""} == set()


def test_a_text_stands_in_one_domain(found: list[Message]) -> None:
    assert [text for text, count in Counter(message.id for message in found).items() if count > 1] == []


def test_every_note_to_translators_stands_before_a_message(found: list[Message]) -> None:
    kept = "".join("".join(note.split()) for message in found for note in message.auto_comments)

    for path in modules("explanations"):
        for note in re.findall(r"# Translators: (.*)", path.read_text()):
            assert "".join(note.split()) in kept, f"{path.name}: {note}"


def test_a_table_of_words_lacks_nothing_and_has_nothing_too_many() -> None:
    assert complete({"a": 1}, ["a"]) == {"a": 1}
    with pytest.raises(PhrasesIncomplete, match=r"wrong: \['b'\]"):
        complete({"a": 1}, ["a", "b"])
    with pytest.raises(PhrasesIncomplete, match=r"wrong: \['b'\]"):
        complete({"a": 1, "b": 2}, ["a"])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_message_with_a_number_has_two_forms_in_english(count: int) -> None:
    said = language().many("{count} day ago", "{count} days ago", count)

    assert said == ("1 day ago" if count == 1 else f"{count} days ago")
