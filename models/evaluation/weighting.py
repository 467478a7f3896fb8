"""Figures of those with an outcome, weighted to stand for all who were scored.

Whether an outcome was measured is modelled by logistic regression on the log-odds of the estimate and what the caller
gives besides; the weight is the share measured over that probability (stabilised), cut off at its 1st and 99th
percentile. Intervals: percentiles of a bootstrap of people, the weights fitted anew in each. Selection by what the
regression does not see stays. statsmodels, for the regression and its separation checks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray
from statsmodels.tools.sm_exceptions import PerfectSeparationError, PerfectSeparationWarning

from models.evaluation.metrics import MINIMUM_EVENTS, Figure, rounded, weighted_auroc
from models.scoring.calibration import Floats, fit_line, probabilities

REPEATS = 200
Bools = NDArray[np.bool_]
_Weighed = Mapping[str, float | None]


def weighted_figures(  # columns of one table
    log_odds: Floats,
    outcome: Floats,
    flagged: Bools,
    people: Sequence[str],
    categories: Sequence[Sequence[str]],
    threshold: float | None,
    *,
    seed: int = 0,
    repeats: int = REPEATS,
) -> dict[str, Figure] | None:
    """auroc, slope, o_e, ppv, sensitivity, model and everyone (net benefit at the threshold, without interval).

    All of shape (n,). outcome: 0, 1, or NaN where it was not measured. people: whose each row is. categories: columns
    of names. None if fewer than MINIMUM_EVENTS are measured with the outcome, or without, or not measured; or if no
    regression can be fitted. A figure is None values where it cannot be computed, or in one of twenty draws or more.
    repeats: draws of the bootstrap; 0: no intervals.
    """
    measured = ~np.isnan(outcome)
    events = int(np.nansum(outcome))
    if min(events, int(measured.sum()) - events, int((~measured).sum())) < MINIMUM_EVENTS:
        return None
    design = np.column_stack([np.ones_like(log_odds), log_odds, *_dummies(categories, measured)])
    start: list[Floats] = []
    order = np.argsort(log_odds[measured], kind="stable")

    def weighed(draws: Floats) -> _Weighed:
        weights = draws[measured] * _inverse_probabilities(design, measured, draws, start)
        return _figures(log_odds[measured], outcome[measured], flagged[measured], weights, order, threshold)

    try:
        values = weighed(np.ones_like(log_odds))
    except (PerfectSeparationError, np.linalg.LinAlgError):
        return None
    drawn = _bootstrap(weighed, people, seed, repeats)
    return {name: _with_interval(value, [one[name] for one in drawn]) for name, value in values.items()}


def _dummies(categories: Sequence[Sequence[str]], measured: Bools) -> list[Floats]:
    """A column for each category but the most frequent; those with too few on either side count as that one."""
    columns = []
    for names in categories:
        column = np.array(names)
        found, counts = np.unique(column, return_counts=True)
        for name in found[np.argsort(-counts, kind="stable")][1:]:
            own = column == name
            if min(int((own & measured).sum()), int((own & ~measured).sum())) >= MINIMUM_EVENTS:
                columns.append(own.astype(np.float64))
    return columns


def _inverse_probabilities(design: Floats, measured: Bools, draws: Floats, start: list[Floats]) -> Floats:
    """Stabilised weights of those measured. start: coefficients of the first fit, from which later ones begin.

    Raises PerfectSeparationError where some are measured beyond doubt.
    """
    model = sm.GLM(measured.astype(np.float64), design, family=sm.families.Binomial(), freq_weights=draws)
    with warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("error", PerfectSeparationWarning)
        try:
            fitted = model.fit(start_params=start[0] if start else None)
        except PerfectSeparationWarning as warning:
            raise PerfectSeparationError from warning
    start.append(np.asarray(fitted.params))
    share = float((draws * measured).sum() / draws.sum())
    weights = share / np.asarray(fitted.fittedvalues)[measured]
    low, high = np.percentile(weights, [1, 99])
    clipped: Floats = np.clip(weights, low, high)
    return clipped


def _figures(  # as above
    log_odds: Floats, y: Floats, flagged: Bools, weights: Floats, order: NDArray[np.int64], threshold: float | None
) -> _Weighed:
    all_of, events = float(weights.sum()), float((weights * y).sum())
    marked, hits = float(weights[flagged].sum()), float((weights * y)[flagged].sum())
    line = fit_line(log_odds, y, weights)
    odds = None if threshold is None else threshold / (1 - threshold)
    return {
        "auroc": weighted_auroc(order, y, weights),
        "slope": None if line is None else line.slope,
        "o_e": events / float((weights * probabilities(log_odds)).sum()),
        "ppv": hits / marked if marked else None,
        "sensitivity": hits / events if events else None,
        "model": None if odds is None else (hits - (marked - hits) * odds) / all_of,
        "everyone": None if odds is None else (events - (all_of - events) * odds) / all_of,
    }


def _bootstrap(weighed: Callable[[Floats], _Weighed], people: Sequence[str], seed: int, repeats: int) -> list[_Weighed]:
    generator = np.random.default_rng(seed)
    _, who = np.unique(np.array(people), return_inverse=True)
    n = int(who.max()) + 1
    found = []
    for _ in range(repeats):
        draws = np.bincount(generator.integers(0, n, n), minlength=n).astype(np.float64)[who]
        try:
            found.append(weighed(draws))
        except (PerfectSeparationError, np.linalg.LinAlgError):
            found.append(dict.fromkeys(("auroc", "slope", "o_e", "ppv", "sensitivity", "model", "everyone")))
    return found


def _with_interval(value: float | None, drawn: Sequence[float | None]) -> Figure:
    known = [one for one in drawn if one is not None]
    if value is not None and not drawn:
        return {"value": round(value, 4), "low": None, "high": None}
    if value is None or len(known) <= 0.95 * len(drawn):
        return {"value": None, "low": None, "high": None}
    low, high = np.percentile(known, [2.5, 97.5])
    return rounded(value, float(low), float(high))
