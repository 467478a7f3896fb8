"""A site's own scores and outcomes into a new version of a model, with the same order of people.

The labels' line, logit(p) = shift + slope * log-odds, follows the calibration of every tier and fold, and thresholds
move with it, so the same people are flagged; the boosters stay byte for byte. A small change in level or slope shrinks
to none, because a few hundred people say little about either. Intervals become those of this line. Writes aside and
renames. numpy only, so that it runs where the service runs.
"""

from __future__ import annotations

import csv
import hashlib
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from models.errors import ArtifactError, LabelsError
from models.evaluation.metrics import MINIMUM_EVENTS, observed_over_expected
from models.inputs.outcomes import OUTCOMES
from models.scoring.calibration import (
    NOMINAL_COVERAGE,
    Calibration,
    Floats,
    LogisticLine,
    Spread,
    fit_line,
    probabilities,
)
from models.scoring.registry import (
    FINAL,
    MANIFEST,
    Model,
    dump,
    load_json,
    load_model,
    the_version,
    versions,
    write_manifest,
)

LEAST_EVENTS = 30
"""People with, and people without, the outcome. With 30, O/E is known to about a third either way."""
NEAREST = 0.00005
"""How near to 0 or 1 a score on record can be, as it has four places."""
SCORE_COLUMNS, OUTCOME_COLUMNS = ("score", "probability"), ("outcome", "label")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Local pairs: scores of `mhcds assess` (probabilities) and outcomes (0/1), shape (n,)."""

    scores: Floats
    y: Floats
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibrated:
    """The new version, with slope and O/E of the old and the new scores, each with its interval.

    The figures of the new scores are on the people whose labels were used; `slope` and `shift` are the line. later: the
    same figures, n and events of others, where there were some. measured: of those scored earlier and later, the share
    with an outcome, where that is known.
    """

    folder: Path
    version: str
    n: int
    events: int
    slope: Mapping[str, float]
    shift: Mapping[str, float]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    later: Mapping[str, Any] | None = None
    measured: Mapping[str, float] | None = None


def labels_of(scores: Sequence[float], outcomes: Sequence[bool]) -> Labels:
    """Labels from scores on record, rounded as they are there."""
    pairs = "".join(f"{score},{outcome:d}\n" for score, outcome in zip(scores, outcomes, strict=True))
    rounded = np.clip(np.array(scores, dtype=np.float64), NEAREST, 1 - NEAREST)
    y = np.array(outcomes, dtype=np.float64)
    return Labels(scores=rounded, y=y, sha256=hashlib.sha256(pairs.encode()).hexdigest())


def read_labels(path: Path) -> Labels:
    """Pairs from a CSV file with a header: score (or probability) between 0 and 1, and outcome (or label), 0 or 1.

    Raises LabelsError for anything else, naming the line.
    """
    try:
        raw = path.read_bytes()
        rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelsError(
            expected=f"a CSV file in UTF-8 at {path.name}", found=str(error), remedy="give the file with --labels"
        ) from error
    header = [name for name in (rows[0] if rows else {}) if name]
    score, outcome = (_column(header, names) for names in (SCORE_COLUMNS, OUTCOME_COLUMNS))
    pairs = [_pair(row[score], row[outcome], number) for number, row in enumerate(rows, start=2)]
    scores, y = (np.array(values, dtype=np.float64) for values in zip(*pairs, strict=True))
    return Labels(scores=scores, y=y, sha256=hashlib.sha256(raw).hexdigest())


def one_model(root: Path, outcome: str | None) -> Model:
    """The model in an artifact folder, or the newest in an outcome's folder or of one outcome in a folder of models.

    Raises ArtifactError for none or several.
    """
    if outcome is None:
        several = [name for name in OUTCOMES if versions(root / name)]
        if len(several) > 1:
            raise ArtifactError(
                expected="one model", found=f"{' and '.join(several)} in {root.name}", remedy="choose with --outcome"
            )
        return load_model(the_version(root / several[0] if several else root))
    if outcome not in OUTCOMES:
        raise ArtifactError(
            expected=f"--outcome {' or '.join(OUTCOMES)}", found=repr(outcome), remedy="choose one of them"
        )
    return load_model(the_version(root / outcome))


def _column(header: list[str], names: tuple[str, ...]) -> str:
    matching = [name for name in header if name.strip().lower() in names]
    if len(matching) != 1:
        raise LabelsError(
            expected=f"one column named {' or '.join(names)}, and rows below the header",
            found=", ".join(header) or "no rows",
            remedy="write a CSV file with the header score,outcome",
        )
    return matching[0]


def _pair(score: str | None, outcome: str | None, line: int) -> tuple[float, float]:
    try:
        probability, label = float(score or ""), float(outcome or "")
    except ValueError:
        probability, label = math.nan, math.nan
    if not 0 < probability < 1 or label not in (0.0, 1.0):
        raise LabelsError(
            expected="a score between 0 and 1, both excluded, and an outcome of 0 or 1",
            found=f"something else in line {line}",
            remedy="leave out people without a score or without a known outcome",
        )
    return probability, label


def recalibrate(
    model: Model,
    labels: Labels,
    out: Path,
    *,
    later: Labels | None = None,
    measured: Mapping[str, float] | None = None,
    begin: Callable[[str], None] = lambda _: None,
) -> Recalibrated:
    """Writes out/<outcome>/<version>+local.<hash>/ and reads it back.

    later: labels of others, which the line does not see, to check it on. measured: shares to keep with it. begin: is
    told the new version before anybody can find it. Raises LabelsError for fewer than LEAST_EVENTS people with or
    without the outcome (of `later`, fewer than MINIMUM_EVENTS), or scores that rank people the wrong way round;
    ArtifactError when the new version exists or does not verify.
    """
    events = _enough(labels, LEAST_EVENTS, "")
    further = 0 if later is None else _enough(later, MINIMUM_EVENTS, " later on")
    x = np.log(labels.scores / (1 - labels.scores))
    line = fit_line(x, labels.y)
    if line is None or line.slope <= 0:
        raise LabelsError(
            expected="scores that are higher, on the whole, for people with the outcome",
            found="the opposite, or one score for everybody",
            remedy="check that outcome 1 means present and that the scores are of this model",
        )
    line = _shrunk(line)
    moved = Calibration(intercept=line.intercept, slope=line.slope)
    spread = _spread(line, x)
    version = f"{model.version.partition('+')[0]}+local.{labels.sha256[:8]}"
    target = out / model.outcome / version
    if target.exists():
        raise ArtifactError(
            expected=f"no version {version} in {model.outcome} yet",
            found="one",
            remedy="choose another folder with --out, or use the one that is there",
        )
    result = Recalibrated(
        folder=target,
        version=version,
        n=labels.y.size,
        events=events,
        slope=_around(line.slope, line.slope_error),
        shift=_around(line.intercept, line.intercept_error),
        **_before_and_after(labels, moved),
        later=None if later is None else {"n": later.y.size, "events": further, **_before_and_after(later, moved)},
        measured=measured,
    )
    _write(model, result, moved, spread, labels.sha256, begin)
    return result


def _enough(labels: Labels, least: int, when: str) -> int:
    """How many have the outcome. Raises LabelsError where there are too few."""
    events = int(labels.y.sum())
    if min(events, labels.y.size - events) < least:
        raise LabelsError(
            expected=f"at least {least} people with the outcome and {least} without{when}",
            found=f"{events} with and {labels.y.size - events} without",
            remedy="collect more; until then the model stays as it is",
        )
    return events


def _before_and_after(labels: Labels, moved: Calibration) -> dict[str, Any]:
    x = np.log(labels.scores / (1 - labels.scores))
    return {"before": _figures(x, labels.y), "after": _figures(moved.log_odds(x), labels.y)}


def _shrunk(line: LogisticLine) -> LogisticLine:
    """The line, shrunk towards no change by the amount of chance (James and Stein).

    Level and slope are shrunk separately, the level where it is uncorrelated with the slope. A change that is large
    beside its standard error stays; one within it is dropped. Errors stay those of the labels.
    """
    centre = -line.covariance / line.slope_error**2
    level_error = math.sqrt(max(line.intercept_error**2 - line.covariance**2 / line.slope_error**2, 0.0))
    level = _shrink(line.intercept + line.slope * centre - centre, level_error)
    slope = 1 + _shrink(line.slope - 1, line.slope_error)
    return replace(line, intercept=level + centre - slope * centre, slope=slope)


def _shrink(change: float, error: float) -> float:
    return change * max(0.0, 1 - (error / change) ** 2) if change else 0.0


def _spread(line: LogisticLine, x: Floats) -> Spread:
    """The line's own uncertainty, on the scale of the new log-odds."""
    centre = float(x.mean())
    level = line.intercept_error**2 + 2 * centre * line.covariance + centre**2 * line.slope_error**2
    both = line.covariance + centre * line.slope_error**2
    return Spread(
        centre=line.intercept + line.slope * centre,
        level=level,
        both=both / line.slope,
        tilt=(line.slope_error / line.slope) ** 2,
        times=NormalDist().inv_cdf(0.5 + NOMINAL_COVERAGE / 2),
    )


def _figures(log_odds: Floats, y: Floats) -> dict[str, Any]:
    line = fit_line(log_odds, y)
    return {
        "slope": None if line is None else _around(line.slope, line.slope_error),
        "o_e": observed_over_expected(probabilities(log_odds), y),
    }


def _around(value: float, error: float) -> dict[str, float]:
    return {"value": round(value, 4), "low": round(value - 1.96 * error, 4), "high": round(value + 1.96 * error, 4)}


def _write(
    model: Model, result: Recalibrated, later: Calibration, spread: Spread, digest: str, begin: Callable[[str], None]
) -> None:
    aside = result.folder.parent / f".{result.version}-unfinished"
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(model.folder, aside)
    calibration = load_json(aside / "calibration.json")
    scorers = [calibration[FINAL], *calibration["folds"].values()]
    for tiers in scorers:
        for tier in tiers.values():
            tier["line"] = asdict(Calibration(**tier["line"]).then(later))
            tier["spread"] = asdict(spread)
    dump(aside / "calibration.json", calibration)
    manifest = load_json(aside / MANIFEST)
    moved = {rate: float(probabilities(later.log_odds(_logit(p)))) for rate, p in manifest["operating_points"].items()}
    write_manifest(
        aside,
        {
            **manifest,
            "version": result.version,
            "operating_points": {rate: round(value, 6) for rate, value in moved.items()},
            "recalibration": {
                "from_version": model.version,
                "labels_sha256": digest,
                **{name: value for name, value in asdict(result).items() if name not in ("folder", "version")},
            },
        },
    )
    try:
        load_model(aside)
        begin(result.version)
    except Exception:
        shutil.rmtree(aside)
        raise
    aside.rename(result.folder)


def _logit(probability: float) -> Floats:
    return np.asarray(math.log(probability / (1 - probability)))
