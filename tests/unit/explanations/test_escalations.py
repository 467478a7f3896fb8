"""Who has been told, in words: each state its own sentence, dated by the site's clock, and none promises care."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from builders import given, record_of

from cds_service.cards.from_notices import cards_for
from explanations.judgement.assessment import Assessment, Engine, assess
from explanations.judgement.discharge import assess_discharge
from explanations.judgement.escalation import Done, Escalation, EscalationState
from explanations.words.notices.discharge import discharge_notices
from explanations.words.notices.escalations import escalation_words
from explanations.words.notices.notice import NoticeSettings
from explanations.words.notices.notice_list import notices
from explanations.words.notices.switched_off import held_back
from models.rules.findings import Topic

SITE = NoticeSettings(zone=ZoneInfo("America/New_York"))
NOW = datetime(2026, 11, 30, 23, 5, tzinfo=UTC)
TOLD = Escalation(
    state=EscalationState.TOLD, id="e-1", contact="Crisis team", at=datetime(2026, 11, 30, 22, 51, tzinfo=UTC)
)
KNOWN = replace(TOLD, state=EscalationState.ACKNOWLEDGED, by="Dr Lee", at=datetime(2026, 11, 30, 23, 2, tzinfo=UTC))
NOBODY = "Nobody has been notified: this is not a monitoring service."


WAIT = "Not a monitoring service: do not wait for an answer."
DIRECTLY = "Not a monitoring service: contact someone directly."
NO_CARE = "Not a monitoring service: this does not replace acting."
NO_NAME = replace(KNOWN, by="", done=(Done.ASSESSMENT, Done.TRANSFERRED))
WAITING = replace(TOLD, state=EscalationState.WAITING)
OFF_DUTY = replace(TOLD, state=EscalationState.NOBODY_ON_DUTY, contact=None)
SENTENCES = (
    (TOLD, "Crisis team was sent a message at 17:51 EST; nobody has acknowledged it yet.", WAIT),
    (
        replace(TOLD, overdue=True),
        "Crisis team was sent a message at 17:51 EST; nobody has acknowledged it in time.",
        DIRECTLY,
    ),
    (WAITING, "A message to Crisis team was prepared at 17:51 EST; it has not been delivered yet.", WAIT),
    (
        replace(WAITING, overdue=True),
        "A message to Crisis team was prepared at 17:51 EST; it has not been delivered in time.",
        DIRECTLY,
    ),
    (OFF_DUTY, "Nobody has been notified: no contact of this site is on duty.", DIRECTLY),
    (
        Escalation(state=EscalationState.NOT_RECORDED),
        "Nobody has been notified: no message could be recorded.",
        DIRECTLY,
    ),
    (
        Escalation(state=EscalationState.SWITCHED_OFF),
        "Nobody has been notified: cards of acute answers are switched off at this site.",
        DIRECTLY,
    ),
    (KNOWN, "Acknowledged by Dr Lee, 18:02 EST.", NO_CARE),
    (
        NO_NAME,
        "Acknowledged without a name, 18:02 EST. Recorded as done: assessment done; patient transferred.",
        NO_CARE,
    ),
)


@pytest.mark.parametrize(("escalation", "words", "last"), SENTENCES)
def test_each_state_has_its_own_sentence(escalation: Escalation, words: str, last: str) -> None:
    assert escalation_words(escalation, NOW, SITE) == f"{words} {last}"


def test_a_time_of_another_day_at_the_site_has_its_date() -> None:
    """22:51 UTC of the 30th is the 30th in New York; 04:30 UTC of the 30th is still the 29th."""
    night = datetime(2026, 11, 30, 4, 30, tzinfo=UTC)

    assert "at 17:51 EST" in escalation_words(TOLD, NOW, SITE)
    assert "on 29 Nov 2026 at 23:30 EST" in escalation_words(replace(TOLD, at=night), NOW, SITE)
    assert "by Dr Lee, 29 Nov 2026, 23:30 EST." in escalation_words(replace(KNOWN, at=night), NOW, SITE)


def test_a_name_from_another_system_is_only_a_name() -> None:
    by = "**Dr** [Lee](https://evil.example)\n<b>`x`</b>" + "y" * 200

    words = escalation_words(replace(KNOWN, by=by), NOW, SITE)

    assert words.startswith("Acknowledged by Dr Lee(https://evil.example) bx/byyy")
    assert not set("`*_<>[]|\\\n") & set(words)
    assert len(words) < 200


def acute(*more: str, escalation: Escalation | None = None) -> Assessment:
    chart = record_of(*given("C-SSRS, today: question 2 = yes, question 4 = yes"), *(x for m in more for x in given(m)))
    return replace(assess(chart, Engine()), escalation=escalation)


def test_a_card_says_who_has_been_told_in_the_place_of_that_nobody_was() -> None:
    (before,) = cards_for(acute(), SITE, new_id=str)
    (after,) = cards_for(acute(escalation=KNOWN), SITE, new_id=str)

    assert f"not a model. {NOBODY}*" in before.detail
    assert "Not a monitoring service: this does not replace acting.*" in after.detail
    assert after.summary == before.summary
    assert len(after.summary) < 140
    assert after.detail.count("notified") == 0


def test_a_card_at_discharge_says_the_same() -> None:
    chart = record_of(*given("C-SSRS, today: question 2 = yes, question 4 = yes"))
    found = replace(assess_discharge(chart), escalation=KNOWN)

    (card,) = cards_for(found, SITE, new_id=str, notices=discharge_notices)

    assert "not a model. Acknowledged by Dr Lee" in card.detail
    assert NOBODY not in card.detail


def test_a_card_that_is_not_about_acute_answers_says_nothing_of_it() -> None:
    chart = record_of(*given("PHQ-9, today: items 1-8 = 0, item 9 = 1"))
    plain, told = (replace(assess(chart, Engine()), escalation=one) for one in (None, KNOWN))

    assert notices(told, SITE) == notices(plain, SITE)


def test_the_card_in_place_of_one_that_is_switched_off_says_who_is_told_and_without_escalation_reads_as_before() -> (
    None
):
    off = {Topic.ACUTE_SAFETY: NOW}
    told = Escalation(state=EscalationState.SWITCHED_OFF)

    (before,), _ = held_back(notices(acute(), SITE), off, SITE)
    (after,), _ = held_back(notices(acute(escalation=told), SITE), off, SITE)

    assert before.basis.told == ""
    assert after.basis.told.startswith("Nobody has been notified: cards of acute answers are switched off")
