"""Observations of vitals, laboratory values and habits to facts: latest, in the canonical unit, plausible.

A value in an unknown unit, out of its plausible range or dated in the future becomes an anomaly
and no fact; an older value never stands in for it. A value with no unit at all is read in the
canonical unit only when it is plausible there, and is marked as assumed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from functools import cache

from fhir_adapters.codesets.questions import QuestionnaireMap
from fhir_adapters.codesets.terminology import LOINC, SNOMED, canonical, table
from fhir_adapters.codesets.units import UnitError, convert
from fhir_adapters.facts import Anomaly, Fact, ValueAnomaly, When
from fhir_adapters.flaws import Flaw
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.answers import graded, has_value
from fhir_adapters.reading.response_items import questionnaire_targets
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import first_when, when

UNUSABLE = {"entered-in-error", "cancelled", "registered", "unknown"}

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
# Hunger Vital Sign: both "never true" is full food security; the survey's 4-step scale is coarser here.
HUNGER = ("88122-7", "88123-5")
HUNGER_CODES = {"LA28398-8": 1, "LA6729-3": 3, "LA28397-0": 4}
HUNGER_WORDS = {"never true": 1, "sometimes true": 3, "often true": 4}
# AUDIT-C questions 1 and 2, and what their scores of 0 to 4 mean: the middle of each band (drinking days a year;
# drinks a drinking day).
AUDITC = {"1": "68518-0", "2": "68519-8"}
AUDITC_BANDS = {"68518-0": (0.0, 12.0, 36.0, 130.0, 260.0), "68519-8": (1.5, 3.5, 5.5, 8.0, 10.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A measured quantity: its feature, canonical unit and plausible range in that unit."""

    feature: str
    unit: str
    low: float
    high: float


@cache
def quantities() -> dict[str, Quantity]:
    """LOINC code to the quantity that it measures. A code with its own customary unit keeps its feature's range."""
    rows = table("measurements")
    main: dict[str, Quantity] = {}
    for row in rows:
        main.setdefault(
            row["feature"],
            Quantity(feature=row["feature"], unit=row["unit"], low=float(row["low"]), high=float(row["high"])),
        )
    return {row["code"]: main[row["feature"]] for row in rows}


@cache
def customary_unit() -> dict[str, str]:
    """LOINC code to the unit that the code itself implies (59261-8 is HbA1c in mmol/mol)."""
    return {row["code"]: row["unit"] for row in table("measurements")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value as recorded, with the code under which it was found."""

    code: str
    value: r4.Value
    when: When | None
    reference: str


def readings(observation: r4.Observation, reference: str, zone: tzinfo, today: date) -> list[Reading]:
    """The coded values of one Observation and its components; none for a status that must not be used."""
    if observation.status in UNUSABLE:
        return []
    found = [(code, value) for concept, value in coded_values(observation) for code in _measured(concept)]
    moment = observed(observation, zone, today) if found else None
    return [Reading(code=code, value=value, when=moment, reference=reference) for code, value in found]


def _measured(concept: r4.CodeableConcept | None) -> Iterable[str]:
    """The codes of a concept that a measured fact is read from, each once: the value is read for every one of them."""
    return dict.fromkeys(
        coding.code
        for coding in (concept.coding if concept else ())
        if coding.code and coding.code in measured_codes() and canonical(coding.system or "") == LOINC
    )


def response_readings(
    response: r4.QuestionnaireResponse,
    reference: str,
    maps: Iterable[QuestionnaireMap],
    zone: tzinfo,
    today: date,
) -> list[Reading]:
    """The answers of a QuestionnaireResponse that are measured facts: those of AUDIT-C on drinking."""
    if response.status not in ("completed", "amended"):
        return []
    return [
        Reading(code=AUDITC[target.item], value=value, when=when(response.authored, zone, today), reference=reference)
        for target, value in questionnaire_targets(response, maps)
        if target.instrument is Instrument.AUDITC and target.item in AUDITC
    ]


def coded_values(observation: r4.Observation) -> list[tuple[r4.CodeableConcept | None, r4.Value]]:
    """An Observation's own code with its value, then those of each component that has a code."""
    parts: list[tuple[r4.CodeableConcept | None, r4.Value]] = [(observation.code, observation)]
    return parts + [(component.code, component) for component in observation.component if component.code]


@cache
def measured_codes() -> frozenset[str | None]:
    """Every LOINC code that a measured fact is read from."""
    return frozenset((*quantities(), *CODED))


def observed(observation: r4.Observation, zone: tzinfo, today: date) -> When | None:
    """When it was true of the patient, else when it was issued."""
    period = observation.effective_period
    return first_when(
        zone,
        today,
        observation.effective_date_time,
        observation.effective_instant,
        period.end if period else None,
        period.start if period else None,
        observation.issued,
    )


def measured_facts(found: Iterable[Reading]) -> tuple[list[Fact], list[Anomaly]]:
    """The latest fact per feature, and the anomalies that stand in the place of one."""
    latest: dict[str, list[Reading]] = {}
    for reading in found:
        feature = _feature(reading)
        if feature:
            latest.setdefault(feature, []).append(reading)
    facts, anomalies = [], []
    for feature, candidates in latest.items():
        newest = max(candidates, key=_moment)
        outcome = _read(feature, newest)
        if isinstance(outcome, Fact):
            facts.append(outcome)
        elif outcome is not None:
            anomalies.append(outcome)
    return facts, anomalies


def _moment(reading: Reading) -> tuple[date, datetime, float]:
    """By time; of two values of one moment the higher, so that the order in which they came decides nothing."""
    first = datetime.min.replace(tzinfo=UTC)
    if reading.when is None:
        return date.min, first, _size(reading)
    return reading.when.day, reading.when.instant or first, _size(reading)


def _size(reading: Reading) -> float:
    quantity = reading.value.value_quantity
    number = _coded(reading) if reading.code in CODED else quantity.value if quantity else _plain(reading.value)
    try:
        return r4.as_number(number) if number is not None else -math.inf
    except (ValueError, OverflowError):
        return -math.inf


CODED = {
    SMOKING: "smoke_status",
    EMPLOYMENT: "employed",
    SELF_RATED_HEALTH: "gen_health",
    HUNGER[0]: "food_insec",
    HUNGER[1]: "food_insec",
    "68519-8": "alc_drinks_day",
    "68518-0": "alc_days_yr",
}


def _feature(reading: Reading) -> str | None:
    """The feature that this reading could give; None when the code is not ours or there is no value."""
    if reading.code in CODED:
        return CODED[reading.code] if has_value(reading.value) else None
    quantity = quantities().get(reading.code)
    value = reading.value
    has_number = (
        (value.value_quantity is not None and value.value_quantity.value is not None)
        or value.value_integer is not None
        or value.value_string is not None
    )
    return quantity.feature if quantity and has_number else None


def _coded(reading: Reading) -> float | bool | None:
    value = reading.value
    concept = value.value_codeable_concept or r4.CodeableConcept()
    codes = [(canonical(c.system or ""), c.code or "") for c in concept.coding]
    words = [
        text.strip().lower()
        for text in (concept.text, value.value_string, *(c.display for c in concept.coding))
        if text
    ]
    if reading.code == SMOKING:
        coded = (SMOKING_STATUS[code] for system, code in codes if system == SNOMED and code in SMOKING_STATUS)
        return next(coded, next((SMOKING_WORDS[w] for w in words if w in SMOKING_WORDS), None))
    if reading.code == EMPLOYMENT:
        if any(NOT_EMPLOYED.search(w) for w in words):
            return False
        return True if any(EMPLOYED.search(w) for w in words) else None
    if reading.code == SELF_RATED_HEALTH:
        return _by_code_or_words(codes, words, HEALTH_CODES, HEALTH_WORDS)
    if reading.code in HUNGER:
        return _by_code_or_words(codes, words, HUNGER_CODES, HUNGER_WORDS)
    item = next(item for item, code in AUDITC.items() if code == reading.code)
    score = graded(item, value, Instrument.AUDITC, reading.reference).score
    return None if score is None else AUDITC_BANDS[reading.code][score]


def _by_code_or_words(
    codes: list[tuple[str, str]], words: list[str], by_code: dict[str, int], by_words: dict[str, int]
) -> int | None:
    coded = next((by_code[code] for system, code in codes if system in (LOINC, "") and code in by_code), None)
    return coded if coded is not None else next((by_words[w] for w in words if w in by_words), None)


def _read(feature: str, reading: Reading) -> Fact | Anomaly | None:  # noqa: PLR0911  # one a way to be no value
    if reading.when and reading.when.future:
        return _anomaly(feature, reading, Flaw.VALUE_IN_FUTURE)
    if reading.code in CODED:
        return _coded_fact(feature, reading)
    quantity = quantities()[reading.code]
    raw = reading.value.value_quantity
    number, unit_text = (raw.value, raw.code or raw.unit) if raw else (_plain(reading.value), None)
    if raw and raw.comparator:
        return _anomaly(feature, reading, Flaw.VALUE_IS_BOUND)
    if number is None:
        return None
    try:
        found = convert(feature, r4.as_number(number), unit_text or customary_unit()[reading.code], quantity.unit)
        if (
            raw
            and raw.code
            and raw.unit
            and _contradicts(feature, r4.as_number(number), raw.unit, found, quantity.unit)
        ):
            return _anomaly(feature, reading, Flaw.UNITS_DISAGREE)
    except UnitError:
        return _anomaly(feature, reading, Flaw.UNIT_UNKNOWN, quantity)
    except ValueError:
        return _anomaly(feature, reading, Flaw.NOT_A_NUMBER)
    if not quantity.low <= found <= quantity.high:
        return _anomaly(feature, reading, Flaw.VALUE_OFF_RANGE, quantity)
    return Fact(
        name=feature,
        value=found,
        unit=quantity.unit,
        when=reading.when,
        references=(reading.reference,),
        unit_assumed=not unit_text,
    )


def _contradicts(feature: str, number: float, unit: str, found: float, canonical_unit: str) -> bool:
    """Whether the unit in words, where it is one, gives another value than the unit's code."""
    try:
        worded = convert(feature, number, unit, canonical_unit)
    except UnitError:
        return False
    return abs(worded - found) > 0.01 * abs(found)


def _coded_fact(feature: str, reading: Reading) -> Fact | Anomaly:
    coded = _coded(reading)
    if coded is None:
        return _anomaly(feature, reading, Flaw.ANSWER_UNKNOWN)
    unit = {"alc_drinks_day": "{drinks}/d", "alc_days_yr": "d/a"}.get(feature)
    return Fact(name=feature, value=coded, unit=unit, when=reading.when, references=(reading.reference,))


def _anomaly(feature: str, reading: Reading, flaw: Flaw, quantity: Quantity | None = None) -> ValueAnomaly:
    anomaly = ValueAnomaly(flaw=flaw, references=(reading.reference,), when=reading.when, feature=feature)
    return replace(anomaly, unit=quantity.unit, low=quantity.low, high=quantity.high) if quantity else anomaly


def _plain(value: r4.Value) -> float | str | None:
    return value.value_integer if value.value_integer is not None else value.value_string
