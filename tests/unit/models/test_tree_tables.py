"""The parts of a row from tables, against XGBoost's own: the two ways of computing the same thing."""

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from model_versions import OLD

from models.errors import ArtifactError
from models.scoring import boosters
from models.scoring.boosters import booster_parts, boosters_of, parts_of, tree_tables
from models.scoring.registry import SHIPPED, load_model, load_models
from models.scoring.tree_tables import DEEPEST, Parts

BOOSTERS = {
    f"{model.outcome} {tier}": booster
    for model in load_models()
    for tier, booster in boosters_of(model.folder, model.outcome, model.schema).items()
}
TABLES = {name: tree_tables(booster) for name, booster in BOOSTERS.items()}
# XGBoost adds up in single precision, and its own contributions miss its margin by up to 4e-6 here.
SINGLE = 1e-5


def differences(parts: Parts, booster: xgboost.Booster, row: list[float | None]) -> tuple[float, float]:
    """Between these parts and XGBoost's: the greatest of base and contributions, and that of the margin."""
    expected = booster_parts(booster, row)
    both = zip((parts.base, *parts.contributions), (expected.base, *expected.contributions), strict=True)
    return max(abs(own - theirs) for own, theirs in both), abs(parts.margin - expected.margin)


@pytest.mark.parametrize("name", BOOSTERS)
@given(data=st.data())
def test_each_shipped_booster_has_tables_that_give_xgboosts_parts(name, data):
    booster, tables = BOOSTERS[name], TABLES[name]
    limits = {n: np.unique(tables.limits[tables.features == n]).tolist() for n in range(booster.num_features())}
    row = [
        data.draw(st.none() | st.floats(0, 100, width=32) | st.sampled_from(known or [0.0]))
        for known in limits.values()
    ]

    parts = tables.parts(row)

    contribution, margin = differences(parts, booster, row)
    assert contribution <= SINGLE
    assert margin <= SINGLE
    assert parts.base + sum(parts.contributions) == pytest.approx(parts.margin, abs=1e-12)


@given(seed=st.integers(0, 10_000), depth=st.integers(1, DEEPEST), columns=st.integers(1, 3))
@settings(max_examples=50)
def test_trees_that_split_on_one_feature_again_or_end_early_have_xgboosts_parts(seed, depth, columns):
    chance = np.random.default_rng(seed)
    rows = chance.integers(0, 6, (60, columns)).astype(np.float32)
    rows[chance.random(rows.shape) < 0.2] = np.nan
    labels = (chance.random(60) < 0.1 + 0.1 * np.nan_to_num(rows[:, 0], nan=4.0)).astype(float)
    matrix = xgboost.DMatrix(rows, labels, nthread=1)
    wanted = {"max_depth": depth, "objective": "binary:logistic", "nthread": 1, "min_child_weight": chance.random()}
    booster = xgboost.train(wanted, matrix, num_boost_round=8)
    tables = tree_tables(booster)

    for row in rows.tolist():
        values = [None if np.isnan(value) else value for value in row]
        assert max(differences(tables.parts(values), booster, values)) <= SINGLE


def test_trees_of_more_splits_are_left_to_xgboost():
    older = load_model(SHIPPED / "depression" / "2.0.0")
    row = [1.0] * len(older.schema.features)

    for tier, booster in boosters_of(older.folder, older.outcome, older.schema).items():
        assert tree_tables(booster) is None
        assert older.parts[tier](row) == booster_parts(booster, row)


@pytest.mark.parametrize("moved", ["margin", "base", "contributions"])
def test_a_model_whose_tables_are_not_xgboosts_parts_is_not_loaded(moved, monkeypatch: pytest.MonkeyPatch):
    def off(booster: xgboost.Booster):
        def parts(values) -> Parts:
            own = parts_of(booster)(values)
            by = [*own.contributions[:-1], own.contributions[-1] + 1e-4] if moved == "contributions" else 0.0
            return own._replace(**{moved: by or getattr(own, moved) + 1e-4})

        return parts

    monkeypatch.setattr(boosters, "parts_of", off)

    with pytest.raises(ArtifactError, match="expected tables that give XGBoost's"):
        load_model(SHIPPED / "depression" / OLD["depression"])
