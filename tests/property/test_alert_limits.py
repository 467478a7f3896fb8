"""Whatever was shown, snoozed and set: only model and follow-up cards of the lowest urgency are ever held back (R17)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from builders import AS_OF, LOW, given, record_of
from hook_calls import prompting
from hypothesis import example, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from cds_service.burden.limits import quietable
from cds_service.cards.from_notices import cards_for
from cds_service.serving.engine import load_engine
from explanations.judgement.alert_limits import (
    MODEL,
    NO_LIMITS,
    QUIETABLE,
    SNOOZES,
    AlertHistory,
    AlertLimits,
    Candidate,
    Limiter,
    LimitReason,
    ShownCard,
    Snooze,
    assessed_on,
)
from explanations.judgement.assessment import assess
from explanations.words.notices.limited import marked_limits, within_limits
from explanations.words.notices.notice import NoticeSettings
from explanations.words.notices.notice_list import notices
from models.inputs.outcomes import OUTCOMES
from models.rules.findings import Topic, Urgency

ENGINE = load_engine()
SETTINGS = NoticeSettings(zone=ZoneInfo("America/Chicago"))
EXEMPT = [topic for topic in Topic if topic not in QUIETABLE]
USERS = ("", "u1", "u2")
BASES = ("", "a", "b")
MOMENTS = st.integers(-3 * 24, 100 * 24).map(lambda hours: AS_OF - timedelta(hours=hours))
SUBSETS = st.lists(st.sampled_from(OUTCOMES), max_size=2, unique=True).map(tuple)
POLICIES = st.builds(
    AlertLimits,
    model_days=st.sampled_from([0, 1, 30, 365]),
    assessed_days=st.sampled_from([0, 14, 90]),
    repeat_h=st.sampled_from([0, 12, 168]),
    daily=st.sampled_from([0, 1, 2, 20]),
    snooze_days=st.sampled_from([0, 7, 90]),
    declined_days=st.sampled_from([0, 90, 365]),
)
SHOWN = st.builds(
    ShownCard,
    topic=st.sampled_from(Topic),
    user=st.sampled_from(USERS),
    at=MOMENTS,
    outcomes=SUBSETS,
    grounds=st.sampled_from(BASES),
)
SNOOZED = st.builds(
    lambda topic, user, code, at, days, grounds: Snooze(
        topic=topic, user=user, code=code, at=at, until=at + timedelta(days), grounds=grounds
    ),
    st.sampled_from(Topic),
    st.sampled_from(USERS),
    st.sampled_from([*SNOOZES, "under-way", "asked", "corrected", "x"]),
    MOMENTS,
    st.integers(0, 400),
    st.sampled_from(BASES),
)
HISTORIES = st.builds(
    AlertHistory,
    shown=st.lists(SHOWN, max_size=12).map(tuple),
    snoozes=st.lists(SNOOZED, max_size=6).map(tuple),
    today=st.integers(0, 60),
)
CANDIDATES = st.builds(
    Candidate,
    topic=st.sampled_from(Topic),
    urgency=st.sampled_from(Urgency),
    outcomes=SUBSETS,
    grounds=st.sampled_from(BASES),
    is_exempt=st.booleans(),
)
LIMITERS = st.builds(
    Limiter,
    limits=POLICIES,
    history=HISTORIES,
    zone=st.sampled_from([UTC, ZoneInfo("America/Chicago"), ZoneInfo("Pacific/Auckland")]),
    now=st.just(AS_OF),
    user=st.sampled_from(USERS),
    assessed=st.lists(st.dates(date(2026, 8, 1), date(2026, 12, 1)), max_size=3).map(tuple),
)


@settings(max_examples=500)
@drawn(limiter=LIMITERS, candidates=st.lists(CANDIDATES, max_size=7, unique_by=lambda one: one.topic))
def test_no_safety_warning_gap_or_anomaly_card_is_ever_held_back(limiter: Limiter, candidates: list[Candidate]) -> None:
    held = limiter.held_back(candidates)

    for one in candidates:
        if one.topic in held:
            assert one.topic in (Topic.SCREENING_PROMPT, Topic.DEPRESSION_FOLLOW_UP)
            assert one.urgency is Urgency.NOTE
            assert not one.is_exempt
            assert limiter.now < held[one.topic].until
    assert held.keys() <= {one.topic for one in candidates}


@drawn(limiter=LIMITERS, candidates=st.lists(CANDIDATES, max_size=7, unique_by=lambda one: one.topic))
def test_without_limits_nothing_is_held_back(limiter: Limiter, candidates: list[Candidate]) -> None:
    free = replace(limiter, limits=NO_LIMITS, history=replace(limiter.history, snoozes=()))

    assert free.held_back(candidates) == {}


LINES = [
    "PHQ-9, 3 days ago: items 1-8 = 1, item 9 = 0",
    "PHQ-9, 40 days ago: items 1-8 = 2, item 9 = 1",
    "PHQ-9, 5 days ago: items 1-8 = 1, item 9 = blank",
    "PHQ-9, 20 days ago: items 1-7 = 2, item 8 = 0, item 9 = 0",
    "PHQ-9, 22 days ago: total = 15",
    "PHQ-9, 21 days ago: total = 22",
    "PHQ-9, 8 days ago: items 1-9 = 1, total = 20",
    "PHQ-2, 6 days ago: total = 4",
    "C-SSRS, today: question 4 = yes",
    "C-SSRS, 12 days ago: question 1 2 6 = no",
    "Condition T14.91XA, 41 days ago",
    "Condition T14.91XA, 400 days ago",
    "Condition R45.851, 4 days ago",
    "Condition Z91.51, 400 days ago, problem list",
    "Medicine sertraline, today",
    "Visit for depression, 30 days ago",
    "Risk assessment, 3 days ago",
]
# A user who was shown 99 such cards today.
FULL = Limiter(limits=AlertLimits(), history=AlertHistory(today=99), zone=UTC, now=AS_OF, user="u1")
FOREIGN = given("PHQ-9, 2 days ago: total = 3")[0] | {"subject": {"reference": "Patient/somebody-else"}}
SEEN: Counter[str] = Counter()


@settings(max_examples=250)
@drawn(
    lines=st.lists(st.sampled_from(LINES), max_size=4, unique=True),
    speaks=st.booleans(),
    foreign=st.booleans(),
    limiter=LIMITERS,
    same=st.lists(st.tuples(st.sampled_from(USERS), st.integers(0, 40 * 24)), max_size=4),
    said=st.lists(st.tuples(st.sampled_from(USERS), st.sampled_from([*SNOOZES]), st.integers(0, 60)), max_size=2),
)
@example(lines=LINES[3:4], speaks=False, foreign=True, limiter=None, same=[("u1", 1)], said=[])
@example(lines=LINES[3:4], speaks=False, foreign=False, limiter=None, same=[("u1", 1)], said=[])
@example(lines=LINES[3:4], speaks=True, foreign=False, limiter=None, same=[], said=[("", "declines", 1)])
@example(lines=[], speaks=True, foreign=False, limiter=None, same=[("u2", 30)], said=[])
@example(lines=["Risk assessment, 3 days ago"], speaks=True, foreign=False, limiter=None, same=[], said=[])
@example(lines=LINES[3:4], speaks=False, foreign=False, limiter=FULL, same=[], said=[])
def same_with_limits_and_without(
    lines: list[str],
    *,
    speaks: bool,
    foreign: bool,
    limiter: Limiter | None,
    same: list[tuple[str, int]],
    said: list[tuple[str, str, int]],
) -> None:
    limiter = limiter or Limiter(limits=AlertLimits(), history=AlertHistory(), zone=UTC, now=AS_OF, user="u1")
    chart = (
        [r for line in lines for r in given(line)] + (prompting() if speaks else []) + ([FOREIGN] if foreign else [])
    )
    assessment = assess(record_of(*chart), ENGINE, LOW)
    made = notices(assessment, SETTINGS)
    candidates = quietable(assessment, made, str)
    again = tuple(
        ShownCard(topic=c.topic, user=user, at=AS_OF - timedelta(hours=hours), outcomes=c.outcomes, grounds=c.grounds)
        for c in candidates
        for user, hours in same
    )
    asked = tuple(
        Snooze(
            topic=c.topic,
            user=user,
            code=code,
            at=AS_OF - timedelta(days),
            until=AS_OF + timedelta(90 - days),
            grounds=MODEL + c.grounds if c.outcomes else c.grounds,
        )
        for c in candidates
        for user, code, days in said
    )
    past = limiter.history
    history = replace(past, shown=(*past.shown, *again), snoozes=(*past.snoozes, *asked))
    limiter = replace(limiter, history=history, assessed=limiter.assessed + assessed_on(assessment.chart))

    held = limiter.held_back(candidates)
    shown = within_limits(made, held)

    rest = [notice for notice in made if notice.topic in EXEMPT or notice.urgency > Urgency.NOTE]
    assert [notice for notice in shown if notice.topic in EXEMPT or notice.urgency > Urgency.NOTE] == rest
    assert [notice.topic for notice in shown] == [notice.topic for notice in made if notice.topic not in held]
    assert [n.topic for n in marked_limits(made, held, SETTINGS)] == [n.topic for n in made]
    before, after = (
        cards_for(assessment, SETTINGS, new_id=lambda: "x", notices=lambda *_, given=given: given)
        for given in (made, shown)
    )
    critical = [card for card in before if card.indicator != "info"]
    left = {card.source.topic.code: card for card in after if card.indicator != "info"}
    assert [card.summary for card in critical] == [left[card.source.topic.code].summary for card in critical]
    history_lines = [line for notice in made for line in notice.chart if line.role == "history"]
    if any(notice.topic in (*QUIETABLE, *EXEMPT[:3]) for notice in shown):
        assert [line for notice in shown for line in notice.chart if line.role == "history"] == history_lines
    SEEN.update([why.reason.value for why in held.values()])
    SEEN.update(["foreign kept"] if foreign and any(n.topic in QUIETABLE for n in shown) else [])


def test_what_the_rules_say_is_the_same_with_limits_and_without() -> None:
    same_with_limits_and_without()

    assert {*SEEN} >= {*map(str, LimitReason), "foreign kept"}


@settings(max_examples=150)
@drawn(
    calls=st.lists(
        st.tuples(
            st.integers(1, 60),
            st.sampled_from(USERS[1:]),
            st.lists(CANDIDATES, max_size=4, unique_by=lambda c: c.topic),
        ),
        max_size=30,
    ),
    limits=POLICIES,
)
def test_over_many_calls_no_more_comes_than_the_limits_allow(
    calls: list[tuple[int, str, list[Candidate]]], limits: AlertLimits
) -> None:
    now, shown, sent = AS_OF, list[ShownCard](), Counter[tuple[str, date]]()
    for hours, user, candidates in calls:
        now += timedelta(hours=hours)
        history = AlertHistory(shown=tuple(shown), today=sent[user, now.date()])
        limiter = Limiter(limits=limits, history=history, zone=UTC, now=now, user=user)
        held = limiter.held_back(candidates)
        for one in candidates:
            if not one.is_quietable or one.topic in held:
                continue
            if one.grounds:
                assert not any(_too_early(card, one, user, now, limits) for card in shown)
            sent[user, now.date()] += not one.concerns_safety
            shown.append(ShownCard(topic=one.topic, user=user, at=now, outcomes=one.outcomes, grounds=one.grounds))
    assert not limits.daily or all(count <= limits.daily for count in sent.values())


def _too_early(card: ShownCard, one: Candidate, user: str, now: datetime, limits: AlertLimits) -> bool:
    if (card.topic, card.grounds) != (one.topic, one.grounds):
        return False
    by_model = bool(one.outcomes) and {*one.outcomes} <= {*card.outcomes}
    window = by_model and (now.date() - card.at.date()).days < limits.model_days
    return window or (card.user == user and now - card.at < timedelta(hours=limits.repeat_h))
