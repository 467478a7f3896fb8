"""The models that are shipped: whole, small, without rows, and with figures in the promised shape."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.feature_schema import OUTCOMES
from models.metrics import FLAG_RATES
from models.patterns import patterns
from models.registry import SHIPPED, load_models
from models.survey_tables import checksums

MODELS = {model.outcome: model for model in load_models()}
FILES = sorted(path for path in SHIPPED.rglob("*") if path.is_file())


def lists(content: object) -> Iterator[list[object]]:
    if isinstance(content, list):
        yield content
    for part in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from lists(part)


def test_both_outcomes_are_shipped_and_stay_under_8_megabytes():
    assert tuple(MODELS) == OUTCOMES
    assert sum(path.stat().st_size for path in FILES) < 8_000_000


def test_nothing_but_boosters_in_xgboosts_own_format_and_json_is_shipped():
    assert {path.suffix for path in FILES} == {".ubj", ".json"}
    assert all(path.read_bytes()[:1] == b"{" for path in FILES), "a pickle or a zip would begin otherwise"


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.suffix == ".json"], ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_no_list_in_an_artifact_is_long_enough_to_hold_people(path: Path):
    longest = max((len(found) for found in lists(json.loads(path.read_text()))), default=0)

    assert longest <= max(len(model.schema.features) for model in MODELS.values())


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_manifest_says_what_it_was_trained_on_and_what_for(outcome: str):
    manifest = MODELS[outcome].manifest

    assert set(manifest.operating_points) == set(FLAG_RATES)
    thresholds = [manifest.operating_points[rate] for rate in FLAG_RATES]
    assert thresholds == sorted(thresholds, reverse=True), "fewer flagged, higher threshold"
    assert manifest.default_flag_rate == "0.05"
    assert len(manifest.training["cycles"]) == 6
    assert manifest.training["n"] == sum(cycle["n"] for cycle in manifest.training["cycles"].values())
    assert {f"folds/{cycle}.ubj" for cycle in manifest.training["cycles"]} <= set(manifest.files)
    assert "no reassurance" in manifest.intended_use


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_shipped_figures_have_the_shape_of_evaluate_and_are_of_every_training_cycle(outcome: str):
    content = json.loads((SHIPPED / outcome / "metrics.json").read_text())["outcomes"]

    assert list(content) == [outcome]
    assert set(content[outcome]["patterns"]) == set(patterns(outcome, MODELS[outcome].schema))
    for pattern in content[outcome]["patterns"].values():
        assert set(pattern["cycles"]) == set(MODELS[outcome].manifest.training["cycles"])
        assert set(pattern["all"]["subgroups"]) == {"sex", "age", "race-ethnicity", "income", "care"}
        assert pattern["all"]["n"] == sum(metrics["n"] for metrics in pattern["cycles"].values())


@pytest.mark.parametrize(("outcome", "floor"), [("depression", 0.80), ("suicidal-ideation", 0.73)])
def test_the_shipped_figures_are_neither_broken_nor_too_good_to_be_true(outcome: str, floor: float):
    found = json.loads((SHIPPED / outcome / "metrics.json").read_text())["outcomes"][outcome]["patterns"]

    without_phq = found["no-phq"]["all"]
    assert floor < without_phq["auroc"]["value"] < floor + 0.08, "above this, the label has leaked into the inputs"
    assert 0.9 < without_phq["o_e"]["value"] < 1.1
    assert 0.9 < without_phq["slope"]["value"] < 1.1
    assert found["phq2"]["all"]["auroc"]["value"] > without_phq["auroc"]["value"] + 0.05


def test_the_shipped_models_were_trained_on_the_tables_in_the_data_folder(shared: Path):
    expected = checksums(shared / "data/nhanes")

    assert all(model.manifest.training["data_sha256"] == expected for model in MODELS.values())
