"""The effect of a trial by intention to treat, from its tidy table: a difference of shares with its 95 % interval.

Stepped wedge: shares of cells (a clinic in a period) by generalised estimating equations, identity link, exchangeable
within a clinic, a term for each period, covariance corrected for few clusters (Mancl and DeRouen 2001), and Student's t
with as many degrees of freedom as there are clusters beyond the parameters. Cells weigh the same, whatever their size.
Randomised: linear regression on arm and stratum, errors clustered by what was assigned with the same correction (CR3 of
Bell and McCaffrey 2002), and t with clusters minus one.
The table and this text make up what `mhcds trial export` writes; docs/generated/trial-simulation.md shows how far its
intervals hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import statsmodels.api as sm
from scipy import stats

LIVE, SILENT = "live", "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialData:
    """One entry a person: endpoint (0 or 1), live (0 or 1), cluster, period, stratum."""

    endpoint: np.ndarray[Any, Any]
    live: np.ndarray[Any, Any]
    cluster: np.ndarray[Any, Any]
    period: np.ndarray[Any, Any]
    stratum: np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEffect:
    """difference: of the shares with the endpoint, live minus silent, as the model estimates it; low, high: 95 %.

    p: of no difference. live, silent: the plain shares, of so many people each. df: degrees of freedom.
    """

    difference: float
    low: float
    high: float
    p: float
    live: float
    silent: float
    live_people: int
    silent_people: int
    clusters: int
    df: int


def trial_data(rows: Iterable[Mapping[str, str]], *, endpoint: str, population: str) -> TrialData:
    """Of each person the first episode of the population ("all", "flagged"), if its window is over; rows are by day.

    Later ones do not count: who was asked has none for months, so how many there are is an effect of the arm.
    """
    first: dict[str, Mapping[str, str]] = {}
    for row in rows:
        if population == "all" or row["flagged"] == "1":
            first.setdefault(row["person"], row)
    counted = [row for row in first.values() if row["complete"] == "1"]
    column = {"acted": "acted_within_7_days", "measured": "outcome_measured", "found": "positive"}[endpoint]
    return TrialData(
        # Nothing measured is nothing found: left out, it would be chosen by what the arm does.
        endpoint=np.array([row[column] == "1" for row in counted], dtype=float),
        live=np.array([row["arm"] == LIVE for row in counted], dtype=float),
        cluster=np.array([row["cluster"] for row in counted]),
        period=np.array([row["period"] for row in counted]),
        stratum=np.array([row["stratum"] for row in counted]),
    )


def trial_effect(data: TrialData, *, wedge: bool) -> TrialEffect:
    """The estimate. Raises ValueError where there is too little for one."""
    clusters = len(np.unique(data.cluster))
    if len(np.unique(data.live)) < 2:  # two arms
        raise ValueError(f"expected episodes in both arms; found {len(data.live)}, all of one arm")
    difference, error, df = (_wedge if wedge else _randomised)(data, clusters)
    half = float(stats.t.ppf(0.975, df)) * error
    live = data.live == 1
    return TrialEffect(
        difference=difference,
        low=difference - half,
        high=difference + half,
        p=float(2 * stats.t.sf(abs(difference) / error, df)) if error else float("nan"),
        live=float(data.endpoint[live].mean()),
        silent=float(data.endpoint[~live].mean()),
        live_people=int(live.sum()),
        silent_people=int((~live).sum()),
        clusters=clusters,
        df=df,
    )


def _wedge(data: TrialData, clusters: int) -> tuple[float, float, int]:
    cells, place = np.unique(
        np.column_stack([data.cluster, data.period, data.live.astype(str)]), axis=0, return_inverse=True
    )
    share = np.bincount(place.ravel(), weights=data.endpoint) / np.bincount(place.ravel())
    periods = [(cells[:, 1] == period).astype(float) for period in np.unique(data.period)]
    terms = np.column_stack([(cells[:, 2] == "1.0").astype(float), *periods])
    df = clusters - terms.shape[1]
    if df < 1:
        raise ValueError(f"expected more clinics than {terms.shape[1]}, the terms of the model; found {clusters}")
    model = sm.GEE(
        share,
        terms,
        groups=cells[:, 0],
        family=sm.families.Gaussian(),
        cov_struct=sm.cov_struct.Exchangeable(),
    )
    fitted = model.fit(cov_type="bias_reduced")
    return float(fitted.params[0]), float(fitted.bse[0]), df


def _randomised(data: TrialData, clusters: int) -> tuple[float, float, int]:
    strata = [(data.stratum == stratum).astype(float) for stratum in np.unique(data.stratum)]
    terms = np.column_stack([data.live, *strata])
    if clusters <= terms.shape[1]:
        raise ValueError(f"expected more than {terms.shape[1]} that were assigned; found {clusters}")
    group = np.unique(data.cluster, return_inverse=True)[1].ravel()
    bread = np.linalg.inv(terms.T @ terms)
    estimate = bread @ terms.T @ data.endpoint
    score = np.zeros((clusters, terms.shape[1]))
    np.add.at(score, group, terms * (data.endpoint - terms @ estimate)[:, None])
    products = np.zeros((clusters, terms.shape[1], terms.shape[1]))
    np.add.at(products, group, terms[:, :, None] * terms[:, None, :])
    # Of each cluster as if it had been left out; a pseudo-inverse, since one may be all that there is of its stratum.
    left_out = np.linalg.pinv(np.eye(terms.shape[1]) - products @ bread) @ score[:, :, None]
    spread = bread @ (left_out[:, :, 0].T @ left_out[:, :, 0]) @ bread
    return float(estimate[0]), float(np.sqrt(spread[0, 0])), clusters - 1


def effect_words(found: TrialEffect) -> str:
    """The estimate in three lines."""
    return (
        f"live arm {found.live:.1%} of {found.live_people} people, silent arm {found.silent:.1%} of "
        f"{found.silent_people}; {found.clusters} clusters\n"
        f"difference (live - silent), adjusted: {100 * found.difference:+.1f} percentage points\n"
        f"95 % interval {100 * found.low:+.1f} to {100 * found.high:+.1f} (p = {found.p:.3f}; t, {found.df} degrees of "
        "freedom)"
    )
