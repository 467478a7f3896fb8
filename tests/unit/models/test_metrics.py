import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from models.evaluation.metrics import (
    FLAG_RATES,
    auroc,
    auroc_difference,
    average_precision,
    group_metrics,
    interval_coverage,
    observed_over_expected,
)
from models.scoring.calibration import probabilities


def people(n: int = 4000, seed: int = 3, step: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds in steps, so that there are ties, and outcomes that follow them."""
    rng = np.random.default_rng(seed)
    log_odds = np.round(rng.normal(-2, 1.2, n) / step) * step
    return log_odds, (rng.random(n) < probabilities(log_odds)).astype(float)


def of_group(log_odds: np.ndarray, y: np.ndarray, labelled: int, baselines: dict) -> dict:
    return group_metrics(log_odds, np.full(y.size, 0.3), y, labelled, baselines)


@given(st.integers(0, 10_000), st.sampled_from([0.001, 0.5, 2.0]))
def test_ranking_figures_agree_with_scikit_learn_ties_included(seed, step):
    log_odds, y = people(400, seed, step)

    assert auroc(log_odds, y)["value"] == pytest.approx(roc_auc_score(y, log_odds), abs=1e-4)
    assert average_precision(log_odds, y)["value"] == pytest.approx(average_precision_score(y, log_odds), abs=1e-4)


def test_the_auroc_interval_is_that_of_the_bootstrap():
    log_odds, y = people(1500)
    rng = np.random.default_rng(5)
    resampled = [rng.integers(0, y.size, y.size) for _ in range(400)]
    low, high = np.quantile([roc_auc_score(y[i], log_odds[i]) for i in resampled], [0.025, 0.975])

    figure = auroc(log_odds, y)

    assert figure["low"] == pytest.approx(low, abs=0.01)
    assert figure["high"] == pytest.approx(high, abs=0.01)


def test_intervals_hold_the_truth_about_19_times_in_20():
    held = {"auroc": 0, "slope": 0, "intercept": 0, "o_e": 0, "brier": 0}
    large, y_large = people(400_000, seed=99)
    truth = {"auroc": roc_auc_score(y_large, large), "slope": 1, "intercept": 0, "o_e": 1}
    truth["brier"] = float(((probabilities(large) - y_large) ** 2).mean())
    for seed in range(200):
        found = of_group(*people(1200, seed), 1200, {})
        for name in held:
            held[name] += found[name]["low"] <= truth[name] <= found[name]["high"]

    assert all(180 <= count <= 199 for count in held.values()), held


def test_a_group_gets_every_figure_inside_its_interval_and_counts_as_whole_numbers():
    log_odds, y = people()

    found = of_group(log_odds, y, 5000, {"other": -log_odds})

    figures = [found[name] for name in ("auroc", "auprc", "brier", "slope", "intercept", "o_e", "scored_share")]
    figures += [figure for rate in FLAG_RATES for figure in found["flag_rates"][rate].values()]
    assert all(figure["low"] <= figure["value"] <= figure["high"] for figure in figures)
    assert found["scored_share"]["value"] == 0.8
    assert type(found["n"]) is int
    assert type(found["events"]) is int
    assert found["baselines"]["other"]["auroc"]["value"] == pytest.approx(1 - found["auroc"]["value"], abs=1e-4)


def test_flagging_takes_the_highest_estimates_and_shares_ties_out():
    log_odds = np.array([3.0] * 10 + [2.0] * 40 + [1.0] * 50)
    y = np.array([1.0] * 10 + [1.0] * 20 + [0.0] * 20 + [0.0] * 50)

    rates = of_group(log_odds, y, 100, {})["flag_rates"]

    assert rates["0.10"]["ppv"]["value"] == 1.0
    assert rates["0.20"]["ppv"]["value"] == pytest.approx((10 + 5) / 20)
    assert rates["0.20"]["sensitivity"]["value"] == pytest.approx((10 + 5) / 30)


@pytest.mark.parametrize("events", [0, 3, 9, 91, 100])
def test_with_too_few_on_either_side_counts_are_shown_and_figures_are_null(events):
    log_odds = np.linspace(-3, 1, 100)
    y = (np.arange(100) < events).astype(float)

    found = of_group(log_odds, y, 100, {"other": log_odds})

    assert (found["n"], found["events"]) == (100, events)
    assert (
        found["auroc"]
        == found["o_e"]
        == found["flag_rates"]["0.05"]["ppv"]
        == {"value": None, "low": None, "high": None}
    )
    assert "NaN" not in json.dumps(found)


def test_an_empty_group_has_counts_of_zero_and_nothing_else():
    found = of_group(np.array([]), np.array([]), 0, {"other": np.array([])})

    assert (found["n"], found["events"], found["scored_share"]["value"]) == (0, 0, None)
    json.dumps(found, allow_nan=False)


def test_a_baseline_counts_only_people_it_can_rank():
    log_odds, y = people()
    partial = np.where(np.arange(y.size) < 2000, log_odds, np.nan)

    found = of_group(log_odds, y, y.size, {"other": partial})["baselines"]["other"]["auroc"]

    assert found["value"] == pytest.approx(roc_auc_score(y[:2000], log_odds[:2000]), abs=1e-4)


def test_perfect_order_still_gives_figures_in_range():
    y = (np.arange(100) >= 60).astype(float)

    found = of_group(np.linspace(-4, 4, 100), y, 100, {})

    assert found["auroc"]["value"] == 1.0
    assert found["slope"]["value"] is None, "perfect separation has no finite slope"


def test_observed_over_expected_is_above_1_when_estimates_are_too_low():
    figure = observed_over_expected(np.full(1000, 0.05), (np.arange(1000) < 100).astype(float))

    assert figure["value"] == 2.0
    assert math.log(figure["high"] / 2) == pytest.approx(math.log(2 / figure["low"]), abs=1e-3)


def test_intervals_that_are_wide_enough_cover_and_ones_around_wrong_estimates_do_not():
    log_odds, y = people(20_000)
    narrow, wide = np.full(y.size, 0.05), np.full(y.size, 1.2)

    assert interval_coverage(log_odds, narrow, y)["value"] >= 0.9
    assert interval_coverage(log_odds + 1.0, narrow, y)["value"] <= 0.2
    assert interval_coverage(log_odds + 1.0, wide, y)["value"] == 1.0


def test_the_difference_of_two_rankings_is_that_of_their_aurocs_within_strata_and_its_interval_holds_zero_for_equals():
    log_odds, y = people(6000, step=1e-9)
    strata = np.arange(y.size) % 3
    other = log_odds + np.random.default_rng(1).normal(0, 1.0, y.size)
    expected = np.mean([roc_auc_score(y[strata == k], log_odds[strata == k]) for k in range(3)]) - np.mean(
        [roc_auc_score(y[strata == k], other[strata == k]) for k in range(3)]
    )

    found = auroc_difference(log_odds, other, y, strata, repeats=200, seed=1)
    same = auroc_difference(log_odds, log_odds * 2 + 1, y, strata, repeats=50, seed=1)

    assert found["value"] == pytest.approx(expected, abs=1e-4)
    assert 0 < found["low"] < found["value"] < found["high"]
    assert same == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert auroc_difference(log_odds, other, y, strata, repeats=200, seed=1) == found
