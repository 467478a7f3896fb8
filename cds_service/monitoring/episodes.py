"""Episodes: a patient's scores of one version within the outcome window, with the first outcome measured in it.

A score that no window covers begins one. It is of the site's window, 14 days by default, and holds every later score of
the same patient, model and version until it ends. A result on file is the outcome of an episode if it was answered
after its first score and within its window; of several the first counts, and each counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

LEAST_PEOPLE = 11
"""No figure of fewer people leaves the store."""
UNRECORDED = "unrecorded"
"""The group of whoever's chart says nothing of one, as `fhir_adapters.reading.audit_groups` records it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """In which trial an episode began. unit: who or what was assigned; stratum, arm: as in the trial's file."""

    trial: str
    version: str
    unit: str
    stratum: str
    arm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One episode. patient, department: pseudonyms. at, month (`2026-11`, by the site's calendar): of its first score.

    probability, flagged (at or above the threshold then in force), inputs: of its first score. inputs: a character an
    input in the order of the model's schema, the bin of `reference.json` as 0 to 9 or a dash where it was not known.
    shown: whether any of its scores was said; seen: when one first was. sex: female, male, other or unknown. age_band:
    such as `30-44`, or unknown. groups: what the site has switched on (race-ethnicity, language, payer), unrecorded
    where the chart has none. positive: the outcome, or None where none was measured within the window; measured: when
    it was answered; known: when
    an event first had it. over: whether the window had passed when this was counted: others may yet get an outcome.
    """

    site: str
    outcome: str
    version: str
    patient: str
    at: datetime
    month: str
    probability: float
    flagged: bool
    shown: bool
    seen: datetime | None = None
    inputs: str = ""
    sex: str = "unknown"
    age_band: str = "unknown"
    groups: Mapping[str, str] = field(default_factory=dict)
    department: str | None = None
    exposure: Exposure | None = None
    positive: bool | None = None
    measured: datetime | None = None
    known: datetime | None = None
    over: bool = True
