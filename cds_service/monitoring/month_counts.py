"""Counts by month, withheld where they are small or would give away one that is: bins of estimates, inputs, reasons.

everyone: month -> its episodes, those of all months under "". small: the months that are withheld as a whole.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cds_service.monitoring.episodes import Episode
from cds_service.monitoring.site_figures import ALL_MONTHS, SCORE_EDGES, InputFigures
from cds_service.monitoring.suppression import withheld
from models.evaluation.drift import binned_shift

Reference = Sequence[tuple[str, Mapping[str, Any]]]
"""Inputs in the order of the model's schema, each with its row of `reference.json`."""


def by_month(counts: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, dict[str, int | None]]:
    """Month -> what -> how many; those of all months too; None: withheld. counts: month -> what -> whose each was."""
    cells: dict[tuple[str, str], list[str]] = defaultdict(list)
    for month, own in counts.items():
        for what, people in own.items():
            cells[month, what] += people
            cells[ALL_MONTHS, what] += people
    sums = [((ALL_MONTHS, what), *((month, what) for month in counts)) for _, what in cells]
    hidden = withheld({key: (frozenset(people),) for key, people in cells.items()}, sums)
    found: dict[str, dict[str, int | None]] = {month: {} for month in (ALL_MONTHS, *counts)}
    for (month, what), people in sorted(cells.items()):
        found[month][what] = None if (month, what) in hidden else len(people)
    return found


def score_bins(everyone: Mapping[str, Sequence[Episode]], small: Collection[str]) -> dict[str, tuple[int | None, ...]]:
    """Month -> episodes by bin of estimate. The bins of a month add up to its episodes, which stand elsewhere."""
    bins = range(len(SCORE_EDGES) + 1)
    counted = dict[tuple[str, int | None], list[str]]()
    for month, own in everyone.items():
        counted[month, None] = [one.patient for one in own]
        for one in own:
            counted.setdefault((month, int(np.searchsorted(SCORE_EDGES, one.probability))), []).append(one.patient)
    months = sorted({month for month, _ in counted})
    sums: list[list[tuple[str, int | None]]] = [[(month, None), *((month, each) for each in bins)] for month in months]
    sums += [[(ALL_MONTHS, each), *((month, each) for month in months if month)] for each in (None, *bins)]
    also = [key for key in counted if key[0] in small]
    hidden = withheld({key: (frozenset(people),) for key, people in counted.items()}, sums, also=also)
    return {
        month: tuple(None if (month, each) in hidden else len(counted.get((month, each), ())) for each in bins)
        for month in months
    }


def input_figures(
    everyone: Mapping[str, Sequence[Episode]], small: Collection[str], reference: Reference
) -> dict[str, tuple[InputFigures, ...]]:
    """Month -> inputs in the order of the schema. Episodes whose inputs are not on record do not count.

    An input without bins in training, `?` in an episode, has its row and nothing else.
    """
    own = {
        month: [one for one in episodes if len(one.inputs) == len(reference)] for month, episodes in everyone.items()
    }
    found: dict[str, list[InputFigures]] = {month: [] for month in own}
    for at, (name, trained_on) in enumerate(reference):
        cells = {
            month: tuple(
                frozenset(one.patient for one in episodes if (one.inputs[at] == "-") is unknown)
                for unknown in (False, True)
            )
            for month, episodes in own.items()
        }
        hidden = withheld(
            cells, [(ALL_MONTHS, *(month for month in own if month))], nobody_is_small=(False, False), also=small
        )
        for month, episodes in own.items():
            row = InputFigures(name=name, known_in_training=trained_on["known"])
            bins = Counter(one.inputs[at] for one in episodes)
            if episodes and month not in hidden and "?" not in bins:
                counts = np.array([bins[str(each)] for each in range(len(trained_on["edges"]) + 1)])
                shift = binned_shift(name, trained_on, counts, len(episodes))
                row = replace(row, known=round(shift.known, 4), psi=shift.psi, unlike=shift.unlike)
            found[month].append(row)
    return {month: tuple(rows) for month, rows in found.items()}
