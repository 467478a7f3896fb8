"""From survey rows to boosters, calibrations and their spread, for any choice of training cycles.

One recipe for the shipped model, the folds that evaluate it, and the walk forward in time (`validation`). Each tier has
one booster, trained on copies of each person with blocks of inputs hidden, so that it stays calibrated whatever is
missing (decision 0111). Each calibration is fitted on people its booster had not seen: every cycle is left out in turn,
or a fifth of the people of a single cycle; recent cycles count more (decision 0114). Intervals come from how far the
estimates were off in each cycle when they were made from the cycles before it. Seeded; the same rows give the same
numbers. Does not read tables or write files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray
from scipy.stats import t as student

from models.evaluation.baselines import Linear, age_sex_inputs, fit_linear
from models.evaluation.evaluate import Mask, Matrix, Scorer, enough_data, hidden_but, line_keys, margins, row_tiers
from models.inputs.feature_schema import SCHEMAS, FeatureSchema, FeatureSpec
from models.inputs.outcomes import OUTCOME_SPECS, OutcomeSpec
from models.inputs.patterns import ALL, line_key, patterns, patterns_of, tier_inputs, tiers
from models.scoring.calibration import (
    NOMINAL_COVERAGE,
    Calibration,
    Floats,
    LogisticLine,
    Spread,
    fit_calibration,
)
from models.scoring.registry import MinimumData
from models.survey.nhanes import MINIMUM_AGE_YEARS, feature_matrix

SEED = 20261124

PARAMETERS: Mapping[str, Any] = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_bin": 64,
    "eta": 0.05,
    "min_child_weight": 4,
    "colsample_bytree": 0.25,
    "reg_lambda": 5,
    "nthread": 1,
    "seed": SEED,
}
ROUNDS = 250

PERSON_SHARE = 0.8
"""The share of people, not copies, that a tree sees; more copies in a tree would only repeat people."""
COMPLETE_COPIES = 2
RANDOM_COPIES = 1
"""Copies of a person: of the tier's complete pattern, and with random gaps; one of each other pattern, and one with
medicines counted but not named."""
BLOCK_HIDDEN = 0.4
INPUT_HIDDEN = (0.0, 0.1, 0.3)
"""In a random copy: the probability of hiding each block; the shares of other inputs hidden, one a person."""
RECENCY_HALF_LIFE = 3.0
"""Cycles after which a cycle counts half as much, for boosters and calibrations (decision 0114)."""
_BLOCKS = (("lifestyle",), ("conditions",), ("utilisation",), ("drugs",), ("needs", "difficulties", "pro"))
_PARTS_OF_ONE_CYCLE = 5

MINIMUM_DATA = MinimumData(
    required=("age", "female"), known_inputs=5, or_all_of=("DPQ010", "DPQ020"), minimum_age_years=MINIMUM_AGE_YEARS
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """People with a label: prepared inputs, shape (people, features), labels 0/1 and cycles, shape (people,)."""

    outcome: str
    schema: FeatureSchema
    people: pd.DataFrame
    matrix: Matrix
    y: Floats
    cycles: NDArray[Any]

    @property
    def spec(self) -> OutcomeSpec:
        """The outcome's row."""
        return OUTCOME_SPECS[self.outcome]

    @property
    def folds(self) -> list[str]:
        """The cycles, oldest first."""
        return sorted(str(cycle) for cycle in set(self.cycles))


def sample_of(frame: pd.DataFrame, outcome: str) -> Sample:
    """Everybody in a survey frame with the label of an outcome."""
    people = frame[frame[outcome].notna()].sort_index()
    return Sample(
        outcome=outcome,
        schema=SCHEMAS[outcome],
        people=people,
        matrix=feature_matrix(people, SCHEMAS[outcome]),
        y=people[outcome].to_numpy(dtype=np.float64),
        cycles=people["CYCLE"].to_numpy(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitter:
    """Fits scorers of a sample. Folds and forward scorers share boosters (by set of people), and whom a line serves."""

    sample: Sample
    _copies: dict[str, list[Matrix]] = field(default_factory=dict)
    _cache: dict[bytes, dict[str, xgboost.Booster]] = field(default_factory=dict)
    _served_by: dict[str, Mask] = field(default_factory=dict)

    def scorer(self, rows: Mask, errors: Sequence[ForwardErrors]) -> Scorer:
        """Boosters of these people, calibrated on margins of boosters that had not seen them.

        errors: of the cycles from which the intervals come. Raises ValueError when no calibration can be fitted
        (one outcome class, for example).
        """
        unseen = self.unseen_margins(rows)
        lines = self._lines(unseen, rows)
        logistic, age_sex = _baselines(self.sample, rows)
        return Scorer(
            boosters=self._boosters(rows),
            calibrations=lines,
            spreads={key: self._spread(key, lines[key], unseen, rows, errors) for key in lines},
            logistic=logistic,
            age_sex=age_sex,
        )

    def unseen(self, rows: Mask) -> dict[str, Floats]:
        """Pattern -> calibrated log-odds of boosters that had not seen the person; NaN outside `rows` or unscored."""
        unseen = self.unseen_margins(rows)
        lines = self._lines(unseen, rows)
        log_odds = self._empty()
        for pattern, values in unseen.items():
            keys = self._keys(pattern, lines)
            for key in set(keys[rows]):
                log_odds[pattern][keys == key] = lines[key].log_odds(values[keys == key])
        return log_odds

    def unseen_margins(self, rows: Mask) -> dict[str, Floats]:
        """Pattern -> margins of boosters of the other parts of `rows`; NaN outside `rows` or unscored."""
        parts = self._parts(rows)
        margins = self._empty()
        for part in sorted(set(parts[rows])):
            left_out = rows & (parts == part)
            for pattern, values in self.margins_of(rows & (parts != part), left_out).items():
                margins[pattern][left_out] = values[left_out]
        return margins

    def margins_of(self, trained_on: Mask, rows: Mask) -> dict[str, Floats]:
        """Pattern -> margins of `rows` by boosters of other people; NaN outside `rows` or unscored."""
        sample, log_odds = self.sample, self._empty()
        for tier, booster in self._boosters(trained_on).items():
            for pattern, visible in self._patterns(tier).items():
                shown = hidden_but(sample.matrix[rows], sample.schema, visible)
                scored = enough_data(shown, sample.schema, MINIMUM_DATA)
                scored &= row_tiers(shown, sample.schema) == tier
                log_odds[pattern][rows] = np.where(scored, margins(booster, shown), np.nan)
        return log_odds

    def _empty(self) -> dict[str, Floats]:
        names = patterns(self.sample.outcome, self.sample.schema)
        return {pattern: np.full(len(self.sample.y), np.nan) for pattern in names if pattern != ALL}

    def _patterns(self, tier: str) -> Mapping[str, tuple[str, ...]]:
        return patterns_of(tier, self.sample.outcome, self.sample.schema)

    def _boosters(self, rows: Mask) -> dict[str, xgboost.Booster]:
        key = np.packbits(rows).tobytes()
        if key not in self._cache:
            self._cache[key] = {tier: self._booster(tier, rows) for tier in tiers(self.sample.outcome)}
        return self._cache[key]

    def _booster(self, tier: str, rows: Mask) -> xgboost.Booster:
        if tier not in self._copies:
            self._copies[tier] = masked_copies(self.sample, tier)
        copies = [copy[rows] for copy in self._copies[tier]]
        weights = recency(self.sample.cycles[rows])
        return boosted(self.sample.schema.features, copies, self.sample.y[rows], weights, self.sample.spec.max_depth)

    def _parts(self, rows: Mask) -> NDArray[Any]:
        """The part with which each person is left out: the cycle, or a fifth of a single cycle."""
        if len(set(self.sample.cycles[rows])) > 1:
            return self.sample.cycles
        order = np.random.default_rng(SEED).permutation(len(rows))
        return order % _PARTS_OF_ONE_CYCLE

    def _lines(self, unseen: Mapping[str, Floats], rows: Mask) -> dict[str, Calibration]:
        """Key -> calibration: of each tier, and of each of its patterns that has enough people for one."""
        lines = {}
        for tier in tiers(self.sample.outcome):
            names = tuple(self._patterns(tier))
            lines[tier] = self._calibration(names, unseen, rows)
            for name in names:
                key = line_key(tier, name)
                try:
                    lines[key] = self._calibration((name,), unseen, rows & self._served(key, name))
                except ValueError:  # the line of the tier serves
                    continue
        return lines

    def _served(self, key: str, pattern: str) -> Mask:
        """Whose estimates a line calibrates: people of whom just the inputs of its pattern are known."""
        if key not in self._served_by:
            self._served_by[key] = self._keys(pattern, (key,)) == key
        return self._served_by[key]

    def _keys(self, pattern: str, keys: Collection[str]) -> NDArray[Any]:
        """The key of the calibration of each person in a pattern, of those in `keys`."""
        sample = self.sample
        shown = hidden_but(sample.matrix, sample.schema, patterns(sample.outcome, sample.schema)[pattern])
        return line_keys(sample.outcome, sample.schema, keys, shown)

    def _calibration(self, names: tuple[str, ...], unseen: Mapping[str, Floats], rows: Mask) -> Calibration:
        x = np.concatenate([unseen[pattern][rows] for pattern in names])
        y = np.tile(self.sample.y[rows], len(names))
        weights = np.tile(recency(self.sample.cycles[rows]), len(names))
        known = ~np.isnan(x)
        return fit_calibration(x[known], y[known], weights[known])

    def _spread(
        self, key: str, line: Calibration, unseen: Mapping[str, Floats], rows: Mask, errors: Sequence[ForwardErrors]
    ) -> Spread:
        """From the errors in all patterns of the tier, around the mean estimate of the patterns of this line."""
        tier, _, pattern = key.partition("/")
        if pattern:
            values = unseen[pattern][rows & self._served(key, pattern)]
        else:
            values = np.concatenate([unseen[name][rows] for name in self._patterns(tier)])
        centre = float(line.log_odds(values[~np.isnan(values)]).mean())
        found = [cycle[name] for cycle in errors for name in self._patterns(tier) if name in cycle]
        off = [(line.intercept + (line.slope - 1.0) * centre, line.slope - 1.0) for line in found]
        return fit_spread(off, centre, len(errors))


ForwardErrors = Mapping[str, LogisticLine]
"""Pattern -> the line of a cycle on the log-odds estimated from earlier cycles; the identity, had they been right."""


def recency(cycles: NDArray[Any]) -> Floats:
    """Weights of people, shape (n,): 1 in the latest of these cycles, half as much RECENCY_HALF_LIFE cycles earlier."""
    known, place = np.unique(cycles.astype(str), return_inverse=True)
    weights: Floats = 0.5 ** ((len(known) - 1 - place) / RECENCY_HALF_LIFE)
    return weights


def fit_spread(off: Sequence[tuple[float, float]], centre: float, cycles: int) -> Spread:
    """How far later cycles lie from their estimates. off: level at `centre` and slope, less those of the identity.

    cycles: how many cycles these come from, several patterns of each; the fewer, the wider (Student's t). Deviations
    count from the identity, not from their own mean: a calibration that is off everywhere counts too. Without any, the
    spread is one unit of log-odds everywhere.
    """
    deviations = np.array(off or [(1.0, 0.0)])
    level, both, tilt = (float((deviations[:, i] * deviations[:, j]).mean()) for i, j in ((0, 0), (0, 1), (1, 1)))
    times = float(student.ppf(0.5 + NOMINAL_COVERAGE / 2, max(cycles, 1)))
    return Spread(centre=centre, level=level, both=both, tilt=tilt, times=times)


def boosted(
    features: Sequence[FeatureSpec], copies: Sequence[Matrix], y: Floats, weights: Floats, max_depth: int
) -> xgboost.Booster:
    """One booster of copies of the same people, each (people, features), constrained to the inputs' directions."""
    table = xgboost.QuantileDMatrix(
        np.vstack(copies),
        np.tile(y, len(copies)),
        weight=np.tile(weights / weights.mean(), len(copies)),
        max_bin=PARAMETERS["max_bin"],
        nthread=PARAMETERS["nthread"],
        feature_names=[spec.name for spec in features],
    )
    parameters = {
        **PARAMETERS,
        "max_depth": max_depth,
        "subsample": PERSON_SHARE / len(copies),
        "monotone_constraints": "(" + ",".join(str(spec.direction) for spec in features) + ")",
    }
    return xgboost.train(parameters, table, ROUNDS)


def masked_copies(sample: Sample, tier: str) -> list[Matrix]:
    """Copies of every person with the gaps of charts of this tier, each of shape (people, features)."""
    schema = sample.schema
    generator = np.random.default_rng([SEED, tiers(sample.outcome).index(tier)])
    by_pattern = patterns_of(tier, sample.outcome, schema)
    shown = [hidden_but(sample.matrix, schema, visible) for visible in by_pattern.values()]
    seen = hidden_but(sample.matrix, schema, tier_inputs(tier, schema))
    gaps = [_with_random_gaps(seen, schema, generator) for _ in range(RANDOM_COPIES)]
    return [*[shown[0]] * (COMPLETE_COPIES - 1), *shown, _medicines_unnamed(shown[0], schema), *gaps]


def _medicines_unnamed(values: Matrix, schema: FeatureSchema) -> Matrix:
    """Medicines counted but not named, as in charts without usable codes and in later survey cycles."""
    takes = values[:, schema.names.index("n_rx")] != 0
    classes = np.array([spec.group == "drugs" and spec.name != "n_rx" for spec in schema.features])
    return np.where(takes[:, None] & classes[None, :], np.float32(np.nan), values)


def _with_random_gaps(values: Matrix, schema: FeatureSchema, generator: np.random.Generator) -> Matrix:
    groups = np.array([spec.group for spec in schema.features])
    hidden = generator.random(values.shape) < generator.choice(INPUT_HIDDEN, size=(len(values), 1))
    for block in _BLOCKS:
        gone = generator.random(len(values)) < BLOCK_HIDDEN
        hidden |= gone[:, None] & np.isin(groups, block)[None, :]
    hidden[:, groups == "demographics"] = False
    return np.where(hidden, np.float32(np.nan), values)


def _baselines(sample: Sample, rows: Mask) -> tuple[dict[str, Linear], Linear]:
    index = {name: position for position, name in enumerate(sample.schema.names)}
    logistic = {
        pattern: fit_linear(visible, sample.matrix[rows][:, [index[name] for name in visible]], sample.y[rows])
        for pattern, visible in patterns(sample.outcome, sample.schema).items()
    }
    values = age_sex_inputs(sample.matrix[rows, index["age"]], sample.matrix[rows, index["female"]])
    return logistic, fit_linear(("age/50", "(age/50)^2", "female"), values, sample.y[rows])
