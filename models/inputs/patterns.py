"""Which inputs are known: the tiers that have a booster each, and the patterns that models are judged by.

A tier says what the patient has answered, of the PHQ and of what else only people themselves can tell; it decides which
booster of an artifact speaks. A pattern is a set of
features left visible, as a chart may have them; everything else is hidden (missing). Both are written out once and read
by training, evaluation and scoring. Does not hide anything itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from models.inputs.feature_schema import FeatureSchema
from models.inputs.outcomes import OUTCOME_SPECS

ALL = "all"
HEADLINE = "no-phq"

CORE, NEEDS, PHQ2, PHQ8 = "core", "needs", "phq2", "phq8"
"""Known: nothing of the PHQ, nor work, food, sleep or own health; some of these; of PHQ items 1-2; of items 3-8."""

_NEEDS_GROUPS, _PHQ_GROUPS = ("needs", "pro"), ("phq2", "phq")
_NOT_SHOWN: Mapping[str, tuple[str, ...]] = {
    CORE: (*_NEEDS_GROUPS, *_PHQ_GROUPS),
    NEEDS: _PHQ_GROUPS,
    PHQ2: ("phq",),
    PHQ8: (),
}

# Pattern -> its tier, and the groups of inputs that are hidden from what the tier may show.
_HIDDEN: Mapping[str, tuple[str, tuple[str, ...]]] = {
    HEADLINE: (NEEDS, ()),
    "no-phq-no-drugs-with-needs": (NEEDS, ("drugs",)),
    "no-phq-no-needs": (CORE, ()),
    "no-phq-no-drugs": (CORE, ("drugs",)),
    "no-phq-no-utilisation": (CORE, ("utilisation",)),
    "no-phq-no-lifestyle": (CORE, ("lifestyle",)),
    "demographics-conditions": (CORE, ("lifestyle", "utilisation", "drugs")),
    "phq2": (PHQ2, ()),
    "phq2-no-needs": (PHQ2, _NEEDS_GROUPS),
    "phq2-no-drugs": (PHQ2, ("drugs",)),
    "phq2-only": (PHQ2, (*_NEEDS_GROUPS, "lifestyle", "utilisation", "drugs", "conditions")),
    "phq8": (PHQ8, ()),
    "phq8-only": (PHQ8, (*_NEEDS_GROUPS, "lifestyle", "utilisation", "drugs", "conditions")),
}


def tiers(outcome: str) -> tuple[str, ...]:
    """The tiers of an outcome's model: `phq8` where items 3-8 may be inputs."""
    return (CORE, NEEDS, PHQ2) if "phq" in OUTCOME_SPECS[outcome].never_inputs else (CORE, NEEDS, PHQ2, PHQ8)


def tier_inputs(tier: str, schema: FeatureSchema) -> tuple[str, ...]:
    """Names of the features that the booster of a tier may see, in schema order."""
    return tuple(s.name for s in schema.features if s.group not in _NOT_SHOWN[tier])


def tier_of(groups: Collection[str]) -> str:
    """The tier that speaks when something of these groups of inputs is known: that of the most telling one."""
    if "phq" in groups:
        return PHQ8
    if "phq2" in groups:
        return PHQ2
    return NEEDS if any(group in groups for group in _NEEDS_GROUPS) else CORE


def patterns(outcome: str, schema: FeatureSchema) -> Mapping[str, tuple[str, ...]]:
    """Pattern -> names of the visible features in schema order; `all` is `phq2`."""
    wanted = tiers(outcome)
    group = {s.name: s.group for s in schema.features}
    visible = {
        pattern: tuple(name for name in tier_inputs(tier, schema) if group[name] not in hidden)
        for pattern, (tier, hidden) in _HIDDEN.items()
        if tier in wanted
    }
    return {**visible, ALL: visible["phq2"]}


def patterns_of(tier: str, outcome: str, schema: FeatureSchema) -> Mapping[str, tuple[str, ...]]:
    """The patterns that the booster of a tier answers, the complete one first; `all` is a second name and left out."""
    visible = patterns(outcome, schema)
    return {pattern: visible[pattern] for pattern, (pattern_tier, _) in _HIDDEN.items() if pattern_tier == tier}
