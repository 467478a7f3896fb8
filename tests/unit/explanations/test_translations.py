"""The catalogues of a language: complete, filled as the English is, and on safety reviewed by a person or not shown."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from message_templates import FOLDERS, TEMPLATES

from explanations.errors import CatalogueUnreadable
from explanations.words.catalogues import (
    NOBODY,
    Translation,
    listed,
    locales,
    read_catalogue,
    reviewed,
    translation,
    with_review,
    write_catalogue,
)
from explanations.words.language import language, languages, spoken
from smart_launch.pages import language as pages

ASK, DAYS, STOP = "Ask {who} today", ("{count} day ago", "{count} days ago"), "Stay with the patient"
REVIEWED = "Reviewed: Ana Ruiz, psychiatrist, 2026-11-20"


def written(path: Path, texts: dict, review: str = NOBODY, flags: tuple[str, ...] = ()) -> Path:
    made = Catalog(locale="es")
    for message, text in texts.items():
        with_review(made.add(message, text, flags=flags), None if review == NOBODY else review)
    write_catalogue(path, made)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose locales need two texts on safety and one with a number."""
    written(tmp_path / "safety.pot", {ASK: "", STOP: ""})
    written(tmp_path / "explanations.pot", {DAYS: ("", "")})
    return tmp_path


def made(
    folder: Path, *, own: dict | None = None, own_review: str = NOBODY, review: str = NOBODY, **changes
) -> Translation:
    """The Spanish of that folder; `ask`, `stop`, `days`: other texts. own: of the site."""
    texts = {ASK: changes.get("ask", "Pregunte hoy a {who}"), STOP: changes.get("stop", "No deje solo al paciente")}
    written(folder / "es" / "LC_MESSAGES" / "safety.po", texts, review, changes.get("flags", ()))
    days = {DAYS: changes.get("days", ("un día antes", "{count} días antes"))}
    written(folder / "es" / "LC_MESSAGES" / "explanations.po", days)
    file = written(folder / "own.po", own, own_review) if own else None
    return translation("es", (folder,), file)


@pytest.mark.parametrize("locale", locales(FOLDERS))
def test_every_language_that_ships_is_complete(locale: str) -> None:
    found = translation(locale, FOLDERS)

    assert (found.missing, found.differing) == ((), ()), "run `make translations`, then translate what is left"
    assert found.needed == sum(len(listed(read_catalogue(template))) for template in TEMPLATES)


def test_a_complete_language_has_nothing_to_complain_of(folder: Path) -> None:
    found = made(folder)

    assert (found.missing, found.differing, found.needed, found.on_safety) == ((), (), 3, 2)
    assert set(found.unreviewed) == {ASK, STOP}
    assert spoken(found).many(*DAYS, 1) == "un día antes"


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"ask": ""}, (ASK,)),
        ({"days": ("un día antes", "")}, (DAYS[0],)),
        ({"flags": ("fuzzy",)}, (ASK, STOP)),
    ],
    ids=["empty", "a form of a number", "only guessed"],
)
def test_what_is_not_translated_is_named(folder: Path, changes: dict, missing: tuple[str, ...]) -> None:
    assert set(made(folder, **changes).missing) == set(missing)


@pytest.mark.parametrize(
    "text",
    ["Pregunte hoy", "Pregunte hoy a {quien}", "Pregunte hoy a {who} {when}", "Pregunte a {who", "<b>Pregunte</b> a {who}",
     "Pregunte al 50 % a {who}", "Pregunte a {who:d}", "Pregunte a {who:>9999999}", "Pregunte a {who:{who}}",
     "Pregunte a {who!r}", "Pregunte a {who!z}", "Pregunte a {who.__class__}", "Pregunte a {who[0]}", "Pregunte a {0}",
     "Pregunte a {who} <!-- hoy", "Pregunte a {who} <?hoy"],
)  # fmt: skip
def test_a_text_that_would_be_filled_otherwise_than_the_english_is_named(folder: Path, text: str) -> None:
    assert made(folder, ask=text).differing == (ASK,)


@pytest.mark.parametrize("text", ["<b>Pregunte</b> hoy", '<b onclick="x()">Pregunte</b> hoy'])
def test_a_tag_of_a_text_is_that_of_the_english_to_the_letter(folder: Path, text: str) -> None:
    written(folder / "explanations.pot", {"<b>Ask</b> today": ""})
    file = written(folder / "own.po", {"<b>Ask</b> today": text})

    assert ("<b>Ask</b> today" in translation("es", (folder,), file).differing) == ("onclick" in text)


def test_a_sites_own_text_wins_and_has_its_own_review(folder: Path) -> None:
    found = made(folder, review=REVIEWED, own={ASK: "Hable hoy con {who}", "Gone": "Ido"})

    assert spoken(found)(ASK, who="Ana") == "Hable hoy con Ana"
    assert (found.unreviewed, found.unused) == ((ASK,), ("Gone",))


def test_a_review_by_the_site_of_the_text_that_ships_counts(folder: Path) -> None:
    found = made(folder, own={ASK: "Pregunte hoy a {who}", STOP: "No deje solo al paciente"}, own_review=REVIEWED)

    assert found.unreviewed == ()
    assert spoken(found).safe.locale == "es"


def test_a_review_that_ships_holds_for_the_same_text_of_the_site_alone(folder: Path) -> None:
    same = {ASK: "Pregunte hoy a {who}", STOP: "Quédese"}

    assert made(folder, review=REVIEWED, own=same).unreviewed == (STOP,)


@pytest.mark.parametrize(
    "line",
    [
        "Reviewed: nobody",
        "Reviewed: Ana Ruiz, 2026-11-20",
        "Reviewed: Ana Ruiz, psychiatrist",
        "Reviewed: nobody, -, 2026-11-20",
        "Reviewed: Nobody, psychiatrist, 2026-11-20",
        "Reviewed: -, psychiatrist, 2026-11-20",
        "Reviewed: Ana Ruiz, -, 2026-11-20",
        "Reviewed: Ana Ruiz, psychiatrist, 2026-11-31",
        "Reviewed: Ana Ruiz, psychiatrist, 2099-99-99",
        "Not yet Reviewed: Ana Ruiz, psychiatrist, 2026-11-20",
        "Reviewed: Ana Ruiz, psychiatrist, 2026-11-20 wording only",
    ],
)
def test_a_review_needs_a_name_a_role_and_a_day(folder: Path, line: str) -> None:
    assert len(made(folder, review=line).unreviewed) == 2


def test_a_review_holds_for_the_words_it_was_given_for_alone(folder: Path) -> None:
    texts = {ASK: "Pregunte hoy a {who}", STOP: "No deje solo al paciente"}
    assert made(folder, own=texts, own_review=REVIEWED).unreviewed == ()
    file = folder / "own.po"

    file.write_text(file.read_text().replace("No deje solo al paciente", "Puede irse a casa"))

    assert translation("es", (folder,), file).unreviewed == (STOP,)


@pytest.mark.parametrize(
    ("message", "text"), [(STOP, "Puede irse"), ("Leave the patient", "Quédese"), (DAYS, ("Quédese", "Quédese"))]
)
def test_a_review_of_other_words_or_of_none_is_no_review(message: str | tuple[str, str], text: str) -> None:
    signed = Message(STOP, "Quédese")
    with_review(signed, REVIEWED)

    assert reviewed(signed)
    assert not reviewed(Message(message, text, user_comments=signed.user_comments))
    assert not reviewed(Message(STOP, "Quédese", user_comments=[REVIEWED]))


@pytest.mark.parametrize("note", ["Reviewed: Old note, draft, 2025-01-01", REVIEWED])
def test_a_note_beside_it_does_not_review_what_nobody_has(note: str) -> None:
    message = Message(STOP, "No deje solo")
    with_review(message, note)
    message.user_comments.append(NOBODY)

    assert not reviewed(message)


def test_a_review_is_written_on_one_line_however_long_the_name(folder: Path) -> None:
    line = f"Reviewed: {'Ana María ' * 9}Ruiz, psychiatrist, 2026-11-20"

    assert made(folder, review=line).unreviewed == ()


def test_while_one_text_on_safety_is_unreviewed_all_of_them_are_in_english(folder: Path) -> None:
    say = spoken(made(folder, own={ASK: "Pregunte hoy a {who}"}, own_review=REVIEWED))

    assert (say.locale, say.safe.locale, say.safe(ASK, who="Ana")) == ("es", "en", "Ask Ana today")


def test_a_catalogue_that_a_windows_editor_saved_is_read(folder: Path) -> None:
    texts = {ASK: "Pregunte hoy a {who}", STOP: "No deje solo al paciente"}
    assert made(folder, own=texts, own_review=REVIEWED).unreviewed == ()
    file = folder / "own.po"

    file.write_text(file.read_text(), encoding="utf-8-sig", newline="\r\n")

    assert translation("es", (folder,), file).unreviewed == ()


def test_a_file_that_is_no_catalogue_is_named(tmp_path: Path) -> None:
    file = tmp_path / "es.po"
    file.write_text('msgid "A"\nmsgid "B"\nnonsense\n')

    with pytest.raises(CatalogueUnreadable, match=r"es\.po: expected a message catalogue"):
        translation("es", (tmp_path,), file)


def test_dates_in_spanish_are_written_as_spanish_is() -> None:
    say = language("es", pages.FOLDERS)

    assert say.day(date(2026, 11, 17)) == "17 nov 2026"
    assert say.long_day(date(2026, 5, 17)) == "17 de mayo de 2026"
    assert (say.name, say.tag, say.direction) == ("Español", "es", "ltr")
    assert "es" in languages()
