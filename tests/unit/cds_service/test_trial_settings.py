"""Protocols of trials: read from files, each mistake named; what their digest holds; which trial a day belongs to."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from cds_service.settings.config import load_config, read_config
from cds_service.settings.files import files_digest
from cds_service.settings.mismatches import mismatches
from cds_service.settings.trials import Design, Endpoint, Trial, TrialClinic, trial_of

EXAMPLES = Path(__file__).parents[2] / "config" / "trials"
WEDGE, BY_PATIENT = ((EXAMPLES / f"{name}.good.toml").read_text() for name in ("wedge", "by-patient"))
# What the message must say, per file.
MISTAKES = {
    "no-such-site": 'site: expected "north"; found "nort"',
    "no-such-design": 'design: expected "stepped-wedge" or "by-clinician" or "by-patient"; found "wedge"',
    "version-as-text": 'version: expected a whole number without quotation marks; found "1"',
    "ends-before-it-begins": "ends: expected a day from begins on, 2027-01-04; found 2026-12-31",
    "live-after-the-end": "[[clinic]] no. 2 live_from: expected a day after begins, up to ends; found 2028-07-05",
    "wedge-of-one-step": "[[clinic]]: expected clinics that go live (live_from) on two days or more; found 1",
    "clinic-named-twice": '[[clinic]] no. 2: "Location/33" is also of clinic river; name it once',
    "clinic-without-reference": '[[clinic]] no. 2 references: expected references such as "Location/3"; further ones in also',
    "wedge-with-a-seed": "seed: a stepped wedge has a schedule and draws nothing; remove it",
    "draw-without-seed": "seed: expected 8 to 200 characters, as `openssl rand -hex 16` prints",
    "odd-block": "blocks: expected even numbers from 2 to 20, such as [4, 6]; found others",
    "draw-with-a-schedule": "[[clinic]] live_from: only in a stepped wedge; remove it",
}  # fmt: skip


def folder(place: Path, *trials: str) -> Path:
    for name in ("sites", "trials"):
        (place / name).mkdir(parents=True)
    (place / "service.toml").write_text('mode = "development"\n')
    (place / "sites" / "north.toml").write_text("")
    for number, text in enumerate(trials):
        (place / "trials" / f"{number}.toml").write_text(text)
    return place


@pytest.fixture
def trials(tmp_path: Path) -> tuple[Trial, ...]:
    return load_config(folder(tmp_path, WEDGE, BY_PATIENT)).trials


def test_good_files_are_read_in_full(trials) -> None:
    wedge, drawn = trials

    assert (wedge.id, wedge.version, wedge.design) == ("wedge-2027", 1, Design.STEPPED_WEDGE)
    assert wedge.clinics[0] == TrialClinic(
        name="river",
        references=("Location/3", "Location/33", "Organization/river"),
        live_from=date(2027, 4, 5),
    )
    assert wedge.steps == (date(2027, 4, 5), date(2027, 7, 5))
    assert (wedge.endpoint, wedge.population) == (Endpoint.ACTED, "flagged")
    assert (drawn.design, drawn.seed, drawn.blocks) == (Design.BY_PATIENT, "7c1f0a9be2d44f61", (4, 6, 8))
    assert (drawn.endpoint, drawn.population) == (Endpoint.FOUND, "all")


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, name: str) -> None:
    place = folder(tmp_path, (EXAMPLES / f"{name}.bad.toml").read_text())

    assert f"{place}/trials/0.toml: {MISTAKES[name]}" in read_config(place)[1]


def test_every_example_of_a_mistake_is_tried() -> None:
    assert {p.name.removesuffix(".bad.toml") for p in EXAMPLES.glob("*.bad.toml")} == set(MISTAKES)


def test_trials_of_one_id_or_at_one_time_are_refused(tmp_path: Path) -> None:
    other = WEDGE.replace("wedge-2027", "wedge-2028")
    same, together = folder(tmp_path / "a", WEDGE, WEDGE), folder(tmp_path / "b", WEDGE, other)

    assert read_config(same)[1] == [
        f'{same}/trials: id: 0.toml and 1.toml have "wedge-2027"; give each trial its own, or raise version'
    ]
    assert read_config(together)[1] == [
        f"{together}/trials: 0.toml and 1.toml run at site north at the same time; end one before the other"
    ]


def test_the_digest_holds_what_matters_and_nothing_else(trials) -> None:
    wedge, _ = trials
    same = replace(wedge, title="Another title", version=2, path=None, clinics=wedge.clinics[::-1])
    longer = replace(wedge, ends=date(2028, 1, 31))
    renamed = replace(wedge.clinics[1], references=("Location/4", "Location/44"))

    assert same.digest == wedge.digest
    assert len({wedge.digest, longer.digest, replace(wedge, clinics=(wedge.clinics[0], renamed)).digest}) == 3


def test_a_protocol_is_among_the_settings(tmp_path: Path) -> None:
    place = folder(tmp_path, WEDGE)
    before = files_digest(place)

    (place / "trials" / "0.toml").write_text(WEDGE.replace("2027-12-31", "2027-12-30"))

    assert files_digest(place) != before


@pytest.mark.parametrize(
    ("references", "name"),
    [
        (["Location/33"], "river"),
        (["Location/99", "Organization/river"], "river"),
        (["Location/3", "Location/4"], None),
        (["Location/99"], None),
        ([], None),
    ],
    ids=["after it was renamed", "beside another place", "of two", "of none", "without one"],
)
def test_which_clinic_a_visit_is_at(trials, references, name) -> None:
    clinic = trials[0].clinic_of(references)

    assert (clinic.name if clinic else None) == name


def test_a_day_belongs_to_the_trial_that_runs_then(trials) -> None:
    def of(day: date, site: str = "north", outcome: str = "depression") -> str | None:
        found = trial_of(trials, site, outcome, day)
        return found.id if found else None

    assert of(date(2027, 5, 1)) == "wedge-2027"
    assert of(date(2028, 5, 1)) == "patients-2028"
    assert of(date(2029, 5, 1)) == "patients-2028"
    assert of(date(2027, 5, 1), outcome="suicidal-ideation") is of(date(2027, 5, 1), site="south") is None


def test_check_config_warns_of_a_trial_that_cannot_be_analysed_or_sees_the_arms_unlike(tmp_path: Path) -> None:
    config = load_config(folder(tmp_path, WEDGE, BY_PATIENT))

    lines = [line for line in mismatches(config, config.sites[0]) if line.startswith("trial ")]

    assert lines[0].startswith("trial wedge-2027 cannot be analysed: 2 clinics for 2 steps; expected 5 clinics or more")
    assert [line.partition(":")[0] for line in lines[1:]] == ["trial wedge-2027", "trial patients-2028"]
    assert all("favours the live arm" in line for line in lines[1:])
