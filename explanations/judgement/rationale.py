"""A score's contributions to ordered reasons, one per clinical concept, each with the facts behind it.

Inputs that mean the same to a clinician (forms of heart disease; the antidepressant classes) are one concept. The base
value plus all reasons is the score in log-odds, and is checked to be; nothing is left out, not even missing inputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import islice

import msgspec

from explanations.errors import NotExact
from fhir_adapters.facts import Fact
from models.inputs.feature_schema import ANTIDEPRESSANTS
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

# In log-odds: odds times 1.3, and odds doubled or halved.
SLIGHT = 0.26
MODERATE = 0.69


class Size(StrEnum):
    """How much a reason moved the estimate."""

    SLIGHTLY = "slightly"
    MODERATELY = "moderately"
    STRONGLY = "strongly"


class Reason(
    msgspec.Struct, frozen=True, kw_only=True
):  # a dataclass takes seven times as long; a call makes a hundred
    """One concept's effect on the estimate, the chart values behind it, and its missing inputs."""

    concept: str
    log_odds: float
    facts: tuple[Fact, ...]
    missing: tuple[str, ...]

    @property
    def documented(self) -> bool:
        """Whether any value has a source. Something not listed has none and is not shown on its own."""
        return any(fact.references for fact in self.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All reasons of one score, largest first; with `base_log_odds` they sum to `log_odds` within 1e-5.

    names, values: the inputs as the model saw them, None where unknown.
    """

    outcome: str
    base_log_odds: float
    log_odds: float
    reasons: tuple[Reason, ...]
    known: int
    inputs: int
    names: tuple[str, ...] = ()
    values: tuple[float | None, ...] = ()

    @property
    def missing(self) -> frozenset[str]:
        """The inputs without a usable value."""
        return frozenset(name for reason in self.reasons for name in reason.missing)

    def leading(self, most: int) -> tuple[Reason, ...]:
        """The largest reasons with a source in the chart."""
        return tuple(islice((reason for reason in self.reasons if reason.documented), most))

    def remainder(self, shown: tuple[Reason, ...]) -> tuple[int, float]:
        """The number of other inputs, and their sum in log-odds."""
        named = {reason.concept for reason in shown}
        others = [reason for reason in self.reasons if reason.concept not in named]
        return sum(len(r.facts) for r in others), math.fsum(r.log_odds for r in others)


def size(log_odds: float) -> Size:
    """The word for a contribution of this size."""
    amount = abs(log_odds)
    return Size.SLIGHTLY if amount < SLIGHT else Size.MODERATELY if amount < MODERATE else Size.STRONGLY


def reasons(score: RiskScore, names: tuple[str, ...], facts: Mapping[str, Fact]) -> tuple[Reason, ...]:
    """One per concept, largest first, its facts likewise; names: of the inputs that the contributions belong to.

    Raises NotExact unless they add up to the score within 1e-5.
    """
    values = dict(zip(names, score.contributions, strict=True))
    listed = [_reason(concept, features, values, facts) for concept, features in _concepts(names)]
    total = score.base_log_odds + math.fsum([reason.log_odds for reason in listed])
    if abs(total - score.log_odds) > TOLERANCE:
        raise NotExact(f"expected reasons that add up to the score within {TOLERANCE}; found a larger difference")
    listed.sort(key=lambda reason: -abs(reason.log_odds))
    return tuple(listed)


@cache
def _concepts(names: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The concepts of these inputs, each with its own inputs; in order."""
    grouped: dict[str, list[str]] = {}
    for name in names:
        grouped.setdefault(CONCEPT_OF.get(name, name), []).append(name)
    return tuple((concept, tuple(features)) for concept, features in grouped.items())


def _reason(concept: str, features: tuple[str, ...], values: Mapping[str, float], facts: Mapping[str, Fact]) -> Reason:
    if len(features) == 1:  # nearly all, which makes a difference where every call has a hundred
        fact, log_odds = facts.get(features[0]), values[features[0]]
        return Reason(
            concept=concept, log_odds=log_odds, facts=(fact,) if fact else (), missing=() if fact else features
        )
    largest_first = sorted(features, key=lambda name: -abs(values[name]))
    return Reason(
        concept=concept,
        log_odds=math.fsum(values[name] for name in features),
        facts=tuple(facts[name] for name in largest_first if name in facts),
        missing=tuple(name for name in largest_first if name not in facts),
    )
