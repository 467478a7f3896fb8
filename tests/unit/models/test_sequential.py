"""The sequential test keeps its error however often one looks, and finds plausible departures in plausible time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.metrics import wilson
from models.evaluation.sequential import error_of, evidence, log_e_values, ratio_bets, share_bets

STREAMS, A_DAY, DAYS = 2000, 4, 90
QUARTER = error_of(DAYS)


def streams(chance: float, n: int, seed: int) -> np.ndarray:
    """Yes or no of n people in each stream."""
    return np.random.default_rng(seed).random((STREAMS, n)) < chance


def people(seed: int, *, ratio: float, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and outcomes with this ratio of the sums and this slope. Shapes (STREAMS, n)."""
    generator = np.random.default_rng(seed)
    log_odds = generator.normal(-2.2, 1.1, (STREAMS, A_DAY * DAYS))
    estimates = 1 / (1 + np.exp(-log_odds))
    true = 1 / (1 + np.exp(2.2 - slope * (log_odds + 2.2)))
    return estimates, generator.random(true.shape) < true * (ratio * estimates.mean() / true.mean())


def ever(hits: np.ndarray, limits: float | np.ndarray, bets: tuple[float, ...], alpha: float = QUARTER) -> dict:
    """The share of streams that a look each evening ever finds past the limit, with its interval."""
    path = log_e_values(hits, np.asarray(limits), bets)[:, A_DAY - 1 :: A_DAY]
    return wilson(float((path >= -np.log(alpha)).any(axis=1).sum()), STREAMS)


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize("limit", [0.05, 0.25, 0.6])
def test_a_share_at_its_limit_is_found_past_it_no_more_often_than_may_be_looking_every_day(limit, above) -> None:
    hits, bets = streams(limit, A_DAY * DAYS, seed=int(1000 * limit) + above), share_bets(limit, above=above)

    assert ever(hits, limit, bets, 0.05)["high"] < 0.05
    assert ever(hits, limit, bets, QUARTER)["value"] < QUARTER


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize("slope", [1.0, 0.25])
def test_observed_over_expected_at_its_limit_neither_whatever_the_slope(slope: float, above: bool) -> None:
    estimates, outcomes = people(7, ratio=1.25, slope=slope)
    bets = ratio_bets(1.25, above=above)

    assert ever(outcomes, 1.25 * estimates, bets, 0.05)["high"] < 0.05
    assert ever(outcomes, 1.25 * estimates, bets, QUARTER)["value"] < QUARTER


@given(
    limits=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=7),
    below=st.floats(0, 1),
    above=st.booleans(),
    ratio=st.floats(0.2, 4),
)
def test_its_mean_is_one_at_the_limit_and_no_more_on_the_right_side_of_it(limits, below, above, ratio) -> None:
    """Over all that can happen, weighted by how probable it is."""
    bounds = np.array(limits)
    whole = np.array(list(itertools.product([False, True], repeat=bounds.size)))
    for bets in (share_bets(limits[0], above=above), ratio_bets(ratio, above=above)):
        chances = np.full(bounds.size, limits[0]) if bets == share_bets(limits[0], above=above) else bounds
        values = np.exp(log_e_values(whole, chances, bets)[:, -1])
        for true, most in ((chances, 1), (chances * below if above else 1 - (1 - chances) * below, None)):
            mean = float((np.where(whole, true, 1 - true).prod(axis=1) * values).sum())
            assert mean == pytest.approx(1) if most else mean <= 1 + 1e-9


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.floats(0.01, 0.99), st.booleans(), st.randoms())
def test_what_all_cases_say_together_does_not_depend_on_their_order(hits, limit, above, random) -> None:
    bets, limits = share_bets(limit, above=above), np.full(len(hits), limit)
    one = log_e_values(np.array(hits), limits, bets)[-1]
    random.shuffle(hits)

    assert one == pytest.approx(log_e_values(np.array(hits), limits, bets)[-1])


@pytest.mark.parametrize(
    ("limit", "true", "least"),
    [(0.6, 0.75, 0.95), (0.3, 0.45, 0.95), (0.25, 0.12, 0.95), (0.05, 0.10, 0.7)],
    ids=["overridden", "accepted", "predictive value", "flag rate doubled"],
)
def test_plausible_departures_are_found_within_a_window_of_360_people(limit, true, least) -> None:
    hits = streams(true, A_DAY * DAYS, seed=3)

    assert ever(hits, limit, share_bets(limit, above=true > limit))["low"] > least


def test_twice_as_many_outcomes_as_expected_are_found_within_it_and_a_fifth_more_than_the_limit_seldom() -> None:
    found = [
        ever(outcomes, 1.25 * estimates, ratio_bets(1.25, above=True))["value"]
        for estimates, outcomes in (people(8, ratio=ratio) for ratio in (2.0, 1.5))
    ]

    assert found[0] > 0.95
    assert 0.05 < found[1] < 0.3


def test_the_larger_the_departure_the_sooner_it_is_found() -> None:
    medians = [
        np.median(
            np.argmax(log_e_values(hits[:500], np.asarray(0.6), share_bets(0.6, above=True)) >= -np.log(QUARTER), 1)
        )
        for hits in (streams(share, 2000, seed=5) for share in (0.9, 0.75, 0.68))
    ]

    assert medians[0] < 30 < medians[1] < 120 < medians[2] < 600


def test_the_windows_of_a_year_share_one_error_of_a_twentieth() -> None:
    assert [error_of(days) * 365 / days for days in (30, 90, 365)] == pytest.approx([0.05] * 3)
    assert error_of(3650) == 0.05


def test_evidence_stays_as_it_was_when_it_was_decided() -> None:
    hits = np.array([True] * 60 + [False] * 200)

    found = evidence(hits, None, 0.3, above=True, alpha=0.01, least_n=20)

    assert (found.decided, found.n, found.figure) == (19, 20, 1.0)
    assert found.e_value > 100
    assert evidence(hits[:19], None, 0.3, above=True, alpha=0.01, least_n=20).decided is None


def test_nothing_seen_and_limits_that_no_share_can_pass_are_no_evidence() -> None:
    nothing = evidence(np.zeros(0, bool), None, 0.3, above=True, alpha=0.05, least_n=1)
    at_one = evidence(np.ones(50, bool), None, 1.0, above=True, alpha=0.05, least_n=1)

    assert (nothing.n, nothing.figure, nothing.e_value, nothing.decided) == (0, None, 1.0, None)
    assert (at_one.n, at_one.figure, at_one.e_value, at_one.decided) == (50, 1.0, 1.0, None)


def test_estimates_near_one_and_thousands_of_cases_stay_numbers() -> None:
    many = np.ones(20_000, bool)
    whole = evidence(many, None, 0.05, above=True, alpha=1e-300, least_n=20_000)
    lost = evidence(~many, np.full(20_000, 0.999), 3.0, above=True, alpha=0.05, least_n=1)

    assert np.isfinite(whole.e_value)
    assert (lost.decided, lost.e_value) == (None, 0.0)
