"""Trials of a model: at which site, by which design, who is assigned, from when to when; `trials/*.toml`.

A protocol is written before its trial begins. What is wrong in a file is a problem like any other of the settings. What
matters of it has a digest, which goes on record when the first unit is assigned (`cds_service.trials.protocols`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import Literal

import msgspec

from cds_service.settings.files import read_toml
from cds_service.settings.shapes import lacking, numbered, one_of, shown
from models.inputs.outcomes import Outcome

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
REFERENCE = re.compile(r"(Location|Organization)/[A-Za-z0-9.-]{1,64}")
LEAST_SEED, MOST_TEXT = 8, 200


class Design(StrEnum):
    """What is assigned to an arm, and how."""

    STEPPED_WEDGE = "stepped-wedge"  # clinics, each from a day that the protocol names
    BY_CLINICIAN = "by-clinician"  # at random, in blocks
    BY_PATIENT = "by-patient"


class Endpoint(StrEnum):
    """What is compared between the arms: of each episode yes or no, read from the chart alone."""

    ACTED = "acted"  # the outcome's questions were answered within 7 days of the first score
    MEASURED = "measured"  # within the site's outcome window
    FOUND = "found"  # so, and the outcome was there


class TrialClinicTable(msgspec.Struct):
    """`[[clinic]]`."""

    name: str = ""
    references: list[str] = []
    also: list[str] = []
    live_from: date | None = None


class TrialFile(msgspec.Struct):
    """`trials/<name>.toml`."""

    id: str = ""
    version: int = 0
    title: str = ""
    site: str = ""
    outcome: Outcome | None = None
    design: Design | None = None
    begins: date | None = None
    ends: date | None = None
    endpoint: Endpoint = Endpoint.ACTED
    population: Literal["flagged", "all"] = "flagged"
    seed: str = ""
    blocks: list[int] = msgspec.field(default_factory=lambda: [4, 6])
    clinic: list[TrialClinicTable] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialClinic:
    """A clinic by the references of its encounters, older and newer ones alike. live_from: in a stepped wedge."""

    name: str
    references: tuple[str, ...]
    live_from: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One protocol. version: of the file. begins, ends: its first and last day, by the site's calendar.

    population: of which episodes the endpoint is compared. seed, blocks: of a randomised design; sizes of its blocks.
    clinics: those that take part; none in a randomised design: all, as one stratum. path: of the file.
    """

    id: str
    version: int
    title: str
    site: str
    outcome: str
    design: Design
    begins: date
    ends: date
    endpoint: Endpoint
    population: str
    seed: str
    blocks: tuple[int, ...]
    clinics: tuple[TrialClinic, ...]
    path: Path | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of all that matters, in hex: not of the title, nor of the order of clinics.

        Of what is named here: a later release adds a name only where its value is not the default, so that the digest
        of a trial that runs stays.
        """
        named = ("id", "site", "outcome", "design", "begins", "ends", "endpoint", "population", "seed", "blocks")
        core: dict[str, object] = {name: getattr(self, name) for name in named}
        core["clinics"] = sorted((one.name, sorted(one.references), str(one.live_from)) for one in self.clinics)
        return hashlib.sha256(msgspec.json.encode(core)).hexdigest()

    @property
    def is_wedge(self) -> bool:
        """Whether the arm follows from clinic and day."""
        return self.design is Design.STEPPED_WEDGE

    @property
    def steps(self) -> tuple[date, ...]:
        """The days on which some clinic goes live, in a stepped wedge."""
        return tuple(sorted({clinic.live_from for clinic in self.clinics if clinic.live_from}))

    def runs(self, day: date) -> bool:
        """Whether this day, by the site's calendar, is within the trial."""
        return self.begins <= day <= self.ends

    def clinic_of(self, references: Iterable[str]) -> TrialClinic | None:
        """The clinic with one of these relative references; None for none, and for references of two."""
        wanted = set(references)
        found = [clinic for clinic in self.clinics if wanted.intersection(clinic.references)]
        return found[0] if len(found) == 1 else None


def trial_of(trials: Iterable[Trial], site: str, outcome: str, day: date) -> Trial | None:
    """The trial that runs for a model on this day, else the one named for it last; None where none is."""
    found = sorted((t for t in trials if (t.site, t.outcome) == (site, outcome)), key=lambda t: t.begins)
    return next((trial for trial in found if trial.runs(day)), found[-1] if found else None)


def load_trials(folder: Path, sites: Iterable[str], problems: list[str]) -> tuple[Trial, ...]:
    """Those in the folder's `trials/*.toml` that can be used; each problem is appended. sites: the ids there are."""
    known, place = tuple(sites), folder / "trials"
    found = [trial for path in sorted(place.glob("*.toml")) if (trial := _load(path, known, problems)) is not None]
    for one, other in combinations(found, 2):
        files = f"{one.path and one.path.name} and {other.path and other.path.name}"
        if one.id == other.id:
            problems.append(f"{place}: id: {files} have {shown(one.id)}; give each trial its own, or raise version")
        elif one.site == other.site and one.begins <= other.ends and other.begins <= one.ends:
            problems.append(f"{place}: {files} run at site {one.site} at the same time; end one before the other")
    return tuple(found)


REQUIRED: Mapping[str, str] = {
    "title": "expected what the trial asks, in a line",
    "site": "expected the id of the site",
    "outcome": f"expected {one_of(Outcome)}",
    "design": f"expected {one_of(Design)}",
    "begins": "expected its first day, such as 2027-01-04",
    "ends": "expected its last day, such as 2027-12-31",
}


def _load(path: Path, sites: tuple[str, ...], problems: list[str]) -> Trial | None:
    before = len(problems)
    raw = read_toml(path, TrialFile, problems)
    if raw is None:
        return None
    for key, expected in REQUIRED.items():
        if not getattr(raw, key):
            lacking(problems, f"{path}: {key}", f"{expected}; found none")
    if not NAME.fullmatch(raw.id):
        lacking(problems, f"{path}: id", f'expected a name that stays, such as "wedge-2027"; found {shown(raw.id)}')
    if raw.version < 1:
        lacking(problems, f"{path}: version", f"expected 1, and one more with each change; found {raw.version}")
    if raw.title and not (len(raw.title) <= MOST_TEXT and raw.title.isprintable()):
        problems.append(f"{path}: title: expected 1 to {MOST_TEXT} printable characters")
    if raw.site and raw.site not in sites:
        problems.append(f"{path}: site: expected {one_of(sites, raw.site)}; found {shown(raw.site)}")
    if raw.begins and raw.ends and raw.ends < raw.begins:
        problems.append(f"{path}: ends: expected a day from begins on, {raw.begins}; found {raw.ends}")
    (_check_wedge if raw.design is Design.STEPPED_WEDGE else _check_blocks)(path, raw, problems)
    clinics = _clinics(path, raw, problems)
    if len(problems) > before or raw.outcome is None or raw.design is None or raw.begins is None or raw.ends is None:
        return None
    return Trial(
        id=raw.id,
        version=raw.version,
        title=raw.title,
        site=raw.site,
        outcome=raw.outcome.value,
        design=raw.design,
        begins=raw.begins,
        ends=raw.ends,
        endpoint=raw.endpoint,
        population=raw.population,
        seed=raw.seed,
        blocks=tuple(raw.blocks),
        clinics=clinics,
        path=path,
    )


def _check_wedge(path: Path, raw: TrialFile, problems: list[str]) -> None:
    if raw.seed:
        problems.append(f"{path}: seed: a stepped wedge has a schedule and draws nothing; remove it")
    days = [clinic.live_from for clinic in raw.clinic if clinic.live_from]
    if len(set(days)) < 2:  # else there is no step
        problems.append(
            f"{path}: [[clinic]]: expected clinics that go live (live_from) on two days or more; found {len(set(days))}"
        )
    for place, clinic in enumerate(raw.clinic):
        where = f"{path}: {numbered('[[clinic]]', place, len(raw.clinic))} live_from"
        if clinic.live_from is None:
            lacking(problems, where, "expected the day from which its clinicians see estimates; found none")
        elif raw.begins and raw.ends and not raw.begins < clinic.live_from <= raw.ends:
            problems.append(f"{where}: expected a day after begins, up to ends; found {clinic.live_from}")


def _check_blocks(path: Path, raw: TrialFile, problems: list[str]) -> None:
    if raw.design is None:
        return
    if not (LEAST_SEED <= len(raw.seed) <= MOST_TEXT and raw.seed.isprintable()):
        lacking(
            problems,
            f"{path}: seed",
            f"expected {LEAST_SEED} to {MOST_TEXT} characters, as `openssl rand -hex 16` prints",
        )
    if not raw.blocks or any(size % 2 or not 2 <= size <= 20 for size in raw.blocks):
        problems.append(f"{path}: blocks: expected even numbers from 2 to 20, such as [4, 6]; found others")
    if any(clinic.live_from for clinic in raw.clinic):
        problems.append(f"{path}: [[clinic]] live_from: only in a stepped wedge; remove it")


def _clinics(path: Path, raw: TrialFile, problems: list[str]) -> tuple[TrialClinic, ...]:
    found: list[TrialClinic] = []
    owner: dict[str, str] = {}
    for place, one in enumerate(raw.clinic):
        where = f"{path}: {numbered('[[clinic]]', place, len(raw.clinic))}"
        if not NAME.fullmatch(one.name) or any(clinic.name == one.name for clinic in found):
            lacking(problems, f"{where} name", f'expected a name of its own, such as "river"; found {shown(one.name)}')
        references = tuple(dict.fromkeys((*one.references, *one.also)))
        if not one.references or not all(REFERENCE.fullmatch(reference) for reference in references):
            lacking(problems, f"{where} references", 'expected references such as "Location/3"; further ones in also')
        problems += [
            f"{where}: {shown(reference)} is also of clinic {owner[reference]}; name it once"
            for reference in references
            if owner.setdefault(reference, one.name) != one.name
        ]
        found.append(TrialClinic(name=one.name, references=references, live_from=one.live_from))
    return tuple(found)
