"""From a model's margin to a calibrated probability, and how well calibrated it is.

The calibration is linear on the log-odds scale, so contributions stay exact: each is multiplied by the slope.
numpy only. Does not choose the people it is fitted on; `training` does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Margin = TypeVar("Margin", float, Floats)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """log_odds = intercept + slope * margin. slope > 0, so the order of people never changes."""

    intercept: float
    slope: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.intercept) and math.isfinite(self.slope) and self.slope > 0):
            raise ValueError("a calibration needs a finite intercept and a finite slope above 0")

    def log_odds(self, margin: Margin) -> Margin:
        """Calibrated log-odds of a raw margin, or of an array of them."""
        return self.intercept + self.slope * margin

    def then(self, later: Calibration) -> Calibration:
        """This calibration followed by another, as one."""
        return Calibration(intercept=later.intercept + later.slope * self.intercept, slope=later.slope * self.slope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far a calibrated log-odds may be off in a new population: the variance of calibration lines.

    At a calibrated log-odds x the standard error is sqrt(level + 2 both (x - centre) + tilt (x - centre)^2);
    `times` of it to either side hold NOMINAL_COVERAGE. All finite; level, tilt and times not negative.
    """

    centre: float
    level: float
    both: float
    tilt: float
    times: float

    def __post_init__(self) -> None:
        numbers = (self.centre, self.level, self.both, self.tilt, self.times)
        if not all(math.isfinite(n) for n in numbers) or min(self.level, self.tilt, self.times) < 0:
            raise ValueError("a spread needs finite numbers, and variances and a multiple that are not negative")

    def half_width(self, log_odds: Margin) -> Margin:
        """Half the interval, in log-odds, around a calibrated log-odds or an array of them."""
        away = log_odds - self.centre
        variance = self.level + 2 * self.both * away + self.tilt * away * away
        result: Margin = self.times * np.sqrt(np.maximum(variance, 0.0))
        return result


NOMINAL_COVERAGE = 0.90
"""The nominal coverage of an interval; the actual coverage is measured (`validation`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticLine:
    """Maximum-likelihood logit(p) = intercept + slope * x, with standard errors."""

    intercept: float
    slope: float
    intercept_error: float
    slope_error: float
    covariance: float
    """Of intercept and slope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityRow:
    """One group of people of similar estimates: size, events, mean estimate, and observed share."""

    n: int
    events: int
    mean_estimate: float
    observed: float


def sigmoid(log_odds: float) -> float:
    """Probability of a log-odds value; numerically safe."""
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1.0 + odds)


def probabilities(log_odds: Floats) -> Floats:
    """Element-wise sigmoid."""
    result: Floats = 0.5 * (1.0 + np.tanh(0.5 * log_odds))
    return result


def fit_line(x: Floats, y: Floats, weights: Floats | None = None, steps: int = 50) -> LogisticLine | None:
    """Logistic regression of y (0/1) on x by Newton's method; None when there is no unique finite answer.

    x and y: shape (n,). None for one outcome class only, a constant x, or perfect separation.
    """
    w = np.ones_like(x) if weights is None else weights
    if y.size == 0 or y.min() == y.max() or x.min() == x.max():
        return None
    design = np.column_stack([np.ones_like(x), x])
    beta = np.zeros(2)
    for _ in range(steps):
        p = probabilities(design @ beta)
        gradient = design.T @ (w * (y - p))
        information = design.T @ (design * (w * p * (1 - p))[:, None])
        if np.linalg.cond(information) > 1e14:
            return None
        step = np.linalg.solve(information, gradient)
        beta = beta + np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-10:
            inverse = np.linalg.inv(information)
            return LogisticLine(
                intercept=float(beta[0]),
                slope=float(beta[1]),
                intercept_error=float(np.sqrt(inverse[0, 0])),
                slope_error=float(np.sqrt(inverse[1, 1])),
                covariance=float(inverse[0, 1]),
            )
    return None


def fit_offset(log_odds: Floats, y: Floats, steps: int = 50) -> tuple[float, float] | None:
    """Calibration in the large: the shift a in logit(p) = a + log_odds, with its standard error.

    None when only one outcome class is present.
    """
    if y.size == 0 or y.min() == y.max():
        return None
    shift, information = 0.0, 0.0
    for _ in range(steps):
        p = probabilities(log_odds + shift)
        information = float((p * (1 - p)).sum())
        if information < 1e-12:
            return None
        step = float((y - p).sum()) / information
        shift += max(-5.0, min(5.0, step))
        if abs(step) < 1e-10:
            return shift, information**-0.5
    return None


def fit_calibration(margins: Floats, y: Floats, weights: Floats | None = None) -> Calibration:
    """The maximum-likelihood calibration of y on margins of people the model had not seen.

    Raises ValueError when it cannot be fitted (one outcome class, constant margins, margins that point the wrong way).
    """
    line = fit_line(margins, y, weights)
    if line is None:
        raise ValueError("no calibration can be fitted: need both outcome classes and margins that vary")
    return Calibration(intercept=line.intercept, slope=line.slope)


def brier(estimates: Floats, y: Floats) -> float:
    """Mean squared difference of estimate and outcome, in [0, 1]; 0 is perfect."""
    return float(np.mean((estimates - y) ** 2))


def reliability_table(estimates: Floats, y: Floats, groups: int = 10) -> tuple[ReliabilityRow, ...]:
    """Observed share against mean estimate in equally large groups ordered by estimate, lowest first."""
    parts: list[Any] = np.array_split(np.argsort(estimates, kind="stable"), groups)
    return tuple(
        ReliabilityRow(
            n=int(part.size),
            events=int(y[part].sum()),
            mean_estimate=float(estimates[part].mean()),
            observed=float(y[part].mean()),
        )
        for part in parts
        if part.size
    )
