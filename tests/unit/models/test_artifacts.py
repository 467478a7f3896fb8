"""The models that are shipped: whole, small, without rows, and with figures in the promised shape."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.evaluation.evaluate import SUBGROUPS
from models.evaluation.metrics import FLAG_RATES
from models.inputs.outcomes import OUTCOMES
from models.inputs.patterns import patterns, tiers
from models.scoring.registry import SHIPPED, load_json, load_model, load_models, versions
from models.survey.nhanes import survey_checksums

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
    assert {path.suffix for path in FILES} == {".gz", ".json"}
    for path in FILES:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        assert content[:1] == b"{", "a pickle or a zip would begin otherwise"


@pytest.mark.parametrize(
    "path", [path for path in FILES if ".json" in path.suffixes], ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_no_list_in_an_artifact_is_long_enough_to_hold_people(path: Path):
    longest = max((len(found) for found in lists(load_json(path.with_name(path.name.removesuffix(".gz"))))), default=0)

    assert longest <= max(len(model.schema.features) for model in MODELS.values())


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_manifest_says_what_it_was_trained_on_and_what_for(outcome: str):
    manifest = MODELS[outcome].manifest

    assert set(manifest.operating_points) == set(FLAG_RATES)
    thresholds = [manifest.operating_points[rate] for rate in FLAG_RATES]
    assert thresholds == sorted(thresholds, reverse=True), "fewer flagged, higher threshold"
    assert manifest.default_flag_rate == "0.05"
    assert len(manifest.training["cycles"]) == 7
    assert manifest.training["n"] == sum(cycle["n"] for cycle in manifest.training["cycles"].values())
    folds = {f"folds/{cycle}-{tier}.ubj.gz" for cycle in manifest.training["cycles"] for tier in tiers(outcome)}
    assert folds <= set(manifest.files)
    assert "statistical use only" in manifest.training["terms"]
    assert manifest.recalibration is None
    assert "no reassurance" in manifest.intended_use


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_shipped_figures_have_the_shape_of_evaluate_and_are_of_every_training_cycle(outcome: str):
    content = load_json(MODELS[outcome].folder / "metrics.json")["outcomes"]

    assert list(content) == [outcome]
    assert set(content[outcome]["patterns"]) == set(patterns(outcome, MODELS[outcome].schema))
    for pattern in content[outcome]["patterns"].values():
        assert set(pattern["cycles"]) == set(MODELS[outcome].manifest.training["cycles"])
        assert set(pattern["all"]["subgroups"]) == set(SUBGROUPS)
        assert pattern["all"]["n"] == sum(metrics["n"] for metrics in pattern["cycles"].values())


@pytest.mark.parametrize(("outcome", "floor"), [("depression", 0.80), ("suicidal-ideation", 0.73)])
def test_the_shipped_figures_are_neither_broken_nor_too_good_to_be_true(outcome: str, floor: float):
    found = load_json(MODELS[outcome].folder / "metrics.json")["outcomes"][outcome]["patterns"]

    without_phq = found["no-phq"]["all"]
    assert floor < without_phq["auroc"]["value"] < floor + 0.08, "above this, the label has leaked into the inputs"
    assert 0.9 < without_phq["o_e"]["value"] < 1.1
    assert 0.9 < without_phq["slope"]["value"] < 1.1
    assert found["phq2"]["all"]["auroc"]["value"] > without_phq["auroc"]["value"] + 0.05


def test_the_shipped_models_were_trained_on_the_tables_in_the_data_folder(shared: Path):
    folders = (shared / "data/nhanes", shared / "data/nhanes-2017-2020")
    there = {several: survey_checksums(*folders[: 1 + several]).items() for several in (False, True)}

    for path in (path for outcome in OUTCOMES for path in versions(SHIPPED / outcome)):
        training = load_model(path).manifest.training
        # Versions before 3.0.0 read fewer tables.
        assert training["data_sha256"].items() <= there["2017-2020" in training["cycles"]]


def validation(outcome: str) -> dict:
    return load_json(MODELS[outcome].folder / "validation.json")


def test_forward_in_time_every_pattern_stays_within_half_a_hundredth_of_a_model_refitted_for_it():
    for outcome in OUTCOMES:
        for pattern, found in validation(outcome)["forward"]["patterns"].items():
            if pattern != "all":
                assert found["refit"]["difference"]["value"] >= -0.005, (outcome, pattern)


def test_forward_in_time_every_pattern_stays_calibrated():
    for outcome in OUTCOMES:
        for pattern, found in validation(outcome)["forward"]["patterns"].items():
            assert 0.9 <= found["all"]["slope"]["value"] <= 1.1, (outcome, pattern)
            assert 0.85 <= found["all"]["o_e"]["value"] <= 1.15, (outcome, pattern)


def test_intervals_hold_about_what_they_are_meant_to_hold():
    for outcome in OUTCOMES:
        for found in validation(outcome)["uncertainty"]["leave-one-cycle-out"].values():
            assert found["held"] >= 0.8
