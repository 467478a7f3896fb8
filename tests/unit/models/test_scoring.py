import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import SchemaMismatch
from models.inputs.feature_schema import FEATURES, FeatureVector
from models.inputs.patterns import patterns, tier_inputs, tier_of, tiers
from models.scoring.boosters import boosters_of
from models.scoring.registry import load_json, load_models
from models.scoring.risk import BandThresholds, NotScored, RiskBand, RiskScore, band
from models.scoring.score import ADDITIVITY_TOLERANCE, score

MODELS = {model.outcome: model for model in load_models()}
SPECS = {spec.name: spec for spec in FEATURES}


def raw_value(spec):
    if spec.kind == "boolean":
        return st.booleans()
    if spec.name == "sleep_hours":
        return st.floats(2, 14)  # beyond the range trained on there is no score
    return st.integers(0, 3) if spec.kind == "ordinal" else st.floats(0, 400)


people = st.fixed_dictionaries(
    {"age": st.floats(18, 110), "female": st.booleans(), "DPQ010": st.integers(0, 3), "DPQ020": st.integers(0, 3)},
    optional={
        spec.name: raw_value(spec) for spec in FEATURES if spec.name not in ("age", "female", "DPQ010", "DPQ020")
    },
)


def scored(outcome: str, raw: dict, threshold: float | None = None) -> RiskScore:
    model = MODELS[outcome]
    result = score(model, model.schema.vector(raw), threshold)
    assert isinstance(result, RiskScore)
    return result


@pytest.mark.parametrize("outcome", MODELS)
@given(raw=people)
def test_base_and_contributions_add_up_to_the_log_odds_and_those_to_the_probability(outcome, raw):
    result = scored(outcome, raw)

    assert abs(result.base_log_odds + math.fsum(result.contributions) - result.log_odds) <= ADDITIVITY_TOLERANCE
    assert result.probability == pytest.approx(1 / (1 + math.exp(-result.log_odds)), abs=1e-12)
    assert len(result.contributions) == len(MODELS[outcome].schema.features)


@pytest.mark.parametrize("outcome", MODELS)
@given(raw=people)
def test_the_interval_holds_the_estimate_and_stays_within_0_and_1(outcome, raw):
    result = scored(outcome, raw)

    assert 0 < result.low <= result.probability <= result.high < 1


@pytest.mark.parametrize("outcome", MODELS)
@given(raw=people, data=st.data())
def test_no_input_moves_an_estimate_against_the_direction_that_medicine_knows(outcome, raw, data):
    schema = MODELS[outcome].schema
    directed = [spec for spec in schema.features if spec.direction and spec.name in raw]
    spec = data.draw(st.sampled_from(directed))
    more = {**raw, spec.name: 1 if spec.kind == "boolean" else float(raw[spec.name]) + data.draw(st.integers(1, 5))}

    before, after = scored(outcome, raw).log_odds, scored(outcome, more).log_odds

    assert (after - before) * spec.direction >= -1e-6, spec.name


def test_what_the_patient_has_answered_decides_which_booster_speaks_and_what_is_not_answered_adds_nothing():
    chart = {"age": 50, "female": True, "asthma": True, "n_rx": 4, "visits_yr": 3, "hosp_yr": 0, "mi": False}
    at = {name: n for n, name in enumerate(MODELS["suicidal-ideation"].schema.names)}

    core, needs, phq2, phq8 = (
        scored("suicidal-ideation", chart | more).contributions
        for more in ({}, {"gen_health": 4}, {"gen_health": 4, "DPQ020": 1}, {"DPQ020": 1, "DPQ060": 2})
    )

    assert core[at["gen_health"]] == core[at["DPQ010"]] == core[at["DPQ060"]] == 0
    assert needs[at["gen_health"]] != 0 == needs[at["DPQ010"]]
    assert phq2[at["DPQ020"]] != 0 == phq2[at["DPQ060"]]
    assert phq8[at["DPQ060"]] != 0


def test_a_value_outside_the_range_trained_on_stops_the_estimate_and_is_named():
    model = MODELS["depression"]

    result = score(model, model.schema.vector({"age": 40, "female": True, "DPQ010": 1, "DPQ020": 1, "sleep_hours": 23}))

    assert isinstance(result, NotScored)
    assert (result.reason, result.outside) == ("outside-training-range", ("sleep_hours",))


@pytest.mark.parametrize("outcome", MODELS)
@given(raw=people, low=st.floats(0.01, 0.98), more=st.floats(0, 0.5))
def test_a_higher_threshold_never_raises_the_band(outcome, raw, low, more):
    below = scored(outcome, raw, low).band is RiskBand.BELOW_THRESHOLD

    if below:
        assert scored(outcome, raw, min(low + more, 0.99)).band is RiskBand.BELOW_THRESHOLD


@pytest.mark.parametrize("outcome", MODELS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::PendingDeprecationWarning")
def test_contributions_are_those_of_shaps_own_tree_explainer(outcome):
    import shap

    model = MODELS[outcome]
    rng = np.random.default_rng(7)
    boosters = boosters_of(model.folder, model.outcome, model.schema)
    explainers = {tier: shap.TreeExplainer(booster) for tier, booster in boosters.items()}
    asked = set()
    for number in range(40):
        shown = tier_inputs(tiers(outcome)[number % len(explainers)], model.schema)
        raw = {spec.name: float(rng.integers(1, 3)) for spec in FEATURES if spec.name in shown and rng.random() < 0.7}
        raw = {name: min(value, 1.0) if SPECS[name].kind == "boolean" else value for name, value in raw.items()}
        raw |= {"age": float(rng.integers(18, 90)), "female": True}
        vector = model.schema.vector(raw)
        groups = frozenset(SPECS[name].group for name in raw)
        tier = tier_of(groups)
        asked.add(tier)
        row = np.array([[np.nan if v is None else v for v in vector.values]], dtype=np.float32)

        expected = explainers[tier].shap_values(row)[0] * model.calibrations[model.line(groups)].slope

        assert np.allclose(score(model, vector).contributions, expected, atol=1e-5)
    assert asked == set(explainers)


@pytest.mark.parametrize(("outcome", "pattern"), [(o, p) for o, m in MODELS.items() for p in patterns(o, m.schema)])
def test_every_pattern_of_known_inputs_can_be_scored(outcome, pattern):
    visible = patterns(outcome, MODELS[outcome].schema)[pattern]

    result = scored(outcome, dict.fromkeys(visible, 1.0) | {"age": 45.0})

    assert 0 < result.probability < 1
    assert result.threshold == MODELS[outcome].default_threshold


def test_more_endorsed_answers_raise_the_estimate():
    chart = {"age": 45, "female": True, "asthma": False, "smoke_status": 0}

    none, both = (scored("depression", chart | {"DPQ010": n, "DPQ020": n}).probability for n in (0, 3))

    assert none < 0.05
    assert both > 0.5


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"female": True, "sleep_hours": 7.0}, "age-unknown"),
        ({"age": 17.99, "female": True, "DPQ010": 3, "DPQ020": 3}, "under-age"),
        ({"age": 40, "female": True}, "too-little-data"),
        ({"age": 40, "female": True, "n_rx": 3, "employed": True, "cancer": False, "mi": False}, "too-little-data"),
        ({"age": 40, "DPQ010": 3, "DPQ020": 3}, "too-little-data"),
        ({"age": 40, "female": True, "DPQ010": 3}, "too-little-data"),
    ],
)
def test_no_score_is_given_when_too_little_is_known_and_the_reason_is_a_stable_code(raw, reason):
    model = MODELS["depression"]

    result = score(model, model.schema.vector(raw))

    assert isinstance(result, NotScored)
    assert result.reason == reason
    assert set(result.missing).isdisjoint(raw)
    assert bool(result.missing) is (reason != "under-age")


def test_five_inputs_beyond_age_and_sex_are_enough_and_so_are_both_phq_2_answers():
    five = {"n_rx": 3, "employed": True, "cancer": False, "mi": False, "asthma": False}

    assert scored("depression", {"age": 18, "female": False, **five})
    assert scored("depression", {"age": 18, "female": False, "DPQ010": 0, "DPQ020": 1})


def test_a_vector_of_another_schema_is_refused():
    depression, ideation = MODELS["depression"], MODELS["suicidal-ideation"]

    with pytest.raises(SchemaMismatch):
        score(depression, ideation.schema.vector({"age": 40}))
    with pytest.raises(SchemaMismatch):
        score(depression, FeatureVector(schema_id=depression.schema.id, values=(40.0,)))


def test_a_site_threshold_counts_and_without_one_the_models_own_does():
    model = MODELS["suicidal-ideation"]

    assert BandThresholds(by_outcome={"suicidal-ideation": 0.02}).threshold_for(model) == 0.02
    assert BandThresholds(by_outcome={"depression": 0.3}).threshold_for(model) == model.default_threshold
    assert band(0.02, 0.02) is RiskBand.AT_OR_ABOVE_THRESHOLD
    for impossible in (0, 1, 1.5, -0.1):
        with pytest.raises(ValueError, match="threshold depression"):
            BandThresholds(by_outcome={"depression": impossible})


SERVING_INSTALL = """
import sys
for absent in ("pandas", "sklearn", "shap", "pyarrow"):
    sys.modules[absent] = None  # importing it now raises ImportError, as where it is not installed
from models.scoring.boosters import boosters_of
from models.scoring.registry import load_json, load_models
from models.scoring.score import score
for model in load_models():
    print(score(model, model.schema.vector({"age": 40, "female": True, "DPQ010": 1, "DPQ020": 1})).outcome)
"""


def test_a_score_needs_neither_pandas_nor_scikit_learn_nor_shap():
    printed = subprocess.run([sys.executable, "-c", SERVING_INSTALL], capture_output=True, text=True, check=False)

    assert printed.stdout.split() == list(MODELS), printed.stderr


@pytest.mark.parametrize("outcome", MODELS)
@given(raw=people)
def test_the_bins_of_a_score_are_those_that_drift_is_measured_by(outcome, raw):
    model = MODELS[outcome]
    trained_on = load_json(model.folder / "reference.json")
    values = model.schema.vector(raw).values

    bins = scored(outcome, raw).bins

    for name, value, found in zip(model.schema.names, values, bins, strict=True):
        edges = np.array(trained_on[name]["edges"])
        assert found == ("-" if value is None else str(np.searchsorted(edges, value, side="left"))), name
