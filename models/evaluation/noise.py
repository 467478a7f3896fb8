"""Figures of people under differential privacy: from a histogram of estimate by outcome with geometric noise (OpenDP).

A person counts once in the histogram of a model, with the first of their episodes, so one person changes one of its 20
counts by one (sensitivity 1, add or remove) and noise of scale 1 / epsilon makes the histogram epsilon-private. The
bins are fixed in advance. All else is computed from the noisy counts, which costs no privacy. Epsilons add up: over
the models of a person, and over all files about the same months.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.evaluation.metrics import MINIMUM_EVENTS, SCALES, Z_95, Figure, Scale, rounded
from models.scoring.calibration import Floats, fit_line

REPEATS = 100
Counts = NDArray[np.int64]
_Of = Callable[[Counts, Floats], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisyFigures:
    """n, events: with noise, so neither is a number of people. Figures are None where there are too few."""

    n: int
    events: int
    auroc: Figure | None = None
    slope: Figure | None = None
    o_e: Figure | None = None


def histogram(estimates: Floats, positive: Floats, edges: Sequence[float]) -> Counts:
    """People by bin of the estimate (rows) and outcome (absent, present). estimates, positive (0/1): shape (n,).

    edges: the upper ends of all bins but the last, as probabilities, fixed before anything is counted.
    """
    counts = np.zeros((len(edges) + 1, 2), dtype=np.int64)
    np.add.at(counts, (np.searchsorted(edges, estimates, side="right"), positive.astype(np.int64)), 1)
    return counts


def with_noise(counts: Counts, epsilon: float) -> Counts:
    """The histogram with two-sided geometric noise of scale 1 / epsilon; a count can be below 0.

    The noise is OpenDP's own, of the system's randomness, and cannot be seeded. Raises ModelError without OpenDP.
    """
    try:
        import opendp.prelude as dp  # noqa: PLC0415  # 275 MB, of an extra that few install
    except ImportError as error:
        raise ModelError(
            expected="the package opendp, which makes the noise",
            found="none installed",
            remedy="pip install 'mental-health-cds[noise]', or leave out --epsilon",
        ) from error
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l1_distance(T=int)
    noisy = dp.m.make_geometric(*space, scale=1 / epsilon)([int(count) for count in counts.ravel()])
    return np.array(noisy, dtype=np.int64).reshape(counts.shape)


def noisy_figures(noisy: Counts, epsilon: float, edges: Sequence[float]) -> NoisyFigures:
    """AUROC, slope and observed over expected from noisy counts; their intervals hold both chance and the noise.

    Everyone in a bin counts as its centre. The intervals come from 100 simulated histograms (seeded), each drawn
    from these counts and given noise of the same scale.
    """
    without, events = (int(side) for side in noisy.sum(axis=0))
    # Two standard deviations of the noise in a sum of all bins: with fewer people the noise is what would be told.
    if min(without, events) < MINIMUM_EVENTS + 2 * math.sqrt(2 * len(noisy)) / epsilon:
        return NoisyFigures(n=max(without, 0) + max(events, 0), events=max(events, 0))
    likely = _possible(noisy)
    generator, scale = np.random.default_rng(0), np.exp(-epsilon)
    drawn = []
    for _ in range(REPEATS):
        noise = generator.geometric(1 - scale, noisy.shape) - generator.geometric(1 - scale, noisy.shape)
        drawn.append(_possible(generator.poisson(likely) + noise))
    ends = (edges[0] / 2, *edges, (edges[-1] + 1) / 2)
    centres = np.sqrt(np.array(ends[:-1]) * np.array(ends[1:]))
    found = {name: _around_noise(of, SCALES[name], likely, drawn, centres) for name, of in _FIGURES.items()}
    return NoisyFigures(n=without + events, events=events, **found)


def _possible(noisy: Counts) -> Counts:
    """The nearest counts that are not below 0, of the same sums: setting to 0 alone would add people."""
    sides = []
    for side in noisy.T:
        falling = np.sort(side)[::-1]
        excess = (np.cumsum(falling) - side.sum()) / np.arange(1, side.size + 1)
        sides.append(np.maximum(side - excess[falling > excess][-1:], 0))
    possible: Counts = np.rint(np.array(sides).T).astype(np.int64)
    return possible


def _around_noise(
    of: _Of, scale: tuple[Scale, Scale], noisy: Counts, drawn: Sequence[Counts], centres: Floats
) -> Figure | None:
    there, back = scale
    try:
        middle, simulated = of(noisy, centres), [of(counts, centres) for counts in drawn]
        on_scale = [there(found) for found in simulated if found is not None]
        if middle is None or len(on_scale) < len(drawn):
            return None
        half = Z_95 * float(np.std(on_scale))
        return rounded(middle, back(there(middle) - half), back(there(middle) + half))
    except (ValueError, ZeroDivisionError, OverflowError):  # so few that a drawn figure is at the end of its scale
        return None


def _ranks(counts: Counts, _centres: Floats) -> float | None:
    """AUROC; a tie within a bin counts half."""
    without, events = counts.T
    below = np.cumsum(without) - without / 2
    pairs = float(without.sum() * events.sum())
    return float(events @ below) / pairs if pairs else None


def _slope(counts: Counts, centres: Floats) -> float | None:
    log_odds = np.log(centres / (1 - centres))
    line = fit_line(np.tile(log_odds, 2), np.repeat([0.0, 1.0], centres.size), counts.T.ravel().astype(np.float64))
    return None if line is None else line.slope


def _o_e(counts: Counts, centres: Floats) -> float | None:
    expected = float(counts.sum(axis=1) @ centres)
    return float(counts[:, 1].sum()) / expected if expected else None


_FIGURES: Mapping[str, _Of] = {"auroc": _ranks, "slope": _slope, "o_e": _o_e}
