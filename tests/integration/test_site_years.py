"""docs/generated/site-years.md: its quick parts are what is simulated now, and the error that it reports is in bounds."""

from __future__ import annotations

import re

from site_years import METHODS, PAGE, SCENARIOS, STREAMS, YEARS, methods_table, said, timeline, year

from models.evaluation.metrics import wilson
from models.evaluation.sequential import YEARLY_ERROR


def test_the_years_that_are_told_and_the_comparison_of_methods_are_what_is_simulated_now() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert timeline() in page, "run `make site-years`"
    assert "\n".join(methods_table()) in page, "run `make site-years`"


def test_false_alarms_a_year_stay_within_a_twentieth_by_e_values_and_by_no_fixed_test() -> None:
    (ours,) = (line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| **e-values**"))
    (fixed,) = (
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {METHODS[0].name}")
    )

    assert all(float(a_year) <= YEARLY_ERROR for a_year in re.findall(r"\d\.\d\d", ours))
    assert all(float(a_year) > 1 for a_year in re.findall(r"\d\.\d\d", fixed))
    assert STREAMS == 2000


def test_of_the_calibrated_years_none_was_stopped_and_the_first_is_not() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| calibrated |")]

    assert rows[1].startswith("| calibrated | 0 | 0 | 0 |")
    assert wilson(0, YEARS)["high"] < YEARLY_ERROR
    assert not [state for state in said(year("calibrated", 0).episodes) if state.role == "exit" and state.decided]
    assert set(SCENARIOS) >= {"calibrated", "drifting", "a biased group", "calibrated, asked by outcome"}
