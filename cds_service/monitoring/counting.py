"""Episodes to figures, of one site, outcome and version: of all their months together, of each month, and by group.

Only episodes whose window is over count, so that every one had its time to get an outcome. Months and groups are
withheld together, so that none of them follows from the others: whoever publishes figures of other months of the same
people publishes what lies between.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cds_service.monitoring.episodes import Episode
from cds_service.monitoring.month_counts import Reference, input_figures, score_bins
from cds_service.monitoring.site_figures import (
    ALL_MONTHS,
    CountLevel,
    GroupFigures,
    OutcomeFigures,
    SiteEstimate,
    SiteFigures,
    Unsaid,
)
from cds_service.monitoring.suppression import Parts, withheld
from models.evaluation import metrics
from models.scoring.calibration import fit_line

Weigh = Callable[..., Mapping[str, metrics.Figure] | None]
"""`models.evaluation.weighting.weighted_figures`, which no serving worker can import."""


class Slice(NamedTuple):
    """Whose figures: month, and by and group of GroupFigures."""

    month: str = ALL_MONTHS
    by: str = ""
    group: str = ""


def site_figures(
    episodes: Sequence[Episode],
    *,
    threshold: float | None,
    now: datetime,
    reference: Reference = (),
    weigh: Weigh | None = None,
) -> tuple[SiteFigures, ...]:
    """All months together, then each month. threshold: the one in force. Empty without episodes that are over."""
    slices = _slices([episode for episode in episodes if episode.over])
    if not slices:
        return ()
    unsaid = _unsaid(slices)
    # The bootstrap takes most of the time; months have their unweighted intervals.
    month_weigh = partial(weigh, repeats=0) if weigh else None
    whole, months = slices[Slice()], sorted({one.month for one in slices if one.month})
    everyone = {month: own for (month, by, _), own in slices.items() if not by}
    small = {one.month for one, levels in unsaid.items() if not one.by and CountLevel.PEOPLE in levels}
    bins, inputs = score_bins(everyone, small), input_figures(everyone, small, reference)
    found = []
    for month in (ALL_MONTHS, *months):
        own = {
            one: _group(one, slices[one], unsaid, threshold, None if one.by else month_weigh if month else weigh)
            for one in sorted(slices)
            if one.month == month
        }
        found.append(
            SiteFigures(
                site=whole[0].site, outcome=whole[0].outcome, version=whole[0].version, month=month,
                since=date.fromisoformat(f"{month or months[0]}-01"), last=_last(month or months[-1]), at=now,
                threshold=threshold, everyone=own.pop(Slice(month)), groups=tuple(own.values()),
                score_bins=bins[month], inputs=inputs[month],
            )
        )  # fmt: skip
    return tuple(found)


def _slices(episodes: Sequence[Episode]) -> dict[Slice, list[Episode]]:
    found: dict[Slice, list[Episode]] = defaultdict(list)
    for episode in episodes:
        groups = {"": "", "sex": episode.sex, "age-band": episode.age_band, **episode.groups}
        for month in (ALL_MONTHS, episode.month):
            for by, group in groups.items():
                found[Slice(month, by, group)].append(episode)
    return dict(found)


def _last(month: str) -> date:
    year, number = int(month[:4]), int(month[5:])
    return date(year, number, calendar.monthrange(year, number)[1])


def _unsaid(slices: Mapping[Slice, Sequence[Episode]]) -> dict[Slice, dict[CountLevel, Unsaid]]:
    """What is not shown of each slice. What is withheld of the people is of every further level too.

    The levels can be judged one by one: what sums of another level say of a withheld one, such as of those with the
    outcome, can be met by moving people between its counts in each slice.
    """
    months, groups = sorted({one.month for one in slices}), sorted({(one.by, one.group) for one in slices})
    sums = [(Slice(ALL_MONTHS, *group), *(Slice(month, *group) for month in months if month)) for group in groups]
    for by in sorted({by for by, _ in groups if by}):
        sums += [(Slice(month), *(Slice(month, *group) for group in groups if group[0] == by)) for month in months]
    found: dict[Slice, dict[CountLevel, Unsaid]] = {one: {} for one in slices}
    people = dict[Slice, Unsaid]()
    for level in CountLevel:
        cells = {one: _parts(level, own) for one, own in slices.items()}
        nobody_is_small = level not in (CountLevel.PEOPLE, CountLevel.KNOWN)
        hidden = withheld(cells, sums, nobody_is_small=nobody_is_small, also=people)
        people = people or hidden
        for one, why in hidden.items():
            found[one][level] = why
    return found


def _parts(level: CountLevel, episodes: Sequence[Episode]) -> Parts:
    measured = [one for one in episodes if one.positive is not None]
    groups: dict[CountLevel, tuple[list[Episode], ...]] = {
        CountLevel.PEOPLE: (list(episodes),),
        CountLevel.FLAGGED: tuple([one for one in episodes if one.flagged is flag] for flag in (True, False)),
        CountLevel.KNOWN: (measured, [one for one in episodes if one.positive is None]),
        CountLevel.OUTCOME: tuple([one for one in measured if one.positive is truth] for truth in (True, False)),
        CountLevel.DECISION: tuple(
            [one for one in measured if one.flagged is flag and one.positive is truth]
            for flag in (True, False)
            for truth in (True, False)
        ),
    }
    return tuple(frozenset(one.patient for one in group) for group in groups[level])


def _group(
    of: Slice,
    episodes: Sequence[Episode],
    unsaid: Mapping[Slice, Mapping[CountLevel, Unsaid]],
    threshold: float | None,
    weigh: Weigh | None,
) -> GroupFigures:
    hidden = unsaid[of]
    n, flagged = len(episodes), sum(one.flagged for one in episodes)
    measured = [one for one in episodes if one.positive is not None]
    found = GroupFigures(by=of.by, group=of.group, unsaid=hidden)
    if CountLevel.PEOPLE not in hidden:
        found = replace(found, people=len({one.patient for one in episodes}), episodes=n)
    if CountLevel.FLAGGED not in hidden:
        found = replace(found, flagged=flagged, flag_rate=_estimate(metrics.wilson(flagged, n)))
    if CountLevel.KNOWN not in hidden:
        share = _estimate(metrics.wilson(len(measured), n))
        found = replace(found, measured=len(measured), share_measured=share)
    if CountLevel.OUTCOME not in hidden:
        weighted = _weighted(episodes, hidden, threshold, weigh) if weigh else None
        found = replace(
            found, positive=sum(one.positive is True for one in measured),
            expected=round(sum(one.probability for one in measured), 1),
            observed=_observed(measured, hidden, threshold), weighted=weighted,
        )  # fmt: skip
    return found


def _observed(measured: Sequence[Episode], hidden: Collection[CountLevel], threshold: float | None) -> OutcomeFigures:
    estimates = np.array([one.probability for one in measured])
    flagged, y = np.array([one.flagged for one in measured]), np.array([float(bool(one.positive)) for one in measured])
    log_odds = _log_odds(measured)
    line = fit_line(log_odds, y)
    figures = {
        "auroc": metrics.auroc(log_odds, y),
        "slope": metrics.around(line.slope, line.slope_error) if line else None,
        "o_e": metrics.observed_over_expected(estimates, y),
        "ppv": metrics.wilson(float(y[flagged].sum()), float(flagged.sum())),
        "sensitivity": metrics.wilson(float(y[flagged].sum()), float(y.sum())),
    }
    if threshold is not None:
        for name, whom in (("model", flagged), ("everyone", np.ones_like(flagged))):
            figures[name] = {"value": round(metrics.net_benefit(whom, y, threshold), 5)}
    return _outcome_figures(figures, hidden)


def _weighted(
    episodes: Sequence[Episode], hidden: Collection[CountLevel], threshold: float | None, weigh: Weigh
) -> OutcomeFigures | None:
    outcome = np.array([np.nan if one.positive is None else float(one.positive) for one in episodes])
    figures = weigh(
        _log_odds(episodes), outcome, np.array([one.flagged for one in episodes]),
        [one.patient for one in episodes],
        [[one.sex for one in episodes], [one.age_band for one in episodes], [str(one.shown) for one in episodes]],
        threshold,
    )  # fmt: skip
    return None if figures is None else _outcome_figures(figures, hidden)


def _outcome_figures(figures: Mapping[str, Any], hidden: Collection[CountLevel]) -> OutcomeFigures:
    """Without those whose level is withheld."""
    found = OutcomeFigures(
        auroc=_estimate(figures["auroc"]),
        slope=_estimate(figures["slope"]),
        o_e=_estimate(figures["o_e"]),
        everyone=figures["everyone"]["value"] if "everyone" in figures else None,
    )
    if CountLevel.DECISION in hidden:
        return found
    return replace(
        found,
        ppv=_estimate(figures["ppv"]),
        sensitivity=_estimate(figures["sensitivity"]),
        model=figures["model"]["value"] if "model" in figures else None,
    )


def _estimate(figure: Mapping[str, float | None] | None) -> SiteEstimate | None:
    if figure is None or figure["value"] is None:
        return None
    return SiteEstimate(value=figure["value"], low=figure["low"], high=figure["high"])


def _log_odds(episodes: Sequence[Episode]) -> np.ndarray[Any, np.dtype[np.float64]]:
    estimates = np.clip([one.probability for one in episodes], 1e-9, 1 - 1e-9)
    found: np.ndarray[Any, np.dtype[np.float64]] = np.log(estimates / (1 - estimates))
    return found
