"""UCUM units to the one canonical unit per quantity.

The UCUM grammar and the factors between units of one dimension come from ucumvert and pint; the words that systems send
instead of UCUM codes, and the molar masses, are ours. Raises UnitError for an unknown unit: such a number is never
passed through. Plausibility is for `measurements`.
"""

from __future__ import annotations

import re
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from fhir_adapters.kept import kept_for_a_call, kept_without_texts

if TYPE_CHECKING:
    from collections.abc import Callable

# Words that systems put into `unit` when they send no UCUM code. Compared in lower case.
WORDS = {
    "lb": "[lb_av]", "lbs": "[lb_av]", "pound": "[lb_av]", "pounds": "[lb_av]", "oz": "[oz_av]",
    "in": "[in_i]", "inch": "[in_i]", "inches": "[in_i]", "in_i": "[in_i]", "lb_av": "[lb_av]",
    "kilogram": "kg", "kilograms": "kg", "kgs": "kg", "centimeter": "cm", "centimetre": "cm", "meter": "m", "metre": "m",
    "mmhg": "mm[Hg]", "mm hg": "mm[Hg]", "bpm": "/min", "beats/min": "/min", "beats/minute": "/min",
    "{beats}/min": "/min", "per minute": "/min", "kg/m^2": "kg/m2", "kg/m²": "kg/m2",
    "percent": "%", "mg/dl": "mg/dL", "g/dl": "g/dL", "ug/dl": "ug/dL", "mcg/dl": "ug/dL", "g/l": "g/L",
    "mg/l": "mg/L", "mmol/l": "mmol/L", "umol/l": "umol/L", "meq/l": "meq/L", "u/l": "U/L",
    "iu/l": "U/L", "[iu]/l": "U/L", "fl": "fL", "k/ul": "10*3/uL",
    "10*9/l": "10*9/L", "thou/ul": "10*3/uL", "thousand/ul": "10*3/uL", "drinks/day": "{drinks}/d",
    "ft": "[ft_i]", "feet": "[ft_i]", "hour": "h", "hours": "h", "hr": "h", "hrs": "h", "minutes": "min",
}  # fmt: skip

# Never converted: a percentage is not a ratio of amounts, nor are drinks on a drinking day drinks a week.
EXACT = ("%", "{drinks}/d")
LONGEST_UNIT = 40
# Operators and brackets. No unit has more, and parsing time grows with each.
MOST_SIGNS = 4

# Grams a mole, for quantities that laboratories report as amounts or as masses.
MOLAR_MASS = {
    "chol": 386.7,  # cholesterol, C27H46O
    "hdl": 386.7,
    "trig": 885.7,  # triolein, the customary reference
    "glucose": 180.16,
    "creat": 113.12,
    "bun": 28.013,  # the two nitrogen atoms of urea
    "uric": 168.11,
    "ca": 40.078,
    "bili": 584.66,
    "iron": 55.845,
}


class UnitError(ValueError):
    """A unit that is not known for this quantity."""


def convert(feature: str, value: float, unit: str, canonical: str) -> float:
    """`value` in the canonical unit of `feature`. Raises UnitError for a unit not known for it."""
    ucum = _spelled(unit[: 2 * LONGEST_UNIT])
    if ucum.lower() == canonical.lower():  # "KG" and "Mg/dL" are slips of the shift key, not other units
        return value
    if feature == "hba1c" and ucum == "mmol/mol":
        return 0.09148 * value + 2.152  # IFCC to NGSP, the published master equation
    factor = None if canonical in EXACT else _factor(ucum, canonical)
    # An equivalent is a mole only for a single charge; calcium carries two.
    if factor is None and feature in MOLAR_MASS and "eq" not in ucum.lower():
        in_mmol, from_mg = _factor(ucum, "mmol/L"), _factor("mg/L", canonical)
        factor = in_mmol * MOLAR_MASS[feature] * from_mg if in_mmol and from_mg else None
    if factor is None:
        raise UnitError(f"expected {canonical} or a unit convertible to it; found another unit")
    return value * factor


@kept_for_a_call
def _spelled(unit: str) -> str:
    """A unit as UCUM spells it, for sources with a word, another micro sign, a blank or another power of ten."""
    text = unit.strip().rstrip(".").replace("\u03bc", "u").replace("\u00b5", "u")
    for word in (text.lower(), text.lower().replace(" ", "")):
        if word in WORDS:
            return WORDS[word]
    return re.sub(r"^x?10[eE^*]\+?(\d)", r"10*\1", text.replace(" ", ""))


@kept_without_texts
def _factor(unit: str, canonical: str) -> float | None:
    """The factor from `unit` to `canonical`; None when it is not a UCUM unit of that dimension."""
    # No unit has three-digit exponents; computing them would take for ever.
    if not unit or len(unit) > LONGEST_UNIT or re.search(r"\d{3}", unit):
        return None
    if sum(unit.count(sign) for sign in "./(") > MOST_SIGNS:
        return None
    try:
        with ONE_AT_A_TIME:
            quantity = registry()
            factor = float((1 * quantity(unit)).to(quantity(canonical).units).magnitude)
    except Exception:  # noqa: BLE001  # parser and registry errors share no base
        return None
    # Twelve digits exceed the precision of every factor and drop rounding noise.
    return float(f"{factor:.12g}") if 0 < factor < 1e30 else None


# Neither library promises thread safety, and a failure would be cached.
ONE_AT_A_TIME = threading.Lock()


@cache
def registry() -> Callable[[str], Any]:
    """One of a UCUM unit. Takes a third of a second to build, once.

    In pint's own registry, to which ucumvert adds UCUM's units; ucumvert's class would build a second one beside it.
    """
    from ucumvert import UcumToPintTransformer, get_ucum_parser  # noqa: PLC0415  # slow; many commands convert nothing

    parser, transformer = get_ucum_parser(), UcumToPintTransformer()
    return lambda unit: transformer.transform(parser.parse(unit))
