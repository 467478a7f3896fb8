"""Weights for who has an outcome: what they mend, what they cannot, and when there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from episodes import episodes

from models.evaluation.metrics import observed_over_expected
from models.evaluation.weighting import weighted_figures


def weighted(made, *, repeats: int = 0):
    outcome = np.array([np.nan if one.positive is None else float(one.positive) for one in made])
    categories = [[one.sex for one in made], [one.age_band for one in made]]
    flagged = np.array([one.flagged for one in made])
    return weighted_figures(
        log_odds(made), outcome, flagged, [one.patient for one in made], categories, 0.2, repeats=repeats
    )


def log_odds(made) -> np.ndarray:
    return np.array([math.log(one.probability / (1 - one.probability)) for one in made])


def as_measured(made) -> float:
    measured = [one for one in made if one.positive is not None]
    y = np.array([float(one.positive) for one in measured])
    return observed_over_expected(np.array([one.probability for one in measured]), y)["value"]


def test_where_the_better_known_are_asked_the_weights_give_what_asking_everybody_would() -> None:
    tilted = {"slope": 0.4, "seed": 5}
    everybody = as_measured(episodes(8_000, measured=1.0, **tilted))
    asked = episodes(8_000, measured=0.25, by_score=2.2, **tilted)

    assert abs(as_measured(asked) - everybody) > 0.1
    assert weighted(asked)["o_e"]["value"] == pytest.approx(everybody, abs=0.06)


def test_selection_by_the_outcome_itself_is_mended_by_no_weight() -> None:
    asked = episodes(8_000, measured=0.3, by_outcome=1.6, seed=6)

    assert weighted(asked)["o_e"]["value"] > 1.3


def test_with_outcomes_missing_at_random_both_rows_agree_and_the_interval_holds_the_truth() -> None:
    made = episodes(1500, seed=7)

    figures = weighted(made, repeats=40)

    assert figures["o_e"]["value"] == pytest.approx(as_measured(made), abs=0.05)
    assert figures["o_e"]["low"] < 1 < figures["o_e"]["high"]
    assert figures["model"]["value"] > figures["everyone"]["value"]


@pytest.mark.parametrize("measured", [0.0, 1.0])
def test_where_nobody_or_almost_everybody_is_asked_there_are_no_weights(measured: float) -> None:
    assert weighted(episodes(300, measured=measured, seed=1)) is None


def test_one_that_is_measured_beyond_doubt_leaves_no_weights_rather_than_wrong_ones() -> None:
    made = episodes(600, seed=2)
    split = [one for one in made if (one.positive is not None) is (one.probability > 0.07)]

    assert weighted(split) is None
