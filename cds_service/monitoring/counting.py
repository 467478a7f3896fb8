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

from cds_service.monitoring.episodes import LEAST_PEOPLE, UNRECORDED, Episode
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
from models.evaluation import clustered, metrics

Weigh = Callable[..., Mapping[str, metrics.Figure] | None]
"""`models.evaluation.weighting.weighted_figures`, which no serving worker can import."""


RESTS_ON: Mapping[CountLevel, frozenset[CountLevel]] = {
    CountLevel.PEOPLE: frozenset(),
    CountLevel.FLAGGED: frozenset({CountLevel.PEOPLE}),
    CountLevel.KNOWN: frozenset({CountLevel.PEOPLE}),
    CountLevel.OUTCOME: frozenset({CountLevel.PEOPLE, CountLevel.KNOWN}),
    CountLevel.DECISION: frozenset(set(CountLevel) - {CountLevel.DECISION}),
}
NOBODY_IS_SMALL: Mapping[CountLevel, tuple[bool, ...]] = {
    CountLevel.PEOPLE: (False,),
    CountLevel.FLAGGED: (True, True),
    CountLevel.KNOWN: (False, False),
    CountLevel.OUTCOME: (True, True, False),
    CountLevel.DECISION: (True, True, True, True, False, False),
}
"""Of each count of a level, in the order of `_parts`, whether nobody in it says something of everybody."""
NOTHING: Mapping[str, float | None] = {"value": None}
ROUNDED = 1e-4
MOST_GROUPS = 8
BY_MONTH = ("", "sex", "age-band")
"""What months are told by. The others have more and smaller groups, of all months alone, which bounds the work."""
OTHER_GROUPS = "others"


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
            if one.month == month and not (one.by and CountLevel.PEOPLE in unsaid[one])
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
    kept = _kept_groups(episodes)
    for episode in episodes:
        groups = {by: name if name in kept[by] else OTHER_GROUPS for by, name in _groups_of(episode).items()}
        for by, group in groups.items():
            for month in (ALL_MONTHS, episode.month) if by in BY_MONTH else (ALL_MONTHS,):
                found[Slice(month, by, group)].append(episode)
    return dict(found)


def _groups_of(episode: Episode) -> dict[str, str]:
    return {"": "", "sex": episode.sex, "age-band": episode.age_band, **episode.groups}


def _kept_groups(episodes: Sequence[Episode]) -> dict[str, set[str]]:
    """By what -> the groups with a name of their own: the largest, and unrecorded, of eleven people or more.

    That there is somebody of a smaller one is itself something about a person.
    """
    people: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for episode in episodes:
        for by, group in _groups_of(episode).items():
            people[by][group].add(episode.patient)
    found = {}
    for by, groups in people.items():
        largest = sorted(groups, key=lambda group: (group != UNRECORDED, -len(groups[group]), group))[:MOST_GROUPS]
        found[by] = {group for group in largest if not by or len(groups[group]) >= LEAST_PEOPLE}
    return found


def _last(month: str) -> date:
    year, number = int(month[:4]), int(month[5:])
    return date(year, number, calendar.monthrange(year, number)[1])


def _unsaid(slices: Mapping[Slice, Sequence[Episode]]) -> dict[Slice, dict[CountLevel, Unsaid]]:
    """What is not shown of each slice. A level is not shown either where one that it tells of is not (RESTS_ON).

    So what the levels of one slice say together is a count of the last of them, and each count of a withheld level can
    be another one, with people moved between its counts so that every level shown stays as it is.
    """
    months, groups = sorted({one.month for one in slices}), sorted({(one.by, one.group) for one in slices})
    sums = [(Slice(ALL_MONTHS, *group), *(Slice(month, *group) for month in months if month)) for group in groups]
    for by in sorted({by for by, _ in groups if by}):
        sums += [(Slice(month), *(Slice(month, *group) for group in groups if group[0] == by)) for month in months]
    found: dict[Slice, dict[CountLevel, Unsaid]] = {one: {} for one in slices}
    for level in CountLevel:
        cells = {one: _parts(level, own) for one, own in slices.items()}
        also = {one for one, levels in found.items() if levels.keys() & RESTS_ON[level]}
        for one, why in withheld(cells, sums, nobody_is_small=NOBODY_IS_SMALL[level], also=also).items():
            found[one][level] = why
    return found


def _parts(level: CountLevel, episodes: Sequence[Episode]) -> Parts:
    def people(
        *, flagged: bool | None = None, positive: Collection[bool | None] = (True, False, None)
    ) -> frozenset[str]:
        return frozenset(one.patient for one in episodes if flagged in (None, one.flagged) and one.positive in positive)

    match level:
        case CountLevel.PEOPLE:
            return (people(),)
        case CountLevel.FLAGGED:
            return (people(flagged=True), people(flagged=False))
        case CountLevel.KNOWN:
            return (people(positive=(True, False)), people(positive=(None,)))
        case CountLevel.OUTCOME:
            return tuple(people(positive=(positive,)) for positive in (True, False, None))
        case CountLevel.DECISION:
            return tuple(
                people(flagged=flagged, positive=(positive,))
                for positive in (True, False, None)
                for flagged in (True, False)
            )


def _group(
    of: Slice,
    episodes: Sequence[Episode],
    unsaid: Mapping[Slice, Mapping[CountLevel, Unsaid]],
    threshold: float | None,
    weigh: Weigh | None,
) -> GroupFigures:
    hidden = unsaid[of]
    n, people = len(episodes), [one.patient for one in episodes]
    flagged, known = (np.array([test(one) for one in episodes], dtype=float) for test in (_is_flagged, _is_known))
    measured = [one for one in episodes if one.positive is not None]
    found = GroupFigures(by=of.by, group=of.group, unsaid=hidden)
    if CountLevel.PEOPLE not in hidden:
        found = replace(found, people=len({*people}), episodes=n)
    if CountLevel.FLAGGED not in hidden:
        found = replace(
            found, flagged=int(flagged.sum()), flag_rate=_estimate(clustered.share(flagged, np.ones(n), people))
        )
    if CountLevel.KNOWN not in hidden:
        share = _estimate(clustered.share(known, np.ones(n), people))
        found = replace(found, measured=len(measured), share_measured=share)
    if CountLevel.OUTCOME not in hidden:
        weighted = _weighted(episodes, hidden, threshold, weigh) if weigh else None
        found = replace(
            found, positive=sum(one.positive is True for one in measured),
            expected=round(sum(one.probability for one in measured), 1),
            observed=_observed(measured, hidden, threshold), weighted=weighted,
        )  # fmt: skip
    return found


def _is_flagged(episode: Episode) -> bool:
    return episode.flagged


def _is_known(episode: Episode) -> bool:
    return episode.positive is not None


def _observed(measured: Sequence[Episode], hidden: Collection[CountLevel], threshold: float | None) -> OutcomeFigures:
    flagged, y = np.array([one.flagged for one in measured]), np.array([float(bool(one.positive)) for one in measured])
    people = [one.patient for one in measured]
    figures: dict[str, Any] = {
        **clustered.outcome_figures(_log_odds(measured), y, people),
        "ppv": clustered.share(y * flagged, flagged.astype(float), people),
        "sensitivity": clustered.share(y * flagged, y, people),
    }
    if threshold is not None and all(_is_of(one, threshold) for one in measured):
        for name, whom in (("model", flagged), ("everyone", np.ones_like(flagged))):
            figures[name] = {"value": round(metrics.net_benefit(whom, y, threshold), 5)}
    return _outcome_figures(figures, hidden)


def _is_of(episode: Episode, threshold: float) -> bool:
    """Whether its flag is that of this threshold, as far as the recorded estimate tells."""
    return abs(episode.probability - threshold) < ROUNDED or episode.flagged is (episode.probability > threshold)


def _weighted(
    episodes: Sequence[Episode], hidden: Collection[CountLevel], threshold: float | None, weigh: Weigh
) -> OutcomeFigures | None:
    outcome = np.array([np.nan if one.positive is None else float(one.positive) for one in episodes])
    figures = weigh(
        _log_odds(episodes), outcome, np.array([one.flagged for one in episodes]),
        [one.patient for one in episodes],
        [[one.sex for one in episodes], [one.age_band for one in episodes], [str(one.shown) for one in episodes]],
        threshold if threshold and all(_is_of(one, threshold) for one in episodes) else None,
    )  # fmt: skip
    return None if figures is None else _outcome_figures(figures, hidden)


def _outcome_figures(figures: Mapping[str, Any], hidden: Collection[CountLevel]) -> OutcomeFigures:
    """Without those whose level is withheld."""
    found = OutcomeFigures(
        auroc=_estimate(figures["auroc"]),
        slope=_estimate(figures["slope"]),
        o_e=_estimate(figures["o_e"]),
        everyone=figures.get("everyone", NOTHING)["value"],
    )
    if CountLevel.DECISION in hidden:
        return found
    return replace(
        found,
        ppv=_estimate(figures["ppv"]),
        sensitivity=_estimate(figures["sensitivity"]),
        model=figures.get("model", NOTHING)["value"],
    )


def _estimate(figure: Mapping[str, float | None] | None) -> SiteEstimate | None:
    if figure is None or figure["value"] is None:
        return None
    return SiteEstimate(value=figure["value"], low=figure["low"], high=figure["high"])


def _log_odds(episodes: Sequence[Episode]) -> np.ndarray[Any, np.dtype[np.float64]]:
    estimates = np.clip([one.probability for one in episodes], 1e-9, 1 - 1e-9)
    found: np.ndarray[Any, np.dtype[np.float64]] = np.log(estimates / (1 - estimates))
    return found
