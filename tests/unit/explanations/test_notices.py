"""Notices of an assessment: all topics, in R14's order, with the history."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from builders import cards_of, given, patient, record_of

from explanations.judgement.assessment import Engine, assess
from explanations.words.language import language
from explanations.words.notices.notice import NoticeSettings
from explanations.words.notices.notice_list import crisis_line, merged, notices
from models.rules.findings import Topic

SETTINGS = NoticeSettings(zone=ZoneInfo("UTC"))
FOUR_TOPICS = (
    "C-SSRS, today: questions 1-4 = yes, questions 5-6 = no",
    "PHQ-9, 2 days ago: items 1-9 = 1, total = 9",
    "Condition 6471006, 10 days ago, problem list",
    "PHQ-9, 5 days ago: items 1-9 = 1, total = 20",
    "PHQ-9, 56 days ago: items 1-8 = 2, item 9 = 0, total = 16",
)


FOLLOW_UP = "PHQ-9, 58 days ago: items 1-8 = 2, item 9 = 0, total = 16"


def record(*lines: str):
    return record_of(*(r for line in lines for r in given(line)), who=patient())


def test_notices_are_not_merged_and_the_most_urgent_comes_first() -> None:
    found = record(*FOUR_TOPICS)

    said = notices(assess(found, Engine()), SETTINGS)

    order = [(-notice.urgency, list(Topic).index(notice.topic)) for notice in said]
    assert order == sorted(order)
    assert len({notice.topic for notice in said}) == len(said) >= len(cards_of(found))


def test_the_first_card_restates_the_first_notice() -> None:
    found = record(*FOUR_TOPICS)

    said = notices(assess(found, Engine()), SETTINGS)

    assert cards_of(found)[0].summary == said[0].summary


def test_every_notice_and_what_is_merged_into_it_is_in_english_while_nobody_has_reviewed_the_language() -> None:
    spanish, assessment = (
        replace(language("es"), reviewed=False),
        assess(record(*FOUR_TOPICS[:3:2], FOLLOW_UP), Engine()),
    )
    site = replace(SETTINGS, say=spanish)

    assert {Topic.ACUTE_SAFETY, Topic.DEPRESSION_FOLLOW_UP} <= {n.topic for n in notices(assessment, site)}
    for most in (1, len(Topic)):
        shown, english = (merged(notices(assessment, one), most, one) for one in (site, SETTINGS))
        assert shown == english


def test_nothing_found_is_no_notice() -> None:
    assert notices(assess(record(), Engine()), SETTINGS) == ()


def test_crisis_lines_are_those_of_the_country() -> None:
    assert "911" in crisis_line(assess(record(), Engine()), SETTINGS)


def test_a_reader_of_an_unreviewed_language_is_given_the_line_in_it_for_a_patient_whose_language_is_not_known() -> None:
    site = replace(SETTINGS, say=replace(language("es"), reviewed=False))

    assert "988 Lifeline in Spanish" in crisis_line(assess(record(), Engine()), site)


def test_every_further_question_of_phq_9m_that_was_answered_yes_is_named() -> None:
    chart = record("PHQ-9M, 3 days ago: items 1-8 = 1, item 9 = 0, past_month_thoughts = yes, lifetime_attempt = yes")

    (said,) = (n for n in notices(assess(chart, Engine()), SETTINGS) if n.topic is Topic.POSITIVE_SAFETY_ANSWER)

    assert any("thoughts in the past month" in line.text for line in said.chart)
    assert any(
        line.text.startswith("Same form: yes to the question on a lifetime suicide attempt") for line in said.chart
    )


@pytest.mark.parametrize("scores", [(3, 1), (1, 3), (2, 3)])
@pytest.mark.parametrize("turned", [False, True])
def test_of_two_answers_of_one_day_the_worst_leads(scores: tuple[int, int], turned: bool) -> None:
    lines = [
        f"PHQ-9, 2026-11-23T0{8 + place}:00:00Z, encounter e{place}: items 1-9 = {score}"
        for place, score in enumerate(scores)
    ]
    chart = record(*(reversed(lines) if turned else lines))

    said = next(n for n in notices(assess(chart, Engine()), SETTINGS) if n.topic is Topic.POSITIVE_SAFETY_ANSWER)

    assert "nearly every day" in said.summary
    assert said.chart[0].text.startswith("**PHQ-9 item 9: 3 of 3")


def test_after_a_positive_asq_the_headline_asks_for_the_assessment_and_not_to_ask_again() -> None:
    chart = record("ASQ, today: questions 1-2 = yes, questions 3-4 = no, acuity = no")

    (said,) = notices(assess(chart, Engine()), SETTINGS)

    assert said.summary == (
        "ASQ positive; acuity question answered no today (23 Nov 2026). Brief suicide safety assessment before the patient leaves."
    )


def test_a_date_in_the_future_is_said_once() -> None:
    chart = record("PHQ-9, in 3 days: items 1-8 = 1, item 9 = 0")

    said = next(n for n in notices(assess(chart, Engine()), SETTINGS) if n.topic is Topic.DATA_ANOMALY)

    assert said.summary == "PHQ-9 is dated 2026-11-26, in the future. Check the source; no estimate was made."
