"""The estimators of trials: intervals that hold a known effect as often as they say, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from trial_simulation import BASELINE, DESIGNS, EFFECT, PAGE, by_clinician, simulated, wedge

from models.evaluation.trials import TrialData, effect_words, trial_data, trial_effect

SMALL = {
    "stepped wedge": {"clinics": 12, "steps": 3},
    "by clinician": {"clinicians": 8},
    "by patient": {"patients": 40},
}


@pytest.mark.parametrize("design", SMALL)
def test_intervals_hold_the_truth_about_as_often_as_they_say(design: str) -> None:
    found = simulated(design, EFFECT, 60, **SMALL[design])

    assert found.coverage >= 0.88  # of 60 trials with 95 % each, fewer come once in a hundred times
    assert abs(found.bias) < 3 * found.spread / 60**0.5


def test_a_wedge_without_an_effect_seldom_finds_one() -> None:
    assert simulated("stepped wedge", 0.0, 60, **SMALL["stepped wedge"]).rejected <= 0.12


def test_the_page_has_every_design_within_the_limits_that_were_asked_for() -> None:
    rows = [line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if "%" in line and "| " in line]
    held = [(row[1].strip(), row[3].strip(), float(row[7].strip(" %"))) for row in rows if row[1].strip() in DESIGNS]

    assert [(name, effect) for name, effect, _ in held] == [(name, effect) for name in DESIGNS for effect in ("8", "0")]
    assert all(93 <= share <= 97 for _, _, share in held)


def test_the_shape_of_an_estimate() -> None:
    data = by_clinician(np.random.default_rng(5), 1, EFFECT)
    found = trial_effect(data, wedge=False)

    assert found.low < found.difference < found.high and 0 < found.p < 1
    assert (found.clusters, found.df) == (48, 47)
    assert found.live_people + found.silent_people == len(data.endpoint)
    assert abs(found.silent - BASELINE) < 0.05
    assert effect_words(found).splitlines()[1].startswith("difference (live - silent), adjusted: +")


def test_a_cluster_alone_in_its_stratum_does_not_stop_the_estimate() -> None:
    data = by_clinician(np.random.default_rng(5), 1, EFFECT)
    alone = replace(data, stratum=np.where(data.cluster == "0 0", "alone", data.stratum))

    found = trial_effect(alone, wedge=False)

    assert np.isfinite([found.low, found.high]).all()
    assert abs(found.difference - trial_effect(data, wedge=False).difference) < 0.02


def test_too_little_is_said_so() -> None:
    data = wedge(np.random.default_rng(5), 1, EFFECT)
    few = np.isin(data.cluster, ["0", "1", "2"])
    small = TrialData(
        **{name: getattr(data, name)[few] for name in ("endpoint", "live", "cluster", "period", "stratum")}
    )
    one_arm = replace(data, live=np.zeros_like(data.live))

    with pytest.raises(ValueError, match=r"expected more clinics than \d, the terms of the model; found 3"):
        trial_effect(small, wedge=True)
    with pytest.raises(ValueError, match="expected episodes in both arms"):
        trial_effect(one_arm, wedge=True)
    two = np.isin(data.cluster, ["0", "1"])
    same = np.zeros(two.sum())
    of_two = TrialData(
        endpoint=data.endpoint[two], live=data.cluster[two] == "0", cluster=data.cluster[two], period=same, stratum=same
    )  # fmt: skip
    with pytest.raises(ValueError, match="expected more than 2 that were assigned; found 2"):
        trial_effect(of_two, wedge=False)


def test_which_rows_count_and_that_nothing_measured_is_nothing_found() -> None:
    row = {"complete": "1", "flagged": "1", "arm": "live", "cluster": "a", "period": "0", "stratum": "", "person": "a",
           "acted_within_7_days": "0", "outcome_measured": "0", "positive": ""}  # fmt: skip
    other = row | {"person": "b", "flagged": "0", "positive": "1", "outcome_measured": "1"}
    rows = [row, other, row | {"person": "c", "complete": "0"}]

    assert list(trial_data(rows, endpoint="found", population="all").endpoint) == [0, 1]
    assert list(trial_data(rows, endpoint="measured", population="flagged").endpoint) == [0]


def test_of_each_person_the_first_episode_of_the_population_counts() -> None:
    row = {"complete": "1", "flagged": "0", "arm": "silent", "cluster": "a", "period": "0", "stratum": "", "person": "a",
           "acted_within_7_days": "0"}  # fmt: skip
    rows = [row, row | {"flagged": "1", "arm": "live"}, row | {"flagged": "1", "acted_within_7_days": "1"}]

    assert list(trial_data(rows, endpoint="acted", population="all").live) == [0]
    assert list(trial_data(rows, endpoint="acted", population="flagged").live) == [1]
    unfinished = [row | {"complete": "0"}, row]
    assert list(trial_data(unfinished, endpoint="acted", population="all").live) == []


def test_counting_every_episode_would_halve_the_effect_and_the_first_of_each_person_does_not() -> None:
    found = simulated("by patient", 0.2, 20, **SMALL["by patient"])

    assert abs(found.bias) < 0.05
