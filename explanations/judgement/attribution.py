"""A scored row to attributions in log-odds, one per clinical concept, checked to add up to the score.

Inputs that mean the same to a clinician (forms of heart disease; the antidepressant classes) are one concept. The base
value plus all attributions is the score in log-odds; nothing is left out, not even missing inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from explanations.errors import NotExact
from models.inputs.feature_schema import ANTIDEPRESSANTS, FeatureSchema
from models.scoring.risk import RiskScore

TOLERANCE = 1e-5

CONCEPTS = {
    "alcohol": ("alc_drinks_day", "alc_days_yr"),
    "heart-disease": ("chf", "chd", "angina", "mi"),
    "visits": ("visits_yr", "usual_place"),
    "mental-health-care": ("mh_visit_yr",),
    "antidepressants": ANTIDEPRESSANTS,
    "phq-2": ("DPQ010", "DPQ020"),
    "phq-items": ("DPQ030", "DPQ040", "DPQ050", "DPQ060", "DPQ070", "DPQ080"),
}
CONCEPT_OF = {feature: concept for concept, features in CONCEPTS.items() for feature in features}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """One concept's contribution to the score, in calibrated log-odds, and the inputs it comprises."""

    concept: str
    features: tuple[str, ...]
    log_odds: float
    parts: tuple[float, ...]


def attributions(score: RiskScore, schema: FeatureSchema) -> tuple[Attribution, ...]:
    """One per concept, largest first. Raises NotExact unless they add up to the score within 1e-5."""
    groups: dict[str, list[tuple[str, float]]] = {}
    for name, value in zip(schema.names, score.contributions, strict=True):
        groups.setdefault(CONCEPT_OF.get(name, name), []).append((name, value))
    concepts = [
        Attribution(
            concept=concept,
            features=tuple(name for name, _ in parts),
            log_odds=math.fsum(value for _, value in parts),
            parts=tuple(value for _, value in parts),
        )
        for concept, parts in groups.items()
    ]
    total = score.base_log_odds + math.fsum(a.log_odds for a in concepts)
    if abs(total - score.log_odds) > TOLERANCE:
        raise NotExact(f"expected reasons that add up to the score within {TOLERANCE}; found a larger difference")
    return tuple(sorted(concepts, key=lambda a: -abs(a.log_odds)))
