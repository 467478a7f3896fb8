"""How the level of a new version could follow the times: options, each judged on the cycle after those it was set on.

Decision 0114 chooses from these figures. An option is a function of margins that the boosters had not seen, labels and
cycles (position from 0, the oldest), each of shape (n,), to a line. Aggregates only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.inputs.patterns import patterns_of, tiers
from models.scoring.calibration import Calibration, Floats, fit_calibration, fit_offset, probabilities
from models.training.fitting import Fitter

Option = Callable[[Floats, Floats, NDArray[np.int64]], Calibration]


def levels(fitter: Fitter) -> dict[str, Any]:
    """Option -> {"cycles": {cycle: {pattern: O/E}}, "rms", "log_loss"} of the cycles that had two or more before them.

    rms: of the logarithms of O/E over patterns and cycles. log_loss: mean negative log-likelihood per person.
    """
    return {name: _judged(fitter, option) for name, option in OPTIONS.items()}


def _judged(fitter: Fitter, option: Option) -> dict[str, Any]:
    sample = fitter.sample
    by_cycle: dict[str, dict[str, float]] = {}
    losses = []
    for cycle in sample.folds[2:]:
        earlier, own = sample.cycles < cycle, sample.cycles == cycle
        seen, following = fitter.unseen_margins(earlier), fitter.margins_of(earlier, own)
        place = np.searchsorted(sample.folds, sample.cycles.astype(str))
        by_cycle[cycle] = {}
        for tier in tiers(sample.outcome):
            names = patterns_of(tier, sample.outcome, sample.schema)
            x = np.concatenate([seen[name][earlier] for name in names])
            y, where = np.tile(sample.y[earlier], len(names)), np.tile(place[earlier], len(names))
            known = ~np.isnan(x)
            line = option(x[known], y[known], where[known])
            for name in names:
                scored = own & ~np.isnan(following[name])
                estimates, labels = probabilities(line.log_odds(following[name][scored])), sample.y[scored]
                by_cycle[cycle][name] = round(float(labels.sum() / estimates.sum()), 4)
                losses.append(-np.log(np.where(labels == 1, estimates, 1 - estimates)))
    logs = [math.log(ratio) for ratios in by_cycle.values() for ratio in ratios.values()]
    return {
        "cycles": by_cycle,
        "rms": round(float(np.sqrt(np.mean(np.square(logs)))), 4),
        "log_loss": round(float(np.concatenate(losses).mean()), 5),
    }


def _half_life(cycles: float) -> Option:
    def option(x: Floats, y: Floats, place: NDArray[np.int64]) -> Calibration:
        return fit_calibration(x, y, 0.5 ** ((place.max() - place) / cycles))

    return option


def _latest(count: int) -> Option:
    def option(x: Floats, y: Floats, place: NDArray[np.int64]) -> Calibration:
        line = fit_calibration(x, y)
        return _moved(line, float(_offsets(line, x, y, place)[-count:].mean()))

    return option


def _trend(x: Floats, y: Floats, place: NDArray[np.int64], *, shrunk: bool) -> Calibration:
    line = fit_calibration(x, y)
    offsets = _offsets(line, x, y, place)
    time = np.arange(len(offsets)) - (len(offsets) - 1) / 2
    slope = float((time * offsets).sum() / (time**2).sum())
    if shrunk:
        rest = offsets - offsets.mean() - slope * time
        error = math.sqrt(float((rest**2).sum()) / max(len(offsets) - 2, 1) / float((time**2).sum()))
        slope *= max(0.0, 1 - (error / slope) ** 2) if len(offsets) > 2 and slope else 0.0  # James and Stein
    return _moved(line, slope * (float(time[-1]) + 1))


def _offsets(line: Calibration, x: Floats, y: Floats, place: NDArray[np.int64]) -> Floats:
    found = [fit_offset(line.log_odds(x[place == each]), y[place == each]) for each in np.unique(place)]
    return np.array([0.0 if shift is None else shift[0] for shift in found])


def _moved(line: Calibration, shift: float) -> Calibration:
    return line.then(Calibration(intercept=shift, slope=1.0))


OPTIONS: Mapping[str, Option] = {
    "every cycle alike": lambda x, y, _: fit_calibration(x, y),
    "half-life of three cycles": _half_life(3),
    "half-life of two cycles": _half_life(2),
    "half-life of one cycle": _half_life(1),
    "level of the latest cycle": _latest(1),
    "level of the latest two": _latest(2),
    "straight trend": lambda x, y, place: _trend(x, y, place, shrunk=False),
    "straight trend, shrunk": lambda x, y, place: _trend(x, y, place, shrunk=True),
}
