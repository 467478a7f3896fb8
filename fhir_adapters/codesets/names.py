"""Listed names in chart text: whole words, in order, for the route of administration that the text names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Words in a product's name for routes other than oral or injection. A cream or an eye drop is another medicine than the
# tablet of the same ingredient, so the route must be listed with it.
ROUTES = {
    "topical": "topical", "cream": "topical", "ointment": "topical", "lotion": "topical", "gel": "topical",
    "shampoo": "topical", "ophthalmic": "ophthalmic", "eye": "ophthalmic", "otic": "otic", "ear": "otic",
    "nasal": "nasal",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NameEntry:
    """One listed ingredient or brand: its words without a route, its listed routes, and what it means.

    `name` is what the list maps to (a class, a row); `ingredient` the ingredient, where the list has it.
    """

    words: tuple[str, ...]
    routes: frozenset[str]
    name: str
    ingredient: str = ""


def name_index(entries: Iterable[tuple[str, str] | tuple[str, str, str]]) -> dict[str, list[NameEntry]]:
    """Entries (text, name, ingredient) by their first word."""
    index: dict[str, list[NameEntry]] = {}
    for text, name, *rest in entries:
        words, routes = words_in(text)
        entry = NameEntry(words=words, routes=routes, name=name, ingredient=rest[0] if rest else "")
        index.setdefault(words[0], []).append(entry)
    return index


Words = tuple[tuple[str, ...], frozenset[str]]
"""The words of a text without those for routes, and the routes."""


def words_in(text: str) -> Words:
    """The words of a text, to look for listed names among them."""
    words = WORD.findall(text.lower())
    if ROUTES.keys().isdisjoint(words):
        return tuple(words), NO_ROUTE
    return tuple(w for w in words if w not in ROUTES), frozenset(ROUTES[w] for w in words if w in ROUTES)


def names_among(text: Words, index: Mapping[str, list[NameEntry]]) -> list[NameEntry]:
    """Every listed name that a text holds in whole words, for the route it names."""
    words, routes = text
    if index.keys().isdisjoint(words):
        return []
    return [
        entry
        for start, word in enumerate(words)
        if word in index
        for entry in index[word]
        if words[start : start + len(entry.words)] == entry.words
        and (bool(routes & entry.routes) or not (routes or entry.routes))
    ]


WORD = re.compile(r"[a-z0-9]+")
NO_ROUTE: frozenset[str] = frozenset()
