"""Does the local mix of inputs resemble that of training? Needs no outcome labels.

Per input: the share of people with a known value, and the population stability index (PSI) of the known values over the
bins of the artifact's `reference.json`. A warning means that estimates may be off and recalibration is due; no warning
says nothing about accuracy. numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import LabelsError
from models.inputs.feature_schema import FeatureSchema

LEAST_PEOPLE = 100
UNLIKE_PSI = 0.25
UNLIKE_KNOWN = 0.25
"""Warning limits: a PSI of 0.25 is the customary mark of a large shift; a difference in the share known."""
_MOST_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class InputShift:
    """One input: share known here and in training, PSI (None with fewer than 100 known), and whether it is unlike."""

    name: str
    known: float
    known_in_training: float
    psi: float | None
    unlike: bool


def reference(schema: FeatureSchema, matrix: NDArray[np.float32]) -> dict[str, Any]:
    """The input mix of a population: per input the share known, the upper bin edges and the share in each bin."""
    per_input = {}
    for at, spec in enumerate(schema.features):
        values = matrix[:, at]
        known = values[~np.isnan(values)].astype(np.float64)
        edges = _edges(known)
        per_input[spec.name] = {
            "known": round(float(known.size) / max(len(values), 1), 6),
            "edges": edges,
            "shares": [round(float(share), 6) for share in _counts(known, edges) / known.size] if known.size else [],
        }
    return per_input


def input_shifts(
    schema: FeatureSchema, trained_on: Mapping[str, Mapping[str, Any]], rows: Sequence[Sequence[float | None]]
) -> tuple[InputShift, ...]:
    """The shift of every input, in schema order. rows: prepared vectors of local people in schema order.

    Raises LabelsError for fewer than LEAST_PEOPLE people.
    """
    if len(rows) < LEAST_PEOPLE:
        raise LabelsError(
            expected=f"at least {LEAST_PEOPLE} people", found=f"{len(rows)}", remedy="give more charts of the same kind"
        )
    matrix = np.array([[np.nan if v is None else v for v in row] for row in rows], dtype=np.float32)
    return tuple(
        _shift(spec.name, trained_on[spec.name], matrix[:, at].astype(np.float64))
        for at, spec in enumerate(schema.features)
    )


def _shift(name: str, trained_on: Mapping[str, Any], values: NDArray[np.float64]) -> InputShift:
    known = values[~np.isnan(values)]
    return binned_shift(name, trained_on, _counts(known, trained_on["edges"]), values.size)


def binned_shift(name: str, trained_on: Mapping[str, Any], counts: NDArray[np.int64], n: int) -> InputShift:
    """The shift of one input of n people. counts: of the known values, by the bins of `trained_on`."""
    known = int(counts.sum())
    share = known / n
    psi = None
    if known >= LEAST_PEOPLE and trained_on["shares"]:
        psi = _psi(counts / known, np.array(trained_on["shares"]), known)
    return InputShift(
        name=name,
        known=share,
        known_in_training=trained_on["known"],
        psi=psi,
        unlike=abs(share - trained_on["known"]) > UNLIKE_KNOWN or (psi is not None and psi > UNLIKE_PSI),
    )


def _psi(here: NDArray[np.float64], in_training: NDArray[np.float64], n: int) -> float:
    """PSI less its chance expectation, (bins - 1) / n, for a large training population."""
    floor = 0.5 / n  # an empty bin counts as half a person
    a, b = np.maximum(here, floor), np.maximum(in_training, floor)
    return max(0.0, float(((a - b) * np.log(a / b)).sum()) - (a.size - 1) / n)


def _edges(known: NDArray[np.float64]) -> list[float]:
    """Upper edges of all bins but the last: between distinct values where these are few, else at the deciles."""
    distinct = np.unique(known)
    if distinct.size <= _MOST_BINS:
        return [float(edge) for edge in (distinct[:-1] + distinct[1:]) / 2]
    return [float(edge) for edge in np.unique(np.quantile(known, np.arange(1, _MOST_BINS) / _MOST_BINS))]


def _counts(known: NDArray[np.float64], edges: Sequence[float]) -> NDArray[np.int64]:
    return np.bincount(np.searchsorted(np.array(edges), known, side="left"), minlength=len(edges) + 1)
