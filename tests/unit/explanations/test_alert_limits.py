"""Which model and follow-up cards are held back, for how long, and by which reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from builders import AS_OF, LOW, given, patient, record_of

from cds_service.serving.engine import load_engine
from explanations.judgement.alert_limits import (
    MODEL,
    SNOOZES,
    AlertHistory,
    AlertLimits,
    Candidate,
    Limiter,
    LimitReason,
    ShownCard,
    Snooze,
    assessed_on,
    grounds,
    is_never_quiet,
    prompted,
)
from explanations.judgement.assessment import assess
from explanations.words.notices.topics import SPEC_OF
from models.rules.findings import Topic, Urgency

ENGINE = load_engine()
CHICAGO = ZoneInfo("America/Chicago")
PROMPT = Candidate(topic=Topic.SCREENING_PROMPT, urgency=Urgency.NOTE, outcomes=("depression",), grounds="b")
IDEATION = replace(PROMPT, outcomes=("suicidal-ideation",))
FOLLOW_UP = Candidate(topic=Topic.DEPRESSION_FOLLOW_UP, urgency=Urgency.NOTE, grounds="r")
AGAIN = replace(FOLLOW_UP, outcomes=("depression",), grounds="m")


def held(candidate: Candidate, *shown: ShownCard, now: datetime = AS_OF, user: str = "u", **known) -> str | None:
    """The reason for which a candidate is held back."""
    limits = known.pop("limits", AlertLimits())
    assessed = known.pop("assessed", ())
    past = AlertHistory(shown=shown, **known)
    limiter = Limiter(limits=limits, history=past, zone=CHICAGO, now=now, user=user, assessed=assessed)
    found = limiter.held_back([candidate]).get(candidate.topic)
    return found and found.reason.value


def shown(candidate: Candidate, user: str = "u", **before) -> ShownCard:
    return ShownCard(
        topic=candidate.topic,
        user=user,
        at=AS_OF - timedelta(**before),
        outcomes=candidate.outcomes,
        grounds=candidate.grounds,
    )


def snooze(candidate: Candidate, code: str, days: int, user: str = "", ago: int = 0) -> Snooze:
    at = AS_OF - timedelta(ago)
    grounds = MODEL + candidate.grounds if candidate.outcomes else candidate.grounds
    return Snooze(topic=candidate.topic, user=user, code=code, at=at, until=at + timedelta(days), grounds=grounds)


def test_a_models_card_comes_once_in_the_window_whoever_looks() -> None:
    assert held(PROMPT) is None
    assert held(PROMPT, shown(PROMPT, "other", days=29)) == "shown-before"
    assert held(PROMPT, shown(PROMPT, "other", days=30)) is None
    assert held(AGAIN, shown(AGAIN, "other", days=29)) == "shown-before"


def test_it_comes_again_when_the_inputs_have_changed_or_another_model_prompts() -> None:
    assert held(replace(PROMPT, grounds="c"), shown(PROMPT, days=1)) is None
    both = replace(PROMPT, outcomes=("depression", "suicidal-ideation"))
    assert held(both, shown(PROMPT, days=1)) is None
    assert held(PROMPT, shown(both, days=1)) == "shown-before"


def test_a_window_ends_with_a_day_of_the_site() -> None:
    # In Chicago 15:00 UTC is 9 in the morning; the card of the evening before was shown 31 calendar days ago.
    evening = shown(PROMPT, "other", days=29, hours=22)
    assert held(PROMPT, evening) is None
    assert held(PROMPT, evening, now=AS_OF - timedelta(hours=10)) == "shown-before"


def test_the_same_result_comes_to_the_same_user_once_in_the_hours_and_to_others_at_once() -> None:
    assert held(FOLLOW_UP, shown(FOLLOW_UP, hours=1)) == "repeated"
    assert held(FOLLOW_UP, shown(FOLLOW_UP, hours=2)) is None
    assert held(FOLLOW_UP, shown(FOLLOW_UP, "other", hours=1)) is None
    assert held(replace(FOLLOW_UP, grounds="another"), shown(FOLLOW_UP, hours=1)) is None
    assert held(FOLLOW_UP, shown(FOLLOW_UP, "", hours=1), user="") is None


def test_after_a_documented_assessment_models_are_silent_and_results_are_not() -> None:
    day = AS_OF.date() - timedelta(13)
    assert held(PROMPT, assessed=(day,)) == "assessed"
    assert held(AGAIN, assessed=(day - timedelta(200), day)) == "assessed"
    assert held(PROMPT, assessed=(day - timedelta(1),)) is None
    assert held(FOLLOW_UP, assessed=(day,)) is None
    assert held(PROMPT, assessed=(AS_OF.date() + timedelta(1),)) is None


def test_only_a_clinicians_complete_assessment_of_a_full_date_counts() -> None:
    def days(line: str) -> tuple[date, ...]:
        return assessed_on(record_of(*given(line)))

    assert days("Risk assessment, 3 days ago") == (AS_OF.date() - timedelta(3),)
    assert days("RiskAssessment, 3 days ago: moderate") == (AS_OF.date() - timedelta(3),)
    assert days("RiskAssessment, 3 days ago, by software: moderate") == ()
    assert days("RiskAssessment, 3 days ago, preliminary: moderate") == ()
    assert days("C-SSRS, 3 days ago: question 1 2 6 = no") == ()


def test_a_day_of_a_user_holds_so_many_cards_the_more_urgent_first() -> None:
    limiter = Limiter(limits=AlertLimits(daily=5), history=AlertHistory(today=4), zone=UTC, now=AS_OF, user="u")

    found = limiter.held_back([FOLLOW_UP, PROMPT])

    assert [(topic, why.reason, why.until.isoformat()) for topic, why in found.items()] == [
        (Topic.SCREENING_PROMPT, LimitReason.DAILY_LIMIT, "2026-11-24T00:00:00+00:00")
    ]
    assert held(PROMPT, today=20, user="") is None
    assert held(IDEATION, today=99) is None
    assert held(PROMPT, today=99, limits=AlertLimits(daily=0)) is None


@pytest.mark.parametrize("code", SNOOZES)
def test_a_reason_is_of_a_topic_that_can_be_held_back(code: str) -> None:
    topics = (Topic.SCREENING_PROMPT, Topic.DEPRESSION_FOLLOW_UP)
    assert code in {reason.code for topic in topics for reason in SPEC_OF[topic].overrides}


def test_every_reason_of_such_a_topic_holds_something_back() -> None:
    for topic in (Topic.SCREENING_PROMPT, Topic.DEPRESSION_FOLLOW_UP):
        assert {reason.code for reason in SPEC_OF[topic].overrides} <= SNOOZES.keys()


def test_a_snooze_holds_for_its_user_or_for_all_until_its_time() -> None:
    assert held(PROMPT, snoozes=(snooze(PROMPT, "not-now", 7, "u"),)) == "snoozed"
    assert held(PROMPT, snoozes=(snooze(PROMPT, "not-now", 7, "other"),)) is None
    assert held(PROMPT, snoozes=(snooze(PROMPT, "declines", 90),), user="other") == "snoozed"
    assert held(PROMPT, snoozes=(snooze(PROMPT, "declines", 90, ago=90),)) is None
    assert held(replace(PROMPT, grounds="changed"), snoozes=(snooze(PROMPT, "screened", 7),)) == "snoozed"


def test_a_refusal_holds_while_the_inputs_are_the_same_and_for_days_once_they_have_changed() -> None:
    changed = replace(PROMPT, grounds="changed")
    assert held(PROMPT, snoozes=(snooze(PROMPT, "declines", 90, ago=30),)) == "snoozed"
    assert held(changed, snoozes=(snooze(PROMPT, "declines", 90, ago=6),)) == "snoozed"
    assert held(changed, snoozes=(snooze(PROMPT, "declines", 90, ago=7),)) is None
    assert held(changed, snoozes=(snooze(PROMPT, "known-managed", 90, ago=30),)) == "snoozed"


def test_preparing_a_visit_uses_up_no_card() -> None:
    def again(card: ShownCard, encounter: str, **known: object) -> str | None:
        past = AlertHistory(shown=(card,))
        limiter = Limiter(
            limits=AlertLimits(), history=past, zone=CHICAGO, now=AS_OF, user="u", encounter=encounter, **known
        )
        found = limiter.held_back([PROMPT]).get(PROMPT.topic)
        return found and found.reason.value

    prepared = shown(PROMPT, minutes=40)
    assert again(prepared, "visit") is None
    assert again(replace(prepared, encounter="other"), "visit") is None
    assert again(replace(prepared, encounter="visit"), "visit") == "shown-before"
    assert again(prepared, "") == "shown-before"
    assert again(replace(prepared, user="other"), "visit") == "shown-before"
    assert again(shown(PROMPT, days=1), "visit") == "shown-before"


def test_a_word_on_an_old_result_or_on_a_models_card_holds_back_no_new_result() -> None:
    reviewed = snooze(FOLLOW_UP, "reviewed", 90)
    assert held(FOLLOW_UP, snoozes=(reviewed,)) == "snoozed"
    assert held(replace(FOLLOW_UP, grounds="another"), snoozes=(reviewed,)) is None
    assert held(AGAIN, snoozes=(reviewed,)) is None
    assert held(FOLLOW_UP, snoozes=(snooze(AGAIN, "declines", 90),)) is None


def test_a_lasting_reason_holds_back_the_prompt_about_thoughts_of_self_harm_for_days_at_most() -> None:
    declined = snooze(PROMPT, "declines", 90, ago=8)
    assert held(PROMPT, snoozes=(declined,)) == "snoozed"
    assert held(IDEATION, snoozes=(declined,)) is None
    assert held(IDEATION, snoozes=(snooze(PROMPT, "declines", 90, ago=6),)) == "snoozed"
    assert held(IDEATION, snoozes=(snooze(PROMPT, "known-managed", 90),)) is None
    assert held(PROMPT, snoozes=(snooze(PROMPT, "known-managed", 90),)) == "snoozed"


def test_what_a_wrong_clock_noted_in_the_future_holds_nothing_back() -> None:
    later = shown(PROMPT, days=-2)
    assert held(PROMPT, later) is None
    assert held(PROMPT, snoozes=(snooze(PROMPT, "not-now", 7, "u", ago=-2),)) is None


def test_a_notice_that_names_what_was_left_out_of_others_is_never_held_back() -> None:
    assert held(replace(FOLLOW_UP, is_exempt=True), shown(FOLLOW_UP, hours=1)) is None


# ---- what a card rests on ----

UNWELL = ["Condition F41.9, 60 days ago", "Condition G47.00, 90 days ago"]


def grounds_of(*lines: str, topic: Topic = Topic.SCREENING_PROMPT, age: int = 40) -> str:
    chart = record_of(*(r for line in lines for r in given(line)), who=patient(age))
    return grounds(assess(chart, ENGINE, LOW), topic)


def test_the_grounds_of_a_models_card_is_its_inputs_after_caps_and_bands() -> None:
    first = grounds_of(*UNWELL)
    assert grounds_of(*UNWELL) == first  # other resource ids
    assert grounds_of(*UNWELL, "Condition 444814009, 10 days ago, problem list") == first
    assert grounds_of(*UNWELL, age=41) != first
    assert grounds_of(*UNWELL, age=80) == grounds_of(*UNWELL, age=95)
    assert grounds_of(*UNWELL, "Medicine oxycodone, today") != first


def test_the_grounds_of_a_result_is_its_instrument_date_and_total() -> None:
    def of(line: str) -> str:
        return grounds_of(line, topic=Topic.DEPRESSION_FOLLOW_UP)

    first = of("PHQ-9, 20 days ago: total = 14")
    assert of("PHQ-9, 20 days ago: total = 14") == first
    assert len({first, of("PHQ-9, 20 days ago: total = 15"), of("PHQ-9, 21 days ago: total = 14")}) == 3


@pytest.mark.parametrize(
    ("line", "exempt"),
    [
        ("PHQ-9, 20 days ago: items 1-7 = 2, item 8 = 0, item 9 = 0", False),
        ("PHQ-9, 20 days ago: items 1-7 = 3, item 8 = 1, item 9 = 0", True),
        ("PHQ-9, 20 days ago: total = 14", True),
        ("PHQ-2, 6 days ago: total = 4", True),
        ("EPDS, 2 days ago: total = 14", True),
    ],
)
def test_a_severe_result_or_one_without_the_item_on_self_harm_is_never_held_back(line: str, *, exempt: bool) -> None:
    found = assess(record_of(*given(line)), ENGINE, LOW)

    assert is_never_quiet(found, Topic.DEPRESSION_FOLLOW_UP) is exempt
    assert not is_never_quiet(found, Topic.SCREENING_PROMPT)


def test_a_result_to_follow_up_was_prompted_by_no_model() -> None:
    chart = record_of(*given("PHQ-9, 20 days ago: total = 14"), *given("Medicine sertraline, today"))
    found = assess(chart, ENGINE, LOW)
    assert prompted(found, Topic.DEPRESSION_FOLLOW_UP) == ()
    assert {score.outcome for score in prompted(found, Topic.SCREENING_PROMPT)} <= {"suicidal-ideation"}
