"""Which cells of a table of counts must be withheld, so that none of fewer than eleven people can be had from it.

A cell under that size is withheld, and more with it until no linear combination of what is shown gives it, or gives
what is withheld of one sum together where that is fewer than eleven people. Pure; docs/monitoring.md, "Small groups".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from cds_service.monitoring.episodes import LEAST_PEOPLE
from cds_service.monitoring.site_figures import Unsaid

Key = TypeVar("Key", bound=Hashable)
Parts = tuple[frozenset[str], ...]
"""Of a cell the people of each of its counts, such as those with and those without the outcome: shown all or none."""


def withheld(
    cells: Mapping[Key, Parts],
    sums: Collection[Sequence[Key]],
    *,
    nobody_is_small: Sequence[bool] = (False,),
    also: Collection[Key] = (),
) -> dict[Key, Unsaid]:
    """The cells that are not shown, and why.

    sums: the key of a total, then those of its parts; a key that has no cell counts for nobody. nobody_is_small: of
    each count, whether 0 tells something of each person in the cell. also: cells that others have withheld.
    """
    sums = [[key for key in one if key in cells] for one in sums if one[0] in cells]
    sums = [one for one in sums if len(one) > 1]  # a total that is not split is no sum
    hidden = dict.fromkeys(also, Unsaid.SUBTRACTION)
    hidden |= {key: Unsaid.SMALL for key, parts in cells.items() if _is_small(parts, nobody_is_small)}
    worth = _worth(cells, sums)
    while given := list(_given_away(cells, sums, hidden, nobody_is_small)):
        changed = set[Key]()
        for one in given:
            near = _beside(one, sums, hidden)
            if near and not near & changed:
                lonely = Counter(key for each in sums for key in each if not hidden.keys() & set(each) - {key})
                # One with others withheld beside it in each sum hides the most; a total says more than its parts.
                chosen = min(near, key=lambda key: (worth[key][0], lonely[key], worth[key]))
                hidden[chosen] = Unsaid.SUBTRACTION
                changed |= near
        if not changed:
            break
    added = [key for key in hidden if key not in also and hidden[key] is Unsaid.SUBTRACTION]
    for key in sorted(added, key=lambda key: worth[key], reverse=True):
        fewer = {other: why for other, why in hidden.items() if other != key}
        if not any(_given_away(cells, sums, fewer, nobody_is_small)):
            hidden = fewer
    return hidden


def _worth(cells: Mapping[Key, Parts], sums: Sequence[Sequence[Key]]) -> dict[Key, tuple[int, int, str]]:
    """Of how many sums each is the total, how many people it is of; its name, so that the choice is always the same."""
    totals = Counter(one[0] for one in sums)
    return {key: (totals[key], len(frozenset().union(*parts)), str(key)) for key, parts in cells.items()}


def _is_small(parts: Sequence[frozenset[str]], nobody_is_small: Sequence[bool]) -> bool:
    pairs = zip(parts, nobody_is_small, strict=True)
    return any(len(people) < LEAST_PEOPLE and (people or nobody) for people, nobody in pairs)


def _given_away(
    cells: Mapping[Key, Parts],
    sums: Sequence[Sequence[Key]],
    hidden: Mapping[Key, Unsaid],
    nobody_is_small: Sequence[bool],
) -> Iterator[set[Key]]:
    """Of each sum by which a small cell can be had, or small ones together, its withheld cells."""
    solved = _solved(sums, [key for key in hidden if key in cells])
    for one in sums:
        unknown = [key for key in one if key in hidden and key not in solved]
        if had := {key for key in one if key in solved and hidden[key] is Unsaid.SMALL}:
            yield had
        elif unknown and one[0] not in unknown:
            together = [frozenset[str]().union(*count) for count in zip(*(cells[key] for key in unknown), strict=True)]
            if _is_small(together, nobody_is_small):
                yield set(unknown)


def _beside(given: set[Key], sums: Sequence[Sequence[Key]], hidden: Collection[Key]) -> set[Key]:
    """The shown cells in the sums of these, and of what is withheld beside them, and so on."""
    near, wider = set[Key](), set(given)
    while wider != near:
        near = wider
        wider = near.union(*({key for key in one if key in hidden} for one in sums if near & set(one)))
    return {key for one in sums if near & set(one) for key in one} - set(hidden)


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
    # A cell is determined if its unit vector lies in the row space of the sums.
    _, values, rows = np.linalg.svd(matrix, full_matrices=False)
    within = (rows[values > 1e-9] ** 2).sum(axis=0)
    return {key for key, number in place.items() if within[number] > 1 - 1e-9}
