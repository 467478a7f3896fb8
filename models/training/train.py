"""From folders of survey tables to two artifact folders: seeded, offline, the same bytes for the same tables.

`fitting` holds the recipe and `validation` the walk forward in time; this module assembles the artifact. It includes
folds, each trained on the other cycles, for honest evaluation on training cycles. The two outcomes are trained in
parallel, each on one thread. Writes parameters and aggregate figures only, no rows; writes aside and renames, so that
an artifact is whole or absent.
"""

from __future__ import annotations

import importlib.metadata
import json
import multiprocessing
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from queue import Empty
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xgboost

from models.errors import ArtifactError, SurveyDataError
from models.evaluation.baselines import AGE_SEX, LOGISTIC
from models.evaluation.drift import reference
from models.evaluation.evaluate import Contender, Progress, Scorer, counted, evaluate_outcome
from models.evaluation.evaluate import contender as contender_of
from models.evaluation.metrics import FLAG_RATES, MINIMUM_EVENTS
from models.inputs.outcomes import OUTCOMES
from models.inputs.patterns import HEADLINE
from models.scoring.calibration import NOMINAL_COVERAGE, Floats, probabilities, reliability_table
from models.scoring.registry import FINAL, FORMAT, SHIPPED, compressed, dump, load_model, versions, write_manifest
from models.survey.nhanes import survey_checksums, survey_frame
from models.survey.tables import holds_2017_2018_again
from models.training.fitting import (
    BLOCK_HIDDEN,
    INPUT_HIDDEN,
    MINIMUM_DATA,
    PARAMETERS,
    PERSON_SHARE,
    RANDOM_COPIES,
    RECENCY_HALF_LIFE,
    ROUNDS,
    Fitter,
    ForwardErrors,
    Sample,
    sample_of,
)
from models.training.validation import Previous, breaches, forward_scorers, validation

VERSION = "3.0.0"
PREVIOUS = "2.0.0"
"""The shipped version with which the new one is compared."""
DEFAULT_FLAG_RATE = "0.05"

INTENDED_USE = (
    "Prompts a clinician to consider screening an adult: it estimates what survey adults with similar records reported "
    "at the time, is no diagnosis, says nothing about later events, and a low estimate is no reassurance."
)

TERMS = (
    "NCHS public-use files: statistical use only, no attempt to identify anybody, no linking with identifiable data. "
    "This artifact holds parameters and aggregate figures, no respondent rows."
)


class _Queue(Protocol):
    def put(self, item: tuple[str, int, int]) -> None: ...
    def get(self, *, timeout: float) -> tuple[str, int, int]: ...


def train(nhanes: Sequence[Path], out: Path, *, progress: Progress) -> None:
    """Trains both outcomes on every cycle in the folders of survey tables and writes out/<outcome>/<version>/.

    Other versions there stay. Raises SurveyDataError for unusable tables, fewer than two cycles with the label, or
    fewer than 10 people with or without the outcome in any cycle; ArtifactError when out/<outcome> holds something that
    is not an artifact.
    """
    for outcome in OUTCOMES:
        _refuse_foreign(out / outcome)
    progress("Reading the survey tables", 0, 1)
    frame = survey_frame(*nhanes, left_out=True)
    data = survey_checksums(*nhanes)
    progress("Reading the survey tables", 1, 1)
    samples = [sample_of(frame, outcome) for outcome in OUTCOMES]
    for sample in samples:
        _refuse_thin(sample)
    try:
        written = _side_by_side(samples, data, out, progress)
        for sample, aside in zip(samples, written, strict=True):
            folder = out / sample.outcome / VERSION
            if folder.exists():
                shutil.rmtree(folder)
            folder.parent.mkdir(parents=True, exist_ok=True)
            aside.rename(folder)
    finally:
        for outcome in OUTCOMES:
            shutil.rmtree(_aside(out / outcome), ignore_errors=True)


def _side_by_side(samples: list[Sample], data: Mapping[str, str], out: Path, progress: Progress) -> list[Path]:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        queue: _Queue = manager.Queue()
        with ProcessPoolExecutor(len(samples), mp_context=context) as pool:
            tasks = [pool.submit(_trained, sample, data, out / sample.outcome, queue) for sample in samples]
            while not all(task.done() for task in tasks):
                _relay(queue, progress)
            while _relay(queue, progress, wait_s=0.0):
                pass
            return [task.result() for task in tasks]


def _aside(folder: Path) -> Path:
    """Where an artifact is written before the rename."""
    return folder.parent / f".{folder.name}-unfinished"


def _relay(queue: _Queue, progress: Progress, wait_s: float = 0.2) -> bool:
    try:
        progress(*queue.get(timeout=wait_s))
    except Empty:
        return False
    return True


def _refuse_thin(sample: Sample) -> None:
    counts = [(int((sample.y[sample.cycles == c] == v).sum()), c) for c in sample.folds for v in (0, 1)]
    if len(sample.folds) < 2 or min(counts)[0] < MINIMUM_EVENTS:
        raise SurveyDataError(
            expected=f"two cycles or more, each with {MINIMUM_EVENTS} people with and without {sample.outcome}",
            found=", ".join(f"{count} in {cycle}" for count, cycle in counts) or "none",
            remedy="add the tables of more cycles",
        )
    if "2017-2018" in sample.folds and any(holds_2017_2018_again(cycle) for cycle in sample.folds):
        raise SurveyDataError(
            expected="each person once",
            found="2017-2018 beside 2017 to March 2020, which holds the same people under other numbers",
            remedy="leave out the tables with the letter J, or those that begin with P_",
        )


def _trained(sample: Sample, data: Mapping[str, str], folder: Path, queue: _Queue) -> Path:
    """Trains one outcome and writes it beside `folder`; returns where. Raises SurveyDataError."""

    def progress(description: str, done: int, total: int) -> None:
        queue.put((description, done, total))

    fitter = Fitter(sample=sample)
    everybody = np.full(len(sample.y), fill_value=True)
    try:
        forward = forward_scorers(fitter, progress)
        contender = _contender(fitter, forward.errors, progress)
        metrics = evaluate_outcome(sample.people, contender, progress=progress, cycle_subgroups=())
        judged = validation(fitter, forward, contender, _previous(sample.outcome), progress)
    except ValueError as error:
        raise SurveyDataError(
            expected=f"enough people to learn {sample.outcome} from",
            found=str(error),
            remedy="add the tables of more cycles",
        ) from error
    unseen = fitter.unseen(everybody)
    judged["breaches"] = breaches(sample.outcome, metrics)
    judged["reliability"] = {
        pattern: [asdict(row) for row in reliability_table(probabilities(x[~np.isnan(x)]), sample.y[~np.isnan(x)])]
        for pattern, x in unseen.items()
    }
    points = _operating_points(sample.people, unseen[HEADLINE])
    aside = _aside(folder)
    shutil.rmtree(aside, ignore_errors=True)
    _write(aside, sample, contender, metrics=metrics, validation_figures=judged, points=points, data=data)
    return aside


def _previous(outcome: str) -> Previous | None:
    folder = SHIPPED / outcome / PREVIOUS
    if not folder.exists():
        return None
    model = load_model(folder)
    return Previous(
        version=PREVIOUS, contender=contender_of(model), cycles=frozenset(model.manifest.training["cycles"])
    )


def _contender(fitter: Fitter, errors: Mapping[str, ForwardErrors], progress: Progress) -> Contender:
    """Leaves out each cycle, and the errors in it; "final", which is not a cycle, leaves out nothing."""
    sample = fitter.sample
    names = counted([*sample.folds, FINAL], f"Training {sample.outcome}", progress)
    scorers = {
        name: fitter.scorer(sample.cycles != name, [found for cycle, found in errors.items() if cycle != name])
        for name in names
    }
    return Contender(
        outcome=sample.outcome,
        schema=sample.schema,
        minimum_data=MINIMUM_DATA,
        final=scorers[FINAL],
        folds={cycle: scorers[cycle] for cycle in sample.folds},
    )


def _operating_points(people: pd.DataFrame, unseen: Floats) -> dict[str, float]:
    """Flag rate -> probability reached by this share of unseen people not in care, without PHQ answers."""
    who = (people["in_care"] == 0).to_numpy() & ~np.isnan(unseen)
    estimates = probabilities(unseen[who])
    return {rate: round(float(np.quantile(estimates, 1 - float(rate))), 6) for rate in FLAG_RATES}


def _write(
    folder: Path,
    sample: Sample,
    contender: Contender,
    *,
    metrics: Mapping[str, Any],
    validation_figures: Mapping[str, Any],
    points: Mapping[str, float],
    data: Mapping[str, str],
) -> None:
    (folder / "folds").mkdir(parents=True)
    for tier, booster in contender.final.boosters.items():
        (folder / f"model-{tier}.ubj.gz").write_bytes(packed(booster))
    for cycle, scorer in contender.folds.items():
        for tier, booster in scorer.boosters.items():
            (folder / "folds" / f"{cycle}-{tier}.ubj.gz").write_bytes(packed(booster))
    dump(folder / "schema.json", {"id": sample.schema.id, "features": sample.schema.described()})
    dump(
        folder / "calibration.json",
        {FINAL: _calibration(contender.final), "folds": {c: _calibration(s) for c, s in contender.folds.items()}},
    )
    dump(folder / "baselines.json.gz", _baselines_json(contender))
    dump(folder / "reference.json.gz", reference(sample.schema, sample.matrix))
    dump(folder / "metrics.json.gz", {"outcomes": {sample.outcome: metrics}})
    dump(folder / "validation.json.gz", validation_figures)
    write_manifest(
        folder,
        {
            "format": FORMAT,
            "outcome": sample.outcome,
            "version": VERSION,
            "schema_id": sample.schema.id,
            "label": sample.spec.label,
            "intended_use": INTENDED_USE,
            "operating_points": dict(points),
            "default_flag_rate": DEFAULT_FLAG_RATE,
            "operating_points_group": "out-of-fold estimates without PHQ answers, people not in care",
            "minimum_data": asdict(MINIMUM_DATA),
            "input_ranges": _input_ranges(sample),
            "nominal_coverage": NOMINAL_COVERAGE,
            "training": _provenance(sample, data),
            "recalibration": None,
        },
    )


def packed(booster: xgboost.Booster) -> bytes:
    """XGBoost's own format, compressed, without what neither margins nor contributions read: a third of the bytes."""
    content = json.loads(booster.save_raw("json"))
    for tree in content["learner"]["gradient_booster"]["model"]["trees"]:
        for unread in ("loss_changes", "base_weights"):
            tree[unread] = [0.0] * len(tree[unread])
    slim = xgboost.Booster()
    slim.load_model(bytearray(json.dumps(content).encode()))
    return compressed(bytes(slim.save_raw("ubj")))


def _calibration(scorer: Scorer) -> dict[str, Any]:
    return {
        tier: {"line": asdict(scorer.calibrations[tier]), "spread": asdict(scorer.spreads[tier])}
        for tier in scorer.calibrations
    }


def _input_ranges(sample: Sample) -> dict[str, list[float]]:
    """Ranges of continuous inputs; capped, banded or coded ones cannot lie outside."""
    free = [s for s in sample.schema.features if s.kind == "number" and s.cap is None]
    return {s.name: [float(sample.people[s.name].min()), float(sample.people[s.name].max())] for s in free}


def _baselines_json(contender: Contender) -> dict[str, Any]:
    scorers = {**contender.folds, FINAL: contender.final}
    return {
        LOGISTIC: {
            pattern: {name: scorer.logistic[pattern].as_json() for name, scorer in scorers.items()}
            for pattern in contender.final.logistic
        },
        AGE_SEX: {name: scorer.age_sex.as_json() for name, scorer in scorers.items()},
    }


def _provenance(sample: Sample, data: Mapping[str, str]) -> dict[str, Any]:
    return {
        "source": "NHANES, US National Center for Health Statistics; adults aged 18 or more with the label",
        "terms": TERMS,
        "cycles": {
            cycle: {"n": int((sample.cycles == cycle).sum()), "events": int(sample.y[sample.cycles == cycle].sum())}
            for cycle in sample.folds
        },
        "n": len(sample.y),
        "events": int(sample.y.sum()),
        "weights": "none; each person counts once",
        "data_sha256": dict(data),
        "libraries": {name: _version(name) for name in ("numpy", "pandas", "scikit-learn", "scipy", "xgboost")},
        "parameters": {**PARAMETERS, "max_depth": sample.spec.max_depth, "person_share": PERSON_SHARE},
        "rounds": ROUNDS,
        "recency_half_life_cycles": RECENCY_HALF_LIFE,
        "copies": {"random": RANDOM_COPIES, "block_hidden": BLOCK_HIDDEN, "input_hidden": list(INPUT_HIDDEN)},
    }


def _version(name: str) -> str:
    return xgboost.__version__ if name == "xgboost" else importlib.metadata.version(name)


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not versions(folder):
        raise ArtifactError(
            expected=f"{folder} to be new, empty or to hold models",
            found="something other than a model in it",
            remedy="choose another folder with --out, or empty it",
        )
