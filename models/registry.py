"""Trained models from folders, verified before anything is scored with them.

An artifact folder holds `manifest.json`, which carries the SHA-256 of every other file in it: `model.ubj` and
`folds/*.ubj` (XGBoost's own format), `schema.json`, `calibration.json`, `baselines.json`, `metrics.json`.
Loading fails with ArtifactError for a missing, surplus or altered file, an unknown outcome, or a schema that is not the
one this code would build vectors for. Needs xgboost and numpy, nothing more. Does not train or score.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xgboost

from models.calibration import Calibration
from models.errors import ArtifactError
from models.feature_schema import OUTCOMES, SCHEMAS, FeatureSchema

SHIPPED = Path(__file__).parent / "artifacts"
MANIFEST = "manifest.json"
FORMAT = 1
_RETRAIN = "train again with `mhcds train`, or restore the folder from the release"


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumData:
    """What must be known for a score: all of `required`, and either `known_inputs` more or all of `or_all_of`."""

    required: tuple[str, ...]
    known_inputs: int
    or_all_of: tuple[str, ...]
    minimum_age_years: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an artifact says of itself. operating_points: flag rate (as "0.05") -> probability threshold."""

    outcome: str
    version: str
    schema_id: str
    label: str
    intended_use: str
    files: Mapping[str, str]
    operating_points: Mapping[str, float]
    default_flag_rate: str
    minimum_data: MinimumData
    training: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A verified model, ready to score. The booster runs on one thread: on one row its default is 15 times slower."""

    outcome: str
    version: str
    schema: FeatureSchema
    booster: xgboost.Booster
    calibration: Calibration
    manifest: Manifest
    folder: Path

    @property
    def default_threshold(self) -> float:
        """Probability at the manifest's default flag rate."""
        return self.manifest.operating_points[self.manifest.default_flag_rate]


def load_models(root: Path | None = None) -> tuple[Model, ...]:
    """Every model below root (default: the shipped ones), in the order of OUTCOMES.

    Raises ArtifactError when root holds no model or any of them fails its checks.
    """
    folder = SHIPPED if root is None else root
    found = [folder / outcome for outcome in OUTCOMES if (folder / outcome / MANIFEST).is_file()]
    if not found:
        raise ArtifactError(
            expected=f"a folder with {' or '.join(OUTCOMES)} in it, each with a {MANIFEST}",
            found=f"none in {folder}",
            remedy=_RETRAIN,
        )
    return tuple(load_model(path) for path in found)


def load_model(folder: Path) -> Model:
    """The model in an artifact folder, after checking every file against the manifest.

    Raises ArtifactError: missing or surplus file, checksum, schema, outcome, unreadable content.
    """
    manifest = _manifest(folder)
    _verify_files(folder, manifest)
    schema = SCHEMAS[manifest.outcome]
    _verify_schema(folder, manifest, schema)
    calibration = _json(folder / "calibration.json")
    try:
        final = Calibration(intercept=calibration["intercept"], slope=calibration["slope"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            expected="a finite intercept and slope in calibration.json", found=str(error), remedy=_RETRAIN
        ) from error
    return Model(
        outcome=manifest.outcome,
        version=manifest.version,
        schema=schema,
        booster=load_booster(folder / "model.ubj", schema),
        calibration=final,
        manifest=manifest,
        folder=folder,
    )


def load_booster(path: Path, schema: FeatureSchema) -> xgboost.Booster:
    """One booster in XGBoost's own format, set to one thread. Raises ArtifactError when it does not fit the schema."""
    booster = xgboost.Booster()
    try:
        booster.load_model(path)
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise ArtifactError(
            expected="an XGBoost model", found=f"{path.name} cannot be read", remedy=_RETRAIN
        ) from error
    booster.set_param({"nthread": 1})
    if booster.feature_names != list(schema.names):
        raise ArtifactError(
            expected="a booster with the features of its schema", found=f"others in {path.name}", remedy=_RETRAIN
        )
    return booster


def sha256(path: Path) -> str:
    """Checksum of a file as the manifest writes it: lower-case hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _manifest(folder: Path) -> Manifest:
    content = _json(folder / MANIFEST)
    if content.get("format") != FORMAT:
        raise ArtifactError(
            expected=f"an artifact of format {FORMAT}",
            found=f"format {content.get('format')!r} in {folder.name}",
            remedy=_RETRAIN,
        )
    try:
        minimum = content["minimum_data"]
        manifest = Manifest(
            outcome=content["outcome"],
            version=content["version"],
            schema_id=content["schema_id"],
            label=content["label"],
            intended_use=content["intended_use"],
            files=content["files"],
            operating_points={rate: float(value) for rate, value in content["operating_points"].items()},
            default_flag_rate=content["default_flag_rate"],
            minimum_data=MinimumData(
                required=tuple(minimum["required"]),
                known_inputs=int(minimum["known_inputs"]),
                or_all_of=tuple(minimum["or_all_of"]),
                minimum_age_years=int(minimum["minimum_age_years"]),
            ),
            training=content["training"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(expected="a complete manifest", found=f"a problem with {error}", remedy=_RETRAIN) from error
    _verify_manifest(folder, manifest)
    return manifest


def _verify_manifest(folder: Path, manifest: Manifest) -> None:
    if manifest.outcome not in OUTCOMES:
        raise ArtifactError(
            expected=f"one of the outcomes {', '.join(OUTCOMES)}",
            found=f"{manifest.outcome!r} in {folder.name}/{MANIFEST}",
            remedy="use a model made for this service",
        )
    if folder.name in OUTCOMES and folder.name != manifest.outcome:
        raise ArtifactError(
            expected=f"the model of {folder.name} in the folder of that name",
            found=f"a model of {manifest.outcome}",
            remedy="put each model into the folder named for its outcome",
        )
    threshold = manifest.operating_points.get(manifest.default_flag_rate)
    if threshold is None or not 0 < threshold < 1:
        raise ArtifactError(
            expected="a default threshold between 0 and 1",
            found=f"{threshold} in {folder.name}/{MANIFEST}",
            remedy=_RETRAIN,
        )


def _verify_files(folder: Path, manifest: Manifest) -> None:
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {MANIFEST}
    needed = {"model.ubj", "schema.json", "calibration.json"} | set(manifest.files)
    for problem, names in (("missing", needed - present), ("not in the manifest", present - set(manifest.files))):
        if names:
            raise ArtifactError(
                expected=f"exactly the files of {folder.name}/{MANIFEST}",
                found=f"{problem}: {', '.join(sorted(names))}",
                remedy=_RETRAIN,
            )
    for name, expected in sorted(manifest.files.items()):
        actual = sha256(folder / name)
        if actual != expected:
            raise ArtifactError(
                expected=f"SHA-256 {expected[:12]}... for {folder.name}/{name}",
                found=f"{actual[:12]}...: the file was altered after training",
                remedy=_RETRAIN,
            )


def _verify_schema(folder: Path, manifest: Manifest, schema: FeatureSchema) -> None:
    written = _json(folder / "schema.json").get("id")
    if not manifest.schema_id == written == schema.id:
        raise ArtifactError(
            expected=f"feature schema {schema.id}, which this version builds",
            found=f"{manifest.schema_id} in {MANIFEST} and {written} in schema.json of {folder.name}",
            remedy="train again with this version, or install the version the model was trained with",
        )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(expected=f"a file {path.name}", found=f"none in {path.parent}", remedy=_RETRAIN) from error
    except (OSError, ValueError) as error:
        raise ArtifactError(expected=f"JSON in {path.name}", found="something unreadable", remedy=_RETRAIN) from error
    if not isinstance(content, dict):
        raise ArtifactError(expected=f"a JSON object in {path.name}", found="another kind of value", remedy=_RETRAIN)
    return content
