"""UCUM units to the one canonical unit per quantity.

Length, mass and pressure factors are definitions (international pound and inch; 1 mmHg =
133.322 Pa). Factors between amount and mass of a substance follow from its molar mass, given
beside each. Raises UnitError for a unit it does not know: a number in an unknown unit is
never passed through. Does not judge plausibility; `extraction` does.
"""

from __future__ import annotations

UCUM = "http://unitsofmeasure.org"

# Words that systems put into `unit` when they send no UCUM code. Compared in lower case.
WORDS = {
    "lb": "[lb_av]", "lbs": "[lb_av]", "pound": "[lb_av]", "pounds": "[lb_av]", "oz": "[oz_av]",
    "in": "[in_i]", "inch": "[in_i]", "inches": "[in_i]", "in_i": "[in_i]", "lb_av": "[lb_av]",
    "kilogram": "kg", "kilograms": "kg", "kgs": "kg", "centimeter": "cm", "centimetre": "cm", "meter": "m", "metre": "m",
    "mmhg": "mm[Hg]", "mm hg": "mm[Hg]", "bpm": "/min", "beats/min": "/min", "beats/minute": "/min",
    "{beats}/min": "/min", "per minute": "/min", "kg/m^2": "kg/m2", "kg/m²": "kg/m2",
    "percent": "%", "mg/dl": "mg/dL", "g/dl": "g/dL", "ug/dl": "ug/dL", "µg/dl": "ug/dL", "mcg/dl": "ug/dL", "g/l": "g/L",
    "mg/l": "mg/L", "mmol/l": "mmol/L", "umol/l": "umol/L", "µmol/l": "umol/L", "meq/l": "meq/L", "u/l": "U/L",
    "iu/l": "U/L", "[iu]/l": "U/L", "fl": "fL", "k/ul": "10*3/uL", "10^3/ul": "10*3/uL", "x10^3/ul": "10*3/uL",
    "10*9/l": "10*9/L", "10^9/l": "10*9/L", "thou/ul": "10*3/uL", "drinks/day": "{drinks}/d",
    "hour": "h", "hours": "h", "hr": "h", "hrs": "h", "minutes": "min",
}  # fmt: skip

# (canonical unit, given unit) -> factor, for every quantity measured in that unit.
FACTORS = {
    ("kg", "g"): 0.001,
    ("kg", "[lb_av]"): 0.45359237,
    ("kg", "[oz_av]"): 0.028349523125,
    ("cm", "m"): 100.0,
    ("cm", "mm"): 0.1,
    ("cm", "[in_i]"): 2.54,
    ("cm", "[ft_i]"): 30.48,
    ("mm[Hg]", "kPa"): 7.50062,
    ("10*3/uL", "10*9/L"): 1.0,
    ("10*3/uL", "/uL"): 0.001,
    ("g/dL", "g/L"): 0.1,
    ("mg/L", "mg/dL"): 10.0,
    ("U/L", "[IU]/L"): 1.0,
    ("h", "min"): 1 / 60,
}

# (feature, given unit) -> factor to the feature's canonical unit.
SUBSTANCE_FACTORS = {
    ("chol", "mmol/L"): 38.67,  # cholesterol 386.65 g/mol
    ("hdl", "mmol/L"): 38.67,
    ("trig", "mmol/L"): 88.57,  # triolein 885.4 g/mol, the customary reference
    ("glucose", "mmol/L"): 18.016,  # 180.16 g/mol
    ("creat", "umol/L"): 1 / 88.42,  # 113.12 g/mol
    ("bun", "mmol/L"): 2.8013,  # two nitrogen atoms, 28.013 g/mol
    ("uric", "umol/L"): 1 / 59.48,  # 168.11 g/mol
    ("uric", "mmol/L"): 16.811,
    ("ca", "mmol/L"): 4.0078,  # 40.078 g/mol
    ("bili", "umol/L"): 1 / 17.1,  # 584.66 g/mol
    ("iron", "umol/L"): 5.5845,  # 55.845 g/mol
    # One charge each, so an equivalent is a mole.
    ("na", "meq/L"): 1.0,
    ("k", "meq/L"): 1.0,
    ("cl", "meq/L"): 1.0,
    ("co2", "meq/L"): 1.0,
}


class UnitError(ValueError):
    """A unit that is not known for this quantity. Says what was expected and what was found."""


def convert(feature: str, value: float, unit: str, canonical: str) -> float:
    """`value` in the canonical unit of `feature`. Raises UnitError for a unit not listed for it."""
    given = WORDS.get(unit.strip().lower(), unit.strip())
    if given == canonical:
        return value
    if feature == "hba1c" and given == "mmol/mol":
        return 0.09148 * value + 2.152  # IFCC to NGSP, the published master equation
    factor = SUBSTANCE_FACTORS.get((feature, given), FACTORS.get((canonical, given)))
    if factor is None:
        raise UnitError(f"expected {canonical} or a unit convertible to it; found another unit")
    return value * factor
