"""A patient's chart to raw model inputs, with what is missing and why.

Shared by serving and the test that compares it with training rows. PHQ answers count only when at most 14 days old
(rule R12); other inputs have the wider windows of `FRESH_DAYS`. A value in an assumed unit is never an input. No
imputation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property

from msgspec.structs import replace

from fhir_adapters.facts import Fact, PatientRecord
from models.inputs.feature_schema import FEATURES, FeatureSchema, FeatureSpec, FeatureVector, RawValue
from models.inputs.outcomes import PHQ_ITEMS

PHQ_DAYS = 14

# Maximum age of a dated input, in days, per group. The models learned from answers and measurements of one day; these
# windows are our defaults. Groups not named here always describe the present.
FRESH_DAYS = {"phq2": PHQ_DAYS, "phq": PHQ_DAYS, "lifestyle": 3 * 365, "needs": 365, "difficulties": 365, "pro": 365}

# Facts whose features are named for the survey's questions.
SURVEY_NAMES = {f"phq_item_{item}": name for item, name in enumerate(PHQ_ITEMS, start=1)}


SPECS = {spec.name: spec for spec in FEATURES}


class MissingReason(StrEnum):
    """Why an input has no usable value. The values are stable: they appear in JSON."""

    NOT_ON_FILE = "not on file"
    TOO_OLD = "too old to use"
    NO_UNIT = "unit not recorded"
    NO_DATE = "date not recorded"
    NOT_MODELLED = "recorded, but of no kind that the models know"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingInput:
    """A model input without a usable value, and why."""

    name: str
    reason: MissingReason


@dataclass(frozen=True, kw_only=True)  # without slots, for the cached property
class Inputs:
    """Usable facts by feature name, and the inputs that are missing."""

    facts: dict[str, Fact]
    missing: tuple[MissingInput, ...]

    @cached_property
    def prepared(self) -> dict[str, float | None]:
        """The facts as inputs, the same for every model: none loads with another transform. Raises as `prepare`."""
        return {name: SPECS[name].prepare(_number(fact)) for name, fact in self.facts.items()}

    def vector(self, schema: FeatureSchema) -> FeatureVector:
        """The prepared vector for one model. Raises FeatureValueError."""
        return FeatureVector(schema_id=schema.id, values=tuple(map(self.prepared.get, schema.names)))


def facts_by_feature(chart: PatientRecord) -> dict[str, Fact]:
    """Every fact of the chart under its name in the first column of the feature map."""
    return {name: _named(fact, name) for name, fact in _by_feature(chart).items()}


def _by_feature(chart: PatientRecord) -> dict[str, Fact]:
    return {SURVEY_NAMES.get(fact.name, fact.name): fact for fact in chart.facts}


def _named(fact: Fact, name: str) -> Fact:
    return fact if fact.name == name else replace(fact, name=name)


def inputs(chart: PatientRecord, features: Iterable[FeatureSpec] = FEATURES) -> Inputs:
    """The model inputs among `features` that are available in the chart as of its `as_of`."""
    facts = _by_feature(chart)
    usable: dict[str, Fact] = {}
    missing: list[MissingInput] = []
    for spec in features:
        fact = facts.get(spec.name)
        reason = _absent(spec, facts) if fact is None else _unusable(chart, spec, fact)
        if reason is not None:
            missing.append(_missing(spec.name, reason))
        elif fact is not None:
            usable[spec.name] = _named(fact, spec.name)
    return Inputs(facts=usable, missing=tuple(missing))


@cache
def _missing(name: str, reason: MissingReason) -> MissingInput:
    return MissingInput(name=name, reason=reason)


def _absent(spec: FeatureSpec, facts: dict[str, Fact]) -> MissingReason:
    recorded = spec.name == "female" and "other_gender" in facts
    return MissingReason.NOT_MODELLED if recorded else MissingReason.NOT_ON_FILE


def _unusable(chart: PatientRecord, spec: FeatureSpec, fact: Fact) -> MissingReason | None:
    if fact.unit_assumed:
        return MissingReason.NO_UNIT
    limit = FRESH_DAYS.get(spec.group)
    if limit is None:
        return None
    days = chart.days_since(fact.when)
    if days is None:
        return MissingReason.NO_DATE
    return MissingReason.TOO_OLD if days > limit else None


def _number(fact: Fact) -> RawValue:
    return None if isinstance(fact.value, str) else fact.value
