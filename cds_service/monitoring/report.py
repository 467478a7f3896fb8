"""The report on a site's models as one HTML file without anything from elsewhere: for a board, with tables for others.

Values are judged here; what they mean in words is in the template. What has fewer than eleven people is in none of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

import jinja2
from markupsafe import Markup

from cds_service.burden.figures import CardFigures, Durations
from cds_service.monitoring.costs import Costs
from cds_service.monitoring.criteria import ModelCriteria
from cds_service.monitoring.episodes import LEAST_PEOPLE
from cds_service.monitoring.experience import Experience
from cds_service.monitoring.site_figures import (
    ALL_MONTHS,
    SCORE_EDGES,
    CountLevel,
    GroupFigures,
    OutcomeFigures,
    SiteEstimate,
    SiteFigures,
    Unsaid,
)
from explanations.pictures.small_plots import hundred, interval
from smart_launch.chart.opinions import NEAR_MISS

FITS = (0.8, 1.25)
"""Observed over expected within which a level is said to fit: a fifth of the people expected, either way."""
LEAST_ASKED = 0.5
O_E_ENDS = (math.log(0.25), math.log(4))


class LevelVerdict(StrEnum):
    """What observed over expected says of a model's level at a site."""

    FITS = "fits"
    UNSURE = "unsure"  # compatible with a level that fits, and with one that is off by more than a fifth
    TOO_LOW = "too-low"
    TOO_HIGH = "too-high"
    FEW_ASKED = "few-asked"  # it says something of those asked, and they are too few to stand for everybody
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedModel:
    """A version: all months together, each month, its mode if one was set, and the AUROC in the survey."""

    together: SiteFigures
    months: tuple[SiteFigures, ...] = ()
    mode: str = ""
    survey: SiteEstimate | None = None

    @property
    def ident(self) -> str:
        """Unique on the page."""
        return f"{self.together.outcome}-{self.together.version}".replace(".", "-")

    @property
    def criteria(self) -> ModelCriteria | None:
        """By the approval in force, if there is one."""
        return next(iter(self.together.criteria), None)

    @property
    def level(self) -> LevelVerdict:
        """Of everybody with an estimate: clinics ask those they worry about, so of few asked nothing follows."""
        everyone = self.together.everyone
        asked, seen = everyone.share_measured, level(everyone.observed.o_e)
        if seen in (LevelVerdict.UNKNOWN, LevelVerdict.UNSURE):
            return seen
        weighted = level(everyone.weighted.o_e) if everyone.weighted else seen
        is_enough = asked is not None and asked.value >= LEAST_ASKED
        return seen if is_enough and weighted in (seen, LevelVerdict.UNKNOWN) else LevelVerdict.FEW_ASKED

    @property
    def unlike(self) -> tuple[GroupFigures, ...]:
        """Groups whose interval does not hold everybody's level."""
        everyone = self.together.everyone.observed.o_e
        return tuple(group for group in self.together.groups if differs(group.observed.o_e, everyone))

    @property
    def withheld(self) -> Mapping[Unsaid, int]:
        """Why -> levels of groups and months that are not shown."""
        cells = (self.together.everyone, *self.together.groups)
        monthly = (each for month in self.months for each in (month.everyone, *month.groups))
        return Counter(why for cell in (*cells, *monthly) for why in cell.unsaid.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReport:
    """All that is reported of a site. first, last: days that it is about. trials: the names of those under way."""

    site: str
    at: datetime
    first: date
    last: date
    outcome_days: int
    models: tuple[ReportedModel, ...]
    experience: Experience
    costs: Costs
    cards: Sequence[CardFigures] = ()
    trials: tuple[str, ...] = ()
    groups_recorded: tuple[str, ...] = ()

    @property
    def near_misses(self) -> int:
        """Reported in the app."""
        return self.experience.votes.get(NEAR_MISS, 0)


def reported_models(
    rows: Sequence[SiteFigures],
    modes: Mapping[tuple[str, str], str] = {},  # never changed
    survey: Mapping[tuple[str, str], SiteEstimate] = {},  # never changed
) -> tuple[ReportedModel, ...]:
    """Rows of one site by version, in their order. modes, survey: (outcome, version) -> what is known of it."""
    found = []
    for together in (row for row in rows if row.month == ALL_MONTHS):
        key = together.outcome, together.version
        months = sorted((r for r in rows if r.month and (r.outcome, r.version) == key), key=lambda row: row.month)
        mode = modes.get(key, "")
        found.append(ReportedModel(together=together, months=tuple(months), mode=mode, survey=survey.get(key)))
    return tuple(found)


def level(o_e: SiteEstimate | None) -> LevelVerdict:
    """The verdict of a ratio with its interval."""
    if o_e is None or o_e.low is None or o_e.high is None:
        return LevelVerdict.UNKNOWN
    if o_e.low > 1:
        return LevelVerdict.TOO_LOW
    if o_e.high < 1:
        return LevelVerdict.TOO_HIGH
    return LevelVerdict.FITS if o_e.low >= FITS[0] and o_e.high <= FITS[1] else LevelVerdict.UNSURE


def differs(group: SiteEstimate | None, everyone: SiteEstimate | None) -> bool:
    """Whether everybody's figure lies outside a group's interval."""
    if group is None or everyone is None or group.low is None or group.high is None:
        return False
    return not group.low <= everyone.value <= group.high


def about(count: int | None) -> str:
    """A count as it may leave: to the nearest ten, none of fewer than eleven."""
    if count is None:
        return "withheld"
    if count == 0:
        return "none"
    return (
        f"fewer than {LEAST_PEOPLE}"
        if count < LEAST_PEOPLE
        else f"about {(count + 5) // 10 * 10:,}".replace(",", "\N{NO-BREAK SPACE}")
    )


def ratio(found: SiteEstimate | None) -> str:
    """Such as `1.12 (0.95 to 1.31)`."""
    return "–" if found is None else f"{found.value:.2f}" + _between(found, "{:.2f}")


def of_100(found: SiteEstimate | None) -> str:
    """A share, such as `31 of 100 (25 to 38)`."""
    if found is None:
        return "–"
    times = SiteEstimate(
        value=100 * found.value,
        low=None if found.low is None else 100 * found.low,
        high=None if found.high is None else 100 * found.high,
    )
    return f"{times.value:.0f} of 100" + _between(times, "{:.0f}")


def _between(found: SiteEstimate, form: str) -> str:
    if found.low is None or found.high is None:
        return ""
    return f" ({form.format(found.low)} to {form.format(found.high)})"


def o_e_picture(found: SiteEstimate | None) -> Markup:
    """Observed over expected on a logarithmic axis from a quarter to four times."""
    if found is None or found.low is None or found.high is None or min(found.value, found.low) <= 0:
        return Markup()
    value, low, high = (math.log(end) for end in (found.value, found.low, found.high))
    return Markup(interval(value, low, high, O_E_ENDS, even=0.0))  # noqa: S704  # our own SVG, of numbers alone


def people_picture(found: SiteEstimate, ident: str, title: str, finding: str) -> Markup:
    """A share as people of a hundred: solid for the figure, striped up to the upper end of its interval."""
    solid, upper = round(100 * found.value), round(100 * (found.high or found.value))
    return Markup(hundred(solid, max(solid, upper), ident, title, finding, columns=10))  # noqa: S704  # as above


def report_page(report: SiteReport) -> str:
    """The HTML, complete."""
    templates = jinja2.FileSystemLoader(Path(__file__).parents[1] / "templates")
    environment = jinja2.Environment(loader=templates, autoescape=True, undefined=jinja2.StrictUndefined)
    filters: Mapping[str, Callable[..., object]] = {
        "about": about, "ratio": ratio, "of_100": of_100, "o_e_picture": o_e_picture, "day": _day, "month": _month,
        "minutes": minutes, "band": _band,
    }  # fmt: skip
    environment.filters.update(filters)
    cards = Counter[str]()
    reasons = Counter[str](report.experience.reasons)
    for cell in report.cards:
        cards.update({name: getattr(cell, name) for name in ("shown", "accepted", "overridden", "ignored")})
        cards["held_back"] += sum(cell.held_back.values())
        reasons.update(cell.reasons)
    return environment.get_template("site_report.html").render(
        report=report,
        cards=cards,
        reasons=reasons.most_common(),
        people_picture=people_picture,
        differs=differs,
        no_figures=OutcomeFigures(),
        levels=tuple(CountLevel),
        edges=SCORE_EDGES,
        release=version("mental-health-cds"),
    )


def minutes(found: Durations | None) -> str:
    """A median in minutes, or hours from two hours on."""
    if found is None or not found.n:
        return "not measured here"
    if found.n < LEAST_PEOPLE or found.median is None:
        return f"fewer than {LEAST_PEOPLE} cases"
    return f"{found.median:.0f} min" if found.median < 120 else f"{found.median / 60:.0f} h"


def _day(moment: date) -> str:
    return f"{moment.day} {moment:%B %Y}"


def _month(month: str) -> str:
    return f"{date.fromisoformat(f'{month}-01'):%b %Y}"


def _band(number: int) -> str:
    """The ends of a bin of estimates, as people of a hundred."""
    ends = (0.0, *SCORE_EDGES, 1.0)
    return f"{100 * ends[number]:.1f} to {100 * ends[number + 1]:.1f}"
