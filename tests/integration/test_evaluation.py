import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import roc_auc_score

from models.errors import ArtifactError, SurveyDataError
from models.evaluation.evaluate import (
    Evaluation,
    contender,
    enough_data,
    evaluate_outcome,
    hidden_but,
    margins,
    row_tiers,
)
from models.evaluation.metrics import FLAG_RATES
from models.inputs.feature_schema import SCHEMAS
from models.inputs.outcomes import OUTCOMES
from models.inputs.patterns import lines_by_groups, patterns
from models.reports.evaluation_table import report_table
from models.reports.figures import PATTERN_WORDS
from models.scoring.registry import load_models
from models.scoring.risk import RiskScore
from models.scoring.score import score
from models.survey.nhanes import feature_matrix, survey_frame
from models.training.drop_folds import drop_folds
from tests.unit.models import synthetic_survey

MODELS = {model.outcome: model for model in load_models()}
TRAINED, LATER = "2009-2010", "2017-2018"
FIGURES = {"auroc", "auprc", "brier", "slope", "intercept", "o_e", "scored_share", "interval_coverage"}
SUBGROUPS = {"sex", "age", "race-ethnicity", "income", "insurance", "care"}
PATTERNS = {
    "no-phq",
    "no-phq-no-needs",
    "no-phq-no-drugs",
    "demographics-conditions",
    "phq2",
    "phq2-only",
    "all",
}  # promised
MORE = {"no-phq-no-drugs-with-needs", "no-phq-no-utilisation", "no-phq-no-lifestyle", "phq2-no-needs", "phq2-no-drugs"}
MORE |= {"no-phq-no-difficulties", "no-phq-no-drugs-no-difficulties"}  # since 3.0.0


def quiet(description: str, done: int, total: int) -> None:
    assert 0 <= done <= total


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_survey.write_parquet(tmp_path_factory.mktemp("survey") / "s", (TRAINED, LATER), people=400)


@pytest.fixture(scope="module")
def result(folder: Path) -> dict:
    return Evaluation.of([folder], None, progress=quiet).metrics(progress=quiet)


def by_line(scorer, shown: np.ndarray, of) -> np.ndarray:
    """of: the contender or model, with its outcome and schema."""
    found = np.full(len(shown), np.nan)
    lines = lines_by_groups(of.outcome, of.schema, scorer.calibrations)
    groups = np.array([spec.group for spec in of.schema.features])
    for tier in set(which := row_tiers(shown, of.schema)):
        found[which == tier] = margins(scorer.boosters[tier], shown[which == tier])
    for row, known in enumerate(~np.isnan(shown)):
        line = scorer.calibrations[lines.get(frozenset(groups[known]), which[row])]
        found[row] = line.intercept + line.slope * found[row]
    return found


def check_metrics(metrics: dict, *, subgroups: bool) -> None:
    assert set(metrics) == FIGURES | {"n", "events", "flag_rates", "baselines", "net_benefit"} | (
        {"subgroups"} if subgroups else set()
    )
    assert isinstance(metrics["n"], int)
    assert isinstance(metrics["events"], int)
    figures = [metrics[name] for name in FIGURES] + [b["auroc"] for b in metrics["baselines"].values()]
    for rate in FLAG_RATES:
        assert set(metrics["flag_rates"][rate]) == {"sensitivity", "ppv"}
        figures += metrics["flag_rates"][rate].values()
    assert all(set(figure) == {"value", "low", "high"} for figure in figures)
    assert set(metrics["baselines"]) == {"logistic", "phq2", "age-sex"}


def test_the_result_has_the_promised_shape_for_every_outcome_pattern_and_cycle(result: dict):
    assert list(result) == ["outcomes"]
    assert set(result["outcomes"]) == set(OUTCOMES)
    for outcome, found in result["outcomes"].items():
        assert set(found["patterns"]) == PATTERNS | MORE | (
            {"phq8", "phq8-only"} if outcome == "suicidal-ideation" else set()
        )
        for pattern in found["patterns"].values():
            assert set(pattern["cycles"]) == {TRAINED, LATER}
            for metrics in (pattern["all"], *pattern["cycles"].values()):
                check_metrics(metrics, subgroups=True)
                assert set(metrics["subgroups"]) == SUBGROUPS
                assert {"in-care", "not-in-care"} <= set(metrics["subgroups"]["care"])
                for groups in metrics["subgroups"].values():
                    assert sum(group["n"] for group in groups.values()) == metrics["n"]
                    for group in groups.values():
                        check_metrics(group, subgroups=False)


def test_the_result_is_plain_json_without_nan(result: dict):
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_all_is_the_pattern_with_the_phq_2(result: dict):
    for found in result["outcomes"].values():
        assert found["patterns"]["all"] == found["patterns"]["phq2"]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_cycle_that_trained_the_model_is_judged_by_the_fold_that_did_not_see_it_and_a_later_one_by_the_model_itself(
    folder: Path, result: dict, outcome: str
):
    people = survey_frame(folder).dropna(subset=[outcome])
    who = contender(MODELS[outcome])
    values = hidden_but(feature_matrix(people, who.schema), who.schema, patterns(outcome, who.schema)["no-phq"])
    reported = result["outcomes"][outcome]["patterns"]["no-phq"]["cycles"]

    for cycle, scorer in ((TRAINED, who.folds[TRAINED]), (LATER, who.final)):
        rows = (people["CYCLE"] == cycle).to_numpy()
        expected = roc_auc_score(people[outcome][rows], by_line(scorer, values[rows], who))
        assert reported[cycle]["auroc"]["value"] == pytest.approx(expected, abs=1e-4)
    seen = (people["CYCLE"] == TRAINED).to_numpy()
    assert not np.allclose(*(by_line(s, values[seen], who) for s in (who.folds[TRAINED], who.final)))


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("pattern", ["no-phq", "demographics-conditions", "phq2-only"])
def test_evaluation_scores_and_refuses_exactly_the_people_that_serving_does(folder: Path, outcome: str, pattern: str):
    model = MODELS[outcome]
    people = survey_frame(folder).dropna(subset=[outcome]).head(60)
    people.loc[people.index[:20], ["smoke_status", "asthma", "female"]] = np.nan
    shown = hidden_but(feature_matrix(people, model.schema), model.schema, patterns(outcome, model.schema)[pattern])
    expected = by_line(contender(model).final, shown, model)
    allowed = enough_data(shown, model.schema, model.manifest.minimum_data)

    for row, log_odds, scored in zip(shown, expected, allowed, strict=True):
        known = {n: float(v) for n, v in zip(model.schema.names, row, strict=True) if not np.isnan(v)}
        answer = score(model, model.schema.vector(known))
        assert isinstance(answer, RiskScore) is bool(scored)
        if isinstance(answer, RiskScore):
            assert answer.log_odds == pytest.approx(log_odds, abs=1e-5)
    assert not allowed.all()


def test_people_with_too_little_data_are_not_scored_and_lower_the_scored_share(folder: Path):
    frame = survey_frame(folder)
    frame.loc[frame["CYCLE"] == LATER, "female"] = np.nan

    cycles = evaluate_outcome(frame, contender(MODELS["depression"]), progress=quiet)["patterns"]["no-phq"]["cycles"]

    assert cycles[LATER]["n"] == 0
    assert cycles[LATER]["scored_share"]["value"] == 0
    assert cycles[TRAINED]["scored_share"]["value"] == 1


def test_patterns_hide_what_their_names_say():
    for outcome, schema in SCHEMAS.items():
        found = patterns(outcome, schema)
        assert set(found) - {"all"} <= set(PATTERN_WORDS)
        drugs = {spec.name for spec in schema.features if spec.group == "drugs"}

        assert not any(name.startswith("DPQ") for name in found["no-phq"])
        assert set(found["no-phq"]) - set(found["no-phq-no-needs"]) == {
            "employed",
            "food_insec",
            "difficulty_concentrating",
            "sleep_hours",
            "gen_health",
        }
        assert set(found["no-phq-no-needs"]) - set(found["no-phq-no-drugs"]) == drugs
        assert found["phq2-only"] == ("age", "female", "DPQ010", "DPQ020")
        assert set(found["demographics-conditions"]) == {
            spec.name for spec in schema.features if spec.group in ("demographics", "conditions")
        }


def test_2017_2018_counts_once_beside_the_tables_that_hold_it_again(folder: Path):
    frame = survey_frame(folder)
    again = frame[frame["CYCLE"] == LATER].copy()
    again.index = again.index + 500_000
    again["CYCLE"] = "2017-2020"
    both = np.concatenate([frame.index, again.index])

    found = evaluate_outcome(
        __import__("pandas").concat([frame, again]), contender(MODELS["depression"]), progress=quiet
    )["patterns"]["no-phq"]

    assert sum(metrics["n"] for metrics in found["cycles"].values()) == len(both)
    assert found["all"]["n"] == len(frame)


def test_tables_in_which_nobody_has_the_label_are_refused(folder: Path):
    frame = survey_frame(folder).assign(depression=np.nan)

    with pytest.raises(SurveyDataError, match="people with the label depression"):
        evaluate_outcome(frame, contender(MODELS["depression"]), progress=quiet)


def test_a_version_kept_without_folds_is_evaluated_on_later_cycles_and_refused_on_those_that_trained_it(
    result: dict, tmp_path: Path
):
    kept = Path(shutil.copytree(MODELS["depression"].folder, tmp_path / "depression" / MODELS["depression"].version))
    drop_folds(kept)
    later = synthetic_survey.write_parquet(tmp_path / "later", (LATER,), people=400)
    trained = synthetic_survey.write_parquet(tmp_path / "trained", (TRAINED,), people=400)

    found = Evaluation.of([later], kept, progress=quiet).metrics(progress=quiet)

    for pattern, metrics in found["outcomes"]["depression"]["patterns"].items():
        assert metrics["cycles"][LATER] == result["outcomes"]["depression"]["patterns"][pattern]["cycles"][LATER]
    with pytest.raises(ArtifactError, match=rf"folds were left out; found {TRAINED}; its out-of-fold figures are in"):
        Evaluation.of([later, trained], kept, progress=quiet).metrics(progress=quiet)


def test_a_folder_without_models_is_refused(folder: Path, tmp_path: Path):
    with pytest.raises(ArtifactError):
        Evaluation.of([folder], tmp_path, progress=quiet)


def test_the_report_leads_with_people_not_in_care_and_says_too_few_rather_than_inventing_a_figure(result: dict):
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115 - closed with the test

    console.print(report_table(result))
    text = console.export_text()

    not_in_care = result["outcomes"]["depression"]["patterns"]["no-phq"]["all"]["subgroups"]["care"]["not-in-care"]
    assert f"{not_in_care['auroc']['value']:.2f}" in text
    assert "People not in care" in text
    assert "nan" not in text.lower()
    console.file.close()
