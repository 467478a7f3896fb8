"""Which cells of a table of counts must be withheld, so that none of fewer than eleven people can be had from it.

A cell under that size is withheld, and more with it until no linear combination of what is shown gives it, or gives
what is withheld of one sum together where that is fewer than eleven people. Pure; docs/monitoring.md, "Small groups".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from cds_service.monitoring.site_figures import Unsaid

LEAST_PEOPLE = 11
Key = TypeVar("Key", bound=Hashable)
Parts = tuple[frozenset[str], ...]
"""Of a cell the people of each of its counts, such as those with and those without the outcome: shown all or none."""


def withheld(
    cells: Mapping[Key, Parts],
    sums: Collection[Sequence[Key]],
    *,
    nobody_is_small: bool = False,
    also: Collection[Key] = (),
) -> dict[Key, Unsaid]:
    """The cells that are not shown, and why.

    sums: the key of a total, then those of its parts; a key that has no cell counts for nobody. nobody_is_small:
    whether a count of 0 tells something of each person in the cell. also: cells that others have withheld.
    """
    sums = [[key for key in one if key in cells] for one in sums if one[0] in cells]
    hidden = dict.fromkeys(also, Unsaid.SUBTRACTION)
    hidden |= {key: Unsaid.SMALL for key, parts in cells.items() if _is_small(parts, nobody_is_small)}
    while (needed := _one_more(cells, sums, hidden, nobody_is_small)) is not None:
        hidden[needed] = Unsaid.SUBTRACTION
    return hidden


def _is_small(parts: Parts, nobody_is_small: bool) -> bool:
    return any(len(people) < LEAST_PEOPLE and (people or nobody_is_small) for people in parts)


def _one_more(
    cells: Mapping[Key, Parts], sums: Sequence[Sequence[Key]], hidden: Mapping[Key, Unsaid], nobody_is_small: bool
) -> Key | None:
    """A shown cell beside one that can be had; None when none can."""
    solved, totals = _solved(sums, [key for key in hidden if key in cells]), Counter(one[0] for one in sums)
    for one in sums:
        unknown = [key for key in one if key in hidden and key not in solved]
        near = {key for key in one if key in solved and hidden[key] is Unsaid.SMALL}
        if unknown and one[0] not in unknown:
            together = [frozenset[str]().union(*count) for count in zip(*(cells[key] for key in unknown), strict=True)]
            near |= set(one) if _is_small(tuple(together), nobody_is_small) else set()
        while near:
            if shown := near - hidden.keys():
                # What is the total of others says more than they do.
                return min(shown, key=lambda key: (totals[key], len(frozenset().union(*cells[key])), str(key)))
            wider = near.union(*(other for other in sums if near & set(other)))
            near = wider if wider != near else set()
    return None


def _solved(sums: Sequence[Sequence[Key]], hidden: Sequence[Key]) -> set[Key]:
    """The withheld cells whose value follows from the sums: those in which no solution of the sums differs."""
    place = {key: number for number, key in enumerate(hidden)}
    matrix = np.zeros((len(sums), len(hidden)))
    for row, (total, *parts) in enumerate(sums):
        for key, sign in ((total, -1.0), *((part, 1.0) for part in parts)):
            if key in place:
                matrix[row, place[key]] += sign
    matrix = matrix[matrix.any(axis=1)]
    if not matrix.size:
        return set()
    _, values, rows = np.linalg.svd(matrix)
    free = rows[int((values > 1e-9).sum()) :]
    return {key for key, number in place.items() if not np.any(np.abs(free[:, number]) > 1e-9)}
