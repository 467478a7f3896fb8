"""Deletes the folds of a shipped version that stays beside a newer one: `make drop-folds VERSION=2.0.0`.

The folds are most of an artifact and serve only its evaluation on the cycles it was trained on, whose figures are in
its metrics. Every other file keeps its content byte for byte; figures are compressed (format 3). The manifest says what
was left out and keeps the checksums of the release.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from models.errors import ArtifactError
from models.inputs.outcomes import OUTCOMES
from models.scoring.registry import (
    FOLDS,
    FORMAT,
    LEFT_OUT,
    MANIFEST,
    SHIPPED,
    compressed,
    load_json,
    load_model,
    the_version,
    write_manifest,
)

FIGURES = ("baselines.json", "metrics.json", "reference.json", "validation.json")


def drop_folds(folder: Path) -> None:
    """Replaces an artifact folder by the same without folds. Raises ArtifactError unless both verify."""
    load_model(folder)
    released = load_json(folder / MANIFEST)
    if released.get(FOLDS) == LEFT_OUT:
        return
    aside = folder.parent / f".{folder.name}-unfinished"
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(folder, aside, ignore=shutil.ignore_patterns(FOLDS))
    for path in (aside / name for name in FIGURES if (aside / name).is_file()):
        path.with_name(f"{path.name}.gz").write_bytes(compressed(path.read_bytes()))
        path.unlink()
    files = {name: digest for name, digest in released["files"].items() if not name.startswith(f"{FOLDS}/")}
    write_manifest(aside, {**released, "format": FORMAT, FOLDS: LEFT_OUT, "released_files": files})
    try:
        load_model(aside)
    except ArtifactError:
        shutil.rmtree(aside)
        raise
    shutil.rmtree(folder)
    aside.rename(folder)


def main(words: Sequence[str], root: Path = SHIPPED) -> None:
    """Of every outcome below root. Exits with what was expected without a version, or when one is not there."""
    if len(words) != 1:
        sys.exit("expected one version, as in: make drop-folds VERSION=2.0.0")
    try:
        for folder in [the_version(root / outcome, words[0]) for outcome in OUTCOMES]:
            drop_folds(folder)
    except ArtifactError as error:
        sys.exit(f"expected {error.expected}; found {error.found}")


if __name__ == "__main__":
    main(sys.argv[1:])
