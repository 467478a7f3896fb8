"""Everything is spelled right: sources and docs by codespell, catalogues by the dictionary of their language.

tests/wording/<language>.toml names hunspell's dictionary, <language>.words holds the words that it lacks.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from sources import ROOT
from wording_rules import CATALOGUES, FOLDER, LANGUAGES, catalogue_passages, dictionary, language_of

# Placeholders, tags, code and addresses are no words.
NO_WORDS = re.compile(r"%\(\w+\)s|\{\w+\}|<[^>]*>|`[^`]*`|https?:\S+")


@cache
def own_words(language: str) -> frozenset[str]:
    return frozenset((FOLDER / f"{language}.words").read_text(encoding="utf-8").split())


def unknown_words(text: str, language: str) -> set[str]:
    """The words that the dictionary of the language does not know, and its list of ours neither."""
    if shutil.which("hunspell") is None:
        pytest.skip("needs hunspell (on Debian: apt-get install hunspell hunspell-en-us hunspell-es)")
    command = ["hunspell", "-d", dictionary(language), "-i", "utf-8", "-l"]
    shown = NO_WORDS.sub(" ", text).replace("’", "'")
    listed = subprocess.run(command, input=shown, capture_output=True, text=True, encoding="utf-8", check=True)
    return {word.removesuffix("'s") for word in listed.stdout.split()} - own_words(language)


def misspelt(path: Path) -> list[str]:
    """Each word of a catalogue that its language does not know."""
    text = "\n".join(passage.text for passage in catalogue_passages(path))
    return [f"{path.relative_to(ROOT)}: {word}" for word in sorted(unknown_words(text, language_of(path)))]


def codespell(place: str) -> str:
    """What codespell finds there, with the settings of pyproject.toml."""
    command = [sys.executable, "-m", "codespell_lib", place]
    found = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    return found.stdout + found.stderr


def test_sources_and_docs_are_spelled_right() -> None:
    assert codespell(".") == ""


def test_catalogues_are_spelled_right_in_their_language() -> None:
    catalogues = sorted(path for path in ROOT.glob("*/locale/**/*") if path.suffix in CATALOGUES)

    assert [fault for path in catalogues for fault in misspelt(path)] == []


def test_a_misspelt_word_of_a_page_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("Recieve the card.\n", encoding="utf-8")  # codespell:ignore recieve

    assert "==> Receive" in codespell(str(tmp_path))


@pytest.mark.parametrize(
    ("language", "right", "wrong"),
    [
        ("en", "The patient’s answer to the PHQ-9", "The patiemt’s ansver"),
        (
            "es",
            "Pregunte hoy por los pensamientos de suicidio, %(name)s",
            "Pregunte hoy por los pensamentos de suisidio",
        ),
    ],
)
def test_a_misspelt_word_of_a_catalogue_is_found(language: str, right: str, wrong: str) -> None:
    assert unknown_words(right, language) == set()
    assert len(unknown_words(wrong, language)) == 2


def test_every_language_has_a_list_of_words_in_order() -> None:
    for language in LANGUAGES:
        words = (FOLDER / f"{language}.words").read_text(encoding="utf-8").split("\n")

        assert words == [*sorted(set(words) - {""}), ""], language
