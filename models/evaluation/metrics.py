"""Discrimination, calibration and flag-rate figures of one group of people, each with a 95 % interval.

All are unweighted and treat people as independent: the intervals ignore the survey's clustering.

    auroc         ties count half; DeLong's variance, interval on the logit scale
    auprc         average precision; Boyd's interval on the logit scale
    brier         mean squared error; normal interval
    slope         of a logistic regression of the outcome on the log-odds; below 1 the estimates are too extreme
    intercept     calibration in the large: the shift of all log-odds that makes the mean right (slope held at 1)
    o_e           events observed over events expected (the sum of the estimates); interval on the log scale
    scored_share  people with a score over people with a label; Wilson's interval
    flag_rates    sensitivity and ppv when this share of the group, the highest estimates, is flagged (ties shared out);
                  Wilson's intervals
    baselines     auroc of other rankings on the same people
    interval_coverage  of ten equal groups by estimate, the share whose observed share (Wilson's interval) is compatible
                  with the group's mean interval; low and high are Wilson's for ten groups
    net_benefit   per threshold (a probability): of flagging by the model and of flagging everyone, per person (Vickers)

A figure that cannot be computed is None, never NaN. numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.scoring.calibration import Floats, brier, fit_line, fit_offset, probabilities, sigmoid

FLAG_RATES = ("0.01", "0.02", "0.05", "0.10", "0.20")
NET_BENEFIT_THRESHOLDS = ("0.02", "0.05", "0.10", "0.15", "0.20", "0.30")
MINIMUM_EVENTS = 10
"""With fewer people with, or without, the outcome only counts are shown."""

Z_95 = 1.959964
_NONE: dict[str, float | None] = {"value": None, "low": None, "high": None}
Figure = dict[str, float | None]


def group_metrics(
    log_odds: Floats, half_width: Floats, y: Floats, labelled: int, baselines: Mapping[str, Floats]
) -> dict[str, Any]:
    """The METRICS object of one group, without subgroups.

    log_odds, half_width (of its interval), y (0/1): shape (n,), of scored people. labelled: people with a label.
    baselines: name -> their ranking score, shape (n,), NaN where it has none.
    """
    n, events = int(y.size), int(y.sum())
    enough = min(events, n - events) >= MINIMUM_EVENTS
    result: dict[str, Any] = {"n": n, "events": events}
    result.update(_whole_group(log_odds, y) if enough else {name: dict(_NONE) for name in _WHOLE_GROUP})
    result["interval_coverage"] = interval_coverage(log_odds, half_width, y) if enough else dict(_NONE)
    result["net_benefit"] = {
        threshold: _net_benefits(log_odds, y, float(threshold)) if enough else {"model": None, "everyone": None}
        for threshold in NET_BENEFIT_THRESHOLDS
    }
    result["scored_share"] = wilson(n, labelled)
    result["flag_rates"] = {
        rate: _flagged(log_odds, y, float(rate)) if enough else {"sensitivity": dict(_NONE), "ppv": dict(_NONE)}
        for rate in FLAG_RATES
    }
    result["baselines"] = {name: {"auroc": _baseline(ranking, y)} for name, ranking in baselines.items()}
    return result


_WHOLE_GROUP = ("auroc", "auprc", "brier", "slope", "intercept", "o_e")


def _whole_group(log_odds: Floats, y: Floats) -> dict[str, Figure]:
    estimates = probabilities(log_odds)
    line, offset = fit_line(log_odds, y), fit_offset(log_odds, y)
    errors = (estimates - y) ** 2
    return {
        "auroc": auroc(log_odds, y),
        "auprc": average_precision(log_odds, y),
        "brier": around(brier(estimates, y), float(errors.std(ddof=1)) / math.sqrt(y.size)),
        "slope": dict(_NONE) if line is None else around(line.slope, line.slope_error),
        "intercept": dict(_NONE) if offset is None else around(*offset),
        "o_e": observed_over_expected(estimates, y),
    }


def auroc(ranking: Floats, y: Floats) -> Figure:
    """Probability that a person with the outcome ranks above one without (ties count half), with DeLong's interval."""
    with_outcome, without = ranking[y == 1], ranking[y == 0]
    m, k = with_outcome.size, without.size
    if m < 2 or k < 2:
        return dict(_NONE)
    among_all = midranks(np.concatenate([with_outcome, without]))
    value = float(among_all[:m].sum() - m * (m + 1) / 2) / (m * k)
    above = (among_all[:m] - midranks(with_outcome)) / k
    below = 1 - (among_all[m:] - midranks(without)) / m
    variance = float(above.var(ddof=1)) / m + float(below.var(ddof=1)) / k
    return on_logit(value, math.sqrt(variance) / max(value * (1 - value), 1e-12))


def average_precision(ranking: Floats, y: Floats) -> Figure:
    """Area under the precision-recall curve as average precision (ties flagged together)."""
    order = np.argsort(-ranking, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(ranking[order]) != 0, True))
    hits = np.cumsum(y[order])[ends]
    gained = np.diff(hits, prepend=0.0)
    value = float((gained * hits / (ends + 1)).sum() / y.sum())
    # Boyd, Eng and Page 2013: on the logit scale the standard error is (n (1 - v) v)^-1/2 with n the number of events.
    return on_logit(value, (float(y.sum()) * max(value * (1 - value), 1e-12)) ** -0.5)


def observed_over_expected(estimates: Floats, y: Floats) -> Figure:
    """Events observed over events expected; above 1 the model underestimates."""
    observed, expected = float(y.sum()), float(estimates.sum())
    if observed == 0 or expected == 0:
        return dict(_NONE)
    value, spread = observed / expected, Z_95 * math.sqrt((1 - observed / y.size) / observed)
    return rounded(value, value * math.exp(-spread), value * math.exp(spread))


def interval_coverage(log_odds: Floats, half_width: Floats, y: Floats, groups: int = 10) -> Figure:
    """Share of equal groups by estimate whose observed share is compatible with the group's mean interval."""
    parts = np.array_split(np.argsort(log_odds, kind="stable"), groups)
    held = 0
    for part in parts:
        seen = wilson(float(y[part].sum()), float(part.size))
        low = float(probabilities(log_odds[part] - half_width[part]).mean())
        high = float(probabilities(log_odds[part] + half_width[part]).mean())
        held += (seen["high"] or 0.0) >= low and (seen["low"] or 0.0) <= high
    return wilson(held, len(parts))


def net_benefit(flagged: NDArray[np.bool_], y: Floats, threshold: float) -> float:
    """True positives less false positives at the odds of the threshold, per person (Vickers and Elkin 2006)."""
    n = max(y.size, 1)
    hits = float(y[flagged].sum()) / n
    false = float(flagged.sum()) / n - hits
    return hits - false * threshold / (1 - threshold)


def _net_benefits(log_odds: Floats, y: Floats, threshold: float) -> dict[str, float]:
    flagged = probabilities(log_odds) >= threshold
    return {
        "model": round(net_benefit(flagged, y, threshold), 5),
        "everyone": round(net_benefit(np.ones_like(flagged), y, threshold), 5),
    }


def auroc_difference(a: Floats, b: Floats, y: Floats, strata: NDArray[Any], *, repeats: int, seed: int) -> Figure:
    """AUROC of a less AUROC of b on the same people, averaged over strata by size; paired bootstrap within strata.

    a, b: rankings, shape (n,). y (0/1), strata: shape (n,). Percentile interval. Resamples people, not pairs.
    """
    generator = np.random.default_rng(seed)
    drawn = np.zeros(repeats)
    value = 0.0
    for stratum in sorted(set(strata)):
        rows = strata == stratum
        share = float(rows.mean())
        ranks = [np.argsort(ranking[rows], kind="stable") for ranking in (a, b)]
        outcome = y[rows]
        ones = np.ones(outcome.size)
        value += share * (weighted_auroc(ranks[0], outcome, ones) - weighted_auroc(ranks[1], outcome, ones))
        for repeat in range(repeats):
            draw = generator.integers(0, outcome.size, outcome.size)
            weights = np.bincount(draw, minlength=outcome.size).astype(np.float64)
            drawn[repeat] += share * (
                weighted_auroc(ranks[0], outcome, weights) - weighted_auroc(ranks[1], outcome, weights)
            )
    low, high = np.quantile(drawn, [0.025, 0.975])
    return rounded(value, float(low), float(high))


def weighted_auroc(order: NDArray[np.int64], y: Floats, weights: Floats) -> float:
    """AUROC of people with weights. Ties count as they fall in `order`, of the ranking; margins of trees tie rarely."""
    w, outcome = weights[order], y[order]
    below = np.cumsum(w * (1 - outcome))
    total = float((w * outcome).sum() * below[-1])
    return float((w * outcome * below).sum()) / total if total else 0.5


def _flagged(log_odds: Floats, y: Floats, rate: float) -> dict[str, Figure]:
    order = np.argsort(-log_odds, kind="stable")
    flagged = rate * y.size
    _, first, counts = np.unique(-log_odds[order], return_index=True, return_counts=True)
    share = np.clip((flagged - first) / counts, 0.0, 1.0)
    per_tie = np.add.reduceat(y[order], first)
    hits = float((share * per_tie).sum())
    return {"sensitivity": wilson(hits, float(y.sum())), "ppv": wilson(hits, flagged)}


def _baseline(ranking: Floats, y: Floats) -> Figure:
    known: NDArray[np.bool_] = ~np.isnan(ranking)
    events = int(y[known].sum())
    if min(events, int(known.sum()) - events) < MINIMUM_EVENTS:
        return dict(_NONE)
    return auroc(ranking[known], y[known])


def midranks(values: Floats) -> Floats:
    """The rank of each value, from 1; ties share theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    midranks: Floats = (last - (counts - 1) / 2)[inverse]
    return midranks


def wilson(hits: float, n: float) -> Figure:
    """A share, with Wilson's interval."""
    if n <= 0:
        return dict(_NONE)
    share = hits / n
    centre = (share + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    half = Z_95 * math.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2)) / (1 + Z_95**2 / n)
    return rounded(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def around(value: float, error: float) -> Figure:
    """A figure with the interval of its standard error."""
    return rounded(value, value - Z_95 * error, value + Z_95 * error)


def on_logit(value: float, error: float) -> Figure:
    """A share with the interval of its standard error on the logit scale."""
    if not 0 < value < 1:
        return rounded(value, value, value)
    logit, spread = math.log(value / (1 - value)), min(Z_95 * error, 700.0)
    return rounded(value, *(1 / (1 + math.exp(-(logit + side * spread))) for side in (-1, 1)))


def rounded(value: float, low: float, high: float) -> Figure:
    """A figure with its interval, to four places; of None where one of the three is not finite."""
    if not all(math.isfinite(number) for number in (value, low, high)):
        return dict(_NONE)
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}


def logit(share: float) -> float:
    """Log-odds of a share; raises ValueError or ZeroDivisionError at 0 and 1."""
    return math.log(share / (1 - share))


Scale = Callable[[float], float]
SCALES: Mapping[str, tuple[Scale, Scale]] = {
    "auroc": (logit, sigmoid),
    "slope": (float, float),
    "o_e": (math.log, math.exp),
}
"""Per figure: to the scale on which its error is about normal, and back."""
