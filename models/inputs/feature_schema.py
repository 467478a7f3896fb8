"""The model inputs in order, and the one transform from a raw value to an input.

`FEATURES` is the whole list, written by hand from the feature map of the survey data; training, evaluation and serving
all read it. Never inputs: race and ethnicity, insurance, income, education, marital status, PHQ-9 item 9, the PHQ
totals, vital signs, laboratory values. Standard library only. Does not read FHIR or survey tables, and does not
impute: a missing value stays None.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from models.errors import FeatureValueError
from models.inputs.outcomes import OUTCOME_SPECS

ANTIDEPRESSANTS = ("rx_ssri", "rx_snri", "rx_bupropion", "rx_mirtaz_traz", "rx_tca_maoi")
"""The antidepressant classes: one concept to a clinician, and a sign of depression care (rule R13)."""

RawValue = float | int | bool | None

AGE_CAP_YEARS = 80
"""The survey records every age above 80 as 80."""

DRINKS_PER_DAY_CAP = 15
"""The survey records 15 for "15 drinks or more" since 2015."""

MEDICINES_CAP = 20
"""More count as 20: hardly anybody in the survey takes more, but chart lists can be longer."""

VISIT_BANDS = ((0.0, 0.0), (1.0, 1.0), (2.0, 2.5), (4.0, 6.0), (10.0, 11.0), (13.0, 15.0))
"""Visits in 12 months, from this count on -> the value trained on. The survey's bands: 0, 1, 2-3, 4-9, 10-12, 13+."""

ANY_BANDS = ((0.0, 0.0), (1.0, 1.0))
"""A count -> none or any: the survey asks only whether there was an overnight stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """One model input: its name, block and group, and the transform of a raw value to the input.

    name: as in the first column of the feature map. block: masked together in evaluation. group: finer, within a block.
    kind: number, boolean, ordinal or count. unit: UCUM, or None. cap: larger values count as this one.
    bands: (lowest value, value used), ascending. direction: 1 when a higher known value may never lower an estimate,
    -1 when it may never raise one, 0 where neither is known (decisions 0111, 0114); a constraint on the boosters
    between known values: nothing holds an unknown one.
    """

    name: str
    block: str
    group: str
    kind: str
    unit: str | None = None
    cap: float | None = None
    bands: tuple[tuple[float, float], ...] = ()
    direction: int = 0

    def prepare(self, raw: RawValue) -> float | None:
        """The model input for a raw value; None stays None. Applying it twice changes nothing.

        Raises FeatureValueError for NaN or infinity (absence is None), a negative value, or a boolean other than 0, 1.
        """
        if raw is None:
            return None
        value = self._number(raw)
        if self.bands:
            return next(used for start, used in reversed(self.bands) if value >= start)
        return value if self.cap is None else min(value, self.cap)

    def _number(self, raw: float | int | bool) -> float:
        try:
            value = float(raw)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value) or value < 0 or (self.kind == "boolean" and value not in (0.0, 1.0)):
            raise FeatureValueError(
                expected=f"a {self.kind} of zero or more for {self.name}",
                found="a value outside that",
                remedy="pass None when the value is unknown",
            )
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureVector:
    """Prepared values of one person in the order of schema `schema_id`; None where unknown."""

    schema_id: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSchema:
    """The ordered inputs of one model, with the name and group of each.

    `id` is a hash of their full description: any change makes another schema.
    """

    features: tuple[FeatureSpec, ...]
    id: str = field(init=False)
    names: tuple[str, ...] = field(init=False)
    groups: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        content = json.dumps(self.described(), sort_keys=True, separators=(",", ":"))
        object.__setattr__(self, "id", hashlib.sha256(content.encode()).hexdigest()[:16])
        object.__setattr__(self, "names", tuple(spec.name for spec in self.features))
        object.__setattr__(self, "groups", tuple(spec.group for spec in self.features))

    def described(self) -> list[dict[str, object]]:
        """The features as plain JSON values, in order: for the hash and the artifact."""
        return [asdict(spec) for spec in self.features]

    def vector(self, raw: Mapping[str, RawValue]) -> FeatureVector:
        """Prepared values in schema order; a missing key is None, other keys are ignored."""
        return FeatureVector(schema_id=self.id, values=tuple([s.prepare(raw.get(s.name)) for s in self.features]))


def _condition(name: str) -> FeatureSpec:
    return FeatureSpec(name=name, block="core", group="conditions", kind="boolean", direction=1)


def _drug(name: str, direction: int = 1) -> FeatureSpec:
    return FeatureSpec(name=name, block="core", group="drugs", kind="boolean", direction=direction)


def _phq(name: str, block: str) -> FeatureSpec:
    return FeatureSpec(name=name, block=block, group=block, kind="ordinal", cap=3, direction=1)


FEATURES: tuple[FeatureSpec, ...] = (
    FeatureSpec(name="age", block="core", group="demographics", kind="number", unit="a", cap=AGE_CAP_YEARS),
    FeatureSpec(name="female", block="core", group="demographics", kind="boolean", direction=1),
    FeatureSpec(name="smoke_status", block="core", group="lifestyle", kind="ordinal", cap=3, direction=1),
    FeatureSpec(
        name="alc_drinks_day", block="core", group="lifestyle", kind="number", unit="{drinks}/d", cap=DRINKS_PER_DAY_CAP
    ),
    FeatureSpec(name="alc_days_yr", block="core", group="lifestyle", kind="count", unit="d/a", cap=365),
    _condition("asthma"),
    _condition("anemia_tx"),
    _condition("arthritis"),
    _condition("chf"),
    _condition("chd"),
    _condition("angina"),
    _condition("mi"),
    _condition("stroke"),
    _condition("copd"),
    _condition("liver"),
    _condition("thyroid"),
    _condition("cancer"),
    _condition("diabetes"),
    _condition("hypertension"),
    _condition("hyperlipid"),
    _condition("kidney_disease"),
    _condition("sleep_trouble_told_dr"),
    FeatureSpec(
        name="visits_yr", block="core", group="utilisation", kind="count", unit="/a", bands=VISIT_BANDS, direction=1
    ),
    FeatureSpec(
        name="hosp_yr", block="core", group="utilisation", kind="count", unit="/a", bands=ANY_BANDS, direction=1
    ),
    FeatureSpec(
        name="mh_visit_yr", block="core", group="utilisation", kind="count", unit="/a", bands=ANY_BANDS, direction=1
    ),
    FeatureSpec(name="usual_place", block="core", group="utilisation", kind="boolean", direction=1),
    FeatureSpec(name="n_rx", block="core", group="drugs", kind="count", cap=MEDICINES_CAP, direction=1),
    _drug("rx_ssri"),
    _drug("rx_snri"),
    _drug("rx_bupropion"),
    _drug("rx_mirtaz_traz"),
    _drug("rx_tca_maoi"),
    _drug("rx_antipsychotic"),
    _drug("rx_lithium"),
    _drug("rx_anticonvulsant"),
    _drug("rx_benzo"),
    _drug("rx_buspirone"),
    _drug("rx_hypnotic"),
    _drug("rx_stimulant"),
    _drug("rx_opioid"),
    _drug("rx_muscle_relax"),
    _drug("rx_nsaid"),
    _drug("rx_ppi"),
    _drug("rx_betablocker"),
    _drug("rx_statin"),
    _drug("rx_thyroid"),
    _drug("rx_steroid"),
    _drug("rx_insulin"),
    _drug("rx_metformin"),
    _drug("rx_bronchodil"),
    _drug("rx_migraine"),
    FeatureSpec(name="employed", block="needs", group="needs", kind="boolean", direction=-1),
    FeatureSpec(name="food_insec", block="needs", group="needs", kind="ordinal", cap=4, direction=1),
    FeatureSpec(name="difficulty_concentrating", block="needs", group="difficulties", kind="boolean", direction=1),
    FeatureSpec(name="sleep_hours", block="pro", group="pro", kind="number", unit="h"),
    FeatureSpec(name="gen_health", block="pro", group="pro", kind="ordinal", cap=5, direction=1),
    _phq("DPQ010", "phq2"),
    _phq("DPQ020", "phq2"),
    _phq("DPQ030", "phq"),
    _phq("DPQ040", "phq"),
    _phq("DPQ050", "phq"),
    _phq("DPQ060", "phq"),
    _phq("DPQ070", "phq"),
    _phq("DPQ080", "phq"),
)

SCHEMAS: Mapping[str, FeatureSchema] = {
    spec.outcome: FeatureSchema(features=tuple(f for f in FEATURES if f.block not in spec.never_inputs))
    for spec in OUTCOME_SPECS.values()
}
