"""Do the estimates rank people of another survey as they rank ours? The JSON object of `mhcds transport`.

NSDUH asks too little for a score (decision 0105), so the boosters of the models are shown the shared inputs alone. The
result is the rank agreement of an estimate restricted to these inputs, never a product score: the boosters were not
trained on so little. Beside each figure stand the same inputs and ages in NHANES, scored out of fold, and logistic
regression refitted on each survey (cross-validated), so that one sees what is due to the population, to the inputs and
to the model. Labels differ (a year against two weeks, other questions), so levels are not comparable: only counts are
given. YRBS students are minors and are not scored: the odds ratios of shared factors are compared. Everything is
unweighted and treats people as independent. Aggregates only; nothing is shown of fewer than 10 people.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.evaluation.baselines import fit_linear
from models.evaluation.evaluate import (
    Contender,
    Matrix,
    Progress,
    calibrated,
    contender,
    counted,
    enough_data,
    hidden_but,
)
from models.evaluation.metrics import MINIMUM_EVENTS, Z_95, Figure, auroc, rounded
from models.inputs.outcomes import Outcome
from models.scoring.calibration import Floats
from models.scoring.registry import Model
from models.survey.nhanes import feature_matrix, survey_frame
from models.survey.other_surveys import (
    EPISODE,
    K6,
    K6_DISTRESS,
    NSDUH_2019,
    NSDUH_2023,
    THOUGHTS,
    YRBS,
    banded_age,
    other_surveys,
    shared_inputs,
)

_FOLDS = 10
_SEED = 20261129


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """People of another survey, and the ages (inclusive) of people of NHANES beside them."""

    name: str
    survey: str
    ages: tuple[int, int]
    without: tuple[tuple[str, ...], ...] = ((),)
    """Shared inputs taken away, for each run."""


_NO_CARE = ((), ("mh_visit_yr",), ("mh_visit_yr", "employed", "alc_days_yr"))
ADULTS = (
    Population(name="NSDUH 2019-2020, 18-25", survey=NSDUH_2019, ages=(18, 25), without=((), ("alc_days_yr",))),
    Population(name="NSDUH 2023, 18-25", survey=NSDUH_2023, ages=(18, 25), without=_NO_CARE),
    Population(name="NSDUH 2023, 18 and older", survey=NSDUH_2023, ages=(18, 200), without=_NO_CARE),
)
STUDENTS = Population(name="YRBS 2019, high school", survey=YRBS, ages=(18, 29))

ESTIMATED: Mapping[str, Outcome] = {
    THOUGHTS: Outcome.SUICIDAL_IDEATION,
    EPISODE: Outcome.DEPRESSION,
    K6_DISTRESS: Outcome.DEPRESSION,
}
"""Label of another survey -> the outcome of ours that is nearest to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A shared input as yes or no: yes from `low`, and below `high`."""

    name: str
    input: str
    low: float
    high: float = math.inf


FACTORS = (
    Factor(name="younger than 26", input="age", low=0, high=26),
    Factor(name="female", input="female", low=1),
    Factor(name="smokes now", input="smoke_status", low=2),
    Factor(name="drinks on 12 days a year or more", input="alc_days_yr", low=12),
    Factor(name="works", input="employed", low=1),
    Factor(name="mental-health care in the year", input="mh_visit_yr", low=1),
    Factor(name="asthma", input="asthma", low=1),
    Factor(name="sleeps less than 7 hours", input="sleep_hours", low=0, high=7),
    Factor(name="sad or hopeless", input="DPQ020", low=2),
)


def transport(folder: Path, nhanes: Sequence[Path], models: Sequence[Model], *, progress: Progress) -> dict[str, Any]:
    """{"models", "nhanes", "ranks": [...], "factors": [...]}: aggregates of every survey found below the folder.

    nhanes: folders of survey tables. Only labels near to the outcome of one of the models are used, and a population
    without any is left out. Raises SurveyDataError.
    """
    progress("Reading the surveys", 0, 2)
    frame = survey_frame(*nhanes)
    progress("Reading the surveys", 1, 2)
    surveys = other_surveys(folder)
    progress("Reading the surveys", 2, 2)
    contenders = {model.outcome: contender(model) for model in models}
    runs = [
        (p, away)
        for p in ADULTS
        if p.survey in surveys and _labels(surveys[p.survey], contenders)
        for away in p.without
    ]
    compared = [p for p in (*ADULTS, STUDENTS) if p.survey in surveys]
    return {
        "models": {model.outcome: model.version for model in models},
        "nhanes": sorted(set(frame["CYCLE"])),
        "ranks": [
            _ranks(population, away, surveys[population.survey], frame, contenders)
            for population, away in counted(runs, "Ranking people of other surveys", progress)
        ],
        "factors": [row for p in compared for row in _factors(p, surveys[p.survey], frame, contenders)],
    }


def _labels(survey: pd.DataFrame, outcomes: Collection[str]) -> list[str]:
    return [label for label, outcome in ESTIMATED.items() if label in survey and outcome in outcomes]


def _ranks(
    population: Population,
    away: Sequence[str],
    survey: pd.DataFrame,
    nhanes: pd.DataFrame,
    contenders: Mapping[str, Contender],
) -> dict[str, Any]:
    inputs = tuple(name for name in shared_inputs(population.survey) if name not in away)
    theirs = _of_age(survey, population.ages).dropna(subset=list(inputs))
    ours = _of_age(nhanes, population.ages)
    ours = ours.assign(age=banded_age(population.survey, ours["age"])).dropna(subset=list(inputs))
    labels = _labels(survey, contenders)
    return {
        "population": population.name,
        "inputs": list(inputs),
        "people": len(theirs),
        "enough_for_a_score": max(_scorable(contenders[o], inputs, theirs) for o in {ESTIMATED[n] for n in labels}),
        "labels": [
            {
                "label": label,
                "outcome": ESTIMATED[label],
                "survey": _group(contenders[ESTIMATED[label]], inputs, theirs, label),
                "nhanes": _group(contenders[ESTIMATED[label]], inputs, ours, ESTIMATED[label]),
            }
            for label in labels
        ],
        "order": [
            {
                "outcome": outcome,
                "survey": _order(contenders[outcome], inputs, theirs, K6),
                "nhanes": _order(contenders[outcome], inputs, ours, "phq9"),
            }
            for outcome in contenders
            if K6 in survey
        ],
    }


def _of_age(people: pd.DataFrame, ages: tuple[int, int]) -> pd.DataFrame:
    return people[people["age"].between(*ages)]


def _scorable(contender: Contender, inputs: tuple[str, ...], people: pd.DataFrame) -> int:
    return int(enough_data(_shown(contender, inputs, people), contender.schema, contender.minimum_data).sum())


def _shown(contender: Contender, inputs: tuple[str, ...], people: pd.DataFrame) -> Matrix:
    """Prepared values with everything but the shared inputs missing, shape (people, features)."""
    values = feature_matrix(people.reindex(columns=list(contender.schema.names)), contender.schema)
    return hidden_but(values, contender.schema, inputs)


def restricted_estimate(contender: Contender, inputs: tuple[str, ...], people: pd.DataFrame) -> Floats:
    """Log-odds with the shared inputs alone, shape (people,). A training cycle by its fold, all others by the model."""
    shown = _shown(contender, inputs, people)
    cycles = people["CYCLE"].to_numpy() if "CYCLE" in people else np.full(len(people), "")
    result = np.full(len(people), np.nan)
    for cycle in sorted(set(cycles)):
        these = cycles == cycle
        result[these], _ = calibrated(contender.scorer(cycle), contender, shown[these])
    return result


def refitted(inputs: tuple[str, ...], values: Matrix, y: Floats) -> Floats:
    """Log-odds of logistic regression on these people, each fitted without the person's tenth; shape (people,)."""
    part = np.random.default_rng(_SEED).permutation(y.size) % _FOLDS
    result = np.full(y.size, np.nan)
    for left_out in range(_FOLDS):
        fitted = fit_linear(inputs, values[part != left_out], y[part != left_out])
        result[part == left_out] = fitted.log_odds(values[part == left_out])
    return result


def _group(contender: Contender, inputs: tuple[str, ...], people: pd.DataFrame, label: str) -> dict[str, Any]:
    """Counts; AUROC of our restricted estimate and of a refit; how alike they order people (Spearman)."""
    people = people[people[label].notna()]
    y = people[label].to_numpy(dtype=np.float64)
    events = int(y.sum())
    if min(events, y.size - events) < MINIMUM_EVENTS:
        return {"n": None, "events": None, "auroc": _NONE, "refitted": _NONE, "alike": _NONE}
    ours = restricted_estimate(contender, inputs, people)
    refit = refitted(inputs, people[list(inputs)].to_numpy(dtype=np.float32), y)
    return {
        "n": y.size,
        "events": events,
        "auroc": auroc(ours, y),
        "refitted": auroc(refit, y),
        "alike": spearman(ours, refit),
    }


def _order(contender: Contender, inputs: tuple[str, ...], people: pd.DataFrame, total: str) -> Figure:
    """Spearman's rank correlation of our restricted estimate with a total of symptoms."""
    people = people[people[total].notna()]
    return spearman(restricted_estimate(contender, inputs, people), people[total].to_numpy(dtype=np.float64))


_NONE: Figure = {"value": None, "low": None, "high": None}


def spearman(a: Floats, b: Floats) -> Figure:
    """Spearman's rank correlation, ties at their middle; interval of Bonett and Wright (2000) on Fisher's scale."""
    if a.size <= MINIMUM_EVENTS or np.ptp(a) == 0 or np.ptp(b) == 0:
        return dict(_NONE)
    r = float(pd.Series(a).rank().corr(pd.Series(b).rank()))
    z, half = math.atanh(max(-0.999999, min(0.999999, r))), Z_95 * math.sqrt((1 + r**2 / 2) / (a.size - 3))
    return rounded(r, math.tanh(z - half), math.tanh(z + half))


def _factors(
    population: Population, survey: pd.DataFrame, nhanes: pd.DataFrame, outcomes: Collection[str]
) -> list[dict[str, Any]]:
    """Factors that too few people have, or do not have, in the survey are left out."""
    theirs = survey if population is STUDENTS else _of_age(survey, population.ages)
    ours = _of_age(nhanes, population.ages)
    rows: list[dict[str, Any]] = [
        {
            "population": population.name,
            "label": label,
            "outcome": ESTIMATED[label],
            "factor": factor.name,
            "survey": odds_ratio(_has(factor, theirs), theirs[label]),
            "nhanes": odds_ratio(_has(factor, ours), ours[ESTIMATED[label]]),
        }
        for label in _labels(theirs, outcomes)
        if label != K6_DISTRESS
        for factor in FACTORS
        if factor.input in shared_inputs(population.survey)
    ]
    return [row for row in rows if row["survey"]["value"] is not None]


def _has(factor: Factor, people: pd.DataFrame) -> pd.Series:
    values = people[factor.input]
    return (values.ge(factor.low) & values.lt(factor.high)).astype("float64").where(values.notna())


def odds_ratio(factor: pd.Series, label: pd.Series) -> Figure:
    """Crude odds ratio of a label with a factor (both 0/1, NaN where unknown), Woolf's interval.

    None when any of the four groups has fewer than 10 people.
    """
    known = factor.notna() & label.notna()
    x, y = factor[known].to_numpy(), label[known].to_numpy()
    cells = [float(((x == a) & (y == b)).sum()) for a in (1, 0) for b in (1, 0)]
    if min(cells) < MINIMUM_EVENTS:
        return dict(_NONE)
    with_both, without_label, without_factor, neither = cells
    log = math.log(with_both * neither / (without_label * without_factor))
    half = Z_95 * math.sqrt(sum(1 / cell for cell in cells))
    return rounded(math.exp(log), math.exp(log - half), math.exp(log + half))
