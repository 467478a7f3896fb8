"""A trial as one tidy table, a row an episode, with a dictionary of its columns. Pure.

Whoever was assigned stands there under a pseudonym of the export alone: without the deployment's key nobody can tell
which rows of the store it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime

from cds_service.monitoring.episodes import Episode
from cds_service.settings.trials import Trial

ACTED_DAYS, PERIOD_DAYS = 7, 28
COLUMNS = {
    "trial": "id of the trial",
    "protocol_version": "version of the protocol when the episode began",
    "site": "id of the site",
    "model_version": "version of the model that scored",
    "cluster": "whose episodes resemble each other: the clinic of a stepped wedge, else what was assigned",
    "period": f"stepped wedge: how many steps had been made; else how many times {PERIOD_DAYS} days had passed; from 0",
    "unit": "what was assigned: the clinic of a stepped wedge, else a pseudonym made for this export",
    "person": "whose episode it is: a pseudonym made for this export; of each person the first episode counts",
    "stratum": "stepped wedge: the day from which the clinic is live; else the clinic within which was drawn, or empty",
    "arm": "live or silent, as assigned, when the episode began",
    "exposed": "1: an estimate of the episode was shown to somebody; 0: none was",
    "flagged": "1: its first score was at or above the site's threshold; in both arms, shown or not",
    "complete": "1: the site's outcome window had passed when this was written; 0: outcomes may still come",
    "outcome_measured": "1: a result that says whether the outcome was there was answered within the window",
    "positive": "1: the outcome was there; 0: it was not; empty: not measured",
    "acted_within_7_days": f"1: such a result was answered within {ACTED_DAYS} days of the first score; 0: none was",
    "day": "days from the trial's first day to the episode's first score",
    "exposed_day": "to the first estimate shown; empty: none",
    "measured_day": "to the result; empty: none",
}


def trial_rows(
    trial: Trial, episodes: Iterable[Episode], pseudonym: Callable[[str], str], day_of: Callable[[datetime], date]
) -> Iterator[dict[str, str]]:
    """The rows, by day. pseudonym: of the export, from that of the store; day_of: by the site's calendar."""
    own = [
        (day_of(episode.at), episode)
        for episode in episodes
        if episode.exposure
        and (episode.exposure.trial, episode.site, episode.outcome) == (trial.id, trial.site, trial.outcome)
    ]
    for day, episode in sorted(own, key=lambda pair: pair[0]):
        exposure = episode.exposure
        if exposure is None:
            continue
        unit = exposure.unit if trial.is_wedge else pseudonym(exposure.unit)
        began = (day - trial.begins).days
        measured = (day_of(episode.measured) - day).days if episode.measured else None
        yield {
            "trial": trial.id,
            "protocol_version": exposure.version,
            "site": episode.site,
            "model_version": episode.version,
            "cluster": unit,
            "period": str(sum(step <= day for step in trial.steps) if trial.is_wedge else began // PERIOD_DAYS),
            "unit": unit,
            "person": pseudonym(episode.patient),
            "stratum": exposure.stratum,
            "arm": exposure.arm,
            "exposed": _said(episode.shown),
            "flagged": _said(episode.flagged),
            "complete": _said(episode.over),
            "outcome_measured": _said(episode.positive is not None),
            "positive": "" if episode.positive is None else _said(episode.positive),
            "acted_within_7_days": _said(measured is not None and measured <= ACTED_DAYS),
            "day": str(began),
            "exposed_day": str((day_of(episode.seen) - trial.begins).days) if episode.seen else "",
            "measured_day": "" if measured is None else str(began + measured),
        }


def _said(yes: bool) -> str:
    return "1" if yes else "0"
