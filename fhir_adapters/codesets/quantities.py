"""Measured quantities: LOINC code to fact, canonical unit and plausible range (`measurements.csv`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from fhir_adapters.codesets.terminology import table


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurand:
    """A measured quantity: its feature, canonical unit and plausible range in that unit.

    `customary_unit`: the one that the code itself implies (59261-8 is HbA1c in mmol/mol).
    """

    feature: str
    unit: str
    low: float
    high: float
    customary_unit: str


@cache
def quantities() -> dict[str, Measurand]:
    """LOINC code to the quantity it measures. Unit and range are those of its feature's first row."""
    rows = table("measurements")
    first = {row["feature"]: row for row in reversed(rows)}
    return {row["code"]: _measurand(first[row["feature"]], row["unit"]) for row in rows}


def _measurand(row: Mapping[str, str], customary_unit: str) -> Measurand:
    return Measurand(
        feature=row["feature"],
        unit=row["unit"],
        low=float(row["low"]),
        high=float(row["high"]),
        customary_unit=customary_unit,
    )
