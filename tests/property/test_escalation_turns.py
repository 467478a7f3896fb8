"""Whatever the contacts and their hours: each turn is the next one's on duty, in time, and never more than three rounds."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.escalation.duty import MOST_ROUNDS, next_duty, next_turn
from cds_service.settings.escalation import Channel, Contact, Hours
from cds_service.settings.escalation_file import uncovered

TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 1, 30, 59]))
HOURS = st.builds(Hours, days=st.frozensets(st.integers(0, 6), min_size=1), start=TIMES, end=TIMES)
CONTACTS = st.lists(
    st.builds(lambda hours, within: (tuple(hours), within), st.lists(HOURS, max_size=2), st.integers(1, 240)),
    min_size=1,
    max_size=4,
).map(
    lambda found: [
        Contact(name=f"contact {n}", channel=Channel.TASK, hours=hours, within_min=within)
        for n, (hours, within) in enumerate(found)
    ]
)
ZONES = st.sampled_from(["UTC", "America/Chicago", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]).map(
    ZoneInfo
)
NIGHTS = st.sampled_from(
    [datetime(2026, 11, 1, 5, tzinfo=UTC), datetime(2027, 3, 14, 5, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC)]
)
MOMENTS = st.builds(lambda night, minutes: night + timedelta(minutes=minutes), NIGHTS, st.integers(0, 7 * 24 * 60))


@given(contacts=CONTACTS, zone=ZONES, opened=MOMENTS)
def test_turns_follow_the_order_of_the_file_by_the_hours_and_end_after_three_rounds(contacts, zone, opened) -> None:
    now, last, rounds = opened, None, 1
    told = []
    for _ in range(len(contacts) * MOST_ROUNDS + 20):
        turn = next_turn(contacts, zone, last, rounds, now)
        assert turn.round >= rounds
        on_duty = [contact for contact in contacts if contact.on_duty(now.astimezone(zone))]
        if turn.contact is not None:
            assert turn.contact in on_duty
            assert turn.due - now == timedelta(minutes=turn.contact.within_min)
            names = [contact.name for contact in contacts]
            before = names.index(last) if last and turn.round == rounds else -1
            passed = contacts[before + 1 : names.index(turn.contact.name)]
            assert not [contact for contact in passed if contact in on_duty]
            told.append((turn.round, turn.contact.name))
            last = turn.contact.name
        elif turn.due is None:
            assert turn.round > MOST_ROUNDS
            break
        else:
            assert not on_duty
            assert turn.due > now
            last = None
        rounds, now = turn.round, turn.due
    else:
        raise AssertionError("the turns never end")
    assert len(told) == len(set(told)) <= len(contacts) * MOST_ROUNDS
    assert told == sorted(told)


@given(contacts=CONTACTS, zone=ZONES, now=MOMENTS)
def test_somebodys_hours_begin_when_it_says_and_nobodys_before_by_the_minute(contacts, zone, now) -> None:
    if any(contact.on_duty(now.astimezone(zone)) for contact in contacts):
        return
    begins = next_duty(contacts, zone, now)
    assert any(contact.on_duty(begins.astimezone(zone)) for contact in contacts) or begins == now + timedelta(days=1)
    assert begins > now


@settings(max_examples=10)
@given(contacts=CONTACTS)
def test_the_gaps_of_a_week_are_just_the_minutes_without_anybody(contacts) -> None:
    monday = datetime(2026, 1, 5)  # noqa: DTZ001
    minutes = [monday + timedelta(minutes=n) for n in range(7 * 24 * 60)]
    free = sum(not any(contact.on_duty(minute) for contact in contacts) for minute in minutes)
    assert bool(uncovered(contacts)) is bool(free)
