"""Tables of wording, complete for everything that can be shown; a gap fails at import."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from explanations.errors import PhrasesIncomplete

Key = TypeVar("Key")
Words = TypeVar("Words")


def complete(table: dict[Key, Words], keys: Iterable[Key]) -> dict[Key, Words]:
    """The table. Raises PhrasesIncomplete, which names missing and unknown keys."""
    wrong = set(keys) ^ set(table)
    if wrong:
        raise PhrasesIncomplete(
            f"expected words for each of {sorted(map(str, keys))}; wrong: {sorted(map(str, wrong))}"
        )
    return table
