"""Denials, family history, education and empty forms stay quiet, and what says yes in the same places is heard.

The numbers are those of today; they may only fall.
"""

from __future__ import annotations

from pathlib import Path

from false_alarms import LOUD, QUIET, of_quiet_lines, of_samples, silent_lines


def test_quiet_lines_give_few_cards() -> None:
    found = of_quiet_lines()

    print(found)
    assert len(QUIET) > 150
    assert len(found) <= 6


def test_loud_lines_are_heard() -> None:
    assert not silent_lines()
    assert len(LOUD) > 50


def test_sample_charts_without_a_finding_give_no_card_of_one(shared: Path) -> None:
    assert of_samples(shared / "data" / "fhir-samples") == {}
