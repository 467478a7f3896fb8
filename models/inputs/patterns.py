"""Which inputs are known: tiers, each with its own booster, and the patterns for evaluation.

A tier is what the patient has answered of the PHQ and of other patient-reported inputs; it selects the booster of an
artifact. A pattern is a set of visible features, as a chart may have them; all others are hidden (missing). Both are
defined once, for training, evaluation and scoring. Does not hide anything itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from models.inputs.feature_schema import FeatureSchema
from models.inputs.outcomes import OUTCOME_SPECS

ALL = "all"
HEADLINE = "no-phq"

CORE, NEEDS, PHQ2, PHQ8 = "core", "needs", "phq2", "phq8"
"""Known: no PHQ item, work, food, concentrating, sleep or own health; some of the latter; PHQ items 1-2; items 3-8."""

_NEEDS_GROUPS, _PHQ_GROUPS = ("needs", "difficulties", "pro"), ("phq2", "phq")
_NOT_SHOWN: Mapping[str, tuple[str, ...]] = {
    CORE: (*_NEEDS_GROUPS, *_PHQ_GROUPS),
    NEEDS: _PHQ_GROUPS,
    PHQ2: ("phq",),
    PHQ8: (),
}

# Pattern -> its tier, and the groups of inputs hidden beyond those of the tier.
_HIDDEN: Mapping[str, tuple[str, tuple[str, ...]]] = {
    HEADLINE: (NEEDS, ()),
    "no-phq-no-difficulties": (NEEDS, ("difficulties",)),
    "no-phq-no-drugs-with-needs": (NEEDS, ("drugs",)),
    "no-phq-no-drugs-no-difficulties": (NEEDS, ("drugs", "difficulties")),
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
    """The tiers of an outcome's model; `phq8` only where items 3-8 may be inputs."""
    return (CORE, NEEDS, PHQ2) if "phq" in OUTCOME_SPECS[outcome].never_inputs else (CORE, NEEDS, PHQ2, PHQ8)


def tier_inputs(tier: str, schema: FeatureSchema) -> tuple[str, ...]:
    """Names of the features visible to the booster of a tier, in schema order."""
    return tuple(s.name for s in schema.features if s.group not in _NOT_SHOWN[tier])


def tier_of(groups: Collection[str]) -> str:
    """The tier for which any of these groups of inputs is known: the most informative one."""
    if "phq" in groups:
        return PHQ8
    if "phq2" in groups:
        return PHQ2
    return NEEDS if any(group in groups for group in _NEEDS_GROUPS) else CORE


def line_key(tier: str, pattern: str) -> str:
    """The key of the calibration of one pattern of a tier; that of the tier alone is the tier's name."""
    return f"{tier}/{pattern}"


def lines_by_groups(outcome: str, schema: FeatureSchema, keys: Collection[str]) -> Mapping[frozenset[str], str]:
    """Groups of inputs known -> the key of the calibration of exactly these, of those in `keys`.

    Beside PHQ answers difficulties hardly matter: one line serves with and without them.
    """
    group = {s.name: s.group for s in schema.features}
    lines: dict[frozenset[str], str] = {}
    for tier in tiers(outcome):
        for pattern, visible in patterns_of(tier, outcome, schema).items():
            groups, key = frozenset(group[name] for name in visible), line_key(tier, pattern)
            if key in keys:
                lines[groups] = key
                if tier in (PHQ2, PHQ8):
                    lines.setdefault(groups - {"difficulties"}, key)
    return lines


def patterns(outcome: str, schema: FeatureSchema) -> Mapping[str, tuple[str, ...]]:
    """Pattern -> names of the visible features in schema order; `all` is `phq2`.

    A pattern that hides only what an older schema does not have is none of its patterns.
    """
    own_tiers = tiers(outcome)
    group = {s.name: s.group for s in schema.features}
    visible: dict[str, tuple[str, ...]] = {}
    for pattern, (tier, hidden) in _HIDDEN.items():
        names = tuple(name for name in tier_inputs(tier, schema) if group[name] not in hidden)
        if tier in own_tiers and names not in visible.values():
            visible[pattern] = names
    return {**visible, ALL: visible["phq2"]}


def patterns_of(tier: str, outcome: str, schema: FeatureSchema) -> Mapping[str, tuple[str, ...]]:
    """The patterns served by the booster of a tier, the complete one first; without the alias `all`."""
    visible = patterns(outcome, schema)
    return {pattern: visible[pattern] for pattern, (own, _) in _HIDDEN.items() if own == tier and pattern in visible}
