"""A test that may be looked at as often as one likes: has a share, or observed over expected, passed a limit?

Each case is a bet on yes at the odds of the limit: what was there is multiplied by 1 + stake * (yes - chance at the
limit). While the figure is on the right side of the limit no bet gains on average, whatever came before, so the mean of
several stakes, begun at 1, is a non-negative supermartingale: the e-value. By Ville's inequality (1939) it ever reaches
1 / alpha with a chance of at most alpha, whenever and however often one looks. See Waudby-Smith and Ramdas 2024,
"Estimating means of bounded random variables by betting".

For a share the stakes are those that make each path a likelihood ratio, of the limit's odds times each of ODDS_RATIOS
(or divided by them) against the limit. For observed over expected they are the same for everybody: a likelihood ratio
would bet more on low estimates and so, at the limit, react to a wrong slope too (decision 0058). The mixture spares the
choice of one alternative; beside the best of five it costs a factor of five at most. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.scoring.calibration import Floats

ODDS_RATIOS = (1.25, 1.5, 2.0, 3.0, 5.0)
STAKES = (0.25, 0.5, 0.75, 0.95)
YEARLY_ERROR, YEAR_DAYS = 0.05, 365
LARGEST = 700.0  # log of an e-value that is still a float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a stream shows: after all of it, or after the case that decided it, which is `decided` (from 0).

    figure: yeses over expected, None where nothing is expected. e_value: the greater, the less it fits the limit.
    """

    n: int
    figure: float | None
    e_value: float
    decided: int | None


def error_of(window_days: int) -> float:
    """The share of windows that may decide falsely, so that those of a year together do so once in twenty years."""
    return min(YEARLY_ERROR, YEARLY_ERROR * window_days / YEAR_DAYS)


def share_bets(limit: float, *, above: bool) -> tuple[float, ...]:
    """The stakes for a share whose limit is in (0, 1). above: whether evidence is sought that it is above the limit."""
    ratios = ODDS_RATIOS if above else tuple(1 / ratio for ratio in ODDS_RATIOS)
    return tuple((ratio - 1) / (1 - limit + ratio * limit) for ratio in ratios)


def ratio_bets(limit: float, *, above: bool) -> tuple[float, ...]:
    """The stakes for observed over expected, small enough that nobody's estimate can lose everything."""
    return tuple((stake if above else -stake) / max(limit, 1.0) for stake in STAKES)


def log_e_values(hits: NDArray[np.bool_], limits: Floats, bets: tuple[float, ...]) -> Floats:
    """The log e-value after each case. hits: shape (..., n); limits: the chances at the limit, broadcast to it."""
    paths = [np.cumsum(np.log1p(bet * (hits - limits)), axis=-1) for bet in bets]
    highest = np.max(paths, axis=0)
    result: Floats = highest + np.log(np.mean(np.exp(np.stack(paths) - highest), axis=0))
    return result


def evidence(
    hits: NDArray[np.bool_], expected: Floats | None, limit: float, *, above: bool, alpha: float, least_n: int
) -> Evidence:
    """Whether a figure has passed its limit. hits, expected: shape (n,), in the order in which they became known.

    expected: each case's estimate, for observed over expected; None for a share, of which no limit outside (0, 1) can
    be passed. Decided once the e-value is 1 / alpha or more after at least least_n cases.
    """
    bets: tuple[float, ...] = (0.0,)
    if expected is not None:
        bets = ratio_bets(limit, above=above)
    elif 0 < limit < 1:
        bets = share_bets(limit, above=above)
    weights = np.ones(hits.size) if expected is None else expected
    path = log_e_values(hits, limit * weights, bets)
    enough = np.flatnonzero((path >= -np.log(alpha)) & (np.arange(1, path.size + 1) >= least_n))
    decided = int(enough[0]) if enough.size else None
    n = path.size if decided is None else decided + 1
    return Evidence(
        n=n,
        figure=float(hits[:n].sum() / weights[:n].sum()) if n else None,
        e_value=float(np.exp(min(path[n - 1], LARGEST))) if n else 1.0,
        decided=decided,
    )
