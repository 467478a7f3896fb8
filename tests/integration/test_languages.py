"""Whose language it is: the site's, the caller's or the user's; and that what nobody reviewed is in English."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from ehr import settings
from form_desk import ADDRESS, desks
from hook_calls import ACUTE, SERVICES, call_of, client_of
from made_up_language import LANGUAGE, of_a_site

from cds_service.__main__ import main
from cds_service.errors import ConfigError
from cds_service.settings.config import load_config
from cds_service.settings.languages import gaps, site_translation
from explanations.words.catalogues import NOBODY
from explanations.words.language import language
from smart_launch.pages.language import FOLDERS, patient_language
from smart_launch.session.cookies import LANGUAGE as COOKIE

FOLLOW_UP = "PHQ-9, 56 days ago: items 1-8 = 2, item 9 = 0, total = 16"
SAFETY = (ACUTE, "Condition 6471006, 10 days ago, problem list", "Condition T14.91XA, 41 days ago")
BOTH = {"language": LANGUAGE, "languages": ["en"]}


def mhcds(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def shown(answer) -> list[dict]:
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()["cards"]


@pytest.mark.parametrize(
    ("asked", "locale"),
    [(None, LANGUAGE), ("en-GB,en;q=0.9", "en"), ("de,en;q=0.5", "en"), ("de", LANGUAGE), ("eo-XX", LANGUAGE)],
)
def test_a_call_is_answered_in_the_language_it_asks_for_if_the_site_has_it(
    tmp_path: Path, asked: str | None, locale: str
) -> None:
    client = client_of(of_a_site(tmp_path), site=BOTH)

    headers = {"Accept-Language": asked} if asked else {}
    (card,) = shown(client.post(body=call_of(SERVICES[0], ACUTE), headers=headers))

    assert ("‹" in card["summary"]) == (locale == LANGUAGE)


def test_a_card_in_a_language_that_nobody_reviewed_is_in_english_and_says_so_once(tmp_path: Path) -> None:
    client = client_of(of_a_site(tmp_path, NOBODY), site=BOTH)

    cards = {card["source"]["topic"]["code"]: card for card in shown(client.call(ACUTE, FOLLOW_UP))}

    for card in (cards["acute-safety"], cards["depression-follow-up"]):
        assert "‹" not in card["summary"] + card["source"]["label"] + card["suggestions"][0]["label"]
        assert [line[:3] for line in card["detail"].splitlines() if "‹" in line] == ["*‹T"]
        assert card["detail"].count("This part is in English") == 1


def test_what_is_merged_into_a_card_in_english_is_in_english_too(tmp_path: Path) -> None:
    client = client_of(of_a_site(tmp_path, NOBODY), site=BOTH)

    cards = shown(client.call(*SAFETY, FOLLOW_UP))

    (below,) = (line for card in cards for line in card["detail"].splitlines() if "Also:" in line)
    assert "PHQ-9" in below and "rule R6" in below
    assert not any("‹" in line for card in cards for line in card["detail"].splitlines() if line[:3] != "*‹T")


def test_a_reviewed_language_has_no_english_left(tmp_path: Path) -> None:
    client = client_of(of_a_site(tmp_path), site=BOTH)

    (card,) = shown(client.call(ACUTE))

    assert "in English" not in card["detail"]


def test_a_language_that_lacks_a_text_does_not_start(tmp_path: Path) -> None:
    folder = settings(of_a_site(tmp_path), site=BOTH)
    file = folder / "translations" / f"{LANGUAGE}.po"
    file.write_text(re.sub('msgid "Acute"\nmsgstr ".*"', 'msgid "Acute"\nmsgstr ""', file.read_text()))

    with pytest.raises(
        ConfigError, match=r'north\.toml: language eo: 1 of \d+ texts are not translated, such as "Acute"'
    ):
        load_config(folder)

    done = mhcds("translations", "show", LANGUAGE, "--config", str(folder))
    assert (done.exit_code, "1 without a translation\n  Acute\n" in done.output) == (1, True)


def test_a_number_that_lacks_a_form_of_the_language_is_not_translated(tmp_path: Path) -> None:
    own = tmp_path / "translations" / "es.po"
    own.parent.mkdir()
    own.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\nPlural-Forms: nplurals=1; plural=0;\\n"\n\n'
        'msgid "{count} visit"\nmsgid_plural "{count} visits"\nmsgstr[0] "{count} consulta"\n'
    )

    assert site_translation("es", tmp_path).missing == ("{count} visit",)


def test_a_review_counts_once_every_text_has_a_name_a_role_and_a_day(tmp_path: Path) -> None:
    folder = settings(of_a_site(tmp_path, NOBODY), site=BOTH)
    where = ("--config", str(folder))
    assert "warning: Esperanto: nobody has reviewed" in mhcds("check-config", str(folder)).output

    signed = mhcds("translations", "sign", LANGUAGE, *where, "--by", "Ana Ruiz", "--role", "psychiatrist")

    assert signed.exit_code == 0, signed.output
    assert ", 0 left" in signed.output
    assert mhcds("translations", "show", LANGUAGE, *where).output.endswith("0 on safety, reviewed by nobody\n")
    assert gaps(site_translation(LANGUAGE, folder)) == []

    file = folder / "translations" / f"{LANGUAGE}.po"
    file.write_text(file.read_text().replace("# Reviewed: Ana Ruiz, psychiatrist, 2", "# Reviewed: Ana Ruiz, 2", 1))
    assert "nobody has reviewed 1 of" in gaps(site_translation(LANGUAGE, folder))[0]


def test_a_text_that_changes_after_its_review_is_exported_as_reviewed_by_nobody(tmp_path: Path) -> None:
    folder = settings(of_a_site(tmp_path), site=BOTH)
    file = folder / "translations" / f"{LANGUAGE}.po"
    before = file.read_text()
    file.write_text(before.replace('msgid "Acute"\nmsgstr "', 'msgid "Acute"\nmsgstr "Not '))

    done = mhcds("translations", "export", LANGUAGE, "--config", str(folder))

    every = before.count("# Reviewed: ")
    assert f"{every} texts, {every - 1} of them reviewed" in done.output
    assert f'{NOBODY}\nmsgid "Acute"\nmsgstr "Not ' in file.read_text()
    assert "nobody has reviewed 1 of" in gaps(site_translation(LANGUAGE, folder))[0]


@pytest.mark.parametrize("stem", ["es.bak", "eo-XX", "EO", "en", "notes"])
def test_a_file_of_translations_that_is_named_after_no_language_is_said_to_be_unread(tmp_path: Path, stem: str) -> None:
    wanted = stem.startswith("eo")
    folder = settings(of_a_site(tmp_path), site={"language": stem} if wanted else BOTH)
    (folder / "translations" / f"{stem}.po").write_text("")

    checked = mhcds("check-config", str(folder))
    asked = mhcds("translations", "show", stem, "--config", str(folder))

    said = f"{stem}.po is not read: expected the code of a language other than English, as in es.po or pt_BR.po"
    assert (checked.exit_code, said in checked.output) == (int(wanted), True), checked.output
    assert (asked.exit_code, said in asked.output) == (1, True), asked.output
    assert f"LOCALE: expected eo or es; found {stem}" in asked.output


def test_only_what_stands_in_the_file_is_signed(tmp_path: Path) -> None:
    folder = settings(of_a_site(tmp_path, NOBODY), site=BOTH)
    file = folder / "translations" / f"{LANGUAGE}.po"
    file.write_text(re.sub(f'# {NOBODY}\nmsgid "Acute"\nmsgstr ".*"\n', "", file.read_text()))

    done = mhcds(
        "translations", "sign", LANGUAGE, "--config", str(folder), "--by", "Ana Ruiz", "--role", "psychiatrist"
    )

    assert ", 1 left (mhcds translations show eo names them" in done.output
    assert 'msgid "Acute"' not in file.read_text()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("show", "xx"), "LOCALE: expected eo or es"),
        (("sign", "es", "--by", "A", "--role", "B"), "run mhcds translations export es first"),
        (("sign", LANGUAGE, "--by", "Ruiz, Ana", "--role", "B"), "in letters and without a comma"),
        (("sign", LANGUAGE, "--by", "Nobody", "--role", "B"), "in letters and without a comma"),
        (("sign", LANGUAGE, "--by", "A", "--role", "-"), "in letters and without a comma"),
        (("sign", LANGUAGE, "--by", "A", "--role", "B", "--on", "2999-01-01"), "or an earlier day; found 2999-01-01"),
        (("sign", LANGUAGE, "--by", "A", "--role", "B", "--text", "No such text"), "expected the English of a text"),
    ],
)
def test_what_cannot_be_signed_is_said(tmp_path: Path, words: tuple[str, ...], why: str) -> None:
    folder = settings(of_a_site(tmp_path), site=BOTH)

    done = mhcds("translations", *words, "--config", str(folder))

    assert done.exit_code == 1
    assert why in done.output


def test_discovery_of_a_site_names_its_languages(tmp_path: Path) -> None:
    client = client_of(of_a_site(tmp_path, NOBODY), site=BOTH)

    usage = client.flask.get("/sites/north/cds-services").get_json()["services"][0]["usageRequirements"]

    assert usage.endswith("Cards in eo, en, by Accept-Language. Until reviewed, cards in eo are in English.")


def test_a_user_chooses_a_language_in_the_footer(tmp_path: Path) -> None:
    spanish = language("es", FOLDERS)
    server = SimpleNamespace(base="https://ehr.example/fhir", load=lambda _patient: "p1", reset=lambda: None)
    with desks(server, tmp_path) as make:
        desk = make(languages=(language(), spanish))
        client = desk.client()
        before = client.get("/smart/app/launch-a/thanks", base_url=ADDRESS).text
        asked = client.get("/smart/app/launch-a/thanks", base_url=ADDRESS, headers={"Accept-Language": "es-MX"}).text

        chosen = desk.post("language", {"language": "es"})
        client.set_cookie(COOKIE, "es", domain="cds.example", secure=True)
        after = client.get("/smart/app/launch-a/thanks", base_url=ADDRESS, headers={"Accept-Language": "en"}).text

        assert ('<html lang="en"' in before, ">Español</button>" in before) == (True, True)
        assert '<html lang="es"' in asked
        assert (chosen.status_code, f"{COOKIE}=es;" in chosen.headers["Set-Cookie"]) == (303, True)
        assert ('<html lang="es"' in after, ">English</button>" in after) == (True, True)
        assert desk.post("language", {"language": "xx"}).status_code == 400


def test_a_patient_has_the_first_language_they_speak_that_the_site_has() -> None:
    english, spanish = language(), language("es", FOLDERS)

    assert patient_language(("pt", "es-us", "en"), (english, spanish), english) is spanish
    assert patient_language(("pt",), (english, spanish), english) is english
    assert patient_language((), (english, spanish), spanish) is spanish
