"""Which inputs are known: the patterns that models are trained for and judged by.

A pattern is a set of features left visible; everything else is hidden (missing). Written out once, read by training and
evaluation. Does not hide anything itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from models.feature_schema import SUICIDAL_IDEATION, FeatureSchema

ALL = "all"
HEADLINE = "no-phq"
_NO_PHQ_BLOCKS = ("core", "needs", "pro")


def patterns(outcome: str, schema: FeatureSchema) -> Mapping[str, tuple[str, ...]]:
    """Pattern -> names of the visible features in schema order. `phq8` exists for ideation only; `all` is `phq2`."""

    def names(*, blocks: tuple[str, ...], but: tuple[str, ...] = ()) -> tuple[str, ...]:
        return tuple(s.name for s in schema.features if s.block in blocks and s.group not in but)

    demographics = tuple(s.name for s in schema.features if s.group == "demographics")
    conditions = tuple(s.name for s in schema.features if s.group == "conditions")
    found = {
        HEADLINE: names(blocks=_NO_PHQ_BLOCKS),
        "no-phq-no-needs": names(blocks=("core",)),
        "no-phq-no-drugs": names(blocks=("core",), but=("drugs",)),
        "demographics-conditions": demographics + conditions,
        "phq2": names(blocks=(*_NO_PHQ_BLOCKS, "phq2")),
        "phq2-only": demographics + names(blocks=("phq2",)),
    }
    if outcome == SUICIDAL_IDEATION:
        found["phq8"] = names(blocks=(*_NO_PHQ_BLOCKS, "phq2", "phq"))
    return {**found, ALL: found["phq2"]}
