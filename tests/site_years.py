"""Simulated site-years: what the criteria said and when, and how often they were wrong, beside other ways to look daily.

    PYTHONPATH=.:tests .venv/bin/python tests/site_years.py --write        # docs/generated/site-years.md

Episodes are made with a truth that is known, and judged by the functions that serve the daily job. The comparison of
methods draws streams of yes and no.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from statistics import NormalDist, median
from typing import Any

import numpy as np

from cds_service.monitoring.criteria import CriterionState, Watched, evaluated
from cds_service.monitoring.episodes import Episode
from cds_service.settings.approvals import Approval, Criterion, Measure, Use
from models.evaluation.metrics import observed_over_expected
from models.evaluation.sequential import error_of, log_e_values, share_bets
from models.evaluation.weighting import weighted_figures

PAGE = Path(__file__).parents[1] / "docs" / "generated" / "site-years.md"
YEARS, PEOPLE, DAYS = 100, 2500, 90
STREAMS, A_DAY = 2000, 4
BEGINS, ENDS = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 20, tzinfo=UTC)


def criterion(measure: Measure, comparison: Any, value: float) -> Criterion:
    return Criterion(measure=measure, comparison=comparison, value=value, least_n=50, window_days=DAYS, text="-")


APPROVAL = Approval(
    id="a", version="1", sites=("north",), services=(), owner="-", clinical_safety_officer="-",
    approved_on=BEGINS.date(), review_by=date(2027, 12, 31), uses=(Use.LIVE,), models=(),
    success=(criterion(Measure.POSITIVE_PREDICTIVE_VALUE, "at-least", 0.2),),
    exits=(
        criterion(Measure.OBSERVED_TO_EXPECTED, "at-least", 1.25),
        criterion(Measure.OBSERVED_TO_EXPECTED, "at-most", 0.8),
        criterion(Measure.POSITIVE_PREDICTIVE_VALUE, "at-most", 0.15),
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """says: in a sentence. level: added to the true log-odds, drift: more each month, group: to one person in eight.

    slope: of the true log-odds on those of the estimates. by_score, by_outcome: how many times as many are asked per
    unit of log-odds, and of those with the outcome. sooner: whether these answer within three days, others after five.
    """

    says: str
    level: float = 0.0
    drift: float = 0.0
    group: float = 0.0
    slope: float = 1.0
    by_score: float = 1.0
    by_outcome: float = 1.0
    sooner: bool = False


SCENARIOS = {
    "calibrated": Scenario(says="estimates are right; 40 % have an outcome, at random"),
    "calibrated, answers at odds": Scenario(
        says="right; with the outcome people answer within three days, the others after five", sooner=True
    ),
    "calibrated, asked by score": Scenario(says="right; the higher the estimate, the more are asked", by_score=1.5),
    "calibrated, asked by outcome": Scenario(
        says="right; of those with the outcome twice as many are asked", by_outcome=2.0
    ),
    "drifting": Scenario(says="right in January, then each month a tenth added to the log-odds", drift=0.1),
    "higher level": Scenario(says="the clinic's odds are twice those of the survey", level=0.7),
    "lower level": Scenario(says="they are half of them", level=-0.7),
    "a biased group": Scenario(says="right, but for one person in eight the odds are three times as high", group=1.1),
    "too extreme": Scenario(says="slope 0.5, the level right", slope=0.5, level=0.42),
}
MEAN, SPREAD, SHARE, IN_EIGHT = -2.6, 1.2, 0.4, 0.12


@dataclass(frozen=True, kw_only=True)
class MadeYear:
    """A site-year. true: observed over expected of everybody, which no site knows."""

    episodes: tuple[Episode, ...]
    true: float


def year(name: str, seed: int) -> MadeYear:
    """The episodes of a site-year, evenly over its days."""
    one, draw = SCENARIOS[name], np.random.default_rng(seed)
    log_odds = draw.normal(MEAN, SPREAD, PEOPLE)
    days = np.linspace(0, 364.9, PEOPLE)
    group = draw.random(PEOPLE) < IN_EIGHT
    shift = one.level + one.drift * (days // 30.5) + one.group * group
    positive = draw.random(PEOPLE) < _sigmoid(MEAN + one.slope * (log_odds - MEAN) + shift)
    asked = SHARE * one.by_score ** (log_odds - MEAN) * np.where(positive, one.by_outcome, 1.0)
    known = draw.random(PEOPLE) < np.minimum(asked, 0.98)
    lag = np.where(positive, draw.uniform(0, 3, PEOPLE), draw.uniform(5, 14, PEOPLE))
    lag = lag if one.sooner else draw.uniform(0, 14, PEOPLE)
    estimates, sexes = _sigmoid(log_odds), draw.choice(["female", "male"], PEOPLE)
    made = []
    for number in range(PEOPLE):
        at = BEGINS + timedelta(days=float(days[number]))
        answered = at + timedelta(days=float(lag[number])) if known[number] else None
        made.append(
            Episode(
                site="north", outcome="depression", version="3.0.0", patient=f"p{number}", at=at, month=f"{at:%Y-%m}",
                probability=float(estimates[number]), flagged=bool(estimates[number] >= 0.2), shown=False,
                sex=str(sexes[number]), groups={"language": "es" if group[number] else "en"},
                positive=bool(positive[number]) if known[number] else None, measured=answered, known=answered,
            )
        )  # fmt: skip
    return MadeYear(episodes=tuple(made), true=float(positive.sum() / estimates.sum()))


def _sigmoid(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-log_odds))


def said(found: Iterable[Episode], now: datetime = ENDS) -> tuple[CriterionState, ...]:
    """What the daily job knew in the end: a criterion once decided stays so."""
    return evaluated(APPROVAL, Watched(episodes=tuple(found)), BEGINS, now)


# ---- how often, in a hundred site-years of each kind --------------------------------------------------------------------


LENGTHS = (30, 90, 180, 365)


def lengths_table() -> list[str]:
    """By length of the window, how many site-years with a level that is too high or too low were stopped by O/E."""
    kinds = ("calibrated", "higher level", "lower level")
    found = {kind: [Watched(episodes=year(kind, seed).episodes) for seed in range(YEARS)] for kind in kinds}
    rows = []
    for days in LENGTHS:
        above, below = (replace(one, window_days=days) for one in APPROVAL.exits[:2])
        both = replace(APPROVAL, success=(), exits=(above, below))
        cells = [_stopped([evaluated(both, watched, BEGINS, ENDS) for watched in found[kind]]) for kind in kinds]
        rows.append(f"| {days} | {1 / error_of(days):.0f} | " + " | ".join(cells) + " |")
    return rows


def _stopped(years: list[tuple[CriterionState, ...]]) -> str:
    firsts = [min((s for s in states if s.decided), key=lambda s: s.decided, default=states[0]) for states in years]
    return _times(firsts)


def years_table() -> list[str]:
    rows = []
    for name in SCENARIOS:
        results = [said(year(name, seed).episodes) for seed in range(YEARS)]
        cells = [_times([states[index] for states in results]) for index in range(len(results[0]))]
        rows.append(f"| {name} | " + " | ".join(cells[index] for index in (1, 2, 3, 0)) + " |")
    return rows


def _times(states: list[CriterionState]) -> str:
    """Of how many years, and after how many days in the median."""
    when = [(state.decided - BEGINS).days for state in states if state.decided]
    return f"{len(when)} (day {median(when):.0f})" if when else "0"


# ---- one year of each kind, as the monitor told it ----------------------------------------------------------------


def timeline() -> str:
    """One site-year of each kind: the figures in the end, and each criterion with the day on which it was decided."""
    rows = []
    for name in SCENARIOS:
        made = year(name, seed=1000)
        measured = [one for one in made.episodes if one.positive is not None]
        group = [one for one in measured if one.groups["language"] == "es"]
        rows.append(
            f"| {name} | {made.true:.2f} | {len(measured):,} of {PEOPLE:,} | {_ratio(measured)} | "
            f"{_weighted(made.episodes):.2f} | {_ratio(group)} | {'; '.join(_events(said(made.episodes)))} |"
        )
    return "\n".join(rows)


def _ratio(found: list[Episode]) -> str:
    estimates, outcomes = (np.array([value(one) for one in found], float) for value in (_estimate, _outcome))
    ratio = observed_over_expected(estimates, outcomes)
    return "{value:.2f} ({low:.2f}-{high:.2f})".format(**ratio)


def _estimate(one: Episode) -> float:
    return one.probability


def _outcome(one: Episode) -> float:
    return np.nan if one.positive is None else one.positive


def _weighted(found: Iterable[Episode]) -> float:
    """By the inverse of the chance of having an outcome, without an interval, which would take a minute."""
    whole = list(found)
    estimates, outcomes = (np.array([value(one) for one in whole], float) for value in (_estimate, _outcome))
    flagged, people = np.array([one.flagged for one in whole]), [one.patient for one in whole]
    log_odds, sexes = np.log(estimates / (1 - estimates)), [one.sex for one in whole]
    made = weighted_figures(log_odds, outcomes, flagged, people, [sexes], None, repeats=2)
    return made["o_e"]["value"] if made and made["o_e"]["value"] else float("nan")


def _events(states: Iterable[CriterionState]) -> list[str]:
    names = ["met: PPV above 0.2", "exit: O/E above 1.25", "exit: O/E below 0.8", "exit: PPV below 0.15"]
    decided = [
        (state.decided, f"{state.decided:%d %B}, {what} ({state.figure:.2f}, n {state.n})")
        for state, what in zip(states, names, strict=True)
        if state.decided
    ]
    return [words for _, words in sorted(decided)] or ["nothing"]


# ---- other ways to look every day ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Method:
    """past: whether each stream is found past the limit at each evening; hits per evening: shape (streams, DAYS)."""

    name: str
    past: Callable[[np.ndarray, int], np.ndarray]


LIMIT = 0.6


def _z(hits: np.ndarray, a_day: int) -> np.ndarray:
    n = a_day * np.arange(1, hits.shape[1] + 1)
    return (np.cumsum(hits, axis=1) - LIMIT * n) / np.sqrt(n * LIMIT * (1 - LIMIT))


def _fixed(error: float) -> Callable[[np.ndarray, int], np.ndarray]:
    return lambda hits, a_day: _z(hits, a_day) >= NormalDist().inv_cdf(1 - error)


@cache
def _o_brien_fleming() -> float:
    """The constant whose bound, over the root of the information, is crossed in a window as often as may be."""
    steps = np.random.default_rng(11).normal(size=(40_000, DAYS)) / np.sqrt(DAYS)
    return float(np.quantile(np.cumsum(steps, axis=1).max(axis=1), 1 - error_of(DAYS)))


def _spending(hits: np.ndarray, a_day: int) -> np.ndarray:
    share = a_day * np.arange(1, hits.shape[1] + 1) / (A_DAY * DAYS)
    return _z(hits, a_day) >= _o_brien_fleming() / np.sqrt(share)


def _betting(hits: np.ndarray, a_day: int) -> np.ndarray:
    """An evening's cases one by one: their order does not matter to the e-value at the evening."""
    single = (np.arange(a_day) < hits[..., None]).reshape(hits.shape[0], -1)
    path = log_e_values(single, np.asarray(LIMIT), share_bets(LIMIT, above=True))
    return path[:, a_day - 1 :: a_day] >= -np.log(error_of(DAYS))


METHODS = (
    Method(name="a fixed-sample test (5 %) each evening", past=_fixed(0.05)),
    Method(name="the same, once at the end of a window", past=lambda hits, a_day: _at_end(_fixed(0.05)(hits, a_day))),
    Method(name="Bonferroni over the evenings of a year", past=_fixed(0.05 / 365)),
    Method(name="O'Brien-Fleming bounds for a planned window", past=_spending),
    Method(name="**e-values** (what the service does)", past=_betting),
)


def _at_end(past: np.ndarray) -> np.ndarray:
    past = past.copy()
    past[:, :-1] = False
    return past


def methods_table() -> list[str]:
    """Per method: false alarms a year at the limit, then the share of windows with a departure found, and when."""
    rows = []
    for method in METHODS:
        usual, twice = (_share(method, LIMIT, a_day)[0] * 365 / DAYS for a_day in (A_DAY, 2 * A_DAY))
        found = [_share(method, true, A_DAY) for true in (0.68, 0.75, 0.85)]
        cells = [f"{share:.0%} (day {day})" if share else "0" for share, day in found]
        rows.append(f"| {method.name} | {usual:.2f} | {twice:.2f} | " + " | ".join(cells) + " |")
    return rows


def _share(method: Method, true: float, a_day: int) -> tuple[float, int]:
    generator = np.random.default_rng(int(100 * true) + a_day)
    past = method.past(generator.binomial(a_day, true, size=(STREAMS, DAYS)), a_day)
    found = past.any(axis=1)
    return float(found.mean()), int(np.median(past[found].argmax(axis=1)) + 1) if found.any() else 0


# ---- the page -----------------------------------------------------------------------------------------------------


def page() -> str:
    """docs/generated/site-years.md."""
    kinds = "\n".join(f"| {name} | {one.says} |" for name, one in SCENARIOS.items())
    return WORDS.format(
        kinds=kinds, years="\n".join(years_table()), timeline=timeline(), lengths="\n".join(lengths_table()), methods="\n".join(methods_table()),
        count=YEARS, people=PEOPLE, days=DAYS, streams=STREAMS, a_day=A_DAY, allowed=1 / error_of(DAYS),
        error=error_of(DAYS), limit=LIMIT,
    )  # fmt: skip


WORDS = """\
# What the criteria say and when: simulated site-years

*Generated by `make site-years`: change what it is made from (`tests/site_years.py`), not this page.*

For whoever writes the success and exit criteria of an approval ([governance.md](../governance.md)). A reference. **The
years are made up**: they show what the monitor does when the truth is known, not what a clinic will see. A year has
{people:,} scored people, about 11 % of them with the outcome, and (but where people are asked by outcome) about 40 % with an
outcome on record within 14 days. Each criterion needs 50 cases and looks at windows of {days} days; it decides once the
e-value is {allowed:.0f}, so that the windows of a year decide falsely once in about twenty years
([decision 0058](../decisions/0058-criteria-that-act.md)).

| kind of year | what is true |
|:--|:--|
{kinds}

## Of {count} site-years, how many were stopped or might be promoted

In brackets the day of the year on which it was decided, in the median.

| kind of year | exit: O/E above 1.25 | exit: O/E below 0.8 | exit: PPV below 0.15 | success: PPV above 0.2 |
|:--|--:|--:|--:|--:|
{years}

## How long a window

A window begins with nothing, and the shorter it is the more evidence it needs, since a year has more of them. How many of
{count} site-years were stopped by one of the two criteria on O/E:

| window, days | e-value needed | calibrated | higher level | lower level |
|--:|--:|--:|--:|--:|
{lengths}

Where outcomes are few, write windows of half a year or a year: a short one is for what must be seen in weeks, and only a
large departure can be.

## One year of each kind, as it was told

Observed over expected (O/E) of the whole year: of everybody, which no site knows; of those with an outcome; the same
weighted by the inverse of the chance of having one; of the group of one in eight. Intervals: 95 %.

| kind of year | true O/E | with an outcome | O/E of those | weighted | O/E of the group | what was decided, and when |
|:--|--:|--:|--:|--:|--:|:--|
{timeline}

**What this shows.** That some answer sooner than others does no harm, since an outcome counts once its time has
passed. Asking by score does no harm to O/E. Asking by outcome does: the figure says that estimates are too
low although they are right, weighting by score, sex and age cannot know better, and the criterion stops a model that is
right. A criterion on O/E or PPV is as good as the way in which people come to be asked; agree on that first, and look at
the share with an outcome beside every figure. A biased group of one in eight hardly moves the whole: no criterion finds
it, the figures by group do. Estimates that are too extreme keep their level, so O/E says nothing; the slope does.

## False alarms a year, beside other ways to look every day

{streams:,} windows of {days} days with {a_day} cases a day, of a share whose limit is {limit:.0%}. False alarms: the share is exactly
at its limit, the worst that may be; by a plan of {a_day} cases a day, then with twice as many as planned. Right of
them the share of windows in which a greater share was found, and the day in the median. Up to 0.05 a year is allowed.

| every evening | false alarms a year | with twice the cases | true share 68 % | 75 % | 85 % |
|:--|--:|--:|--:|--:|--:|
{methods}
"""

if __name__ == "__main__":
    made = page()
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(made, encoding="utf-8")
    else:
        print(made)
