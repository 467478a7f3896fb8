"""Numbers of events as runs: the first and last of each stretch without a gap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def extend(runs: list[list[int]], number: int) -> None:
    """Adds a number that is greater than all in the runs."""
    if runs and runs[-1][1] == number - 1:
        runs[-1][1] = number
    else:
        runs.append([number, number])


def merged(runs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers in runs that neither touch nor overlap, in order."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(runs):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def without(first: int, last: int, runs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What of a run none of the others covers; they are in order, without overlap."""
    for start, end in runs:
        if end < first or start > last:
            continue
        if start > first:
            yield first, start - 1
        first = end + 1
    if first <= last:
        yield first, last
