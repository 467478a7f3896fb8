"""Trained models from folders, verified before use.

An artifact folder, `<outcome>/<version>/`, holds `manifest.json`, with the SHA-256 of every other file:
one booster per tier, `model-<tier>.ubj.gz`, and per fold, `folds/<cycle>-<tier>.ubj.gz` (XGBoost's own format),
unless the manifest says that the folds were left out, as in a version kept beside a newer one;
`schema.json`, `calibration.json`, and, compressed since format 3, `baselines.json.gz`, `reference.json.gz`,
`metrics.json.gz` and `validation.json.gz`.
Versions lie beside each other; the default is the newest by number. An artifact has its own inputs, so an older one
outlives new rows in `FEATURES` and other directions. Loading fails with ArtifactError for a missing, surplus or altered
file, an unknown outcome, an input that this code prepares differently, or boosters whose contributions do not add up to
their margins on this machine or differ from those of the tables. Does not train or score.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from models.errors import RETRAIN, ArtifactError
from models.inputs.feature_schema import FEATURES, FeatureSchema, FeatureSpec
from models.inputs.outcomes import OUTCOME_SPECS, OUTCOMES
from models.inputs.patterns import lines_by_groups, tier_of, tiers
from models.scoring.calibration import Calibration, Spread
from models.scoring.tree_tables import PartsOfRow

T = TypeVar("T")

SHIPPED = Path(__file__).parents[1] / "artifacts"
MANIFEST = "manifest.json"
FOLDS, LEFT_OUT = "folds", "left out"
"""The folder of the folds, and what the manifest says under that name when it is not there."""
FINAL = "final"
"""The serving scorer in calibration and baselines, beside the folds, which are named for their cycle."""
FORMAT = 3
_READABLE = (2, FORMAT)

Bins = tuple[tuple[tuple[float, ...], ...], tuple[str, ...]]

DIGITS = "0123456789"

_NO_INPUT = FeatureSpec(name="", block="", group="", kind="")


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumData:
    """What must be known for a score: all of `required`, and either `known_inputs` more or all of `or_all_of`."""

    required: tuple[str, ...]
    known_inputs: int
    or_all_of: tuple[str, ...]
    minimum_age_years: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The manifest of an artifact.

    operating_points: flag rate (as "0.05") -> probability threshold. input_ranges: continuous input -> least and
    greatest value in training. recalibration: what a site's labels changed, or None. has_folds: whether the boosters
    for evaluation on the cycles trained on are there.
    """

    outcome: str
    version: str
    schema_id: str
    label: str
    intended_use: str
    files: Mapping[str, str]
    operating_points: Mapping[str, float]
    default_flag_rate: str
    minimum_data: MinimumData
    input_ranges: Mapping[str, tuple[float, float]]
    training: Mapping[str, Any]
    recalibration: Mapping[str, Any] | None
    has_folds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A verified model, ready to score, by tier. Can be pickled.

    bins: per input the upper edges of the bins of its training distribution; per input a character for each bin.
    parts: the margin of one row and its parts, as the booster of the tier gives them. digest: of the manifest, which
    holds that of every other file, and so of the whole artifact.
    """

    outcome: str
    version: str
    digest: str
    schema: FeatureSchema
    parts: Mapping[str, PartsOfRow]
    calibrations: Mapping[str, Calibration]
    spreads: Mapping[str, Spread]
    lines_by_groups: Mapping[frozenset[str], str]
    manifest: Manifest
    folder: Path
    bins: Bins

    def line(self, groups: frozenset[str]) -> str:
        """The key of the calibration when these groups of inputs are known: of exactly these, or else of the tier."""
        return self.lines_by_groups.get(groups, tier_of(groups))

    @property
    def default_threshold(self) -> float:
        """Probability at the manifest's default flag rate."""
        return self.manifest.operating_points[self.manifest.default_flag_rate]


def load_models(root: Path | None = None, choices: Iterable[Mapping[str, str]] = ({},)) -> tuple[Model, ...]:
    """The models below root (default: the shipped ones), in the order of OUTCOMES, older versions first.

    root: a folder of models, of one outcome, or of one version. choices: what each site keeps, outcome -> version; the
    newest otherwise. Raises ArtifactError when root holds no model, or one of these is lacking or fails its checks.
    """
    folder = SHIPPED if root is None else root
    if (folder / MANIFEST).is_file() or versions(folder):
        return (load_model(the_version(folder)),)
    chosen = {(outcome, version) for outcome, version in wanted(choices) if versions(folder / outcome)}
    if not chosen:
        raise ArtifactError(
            expected=f"a folder with {' or '.join(OUTCOMES)} in it, each with a version that has a {MANIFEST}",
            found=f"none in {folder}",
            remedy=RETRAIN,
        )
    paths = {the_version(folder / outcome, version) for outcome, version in chosen}
    return in_order(load_model(path) for path in paths)


def wanted(choices: Iterable[Mapping[str, str]]) -> set[tuple[str, str | None]]:
    """Outcome and version of the models that some site uses; None: the newest. choices: what each site keeps."""
    return {(outcome, kept.get(outcome)) for kept in choices for outcome in OUTCOMES}


def in_order(models: Iterable[Model]) -> tuple[Model, ...]:
    """The models in the order of OUTCOMES, older versions first."""
    return tuple(sorted(models, key=lambda model: (OUTCOMES.index(model.outcome), *_order(model.version))))


def number(version: str) -> tuple[int, ...]:
    """The number of a version, to order by: 2.0.0 and a site's own 2.0.0+local.1b2c3d4e have the same."""
    return tuple(int(digits) for digits in re.findall(r"\d+", version.partition("+")[0]))


def _order(version: str) -> tuple[tuple[int, ...], str]:
    return number(version), version


def versions(folder: Path) -> list[Path]:
    """The artifact folders of one outcome, `<outcome>/<version>/`, oldest first.

    One named as a version but without a manifest, as a copy cut short leaves it, counts and fails to load: otherwise an
    older version would take its place in silence.
    """
    found = {path.parent for path in folder.glob(f"[!.]*/{MANIFEST}")}
    found |= {path for path in folder.glob("[0-9]*") if path.is_dir()}
    return sorted(found, key=lambda path: _order(path.name))


def the_version(folder: Path, version: str | None = None) -> Path:
    """An outcome's artifact folder: of this version, else the newest by number; an artifact folder returns itself.

    Raises ArtifactError for none, and for two of the newest number: that choice is not made in silence.
    """
    if version is None and (folder / MANIFEST).is_file():
        return folder
    there = versions(folder)
    newest = number(there[-1].name) if there else ()
    chosen = [p for p in there if (number(p.name) == newest if version is None else p.name == version)]
    if len(chosen) == 1:
        return chosen[0]
    raise ArtifactError(
        expected=f"one newest version of a model in {folder}" if version is None else f"{folder.name} {version}",
        found=", ".join(path.name for path in chosen or there) or "none",
        remedy="name one that is there in [models] of the site's file, or move others elsewhere" if there else RETRAIN,
    )


def load_model(folder: Path) -> Model:
    """The model in an artifact folder, after checking every file against the manifest.

    Raises ArtifactError: missing or surplus file, checksum, schema, outcome, unreadable content, inexact contributions.
    """
    from models.scoring import boosters  # noqa: PLC0415  # XGBoost; a process that is handed its models needs none

    manifest = _manifest(folder)
    _verify_files(folder, manifest)
    schema = _schema(folder, manifest)
    names = tiers(manifest.outcome)
    calibrations, spreads = read_calibration(_final(folder), names)
    by_groups = lines_by_groups(manifest.outcome, schema, calibrations)
    unknown = set(calibrations) - set(names) - set(by_groups.values())
    if unknown:
        raise ArtifactError(
            expected="lines of tiers and of their patterns in calibration.json",
            found=f"{', '.join(sorted(unknown))} in {folder.name}",
            remedy=RETRAIN,
        )
    loaded = boosters.boosters_of(folder, manifest.outcome, schema)
    parts = {tier: boosters.parts_of(booster) for tier, booster in loaded.items()}
    for tier, booster in loaded.items():
        boosters.verify_parts(booster, parts[tier], tier, schema)
    return Model(
        outcome=manifest.outcome,
        version=manifest.version,
        digest=sha256(folder / MANIFEST),
        schema=schema,
        parts=parts,
        calibrations=calibrations,
        spreads=spreads,
        lines_by_groups=by_groups,
        manifest=manifest,
        folder=folder,
        bins=_bins(folder, manifest, schema),
    )


def _bins(folder: Path, manifest: Manifest, schema: FeatureSchema) -> Bins:
    """As in `Model`; an input of which the artifact has no bins, or too many for one digit, has `?` for every value."""
    has_bins = any(name.startswith("reference.json") for name in manifest.files)
    trained_on = load_json(folder / "reference.json") if has_bins else {}
    bounds, characters = list[tuple[float, ...]](), list[str]()
    for name in schema.names:
        mix = trained_on.get(name)
        edges = mix.get("edges") if isinstance(mix, dict) else None
        if not isinstance(edges, list) or len(edges) >= len(DIGITS):
            bounds.append(())
            characters.append("?")
            continue
        bounds.append(tuple(map(float, edges)))
        characters.append(DIGITS[: len(edges) + 1])
    return tuple(bounds), tuple(characters)


def _final(folder: Path) -> dict[str, Any]:
    content = load_json(folder / "calibration.json").get(FINAL)
    return content if isinstance(content, dict) else {}


def read_calibration(
    content: Mapping[str, Any], names: tuple[str, ...]
) -> tuple[dict[str, Calibration], dict[str, Spread]]:
    """Tier, or `<tier>/<pattern>`, -> calibration and spread, from one scorer's content of calibration.json.

    names: the tiers, which have to be there; patterns have lines since 3.0.0. Raises ArtifactError.
    """
    try:
        keys = [*names, *(key for key in content if key not in names)]
        return (
            {key: Calibration(**content[key]["line"]) for key in keys},
            {key: Spread(**content[key]["spread"]) for key in keys},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            expected="a line and a spread of finite numbers for every tier in calibration.json",
            found=f"a problem with {error}",
            remedy=RETRAIN,
        ) from error


def sha256(path: Path) -> str:
    """Checksum of a file as in the manifest: lower-case hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def dump(path: Path, content: Mapping[str, Any]) -> None:
    """Writes compact JSON with sorted keys, compressed when the name ends in `.gz`; raises ValueError for NaN."""
    raw = (json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n").encode()
    path.write_bytes(compressed(raw) if path.suffix == ".gz" else raw)


def compressed(raw: bytes) -> bytes:
    """Gzip without a timestamp: the same content gives the same bytes."""
    return gzip.compress(raw, mtime=0)


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes manifest.json, with the checksum of every other file in the folder."""
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    manifest = {**content, "files": {name: sha256(folder / name) for name in files}}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _manifest(folder: Path) -> Manifest:
    content = load_json(folder / MANIFEST)
    if content.get("format") not in _READABLE:
        raise ArtifactError(
            expected=f"an artifact of format {' or '.join(map(str, _READABLE))}",
            found=f"format {content.get('format')!r} in {folder.name}",
            remedy=RETRAIN,
        )
    try:
        minimum = content["minimum_data"]
        manifest = Manifest(
            outcome=_of_kind(str, content, "outcome"),
            version=_of_kind(str, content, "version"),
            schema_id=_of_kind(str, content, "schema_id"),
            label=_of_kind(str, content, "label"),
            intended_use=_of_kind(str, content, "intended_use"),
            files=_of_kind(dict, content, "files"),
            operating_points={rate: float(value) for rate, value in content["operating_points"].items()},
            default_flag_rate=_of_kind(str, content, "default_flag_rate"),
            minimum_data=MinimumData(
                required=tuple(minimum["required"]),
                known_inputs=int(minimum["known_inputs"]),
                or_all_of=tuple(minimum["or_all_of"]),
                minimum_age_years=int(minimum["minimum_age_years"]),
            ),
            input_ranges={name: (float(low), float(high)) for name, (low, high) in content["input_ranges"].items()},
            training=_of_kind(dict, content, "training"),
            recalibration=content["recalibration"] and _of_kind(dict, content, "recalibration"),
            has_folds=content.get(FOLDS) != LEFT_OUT,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(expected="a complete manifest", found=f"a problem with {error}", remedy=RETRAIN) from error
    _verify_manifest(folder, manifest)
    return manifest


def _of_kind(kind: type[T], content: Mapping[str, Any], name: str) -> T:
    value = content[name]
    if not isinstance(value, kind):
        raise TypeError(name)
    return value


def _verify_manifest(folder: Path, manifest: Manifest) -> None:
    if manifest.outcome not in OUTCOMES:
        raise ArtifactError(
            expected=f"one of the outcomes {', '.join(OUTCOMES)}",
            found=f"{manifest.outcome!r} in {folder.name}/{MANIFEST}",
            remedy="use a model made for this service",
        )
    if folder.parent.name in OUTCOMES and folder.parent.name != manifest.outcome:
        raise ArtifactError(
            expected=f"the model of {folder.parent.name} in the folder of that name",
            found=f"a model of {manifest.outcome}",
            remedy="put each model into the folder named for its outcome",
        )
    if folder.parent.name in OUTCOMES and folder.name != manifest.version and not folder.name.startswith("."):
        raise ArtifactError(
            expected=f"version {folder.name} in the folder of that name",
            found=f"version {manifest.version}",
            remedy="give the folder the name of its version",
        )
    threshold = manifest.operating_points.get(manifest.default_flag_rate)
    if threshold is None or not 0 < threshold < 1:
        raise ArtifactError(
            expected="a default threshold between 0 and 1",
            found=f"{threshold} in {folder.name}/{MANIFEST}",
            remedy=RETRAIN,
        )


def _verify_files(folder: Path, manifest: Manifest) -> None:
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {MANIFEST}
    boosters = {f"model-{tier}.ubj.gz" for tier in tiers(manifest.outcome)}
    needed = boosters | {"schema.json", "calibration.json"} | set(manifest.files)
    for problem, names in (("missing", needed - present), ("not in the manifest", present - set(manifest.files))):
        if names:
            raise ArtifactError(
                expected=f"exactly the files of {folder.name}/{MANIFEST}",
                found=f"{problem}: {', '.join(sorted(names))}",
                remedy=RETRAIN,
            )
    for name, expected in sorted(manifest.files.items()):
        actual = sha256(folder / name)
        if actual != expected:
            raise ArtifactError(
                expected=f"SHA-256 {expected[:12]}... for {folder.name}/{name}",
                found=f"{actual[:12]}...: the file was altered after training",
                remedy=RETRAIN,
            )


def _schema(folder: Path, manifest: Manifest) -> FeatureSchema:
    """The artifact's own schema, whose inputs this code must prepare alike; directions concern training only."""
    content = load_json(folder / "schema.json")
    try:
        schema = FeatureSchema(features=tuple(_feature(row) for row in content["features"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            expected="the features of the model in schema.json", found=f"a problem with {error}", remedy=RETRAIN
        ) from error
    if not manifest.schema_id == content.get("id") == schema.id:
        raise ArtifactError(
            expected=f"feature schema {schema.id}, the hash of the features in schema.json",
            found=f"{manifest.schema_id} in {MANIFEST} and {content.get('id')} in schema.json of {folder.name}",
            remedy=RETRAIN,
        )
    never = OUTCOME_SPECS[manifest.outcome].never_inputs
    ours = {spec.name: spec for spec in FEATURES if spec.block not in never}
    others = [s.name for s in schema.features if s != replace(ours.get(s.name, _NO_INPUT), direction=s.direction)]
    if others:
        raise ArtifactError(
            expected="inputs that this version prepares as the model's training did",
            found=f"others in {folder.name}: {', '.join(others)}",
            remedy="train again with this version, or install the version the model was trained with",
        )
    rule = manifest.minimum_data
    lacking = {*rule.required, *rule.or_all_of, *manifest.input_ranges, "age"} - set(schema.names)
    if lacking or len(set(schema.names)) < len(schema.names):
        raise ArtifactError(
            expected="each input once, with those of minimum_data and input_ranges among them",
            found=f"{', '.join(sorted(lacking)) or 'one twice'} in {folder.name}",
            remedy=RETRAIN,
        )
    return schema


def _feature(row: Mapping[str, Any]) -> FeatureSpec:
    return FeatureSpec(**{**row, "bands": tuple((float(start), float(used)) for start, used in row["bands"])})


def load_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of an artifact, compressed there (`.gz` is added) or not. Raises ArtifactError."""
    packed = path.with_name(f"{path.name}.gz")
    try:
        content = json.loads(gzip.decompress(packed.read_bytes()) if packed.is_file() else path.read_bytes())
    except FileNotFoundError as error:
        raise ArtifactError(expected=f"a file {path.name}", found=f"none in {path.parent}", remedy=RETRAIN) from error
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ArtifactError(expected=f"JSON in {path.name}", found="something unreadable", remedy=RETRAIN) from error
    if not isinstance(content, dict):
        raise ArtifactError(expected=f"a JSON object in {path.name}", found="another kind of value", remedy=RETRAIN)
    return content
