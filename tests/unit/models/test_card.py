import copy
import json
from pathlib import Path

import pytest

from models.inputs.outcomes import OUTCOMES
from models.reports.card import NOT_RECORDED, NOT_VALIDATED, TRANSPORT, LocalSections, model_card
from models.reports.figures import PATTERN_WORDS, figure
from models.scoring.registry import SHIPPED, load_json, load_model, load_models, versions

MODELS = {model.outcome: model for model in load_models()}
EVERY = {f"{outcome} {path.name}": path for outcome in OUTCOMES for path in versions(SHIPPED / outcome)}
# facts.md 4.2 names these 31, in this order; each is found by one word of it.
ATTRIBUTES = (
    "developer", "funding", "value of the output", "type of the output", "intended use", "population", "users", "role",
    "out-of-scope", "risks", "inclusion", "demographic", "representativeness", "relevance", "approach to fairness",
    "bias", "external data source", "who tested", "representativeness of external", "process of external",
    "validity, same", "fairness, same", "validity, external", "fairness, external", "outcome evaluations",
    "monitoring of validity", "validity in local", "monitoring of fairness", "fairness in local", "updates", "corrected",
)  # fmt: skip


def files(folder: Path) -> tuple[dict, dict, dict]:
    return load_json(folder / "metrics.json"), load_json(folder / "validation.json"), load_json(TRANSPORT)


@pytest.fixture(params=EVERY)
def card(request) -> dict:
    return model_card(load_model(EVERY[request.param]), *files(EVERY[request.param]))


def files_of(card: dict) -> tuple[dict, dict, dict]:
    return files(EVERY[f"{card['outcome']} {card['version']}"])


def test_all_31_source_attributes_are_there_in_order_and_say_something(card: dict):
    assert [a["number"] for a in card["source_attributes"]] == list(range(1, 32))
    for attribute, word in zip(card["source_attributes"], ATTRIBUTES, strict=True):
        assert word in attribute["name"].lower()
        assert len(attribute["value"]) > 5


def test_the_applied_card_has_three_groups_of_metrics_each_with_goal_result_and_meaning(card: dict):
    metrics = card["applied_model_card"]["key_metrics"]

    assert set(metrics) == {"usefulness_usability_efficacy", "fairness_equity", "safety_reliability"}
    for metric in metrics.values():
        assert {"goal", "result", "interpretation", "test_type", "testing_data_description"} < set(metric)
        assert all(metric.values())
    assert all(value for value in card["applied_model_card"].values())


def test_the_figures_on_top_are_those_of_people_not_in_care_in_the_artifact(card: dict):
    metrics, _, _ = files_of(card)
    group = metrics["outcomes"][card["outcome"]]["patterns"]["no-phq"]["all"]["subgroups"]["care"]["not-in-care"]

    shown = [number["figure"] for number in card["headline"]]

    assert shown[:2] == [group["auroc"], group["o_e"]]
    assert shown[2:] == [group["flag_rates"]["0.05"]["sensitivity"], group["flag_rates"]["0.05"]["ppv"]]
    assert f"{group['n']:,}" in card["headline"][0]["people"]


@pytest.mark.parametrize(
    "limit", ["cross-sectional", "said a doctor", "nothing about attempts", "Adults only", "circular", NOT_VALIDATED]
)
def test_the_limits_are_said_in_plain_words(card: dict, limit: str):
    assert limit in " ".join(card["limits"])


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ({"depression": MODELS["depression"].version}, ["NSDUH 2019-2020", "The developer", "US adults", "model-transport"]),
        ({"depression": "1.0.0", "suicidal-ideation": MODELS["depression"].version}, ["None: no", "Nobody", "none", "None yet"]),
        ({}, ["None: no", "Nobody", "none", "None yet"]),
    ],
)  # fmt: skip
def test_other_surveys_are_named_only_where_their_people_were_ranked_by_this_version(models: dict, says: list[str]):
    model = MODELS["depression"]
    metrics, validation, transport = files(model.folder)

    card = model_card(model, metrics, validation, transport | {"models": models})

    external = [a["value"] for a in card["source_attributes"] if "external" in a["name"].lower()][:4]
    assert all(word in value for word, value in zip(says, external, strict=True))
    assert ("NSDUH" in str(card)) == (models.get("depression") == model.version)


def test_every_missed_fairness_target_is_on_the_card(card: dict):
    _, validation, _ = files_of(card)

    assert [{k: v for k, v in b.items() if k != "known"} for b in card["breaches"]] == validation["breaches"]
    for breach in validation["breaches"]:
        said = card["source_attributes"][21]["value"]
        assert f"{breach['variable']} {breach['group']}, {PATTERN_WORDS[breach['pattern']]}" in said
        assert f"{breach['what']} {figure(breach['found'], 2)}" in said


def test_a_card_of_a_model_without_missed_targets_says_so_and_of_one_no_better_than_logistic_regression_too():
    metrics, validation, transport = files(MODELS["depression"].folder)
    poorer = copy.deepcopy(metrics)
    whole = poorer["outcomes"]["depression"]["patterns"]["no-phq"]["all"]
    whole["baselines"]["logistic"]["auroc"] = whole["auroc"]

    card = model_card(MODELS["depression"], poorer, validation | {"breaches": []}, transport)

    assert "Every subgroup meets the targets." in card["source_attributes"][21]["value"]
    assert "No better than logistic regression" in " ".join(card["limits"])
    assert PATTERN_WORDS["no-phq"] in next(limit for limit in card["limits"] if "No better" in limit)


def test_what_the_site_says_stands_where_nothing_was_recorded():
    said = LocalSections(contact="Safety board, ext. 1", validity="Silent run, 2027: slope 1.0", approved_by="Board")

    card = model_card(MODELS["depression"], *files(MODELS["depression"].folder), said)

    values = {a["number"]: a["value"] for a in card["source_attributes"]}
    assert "Safety board, ext. 1" in values[1]
    assert values[27] == "Silent run, 2027: slope 1.0"
    assert values[29] == NOT_VALIDATED
    assert card["applied_model_card"]["approved_by"] == "Board"
    assert card["applied_model_card"]["approved_on"] == NOT_RECORDED


def test_an_approval_of_one_version_is_not_shown_for_another():
    said = LocalSections(version="2.0.0", approved_by="Board")

    assert (said.of("2.0.0").approved_by, said.of("3.0.0").approved_by) == ("Board", None)
    assert LocalSections(contact="Board").of("3.0.0").contact == "Board"


def test_the_card_is_plain_json(card: dict):
    assert json.loads(json.dumps(card)) == card
