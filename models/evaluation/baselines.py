"""The baselines that ours must beat: logistic regression on the same inputs, and on age and sex alone.

Fitted on training cycles only and stored in the artifact as coefficients, so that later evaluation needs no training
rows. A missing value counts as the training mean plus a coefficient of its own. Never used for a score that is shown.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.scoring.calibration import Floats

LOGISTIC = "logistic"
AGE_SEX = "age-sex"
PHQ2 = "phq2"
_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """intercept + weights . (value, or fill where missing) + missing . (1 where missing). One entry per input."""

    inputs: tuple[str, ...]
    intercept: float
    weights: tuple[float, ...]
    fill: tuple[float, ...]
    missing: tuple[float, ...]

    def log_odds(self, values: NDArray[np.float32]) -> Floats:
        """values: shape (people, inputs), NaN where missing -> shape (people,)."""
        x = values.astype(np.float64)
        gaps = np.isnan(x)
        filled = np.where(gaps, np.array(self.fill), x)
        result: Floats = self.intercept + filled @ np.array(self.weights) + gaps @ np.array(self.missing)
        return result

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; `linear_from_json` reads them back."""
        described: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return described


def linear_from_json(content: dict[str, Any]) -> Linear:
    """The Linear that `as_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
    lists = {name: tuple(content[name]) for name in ("inputs", "weights", "fill", "missing")}
    return Linear(intercept=float(content["intercept"]), **lists)


def fit_linear(inputs: tuple[str, ...], values: NDArray[np.float32], y: Floats) -> Linear:
    """L2-regularised logistic regression, C = 1 on standardised inputs; coefficients in the inputs' own units."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - training only; serving has no scikit-learn

    x = values.astype(np.float64)
    gaps = np.isnan(x)
    known = np.where(gaps, 0.0, x)
    counts = np.maximum((~gaps).sum(axis=0), 1)
    fill = known.sum(axis=0) / counts
    filled = np.where(gaps, fill, x)
    spread = np.where(filled.std(axis=0) > 0, filled.std(axis=0), 1.0)
    gap_spread = np.where(gaps.std(axis=0) > 0, gaps.std(axis=0), 1.0)
    design = np.hstack([(filled - fill) / spread, gaps / gap_spread])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # collinear gaps (a whole table missing) make the solver fall back
        fitted = LogisticRegression(solver="newton-cholesky", tol=1e-8, max_iter=200).fit(design, y)
    k = len(inputs)
    weights, missing = fitted.coef_[0][:k] / spread, fitted.coef_[0][k:] / gap_spread
    return Linear(
        inputs=inputs,
        intercept=_rounded(float(fitted.intercept_[0] - (weights * fill).sum())),
        weights=tuple(_rounded(value) for value in weights),
        fill=tuple(_rounded(value) for value in fill),
        missing=tuple(_rounded(value) for value in missing),
    )


def age_sex_inputs(age: NDArray[np.float32], female: NDArray[np.float32]) -> NDArray[np.float32]:
    """Age, its square (in units that keep both near 1) and sex: the inputs of the age-sex baseline."""
    scaled = age / np.float32(50.0)
    return np.column_stack([scaled, scaled**2, female])


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
