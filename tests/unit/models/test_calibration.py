import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from models.scoring.calibration import (
    Calibration,
    brier,
    fit_calibration,
    fit_line,
    fit_offset,
    probabilities,
    reliability_table,
    sigmoid,
)


def sample(intercept: float, slope: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.normal(-2, 1.5, n)
    return x, (rng.random(n) < probabilities(intercept + slope * x)).astype(float)


def test_the_fit_agrees_with_scikit_learn():
    x, y = sample(0.3, 0.8)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(x[:, None], y)

    line = fit_line(x, y)

    assert line.slope == pytest.approx(oracle.coef_[0][0], abs=1e-4)
    assert line.intercept == pytest.approx(oracle.intercept_[0], abs=1e-4)


def test_a_miscalibrated_margin_is_brought_back():
    x, y = sample(0.3, 0.8)

    calibration = fit_calibration(x, y)

    assert calibration.slope == pytest.approx(0.8, abs=0.05)
    assert calibration.intercept == pytest.approx(0.3, abs=0.1)
    assert probabilities(calibration.intercept + calibration.slope * x).mean() == pytest.approx(y.mean(), abs=1e-9)


def test_calibration_in_the_large_is_the_shift_that_makes_the_mean_right():
    x, y = sample(0.5, 1.0)

    shift, error = fit_offset(x, y)

    assert probabilities(x + shift).mean() == pytest.approx(y.mean(), abs=1e-9)
    assert abs(shift - 0.5) < 4 * error


@pytest.mark.parametrize("y", [np.zeros(50), np.ones(50), (np.arange(50) > 25).astype(float)])
def test_no_line_is_fitted_to_one_class_or_to_perfect_separation(y):
    assert fit_line(np.arange(50.0), y) is None
    with pytest.raises(ValueError, match="calibration"):
        fit_calibration(np.arange(50.0), y)


@pytest.mark.parametrize(("intercept", "slope"), [(0.0, 0.0), (0.0, -1.0), (math.nan, 1.0), (0.0, math.inf)])
def test_a_calibration_that_would_reverse_or_break_the_order_of_people_cannot_be_made(intercept, slope):
    with pytest.raises(ValueError, match="slope"):
        Calibration(intercept=intercept, slope=slope)


@given(st.floats(-800, 800))
def test_a_probability_is_one_whatever_the_log_odds(log_odds):
    assert 0 <= sigmoid(log_odds) <= 1
    assert sigmoid(log_odds) == pytest.approx(1 - sigmoid(-log_odds), abs=1e-12)
    assert probabilities(np.array([log_odds]))[0] == pytest.approx(sigmoid(log_odds), abs=1e-12)


def test_a_reliability_table_counts_everybody_once_from_lowest_to_highest():
    x, y = sample(0.0, 1.0, n=1003)
    estimates = probabilities(x)

    table = reliability_table(estimates, y)

    assert sum(row.n for row in table) == 1003
    assert sum(row.events for row in table) == y.sum()
    assert [row.mean_estimate for row in table] == sorted(row.mean_estimate for row in table)
    assert all(row.observed == row.events / row.n for row in table)


def test_the_brier_score_is_the_mean_squared_difference():
    assert brier(np.array([0.2, 0.9]), np.array([0.0, 1.0])) == pytest.approx((0.04 + 0.01) / 2)
