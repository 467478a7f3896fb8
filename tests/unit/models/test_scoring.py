import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import SchemaMismatch
from models.feature_schema import FEATURES, FeatureVector
from models.patterns import patterns
from models.registry import load_models
from models.risk import BandThresholds, NotScored, RiskBand, RiskScore, band
from models.scoring import ADDITIVITY_TOLERANCE, score

MODELS = {model.outcome: model for model in load_models()}


def raw_value(spec):
    if spec.kind == "boolean":
        return st.booleans()
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
@settings(deadline=None)
def test_base_and_contributions_add_up_to_the_log_odds_and_those_to_the_probability(outcome, raw):
    result = scored(outcome, raw)

    assert abs(result.base_log_odds + math.fsum(result.contributions) - result.log_odds) <= ADDITIVITY_TOLERANCE
    assert result.probability == pytest.approx(1 / (1 + math.exp(-result.log_odds)), abs=1e-12)
    assert len(result.contributions) == len(MODELS[outcome].schema.features)


@pytest.mark.parametrize("outcome", MODELS)
@given(raw=people, low=st.floats(0.01, 0.98), more=st.floats(0, 0.5))
@settings(deadline=None)
def test_a_higher_threshold_never_raises_the_band(outcome, raw, low, more):
    below = scored(outcome, raw, low).band is RiskBand.BELOW_THRESHOLD

    if below:
        assert scored(outcome, raw, min(low + more, 0.99)).band is RiskBand.BELOW_THRESHOLD


@pytest.mark.parametrize("outcome", MODELS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::PendingDeprecationWarning")
def test_contributions_are_those_of_shaps_own_tree_explainer(outcome):
    shap = pytest.importorskip("shap")
    model = MODELS[outcome]
    rng = np.random.default_rng(7)
    explainer = shap.TreeExplainer(model.booster)
    for _ in range(20):
        raw = {spec.name: float(rng.integers(0, 2)) for spec in FEATURES if rng.random() < 0.7}
        raw |= {"age": float(rng.integers(18, 90)), "female": True, "bmi": rng.normal(28, 6), "DPQ010": 1, "DPQ020": 2}
        vector = model.schema.vector(raw)
        row = np.array([[np.nan if v is None else v for v in vector.values]], dtype=np.float32)

        expected = explainer.shap_values(row)[0] * model.calibration.slope

        assert np.allclose(score(model, vector).contributions, expected, atol=1e-4)


@pytest.mark.parametrize(("outcome", "pattern"), [(o, p) for o, m in MODELS.items() for p in patterns(o, m.schema)])
def test_every_pattern_of_known_inputs_can_be_scored(outcome, pattern):
    visible = patterns(outcome, MODELS[outcome].schema)[pattern]

    result = scored(outcome, dict.fromkeys(visible, 1.0) | {"age": 45.0})

    assert 0 < result.probability < 1
    assert result.threshold == MODELS[outcome].default_threshold


def test_more_endorsed_answers_raise_the_estimate():
    chart = {"age": 45, "female": True, "asthma": False, "bmi": 25.0}

    none, both = (scored("depression", chart | {"DPQ010": n, "DPQ020": n}).probability for n in (0, 3))

    assert none < 0.05
    assert both > 0.5


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"female": True, "bmi": 30.0}, "age-unknown"),
        ({"age": 17.99, "female": True, "DPQ010": 3, "DPQ020": 3}, "under-age"),
        ({"age": 40, "female": True}, "too-little-data"),
        ({"age": 40, "female": True, "bmi": 30, "sbp": 120, "dbp": 80, "pulse": 70}, "too-little-data"),
        ({"age": 40, "DPQ010": 3, "DPQ020": 3}, "too-little-data"),
        ({"age": 40, "female": True, "DPQ010": 3}, "too-little-data"),
    ],
)
def test_no_score_is_given_when_too_little_is_known_and_the_reason_is_a_stable_code(raw, reason):
    model = MODELS["depression"]

    result = score(model, model.schema.vector(raw))

    assert isinstance(result, NotScored)
    assert result.reason == reason
    assert result.detail.endswith(".")
    assert set(result.missing).isdisjoint(raw)
    assert bool(result.missing) is (reason != "under-age")


def test_five_inputs_beyond_age_and_sex_are_enough_and_so_are_both_phq_2_answers():
    five = {"bmi": 30, "sbp": 120, "dbp": 80, "pulse": 70, "asthma": False}

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

    assert BandThresholds(suicidal_ideation=0.02).threshold_for(model) == 0.02
    assert BandThresholds(depression=0.3).threshold_for(model) == model.default_threshold
    assert band(0.02, 0.02) is RiskBand.AT_OR_ABOVE_THRESHOLD
    for impossible in (0, 1, 1.5, -0.1):
        with pytest.raises(ValueError, match="threshold depression"):
            BandThresholds(depression=impossible)


SERVING_INSTALL = """
import sys
for absent in ("pandas", "sklearn", "shap", "pyarrow"):
    sys.modules[absent] = None  # importing it now raises ImportError, as where it is not installed
from models.registry import load_models
from models.scoring import score
for model in load_models():
    print(score(model, model.schema.vector({"age": 40, "female": True, "DPQ010": 1, "DPQ020": 1})).outcome)
"""


def test_a_score_needs_neither_pandas_nor_scikit_learn_nor_shap():
    printed = subprocess.run([sys.executable, "-c", SERVING_INSTALL], capture_output=True, text=True, check=False)

    assert printed.stdout.split() == list(MODELS), printed.stderr
