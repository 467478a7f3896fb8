"""The MHRN models of a suicide attempt within 90 days of an outpatient visit: predictor values in, a log-odds out.

Simon et al., Am J Psychiatry 2018 (doi 10.1176/appi.ajp.2018.17101167). The numbers of `mhrn_coefficients.csv` and
`mhrn_operating_points.csv` are those of the results tables of MHResearchNetwork/srpm-model, commit 2fe33a2a; meanings
and windows in `mhrn_predictors.csv` and `mhrn_families.csv` were confirmed in its programs and those of
MHResearchNetwork/srpm-analytic (docs/published-comparator.md). Nothing is imputed: a term that cannot be computed is
left out of the sum and named. Does not read charts.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

LEAST_YEARS, MOST_YEARS = 13, 90
"""The youngest at whose visits the models were fitted; higher ages count as the highest."""


class VisitSetting(StrEnum):
    """The two kinds of visit that have a model each."""

    MENTAL_HEALTH = "mental-health-specialty"
    PRIMARY_CARE = "primary-care"


class TermBasis(StrEnum):
    """On what a term rests."""

    KNOWN = "known"  # on entries of the chart
    ASSUMED_ABSENT = "assumed-absent"  # 0, since nothing of the kind is in a list that was read in full
    UNKNOWN = "unknown"  # left out of the sum


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictorValue:
    """The value of a predictor: 0 or 1, years, days, points or a count. `assumed`: 0 for want of any entry."""

    number: float
    assumed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One term of the sum: its predictor, its coefficient (log-odds per unit), its value unless unknown, its basis."""

    predictor: str
    coefficient: float
    value: float | None
    basis: TermBasis


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedScore:
    """The sum of the intercept and of every term that could be computed, in log-odds, and its probability in (0, 1)."""

    setting: VisitSetting
    log_odds: float
    probability: float
    terms: tuple[Term, ...]

    def named(self, basis: TermBasis) -> tuple[str, ...]:
        """The predictors whose terms rest on `basis`."""
        return tuple(term.predictor for term in self.terms if term.basis is basis)

    @property
    def share_of_terms(self) -> float:
        """The share of the terms that could be computed."""
        return 1 - len(self.named(TermBasis.UNKNOWN)) / len(self.terms)

    @property
    def share_of_weight(self) -> float:
        """The same of the sum of absolute coefficients. One per year, day or point weighs little for what it can do."""
        unknown = math.fsum(abs(term.coefficient) for term in self.terms if term.basis is TermBasis.UNKNOWN)
        return 1 - unknown / math.fsum(abs(term.coefficient) for term in self.terms)


class RefusalReason(StrEnum):
    """Why the published model does not apply. The values are stable: they appear in JSON."""

    DECEASED = "deceased"
    CONSENT = "consent"  # refused, opted out, or not known
    AGE_UNKNOWN = "age-unknown"
    UNDER_13 = "under-13"
    NO_VISIT = "no-outpatient-visit-that-day"
    OTHER_VISIT = "visit-of-another-kind"  # in hospital, in an emergency department, at home
    NOT_MENTAL_HEALTH = "visit-not-for-mental-health"  # neither mental-health specialty nor one of its diagnoses


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why there is no score."""

    reason: RefusalReason


@cache
def rows_of(name: str) -> tuple[dict[str, str], ...]:
    """The rows of `mhrn_<name>.csv`."""
    text = (files("models") / "published" / f"mhrn_{name}.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


@cache
def coefficients(setting: VisitSetting) -> Mapping[str, float]:
    """Log-odds per unit by predictor; `_cons` is the intercept."""
    return {row["predictor"]: float(row["log_odds"]) for row in rows_of("coefficients") if row["setting"] == setting}


@cache
def factors() -> Mapping[str, tuple[str, ...]]:
    """Every predictor as the product of those that a chart is asked for; most are their own only factor."""
    return {row["predictor"]: tuple(row["factors"].split()) for row in rows_of("predictors")}


def score(setting: VisitSetting, values: Mapping[str, PredictorValue | None]) -> PublishedScore:
    """The score of one visit. `values` has a key for each factor of the setting's predictors; None where unknown."""
    weights = coefficients(setting)
    terms = tuple(_term(name, weight, values) for name, weight in weights.items() if name != INTERCEPT)
    known = (term.coefficient * term.value for term in terms if term.value is not None)
    log_odds = math.fsum((weights[INTERCEPT], *known))
    return PublishedScore(setting=setting, log_odds=log_odds, probability=1 / (1 + math.exp(-log_odds)), terms=terms)


INTERCEPT = "_cons"


def _term(predictor: str, coefficient: float, values: Mapping[str, PredictorValue | None]) -> Term:
    held = [values[name] for name in factors()[predictor]]
    zeros = [value for value in held if value and value.number == 0]
    if zeros:  # whatever the other factors are
        assumed = all(value.assumed for value in zeros)
        basis = TermBasis.ASSUMED_ABSENT if assumed else TermBasis.KNOWN
        return Term(predictor=predictor, coefficient=coefficient, value=0.0, basis=basis)
    numbers = [value.number for value in held if value]
    if len(numbers) < len(held):
        return Term(predictor=predictor, coefficient=coefficient, value=None, basis=TermBasis.UNKNOWN)
    return Term(predictor=predictor, coefficient=coefficient, value=math.prod(numbers), basis=TermBasis.KNOWN)
