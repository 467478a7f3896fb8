"""One more medicine, visit or condition on a chart never lowers an estimate, where the list it stands in was read.

Models before 3.0.0 left seven drug classes and a usual place of care free: they show that these tests find what they
look for. Artifacts are those in MHCDS_ARTIFACTS, by default the shipped ones.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from whole_charts import (
    CHRONIC,
    CLASS_OF,
    CLASSES,
    FOLDERS,
    LISTED,
    TOLERANCE,
    UNNAMED,
    VISIT_CLASSES,
    Step,
    changes,
    estimates,
    steps,
)

from models.inputs.feature_schema import FEATURES
from models.inputs.features import Inputs
from models.inputs.patterns import tier_of
from models.scoring.boosters import boosters_of
from models.scoring.registry import Model, load_model
from models.scoring.risk import NotScored
from models.scoring.score import score

NUMBER = 7_000
ALL_HELD = 3
"""From this major version on every input that rests on a list is held."""
FREE_BEFORE = {"rx_betablocker", "rx_statin", "rx_thyroid", "rx_steroid", "rx_insulin", "rx_metformin", "rx_bronchodil"}

each_model = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")


@pytest.fixture(scope="module")
def charts() -> tuple[list[Inputs], list[Step]]:
    """The charts, read once: half a minute."""
    return steps(NUMBER)


@cache
def model_in(folder: Path) -> Model:
    return load_model(folder)


def holds_all(model: Model) -> bool:
    return int(model.version.partition(".")[0]) >= ALL_HELD


def becomes_known_or_unknown(step: Step, readings: list[Inputs]) -> bool:
    found = changes(readings[step.before], readings[step.after])
    return any(None in pair for pair in found.values())


def test_an_addition_changes_the_inputs_that_it_is_about_and_only_upwards(charts) -> None:
    readings, taken = charts
    for step in taken:
        found = changes(readings[step.before], readings[step.after])
        assert found.keys() <= step.addition.may_change, step.addition
        assert all(a < b for a, b in found.values() if a is not None and b is not None), step.addition


def test_what_is_known_stays_known_and_what_is_not_stays_unknown_but_for_a_medicine_without_its_name(charts) -> None:
    readings, taken = charts

    # It may be of any class, so that none is known to be absent any more.
    assert {step.addition.name for step in taken if becomes_known_or_unknown(step, readings)} == {UNNAMED}


def test_every_kind_of_addition_and_every_input_was_really_tried(charts) -> None:
    readings, taken = charts
    made = Counter(step.addition.name for step in taken)
    pairs = [pair for step in taken for pair in changes(readings[step.before], readings[step.after]).items()]
    raised = Counter(name for name, (before, after) in pairs if before is not None and after is not None)
    group = {spec.name: spec.group for spec in FEATURES}
    tiers = Counter(tier_of({group[name] for name in readings[step.after].facts}) for step in taken)
    unread = Counter(name for reading in readings for name in ("n_rx", "visits_yr", "mi") if name not in reading.facts)
    print(dict(raised), dict(tiers), dict(unread), sep="\n")

    wanted = {f"medicine {name}" for name in CLASSES} | {f"visit {name}" for name in VISIT_CLASSES}
    wanted |= {f"condition {row['feature']}" for row in CHRONIC} | {
        UNNAMED,
        "medicine of no class",
        "condition of no input",
    }
    wanted |= {"again: medicine rx_ssri", "again: visit VR", "again: condition arthritis"}
    assert not {name for name in wanted if made[name] < 10}
    assert not {name for name in LISTED if raised[name] < 30}
    assert not {spec.name for spec in FEATURES if sum(spec.name in reading.facts for reading in readings) < NUMBER / 10}
    assert all(tiers[tier] > NUMBER / 20 for tier in ("core", "needs", "phq2", "phq8"))
    assert all(unread[name] > NUMBER / 20 for name in ("n_rx", "visits_yr", "mi"))
    named = {step.addition.entries[0].get("medicationCodeableConcept", {}).get("text") for step in taken}
    assert len(named & CLASS_OF.keys()) > 100


@each_model
def test_no_addition_to_a_list_that_was_read_lowers_an_estimate_or_takes_it_away(folder: Path, charts) -> None:
    model = model_in(folder)
    readings, taken = charts
    log_odds = estimates(model, readings)
    known = [step for step in taken if not becomes_known_or_unknown(step, readings)]
    moved = np.array([log_odds[step.after] - log_odds[step.before] for step in known])
    falls = Counter(known[n].addition.name.removeprefix("again: ") for n in np.flatnonzero(moved < -TOLERANCE))
    print(
        f"{model.outcome} {model.version}: {(~np.isnan(moved)).sum()} estimates compared, {falls.total()} fall: {falls}"
    )

    assert not [s for s in known if np.isnan(log_odds[s.after]) and not np.isnan(log_odds[s.before])]
    assert (~np.isnan(moved)).sum() > NUMBER * 0.9
    if holds_all(model):
        worst = known[int(np.nanargmin(moved))]
        assert not falls, (np.nanmin(moved), worst.addition, readings[worst.before].facts)
    else:
        assert falls.keys() == {f"medicine {name}" for name in FREE_BEFORE} | {"visit AMB", "visit VR"}
        assert falls.total() > NUMBER / 50


@each_model
def test_in_no_tree_does_more_of_a_held_input_lead_to_less(folder: Path) -> None:
    """Every leaf below a split on a held input, against every leaf above it: holds for every chart with known values."""
    model = model_in(folder)
    held = {spec.name for spec in model.schema.features if spec.direction}
    ways = dict.fromkeys(LISTED, 1) | {s.name: s.direction for s in model.schema.features if s.direction}
    splits, against = Counter[str](), Counter[str]()
    for booster in boosters_of(model.folder, model.outcome, model.schema).values():
        trained = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
        for tree in trained.get("gbtree", trained)["model"]["trees"]:
            leaves(tree, 0, model.schema.names, ways, splits, against)

    assert all(calibration.slope > 0 for calibration in model.calibrations.values())
    assert splits.total() > 1000
    if holds_all(model):
        assert {spec.name for spec in model.schema.features if spec.name in LISTED and spec.direction != 1} == set()
        assert not against
    else:
        assert against.keys() == LISTED - held


def leaves(tree: dict, node: int, names, ways, splits: Counter, against: Counter) -> tuple[float, float]:
    """The least and the greatest leaf under a node. Counts splits on the inputs of `ways`, and those against their way."""
    if tree["left_children"][node] == -1:
        return tree["split_conditions"][node], tree["split_conditions"][node]
    less, more = (leaves(tree, tree[f"{s}_children"][node], names, ways, splits, against) for s in ("left", "right"))
    name = names[tree["split_indices"][node]]
    if name in ways:
        lower, upper = (less, more) if ways[name] > 0 else (more, less)
        splits[name] += 1
        if lower[1] > upper[0]:
            against[name] += 1
    return min(less[0], more[0]), max(less[1], more[1])


@each_model
def test_rows_scored_together_have_the_scores_of_the_service(folder: Path, charts) -> None:
    model = model_in(folder)
    some = charts[0][:: NUMBER // 100]

    for log_odds, reading in zip(estimates(model, some), some, strict=True):
        scored = score(model, reading.vector(model.schema))
        assert (
            np.isnan(log_odds)
            if isinstance(scored, NotScored)
            else scored.log_odds == pytest.approx(log_odds, abs=1e-5)  # XGBoost adds up in single precision
        )
