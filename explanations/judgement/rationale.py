"""Attributions and facts to ordered reasons, each with the values, dates and sources behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from explanations.judgement.attribution import Attribution
from fhir_adapters.facts import Fact
from models.inputs.features import Inputs

# In log-odds: odds times 1.3, and odds doubled or halved.
SLIGHT = 0.26
MODERATE = 0.69


class Size(StrEnum):
    """How much a reason moved the estimate."""

    SLIGHTLY = "slightly"
    MODERATELY = "moderately"
    STRONGLY = "strongly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
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
    """All reasons of one score, largest first; with `base_log_odds` they sum to `log_odds` within 1e-5."""

    outcome: str
    base_log_odds: float
    log_odds: float
    reasons: tuple[Reason, ...]
    known: int
    inputs: int

    @property
    def missing(self) -> frozenset[str]:
        """The inputs without a usable value."""
        return frozenset(name for reason in self.reasons for name in reason.missing)

    def leading(self, most: int) -> tuple[Reason, ...]:
        """The largest reasons with a source in the chart."""
        return tuple(reason for reason in self.reasons if reason.documented)[:most]

    def remainder(self, shown: tuple[Reason, ...]) -> tuple[int, float]:
        """The number of other inputs, and their sum in log-odds."""
        others = [reason for reason in self.reasons if reason not in shown]
        return sum(len(r.facts) for r in others), math.fsum(r.log_odds for r in others)


def size(log_odds: float) -> Size:
    """The word for a contribution of this size."""
    amount = abs(log_odds)
    return Size.SLIGHTLY if amount < SLIGHT else Size.MODERATELY if amount < MODERATE else Size.STRONGLY


def reasons(attributed: tuple[Attribution, ...], model_inputs: Inputs) -> tuple[Reason, ...]:
    """One reason per attribution, in the same order; its facts ordered by contribution."""
    listed = []
    for attribution in attributed:
        parts = sorted(zip(attribution.features, attribution.parts, strict=True), key=lambda part: -abs(part[1]))
        listed.append(
            Reason(
                concept=attribution.concept,
                log_odds=attribution.log_odds,
                facts=tuple(model_inputs.facts[name] for name, _ in parts if name in model_inputs.facts),
                missing=tuple(name for name, _ in parts if name not in model_inputs.facts),
            )
        )
    return tuple(listed)
