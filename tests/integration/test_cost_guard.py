"""What a call costs may not change unseen: counts that do not depend on the machine (tests/cost_guard.py)."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cost_guard import COMMAND, FIGURES, differences

ROOT = Path(__file__).parents[2]
BEFORE = tomllib.loads(FIGURES.read_text(encoding="utf-8"))


def test_three_fixed_calls_cost_what_the_file_says() -> None:
    # In a process of its own: what other tests left in memory would count.
    counted = subprocess.run(
        [sys.executable, "tests/cost_guard.py"], cwd=ROOT, env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    changed = differences(BEFORE, tomllib.loads(counted.stdout))

    assert not changed, f"\n{chr(10).join(changed)}\nIf that is meant: {COMMAND}\n"


@pytest.mark.parametrize(("factor", "noticed"), [(1.06, True), (0.94, True), (1.04, False), (0.96, False)])
def test_more_than_one_twentieth_is_noticed_in_either_direction(factor: float, noticed: bool) -> None:
    after = BEFORE | {"acute": BEFORE["acute"] | {"instructions": round(factor * BEFORE["acute"]["instructions"])}}

    assert bool(differences(BEFORE, after)) is noticed


def test_one_commit_more_is_noticed_with_any_version_of_python() -> None:
    dearer = {"commits": BEFORE["healthy"]["commits"] + 1, "instructions": 1}

    changed = differences(BEFORE, BEFORE | {"python": "4.0", "healthy": BEFORE["healthy"] | dearer})

    assert [line.partition(":")[0] for line in changed] == ["healthy, commits"]
