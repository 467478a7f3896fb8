"""The arm of a call: read, or assigned when its unit is first met, in one transaction with its event of the chain.

A unit that was drawn keeps its arm whatever becomes of settings, workers and clocks. A clinic of a stepped wedge keeps
the day with which it was met, and its arm follows from that day and today, so a wrong clock errs while it is wrong.
Where the arm cannot be had the model is silent, and why is recorded.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

import sqlalchemy as sa

from cds_service.control.permission import Asker, relative
from cds_service.control.version import lock
from cds_service.errors import StoreUnavailable
from cds_service.keys.data_key import DataKey
from cds_service.settings.trials import Design, Trial, trial_of
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.store import Store
from cds_service.storage.tables import allocation
from cds_service.trials.arms import LIVE, SILENT, arm_of
from cds_service.trials.protocols import ProtocolChanged, is_recorded, record
from models.scoring.risk import NotScoredReason

log = logging.getLogger("mhcds")
PURPOSE = b"trial"
BY_DAY = "by-day"  # of a clinic of a stepped wedge, instead of an arm


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialUnit:
    """Who or what is assigned. patient: its pseudonym where it is one, so that an erasure finds it."""

    name: str
    stratum: str
    patient: str | None = None


@dataclass(slots=True, kw_only=True)
class TrialArm:
    """Says why a model keeps silent in this call's trial (`ArmOf`), and remembers what was assigned.

    exposure: as the answer's event holds it; None until a model was asked for, and outside a trial.
    """

    store: Store
    key: DataKey
    trials: Iterable[Trial]
    who: Asker
    now: datetime
    exposure: dict[str, str] | None = field(default=None, init=False)

    def __call__(self, outcome: str, departments: tuple[str, ...], today: date) -> NotScoredReason | None:
        """None in the live arm. today: by the site's calendar."""
        trial = trial_of(self.trials, self.who.site, outcome, today)
        if trial is None or not trial.runs(today):
            return NotScoredReason.TRIAL_NOT_RUNNING
        unit = unit_of(trial, self.key, self.who, departments)
        if unit is None:
            return NotScoredReason.NOT_IN_TRIAL
        try:
            stratum, arm = assign(self.store, self.key, trial, unit, today, self.now)
        except StoreUnavailable:
            return self._silent(trial, NotScoredReason.TRIAL_NOT_READ, "the store failed")
        except ProtocolChanged as problem:
            return self._silent(trial, NotScoredReason.TRIAL_NOT_RUNNING, str(problem))
        said = {"id": trial.id, "outcome": outcome, "version": str(trial.version), "unit": unit.name}
        self.exposure = said | {"stratum": stratum, "arm": arm}
        return None if arm == LIVE else NotScoredReason.SILENT

    def _silent(self, trial: Trial, reason: NotScoredReason, problem: str) -> NotScoredReason:
        log.error(json.dumps({"event": "trial-not-assigned", "trial": trial.id, "reason": reason, "problem": problem}))
        return reason


def unit_of(trial: Trial, key: DataKey, who: Asker, departments: tuple[str, ...]) -> TrialUnit | None:
    """The unit of a call; None where the protocol has none for it: another clinic, or nobody knows who asks."""
    clinic = trial.clinic_of(map(relative, departments))
    if clinic is None and trial.clinics:
        return None
    stratum = clinic.name if clinic else ""
    if trial.design is Design.BY_PATIENT:
        return TrialUnit(name=who.patient, stratum=stratum, patient=who.patient)
    if trial.design is Design.BY_CLINICIAN:
        # Some EHRs name the user by an address in one call and without it in the next.
        return TrialUnit(name=key.pseudonym(who.site, relative(who.user)), stratum=stratum) if who.user else None
    return TrialUnit(name=stratum, stratum=str(clinic.live_from)) if clinic else None


def assign(store: Store, key: DataKey, trial: Trial, unit: TrialUnit, today: date, now: datetime) -> tuple[str, str]:
    """Stratum and arm of the unit, as of when it was first met. Raises StoreUnavailable, ProtocolChanged."""
    with store.transaction(snapshot=True) as connection:
        kept = _kept(connection, trial, unit) if is_recorded(connection, trial) else None
    if kept is None:
        with store.transaction() as connection:
            lock(connection)
            record(connection, trial, now)
            # Only now for good: another worker may have met it meanwhile.
            kept = _kept(connection, trial, unit) or _add(connection, key, trial, unit, now)
    stratum, arm = kept
    return stratum, arm_on(stratum, today) if trial.is_wedge else arm


def arm_on(stratum: str, day: date) -> str:
    """The arm of a clinic of a stepped wedge. stratum: the day from which it is live."""
    return LIVE if str(day) >= stratum else SILENT


def _one(trial: Trial, unit: TrialUnit) -> sa.ColumnElement[bool]:
    c = allocation.c
    return sa.and_(c.trial == trial.id, c.site == trial.site, c.unit == unit.name)


def _kept(connection: sa.Connection, trial: Trial, unit: TrialUnit) -> tuple[str, str] | None:
    """Stratum and arm."""
    row = connection.execute(sa.select(allocation.c.stratum, allocation.c.arm).where(_one(trial, unit))).first()
    return None if row is None else (row.stratum, row.arm)


def _add(connection: sa.Connection, key: DataKey, trial: Trial, unit: TrialUnit, now: datetime) -> tuple[str, str]:
    c = allocation.c
    met = sa.select(sa.func.count()).where(c.trial == trial.id, c.site == trial.site, c.stratum == unit.stratum)
    number = connection.scalar(met) or 0
    arm = BY_DAY if trial.is_wedge else arm_of(key.derived(PURPOSE), trial, unit.stratum, number)
    row = {"trial": trial.id, "site": trial.site, "unit": unit.name, "stratum": unit.stratum, "number": number}
    connection.execute(allocation.insert().values(**row, arm=arm, at=now.isoformat()))
    _say(connection, trial, unit, now, number=number, arm=arm)
    return unit.stratum, arm


def _say(connection: sa.Connection, trial: Trial, unit: TrialUnit, now: datetime, *, number: int, arm: str) -> None:
    place = {"unit": unit.name, "stratum": unit.stratum, "number": number, "arm": arm}
    event = {"act": "assigned", "trial": trial.id, "version": str(trial.version), "site": trial.site} | place
    moment = now.isoformat()
    append(
        connection,
        NewEvent(site=trial.site, kind=AuditKind.TRIAL, at=moment, event=event, patient=unit.patient),
    )
