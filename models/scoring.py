"""A feature vector in, a calibrated score with exact contributions out, or the reason why not.

The only place where None becomes NaN. Contributions are XGBoost's exact tree SHAP values on the log-odds scale,
multiplied by the calibration's slope; they are checked to add up to the score. Pure: the same vector, the same score.
Does not read records, word reasons, or decide whether a card is shown.
"""

from __future__ import annotations

import math

import numpy as np
import xgboost

from models.calibration import sigmoid
from models.errors import ModelError, SchemaMismatch
from models.feature_schema import FeatureVector
from models.registry import Model
from models.risk import NotScored, RiskScore, band

ADDITIVITY_TOLERANCE = 1e-5
"""Largest difference allowed between a score and the sum of its parts, in log-odds."""


def score(model: Model, vector: FeatureVector, threshold: float | None = None) -> RiskScore | NotScored:
    """The model's estimate for one person, banded by `threshold` (probability; default: the manifest's).

    NotScored reasons: `age-unknown`, `under-age`, `too-little-data` (see the manifest's minimum data).
    Raises SchemaMismatch when the vector was built for another schema.
    """
    if vector.schema_id != model.schema.id or len(vector.values) != len(model.schema.features):
        raise SchemaMismatch(
            expected=f"a vector of schema {model.schema.id}",
            found=f"one of {vector.schema_id}",
            remedy="build it with the schema of the model that scores it",
        )
    refusal = _refusal(model, vector)
    return _scored(model, vector, threshold) if refusal is None else refusal


def _refusal(model: Model, vector: FeatureVector) -> NotScored | None:
    rule = model.manifest.minimum_data
    known = dict(zip(model.schema.names, vector.values, strict=True))
    missing = tuple(name for name, value in known.items() if value is None)
    age = known["age"]
    if age is None:
        return NotScored(
            outcome=model.outcome,
            reason="age-unknown",
            detail="The age is not known, so no score is given.",
            missing=missing,
        )
    if age < rule.minimum_age_years:
        return NotScored(
            outcome=model.outcome,
            reason="under-age",
            detail=f"The model was trained on adults; it gives no score below {rule.minimum_age_years} years of age.",
        )
    others = len(known) - len(missing) - sum(known[name] is not None for name in rule.required)
    enough = others >= rule.known_inputs or all(known[name] is not None for name in rule.or_all_of)
    if enough and all(known[name] is not None for name in rule.required):
        return None
    return NotScored(
        outcome=model.outcome,
        reason="too-little-data",
        detail=(
            f"Too little is on record: age, sex and either {rule.known_inputs} further inputs or both PHQ-2 answers "
            f"are needed; {others} further inputs are known."
        ),
        missing=missing,
    )


def _scored(model: Model, vector: FeatureVector, threshold: float | None) -> RiskScore:
    row = np.array([[math.nan if value is None else value for value in vector.values]], dtype=np.float32)
    matrix = xgboost.DMatrix(row, nthread=1)
    raw = model.booster.predict(matrix, pred_contribs=True, validate_features=False)[0].tolist()
    margin = float(model.booster.predict(matrix, output_margin=True, validate_features=False)[0])

    contributions = tuple(model.calibration.slope * value for value in raw[:-1])
    base = model.calibration.log_odds(raw[-1])
    log_odds = model.calibration.log_odds(margin)
    if abs(base + math.fsum(contributions) - log_odds) > ADDITIVITY_TOLERANCE:
        raise ModelError(
            expected=f"contributions that add up to the score within {ADDITIVITY_TOLERANCE}",
            found="a larger difference",
            remedy="report this: the installed xgboost does not explain this model exactly",
        )
    probability = sigmoid(log_odds)
    limit = model.default_threshold if threshold is None else threshold
    return RiskScore(
        outcome=model.outcome,
        probability=probability,
        log_odds=log_odds,
        base_log_odds=base,
        contributions=contributions,
        threshold=limit,
        band=band(probability, limit),
        model_version=model.version,
        schema_id=model.schema.id,
    )
