"""The catalogue of explanations: complete, and filled by literal messages alone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from message_templates import EXPLANATIONS, gather
from sources import modules, tree_of

from explanations.errors import PhrasesIncomplete
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
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make messages` writes for this package."""
    return gather(EXPLANATIONS, tmp_path_factory.mktemp("locale") / EXPLANATIONS.name)


def test_the_catalogue_template_is_up_to_date(gathered: Path) -> None:
    assert gathered.read_text() == EXPLANATIONS.read_text(), "run `make messages`"


def test_every_message_is_gathered(gathered: Path) -> None:
    """Also where `pybabel` does not look, such as inside an f-string."""
    with gathered.open("rb") as file:
        ids = [message.id for message in read_po(file)]
    known = {text for entry in ids for text in (entry if isinstance(entry, tuple) else (entry,))}

    used = {text for module in modules("explanations") for text in messages_in(tree_of(module))}

    assert used - known - {""} == set()


def test_every_note_to_translators_stands_before_a_message(gathered: Path) -> None:
    kept = "".join(gathered.read_text().replace("\n#.", "").split())

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
