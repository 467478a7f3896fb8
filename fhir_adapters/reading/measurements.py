"""Observations of vitals, laboratory values and habits to facts: latest, in the canonical unit, plausible.

A value in an unknown unit, out of its plausible range or dated in the future becomes an anomaly, not a fact, and is
never replaced by an older value. A value without a unit is read in the canonical unit only when plausible there, and
is marked as assumed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, tzinfo
from functools import cache

from msgspec import Struct

from fhir_adapters.codesets.quantities import Measurand, quantities
from fhir_adapters.codesets.questions import QuestionnaireMap, targets
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


class Measurement(Struct, frozen=True, kw_only=True, gc=False):
    """One value as recorded, with its code."""

    code: str
    value: r4.Value
    when: When | None
    reference: str


def measurements_in(
    observations: Iterable[r4.Resource], maps: Sequence[QuestionnaireMap], zone: tzinfo, today: date
) -> tuple[list[Measurement], list[r4.Resource]]:
    """The coded values of Observations and their components, and the Observations that may be something else as well.

    Most Observations are one measured value and nothing else. `maps`: a site's own codes, which may be any code.
    """
    found: list[Measurement] = []
    others: list[r4.Resource] = []
    alone = _measured_only()
    for resource in observations:
        observation: r4.Observation = resource.content
        coded = observation.code.coding if observation.code else ()
        if (
            len(coded) == 1
            and coded[0].code in alone
            and coded[0].system == LOINC
            and not observation.component
            and observation.note is r4.NOT_THERE
            and (observation.value_quantity is not None or not maps)
        ):
            values: list[tuple[str, r4.Value]] = [(coded[0].code, observation)]
        else:
            others.append(resource)
            values = [(code, observation) for code in _measured(observation.code)]
            for part in observation.component:
                values += [(code, part) for code in _measured(part.code)]
        if values and observation.status not in UNUSABLE:
            moment, reference = observed_at(observation, zone, today), resource.reference
            for code, value in values:
                found.append(Measurement(code=code, value=value, when=moment, reference=reference))
    return found, others


def _measured(concept: r4.CodeableConcept | None) -> tuple[str, ...]:
    """The codes of a concept that measured facts are read from, each once; the value is read for every one."""
    known = measured_codes()
    codes: tuple[str, ...] = ()
    for coding in concept.coding if concept else ():
        code = coding.code
        if code in known and code not in codes and (coding.system == LOINC or canonical(coding.system or "") == LOINC):
            codes = (*codes, code)
    return codes


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
def _measured_only() -> frozenset[str]:
    """Codes of measured facts that are no question of an instrument."""
    return measured_codes().difference(targets())


@cache
def measured_codes() -> frozenset[str]:
    """Every LOINC code that a measured fact is read from."""
    return frozenset((*quantities(), *CODED))


def observed_at(observation: r4.Observation, zone: tzinfo, today: date) -> When | None:
    """The effective time, else the time of issue."""
    moment = when(observation.effective_date_time, zone, today)
    if moment:
        return moment
    period = observation.effective_period or r4.Period()
    return first_when(zone, today, observation.effective_instant, period.end, period.start, observation.issued)


def measured_facts(measurements: Iterable[Measurement]) -> tuple[list[Fact], list[Anomaly]]:
    """The latest fact of each name, or the anomaly that replaces it."""
    latest: dict[str, tuple[Moment, Measurement]] = {}
    for measurement in measurements:
        feature = _feature(measurement)
        if feature:
            dated = measurement.when
            moment = (dated.day, dated.instant or FIRST) if dated else UNDATED
            held = latest.get(feature)
            # Of the same time the greatest value counts, so that the order of entries does not matter.
            if held is None or moment > held[0] or (moment == held[0] and _size(measurement) > _size(held[1])):
                latest[feature] = moment, measurement
    facts, anomalies = [], []
    for feature, (_, newest) in latest.items():
        outcome = _read(feature, newest)
        if isinstance(outcome, Fact):
            facts.append(outcome)
        elif outcome is not None:
            anomalies.append(outcome)
    return facts, anomalies


Moment = tuple[date, datetime]
FIRST = datetime.min.replace(tzinfo=UTC)
UNDATED = (date.min, FIRST)


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
    """The feature of a measurement; None when it has no value."""
    value = measurement.value
    if measurement.code in CODED:
        return CODED[measurement.code] if has_value(value) else None
    number = value.value_quantity.value if value.value_quantity else None
    if number is None and value.value_integer is None and value.value_string is None:
        return None
    return quantities()[measurement.code].feature


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
