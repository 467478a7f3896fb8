"""How the level of a new version follows the times, and how wide an interval is: each option and figure by hand."""

import math

import numpy as np
import pytest
from scipy.stats import t as student

from models.scoring.calibration import probabilities
from models.training.fitting import RECENCY_HALF_LIFE, fit_spread, recency
from models.training.levels import OPTIONS

PEOPLE = 20_000


def drawn(shifts: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Margins, labels and cycles: in each cycle the right log-odds are the margin and a shift."""
    draw = np.random.default_rng(5)
    x = draw.normal(-2, 1, PEOPLE * len(shifts))
    place = np.repeat(np.arange(len(shifts)), PEOPLE)
    return x, (draw.random(x.size) < probabilities(x + np.array(shifts)[place])).astype(float), place


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("every cycle alike", 0.15),
        ("half-life of one cycle", (0.0 + 0.1 * 2 + 0.2 * 4 + 0.3 * 8) / 15),
        ("level of the latest cycle", 0.3),
        ("level of the latest two", 0.25),
        ("straight trend", 0.4),
        ("straight trend, shrunk", 0.4),
    ],
)
def test_on_a_level_that_rises_steadily_each_option_expects_what_its_name_says(option: str, expected: float):
    x, y, place = drawn([0.0, 0.1, 0.2, 0.3])

    line = OPTIONS[option](x, y, place)

    assert line.log_odds(-2.0) + 2 == pytest.approx(expected, abs=0.05)
    assert line.slope == pytest.approx(1, abs=0.05)


def test_a_trend_that_chance_explains_is_shrunk_to_none():
    x, y, place = drawn([0.2, -0.2, 0.2, -0.15])

    alike, shrunk = (OPTIONS[name](x, y, place) for name in ("every cycle alike", "straight trend, shrunk"))

    assert shrunk.log_odds(-2.0) == pytest.approx(alike.log_odds(-2.0), abs=0.1)


def test_the_latest_cycle_counts_fully_and_one_a_half_life_before_it_half():
    cycles = np.array(["2005-2006", "2007-2008", "2009-2010", "2011-2012", "2011-2012"])

    weights = recency(cycles)

    assert weights[-2:].tolist() == [1, 1]
    assert weights[0] == pytest.approx(0.5 ** (3 / RECENCY_HALF_LIFE))
    assert recency(cycles[::-1]).tolist() == weights[::-1].tolist()


def test_a_spread_counts_deviations_from_the_identity_and_is_wider_from_fewer_cycles():
    spread = fit_spread([(0.3, 0.0), (0.1, 0.2)], centre=-2.0, cycles=2)

    assert (spread.level, spread.both, spread.tilt) == pytest.approx(((0.09 + 0.01) / 2, 0.01, 0.02))
    assert spread.half_width(-2.0) == pytest.approx(student.ppf(0.95, 2) * math.sqrt(0.05))
    assert fit_spread([(0.3, 0.0)], centre=-2.0, cycles=6).half_width(-2.0) < spread.half_width(-2.0)


def test_without_any_cycle_to_learn_from_an_interval_is_wide():
    assert fit_spread([], centre=0.0, cycles=0).half_width(0.0) > 6
