"""From a folder of survey tables to two artifact folders: seeded, offline, the same bytes for the same tables.

One booster per outcome is trained on copies of each person with whole blocks of inputs hidden, so that one artifact
stays calibrated whatever is missing (docs/decisions/0102). For honest figures one more booster per cycle is trained on
the other cycles; a person's copies are made after that split, so they never fall on both sides of it. Writes parameters
and aggregate figures only, no rows. Does not tune: the parameters were chosen by cross-validation over cycles.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray

from models.baselines import AGE_SEX, LOGISTIC, Linear, age_sex_inputs, fit_linear
from models.calibration import Calibration, Floats, fit_calibration, probabilities
from models.errors import ArtifactError, SurveyDataError
from models.evaluation import Contender, Progress, Scorer, enough_data, evaluate_outcome, hidden_but, margins
from models.feature_schema import DEPRESSION, OUTCOMES, SCHEMAS, SUICIDAL_IDEATION, FeatureSchema
from models.metrics import FLAG_RATES
from models.nhanes import MINIMUM_AGE_YEARS, feature_matrix, survey_frame
from models.patterns import ALL, HEADLINE, patterns
from models.registry import FORMAT, MANIFEST, MinimumData, sha256
from models.survey_tables import checksums, holds_2017_2018_again

VERSION = "1.0.0"
SEED = 20261123
MINIMUM_EVENTS = 10
DEFAULT_FLAG_RATE = "0.05"

PARAMETERS: Mapping[str, Any] = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_bin": 64,
    "eta": 0.07,
    "max_depth": 5,
    "min_child_weight": 4,
    "subsample": 0.5,
    "colsample_bytree": 0.25,
    "reg_lambda": 5,
    "nthread": 2,
    "seed": SEED,
}
ROUNDS: Mapping[str, int] = {DEPRESSION: 180, SUICIDAL_IDEATION: 140}

RANDOM_COPIES = 4
"""Copies with blocks hidden at random, beside one copy per pattern."""
BLOCK_HIDDEN = 0.4
INPUT_HIDDEN = (0.0, 0.2, 0.5)
"""In a random copy each block is hidden with the first probability; of a person's other inputs one of these shares."""
_BLOCKS = (
    ("vitals",),
    ("lifestyle",),
    ("conditions",),
    ("utilisation",),
    ("drugs",),
    ("needs", "pro"),
    ("phq2",),
    ("phq",),
)

MINIMUM_DATA = MinimumData(
    required=("age", "female"), known_inputs=5, or_all_of=("DPQ010", "DPQ020"), minimum_age_years=MINIMUM_AGE_YEARS
)
LABELS: Mapping[str, str] = {
    DEPRESSION: "PHQ-9 total of 10 or more in the last two weeks, all nine items answered (NHANES DPQ010-DPQ090)",
    SUICIDAL_IDEATION: "PHQ-9 item 9 answered above 'not at all' for the last two weeks (NHANES DPQ090)",
}
INTENDED_USE = (
    "Prompts a clinician to consider screening an adult: it estimates what survey adults with similar records reported "
    "at the time, is no diagnosis, says nothing about later events, and a low estimate is no reassurance."
)

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    outcome: str
    schema: FeatureSchema
    people: pd.DataFrame
    matrix: Matrix
    y: Floats
    cycles: NDArray[Any]

    @property
    def folds(self) -> list[str]:
        return sorted(str(cycle) for cycle in set(self.cycles))


def train(nhanes: Path, out: Path, *, progress: Progress) -> None:
    """Trains both outcomes on every cycle in a folder of survey tables and writes out/<outcome>/.

    Raises SurveyDataError for unusable tables, fewer than two cycles with the label, or fewer than 10 people with or
    without the outcome in any cycle; ArtifactError when out/<outcome> holds something that is not an artifact.
    """
    for outcome in OUTCOMES:
        _refuse_foreign(out / outcome)
    progress("Reading the survey tables", 0, 1)
    frame = survey_frame(nhanes)
    data = checksums(nhanes)
    progress("Reading the survey tables", 1, 1)
    samples = [_sample(frame, outcome) for outcome in OUTCOMES]
    for sample in samples:
        _train_outcome(sample, data, out / sample.outcome, progress)


def _sample(frame: pd.DataFrame, outcome: str) -> _Sample:
    people = frame[frame[outcome].notna()].sort_index()
    sample = _Sample(
        outcome=outcome,
        schema=SCHEMAS[outcome],
        people=people,
        matrix=feature_matrix(people, SCHEMAS[outcome]),
        y=people[outcome].to_numpy(dtype=np.float64),
        cycles=people["CYCLE"].to_numpy(),
    )
    counts = [(int((sample.y[sample.cycles == c] == v).sum()), c) for c in sample.folds for v in (0, 1)]
    if len(sample.folds) < 2 or min(counts)[0] < MINIMUM_EVENTS:
        raise SurveyDataError(
            expected=f"two cycles or more, each with {MINIMUM_EVENTS} people with and without {outcome}",
            found=", ".join(f"{count} in {cycle}" for count, cycle in counts) or "none",
            remedy="add the tables of more cycles",
        )
    if "2017-2018" in sample.folds and any(holds_2017_2018_again(cycle) for cycle in sample.folds):
        raise SurveyDataError(
            expected="each person once",
            found="2017-2018 beside 2017 to March 2020, which holds the same people under other numbers",
            remedy="leave out the tables with the letter J, or those that begin with P_",
        )
    return sample


def _train_outcome(sample: _Sample, data: Mapping[str, str], folder: Path, progress: Progress) -> None:
    names = [*sample.folds, "final"]
    boosters: dict[str, xgboost.Booster] = {}
    linear: dict[str, tuple[dict[str, Linear], Linear]] = {}
    for done, name in enumerate(names):
        progress(f"Training {sample.outcome}", done, len(names))
        rows = sample.cycles != name  # no cycle is called "final", which therefore trains on everybody
        boosters[name] = _booster(sample, rows, names.index(name))
        linear[name] = _baselines(sample, rows)
    progress(f"Training {sample.outcome}", len(names), len(names))

    unseen = _unseen_margins(sample, boosters)
    calibrations = _calibrations(sample, unseen)
    scorers = {
        name: Scorer(
            booster=boosters[name],
            calibration=calibrations[name],
            logistic=linear[name][0],
            age_sex=linear[name][1],
        )
        for name in names
    }
    contender = Contender(
        outcome=sample.outcome,
        schema=sample.schema,
        minimum_data=MINIMUM_DATA,
        final=scorers["final"],
        folds={cycle: scorers[cycle] for cycle in sample.folds},
    )
    metrics = evaluate_outcome(sample.people, contender, progress=progress, cycle_subgroups=False)
    points = _operating_points(sample, unseen, calibrations["final"])
    _write(sample, contender, metrics, points, data, folder)


def _booster(sample: _Sample, rows: NDArray[np.bool_], stream: int) -> xgboost.Booster:
    values, y, weights = masked_copies(sample.outcome, sample.matrix[rows], sample.y[rows], stream)
    table = xgboost.QuantileDMatrix(
        values,
        y,
        weight=weights,
        max_bin=PARAMETERS["max_bin"],
        nthread=PARAMETERS["nthread"],
        feature_names=list(sample.schema.names),
    )
    return xgboost.train(dict(PARAMETERS), table, ROUNDS[sample.outcome])


def masked_copies(outcome: str, values: Matrix, y: Floats, stream: int) -> tuple[Matrix, Floats, Floats]:
    """Every person once per pattern and RANDOM_COPIES times with random gaps; weights sum to 1 per person.

    values: shape (people, features), NaN where missing. Returns values, labels and weights of people * copies rows.
    """
    schema = SCHEMAS[outcome]
    generator = np.random.default_rng([SEED, stream])
    wanted = patterns(outcome, schema)
    copies = [hidden_but(values, schema, visible) for pattern, visible in wanted.items() if pattern != ALL]
    copies += [_with_random_gaps(values, schema, generator) for _ in range(RANDOM_COPIES)]
    k = len(copies)
    return np.vstack(copies), np.tile(y, k), np.full(k * len(y), 1.0 / k)


def _with_random_gaps(values: Matrix, schema: FeatureSchema, generator: np.random.Generator) -> Matrix:
    groups = np.array([spec.group for spec in schema.features])
    hidden = generator.random(values.shape) < generator.choice(INPUT_HIDDEN, size=(len(values), 1))
    for block in _BLOCKS:
        gone = generator.random(len(values)) < BLOCK_HIDDEN
        hidden |= gone[:, None] & np.isin(groups, block)[None, :]
    hidden[:, groups == "demographics"] = False
    return np.where(hidden, np.float32(np.nan), values)


def _baselines(sample: _Sample, rows: NDArray[np.bool_]) -> tuple[dict[str, Linear], Linear]:
    index = {name: position for position, name in enumerate(sample.schema.names)}
    logistic = {
        pattern: fit_linear(visible, sample.matrix[rows][:, [index[name] for name in visible]], sample.y[rows])
        for pattern, visible in patterns(sample.outcome, sample.schema).items()
    }
    values = age_sex_inputs(sample.matrix[rows, index["age"]], sample.matrix[rows, index["female"]])
    return logistic, fit_linear(("age/50", "(age/50)^2", "female"), values, sample.y[rows])


def _unseen_margins(sample: _Sample, boosters: Mapping[str, xgboost.Booster]) -> dict[str, Floats]:
    """Pattern -> margins from the fold that did not see the person; NaN where too little is known for a score."""
    found: dict[str, Floats] = {}
    for pattern, visible in patterns(sample.outcome, sample.schema).items():
        if pattern == ALL:
            continue
        shown = hidden_but(sample.matrix, sample.schema, visible)
        column = np.full(len(sample.y), np.nan)
        for cycle in sample.folds:
            rows = sample.cycles == cycle
            column[rows] = margins(boosters[cycle], shown[rows])
        found[pattern] = np.where(enough_data(shown, sample.schema, MINIMUM_DATA), column, np.nan)
    return found


def _calibrations(sample: _Sample, unseen: Mapping[str, Floats]) -> dict[str, Calibration]:
    """One line over all patterns for "final", and for each cycle one from the others alone, where they allow it."""

    def fitted(rows: NDArray[np.bool_]) -> Calibration:
        x = np.concatenate([column[rows] for column in unseen.values()])
        y = np.tile(sample.y[rows], len(unseen))
        known = ~np.isnan(x)
        return fit_calibration(x[known], y[known])

    try:
        lines = {"final": fitted(np.full(len(sample.y), fill_value=True))}
    except ValueError as error:
        raise SurveyDataError(
            expected=f"enough people to learn {sample.outcome} from",
            found=str(error),
            remedy="add the tables of more cycles",
        ) from error
    for cycle in sample.folds:
        try:
            lines[cycle] = fitted(sample.cycles != cycle)
        except ValueError:  # of two small cycles the other one alone can be too little for a line
            lines[cycle] = lines["final"]
    return lines


def _operating_points(sample: _Sample, unseen: Mapping[str, Floats], line: Calibration) -> dict[str, float]:
    """Flag rate -> probability that this share of unseen people not in care reaches, nothing of the PHQ known."""
    who = (sample.people["in_care"] == 0).to_numpy() & ~np.isnan(unseen[HEADLINE])
    estimates = probabilities(line.log_odds(unseen[HEADLINE][who]))
    return {rate: round(float(np.quantile(estimates, 1 - float(rate))), 6) for rate in FLAG_RATES}


def _write(
    sample: _Sample,
    contender: Contender,
    metrics: Mapping[str, Any],
    points: Mapping[str, float],
    data: Mapping[str, str],
    folder: Path,
) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    (folder / "folds").mkdir(parents=True)
    contender.final.booster.save_model(folder / "model.ubj")
    for cycle, scorer in contender.folds.items():
        scorer.booster.save_model(folder / "folds" / f"{cycle}.ubj")
    _dump(folder / "schema.json", {"id": sample.schema.id, "features": sample.schema.described()})
    _dump(
        folder / "calibration.json",
        {
            **asdict(contender.final.calibration),
            "folds": {c: asdict(s.calibration) for c, s in contender.folds.items()},
        },
    )
    _dump(folder / "baselines.json", _baselines_json(contender))
    _dump(folder / "metrics.json", {"outcomes": {sample.outcome: metrics}})
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    manifest = {
        "format": FORMAT,
        "outcome": sample.outcome,
        "version": VERSION,
        "schema_id": sample.schema.id,
        "label": LABELS[sample.outcome],
        "intended_use": INTENDED_USE,
        "files": {name: sha256(folder / name) for name in files},
        "operating_points": points,
        "default_flag_rate": DEFAULT_FLAG_RATE,
        "operating_points_group": "out-of-fold estimates without PHQ answers, people not in care",
        "minimum_data": asdict(MINIMUM_DATA),
        "training": _provenance(sample, data),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _baselines_json(contender: Contender) -> dict[str, Any]:
    scorers = {**contender.folds, "final": contender.final}
    return {
        LOGISTIC: {
            pattern: {name: scorer.logistic[pattern].as_json() for name, scorer in scorers.items()}
            for pattern in contender.final.logistic
        },
        AGE_SEX: {name: scorer.age_sex.as_json() for name, scorer in scorers.items()},
    }


def _provenance(sample: _Sample, data: Mapping[str, str]) -> dict[str, Any]:
    return {
        "source": "NHANES, US National Center for Health Statistics; adults aged 18 or more with the label",
        "cycles": {
            cycle: {"n": int((sample.cycles == cycle).sum()), "events": int(sample.y[sample.cycles == cycle].sum())}
            for cycle in sample.folds
        },
        "n": len(sample.y),
        "events": int(sample.y.sum()),
        "weights": "none; each person counts once",
        "data_sha256": dict(data),
        "libraries": {name: _version(name) for name in ("numpy", "pandas", "scikit-learn", "xgboost")},
        "parameters": dict(PARAMETERS),
        "rounds": ROUNDS[sample.outcome],
        "copies": {"random": RANDOM_COPIES, "block_hidden": BLOCK_HIDDEN, "input_hidden": list(INPUT_HIDDEN)},
    }


def _version(name: str) -> str:
    return xgboost.__version__ if name == "xgboost" else importlib.metadata.version(name)


def _dump(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(
        json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n", encoding="utf-8"
    )


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise ArtifactError(
            expected=f"{folder} to be new, empty or a model",
            found="something other than a model in it",
            remedy="choose another folder with --out, or empty it",
        )
