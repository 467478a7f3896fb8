"""Performance of the models on survey cycles: the JSON object of `mhcds evaluate`.

People of a training cycle are scored by the fold that did not see that cycle, with its calibration and baselines;
everybody else by the serving model. Counts (n, events) are of scored people with a label; `scored_share` is their share
of all with a label. Race and ethnicity are for audit only: no model sees them. Does not train. Needs pandas; every
figure is defined in `metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray

from models.errors import ArtifactError, SurveyDataError
from models.evaluation.baselines import AGE_SEX, LOGISTIC, PHQ2, Linear, age_sex_inputs, linear_from_json
from models.evaluation.metrics import group_metrics
from models.inputs.feature_schema import FeatureSchema
from models.inputs.patterns import lines_by_groups, patterns, tier_of, tiers
from models.scoring.boosters import boosters_of, load_booster
from models.scoring.calibration import Calibration, Floats, Spread
from models.scoring.registry import FINAL, MinimumData, Model, load_json, load_models, read_calibration
from models.survey.nhanes import PAYERS, feature_matrix, survey_frame
from models.survey.tables import holds_2017_2018_again

SUBGROUPS = ("sex", "age", "race-ethnicity", "income", "insurance", "care")
Progress = Callable[[str, int, int], None]
Item = TypeVar("Item")
Matrix = NDArray[np.float32]
Mask = NDArray[np.bool_]


def counted(items: Sequence[Item], label: str, progress: Progress) -> Iterator[Item]:
    """The items in order; before each, and after the last, `progress` is called with the number done and of all."""
    for done, item in enumerate(items):
        progress(label, done, len(items))
        yield item
    progress(label, len(items), len(items))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """Prepared rows to log-odds: a booster a tier, lines and spreads of tiers and patterns, baselines of patterns."""

    boosters: Mapping[str, xgboost.Booster]
    calibrations: Mapping[str, Calibration]
    spreads: Mapping[str, Spread]
    logistic: Mapping[str, Linear]
    age_sex: Linear


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A model under evaluation: the serving scorer, and a fold for each training cycle that did not see it.

    not_judged: the training cycles when the folds were left out; nobody of them can be scored.
    """

    outcome: str
    schema: FeatureSchema
    minimum_data: MinimumData
    final: Scorer
    folds: Mapping[str, Scorer]
    not_judged: frozenset[str] = frozenset()

    def scorer(self, cycle: str) -> Scorer:
        """The scorer for people of a cycle: one that did not see it. Raises ArtifactError where that was left out."""
        if cycle in self.not_judged:
            raise ArtifactError(
                expected=f"cycles that did not train the model of {self.outcome}, whose folds were left out",
                found=cycle,
                remedy="its out-of-fold figures are in its metrics.json.gz; evaluate it on other cycles",
            )
        return self.folds.get(cycle, self.final)

    @property
    def patterns(self) -> Mapping[str, tuple[str, ...]]:
        """Pattern -> visible features: those for which the artifact, perhaps of an older recipe, has a baseline."""
        fitted = self.final.logistic
        visible = patterns(self.outcome, self.schema)
        return {name: inputs for name, inputs in visible.items() if name in fitted and fitted[name].inputs == inputs}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Survey people and the models to evaluate on them."""

    frame: pd.DataFrame
    contenders: tuple[Contender, ...]

    @classmethod
    def of(cls, nhanes: Sequence[Path], model_root: Path | None, *, progress: Progress) -> Evaluation:
        """Reads the tables, and every model below model_root (default: the shipped ones).

        Raises SurveyDataError for unusable tables, ArtifactError for a broken model.
        """
        progress("Reading the survey tables", 0, 1)
        frame = survey_frame(*nhanes)
        progress("Reading the survey tables", 1, 1)
        return cls(frame=frame, contenders=tuple(contender(model) for model in load_models(model_root)))

    def metrics(self, *, progress: Progress) -> dict[str, Any]:
        """{"outcomes": {outcome: {"patterns": {pattern: {"cycles": {cycle: METRICS}, "all": METRICS}}}}}."""
        return {"outcomes": {c.outcome: evaluate_outcome(self.frame, c, progress=progress) for c in self.contenders}}


def evaluate_outcome(
    frame: pd.DataFrame,
    contender: Contender,
    *,
    progress: Progress,
    subgroups: Sequence[str] = SUBGROUPS,
    cycle_subgroups: Sequence[str] = SUBGROUPS,
) -> dict[str, Any]:
    """{"patterns": ...} of one outcome on a survey frame. `subgroups`: of all cycles; `cycle_subgroups`: of each.

    Raises SurveyDataError when nobody in the frame has the label.
    """
    people = frame[frame[contender.outcome].notna()]
    if people.empty:
        raise SurveyDataError(
            expected=f"people with the label {contender.outcome}",
            found="none",
            remedy="check that DPQ and DEMO are of the same cycles",
        )
    values = feature_matrix(people, contender.schema)
    groups = _subgroups(people)
    cycles = people["CYCLE"].to_numpy()
    pooled = _pooled(cycles)
    result: dict[str, Any] = {}
    for pattern, visible in counted([*contender.patterns.items()], f"Evaluating {contender.outcome}", progress):
        scores = scored(contender, pattern, visible, values, people)
        by_cycle = {
            str(cycle): _metrics(scores, cycles == cycle, {name: groups[name] for name in cycle_subgroups})
            for cycle in sorted(set(cycles))
        }
        result[pattern] = {
            "cycles": by_cycle,
            "all": _metrics(scores, pooled, {name: groups[name] for name in subgroups}),
        }
    return {"patterns": result}


def contender(model: Model) -> Contender:
    """A loaded model with its folds, unless its manifest says that they were left out, for evaluation.

    Raises ArtifactError when folds or baselines are missing.
    """
    try:
        has_folds = model.manifest.has_folds
        folds = load_json(model.folder / "calibration.json")["folds"] if has_folds else {}
        baselines = load_json(model.folder / "baselines.json")

        def scorer(
            name: str,
            boosters: Mapping[str, xgboost.Booster],
            lines: tuple[Mapping[str, Calibration], Mapping[str, Spread]],
        ) -> Scorer:
            return Scorer(
                boosters=boosters,
                calibrations=lines[0],
                spreads=lines[1],
                logistic={pattern: linear_from_json(fits[name]) for pattern, fits in baselines[LOGISTIC].items()},
                age_sex=linear_from_json(baselines[AGE_SEX][name]),
            )

        names = tiers(model.outcome)
        return Contender(
            outcome=model.outcome,
            schema=model.schema,
            minimum_data=model.manifest.minimum_data,
            final=scorer(
                FINAL, boosters_of(model.folder, model.outcome, model.schema), (model.calibrations, model.spreads)
            ),
            folds={
                cycle: scorer(
                    cycle,
                    {t: load_booster(model.folder / "folds" / f"{cycle}-{t}.ubj.gz", model.schema) for t in names},
                    read_calibration(content, names),
                )
                for cycle, content in folds.items()
            },
            not_judged=frozenset() if has_folds else frozenset(model.manifest.training["cycles"]),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            expected="boosters, calibrations and baselines for every training cycle",
            found=f"a problem with {error} in {model.folder.name}",
            remedy="train again with `mhcds train`",
        ) from error


def hidden_but(values: Matrix, schema: FeatureSchema, visible: tuple[str, ...]) -> Matrix:
    """A copy of the rows in which every feature outside the pattern is missing."""
    shown = np.isin(np.array(schema.names), np.array(visible))
    return np.where(shown, values, np.float32(np.nan))


def enough_data(values: Matrix, schema: FeatureSchema, rule: MinimumData) -> Mask:
    """Who would be scored: the rule of `scoring`, for rows."""
    known = ~np.isnan(values)
    index = {name: position for position, name in enumerate(schema.names)}
    required = known[:, [index[name] for name in rule.required]].all(axis=1)
    others = known.sum(axis=1) - len(rule.required) >= rule.known_inputs
    alternative = known[:, [index[name] for name in rule.or_all_of]].all(axis=1)
    old_enough = values[:, index["age"]] >= rule.minimum_age_years
    result: Mask = required & old_enough & (others | alternative)
    return result


def row_tiers(values: Matrix, schema: FeatureSchema) -> NDArray[Any]:
    """The tier of each row: the rule of `scoring`, for rows."""
    kinds, which = _known_groups(values, schema)
    return np.array([tier_of(groups) for groups in kinds], dtype=object)[which]


def _known_groups(values: Matrix, schema: FeatureSchema) -> tuple[list[frozenset[str]], NDArray[np.int64]]:
    """The different sets of groups of inputs that rows know, and which of them each row knows."""
    groups = sorted({spec.group for spec in schema.features})
    columns = [np.array([spec.group == group for spec in schema.features]) for group in groups]
    known = np.column_stack([(~np.isnan(values[:, column])).any(axis=1) for column in columns])
    kinds, which = np.unique(known, axis=0, return_inverse=True)
    sets = [frozenset(group for group, has in zip(groups, kind, strict=True) if has) for kind in kinds.tolist()]
    return sets, which.reshape(-1)


def margins(booster: xgboost.Booster, values: Matrix) -> Floats:
    """Raw margins, shape (people,)."""
    rows = xgboost.DMatrix(values, nthread=1)
    return np.asarray(booster.predict(rows, output_margin=True, validate_features=False), dtype=np.float64)


def line_keys(outcome: str, schema: FeatureSchema, keys: Collection[str], values: Matrix) -> NDArray[Any]:
    """The key of the calibration of each row, of those in `keys`: the rule of `scoring`, for rows."""
    kinds, which = _known_groups(values, schema)
    lines = lines_by_groups(outcome, schema, keys)
    return np.array([lines.get(groups, tier_of(groups)) for groups in kinds], dtype=object)[which]


def calibrated(scorer: Scorer, contender: Contender, values: Matrix) -> tuple[Floats, Floats]:
    """Log-odds of rows and half the widths of their intervals, shape (rows,): as `scoring` does for one."""
    log_odds, half_width = np.full(len(values), np.nan), np.full(len(values), np.nan)
    keys = line_keys(contender.outcome, contender.schema, scorer.calibrations, values)
    for key in sorted(set(keys)):
        these, tier = keys == key, key.partition("/")[0]
        log_odds[these] = scorer.calibrations[key].log_odds(margins(scorer.boosters[tier], values[these]))
        half_width[these] = scorer.spreads[key].half_width(log_odds[these])
    return log_odds, half_width


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Calibrated log-odds in one pattern, half-widths of their intervals, labels, and baseline rankings."""

    log_odds: Floats
    half_width: Floats
    y: Floats
    has_score: Mask
    baselines: Mapping[str, Floats]


def scored(
    contender: Contender, pattern: str, visible: tuple[str, ...], values: Matrix, people: pd.DataFrame
) -> Scored:
    """People of a training cycle are scored by the fold that did not see it, all others by the final scorer.

    values: prepared inputs of `people`, shape (people, features), before hiding. Raises ArtifactError as
    `Contender.scorer` does.
    """
    shown = hidden_but(values, contender.schema, visible)
    columns = [contender.schema.names.index(name) for name in visible]
    n = len(people)
    log_odds, half_width, logistic, age_sex = (np.full(n, np.nan) for _ in range(4))
    cycles = people["CYCLE"].to_numpy()
    for cycle in sorted(set(cycles)):
        rows, scorer = cycles == cycle, contender.scorer(cycle)
        log_odds[rows], half_width[rows] = calibrated(scorer, contender, shown[rows])
        logistic[rows] = scorer.logistic[pattern].log_odds(values[np.ix_(rows, columns)])
        age_sex[rows] = scorer.age_sex.log_odds(_age_sex(contender.schema, values[rows]))
    return Scored(
        log_odds=log_odds,
        half_width=half_width,
        y=people[contender.outcome].to_numpy(dtype=np.float64),
        has_score=enough_data(shown, contender.schema, contender.minimum_data),
        baselines={
            LOGISTIC: logistic,
            PHQ2: (people["DPQ010"] + people["DPQ020"]).to_numpy(dtype=np.float64),
            AGE_SEX: age_sex,
        },
    )


def _age_sex(schema: FeatureSchema, values: Matrix) -> Matrix:
    return age_sex_inputs(values[:, schema.names.index("age")], values[:, schema.names.index("female")])


def _metrics(scores: Scored, rows: Mask, groups: Mapping[str, Mapping[str, Mask]]) -> dict[str, Any]:
    def metrics(members: Mask) -> dict[str, Any]:
        used = members & scores.has_score
        return group_metrics(
            scores.log_odds[used],
            scores.half_width[used],
            scores.y[used],
            int(members.sum()),
            {name: ranking[used] for name, ranking in scores.baselines.items()},
        )

    parts = {
        variable: {value: metrics(rows & members) for value, members in values.items()}
        for variable, values in groups.items()
    }
    return {**metrics(rows), "subgroups": parts}


def _pooled(cycles: NDArray[Any]) -> Mask:
    """Who counts for "all": CDC's 2017 to March 2020 tables hold the people of 2017-2018 again."""
    twice = any(holds_2017_2018_again(str(cycle)) for cycle in set(cycles))
    result: Mask = ~((cycles == "2017-2018") & twice)
    return result


def _subgroups(people: pd.DataFrame) -> dict[str, dict[str, Mask]]:
    def banded(values: pd.Series, bands: dict[str, tuple[float, float]]) -> dict[str, Mask]:
        groups = {name: (values.ge(low) & values.lt(high)).to_numpy() for name, (low, high) in bands.items()}
        return {**groups, "unrecorded": values.isna().to_numpy()}

    def coded(values: pd.Series, codes: dict[str, int]) -> dict[str, Mask]:
        return {
            **{name: values.eq(code).to_numpy() for name, code in codes.items()},
            "unrecorded": values.isna().to_numpy(),
        }

    races = ("mexican-american", "other-hispanic", "non-hispanic-white", "non-hispanic-black", "other-or-multiracial")
    return {
        "sex": coded(people["female"], {"female": 1, "male": 0}),
        "age": banded(people["age"], {"18-29": (18, 30), "30-44": (30, 45), "45-64": (45, 65), "65+": (65, 200)}),
        "race-ethnicity": coded(people["race_eth"], {name: code for code, name in enumerate(races, start=1)}),
        # Family income over the poverty line.
        "income": banded(people["pir"], {"below-1": (0, 1), "1-2": (1, 2), "2-4": (2, 4), "4+": (4, 99)}),
        "insurance": coded(people["insurance"], {name: code for code, name in enumerate(PAYERS, start=1)}),
        "care": coded(people["in_care"], {"in-care": 1, "not-in-care": 0}),
    }
