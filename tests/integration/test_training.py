"""Training from tables to artifacts, on invented people; the real training takes minutes and is run by hand."""

import gzip
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from models.errors import ArtifactError, SurveyDataError
from models.evaluation.evaluate import Evaluation, contender, scored
from models.inputs.feature_schema import SCHEMAS
from models.inputs.outcomes import OUTCOMES
from models.inputs.patterns import patterns_of, tier_inputs, tiers
from models.scoring.registry import SHIPPED, load_json, load_model, load_models, the_version
from models.scoring.risk import RiskScore
from models.scoring.score import score
from models.survey.nhanes import feature_matrix, survey_frame
from models.training.fitting import COMPLETE_COPIES, RANDOM_COPIES, Sample, masked_copies
from models.training.train import PREVIOUS, VERSION, packed, train
from tests.unit.models import synthetic_survey

CYCLES = ("2005-2006", "2007-2008", "2017-2020")
"""The version before was trained on the first two."""


def quiet(description: str, done: int, total: int) -> None:
    assert 0 <= done <= total


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_survey.write_parquet(tmp_path_factory.mktemp("survey") / "s", CYCLES)


@pytest.fixture(scope="module")
def artifacts(survey: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    train([survey], out, progress=quiet)
    return out


def test_training_gives_two_models_that_load_verify_and_score(artifacts: Path):
    models = load_models(artifacts)

    assert tuple(model.outcome for model in models) == OUTCOMES
    for model in models:
        vector = model.schema.vector({"age": 50, "female": True, "DPQ010": 2, "DPQ020": 2})
        assert isinstance(score(model, vector), RiskScore)
        assert set(model.manifest.training["cycles"]) == set(CYCLES)


def test_the_same_tables_give_the_same_bytes_in_place_of_that_version_and_beside_others(
    survey: Path, artifacts: Path, tmp_path: Path
):
    for outcome in OUTCOMES:
        shutil.copytree(the_version(SHIPPED / outcome), tmp_path / outcome / VERSION)
        (tmp_path / outcome / "1.0.0").mkdir()
        (tmp_path / outcome / "1.0.0" / "manifest.json").write_text("{}")

    train([survey], tmp_path, progress=quiet)

    again, first = contents(tmp_path), contents(artifacts)
    assert [again.pop(f"{outcome}/1.0.0/manifest.json") for outcome in OUTCOMES] == [b"{}"] * len(OUTCOMES)
    assert list(again) == list(first)
    assert [name for name, content in again.items() if content != first[name]] == []
    assert [len(model.manifest.training["cycles"]) for model in load_models(tmp_path)] == [3, 3]


def test_cycles_in_two_folders_give_the_same_model_as_in_one_and_the_manifest_tells_the_tables_apart(
    artifacts: Path, tmp_path: Path
):
    folders = [synthetic_survey.write_parquet(tmp_path / name, (name,)) for name in CYCLES]

    train(folders[::-1], tmp_path / "out", progress=quiet)

    stacked, first = contents(tmp_path / "out"), contents(artifacts)
    assert list(stacked) == list(first)
    assert {name.rpartition("/")[2] for name, content in stacked.items() if content != first[name]} == {"manifest.json"}
    for model in load_models(tmp_path / "out"):
        assert {f"{cycle}/raw/DEMO.parquet" for cycle in CYCLES} <= set(model.manifest.training["data_sha256"])


def test_the_figures_in_a_new_artifact_are_those_that_evaluate_gives(survey: Path, artifacts: Path):
    evaluated = Evaluation.of([survey], artifacts, progress=quiet).metrics(progress=quiet)["outcomes"]

    for outcome in OUTCOMES:
        written = load_json(the_version(artifacts / outcome) / "metrics.json")["outcomes"][outcome]["patterns"]
        for pattern, metrics in written.items():
            assert metrics["all"] == evaluated[outcome]["patterns"][pattern]["all"]


def test_every_pattern_with_enough_people_has_a_line_and_intervals_come_from_the_cycles_after_the_first(
    survey: Path, artifacts: Path
):
    frame = survey_frame(survey)
    for model in load_models(artifacts):
        lines = load_json(model.folder / "calibration.json")
        group = {spec.name: spec.group for spec in model.schema.features}
        told = {group[name] for name in group if name in frame and frame[name].notna().sum() > 100}
        every: set[str] = set()
        for tier in tiers(model.outcome):
            visible = patterns_of(tier, model.outcome, model.schema)
            enough = {f"{tier}/{name}" for name, shown in visible.items() if {group[n] for n in shown} <= told}
            assert enough, "or else nothing is tested"
            assert enough <= set(lines["final"])
            every |= {tier} | {f"{tier}/{name}" for name in visible}
        assert set(lines["final"]) <= every
        assert set(model.lines_by_groups.values()) == set(lines["final"]) - set(tiers(model.outcome))
        judged = len(CYCLES) - 1
        assert {line["spread"]["times"] for line in lines["final"].values()} == {student.ppf(0.95, judged)}
        last = lines["folds"][CYCLES[-1]]
        assert {line["spread"]["times"] for line in last.values()} == {student.ppf(0.95, judged - 1)}


def test_the_version_before_is_compared_on_cycles_that_it_had_not_seen_and_on_no_others(survey: Path, artifacts: Path):
    frame = survey_frame(survey)
    for model in load_models(artifacts):
        old = load_model(SHIPPED / model.outcome / PREVIOUS)
        assert set(CYCLES) - set(old.manifest.training["cycles"]) == {CYCLES[-1]}
        people = frame[(frame["CYCLE"] == CYCLES[-1]) & frame[model.outcome].notna()]

        beside = load_json(model.folder / "validation.json")["previous"]

        assert (beside["version"], beside["cycles"]) == (PREVIOUS, [CYCLES[-1]])
        figures = beside["patterns"]["phq2"]
        areas = {}
        for name, own in (("new", model), ("old", old)):
            judged = contender(own)
            values = feature_matrix(people, judged.schema)
            ours = scored(judged, "phq2", judged.patterns["phq2"], values, people)
            areas[name] = roc_auc_score(ours.y[ours.has_score], ours.log_odds[ours.has_score])
            assert figures[name]["n"] == ours.has_score.sum() > 100
            assert figures[name]["auroc"]["value"] == pytest.approx(areas[name], abs=1e-4)
        assert figures["difference"]["value"] == pytest.approx(areas["new"] - areas["old"], abs=1e-4)
        assert abs(figures["difference"]["value"]) > 1e-4


def test_a_packed_booster_gives_the_same_margins_and_contributions_and_is_smaller():
    draw = np.random.default_rng(1)
    rows = np.where(draw.random((2000, 9)) < 0.2, np.nan, draw.random((2000, 9)) * 4)
    matrix = xgboost.DMatrix(rows, np.nansum(rows, axis=1) > 14, feature_names=[*"abcdefghi"], nthread=1)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 5, "nthread": 1}, matrix, 60)

    slim = xgboost.Booster()
    slim.load_model(bytearray(gzip.decompress(packed(booster))))

    assert len(packed(booster)) < 0.75 * len(gzip.compress(booster.save_raw("ubj")))
    assert packed(slim) == packed(booster)
    assert slim.feature_names == booster.feature_names
    for kind in ("output_margin", "pred_contribs"):
        assert np.array_equal(*(b.predict(matrix, **{kind: True}) for b in (booster, slim)))


def test_figures_are_written_compressed_and_the_manifest_says_so(artifacts: Path):
    names = {path.name for path in artifacts.glob("depression/*/*.gz") if "ubj" not in path.name}

    assert names == {f"{name}.json.gz" for name in ("baselines", "metrics", "reference", "validation")}
    for path in artifacts.glob("*/*/*.json.gz"):
        assert path.read_bytes()[4:8] == bytes(4), "no timestamp"
        assert load_json(path.with_suffix("")) == json.loads(gzip.decompress(path.read_bytes()))


def test_a_folder_that_holds_something_else_is_left_alone(survey: Path, tmp_path: Path):
    (tmp_path / "depression").mkdir()
    (tmp_path / "depression" / "thesis.txt").write_text("mine")

    with pytest.raises(ArtifactError, match="something other than a model"):
        train([survey], tmp_path, progress=quiet)
    assert (tmp_path / "depression" / "thesis.txt").read_text() == "mine"


def test_tables_that_allow_no_estimate_end_in_a_plain_error_and_leave_nothing_behind(tmp_path: Path):
    every = {path.stem for path in synthetic_survey.write_parquet(tmp_path / "all").glob("raw/*.parquet")}
    bare = synthetic_survey.write_parquet(tmp_path / "bare", without=tuple(every - {"DEMO", "DPQ"}))

    with pytest.raises(SurveyDataError, match="enough people to learn"):
        train([bare], tmp_path / "out", progress=quiet)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_an_error_comes_back_whole_from_another_process():
    error = SurveyDataError(expected="a", found="b", remedy="c")

    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own, in one process

    assert (type(back), str(back), back.remedy) == (SurveyDataError, str(error), "c")


def test_one_cycle_alone_cannot_be_checked_against_another_and_is_refused(tmp_path: Path):
    one = synthetic_survey.write_parquet(tmp_path / "one", CYCLES[:1])

    with pytest.raises(SurveyDataError, match="two cycles or more"):
        train([one], tmp_path / "out", progress=quiet)


@pytest.mark.parametrize(("outcome", "tier"), [(outcome, tier) for outcome in OUTCOMES for tier in tiers(outcome)])
def test_copies_of_a_person_hide_values_but_never_change_age_sex_or_any_other_value(outcome: str, tier: str):
    schema = SCHEMAS[outcome]
    values = np.random.default_rng(1).random((50, len(schema.features))).astype(np.float32)
    y = (np.arange(50) % 2).astype(float)
    sample = Sample(outcome=outcome, schema=schema, people=pd.DataFrame(), matrix=values, y=y, cycles=y)

    copies = masked_copies(sample, tier)

    unnamed = 1
    assert len(copies) == len(patterns_of(tier, outcome, schema)) + COMPLETE_COPIES - 1 + unnamed + RANDOM_COPIES
    beyond = ~np.isin(schema.names, tier_inputs(tier, schema))
    for copy in copies:
        kept = ~np.isnan(copy)
        assert np.array_equal(copy[kept], values[kept])
        assert kept[:, :2].all()
        assert not kept[:, beyond].any()
    assert not np.isnan(copies[0][:, ~beyond]).any()
