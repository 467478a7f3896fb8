"""Coded answers on habits and circumstances to the scales of their facts.

Smoking, work, health, food, drinking, and difficulty concentrating.
"""

from __future__ import annotations

import re

from fhir_adapters.codesets.terminology import LOINC, SNOMED, canonical
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.questionnaires.answers import graded, yes_or_no
from fhir_adapters.resources import r4

SMOKING = "72166-2"
SMOKING_STATUS = {"266919005": 0, "8517006": 1, "428041000124106": 2, "428061000124105": 3, "449868002": 3,
                  "77176002": 3, "428071000124103": 3}  # fmt: skip
SMOKING_WORDS = {
    "never smoker": 0, "never smoked tobacco": 0, "former smoker": 1, "ex-smoker": 1, "current some day smoker": 2,
    "occasional tobacco smoker": 2, "current every day smoker": 3, "smokes tobacco daily": 3, "heavy tobacco smoker": 3,
    "light tobacco smoker": 3,
}  # fmt: skip
EMPLOYMENT = "67875-5"
EMPLOYED = re.compile(r"^(?:self-)?employed|^(?:full|part)[- ]time")
NOT_EMPLOYED = re.compile(r"\bunemployed|^retired|^not (?:employed|in (?:the )?labou?r force)")
SELF_RATED_HEALTH = "61577-3"
HEALTH_CODES = {"LA9206-9": 1, "LA13913-1": 2, "LA8967-7": 3, "LA8968-5": 4, "LA8969-3": 5}
HEALTH_WORDS = {"excellent": 1, "very good": 2, "good": 3, "fair": 4, "poor": 5}
# Hunger Vital Sign on a scale of four steps: both "never true" is full food security.
HUNGER = ("88122-7", "88123-5")
HUNGER_CODES = {"LA28398-8": 1, "LA6729-3": 3, "LA28397-0": 4}
HUNGER_WORDS = {"never true": 1, "sometimes true": 3, "often true": 4}
CONCENTRATING = "69858-9"
# AUDIT-C questions 1 and 2, and what their scores of 0 to 4 mean: the middle of each band (drinking days a year;
# drinks a drinking day).
AUDITC = {"1": "68518-0", "2": "68519-8"}
AUDITC_BANDS = {"68518-0": (0.0, 12.0, 36.0, 130.0, 260.0), "68519-8": (1.5, 3.5, 5.5, 8.0, 10.0)}
CODED = {
    SMOKING: "smoke_status",
    EMPLOYMENT: "employed",
    SELF_RATED_HEALTH: "gen_health",
    HUNGER[0]: "food_insec",
    HUNGER[1]: "food_insec",
    CONCENTRATING: "difficulty_concentrating",
    "68519-8": "alc_drinks_day",
    "68518-0": "alc_days_yr",
}


def habit_value(code: str, value: r4.Value) -> float | bool | None:
    """The value of an answer under one of `CODED`, in the scale of its fact; None for an unknown answer."""
    concept = value.value_codeable_concept or r4.CodeableConcept()
    codes = [(canonical(c.system or ""), c.code or "") for c in concept.coding]
    words = [
        text.strip().lower()
        for text in (concept.text, value.value_string, *(c.display for c in concept.coding))
        if text
    ]
    if code == SMOKING:
        coded = (SMOKING_STATUS[c] for system, c in codes if system == SNOMED and c in SMOKING_STATUS)
        return next(coded, next((SMOKING_WORDS[w] for w in words if w in SMOKING_WORDS), None))
    if code == EMPLOYMENT:
        if any(NOT_EMPLOYED.search(w) for w in words):
            return False
        return True if any(EMPLOYED.search(w) for w in words) else None
    if code == SELF_RATED_HEALTH:
        return _by_code_or_words(codes, words, HEALTH_CODES, HEALTH_WORDS)
    if code in HUNGER:
        return _by_code_or_words(codes, words, HUNGER_CODES, HUNGER_WORDS)
    if code == CONCENTRATING:
        return yes_or_no(code, value, "").yes
    item = next(item for item, loinc in AUDITC.items() if loinc == code)
    score = graded(item, value, Instrument.AUDITC, "").score
    return None if score is None else AUDITC_BANDS[code][score]


def _by_code_or_words(
    codes: list[tuple[str, str]], words: list[str], by_code: dict[str, int], by_words: dict[str, int]
) -> int | None:
    coded = next((by_code[code] for system, code in codes if system in (LOINC, "") and code in by_code), None)
    return coded if coded is not None else next((by_words[w] for w in words if w in by_words), None)
