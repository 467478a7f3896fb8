"""Trials whose true effect is known: how often the 95 % interval of `models.evaluation.trials` covers it.

Arms are drawn by the allocation that the service uses. `python tests/trial_simulation.py --write` simulates 1,000 trials
of each design, with an effect and with none, and writes docs/generated/trial-simulation.md.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT)]

from cds_service.settings.trials import Design, Endpoint, Trial  # noqa: E402
from cds_service.trials.arms import LIVE, arm_of  # noqa: E402
from models.evaluation.trials import TrialData, trial_data, trial_effect  # noqa: E402

PAGE = ROOT / "docs" / "generated" / "trial-simulation.md"
EFFECT, BASELINE = 0.08, 0.15
LOWEST, HIGHEST, FORTNIGHTS = 0.005, 0.995, 6
TRIALS, SEED = 1000, 20261130


def protocol(design: Design, seed: int) -> Trial:
    return Trial(
        id="simulated", version=1, title="Simulated", site="north", outcome="depression", design=design,
        begins=date(2027, 1, 4), ends=date(2027, 12, 31), endpoint=Endpoint.ACTED, population="flagged",
        seed=f"seed {seed}", blocks=(4, 6), clinics=(),
    )  # fmt: skip


@dataclass
class Episodes:
    """Columns of a trial's table, filled cell by cell."""

    rows: list[tuple[np.ndarray, int, str, str, str]]

    def add(self, rng, count: int, share: float, live: bool, cluster: str, period: str, stratum: str) -> None:
        share = min(max(share, LOWEST), HIGHEST)
        self.rows.append((rng.random(count) < share, int(live), cluster, period, stratum))

    def data(self) -> TrialData:
        sizes = [len(row[0]) for row in self.rows]
        columns = [np.repeat(np.array([row[n] for row in self.rows]), sizes) for n in range(1, 5)]
        return TrialData(
            endpoint=np.concatenate([row[0] for row in self.rows]).astype(float), live=columns[0].astype(float),
            cluster=columns[1], period=columns[2], stratum=columns[3],
        )  # fmt: skip


def wedge(rng, number: int, effect: float, clinics: int = 18, steps: int = 6) -> TrialData:
    """Clinics of unlike size and level, levels that change from period to period, and a trend that all share."""
    found, size, level = Episodes([]), rng.lognormal(np.log(25), 0.4, clinics), rng.normal(0, 0.04, clinics)
    step = rng.permutation(np.repeat(np.arange(1, steps + 1), clinics // steps))
    for clinic in range(clinics):
        for period in range(steps + 1):
            live = period >= step[clinic]
            share = BASELINE + 0.01 * period + level[clinic] + rng.normal(0, 0.02) + effect * live
            found.add(rng, rng.poisson(size[clinic]), share, live, str(clinic), str(period), str(step[clinic]))
    return found.data()


def by_clinician(rng, number: int, effect: float, clinics: int = 4, clinicians: int = 12) -> TrialData:
    """Clinicians of unlike habits in clinics of unlike level, assigned within their clinic."""
    trial, found = protocol(Design.BY_CLINICIAN, number), Episodes([])
    for clinic in range(clinics):
        level = rng.normal(0, 0.03)
        for clinician in range(clinicians):
            live = arm_of(b"key", trial, str(clinic), clinician) == LIVE
            share = BASELINE + level + rng.normal(0, 0.05) + effect * live
            count = rng.poisson(rng.lognormal(np.log(20), 0.5))
            found.add(rng, count, share, live, f"{clinic} {clinician}", "0", str(clinic))
    return found.data()


def by_patient(rng, number: int, effect: float, clinics: int = 4, patients: int = 150) -> TrialData:
    """Patients who are met every fortnight, and no more once they have been asked: how often depends on the arm."""
    trial, rows = protocol(Design.BY_PATIENT, number), []
    for clinic in range(clinics):
        level = rng.normal(0, 0.03)
        for patient in range(patients):
            arm = arm_of(b"key", trial, str(clinic), patient)
            share = min(max(BASELINE + level + rng.normal(0, 0.05) + effect * (arm == LIVE), LOWEST), HIGHEST)
            asked = rng.random(FORTNIGHTS) < share
            name = f"{clinic} {patient}"
            for met in range(int(asked.argmax()) + 1 if asked.any() else FORTNIGHTS):
                found = {"acted_within_7_days": str(int(asked[met])), "arm": arm, "stratum": str(clinic)}
                rows.append(found | {"person": name, "cluster": name, "period": "0", "complete": "1", "flagged": "1"})
    return trial_data(rows, endpoint="acted", population="flagged")


DESIGNS: dict[str, tuple[Callable[..., TrialData], bool, str]] = {
    "stepped wedge": (wedge, True, "18 clinics, 6 steps, about 25 episodes a clinic and period"),
    "by clinician": (by_clinician, False, "48 clinicians in 4 clinics, about 20 episodes each"),
    "by patient": (by_patient, False, "600 patients in 4 clinics, met up to 6 times, until they are asked"),
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """coverage: share of intervals that hold the truth; rejected: share that leave out no effect."""

    trials: int
    bias: float
    spread: float
    error: float
    coverage: float
    rejected: float


def simulated(design: str, effect: float, trials: int, seed: int = SEED, **sizes: int) -> Found:
    make, is_wedge, _ = DESIGNS[design]
    rng = np.random.default_rng([seed, list(DESIGNS).index(design), round(1000 * effect)])
    found = []
    for number in range(trials):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(trial_effect(make(rng, number, effect, **sizes), wedge=is_wedge))
    difference = np.array([one.difference for one in found])
    low, high = np.array([one.low for one in found]), np.array([one.high for one in found])
    return Found(
        trials=trials, bias=difference.mean() - effect, spread=difference.std(ddof=1),
        error=float(np.mean(high - low) / 2), coverage=float(np.mean((low <= effect) & (effect <= high))),
        rejected=float(np.mean((low > 0) | (high < 0))),
    )  # fmt: skip


HEAD = f"""# Trials whose true effect is known

*Generated by `make trial-simulation`.*

For who plans or reads a trial ([trials.md](../trials.md)). Of each design {TRIALS:,} trials were simulated, with an effect
of {100 * EFFECT:.0f} percentage points and with none, on a share of {BASELINE:.0%}; clinics, clinicians and patients differ, and
arms are drawn by the service's own allocation. They are analysed as the program in an export does it. A 95 % interval
should hold the truth in 95 of 100 trials: 93 to 97 % is asked for. Of trials without an effect about 5 % should find one.

| design | size | true effect | mean error of the estimate | spread of estimates | half width of the interval | intervals that hold the truth | find an effect |
|---|---|---|---|---|---|---|---|
"""
FOOT = """
Shares and effects are of percentage points. With {trials:,} trials a share of 95 % is known to within 1.4.
"""


def page(trials: int) -> str:
    lines = []
    for design, (_, _, size) in DESIGNS.items():
        for effect in (EFFECT, 0.0):
            found = simulated(design, effect, trials)
            lines.append(
                f"| {design} | {size} | {100 * effect:.0f} | {100 * found.bias:+.2f} | {100 * found.spread:.2f} | "
                f"{100 * found.error:.2f} | {found.coverage:.1%} | {found.rejected:.1%} |\n"
            )
            print(lines[-1], end="", flush=True)
    return HEAD + "".join(lines) + FOOT.format(trials=trials)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    text = page(given.trials)
    if given.write:
        PAGE.write_text(text, encoding="utf-8")
