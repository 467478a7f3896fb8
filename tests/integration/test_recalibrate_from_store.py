"""Scores and outcomes on record become a new version: earlier ones fit it, later ones check it, and it begins silent."""

from __future__ import annotations

import random
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from ehr import settings
from model_versions import OLD

from cds_service.commands.monitoring import recalibrate as command
from cds_service.control.permission import asker, permission
from cds_service.control.snapshot import read_state
from cds_service.serving.engine import load_engine
from cds_service.settings.config import load_config
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.opening import prepare
from models.scoring.registry import SHIPPED, load_model
from models.scoring.risk import NotScoredReason

VERSION, SERVICE = OLD["depression"], "depression-suicide-risk"
NOW = datetime.now(UTC)
UNTIL = (NOW - timedelta(days=90)).date()


def calls(people: int, *, odds: float, seed: int = 1) -> list[NewEvent]:
    """A silent score of each person, evenly over 180 days, and of three in four a PHQ-9 seen five days later.

    odds: of the outcome, beside those of the score.
    """
    generator, events = random.Random(seed), []
    for number in range(people):
        at = NOW - timedelta(days=200 - 180 * number / people)
        probability = round(generator.uniform(0.02, 0.6), 4)
        score = {
            "model": f"depression {VERSION}",
            "probability": probability,
            "shown": False,
            "flagged": False,
            "inputs": "",
        }
        own = {"service": SERVICE, "status": 200, "site": "north"}
        events.append((at, f"p{number}", own | {"scores": [score]}))
        if generator.random() < 0.75:
            true = probability * odds / (1 - probability + probability * odds)
            later = at + timedelta(days=5)
            result = {
                "outcome": "depression",
                "positive": generator.random() < true,
                "on": later.isoformat(),
                "id": f"r{number}",
            }
            events.append((later, f"p{number}", own | {"measured": [result]}))
    return [
        NewEvent(site="north", kind=AuditKind.ANSWER, at=at.isoformat(), event=event, patient=patient)
        for at, patient, event in sorted(events, key=lambda event: event[0])
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Settings of two sites that no approval governs."""
    return settings(tmp_path / "deployment", sites={"north": {}, "south": {}})


def fill(folder: Path, events: list[NewEvent]) -> None:
    store = prepare(load_config(folder).store)
    with store.transaction() as connection:
        append(connection, *events)
    store.close()


def recalibrate(folder: Path, out: Path, *more: str) -> Result:
    return run("--from-store", "--config", str(folder), "--site", "north", "--model", "depression",
               "--until", UNTIL.isoformat(), "--out", str(out), *more)  # fmt: skip


def run(*more: str) -> Result:
    return CliRunner().invoke(command, more)


def test_a_site_whose_level_is_higher_gets_it_back_on_later_people_in_a_version_that_begins_silent(
    folder: Path, tmp_path: Path
) -> None:
    fill(folder, calls(1600, odds=2.2))

    done = recalibrate(folder, tmp_path / "new")

    assert done.exit_code == 0, done.stderr
    said = done.stdout
    assert re.search(r"scored before \d{4}-\d\d-\d\d: \d+ episodes, 7\d% of them with an outcome", said)
    later = said.partition("scored later")[2]
    before, after = (float(x) for x in re.findall(r"observed over expected (\d\.\d\d)", later)[:2])
    assert before > 1.25
    assert 0.85 < after < 1.15
    (new,) = (tmp_path / "new" / "depression").iterdir()
    kept = load_model(new).manifest.recalibration
    assert kept["later"]["n"] + kept["n"] == sum("measured" in event.event for event in calls(1600, odds=2.2))
    assert kept["later"]["before"] != kept["later"]["after"]

    # Used by a site that is not governed, where a model without a mode would be live.
    shutil.copytree(SHIPPED / "suicidal-ideation", tmp_path / "new" / "suicidal-ideation")
    file = folder / "service.toml"
    file.write_text(f'models = "{tmp_path / "new"}"\n' + file.read_text())
    config = load_config(folder)
    store = prepare(config.store)
    state, models = read_state(store), load_engine(config.models).models
    store.close()
    verdicts = {
        (site, model.outcome): permission(
            state, config, asker(b"k", site, SERVICE, None, "p"), NOW.date(), model, ()
        ).why_not
        for site in ("north", "south")
        for model in models
    }
    assert verdicts == {
        ("north", "depression"): NotScoredReason.SILENT,
        ("south", "depression"): NotScoredReason.SILENT,
        ("north", "suicidal-ideation"): None,
        ("south", "suicidal-ideation"): None,
    }
    (row,) = [row for row in state.modes.values() if row.site == "north"]
    assert (row.by, row.through, row.version) == ("service", "recalibration", new.name)


@pytest.mark.parametrize(
    ("people", "odds", "complaint"),
    [(100, 1.0, "at least 30 people with the outcome and 30 without;"), (0, 1.0, "0 with and 0 without")],
    ids=["too few", "nobody"],
)
def test_too_few_are_refused_and_nothing_is_recorded(folder: Path, tmp_path: Path, people, odds, complaint) -> None:
    fill(folder, calls(people, odds=odds))

    done = recalibrate(folder, tmp_path / "new")

    assert done.exit_code == 1
    assert complaint in done.stderr
    assert not any(tmp_path.glob("new/depression/*"))
    store = prepare(load_config(folder).store)
    assert read_state(store).modes == {}
    store.close()


def test_where_few_have_an_outcome_it_is_refused_unless_somebody_says_that_they_know(
    folder: Path, tmp_path: Path
) -> None:
    few = [event for number, event in enumerate(calls(4000, odds=1.5)) if "scores" in event.event or number % 4 == 0]
    fill(folder, few)

    refused = recalibrate(folder, tmp_path / "new")
    done = recalibrate(folder, tmp_path / "new", "--despite-selection")

    assert refused.exit_code == 1
    assert "at least 50% of episodes in both; found 1" in refused.stderr
    assert done.exit_code == 0, done.stderr
    (new,) = (tmp_path / "new" / "depression").iterdir()
    assert 0.1 < load_model(new).manifest.recalibration["measured"]["earlier"] < 0.25


def test_enough_to_fit_and_too_few_later_on_are_refused(folder: Path, tmp_path: Path) -> None:
    fill(folder, calls(700, odds=1.5))

    done = recalibrate(folder, tmp_path / "new", "--until", (NOW - timedelta(days=22)).date().isoformat())

    assert done.exit_code == 1
    assert "at least 10 people with the outcome and 10 without later on" in done.stderr


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--labels", "x.csv"), "no --labels"),
        (("--site", "nowhere"), 'expected "north" or "south"'),
        (("--model", "depression@1.0.0"), "version of depression"),
    ],
)  # fmt: skip
def test_what_was_asked_wrongly_is_said(folder: Path, tmp_path: Path, more: tuple[str, ...], complaint: str) -> None:
    done = recalibrate(folder, tmp_path / "new", *more)

    assert done.exit_code != 0
    assert complaint in done.stderr


def test_without_labels_and_without_the_store_there_is_nothing_to_fit() -> None:
    done = run("--model", str(SHIPPED / "depression"))

    assert done.exit_code == 2
    assert "expected --labels FILE, or --from-store" in done.stderr
