"""docs/generated/alert-burden.md is what the simulated month gives, and its safety cards are equal under every policy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from alert_burden import CLINICIANS, PATIENTS, POLICIES, WORKDAYS, month, openings, page, people

PAGE = Path(__file__).parents[2] / "docs" / "generated" / "alert-burden.md"
FREE, USUAL = "no limit", "all of them (the default)"


def test_the_page_is_what_the_simulated_month_gives() -> None:
    expected = page()

    if os.environ.get("MHCDS_REWRITE_GOLDEN"):
        PAGE.write_text(expected, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == expected, "run `make golden`"


def test_it_is_a_month_of_so_many_people() -> None:
    assert (len(people()), len(WORKDAYS)) == (PATIENTS, 21) == (5000, 21)
    assert {one.clinician for one in openings()} == {*range(CLINICIANS)} == {*range(40)}


@pytest.mark.parametrize("policy", POLICIES)
def test_cards_that_no_limit_applies_to_are_the_same_one_by_one(policy: str) -> None:
    assert month(policy).safety == month(FREE).safety != []


def test_the_default_limits_at_least_halve_the_others_and_repeat_little() -> None:
    free, usual = month(FREE), month(USUAL)

    assert usual.limited < free.limited / 2
    assert usual.repeats / usual.weeks < 0.25
    assert free.repeats / free.weeks > 1
    assert free.held.total() == 0
