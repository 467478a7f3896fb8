"""Facts that rest on a list of entries: conditions, visits, medicines."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import cache

from fhir_adapters.facts import Fact, When


def list_fact(
    name: str, value: bool | int, sources: Iterable[tuple[When | None, str]], unit: str | None = None
) -> Fact:
    """A fact with all its entries (date and reference), dated by the latest; their order does not matter."""
    ordered = sorted(sources, key=lambda source: source[1])
    newest = sorted(ordered, key=lambda source: source[0].day if source[0] else date.min, reverse=True)
    dated = [moment for moment, _ in newest if moment]
    return Fact(
        name=name,
        value=value,
        unit=unit,
        when=dated[0] if dated else None,
        references=tuple(reference for _, reference in newest),
    )


def yes_no_fact(name: str, sources: list[tuple[When | None, str]]) -> Fact:
    """True with its entries; False without any."""
    return list_fact(name, value=True, sources=sources) if sources else _absent(name)


@cache
def _absent(name: str) -> Fact:
    return Fact(name=name, value=False)
