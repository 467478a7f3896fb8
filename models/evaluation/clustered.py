"""Figures of episodes of which a person may have several, with 95 % intervals that count people, not episodes.

The values are those of `metrics`; each variance is the sum over people of their squared share in the error (linearised,
with the usual factor for few people). With one episode a person the intervals are those of `metrics`, or nearly so.
numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from models.evaluation.metrics import Z_95, Figure, around, midranks, on_logit, rounded, wilson
from models.scoring.calibration import Floats, fit_line, probabilities

NONE: Figure = {"value": None, "low": None, "high": None}


def outcome_figures(log_odds: Floats, y: Floats, people: Sequence[str]) -> dict[str, Figure]:
    """auroc, slope and o_e. All of shape (n,); y: 0 or 1."""
    return {
        "auroc": _auroc(log_odds, y, people),
        "slope": _slope(log_odds, y, people),
        "o_e": _observed_over_expected(probabilities(log_odds), y, people),
    }


def share(part: Floats, whole: Floats, people: Sequence[str]) -> Figure:
    """Of 0/1 columns: the sum of part over that of whole. Wilson's interval, for as many cases as they are worth."""
    n, hits = float(whole.sum()), float(part.sum())
    if n <= 0:
        return dict(NONE)
    value = hits / n
    error = _error((part - value * whole) / n, people)
    worth = n if error == 0 else min(n, value * (1 - value) / error**2)
    return wilson(value * worth, worth)


def _error(influence: Floats, people: Sequence[str]) -> float:
    """The standard error of a figure, from how much each episode moves it."""
    _, who = np.unique(np.array(people), return_inverse=True)
    sums = np.bincount(who, weights=influence)
    return math.sqrt(float((sums**2).sum()) * sums.size / max(sums.size - 1, 1))


def _auroc(log_odds: Floats, y: Floats, people: Sequence[str]) -> Figure:
    """Obuchowski 1997: DeLong's components, added up by person."""
    is_event = y == 1
    with_outcome, without = log_odds[is_event], log_odds[~is_event]
    m, k = with_outcome.size, without.size
    if m < 2 or k < 2:
        return dict(NONE)
    among_all = midranks(np.concatenate([with_outcome, without]))
    value = float(among_all[:m].sum() - m * (m + 1) / 2) / (m * k)
    influence = np.zeros_like(log_odds)
    influence[is_event] = ((among_all[:m] - midranks(with_outcome)) / k - value) / m
    influence[~is_event] = (1 - (among_all[m:] - midranks(without)) / m - value) / k
    return on_logit(value, _error(influence, people) / max(value * (1 - value), 1e-12))


def _slope(log_odds: Floats, y: Floats, people: Sequence[str]) -> Figure:
    line = fit_line(log_odds, y)
    if line is None:
        return dict(NONE)
    design = np.column_stack([np.ones_like(log_odds), log_odds])
    fitted = probabilities(line.intercept + line.slope * log_odds)
    information = design.T @ (design * (fitted * (1 - fitted))[:, None])
    moved = (design * (y - fitted)[:, None]) @ np.linalg.inv(information)
    return around(line.slope, _error(moved[:, 1], people))


def _observed_over_expected(estimates: Floats, y: Floats, people: Sequence[str]) -> Figure:
    observed, expected = float(y.sum()), float(estimates.sum())
    if observed == 0 or expected == 0:
        return dict(NONE)
    value = observed / expected
    spread = Z_95 * _error((y - value * estimates) / observed, people)
    return rounded(value, value * math.exp(-spread), value * math.exp(spread))
