"""What a notification is about, on disk: once a patient, in SQLite and a real PostgreSQL, and what is missed is noticed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from ehr import DATA_KEY

from cds_service.incidents.incidents import incidents
from cds_service.keys.data_key import DataKey, new_key
from cds_service.storage import tables
from cds_service.subscriptions.arrivals import (
    AT_ONCE,
    CLAIMED_S,
    FAILED_S,
    FIRST_LOOK_S,
    LATE_S,
    MOST_MISSING,
    MOST_WAIT_S,
    PATIENCE_S,
    ToRead,
    claim,
    finish,
    gaps,
    note,
    put_off,
    say_late,
    silences,
    to_read,
)
from fhir_adapters.access.notifications import Notification, NotificationKind

KEY = DataKey(DATA_KEY)
SITES = ("north",)
S1 = "https://ehr.example/fhir/Subscription/s1"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, **how: float) -> None:
        self.now += timedelta(**how)

    @property
    def seconds(self) -> int:
        return int(self.now.timestamp())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def heard(store, clock) -> Callable[..., None]:
    """Notes a notification."""
    return lambda site="north", **said: note(store, KEY, site, Notification(**said), clock())


def waiting(store) -> list[ToRead]:
    return [to_read(KEY, bytes(row["sealed"])) for row in store.rows(tables.arrival)]


def done(store, clock, claimed, **more) -> None:
    with store.transaction() as connection:
        finish(connection, claimed, clock(), **more)


def opened(store) -> list[tuple[str, dict]]:
    with store.transaction() as connection:
        return [(each.kind.value, dict(each.facts)) for each in incidents(connection)]


# ---- one row a patient ----


def test_ten_notifications_about_one_patient_are_one_row_and_no_id_can_be_read_in_it(store, heard) -> None:
    for _ in range(10):
        heard(patients=("p-4711",))
    (row,) = store.rows(tables.arrival)
    assert waiting(store) == [ToRead(patient="p-4711")]
    assert "4711" not in str(row)
    assert to_read(new_key(), bytes(row["sealed"])) is None


def test_a_row_is_read_by_one_worker_and_taken_off_when_it_was(store, heard, clock) -> None:
    heard(patients=("p1",), resources=("Observation/o1",))
    first, second = claim(store, SITES, clock()), claim(store, SITES, clock())
    assert {first.patient, second.patient} == {KEY.pseudonym("north", name) for name in ("p1", "Observation/o1")}
    assert claim(store, SITES, clock()) is None
    done(store, clock, first)
    done(store, clock, second)
    assert store.rows(tables.arrival) == []


def test_what_a_worker_that_died_had_claimed_is_read_by_another(store, heard, clock) -> None:
    heard(patients=("p1",))
    claim(store, SITES, clock())
    clock.later(seconds=CLAIMED_S)
    assert claim(store, SITES, clock()).attempts == 2


def test_a_patient_noted_again_while_the_chart_is_read_is_read_once_more(store, heard, clock) -> None:
    heard(patients=("p1",))
    claimed = claim(store, SITES, clock())
    heard(patients=("p1",))
    assert claim(store, SITES, clock()) is None
    done(store, clock, claimed)
    again = claim(store, SITES, clock())
    assert again.attempts == 1
    done(store, clock, again)
    assert store.rows(tables.arrival) == []


def test_a_row_put_off_by_a_clock_that_has_gone_back_is_read(store, heard, clock) -> None:
    heard(patients=("p1",))
    clock.later(days=-2)
    assert claim(store, SITES, clock()) is not None


def test_another_sites_row_is_left_to_it(store, heard, clock) -> None:
    heard(site="south", patients=("p1",))
    assert claim(store, SITES, clock()) is None
    assert claim(store, (*SITES, "south"), clock()).site == "south"


# ---- failures ----


def test_waits_grow_and_after_an_hour_an_incident_says_so_once(store, heard, clock) -> None:
    heard(patients=("p1",))
    began = clock.seconds
    waits = []
    while clock.seconds < began + 2 * FAILED_S:
        claimed = claim(store, SITES, clock())
        lasts = put_off(store, claimed, "failed (503)", clock())
        assert lasts is (clock.seconds - began >= FAILED_S)
        waits.append(store.rows(tables.arrival)[0]["due"] - clock.seconds)
        clock.later(seconds=waits[-1])
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (5, MOST_WAIT_S)
    assert opened(store) == [
        ("chart-not-read", {"since": "2026-11-30T08:00:00+00:00", "failure": "failed (503)", "waiting": 1})
    ]
    assert waiting(store) == [ToRead(patient="p1")]


def test_after_a_week_of_failures_a_row_is_given_up(store, heard, clock) -> None:
    heard(patients=("p1",))
    clock.later(days=7)
    put_off(store, claim(store, SITES, clock()), "refused", clock())
    assert waiting(store) == []
    assert [kind for kind, _ in opened(store)] == ["chart-not-read"]


def test_a_notification_does_not_hurry_what_has_just_failed(store, heard, clock) -> None:
    heard(patients=("p1",))
    put_off(store, claim(store, SITES, clock()), "busy", clock())
    heard(patients=("p1",))
    assert claim(store, SITES, clock()) is None
    clock.later(seconds=5)
    assert claim(store, SITES, clock()) is not None


def test_what_has_never_been_tried_comes_before_what_fails(store, heard, clock) -> None:
    heard(patients=("p1", "p2"))
    for _ in range(2):
        put_off(store, claim(store, SITES, clock()), "too-late", clock())
    clock.later(hours=1)
    heard(patients=("fresh",))
    assert claim(store, SITES, clock()).patient == KEY.pseudonym("north", "fresh")


def test_charts_that_wait_although_none_has_failed_are_said_once(store, heard, clock) -> None:
    heard(patients=("p1", "p2"))
    clock.later(seconds=LATE_S - 1)
    say_late(store, SITES, clock())
    assert opened(store) == []
    clock.later(seconds=1)
    for _ in range(2):
        say_late(store, (*SITES, "south"), clock())
    assert opened(store) == [
        ("chart-not-read", {"since": "2026-11-30T08:00:00+00:00", "failure": "late", "waiting": 2})
    ]


def test_a_notification_about_many_patients_is_written_in_parts_between_which_others_write(store, clock) -> None:
    written = []

    class Counting:
        @contextmanager
        def transaction(self):
            with store.transaction() as connection:
                yield connection
            written.append(len(store.rows(tables.arrival)))

    note(Counting(), KEY, "north", Notification(patients=tuple(f"p{n}" for n in range(3 * AT_ONCE + 1))), clock())
    assert written == [AT_ONCE, 2 * AT_ONCE, 3 * AT_ONCE, 3 * AT_ONCE + 1]


# ---- the whole server ----


def test_a_notification_that_names_nothing_asks_for_what_is_new_since_the_last_one(store, heard, clock) -> None:
    heard(unnamed=True)
    assert waiting(store) == [ToRead(since=clock.seconds - FIRST_LOOK_S)]
    done(store, clock, claim(store, SITES, clock()))
    before = clock.seconds
    clock.later(hours=5)
    heard(unnamed=True)
    clock.later(minutes=1)
    heard(unnamed=True)
    assert waiting(store) == [ToRead(since=before)]


# ---- numbers ----


def events(*numbers: int, kind: NotificationKind = NotificationKind.EVENT, total: int | None = None) -> dict:
    return {
        "kind": kind,
        "subscription": S1,
        "events": frozenset(numbers),
        "total": max(numbers, default=total) if total is None else total,
    }


def looked(store, clock) -> int | None:
    """Ends the search of the server that is due, as a worker does; when to search again."""
    claimed = claim(store, SITES, clock())
    assert claimed.patient == ""
    with store.transaction() as connection:
        again = gaps(connection, "north", clock())
        finish(connection, claimed, clock(), again_at=again)
    return again


def test_events_in_order_leave_no_gap(store, heard) -> None:
    heard(**events(kind=NotificationKind.HANDSHAKE, total=0))
    for number in range(1, 6):
        heard(patients=("p1",), **events(number))
    heard(**events(kind=NotificationKind.HEARTBEAT, total=5))
    assert waiting(store) == [ToRead(patient="p1")]


def test_a_number_that_was_skipped_and_never_comes_is_searched_for_and_said(store, heard, clock) -> None:
    heard(**events(1))
    before = clock.seconds
    clock.later(minutes=2)
    heard(**events(3))
    assert waiting(store) == [ToRead(since=before)]
    assert claim(store, SITES, clock()) is None  # it may still be on its way
    clock.later(seconds=PATIENCE_S)
    assert looked(store, clock) is None
    assert opened(store) == [
        ("subscription-silent", {"subscription": S1, "fault": "gap", "since": "2026-11-30T08:02:00+00:00", "missed": 1})
    ]
    assert store.rows(tables.arrival) == []


def test_a_number_that_comes_late_opens_nothing(store, heard, clock) -> None:
    heard(**events(1))
    heard(**events(3))
    heard(**events(2))
    clock.later(seconds=PATIENCE_S)
    assert looked(store, clock) is None
    assert opened(store) == []


def test_a_gap_noticed_while_another_is_searched_for_is_looked_at_in_its_turn(store, heard, clock) -> None:
    heard(**events(1))
    heard(**events(3))
    clock.later(seconds=PATIENCE_S - 1)
    heard(**events(5))
    clock.later(seconds=1)
    assert looked(store, clock) == clock.seconds + PATIENCE_S - 1
    assert claim(store, SITES, clock()) is None
    clock.later(seconds=PATIENCE_S)
    assert looked(store, clock) is None
    assert len(opened(store)) == 1  # the same subscription, while nobody has closed it


def test_a_heartbeat_tells_of_events_that_never_came(store, heard, clock) -> None:
    heard(**events(kind=NotificationKind.HANDSHAKE, total=0))
    heard(**events(kind=NotificationKind.HEARTBEAT, total=2))
    clock.later(seconds=PATIENCE_S)
    looked(store, clock)
    assert [facts["missed"] for _, facts in opened(store)] == [2]


def test_a_subscription_that_begins_anew_counts_from_its_handshake(store, heard, clock) -> None:
    heard(**events(40))
    heard(**events(kind=NotificationKind.HANDSHAKE, total=0))
    heard(patients=("p1",), **events(1))
    assert waiting(store) == [ToRead(patient="p1")]


def test_a_number_far_away_begins_the_count_anew_with_a_search_and_fills_no_store(store, heard, clock) -> None:
    heard(**events(1))
    for number in (2**53 - 1, 2):
        before = store.rows(tables.subscription)[0]["heard"]
        clock.later(minutes=5)
        heard(**events(number))
        (row,) = store.rows(tables.subscription)
        assert (row["number"], row["missing"]) == (number, {})
        assert waiting(store) == [ToRead(since=before)]
        assert looked_after(store, clock) is None
    heard(**events(4))
    assert list(store.rows(tables.subscription)[0]["missing"]) == ["3"]


def test_a_count_that_begins_again_without_a_handshake_is_searched_for_and_counted_on(store, heard, clock) -> None:
    heard(**events(500))
    before = clock.seconds
    clock.later(minutes=5)
    heard(**events(1))
    assert waiting(store) == [ToRead(since=before)]
    heard(**events(3))
    assert list(store.rows(tables.subscription)[0]["missing"]) == ["2"]


def looked_after(store, clock) -> int | None:
    clock.later(seconds=PATIENCE_S)
    return looked(store, clock)


def test_the_numbers_that_are_kept_as_missing_have_a_limit(store, heard) -> None:
    heard(**events(1))
    heard(**events(9_000))
    assert len(store.rows(tables.subscription)[0]["missing"]) == MOST_MISSING


@pytest.mark.parametrize("fault", ["error", "off"])
def test_a_subscription_with_a_fault_is_said_at_once_and_the_server_searched(store, heard, clock, fault: str) -> None:
    heard(**events(1))
    before = clock.seconds
    clock.later(hours=1)
    heard(**events(kind=NotificationKind.HEARTBEAT, total=1), fault=fault)
    assert waiting(store) == [ToRead(since=before)]
    assert [(kind, facts["fault"], facts["subscription"]) for kind, facts in opened(store)] == [
        ("subscription-silent", fault, S1)
    ]


# ---- silence ----


def test_a_site_that_falls_silent_is_said_once_and_one_that_speaks_is_not(store, heard, clock) -> None:
    expected = [("north", 24), ("south", 24)]
    silences(store, expected, clock())
    clock.later(hours=23)
    heard(**events(kind=NotificationKind.HEARTBEAT, total=0))
    clock.later(hours=2)
    for _ in range(3):
        silences(store, expected, clock())
    with store.transaction() as connection:
        found = incidents(connection)
    assert [(each.site, each.facts["fault"], each.facts["since"]) for each in found] == [
        ("south", "silent", "2026-11-30T08:00:00+00:00")
    ]
