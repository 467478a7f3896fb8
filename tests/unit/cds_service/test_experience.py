"""How the service was met and what it cost, from events of the chain."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from episodes import episodes

from cds_service.monitoring.costs import costs
from cds_service.monitoring.experience import MetEvent, experience
from cds_service.settings.monitoring import Prices

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def call(status=200, **fields):
    return MetEvent(status=status, at=AT, **fields)


def act(what, minutes=0.0, *, patient="p1", launch="l1", **fields):
    return MetEvent(what=what, at=AT + minutes * MINUTE, patient=patient, launch=launch, **fields)


def prompted(patient="p1", **fields):
    (one,) = episodes(1)
    return replace(one, patient=patient, at=AT, seen=AT, flagged=True, shown=True, **({"positive": None, "measured": None} | fields))  # fmt: skip


def test_calls_are_told_apart_by_how_they_were_answered():
    found = experience([call(), call(), call(), call(412), call(401), call(500)])

    assert (found.calls, found.answered, found.unread, found.refused, found.failed) == (6, 3, 1, 1, 1)
    assert found.available == 0.5


def test_without_calls_nothing_is_claimed_of_speed_or_availability():
    found = experience([act("shown")])

    assert (found.calls, found.available, found.speed.p50) == (0, None, None)


def test_percentiles_are_times_that_were_seen():
    found = experience([call(ms=float(ms)) for ms in range(1, 101)] + [call(500, ms=9999.0)])

    assert (found.speed.p50, found.speed.p95, found.speed.p99) == (50, 95, 99)


def test_answers_that_say_that_they_could_not_assess_and_those_without_time_are_counted():
    found = experience([call(topics=("could-not-assess",)), call(late=True), call()])

    assert (found.could_not_assess, found.late) == (1, 1)


def test_votes_near_misses_and_reasons_are_counted_as_codes():
    found = experience([
        act("opinion", choice="useful"), act("opinion", choice="wrong", reason="inputs-old"),
        act("opinion", choice="near-miss", reason="other"), act("overridden", reason="declines"),
    ])  # fmt: skip

    assert found.votes == {"useful": 1, "wrong": 1, "near-miss": 1}
    assert found.reasons == {"inputs-old": 1, "other": 1, "declines": 1}


def test_computing_time_is_of_calls_that_have_it_on_record():
    found = costs([call(cpu_ms=30.0), call(cpu_ms=50.0), call()], (), Prices(currency="EUR", cpu_hour=0.09))

    assert (found.calls, found.cpu_s) == (2, 40)
    assert found.cpu_money == pytest.approx(0.001)


def test_a_review_is_an_opening_of_the_app_within_a_day_of_the_flag():
    events = [
        act("launched", -5), act("launched", 10), act("launched", 20, launch="l2"), act("launched", 24 * 60),
        act("launched", 30, patient="p2"), act("shown", 11),
    ]  # fmt: skip

    found = costs(events, (prompted(), prompted("p3")), Prices())

    assert (found.prompted, found.reviews, found.reviews_each) == (2, 2, 1.0)


def test_an_assessment_is_documented_when_it_is_first_on_file_or_written_in_the_app():
    events = [act("written", 45), act("written", 300), act("written", 8 * 24 * 60, patient="p2")]
    those = (prompted(), prompted("p2"), prompted("p3", measured=AT + 15 * MINUTE, positive=True),
             prompted("p4", measured=AT - 60 * MINUTE, positive=False))  # fmt: skip

    found = costs(events, those, Prices()).to_document

    assert (found.n, found.median) == (2, 30)


def test_time_at_the_screen_costs_what_the_site_says_and_nothing_without_a_price():
    events = [act("launched", 0), act("written", 12), act("launched", 0, launch="l2"), act("written", 1, launch="l9")]

    priced = costs(events, (), Prices(currency="NOK", clinician_hour=1000.0))
    free = costs(events, (), Prices())

    assert (priced.at_screen.n, priced.at_screen.median, priced.screen_money) == (1, 12, 200)
    assert (free.screen_money, free.cpu_money, free.currency) == (None, None, "")


def test_episodes_that_nobody_was_shown_are_no_prompts():
    found = costs(
        [act("launched", 5)],
        (replace(prompted(), seen=None, shown=False), replace(prompted(), flagged=False)),
        Prices(),
    )

    assert (found.prompted, found.reviews_each) == (0, None)
