import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.metrics import Z_95
from models.evaluation.pooling import pool, together

# Trials of BCG vaccine (Colditz et al. 1994), the worked example of most textbooks: cases and others, vaccinated and not.
BCG = (
    (4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619), (33, 5036, 47, 5761),
    (180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892), (29, 7470, 45, 7232),
    (17, 1699, 65, 1600), (186, 50448, 141, 27197), (5, 2493, 3, 2338), (27, 16886, 29, 17825),
)  # fmt: skip
T_12, T_11 = 2.178813, 2.200985  # 97.5th percentiles, from a printed table


def bcg_effects():
    for a, b, c, d in BCG:
        yield math.log(a / (a + b) / (c / (c + d))), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def as_figure(effect, variance, back=math.exp):
    half = Z_95 * math.sqrt(variance)
    return {"value": back(effect), "low": back(effect - half), "high": back(effect + half)}


def by_bisection(effects):
    """Paule and Mandel's variance where the weighted squares equal their degrees of freedom, found by halving."""

    def mean_and_excess(tau2):
        weights = [1 / (variance + tau2) for _, variance in effects]
        mean = sum(w * e for w, (e, _) in zip(weights, effects, strict=True)) / sum(weights)
        return mean, sum(weights), sum(w * (e - mean) ** 2 for w, (e, _) in zip(weights, effects, strict=True))

    low, high = 0.0, 10.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_and_excess(middle)[2] > len(effects) - 1 else (low, middle)
    return low, *mean_and_excess(low)


def test_a_textbook_example_pools_as_computed_in_another_way_and_as_published():
    effects = list(bcg_effects())
    tau2, mean, weight, squares = by_bisection(effects)
    error = math.sqrt(squares / 12 / weight)

    pooled = pool("o_e", [as_figure(*effect) for effect in effects])

    assert pooled.tau2 == pytest.approx(tau2, abs=1e-4) == pytest.approx(0.3181, abs=1e-4)  # metafor's, by PM
    assert pooled.i2 == pytest.approx(0.921, abs=0.001)
    assert pooled.mean["value"] == pytest.approx(math.exp(mean), abs=1e-4)
    assert pooled.mean["low"] == pytest.approx(math.exp(mean - T_12 * error), abs=2e-4)
    assert pooled.mean["high"] == pytest.approx(math.exp(mean + T_12 * error), abs=2e-4)
    assert pooled.prediction[0] == pytest.approx(math.exp(mean - T_11 * math.sqrt(tau2 + error**2)), abs=2e-4)


def test_one_site_is_nothing_to_pool_and_two_say_nothing_of_how_sites_differ():
    effects = list(bcg_effects())
    one, two = (pool("o_e", [as_figure(*effect) for effect in effects[:n]]) for n in (1, 2))

    assert (one.sites, one.mean, one.prediction) == (1, None, None)
    assert two.mean["high"] / two.mean["low"] > 100, "t of one degree of freedom is wide, as it should be"
    assert (two.prediction, two.tau2, two.i2) == (None, None, None)
    assert pool("slope", []).sites == 0


def test_sites_that_agree_better_than_chance_do_not_make_the_interval_narrower():
    pooled = pool("slope", [as_figure(1.0, 0.04, float) for _ in range(4)])

    assert (pooled.tau2, pooled.i2, pooled.mean["value"]) == (0, 0, 1)
    assert pooled.mean["high"] == pytest.approx(1 + 3.182446 * 0.1, abs=1e-3)


def test_a_figure_whose_error_is_not_known_is_left_out():
    good = [as_figure(e, 0.02, lambda x: 1 / (1 + math.exp(-x))) for e in (0.8, 1.0, 1.1)]
    odd = [{"value": None, "low": None, "high": None}, {"value": 1.0, "low": 1.0, "high": 1.0}, dict.fromkeys(("value", "low", "high"), 0.7)]  # fmt: skip

    assert pool("auroc", good + odd) == pool("auroc", good)


def test_several_figures_of_one_site_are_one_and_of_none_there_is_none():
    one, wide = as_figure(0.5, 0.01), {"value": 1.0, "low": 1e-300, "high": 1e300}

    assert together("o_e", [one, one])["value"] == pytest.approx(one["value"], abs=1e-4)
    assert together("o_e", [one, wide]) == together("o_e", [one])
    assert together("o_e", [wide]) is None
    assert together("auroc", [dict.fromkeys(("value", "low", "high"), 1.0)]) is None


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(0.001, 1)), min_size=3, max_size=8), st.randoms())
def test_the_order_of_sites_does_not_matter_and_a_further_site_varies_more_than_the_mean(effects, random):
    figures = [as_figure(*effect) for effect in effects]
    shuffled = random.sample(figures, len(figures))

    a, b = pool("o_e", figures), pool("o_e", shuffled)

    assert a.mean["value"] == pytest.approx(b.mean["value"], rel=1e-3)
    assert a.prediction[0] <= a.mean["low"] + 1e-3
    assert a.mean["high"] <= a.prediction[1] + 1e-3
