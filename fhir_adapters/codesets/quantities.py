"""Measured quantities: LOINC code to fact, canonical unit and plausible range (`measurements.csv`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from fhir_adapters.codesets.terminology import table


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurand:
    """A measured quantity: its feature, canonical unit and plausible range in that unit."""

    feature: str
    unit: str
    low: float
    high: float


@cache
def quantities() -> dict[str, Measurand]:
    """LOINC code to the quantity it measures. A code with its own customary unit keeps its feature's range."""
    rows = table("measurements")
    main: dict[str, Measurand] = {}
    for row in rows:
        main.setdefault(
            row["feature"],
            Measurand(feature=row["feature"], unit=row["unit"], low=float(row["low"]), high=float(row["high"])),
        )
    return {row["code"]: main[row["feature"]] for row in rows}


@cache
def customary_unit() -> dict[str, str]:
    """LOINC code to the unit that the code itself implies (59261-8 is HbA1c in mmol/mol)."""
    return {row["code"]: row["unit"] for row in table("measurements")}
