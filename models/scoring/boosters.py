"""What needs XGBoost: reading a booster, and checking the tables made from it, where models are loaded or evaluated.

A process that is handed loaded models has their tables and does not need this module, unless a model has trees of more
than three splits: for those XGBoost gives the parts of every row.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import xgboost

from models.errors import RETRAIN, ArtifactError
from models.inputs.feature_schema import FeatureSchema
from models.inputs.patterns import tier_inputs, tiers
from models.scoring.tree_tables import ADDITIVITY_TOLERANCE, Parts, PartsOfRow, TreeTables, tables_of


def boosters_of(folder: Path, outcome: str, schema: FeatureSchema) -> dict[str, xgboost.Booster]:
    """Tier -> the booster of an artifact folder that serves it. Raises ArtifactError."""
    return {tier: load_booster(folder / f"model-{tier}.ubj.gz", schema) for tier in tiers(outcome)}


def load_booster(path: Path, schema: FeatureSchema) -> xgboost.Booster:
    """One booster in XGBoost's own format. Raises ArtifactError when it does not fit the schema.

    It is set to one thread: for a single row more are slower.
    """
    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(gzip.decompress(path.read_bytes())))
    except (xgboost.core.XGBoostError, OSError, EOFError, zlib.error, ValueError) as error:
        raise ArtifactError(expected="an XGBoost model", found=f"{path.name} cannot be read", remedy=RETRAIN) from error
    booster.set_param({"nthread": 1})
    if booster.feature_names != list(schema.names):
        raise ArtifactError(
            expected="a booster with the features of its schema", found=f"others in {path.name}", remedy=RETRAIN
        )
    return booster


def parts_of(booster: xgboost.Booster) -> PartsOfRow:
    """The function that gives the parts of a row: from tables, or from XGBoost for trees of more than three splits."""
    tables = tree_tables(booster)
    return partial(booster_parts, booster) if tables is None else tables.parts


def booster_parts(booster: xgboost.Booster, values: Sequence[float | None]) -> Parts:
    """The margin of one row and its parts by XGBoost; None is a missing value."""
    row = np.array([[math.nan if v is None else v for v in values]], dtype=np.float32)
    matrix = xgboost.DMatrix(row, nthread=1)
    *contributions, base = booster.predict(matrix, pred_contribs=True, validate_features=False)[0].tolist()
    margin = float(booster.predict(matrix, output_margin=True, validate_features=False)[0])
    return Parts(margin=margin, base=base, contributions=contributions)


def tree_tables(booster: xgboost.Booster) -> TreeTables | None:
    """The tables of a booster; None if its trees are not plain ones of at most three splits to a leaf."""
    trained = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]
    unknown = booster_parts(booster, [None] * booster.num_features())
    return tables_of(trained, booster.num_features(), unknown.margin)


def verify_parts(booster: xgboost.Booster, parts_of_row: PartsOfRow, tier: str, schema: FeatureSchema) -> None:
    """Raises ArtifactError unless XGBoost's parts add up to its margin and `parts_of_row` gives the same.

    Checks rows that are empty, all low, all high, and a seeded mixture with gaps.
    """
    shown = np.isin(np.array(schema.names), np.array(tier_inputs(tier, schema)))
    high = np.array([spec.cap or 40.0 if spec.kind != "boolean" else 1.0 for spec in schema.features])
    mixed = np.random.default_rng(0).random((8, len(high)))
    rows = np.vstack(
        [np.full_like(high, np.nan), np.zeros_like(high), high, np.where(mixed < 1 / 3, np.nan, mixed * high)]
    )
    rows = np.where(shown, rows, np.nan).astype(np.float32)
    matrix = xgboost.DMatrix(rows, nthread=1)
    contributions = booster.predict(matrix, pred_contribs=True, validate_features=False)
    margins = booster.predict(matrix, output_margin=True, validate_features=False)
    own = [parts_of_row([None if math.isnan(value) else value for value in row]) for row in rows.tolist()]
    for expected, differences in (
        ("contributions that add up to the margin", contributions.sum(axis=1, dtype=np.float64) - margins),
        (
            "tables that give XGBoost's contributions",
            np.array([[*p.contributions, p.base] for p in own]) - contributions,
        ),
        ("tables that give XGBoost's margin", np.array([p.margin for p in own]) - margins),
    ):
        difference = float(np.abs(differences).max())
        if not difference <= ADDITIVITY_TOLERANCE:
            raise ArtifactError(
                expected=f"{expected} within {ADDITIVITY_TOLERANCE}",
                found=f"a difference of {difference:.2g} in the booster for {tier}",
                remedy="install the release of xgboost that the manifest names, or train again",
            )
