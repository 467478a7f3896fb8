"""Which line calibrates an estimate: that of just what is known, or else the tier's; for one person as for rows."""

import numpy as np
import pytest

from models.evaluation.evaluate import line_keys
from models.inputs.outcomes import OUTCOMES
from models.inputs.patterns import line_key, patterns, patterns_of, tiers
from models.scoring.registry import SHIPPED, load_model, load_models

MODELS = {model.outcome: model for model in load_models()}
GROUPS = {s.name: s.group for model in MODELS.values() for s in model.schema.features}


def known(model, pattern: str, *, but: str = "") -> frozenset[str]:
    return frozenset(GROUPS[name] for name in patterns(model.outcome, model.schema)[pattern]) - {but}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_pattern_has_its_line_and_whatever_fits_none_has_that_of_its_tier(outcome: str):
    model = MODELS[outcome]

    for tier in tiers(outcome):
        for pattern in patterns_of(tier, outcome, model.schema):
            assert model.line(known(model, pattern)) == line_key(tier, pattern)
    assert model.line(known(model, "no-phq", but="pro")) == "needs"
    assert model.line(known(model, "no-phq", but="difficulties")) == "needs/no-phq-no-difficulties"
    assert model.line(known(model, "phq2", but="difficulties")) == "phq2/phq2"
    assert model.line(known(model, "phq2", but="drugs")) == "phq2/phq2-no-drugs"


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_rows_get_the_lines_that_single_people_get(outcome: str):
    model = MODELS[outcome]
    values = np.random.default_rng(3).random((300, len(model.schema.features))).astype(np.float32)
    hidden = np.random.default_rng(4).random((300, len(set(GROUPS.values())))) < 0.4
    for column, group in enumerate(sorted(set(GROUPS.values()))):
        mine = np.array([spec.group == group for spec in model.schema.features])
        values[np.ix_(hidden[:, column], mine)] = np.nan

    keys = line_keys(outcome, model.schema, model.calibrations, values)

    names = np.array([spec.group for spec in model.schema.features])
    assert keys.tolist() == [model.line(frozenset(names[there])) for there in ~np.isnan(values)]
    assert len(set(keys)) > 6


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_models_before_3_have_one_line_a_tier(outcome: str):
    model = load_model(SHIPPED / outcome / "2.0.0")

    assert set(model.calibrations) == set(tiers(outcome))
    assert model.line(known(MODELS[outcome], "no-phq")) == "needs"
