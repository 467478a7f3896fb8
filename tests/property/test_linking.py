"""Whatever a site's chain holds: a result is the outcome of one episode at most, and never of a score it came before."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.monitoring.linking import LinkedEvent, RecordedResult, RecordedScore, linked
from cds_service.settings.config import default_config
from cds_service.settings.monitoring import MonitoringSettings

START = datetime(2026, 10, 20, tzinfo=UTC)
NOW = START + timedelta(days=50)
SITE = default_config().site()
# By the minute, so that each result of a time of its own can be told from the others.
HOURS = st.integers(0, 45 * 24)
SCORES = st.builds(
    RecordedScore,
    model=st.sampled_from(["depression 2.0.0", "depression 3.0.0", "suicidal-ideation 3.0.0"]),
    probability=st.just(0.1),
    shown=st.booleans(),
    flagged=st.sampled_from([True, False, None]),
)


@st.composite
def results(draw) -> RecordedResult:
    number = draw(st.integers(0, 12))
    # The same form has the same time at each sight of it, and so has no other.
    moment = START + timedelta(days=3 * number, minutes=number)
    return RecordedResult(
        outcome=draw(st.sampled_from(["depression", "suicidal-ideation"])),
        id=str(number),
        positive=draw(st.sampled_from([True, False, None])),
        on=moment.isoformat() if number % 3 else moment.date().isoformat(),
    )


EVENTS = st.lists(
    st.builds(
        LinkedEvent,
        patient=st.sampled_from(["p", "q", None]),
        consent=st.sampled_from(["allowed"] * 9 + ["opted-out"]),
        at=HOURS.map(lambda hour: START + timedelta(hours=hour)),
        scores=st.lists(SCORES, max_size=2).map(tuple),
        measured=st.lists(results(), max_size=4).map(tuple),
    ),
    max_size=14,
)


def numbered(events: list[LinkedEvent]) -> list[LinkedEvent]:
    """Each with a number and a time of its own; the times are in no order, as of a clock that is set again and again."""
    return [
        msgspec.structs.replace(event, seq=seq, at=event.at + timedelta(seconds=seq))
        for seq, event in enumerate(events, start=1)
    ]


def site_of(days: int, zone: str):
    cards = replace(SITE.cards, zone=ZoneInfo(zone))
    return replace(SITE, cards=cards, monitoring=MonitoringSettings(outcome_days=days))


@settings(max_examples=200, deadline=None)
@given(
    EVENTS,
    st.sampled_from([1, 14, 60]),
    st.sampled_from(["UTC", "America/Chicago", "Pacific/Auckland"]),
    st.randoms(use_true_random=False),
)
def test_each_result_is_linked_at_most_once_and_order_does_not_matter(events, days, zone, chance) -> None:
    events, site = numbered(events), site_of(days, zone)

    found = linked(events, site, NOW)

    shuffled = [
        msgspec.structs.replace(event, measured=tuple(chance.sample(event.measured, len(event.measured))))
        for event in events
        if len({(result.outcome, result.id) for result in event.measured}) == len(event.measured)
    ]
    if len(shuffled) == len(events):
        chance.shuffle(shuffled)
        assert linked(shuffled, site, NOW) == found
    linked_once = Counter((e.patient, e.outcome, e.measured) for e in found if e.measured)
    assert not [key for key, times in linked_once.items() if times > 1]
    seq = {event.at: event.seq for event in events}
    gone = {event.patient for event in events if event.consent == "opted-out"}
    for episode in found:
        assert episode.patient not in gone
        if episode.measured:
            first, last = site.day(episode.at), site.day(episode.measured)
            assert timedelta() <= last - first <= timedelta(days=days)
            assert seq[episode.known] > seq[episode.at], "what was on record before a score is no outcome of it"
