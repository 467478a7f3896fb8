"""The report on a site's models: what it says is what was found, and nothing where nothing was."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest
from site_reports import half_a_year, nothing

from cds_service.burden.figures import Durations
from cds_service.monitoring.report import LevelVerdict, about, differs, level, minutes, of_100, ratio, report_page
from cds_service.monitoring.site_figures import OutcomeFigures, SiteEstimate
from models.rules.findings import Topic


def figure(value, low=None, high=None):
    return SiteEstimate(value=value, low=low, high=high)


def said(report):
    """The page as text."""
    text = re.sub(r"<style.*?</style>", "", report_page(report), flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", text)))


@pytest.mark.parametrize(
    ("o_e", "verdict"),
    [
        (None, LevelVerdict.UNKNOWN), (figure(1.0), LevelVerdict.UNKNOWN), (figure(1.0, 0.9, 1.1), LevelVerdict.FITS),
        (figure(1.0, 0.7, 1.4), LevelVerdict.UNSURE), (figure(1.3, 1.1, 1.6), LevelVerdict.TOO_LOW),
        (figure(0.8, 0.7, 0.95), LevelVerdict.TOO_HIGH),
    ],
)  # fmt: skip
def test_a_level_is_judged_by_its_interval(o_e, verdict):
    assert level(o_e) is verdict


def test_of_few_asked_nothing_is_said_of_everybody_nor_where_weighting_gives_another_answer():
    depression, ideation = half_a_year().models
    everyone = depression.together.everyone
    fits = OutcomeFigures(o_e=figure(1.0, 0.9, 1.1))
    other = replace(depression, together=replace(depression.together, everyone=replace(everyone, weighted=fits)))

    assert (depression.level, ideation.level, other.level) == (
        LevelVerdict.TOO_LOW, LevelVerdict.FEW_ASKED, LevelVerdict.FEW_ASKED,
    )  # fmt: skip


def test_a_group_is_marked_where_everybodys_figure_is_outside_its_interval():
    everybody = figure(1.1, 1.0, 1.2)

    assert differs(figure(1.9, 1.4, 2.6), everybody)
    assert not differs(figure(1.3, 0.9, 1.9), everybody)
    assert not differs(None, everybody)
    assert not differs(figure(1.9, 1.4, 2.6), None)


def test_numbers_leave_as_people_read_them_and_small_ones_not_at_all():
    assert [about(count) for count in (None, 0, 1, 10, 11, 14, 1234)] == [
        "withheld", "none", "fewer than 11", "fewer than 11", "about 10", "about 10", "about 1\N{NO-BREAK SPACE}230",
    ]  # fmt: skip
    assert (ratio(figure(1.115, 0.95, 1.3)), ratio(None)) == ("1.11 (0.95 to 1.30)", "–")
    assert of_100(figure(0.314, 0.25, 0.38)) == "31 of 100 (25 to 38)"
    assert [minutes(one) for one in (None, Durations(n=0), Durations(n=3, median=5.0), Durations(n=30, median=42.4), Durations(n=30, median=300.0))] == [
        "not measured here", "not measured here", "fewer than 11 cases", "42 min", "5 h",
    ]  # fmt: skip


def test_the_page_is_one_file_without_a_script_or_anything_from_elsewhere():
    page = report_page(half_a_year())

    assert len(page) < 150_000
    assert not re.search(r"<script|<link|<img|<iframe|url\((?!#)|@import|javascript:|\son\w+=", page)
    assert {address for address in re.findall(r'(?:href|src)="([^"]*)"', page) if not address.startswith("#")} == set()
    assert set(re.findall(r'https?://[^"<\s]+', page)) == {"http://www.w3.org/2000/svg"}
    identifiers = re.findall(r'\sid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))


def test_a_board_reads_at_the_top_what_fits_what_does_not_and_for_whom():
    text = said(half_a_year())
    short = text[text.index("The safety cards") : text.index("What the service did")]

    assert "Its estimates are too low here: have it recalibrated." in short
    assert "Thoughts of self-harm (version 3.0.0, is recorded, not shown). Among the" in short
    assert "Too few were asked to say whether that holds for everybody." in short
    assert "Its level differs for language es" in short
    assert "Whether patients fare better is not measured here." in short
    assert "2 near misses reported." in short


def test_what_the_year_says_of_use_cost_and_what_is_not_known_is_on_the_page():
    text = said(half_a_year())

    assert "(about 5 000 calls)" in text
    assert "about 310 were accepted, about 240 overridden" in text
    assert "no reason given (about 60)" in text
    assert "the chart data are out of date (fewer than 11)" in text
    assert "EUR" in text
    assert "In the survey it was built on, of everybody in care or not: 79 of 100 (78 to 81)." in text
    assert "withheld: few people" in text
    assert "Recorded for this page only, and never an input to an estimate: language." in text


def test_with_nothing_on_record_the_page_claims_nothing():
    text = said(nothing())

    assert "There were no calls in this time." in text
    assert "No model has an estimate on record in this time." in text
    assert "no price given" in text
    assert "your site has not switched them on" in text.lower()
    assert "None was reported in the app. That is not the same as none." in text
    assert not re.search(r"\d+ of 100", text)


def test_a_trial_and_criteria_are_said_as_they_are():
    model = replace(half_a_year().models[0], mode="trial")

    text = said(replace(half_a_year(), models=(model,), trials=("Prompts in four clinics",)))

    assert "A trial is under way (Prompts in four clinics)." in text
    assert "Only a trial can tell" not in text
    assert "No approval in force names this version" in text


def test_a_name_from_the_settings_is_text_on_the_page():
    page = report_page(replace(nothing(), site="<script>alert(1)</script>"))

    assert "<script" not in page


def test_words_of_the_report_promise_nothing():
    text = said(half_a_year()).lower()

    assert not re.search(r"low risk|high risk|predict|all clear|\bai\b|unbiased|accura|proves", text)
    assert Topic.SCREENING_PROMPT.value not in text
