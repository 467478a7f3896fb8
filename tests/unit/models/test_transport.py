import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from models.evaluation.evaluate import Contender, contender
from models.evaluation.transport import FACTORS, odds_ratio, refitted, restricted_estimate, spearman
from models.inputs.feature_schema import FEATURES
from models.scoring.registry import load_models

INPUTS = ("age", "female", "smoke_status", "alc_days_yr")


@pytest.fixture(scope="module")
def model() -> Contender:
    return contender(load_models()[0])


def people(n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 26, n).astype(float),
            "female": rng.integers(0, 2, n).astype(float),
            "smoke_status": rng.integers(0, 4, n).astype(float),
            "alc_days_yr": rng.integers(0, 366, n).astype(float),
        }
    )


def test_a_restricted_estimate_knows_the_shared_inputs_alone(model: Contender):
    plain = restricted_estimate(model, INPUTS, people())

    more = restricted_estimate(model, INPUTS, people().assign(rx_ssri=1.0, DPQ020=3.0, employed=0.0))
    other = restricted_estimate(model, INPUTS, people().assign(smoke_status=3.0))

    assert np.array_equal(plain, more)
    assert not np.array_equal(plain, other)


def test_people_of_a_training_cycle_are_ranked_by_the_fold_that_did_not_see_them(model: Contender):
    cycle = min(model.folds)

    plain, same, seen = (
        restricted_estimate(model, INPUTS, frame)
        for frame in (people(), people().assign(CYCLE="2031-2032"), people().assign(CYCLE=cycle))
    )

    assert np.array_equal(plain, same)
    assert not np.allclose(plain, seen)


def test_a_refit_ranks_by_what_is_there_and_learns_nothing_from_noise():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(3000, 2)).astype(np.float32)
    real = (values[:, 0] + rng.normal(size=3000) > 1).astype(np.float64)
    noise = rng.permutation(real)

    assert roc_auc_score(real, refitted(("a", "b"), values, real)) > 0.75
    assert roc_auc_score(noise, refitted(("a", "b"), values, noise)) == pytest.approx(0.5, abs=0.04)


def test_a_rank_correlation_is_spearmans_with_an_interval_around_it():
    rng = np.random.default_rng(3)
    a = rng.integers(0, 5, 500).astype(np.float64)
    b = a + rng.normal(scale=3, size=500)

    found = spearman(a, b)

    assert found["value"] == pytest.approx(spearmanr(a, b).statistic, abs=1e-4)
    assert -1 < found["low"] < found["value"] < found["high"] < 1
    assert spearman(np.ones(500), b)["value"] is None


def cells(with_both: int, without_label: int, without_factor: int, neither: int) -> tuple[pd.Series, pd.Series]:
    counts = (with_both, without_label, without_factor, neither)
    return (
        pd.Series(np.repeat([1.0, 1.0, 0.0, 0.0], counts)),
        pd.Series(np.repeat([1.0, 0.0, 1.0, 0.0], counts)),
    )


def test_an_odds_ratio_is_of_the_four_groups_and_people_with_a_gap_do_not_count():
    factor, label = cells(30, 60, 20, 80)

    found = odds_ratio(pd.concat([factor, pd.Series([np.nan, 1.0])]), pd.concat([label, pd.Series([1.0, np.nan])]))

    error = np.sqrt(1 / 30 + 1 / 60 + 1 / 20 + 1 / 80)
    assert found["value"] == pytest.approx(2.0)
    assert found["low"] == pytest.approx(2 * np.exp(-1.96 * error), abs=1e-3)
    assert found["high"] == pytest.approx(2 * np.exp(1.96 * error), abs=1e-3)


def test_nothing_is_shown_of_fewer_than_ten_people():
    assert odds_ratio(*cells(9, 60, 20, 80))["value"] is None
    assert odds_ratio(*cells(10, 60, 20, 80))["value"] is not None


def test_every_factor_is_made_of_an_input():
    assert {factor.input for factor in FACTORS} <= {spec.name for spec in FEATURES}
