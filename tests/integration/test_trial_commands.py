"""`mhcds trial`: show, verify, export, analyse, on a store with a trial whose true effect is known."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from ehr import DATA_KEY, kept_in, recorded, settings

from cds_service.__main__ import main
from cds_service.keys.data_key import DataKey
from cds_service.monitoring.trial_table import COLUMNS
from cds_service.settings.config import load_config
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.opening import prepare
from cds_service.storage.tables import allocation
from cds_service.trials.assigning import TrialUnit, assign

KEY = DataKey(DATA_KEY)
BEGINS = date(2025, 1, 6)
STEPS = [date(2025, 2, 3), date(2025, 3, 3)]
CLINICS = [f"clinic-{number}" for number in range(8)]
EFFECT, BASELINE, EPISODES, FEW = 0.3, 0.2, 12, 3


def protocol(design: str) -> str:
    lines = [
        'id = "known"', "version = 1", 'title = "Of known effect"', 'site = "north"', 'outcome = "depression"',
        f'design = "{design}"', f"begins = {BEGINS}", "ends = 2025-03-30",
    ]  # fmt: skip
    if design != "stepped-wedge":
        return "\n".join([*lines, 'seed = "0123456789"'])
    for number, name in enumerate(CLINICS):
        lines += ["[[clinic]]", f'name = "{name}"', f'references = ["Location/{number}"]']
        lines += [f"live_from = {STEPS[number % 2]}"]
    return "\n".join(lines)


def answer(place, trial, unit: TrialUnit, patient: str, at: datetime, rng) -> list[NewEvent]:
    """An answer with its score, and days later one that finds the questionnaire answered, in a share by arm."""
    stratum, arm = assign(place, KEY, trial, unit, at.date(), at)
    exposure = {
        "id": trial.id,
        "outcome": trial.outcome,
        "version": "1",
        "unit": unit.name,
        "stratum": stratum,
        "arm": arm,
    }
    score = {"model": "depression 3.0.0", "probability": 0.3, "shown": arm == "live", "flagged": True, "inputs": ""}
    event = {"service": "s", "status": 200, "patient": patient, "scores": [score], "trial": exposure}
    events = [NewEvent(site="north", kind=AuditKind.ANSWER, at=at.isoformat(), event=event)]
    if rng.random() < BASELINE + EFFECT * (arm == "live"):
        later = (at + timedelta(days=3)).isoformat()
        found = {"outcome": "depression", "positive": bool(rng.random() < 0.5), "on": later, "id": f"result {patient}"}
        event = {"service": "s", "status": 200, "patient": patient, "measured": [found]}
        events.append(NewEvent(site="north", kind=AuditKind.ANSWER, at=later, event=event))
    return events


def trial_at(folder: Path, design: str = "stepped-wedge") -> Path:
    """A site whose trial is over."""
    settings(folder, service=kept_in(f"sqlite:///{folder / 'mhcds.db'}", folder))
    (folder / "trials").mkdir()
    (folder / "trials" / "known.toml").write_text(protocol(design))
    (trial,) = load_config(folder).trials
    place, rng, events = prepare(f"sqlite:///{folder / 'mhcds.db'}"), np.random.default_rng(4), []
    for week in (0, 4, 8):
        at = datetime(2025, 1, 6, 15, tzinfo=UTC) + timedelta(weeks=week, days=1)
        for number, name in enumerate(CLINICS):
            for episode in range(FEW if design == "by-patient" else EPISODES):
                patient = KEY.pseudonym("north", f"{name} {week} {episode}")
                unit = TrialUnit(name=name, stratum=str(STEPS[number % 2]))
                if design == "by-patient":
                    unit = TrialUnit(name=patient, stratum="", patient=patient)
                events += answer(place, trial, unit, patient, at, rng)
    refused = {"service": "s", "not_scored": ["depression not-in-trial", "suicidal-ideation silent"]}
    events += [NewEvent(site="north", kind=AuditKind.ANSWER, at="2025-03-28T10:00:00+00:00", event=refused)] * 3
    with place.transaction() as connection:
        append(connection, *events)
    place.close()
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trial_at(tmp_path_factory.mktemp("trial") / "settings")


def run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["trial", *map(str, words)])
    assert result.exit_code == code, result.output
    return result.output


def test_show_counts_what_is_in_the_trial_and_what_is_not(folder: Path) -> None:
    (found,) = json.loads(run("show", "--config", folder, "--json"))

    assert (found["id"], found["version"], found["design"]) == ("known", 1, "stepped-wedge")
    assert found["units"] == 8
    assert found["answers_live"] + found["answers_silent"] == 3 * 8 * EPISODES
    assert (found["answers_not-in-trial"], found["answers_trial-not-running"]) == (3, 0)
    assert found["from_to"] == "2025-01-06 to 2025-03-30, ended"
    assert found["mode_is_trial"] is False
    assert found["problems"].startswith("trial known: without [subscription] a form")
    assert "clinic-0" not in run("show", "--config", folder), "nobody's arm"


def test_an_export_is_a_tidy_table_whose_program_runs_as_it_is(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "export"
    run("export", "--config", folder, "--trial", "known", "--out", out, "--by", "Ann", "--reason", "analysis")

    with (out / "trial.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (out / "dictionary.csv").open() as file:
        told = [row["column"] for row in csv.DictReader(file)]
    assert list(rows[0]) == told == list(COLUMNS)
    assert len(rows) == 3 * 8 * EPISODES
    assert {(row["arm"], row["exposed"]) for row in rows} == {("live", "1"), ("silent", "0")}
    assert {row["period"] for row in rows} == {"0", "1", "2"}
    assert (out / "protocol.toml").read_text() == (folder / "trials" / "known.toml").read_text()
    printed = subprocess.run(
        [sys.executable, out / "analysis.py"], capture_output=True, text=True, check=True, cwd="/"
    ).stdout
    assert printed == run("analyse", "--config", folder, "--trial", "known")
    estimate = json.loads(run("analyse", "--config", folder, "--trial", "known", "--json"))
    assert estimate["low"] < EFFECT < estimate["high"] and estimate["low"] > 0
    assert estimate["clusters"] == 8 and estimate["df"] == 8 - 4
    assert f"95 % interval {100 * estimate['low']:+.1f} to {100 * estimate['high']:+.1f}" in printed
    place = prepare(f"sqlite:///{folder / 'mhcds.db'}")
    (event,) = [row["event"] for row in recorded(place, "export")]
    place.close()
    assert (event["what"], event["count"], event["by"]) == ("trial known", len(rows), "Ann")
    refused = CliRunner().invoke(
        main, ["trial", "export", "--config", str(folder), "--trial", "known", "--out", str(out), "--by", "Ann",
               "--reason", "again"],
    )  # fmt: skip
    assert refused.exit_code == 1 and "expected a new file" in refused.output


def test_an_export_of_drawn_units_names_nobody_and_verify_ends_with_1_where_an_arm_was_changed(tmp_path: Path) -> None:
    folder, out = trial_at(tmp_path / "settings", "by-patient"), tmp_path / "export"
    run("export", "--config", folder, "--trial", "known", "--out", out, "--by", "Ann", "--reason", "analysis")

    place = prepare(f"sqlite:///{folder / 'mhcds.db'}")
    units = {row["unit"] for row in place.rows(allocation)}
    place.close()
    with (out / "trial.csv").open() as file:
        rows = list(csv.DictReader(file))
    text = (out / "trial.csv").read_text()
    assert len({row["unit"] for row in rows}) == len(units) == 72
    assert not any(unit in text for unit in units)
    (state,) = json.loads(run("show", "--config", folder, "--json"))
    assert (state["units"], state["units_live"] + state["units_silent"]) == (72, 72)
    (folder / "trials" / "known.toml").write_text(protocol("by-patient").replace("2025-03-30", "2999-03-30"))
    assert not [name for name in json.loads(run("show", "--config", folder, "--json"))[0] if "live" in name]
    (folder / "trials" / "known.toml").write_text(protocol("by-patient"))
    assert run("verify", "--config", folder) == "known: 72 units, 72 answers, 0 events erased: as recorded\n"
    assert "72 clusters" in run("analyse", "--config", folder, "--trial", "known")

    place = prepare(f"sqlite:///{folder / 'mhcds.db'}")
    with place.transaction() as connection:
        connection.execute(allocation.update().where(allocation.c.number == 5).values(arm="other"))
    place.close()

    said = run("verify", "--config", folder, "--trial", "known", code=1)
    assert "as number 5 of its stratum; found other" in said


def test_a_trial_that_is_not_there_is_said_so(folder: Path) -> None:
    said = run("analyse", "--config", folder, "--trial", "knwon", code=1)  # codespell:ignore knwon

    assert "--trial: expected one of known; found knwon" in said  # codespell:ignore knwon
