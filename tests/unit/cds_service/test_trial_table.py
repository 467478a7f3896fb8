"""A trial's table from hand-made episodes: a row an episode, each column in the dictionary, nobody's pseudonym."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from cds_service.monitoring.episodes import Episode, Exposure
from cds_service.monitoring.trial_table import COLUMNS, trial_rows
from cds_service.settings.trials import Design, Endpoint, Trial, TrialClinic

BEGAN = datetime(2027, 2, 1, 9, 0, tzinfo=UTC)
WEDGE = Trial(
    id="wedge", version=2, title="Wedge", site="north", outcome="depression", design=Design.STEPPED_WEDGE,
    begins=date(2027, 1, 4), ends=date(2027, 12, 31), endpoint=Endpoint.ACTED, population="flagged", seed="", blocks=(),
    clinics=tuple(
        TrialClinic(name=name, references=(f"Location/{name}",), live_from=day)
        for name, day in (("river", date(2027, 1, 18)), ("hill", date(2027, 2, 1)), ("wood", date(2027, 3, 1)))
    ),
)  # fmt: skip
EPISODE = Episode(
    site="north", outcome="depression", version="3.0.0", patient="p" * 32, at=BEGAN, month="2027-02", probability=0.4,
    flagged=True, shown=True, seen=BEGAN + timedelta(days=1), positive=True, measured=BEGAN + timedelta(days=7),
    exposure=Exposure(trial="wedge", version="1", unit="river", stratum="2027-01-18", arm="live"),
)  # fmt: skip


def rows(*episodes: Episode, trial: Trial = WEDGE) -> list[dict[str, str]]:
    return list(trial_rows(trial, episodes, lambda unit: f"new name of {unit}", lambda at: at.date()))


def test_an_episode_is_a_row_with_every_column_of_the_dictionary() -> None:
    (row,) = rows(EPISODE)

    assert list(row) == list(COLUMNS)
    assert row == {
        "trial": "wedge", "protocol_version": "1", "site": "north", "model_version": "3.0.0", "cluster": "river",
        "period": "2", "unit": "river",
        "person": f"new name of {'p' * 32}", "stratum": "2027-01-18", "arm": "live", "exposed": "1", "flagged": "1",
        "complete": "1", "outcome_measured": "1", "positive": "1", "acted_within_7_days": "1", "day": "28",
        "exposed_day": "29", "measured_day": "35",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"measured": BEGAN + timedelta(days=8)}, {"acted_within_7_days": "0", "outcome_measured": "1"}),
        ({"measured": None, "positive": None}, {"positive": "", "measured_day": "", "acted_within_7_days": "0"}),
        ({"positive": False}, {"positive": "0", "outcome_measured": "1"}),
        ({"shown": False, "seen": None}, {"exposed": "0", "exposed_day": ""}),
        ({"over": False}, {"complete": "0"}),
        ({"at": BEGAN - timedelta(days=28)}, {"day": "0", "period": "0"}),
    ],
    ids=["after a week", "not measured", "not there", "not shown", "not over", "on the first day"],
)
def test_what_a_row_says(changes, expected) -> None:
    (row,) = rows(replace(EPISODE, **changes))

    assert row | expected == row


def test_episodes_of_other_trials_sites_and_outcomes_and_outside_are_left_out() -> None:
    exposure = EPISODE.exposure
    assert exposure is not None
    others = (
        replace(EPISODE, exposure=None),
        replace(EPISODE, exposure=replace(exposure, trial="other")),
        replace(EPISODE, site="south"),
        replace(EPISODE, outcome="suicidal-ideation"),
    )

    assert rows(*others) == []


def test_a_unit_that_was_drawn_has_a_name_of_the_export_alone() -> None:
    trial = replace(WEDGE, design=Design.BY_CLINICIAN, clinics=())
    exposure = Exposure(trial="wedge", version="1", unit="c" * 32, stratum="", arm="silent")

    (row,) = rows(replace(EPISODE, exposure=exposure, shown=False), trial=trial)

    assert row["unit"] == row["cluster"] == f"new name of {'c' * 32}"
    assert (row["period"], row["stratum"], row["arm"]) == ("1", "", "silent")
    assert "p" * 32 not in row.values()
