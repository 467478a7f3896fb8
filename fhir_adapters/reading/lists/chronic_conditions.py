"""Conditions that are yes/no facts, such as asthma, by `codesets/chronic_conditions.csv`."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from fhir_adapters.codesets.terminology import (
    ICD10,
    ICD10CM,
    LONGEST_CODE,
    LONGEST_SYSTEM,
    canonical,
    normal,
    table,
)
from fhir_adapters.resources import r4


@cache
def _chronic() -> tuple[dict[tuple[str, str], tuple[str, ...]], tuple[tuple[re.Pattern[str], str], ...]]:
    exact: dict[tuple[str, str], tuple[str, ...]] = {}
    icd: list[tuple[re.Pattern[str], str]] = []
    for row in table("chronic_conditions"):
        if row["system"] == ICD10CM:
            icd.append((re.compile(_icd_pattern(row["code"])), row["feature"]))
        else:
            key = (row["system"], row["code"])
            exact[key] = (*exact.get(key, ()), row["feature"])
    return exact, tuple(icd)


def _icd_pattern(code: str) -> str:
    """`J45` a category and all below it; `C00-C96` a range; `I21-I25 except I25.2` a range with a hole."""
    span, _, hole = code.partition(" except ")
    low, _, high = span.partition("-")
    if high:
        numbers = "|".join(f"{n:02d}" for n in range(int(low[1:]), int(high[1:]) + 1))
        body = f"{low[0]}(?:{numbers})"
    else:
        body = re.escape(low.replace(".", ""))
    return f"(?!{hole.replace('.', '')}){body}" if hole else body


def chronic_features(concept: r4.CodeableConcept | None) -> set[str]:
    """The yes/no facts that a condition's codes mean."""
    features: set[str] = set()
    for coding in concept.coding if concept else ():
        if coding.system and coding.code and len(coding.code) <= LONGEST_CODE:
            system = canonical(coding.system)
            if len(system) <= LONGEST_SYSTEM:
                features.update(_features_of(system, coding.code))
    return features


@lru_cache(maxsize=8192)
def _features_of(known: str, code: str) -> tuple[str, ...]:
    exact, icd = _chronic()
    features = list(exact.get((known, code), ()))
    if known in (ICD10CM, ICD10):
        features += [feature for pattern, feature in icd if pattern.match(normal(known, code))]
    return tuple(features)


@cache
def chronic_names() -> tuple[str, ...]:
    """Every yes/no condition feature, in the order of the list."""
    return tuple(dict.fromkeys(row["feature"] for row in table("chronic_conditions")))
