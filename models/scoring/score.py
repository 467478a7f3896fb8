"""A feature vector in, a calibrated score with exact contributions out, or the reason why not.

What the patient has answered selects the booster, and what else is known its calibration. Contributions are the
booster's exact tree SHAP values on the log-odds scale (`tree_tables`), multiplied by the calibration's slope, and
checked to add up to the score, whose margin is computed from the leaves that the row reaches.
Pure. Does not read records, word reasons, or decide whether a card is shown.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping

from models.errors import ModelError, SchemaMismatch
from models.inputs.feature_schema import FeatureVector
from models.inputs.patterns import tier_of
from models.scoring.calibration import sigmoid
from models.scoring.registry import Model
from models.scoring.risk import NotScored, NotScoredReason, RiskScore, band
from models.scoring.tree_tables import ADDITIVITY_TOLERANCE


def score(model: Model, vector: FeatureVector, threshold: float | None = None) -> RiskScore | NotScored:
    """The model's estimate for one person, banded by `threshold` (probability; default: the manifest's).

    NotScored for an unknown age, an age or data below the manifest's minimum, or a value outside its ranges.
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
    known = {n: value for n, value in zip(model.schema.names, vector.values, strict=True) if value is not None}
    age = known.get("age")
    if age is None:
        return NotScored(outcome=model.outcome, reason=NotScoredReason.AGE_UNKNOWN, missing=_missing(model, known))
    if age < rule.minimum_age_years:
        return NotScored(outcome=model.outcome, reason=NotScoredReason.UNDER_AGE)
    others = len(known) - sum(name in known for name in rule.required)
    enough = others >= rule.known_inputs or all(name in known for name in rule.or_all_of)
    if enough and all(name in known for name in rule.required):
        return _outside(model, known)
    return NotScored(
        outcome=model.outcome,
        reason=NotScoredReason.TOO_LITTLE_DATA,
        missing=_missing(model, known),
        known=others,
        needed=rule.known_inputs,
    )


def _missing(model: Model, known: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(name for name in model.schema.names if name not in known)


def _outside(model: Model, known: Mapping[str, float]) -> NotScored | None:
    outside = tuple(
        name
        for name, (low, high) in model.manifest.input_ranges.items()
        if (value := known.get(name)) is not None and not low <= value <= high
    )
    if not outside:
        return None
    return NotScored(outcome=model.outcome, reason=NotScoredReason.OUTSIDE_TRAINING_RANGE, outside=outside)


def _scored(model: Model, vector: FeatureVector, threshold: float | None) -> RiskScore:
    known = zip(model.schema.groups, vector.values, strict=True)
    groups = frozenset(group for group, value in known if value is not None)
    calibration = model.calibrations[line := model.line(groups)]
    parts = model.parts[tier_of(groups)](vector.values)

    contributions = tuple(calibration.slope * value for value in parts.contributions)
    base = calibration.log_odds(parts.base)
    log_odds = calibration.log_odds(parts.margin)
    if abs(base + math.fsum(contributions) - log_odds) > ADDITIVITY_TOLERANCE:
        raise ModelError(
            expected=f"contributions that add up to the score within {ADDITIVITY_TOLERANCE}",
            found="a larger difference",
            remedy="report this: the installed xgboost does not explain this model exactly",
        )
    probability = sigmoid(log_odds)
    half = float(model.spreads[line].half_width(log_odds))
    limit = model.default_threshold if threshold is None else threshold
    return RiskScore(
        outcome=model.outcome,
        probability=probability,
        low=sigmoid(log_odds - half),
        high=sigmoid(log_odds + half),
        log_odds=log_odds,
        base_log_odds=base,
        contributions=contributions,
        threshold=limit,
        band=band(probability, limit),
        model_version=model.version,
        schema_id=model.schema.id,
        bins=_bins(model, vector),
    )


def _bins(model: Model, vector: FeatureVector) -> str:
    each = zip(vector.values, *model.bins, strict=True)
    return "".join(["-" if value is None else names[bisect_left(edges, value)] for value, edges, names in each])
