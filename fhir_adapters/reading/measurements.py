"""Observations of vitals, laboratory values and habits to facts: latest, in the canonical unit, plausible.

A value in an unknown unit, out of its plausible range or dated in the future becomes an anomaly, not a fact, and is
never replaced by an older value. A value without a unit is read in the canonical unit only when plausible there, and
is marked as assumed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from typing import NamedTuple

from fhir_adapters.codesets.quantities import Measurand, quantities
from fhir_adapters.codesets.questions import QuestionnaireMap
from fhir_adapters.codesets.terminology import LOINC, canonical
from fhir_adapters.codesets.units import UnitError, convert
from fhir_adapters.facts import Anomaly, Fact, ValueAnomaly, When
from fhir_adapters.flaws import Flaw
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.habits import AUDITC, CODED, habit_value
from fhir_adapters.reading.questionnaires.response_items import questionnaire_targets
from fhir_adapters.reading.questionnaires.values import has_value
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import first_when, when

UNUSABLE = {"entered-in-error", "cancelled", "registered", "unknown"}


class Measurement(NamedTuple):
    """One value as recorded, with its code."""

    code: str
    value: r4.Value
    when: When | None
    reference: str


def measurements_in(observation: r4.Observation, reference: str, zone: tzinfo, today: date) -> list[Measurement]:
    """The coded values of one Observation and its components; none for a status that must not be used."""
    if observation.status in UNUSABLE:
        return []
    values: list[tuple[str, r4.Value]] = [(code, observation) for code in _measured(observation.code)]
    values += [(code, part) for part in observation.component for code in _measured(part.code)]
    if not values:
        return []
    moment = observed_at(observation, zone, today)
    return [Measurement(code, value, moment, reference) for code, value in values]


def _measured(concept: r4.CodeableConcept | None) -> Iterable[str]:
    """The codes of a concept that measured facts are read from, each once; the value is read for every one."""
    if concept is None:
        return ()
    known = measured_codes()
    listed = [c.code or "" for c in concept.coding if c.code in known and canonical(c.system or "") == LOINC]
    return dict.fromkeys(listed) if len(listed) > 1 else listed


def response_measurements(
    response: r4.QuestionnaireResponse,
    reference: str,
    maps: Iterable[QuestionnaireMap],
    zone: tzinfo,
    today: date,
) -> list[Measurement]:
    """The answers of a QuestionnaireResponse that give measured facts: AUDIT-C on drinking."""
    if response.status not in ("completed", "amended"):
        return []
    return [
        Measurement(
            code=AUDITC[target.item], value=value, when=when(response.authored, zone, today), reference=reference
        )
        for target, value, _ in questionnaire_targets(response, maps)
        if target.instrument is Instrument.AUDITC and target.item in AUDITC
    ]


@cache
def measured_codes() -> frozenset[str | None]:
    """Every LOINC code that a measured fact is read from."""
    return frozenset((*quantities(), *CODED))


def observed_at(observation: r4.Observation, zone: tzinfo, today: date) -> When | None:
    """The effective time, else the time of issue."""
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


def measured_facts(measurements: Iterable[Measurement]) -> tuple[list[Fact], list[Anomaly]]:
    """The latest fact of each name, or the anomaly that replaces it."""
    latest: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        feature = _feature(measurement)
        if feature:
            latest.setdefault(feature, []).append(measurement)
    facts, anomalies = [], []
    for feature, candidates in latest.items():
        newest = _newest(candidates)
        outcome = _read(feature, newest)
        if isinstance(outcome, Fact):
            facts.append(outcome)
        elif outcome is not None:
            anomalies.append(outcome)
    return facts, anomalies


def _newest(candidates: list[Measurement]) -> Measurement:
    """The latest; of the same time the one with the greatest value, so that the order of entries does not matter."""
    moments = [_moment(measurement) for measurement in candidates]
    latest = max(moments)
    newest = [measurement for measurement, moment in zip(candidates, moments, strict=True) if moment == latest]
    return max(newest, key=_size) if len(newest) > 1 else newest[0]


FIRST = datetime.min.replace(tzinfo=UTC)


def _moment(measurement: Measurement) -> tuple[date, datetime]:
    when = measurement.when
    return (when.day, when.instant or FIRST) if when else (date.min, FIRST)


def _size(measurement: Measurement) -> float:
    quantity = measurement.value.value_quantity
    number = (
        habit_value(measurement.code, measurement.value)
        if measurement.code in CODED
        else quantity.value
        if quantity
        else _plain(measurement.value)
    )
    try:
        return r4.as_number(number) if number is not None else -math.inf
    except (ValueError, OverflowError):
        return -math.inf


def _feature(measurement: Measurement) -> str | None:
    """The feature of a measurement; None when the code is not ours or it has no value."""
    if measurement.code in CODED:
        return CODED[measurement.code] if has_value(measurement.value) else None
    quantity = quantities().get(measurement.code)
    value = measurement.value
    has_number = (
        (value.value_quantity is not None and value.value_quantity.value is not None)
        or value.value_integer is not None
        or value.value_string is not None
    )
    return quantity.feature if quantity and has_number else None


def _read(feature: str, measurement: Measurement) -> Fact | Anomaly | None:  # noqa: PLR0911  # one a way to be no value
    if measurement.when and measurement.when.future:
        return _anomaly(feature, measurement, Flaw.VALUE_IN_FUTURE)
    if measurement.code in CODED:
        return _coded_fact(feature, measurement)
    quantity = quantities()[measurement.code]
    raw = measurement.value.value_quantity
    number, unit_text = (raw.value, raw.code or raw.unit) if raw else (_plain(measurement.value), None)
    if raw and raw.comparator:
        return _anomaly(feature, measurement, Flaw.VALUE_IS_BOUND)
    if number is None:
        return None
    try:
        converted = convert(feature, r4.as_number(number), unit_text or quantity.customary_unit, quantity.unit)
        if (
            raw
            and raw.code
            and raw.unit
            and _contradicts(feature, r4.as_number(number), raw.unit, converted, quantity.unit)
        ):
            return _anomaly(feature, measurement, Flaw.UNITS_DISAGREE)
    except UnitError:
        return _anomaly(feature, measurement, Flaw.UNIT_UNKNOWN, quantity)
    except ValueError:
        return _anomaly(feature, measurement, Flaw.NOT_A_NUMBER)
    if not quantity.low <= converted <= quantity.high:
        return _anomaly(feature, measurement, Flaw.VALUE_OFF_RANGE, quantity)
    return Fact(
        name=feature,
        value=converted,
        unit=quantity.unit,
        when=measurement.when,
        references=(measurement.reference,),
        unit_assumed=not unit_text,
    )


def _contradicts(feature: str, number: float, unit: str, converted: float, canonical_unit: str) -> bool:
    """Whether the unit's text, where it is a known unit, gives another value than its code."""
    try:
        worded = convert(feature, number, unit, canonical_unit)
    except UnitError:
        return False
    return abs(worded - converted) > 0.01 * abs(converted)


def _coded_fact(feature: str, measurement: Measurement) -> Fact | Anomaly:
    coded = habit_value(measurement.code, measurement.value)
    if coded is None:
        return _anomaly(feature, measurement, Flaw.ANSWER_UNKNOWN)
    unit = {"alc_drinks_day": "{drinks}/d", "alc_days_yr": "d/a"}.get(feature)
    return Fact(name=feature, value=coded, unit=unit, when=measurement.when, references=(measurement.reference,))


def _anomaly(feature: str, measurement: Measurement, flaw: Flaw, quantity: Measurand | None = None) -> ValueAnomaly:
    anomaly = ValueAnomaly(flaw=flaw, references=(measurement.reference,), when=measurement.when, feature=feature)
    return replace(anomaly, unit=quantity.unit, low=quantity.low, high=quantity.high) if quantity else anomaly


def _plain(value: r4.Value) -> float | str | None:
    return value.value_integer if value.value_integer is not None else value.value_string
