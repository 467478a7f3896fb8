"""Results of one day stand in the order of their times, with the times; for totals the worst is named as well."""

from __future__ import annotations

import itertools
from zoneinfo import ZoneInfo

import pytest
from builders import cards_of, given, phq9_timeline, record_of

from explanations.words.language import language
from explanations.words.pages.other_results import other_results
from explanations.words.pages.trends import trend_rows

NINE, NOON, THREE = (f"2026-11-16T{hour:02d}:00:00Z" for hour in (9, 12, 15))
ZONE = ZoneInfo("UTC")


def summary(*lines: str) -> str:
    (found,) = {
        card.summary
        for order in itertools.permutations(lines)
        for card in cards_of(record_of(*(r for line in order for r in given(line))))
        if card.source.topic.code == "depression-follow-up"
    }
    return found


@pytest.mark.parametrize(
    ("early", "late", "expected"),
    [
        (22, 8, "PHQ-9 was 8 on 16 Nov 2026 15:00 UTC (7 days ago); 22 at 09:00 UTC the same day."),
        (22, 12, "PHQ-9 was 12 on 16 Nov 2026 15:00 UTC (7 days ago); 22 at 09:00 UTC the same day."),
        (14, 11, "PHQ-9 was 11 on 16 Nov 2026 15:00 UTC (7 days ago); 14 at 09:00 UTC the same day."),
        (11, 14, "PHQ-9 was 14 on 16 Nov 2026 15:00 UTC (7 days ago)."),
        (8, 22, "PHQ-9 was 22 on 16 Nov 2026 (7 days ago)."),
    ],
)
def test_the_latest_total_of_a_day_leads_and_the_worst_is_named(early: int, late: int, expected: str) -> None:
    assert summary(f"PHQ-9, {NINE}: total = {early}", f"PHQ-9, {THREE}: total = {late}").startswith(expected)


def test_the_worst_total_keeps_its_urgency() -> None:
    early, late = given(f"PHQ-9, {NINE}: total = 22"), given(f"PHQ-9, {THREE}: total = 8")

    (card,) = [c for c in cards_of(record_of(*early, *late)) if c.source.topic.code == "depression-follow-up"]

    assert card.indicator == "warning"
    rows = [line for line in card.detail.splitlines() if line.startswith("| 16 Nov 2026")]
    assert [row[:32] for row in rows] == ["| 16 Nov 2026 15:00 UTC | 8 | no", "| 16 Nov 2026 09:00 UTC | 22 | n"]


def test_without_times_the_worst_total_leads() -> None:
    """Two forms of one day: which came last is not known."""
    items = ", ".join(f"item {n} = 1" for n in range(2, 10))
    lines = (
        f"PHQ-9, 2026-11-16, encounter e1: item 1 = 2, {items}",
        f"PHQ-9, 2026-11-16, encounter e2: item 1 = 3, {items}",
    )

    assert summary(*lines).startswith("PHQ-9 was 11 on 16 Nov 2026 (7 days ago).")


def test_findings_of_one_day_are_told_apart_by_their_times() -> None:
    lines = [f"C-SSRS, {time}: question 1 = yes, question 2 6 = no" for time in (NOON, THREE, NINE)]

    (card,) = cards_of(record_of(*(r for line in lines for r in given(line))))

    times = [line.partition("16 Nov 2026 ")[2][:5] for line in card.detail.splitlines() if "question 1" in line]
    assert times == ["15:00", "12:00", "09:00"]


def test_the_pages_show_results_of_one_day_by_time() -> None:
    record = record_of(*given(f"EPDS, {NINE}: total = 9"), *given(f"EPDS, {THREE}: total = 4"), *given(f"PHQ-9, {THREE}: total = 4"), *given(f"PHQ-9, {NINE}: total = 9"))  # fmt: skip

    (epds,) = other_results(record, language(), ZONE)

    assert [row[:24] for row in epds.rows] == ["**16 Nov 2026 15:00 UTC,", "**16 Nov 2026 09:00 UTC,"]
    assert [row.date for row in trend_rows(phq9_timeline(record), language(), ZONE)] == ["16 Nov 2026 15:00 UTC", "16 Nov 2026 09:00 UTC"]  # fmt: skip
