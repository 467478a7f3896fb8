"""A second version of the shipped models, for tests: the same boosters under another number, every score moved."""

from __future__ import annotations

import shutil
from pathlib import Path

from models.inputs.outcomes import OUTCOMES
from models.scoring.registry import MANIFEST, SHIPPED, dump, load_json, the_version, write_manifest

OLD = {outcome: the_version(SHIPPED / outcome).name for outcome in OUTCOMES}
NEW = "9.0.0"


def two_versions(root: Path, version: str = NEW) -> Path:
    """A folder with the shipped models, and beside each the moved one."""
    for outcome, old in OLD.items():
        shutil.copytree(SHIPPED / outcome / old, root / outcome / old)
        folder = Path(shutil.copytree(SHIPPED / outcome / old, root / outcome / version))
        calibration = load_json(folder / "calibration.json")
        for tier in calibration["final"].values():
            tier["line"]["intercept"] += 0.5
        dump(folder / "calibration.json", calibration)
        write_manifest(folder, {**load_json(folder / MANIFEST), "version": version})
    return root
