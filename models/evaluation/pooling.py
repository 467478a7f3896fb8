"""One figure of many sites by random-effects meta-analysis: what to expect on average, and at a site not yet seen.

AUROC is pooled on the logit scale, observed over expected on the log scale, the slope as it is. The variance between
sites is Paule and Mandel's (statsmodels), the interval Hartung and Knapp's (t of sites - 1 degrees of freedom), never
narrower than without their adjustment (Röver et al. 2015). The prediction interval is Higgins, Thompson and
Spiegelhalter's (2009), for where the figure of a further site would lie. One site is nothing to pool. Two give a mean
with a wide interval; how far sites differ is not said from two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.metrics import SCALES, Z_95, Figure, Scale, rounded

LEAST_SITES = 2
LEAST_FOR_SPREAD = 3
"""With fewer sites neither a prediction interval nor the variance between sites is given."""
_LEAST_ERROR, _MOST_ERROR = 1e-6, 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """One figure of `sites` sites. mean: with its 95 % interval, None with fewer than two sites.

    prediction: where 95 % of further sites like these would lie. tau2: the variance between sites, on the scale of
    pooling. i2: the share of the variance of the sites' figures that is not chance, 0 to 1. None with fewer than three.
    """

    sites: int
    mean: Figure | None = None
    prediction: tuple[float, float] | None = None
    tau2: float | None = None
    i2: float | None = None


def pool(measure: str, figures: Sequence[Figure]) -> Pooled:
    """The figures of sites as one. measure: of SCALES. figures: value and 95 % interval, a site each.

    A figure without a value or with an interval of no width says nothing of its error, so it is left out.
    """
    there, back = SCALES[measure]
    known = [on_scale for figure in figures if (on_scale := _with_error(figure, there)) is not None]
    if len(known) < LEAST_SITES:
        return Pooled(sites=len(known))
    from scipy.stats import t  # noqa: PLC0415  # with statsmodels a second and 100 MB that only a pooling needs
    from statsmodels.stats.meta_analysis import combine_effects  # noqa: PLC0415

    effects, errors = (np.array(part) for part in zip(*known, strict=True))
    with np.errstate(divide="ignore"):  # of its I2, where all sites agree
        combined = combine_effects(effects, errors**2, method_re="pm", use_t=True)
    mean, tau2 = float(combined.mean_effect_re), float(combined.tau2)
    error = math.sqrt(max(1.0, float(combined.scale_hksj_re))) * float(combined.sd_eff_w_re)
    half = float(t.ppf(0.975, len(known) - 1)) * error
    pooled = rounded(*(float(back(end)) for end in (mean, mean - half, mean + half)))
    if len(known) < LEAST_FOR_SPREAD:
        return Pooled(sites=len(known), mean=pooled)
    reach = float(t.ppf(0.975, len(known) - 2)) * math.sqrt(tau2 + error**2)
    low, high = (round(float(back(mean + side * reach)), 4) for side in (-1, 1))
    i2 = max(0.0, 1 - (len(known) - 1) / float(combined.q)) if combined.q > 0 else 0.0
    return Pooled(sites=len(known), mean=pooled, prediction=(low, high), tau2=round(tau2, 4), i2=round(i2, 3))


def together(measure: str, figures: Sequence[Figure]) -> Figure | None:
    """Figures of one site in several periods as one, by the inverse of their variances; None without any error."""
    there, back = SCALES[measure]
    known = [on_scale for figure in figures if (on_scale := _with_error(figure, there)) is not None]
    if not known:
        return None
    weight = sum(error**-2 for _, error in known)
    mean, half = sum(value * error**-2 for value, error in known) / weight, Z_95 * weight**-0.5
    return rounded(*(float(back(end)) for end in (mean, mean - half, mean + half)))


def _with_error(figure: Figure, there: Scale) -> tuple[float, float] | None:
    """A figure on its scale with its standard error; None where its interval does not tell one."""
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None or low is None or high is None:
        return None
    try:
        error = (there(high) - there(low)) / (2 * Z_95)
        return (there(value), error) if _LEAST_ERROR < error < _MOST_ERROR else None
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
