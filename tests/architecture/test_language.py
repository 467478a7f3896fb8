"""Text that a person may read keeps to the language rules, in every language (tests/wording).

No reassurance, no fortune-telling, no blame; in what clinicians and patients read also no method of self-harm, no single
cause, no zero where it is unknown, no percentage, and one denominator.

Read are the sentences inside Python sources (what the commands print and show as help, not comments and other
docstrings), catalogues, templates, phrases and settings of the packages, and the project's own pages. Code lists (.csv)
are left out: their displays are the words of the authorities that own the codes.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sources import PACKAGES, ROOT
from wording_rules import LANGUAGES, faults, language_of, problems, rules

TEXT_SUFFIXES = {".css", ".html", ".j2", ".js", ".json", ".md", ".po", ".pot", ".py", ".svg", ".toml", ".txt"}


def files_that_people_read() -> list[Path]:
    pages = [*ROOT.glob("*.md"), ROOT / "NOTICE", *ROOT.glob("docs/**/*.md")]
    inside = [path for package in PACKAGES for path in (ROOT / package).rglob("*")]
    return pages + [path for path in inside if path.suffix in TEXT_SUFFIXES and "__pycache__" not in path.parts]


def test_no_text_for_people_reassures_foretells_or_blames() -> None:
    found = [
        f"{path.relative_to(ROOT).parent}/{problem}" for path in files_that_people_read() for problem in problems(path)
    ]

    assert found == [], "\n".join(found)


def test_sources_pages_phrases_and_catalogues_are_among_the_files_read() -> None:
    read = files_that_people_read()

    assert {path.relative_to(ROOT).parts[0] for path in read} >= {*PACKAGES, "docs", "README.md"}
    assert {path.suffix for path in read} >= {".html", ".md", ".pot", ".py", ".toml"}
    assert {language_of(path) for path in read} <= set(LANGUAGES), "a language lacks its tests/wording/<language>.toml"


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_a_rule_of_every_kind(language: str) -> None:
    assert {(rule.kind, rule.messages) for rule in rules(language)} >= {
        (rule.kind, rule.messages) for rule in rules("en")
    }


@pytest.mark.parametrize(
    ("language", "kind", "text"),
    [(language, rule.kind, text) for language in LANGUAGES for rule in rules(language) for text in rule.caught],
)
def test_a_planted_sentence_is_caught(language: str, kind: str, text: str) -> None:
    assert kind in {rule.kind for _, rule in faults(text, language)}


@pytest.mark.parametrize(
    ("language", "text"),
    [(language, text) for language in LANGUAGES for rule in rules(language) for text in rule.passed],
)
def test_a_careful_sentence_passes(language: str, text: str) -> None:
    assert [match.group() for match, _ in faults(text, language)] == []


PO = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n{comment}msgid "{id}"\nmsgstr "{string}"\n'

PLURAL = '\nmsgid "{n} visit"\nmsgid_plural "{n} visits"\nmsgstr[0] "{n} visita"\nmsgstr[1] "los suicidas"\n'


def catalogue(message: str, string: str, comment: str = "") -> str:
    return PO.format(id=message, string=string, comment=comment)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "This patient is at low\nrisk."),
        ("page.html", "<p>All clear</p>"),
        ("phrases.toml", 'summary = "The model predicts depression"'),
        ("cards.py", 'SUMMARY = "Failed attempt on record"'),
        ("cards.py", 'def summary(n: int) -> str:\n    return f"{n} suicidal patients"'),
        ("commands.py", '@cli.command()\ndef score() -> None:\n    """Predict who will commit suicide."""'),
        ("app.pot", catalogue("Overdose recorded", "")),
        ("es/LC_MESSAGES/app.po", catalogue("Self-harm recorded", "Sobredosis registrada")),
        ("es_MX/LC_MESSAGES/app.po", catalogue("Finding", "Riesgo bajo de suicidio")),
        ("es/LC_MESSAGES/app.po", catalogue("Visit", "") + PLURAL),
    ],
)
def test_a_forbidden_phrase_is_found_wherever_people_would_read_it(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
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
        ("es/LC_MESSAGES/app.po", catalogue("Overdose recorded", "Autolesión registrada")),
        ("es/LC_MESSAGES/app.po", catalogue("Never", "Nunca diga «riesgo bajo»", "# language: quoted\n")),
        ("app.pot", catalogue("Not this: low risk", "", "#. Translators: language: quoted\n")),
    ],
)
def test_quotations_comments_and_careful_words_pass(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text, encoding="utf-8")

    assert problems(tmp_path / name) == []
