"""What a site's own outcomes say of a version of a model: values, and the table in which the daily job leaves them.

Nothing here is of fewer than eleven people, nor can it be had by subtraction (`suppression`). docs/monitoring.md
defines each figure. Workers read the table; only the daily job computes (`counting`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from cds_service.burden.figures import Durations
from cds_service.monitoring.criteria import ModelCriteria
from cds_service.storage.store import Store
from cds_service.storage.tables import site_figure

ALL_MONTHS = ""
SCORE_EDGES = (0.01, 0.02, 0.03, 0.05, 0.075, 0.10, 0.15, 0.25, 0.40)
"""Upper ends of the ten bins of estimates, as probabilities, but of the last; the same everywhere, to be added up."""


class CountLevel(StrEnum):
    """What figures rest on; a level is shown whole or not at all."""

    PEOPLE = "people"
    FLAGGED = "flagged"
    KNOWN = "known"
    OUTCOME = "outcome"
    DECISION = "decision"


class Unsaid(StrEnum):
    """Why a level is not shown: too few people to say it of them; or it would give away such a group by subtraction."""

    SMALL = "small"
    SUBTRACTION = "subtraction"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteEstimate:
    """A figure with its 95 % interval, None where there is none for it."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeFigures:
    """Of those with an outcome; None where it cannot be computed, or its level is not shown.

    auroc, slope, o_e (observed over expected): level OUTCOME, as is everyone (net benefit of flagging all, per person).
    ppv, sensitivity, model (net benefit of the flags): level DECISION, at the threshold in force at the score.
    """

    auroc: SiteEstimate | None = None
    slope: SiteEstimate | None = None
    o_e: SiteEstimate | None = None
    ppv: SiteEstimate | None = None
    sensitivity: SiteEstimate | None = None
    model: float | None = None
    everyone: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFigures:
    """A group of people; by, group: such as `sex` and `female`, both empty for all.

    people, episodes (all those whose window is over): level PEOPLE. flagged, flag_rate: level FLAGGED. measured (those
    with an outcome), share_measured: level KNOWN. positive, expected (the sum of the estimates of those measured):
    level OUTCOME. observed: of those measured. weighted: the same, weighted by the inverse of the probability of having
    an outcome; None where that was not computed. unsaid: the levels that are not shown, and why.
    """

    by: str = ""
    group: str = ""
    people: int | None = None
    episodes: int | None = None
    flagged: int | None = None
    flag_rate: SiteEstimate | None = None
    measured: int | None = None
    share_measured: SiteEstimate | None = None
    positive: int | None = None
    expected: float | None = None
    observed: OutcomeFigures = OutcomeFigures()
    weighted: OutcomeFigures | None = None
    unsaid: Mapping[CountLevel, Unsaid] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFigures:
    """One input: share of people with a known value here and in training; PSI, with at least 100 known.

    known: None where the known or the unknown are a small cell. unlike: as in `models.evaluation.drift`.
    """

    name: str
    known_in_training: float
    known: float | None = None
    psi: float | None = None
    unlike: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFigures:
    """A version at a site in a month (`2026-11`), or in all months together (month is empty), from since to last.

    since, last: the first day, and the last day, by the site's calendar. threshold: the one now in force. score_bins:
    episodes by the ten bins of SCORE_EDGES; None: withheld. not_scored: reason -> answers that gave no estimate (of
    every version); None: withheld. to_act: from a prompt of any model to something done; None: withheld, or nothing
    was done about any. inputs: empty where the version's reference is not to be had. criteria: those of the approvals
    that name the version, with all months.
    """

    site: str
    outcome: str
    version: str
    month: str
    since: date
    last: date
    at: datetime
    threshold: float | None = None
    everyone: GroupFigures = GroupFigures()
    groups: tuple[GroupFigures, ...] = ()
    score_bins: tuple[int | None, ...] = ()
    not_scored: Mapping[str, int | None] = field(default_factory=dict)
    to_act: Durations | None = None
    inputs: tuple[InputFigures, ...] = ()
    criteria: tuple[ModelCriteria, ...] = ()

    @property
    def largest_psi(self) -> float | None:
        """Of the inputs that have one."""
        return max((one.psi for one in self.inputs if one.psi is not None), default=None)


def write_figures(store: Store, site: str, rows: Iterable[SiteFigures]) -> None:
    """Replaces all of a site's figures. Raises StoreUnavailable."""
    values = [
        {"site": site, "outcome": row.outcome, "version": row.version, "month": row.month, "at": row.at.isoformat(),
         "figures": msgspec.to_builtins(row)}
        for row in rows
    ]  # fmt: skip
    with store.transaction() as connection:
        connection.execute(sa.delete(site_figure).where(site_figure.c.site == site))
        if values:
            connection.execute(sa.insert(site_figure), values)


def read_figures(store: Store, site: str | None = None, *, months: bool = True) -> tuple[SiteFigures, ...]:
    """By site, outcome, version and month, all months together first; without `months` these alone.

    Raises StoreUnavailable.
    """
    c = site_figure.c
    wanted = sa.select(c.figures).where(sa.true() if site is None else c.site == site)
    wanted = wanted if months else wanted.where(c.month == ALL_MONTHS)
    with store.transaction() as connection:
        rows = connection.scalars(wanted.order_by(c.site, c.outcome, c.version, c.month)).all()
    return tuple(row for row in map(_readable, rows) if row is not None)


def forget_others(store: Store, sites: Collection[str]) -> None:
    """Deletes the figures of sites that have left the settings. Raises StoreUnavailable."""
    with store.transaction() as connection:
        connection.execute(sa.delete(site_figure).where(site_figure.c.site.not_in([*sites])))


def _readable(figures: object) -> SiteFigures | None:
    """None for figures of another release, which the next daily look replaces: nothing else may fail with them."""
    try:
        return msgspec.convert(figures, SiteFigures)
    except msgspec.ValidationError:
        return None
