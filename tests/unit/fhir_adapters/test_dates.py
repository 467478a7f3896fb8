"""FHIR dates on the site's calendar (rule R1)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from fhir_adapters.resources.dates import age_on, when

TODAY = date(2026, 11, 23)
CHICAGO = ZoneInfo("America/Chicago")


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-11-20", date(2026, 11, 20)),
        ("2026-10", date(2026, 10, 31)),  # the latest day that it can mean
        ("2026-11", TODAY),  # but not after today
        ("2025", date(2025, 12, 31)),
        ("2026", TODAY),
        ("2024-02", date(2024, 2, 29)),
        ("2026-11-20T03:00:00Z", date(2026, 11, 19)),  # still the evening before in Chicago
        ("2026-11-20T23:30:00-06:00", date(2026, 11, 20)),
        ("2026-11-20T09:00:00.123+05:30", date(2026, 11, 19)),
        ("2026-11-20T09:00:00", date(2026, 11, 20)),  # no zone: the site's
    ],
)
def test_a_date_falls_on_the_sites_calendar_day(text: str, day: date) -> None:
    found = when(text, CHICAGO, TODAY)

    assert found is not None
    assert found.day == day
    assert not found.future


@pytest.mark.parametrize("text", ["2026-11-24", "2027", "2026-12", "2026-11-24T12:00:00-06:00"])
def test_a_date_after_today_is_marked_as_future(text: str) -> None:
    assert when(text, CHICAGO, TODAY).future


@pytest.mark.parametrize(
    "text", [None, "", "yesterday", "2026-13", "2026-02-30", "20261120T", "2026-11-20T25:00:00Z", "0000"]
)
def test_what_is_no_date_gives_none(text: str | None) -> None:
    assert when(text, UTC, TODAY) is None


def test_a_time_keeps_its_instant_in_utc() -> None:
    assert when("2026-11-20T09:00:00-06:00", CHICAGO, TODAY).instant == datetime(2026, 11, 20, 15, tzinfo=UTC)
    assert when("2026-11-20", CHICAGO, TODAY).instant is None


@pytest.mark.parametrize(
    ("born", "age"),
    [("1986-11-23", 40), ("1986-11-24", 39), ("1986", 39), ("1986-11", 39), ("2008-02-29", 18), ("2026-11-23", 0),
     ("2027-01-01", None), ("", None), (None, None), ("23.11.1986", None)],
)  # fmt: skip
def test_age_in_whole_years_and_the_youngest_for_a_partial_birth_date(born: str | None, age: int | None) -> None:
    assert age_on(born, TODAY) == age
