"""Conversions against published laboratory conversion factors, and units that must not be taken."""

from __future__ import annotations

import pytest

from fhir_adapters.codesets.units import UnitError, convert


@pytest.mark.parametrize(
    ("feature", "value", "unit", "canonical", "expected"),
    [
        # length, mass, pressure, time: definitions
        ("weight_kg", 154, "[lb_av]", "kg", 69.853), ("weight_kg", 154, "lbs", "kg", 69.853), ("weight_kg", 11, "[stone_av]", "kg", 69.853),
        ("weight_kg", 154, " Lbs. ", "kg", 69.853), ("weight_kg", 70, "Kg", "kg", 70), ("sbp", 120, "mm Hg", "mm[Hg]", 120), ("chol", 190, "MG/DL", "mg/dL", 190), ("chol", 190, "mg / dL", "mg/dL", 190),
        ("wbc", 7.2, "x10E3/uL", "10*3/uL", 7.2), ("wbc", 7.2, "10^3/\u00b5L", "10*3/uL", 7.2), ("wbc", 7.2, "x10^9/L", "10*3/uL", 7.2), ("wbc", 7.2, "Thousand/uL", "10*3/uL", 7.2),
        ("creat", 88.42, "\u03bcmol/L", "mg/dL", 1.0), ("iron", 100, "\u00b5g/dL", "ug/dL", 100), ("iron", 100, "mcg/dL", "ug/dL", 100), ("sleep_hours", 7, "hrs.", "h", 7),
        ("weight_kg", 70000, "g", "kg", 70), ("height_cm", 70, "[in_i]", "cm", 177.8), ("height_cm", 1.778, "m", "cm", 177.8),
        ("height_cm", 5.833, "[ft_i]", "cm", 177.8), ("bmi", 0.03, "[lb_av]/[in_i]2", "kg/m2", 21.09), ("sbp", 16, "kPa", "mm[Hg]", 120.0),
        ("sleep_hours", 450, "min", "h", 7.5), ("pulse", 72, "{beats}/min", "/min", 72), ("pulse", 1.2, "/s", "/min", 72),
        # counts and concentrations
        ("wbc", 7.2, "10*9/L", "10*3/uL", 7.2), ("wbc", 7200, "/uL", "10*3/uL", 7.2), ("wbc", 7200, "{cells}/uL", "10*3/uL", 7.2),
        ("wbc", 7.2, "K/uL", "10*3/uL", 7.2), ("plt", 250, "10^9/L", "10*3/uL", 250), ("hgb", 140, "g/L", "g/dL", 14), ("hgb", 14, "g%", None, None),
        ("crp_mgL", 0.5, "mg/dL", "mg/L", 5), ("alt", 0.5, "ukat/L", "U/L", 30), ("alt", 30, "[IU]/L", "U/L", 30), ("na", 140, "meq/L", "mmol/L", 140),
        # amounts and masses: the factors that laboratories print
        ("chol", 5.0, "mmol/L", "mg/dL", 193.35), ("hdl", 1.3, "mmol/L", "mg/dL", 50.27), ("trig", 1.7, "mmol/L", "mg/dL", 150.6),
        ("glucose", 5.5, "mmol/L", "mg/dL", 99.09), ("creat", 88.42, "umol/L", "mg/dL", 1.0), ("bun", 5.0, "mmol/L", "mg/dL", 14.0),
        ("uric", 350, "umol/L", "mg/dL", 5.884), ("ca", 2.4, "mmol/L", "mg/dL", 9.619), ("bili", 17.1, "umol/L", "mg/dL", 1.0),
        ("iron", 17.9, "umol/L", "ug/dL", 100), ("hba1c", 53, "mmol/mol", "%", 7.0),
    ],
)  # fmt: skip
def test_a_value_is_converted_as_laboratories_do(feature, value, unit, canonical, expected) -> None:
    if expected is None:
        with pytest.raises(UnitError):
            convert(feature, value, unit, "g/dL")
    else:
        assert convert(feature, value, unit, canonical) == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize(
    ("feature", "unit", "canonical"),
    [("ca", "meq/L", "mg/dL"), ("bili", "meq/L", "mg/dL"), ("weight_kg", "cm", "kg"), ("weight_kg", "", "kg"), ("weight_kg", "10*999999999", "kg"), ("weight_kg", "kg999999999", "kg"), ("weight_kg", "k" * 5000, "kg"),
     ("hba1c", "mol/mol", "%"), ("hba1c", "1", "%"), ("rdw", "fL", "%"), ("alc_drinks_day", "{drinks}/wk", "{drinks}/d"), ("na", "mg/dL", "mmol/L"),
     ("hgb", "mmol/L", "g/dL"), ("sbp", "Cel", "mm[Hg]"), ("glucose", "[pH]", "mg/dL"), ("height_cm", "[degF]", "cm")],
)  # fmt: skip
def test_a_unit_of_another_kind_is_refused(feature: str, unit: str, canonical: str) -> None:
    with pytest.raises(UnitError):
        convert(feature, 5.0, unit, canonical)
