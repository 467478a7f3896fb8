"""Warnings on labels about mood and suicidal thoughts, by class or by name (`codesets/boxed_warnings.csv`).

Context for a reader of a medicine list; nothing is concluded from them. The column `verified` says how far a row was
checked: yes, secondary (read in a secondary source), or no. Varenicline is left out on purpose: its boxed warning was
removed in 2016. The first matching row counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

from fhir_adapters.codesets.names import NameEntry, Words, name_index, names_among
from fhir_adapters.codesets.terminology import table


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelWarning:
    """One row: a stable code, whether it is a boxed warning, and below which age it applies (None: at every age)."""

    kind: str
    boxed: bool
    under_age: int | None
    verified: str


@cache
def _rows() -> tuple[tuple[str, tuple[str, ...], LabelWarning], ...]:
    return tuple(
        (
            row["class"],
            tuple(name.strip() for name in row["names"].split(";") if name.strip()),
            LabelWarning(
                kind=row["kind"],
                boxed=row["boxed"] == "yes",
                under_age=int(row["under_age"]) if row["under_age"] else None,
                verified=row["verified"],
            ),
        )
        for row in table("boxed_warnings")
    )


@cache
def _by_first_word() -> dict[str, list[NameEntry]]:
    return name_index((name, str(place)) for place, (_, names, _) in enumerate(_rows()) for name in names)


def warning_of(named: Iterable[int], classes: frozenset[str]) -> LabelWarning | None:
    """The warning of a medicine of these classes whose names stand at the places `named`, or None."""
    places = [*named, *(_places_of(classes) if classes else ())]
    return _rows()[min(places)][2] if places else None


@lru_cache(maxsize=1024)
def _places_of(classes: frozenset[str]) -> tuple[int, ...]:
    return tuple(place for place, (of_class, _, _) in enumerate(_rows()) if of_class in classes)


def places_among(text: Words) -> list[int]:
    """The places of the rows of whose names a text contains one."""
    return [int(entry.name) for entry in names_among(text, _by_first_word())]


@cache
def warnings_by_code() -> dict[str, LabelWarning]:
    """The first row of each kind, by its code."""
    by_kind: dict[str, LabelWarning] = {}
    for _, _, warning in _rows():
        by_kind.setdefault(warning.kind, warning)
    return by_kind
