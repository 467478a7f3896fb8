import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import FeatureValueError
from models.inputs.feature_schema import FEATURES, SCHEMAS, FeatureSchema
from models.inputs.outcomes import Outcome

SPECS = {spec.name: spec for spec in FEATURES}


def feature_map(shared: Path) -> list[dict[str, str]]:
    with (shared / "data/nhanes/feature_fhir_map.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_input_of_the_feature_map_is_in_the_schema_in_its_block_except_vital_signs_laboratory_values_and_totals(
    shared: Path,
):
    blocks = ("core", "needs", "pro", "phq2", "phq")
    expected = {row["feature"]: row["block"] for row in feature_map(shared) if row["block"] in blocks}

    assert {spec.name: spec.block for spec in FEATURES if spec.name != "difficulty_concentrating"} == {
        name: block
        for name, block in expected.items()
        if name not in ("phq9", "phq2", "bmi", "weight_kg", "height_cm", "pulse", "sbp", "dbp")
    }


def test_nothing_that_the_feature_map_leaves_out_audits_or_keeps_for_rules_is_an_input(shared: Path):
    kept_out = {row["feature"] for row in feature_map(shared) if row["block"] in ("left-out", "audit", "rule")}

    assert {"race_eth", "DPQ090", "pir", "educ5"} <= kept_out
    assert kept_out.isdisjoint(SPECS)


def test_the_depression_model_sees_no_item_of_its_own_label_beyond_the_phq_2():
    items = [name for name in SCHEMAS[Outcome.DEPRESSION].names if name.startswith("DPQ")]

    assert items == ["DPQ010", "DPQ020"]


def test_the_ideation_model_sees_items_1_to_8_and_never_item_9():
    items = [name for name in SCHEMAS[Outcome.SUICIDAL_IDEATION].names if name.startswith("DPQ")]

    assert items == [f"DPQ0{n}0" for n in range(1, 9)]


@pytest.mark.parametrize(
    ("name", "raw", "prepared"),
    [
        ("age", 93.4, 80.0),
        ("age", 41.5, 41.5),
        ("alc_drinks_day", 22, 15.0),
        ("alc_days_yr", 400, 365.0),
        ("visits_yr", 0, 0.0),
        ("visits_yr", 1, 1.0),
        ("visits_yr", 3, 2.5),
        ("visits_yr", 4, 6.0),
        ("visits_yr", 9, 6.0),
        ("visits_yr", 12, 11.0),
        ("visits_yr", 13, 15.0),
        ("visits_yr", 60, 15.0),
        ("hosp_yr", 4, 1.0),
        ("mh_visit_yr", True, 1.0),
        ("asthma", False, 0.0),
        ("smoke_status", 2, 2.0),
    ],
)
def test_a_raw_value_becomes_the_value_that_was_trained_on(name, raw, prepared):
    assert SPECS[name].prepare(raw) == prepared


@pytest.mark.parametrize("used", [0.0, 1.0, 2.5, 6.0, 11.0, 15.0])
def test_the_surveys_own_visit_values_pass_through_unchanged(used):
    assert SPECS["visits_yr"].prepare(used) == used


@given(spec=st.sampled_from(FEATURES), raw=st.floats(0, 500))
def test_preparing_twice_is_the_same_as_once(spec, raw):
    raw = float(raw > 250) if spec.kind == "boolean" else raw
    once = spec.prepare(raw)

    assert spec.prepare(once) == once


@given(spec=st.sampled_from(FEATURES))
def test_an_unknown_value_stays_unknown(spec):
    assert spec.prepare(None) is None


@pytest.mark.parametrize(
    ("name", "raw"),
    [("sleep_hours", float("nan")), ("sleep_hours", float("inf")), ("n_rx", -1), ("asthma", 2), ("age", "forty")],
)
def test_a_value_that_no_transform_accepts_is_refused_without_being_repeated(name, raw):
    with pytest.raises(FeatureValueError) as refused:
        SPECS[name].prepare(raw)

    assert name in str(refused.value)
    assert "forty" not in str(refused.value)


def test_a_vector_is_in_schema_order_with_none_for_missing_keys_and_no_place_for_others():
    schema = SCHEMAS[Outcome.DEPRESSION]

    vector = schema.vector({"female": True, "age": 93, "race_eth": 3, "DPQ090": 2})

    assert vector.values[:2] == (80.0, 1.0)
    assert len(vector.values) == len(schema.features)
    assert all(value is None for value in vector.values[2:])
    assert vector.schema_id == schema.id


def test_the_schema_id_changes_with_order_and_content_and_is_otherwise_stable():
    assert FeatureSchema(features=FEATURES).id == FeatureSchema(features=FEATURES).id
    assert FeatureSchema(features=FEATURES[::-1]).id != FeatureSchema(features=FEATURES).id
    assert SCHEMAS[Outcome.DEPRESSION].id != SCHEMAS[Outcome.SUICIDAL_IDEATION].id
