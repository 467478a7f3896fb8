"""Intervals that count people: they hold the truth where a person has many episodes, and are the usual ones with one."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation import metrics
from models.evaluation.clustered import outcome_figures, share
from models.scoring.calibration import fit_line, probabilities

NAMES = ("auroc", "slope", "o_e")


def drawn(generator: np.random.Generator, people: int, each: int):
    """Estimates that miss much of what is true of a person for all of their episodes."""
    estimate, more = generator.normal(-2.2, 1.0, people), generator.normal(0, 1.5, people)
    log_odds, true = np.repeat(estimate, each), np.repeat(estimate + more, each)
    y = (generator.random(log_odds.size) < probabilities(true)).astype(float)
    return log_odds, y, [str(number) for number in np.repeat(np.arange(people), each)]


def plain(log_odds, y) -> dict:
    line = fit_line(log_odds, y)
    return {
        "auroc": metrics.auroc(log_odds, y),
        "slope": metrics.around(line.slope, line.slope_error),
        "o_e": metrics.observed_over_expected(probabilities(log_odds), y),
    }


def test_with_one_episode_a_person_values_and_intervals_are_as_those_of_the_survey() -> None:
    log_odds, y, people = drawn(np.random.default_rng(3), 1500, 1)

    ours, theirs = outcome_figures(log_odds, y, people), plain(log_odds, y)

    for name in NAMES:
        assert ours[name]["value"] == theirs[name]["value"]
        assert ours[name]["high"] - ours[name]["low"] == pytest.approx(
            theirs[name]["high"] - theirs[name]["low"], rel=0.12
        )


def test_with_ten_episodes_a_person_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    truth = {name: value["value"] for name, value in plain(*drawn(np.random.default_rng(1), 200_000, 1)[:2]).items()}
    generator, rounds = np.random.default_rng(2), 150
    held = dict.fromkeys((*NAMES, "share", "too narrow"), 0)
    for _ in range(rounds):
        log_odds, y, people = drawn(generator, 300, 10)
        found = outcome_figures(log_odds, y, people)
        for name in NAMES:
            held[name] += found[name]["low"] <= truth[name] <= found[name]["high"]
        held["too narrow"] += plain(log_odds, y)["o_e"]["low"] <= truth["o_e"] <= plain(log_odds, y)["o_e"]["high"]
        shown = share(y, np.ones_like(y), people)
        held["share"] += shown["low"] <= 0.1892 <= shown["high"]

    assert held["too narrow"] < 0.85 * rounds
    assert all(count >= 0.9 * rounds for name, count in held.items() if name != "too narrow"), held


def test_a_share_of_nothing_is_none_and_one_of_all_has_an_interval() -> None:
    assert share(np.zeros(3), np.zeros(3), ["a", "b", "c"])["value"] is None
    assert share(np.ones(30), np.ones(30), [str(number) for number in range(30)])["low"] == pytest.approx(
        0.886, abs=0.01
    )
