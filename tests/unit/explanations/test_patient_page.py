"""The page for patients: easy to read in every language, true of the site, and with nothing on it that is of a person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, timedelta
from itertools import product

import pytest
from reading_grade import FORMULAS, grades, sentences

from explanations.judgement.control import ModelUse
from explanations.judgement.regions import REGIONS
from explanations.words.help_lines import CrisisLine
from explanations.words.language import Language, language, languages
from explanations.words.notices.notice import NoticeSettings
from explanations.words.patient.page import PatientFacts, PatientPage, patient_page

TODAY = date(2026, 11, 30)
US = NoticeSettings(zone=UTC)
ENGLISH = language()
MOST = PatientFacts(
    notices=US, models=ModelUse.SPEAKS, new_entries=True, alerts=True, address="https://cds.example/sites/a/patients"
)


def every_page(say: Language) -> Iterator[PatientPage]:
    """The page in all that it can say."""
    for models, region, yes in product(ModelUse, REGIONS.values(), (True, False)):
        notices = replace(US, region=region)
        facts = PatientFacts(notices=notices, models=models, new_entries=yes, is_off=yes, alerts=yes, rules_stay=yes)
        yield patient_page(facts, say, TODAY)


def words(page: PatientPage) -> str:
    return " ".join([page.title, *sentences(page), *(section.heading for section in page.sections)])


def english(**facts) -> str:
    return words(patient_page(replace(MOST, **facts), ENGLISH, TODAY))


@pytest.mark.parametrize("locale", languages())
def test_a_sixth_grader_can_read_it_by_two_formulas(locale: str) -> None:
    found = [grades(page, locale) for page in every_page(language(locale))]

    highest = {name: max(each[name] for each in found) for name in FORMULAS[locale]}
    assert len(highest) == 2
    assert all(grade <= 6 for grade in highest.values()), highest


def test_it_has_no_score_no_result_no_rule_and_no_name_of_an_instrument() -> None:
    unsaid = r"PHQ|ASQ|C-SSRS|EPDS|GAD|\bscores?\b|\brisks?\b|\blevels?\b|\bresults?\b|\bR\d|%|positive|screen"

    assert not [found for page in every_page(ENGLISH) if (found := re.findall(unsaid, words(page)))]
    # The only figures are telephone numbers and the minutes of nobody.
    assert all(
        not re.search(r"\d", text)
        for page in every_page(ENGLISH)
        for section in page.sections
        for text in section.after
    )


def test_help_comes_first_with_the_emergency_number_of_the_region_and_its_lines() -> None:
    help_now = patient_page(MOST, ENGLISH, TODAY).help_now

    assert "call 911 now" in help_now.before[0]
    assert any("call or text 988" in line for line in help_now.items)
    own = (CrisisLine(service="Emergency services", call="999", audience="emergency"),)
    assert "call 999 now" in english(notices=replace(US, region=REGIONS["GB-ENG"], crisis_lines=own))
    nowhere = english(notices=replace(US, region=REGIONS["generic"]))
    assert "call your local emergency number now" in nowhere and "988" not in nowhere


def test_the_lines_are_in_the_readers_language_whatever_language_the_page_is_in() -> None:
    first, *others = patient_page(MOST, ENGLISH, TODAY, ("es-MX", "en")).help_now.items

    assert "Spanish" in first and "press 2" in first
    assert any("call or text 988" in line for line in others)


def test_a_line_that_was_not_checked_for_long_goes_and_the_emergency_number_stays() -> None:
    old = patient_page(MOST, ENGLISH, TODAY + timedelta(days=400)).help_now

    assert "911" in old.before[0] and old.items == ()


def test_it_says_what_the_site_does_with_estimates() -> None:
    assert "It does not guess." in english(models=ModelUse.NONE)
    assert "not used in your care" in english(models=ModelUse.TESTED)
    assert "It can be wrong." in english(models=ModelUse.SPEAKS)
    assert len({english(models=use) for use in ModelUse}) == 3


def test_it_says_who_sees_it_and_that_nobody_watches_day_and_night() -> None:
    assert "Your care team sees what the program found." in english()
    assert "may also tell other staff" in english()
    assert "may also tell other staff" not in english(alerts=False)
    assert "No one watches your record or your answers day and night." in english(alerts=True)


def test_it_says_how_to_say_no_and_what_stays() -> None:
    ours = {"en": "Call 555-0100.", "es": "Llame al 555-0100."}

    assert "tell someone on your care team" in english()
    assert "Call 555-0100. You do not have to say why." in english(opt_out=ours)
    assert "tell someone on your care team" in english(opt_out={"es": "Llame al 555-0100."})
    assert "may still send it answers" in english() and "at all." not in english()
    assert "It does not look at your answers at all." in english(rules_stay=False)
    assert english().count("It does not tell other staff.") == 1
    assert "It does not tell other staff." not in english(alerts=False)


def test_it_says_when_all_of_it_is_switched_off() -> None:
    assert "Right now the program is switched off here." in english(is_off=True)
    assert "switched off" not in english()


def test_it_says_when_charts_are_also_read_by_themselves() -> None:
    assert "when a new answer is added" in english()
    assert "when a new answer is added" not in english(new_entries=False)
