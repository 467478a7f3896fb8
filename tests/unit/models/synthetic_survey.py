"""Invented survey tables in CDC's layout and codes. Nobody in them exists; there is just enough to learn from."""

from pathlib import Path

import numpy as np
import pandas as pd

from tests.unit.models.xport import write_xport

CYCLES = ("2005-2006", "2007-2008", "2009-2010")
DRUGS = ("SERTRALINE", "METFORMIN", "ACETAMINOPHEN; HYDROCODONE", "DICLOFENAC OPHTHALMIC", "METHADONE")
_LETTERS = {"2005-2006": "D", "2007-2008": "E", "2009-2010": "F", "2017-2018": "J", "2021-2023": "L"}


def tables(cycle: str, people: int = 160, seed: int = 1) -> dict[str, pd.DataFrame]:
    """One cycle: component -> table, one row per invented person (several for medicines). Ages 15 to 85."""
    number = int(cycle[:4])
    rng = np.random.default_rng([seed, number])
    seqn = np.arange(people) + number * 1000
    low_mood = rng.normal(size=people)

    def yes(share: float) -> np.ndarray:
        return np.where(rng.random(people) < share / (1 + np.exp(-low_mood)) * 2, 1.0, 2.0)

    def answers() -> np.ndarray:
        return np.clip(np.round(low_mood * 0.9 + 0.2 + rng.normal(scale=0.6, size=people)), 0, 3)

    age = rng.integers(15, 86, people).astype(float)
    demo = {"RIDAGEYR": age, "RIAGENDR": rng.integers(1, 3, people), "RIDRETH1": rng.integers(1, 6, people)}
    built = {
        "DEMO": {**demo, "INDFMPIR": rng.random(people) * 5, "WTMEC2YR": rng.random(people) * 1000},
        "DPQ": {f"DPQ0{item}0": answers() for item in range(1, 10)},
        "BMX": {"BMXBMI": 28 + 5 * rng.normal(size=people), "BMXWT": 80.0 + low_mood, "BMXHT": np.full(people, 170.0)},
        "BPX": {"BPXPLS": np.full(people, 72.0), "BPXSY1": np.full(people, 120.0), "BPXDI1": np.full(people, 70.0)},
        "SMQ": {"SMQ020": yes(0.5), "SMQ040": np.full(people, 1.0)},
        "MCQ": {"MCQ010": yes(0.2), "MCQ160A": yes(0.3), "MCQ160G": yes(0.1), "MCQ220": yes(0.1)},
        "DIQ": {"DIQ010": yes(0.15)},
        "BPQ": {"BPQ020": yes(0.3), "BPQ080": yes(0.3)},
        "SLQ": {"SLQ050": yes(0.3), "SLD010H": rng.integers(4, 10, people).astype(float)},
        "HUQ": {
            "HUQ010": np.clip(np.round(3 + low_mood), 1, 5),
            "HUQ050": rng.integers(0, 6, people).astype(float),
            "HUQ071": yes(0.1),
            "HUQ090": yes(0.1),
        },
        "OCQ": {"OCD150": rng.integers(1, 5, people).astype(float)},
    }
    result = {name: pd.DataFrame({"SEQN": seqn, **columns}) for name, columns in built.items()}
    result["RXQ_RX"] = _medicines(seqn, low_mood, rng)
    return result


def _medicines(seqn: np.ndarray, low_mood: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for person, mood in zip(seqn, low_mood, strict=True):
        taken = [name for name in DRUGS if rng.random() < (0.35 if name == "SERTRALINE" and mood > 1 else 0.1)]
        if not taken:
            rows.append((person, 2.0, None, np.nan))
        rows += [(person, 1.0, name, float(len(taken))) for name in taken]
    return pd.DataFrame(rows, columns=["SEQN", "RXDUSE", "RXDDRUG", "RXDCOUNT"])


def write_parquet(
    folder: Path, cycles: tuple[str, ...] = CYCLES, *, without: tuple[str, ...] = (), people: int = 160
) -> Path:
    """The layout of the project's own training data: raw/<component>.parquet with the cycles stacked."""
    (folder / "raw").mkdir(parents=True)
    by_cycle = {cycle: tables(cycle, people) for cycle in cycles}
    for component in by_cycle[cycles[0]]:
        if component not in without:
            stacked = [found[component].assign(CYCLE=cycle) for cycle, found in by_cycle.items()]
            pd.concat(stacked, ignore_index=True).to_parquet(folder / "raw" / f"{component}.parquet")
    return folder


def write_transport(folder: Path, cycles: tuple[str, ...] = CYCLES, people: int = 160) -> Path:
    """CDC's layout: one transport file per component and cycle."""
    folder.mkdir(parents=True, exist_ok=True)
    for cycle in cycles:
        for component, table in tables(cycle, people).items():
            name = f"{component}_{_LETTERS[cycle]}"
            write_xport(folder / f"{name}.XPT", name, table)
    return folder
