"""Questionnaires on file beside PHQ-9 and GAD-7."""

from __future__ import annotations

import pytest
from builders import given, record_of

from explanations.words.language import language
from explanations.words.pages.other_results import other_results


def rows(*lines: str) -> dict[str, tuple[str, ...]]:
    chart = [resource for line in lines for resource in given(line)]
    return {found.title: found.rows for found in other_results(record_of(*chart), language())}


def test_an_empty_chart_has_none() -> None:
    assert other_results(record_of(), language()) == ()


@pytest.mark.parametrize(
    ("line", "title", "words"),
    [
        ("C-SSRS, 5 days ago: q1 = no, q2 = no, q6 = no", "C-SSRS", "3 questions answered, none yes; this does not rule out risk"),
        ("C-SSRS, 5 days ago: question 4 = yes", "C-SSRS", "question 4 (intent): yes"),
        ("EPDS, 3 days ago: total = 9, item 10 = 1", "EPDS", "total 9 of 30; item 10 1 of 3"),
        ("EPDS, 3 days ago: total = 9", "EPDS", "total 9 of 30; item 10 not on file"),
        ("PHQ-2, 3 days ago: total = 3", "PHQ-2", "total 3 of 6"),
    ],
)  # fmt: skip
def test_what_was_answered_stands_with_its_day_and_its_source(line: str, title: str, words: str) -> None:
    try:
        (row,) = rows(line)[title]
    except (KeyError, ValueError):
        pytest.fail(f"not read: {rows(line)}")

    assert words in row
    assert "days ago**" in row
    assert "`" in row


def test_a_coded_low_is_never_printed_and_a_coded_high_is() -> None:
    low, high = (rows(f"C-SSRS, 5 days ago: level = {level}")["Suicide risk screen"][0] for level in ("low", "high"))

    assert "low" not in low
    assert "overall result recorded as high" in high


def test_three_of_each_are_shown_and_the_rest_counted() -> None:
    chart = [r for days in (3, 40, 80, 120, 200) for r in given(f"EPDS, {days} days ago: total = 5")]

    (found,) = other_results(record_of(*chart), language())

    assert (len(found.rows), found.more) == (3, 2)
