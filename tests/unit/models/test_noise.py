import sys

import numpy as np
import pytest

from cds_service.monitoring.site_figures import SCORE_EDGES as EDGES
from models.errors import ModelError
from models.evaluation.metrics import auroc, observed_over_expected
from models.evaluation.noise import histogram, noisy_figures, with_noise
from models.scoring.calibration import fit_line, probabilities


def people(n=2000, seed=5):
    generator = np.random.default_rng(seed)
    log_odds = generator.normal(-2.4, 1.1, n)
    estimates = probabilities(log_odds)
    return log_odds, estimates, (generator.random(n) < estimates).astype(float)


def test_a_person_is_in_one_cell_and_without_much_noise_the_figures_are_those_of_the_people():
    log_odds, estimates, y = people()
    counts = histogram(estimates, y, EDGES)

    found = noisy_figures(counts, 1000.0, EDGES)

    assert counts.shape == (len(EDGES) + 1, 2)
    assert (counts.sum(), counts[:, 1].sum()) == (2000, y.sum())
    assert found.auroc["value"] == pytest.approx(auroc(log_odds, y)["value"], abs=0.01)
    assert found.slope["value"] == pytest.approx(fit_line(log_odds, y).slope, abs=0.05)
    assert found.o_e["value"] == pytest.approx(observed_over_expected(estimates, y)["value"], rel=0.05)
    assert found.auroc["high"] - found.auroc["low"] == pytest.approx(
        auroc(log_odds, y)["high"] - auroc(log_odds, y)["low"], rel=0.25
    )


def test_noise_has_the_spread_that_epsilon_asks_for_and_no_bias():
    counts = np.full((len(EDGES) + 1, 2), 100)

    drawn = np.array([with_noise(counts, 0.5) - 100 for _ in range(300)])

    # Two-sided geometric: variance 2 a / (1 - a)^2 with a = exp(-epsilon).
    spread = np.sqrt(2 * np.exp(-0.5)) / (1 - np.exp(-0.5))
    assert abs(drawn.mean()) < 6 * spread / np.sqrt(drawn.size)
    assert drawn.std() == pytest.approx(spread, rel=0.15)
    assert drawn.min() < 0 < drawn.max()


def test_intervals_with_noise_hold_the_figure_of_the_people_about_as_often_as_they_say():
    log_odds, estimates, y = people()
    counts, exact = histogram(estimates, y, EDGES), auroc(log_odds, y)["value"]

    found = [noisy_figures(with_noise(counts, 0.4), 0.4, EDGES).auroc for _ in range(20)]

    assert sum(figure["low"] < exact < figure["high"] for figure in found) >= 12


def test_where_noise_would_drown_the_people_no_figure_is_given():
    _, estimates, y = people(300)
    counts = histogram(estimates, y, EDGES)

    found, below = noisy_figures(counts, 0.05, EDGES), noisy_figures(counts - 60, 0.05, EDGES)

    assert (found.n, found.auroc, found.slope, found.o_e) == (300, None, None, None)
    assert (below.n, below.events) == (0, 0)


def test_without_the_extra_the_message_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "opendp.prelude", None)

    with pytest.raises(ModelError, match=r"mental-health-cds\[noise\]"):
        with_noise(np.ones((len(EDGES) + 1, 2), dtype=int), 1.0)
