"""Whether a trial is what its records say: protocol, allocations, their events in the chain, and the answers given.

Each arm is computed again from the key. What an erasure took from the chain is counted, not taken for a fault.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from cds_service.audit.erasure import ERASED_UNIT
from cds_service.keys.data_key import DataKey
from cds_service.settings.trials import Trial
from cds_service.storage.chain import AuditKind
from cds_service.storage.store import Store
from cds_service.storage.tables import allocation, audit_event, trial_protocol
from cds_service.trials.arms import arm_of
from cds_service.trials.assigning import BY_DAY, PURPOSE, arm_on
from cds_service.trials.protocols import protocol_problems


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCheck:
    """What was looked at, and what is wrong. erased: of events of trials at the site, those without their content."""

    units: int
    answers: int
    erased: int
    faults: tuple[str, ...]


class _Assigned(msgspec.Struct, kw_only=True):
    act: str
    trial: str
    version: str
    digest: str = ""
    unit: str = ""
    stratum: str = ""
    number: int = 0
    arm: str = ""


class _Answered(msgspec.Struct, kw_only=True):
    trial: dict[str, str]
    ms: float = 0.0


def in_trial(trial: Trial, arm: str = "") -> sa.ColumnElement[bool]:
    """The answers given in a trial, or in one arm of it."""
    held = f'%"trial":{{"id":"{trial.id}",%' + (f'"arm":"{arm}"%' if arm else "")
    c = audit_event.c
    return sa.and_(c.site == trial.site, c.kind == AuditKind.ANSWER.value, c.event.like(held))


def verified(store: Store, key: DataKey, trial: Trial, day_of: Callable[[datetime], date]) -> TrialCheck:
    """Looks at everything of a trial. day_of: by the site's calendar. Raises StoreUnavailable."""
    c = audit_event.c
    of_trials = sa.and_(c.site == trial.site, c.kind == AuditKind.TRIAL.value)
    wanted = sa.select(c.seq, c.at, c.kind, c.event).where(sa.or_(of_trials, in_trial(trial))).order_by(c.seq)
    faults = list(protocol_problems(store, [trial]))
    with store.transaction(snapshot=True, patient=True) as connection:
        events = connection.execute(wanted).all()
        rows = connection.execute(
            sa.select(allocation)
            .where(allocation.c.trial == trial.id)
            .order_by(allocation.c.stratum, allocation.c.number)
        ).all()
        protocols = connection.execute(sa.select(trial_protocol).where(trial_protocol.c.trial == trial.id)).all()
    erased = sum(row.event is None for row in events)
    said, answers, wrong = _told(trial, events, {row.unit for row in rows} if erased else frozenset(), day_of)
    faults += wrong
    faults += _of_rows(trial, key, rows)
    unsaid = [
        f"{row.unit}: expected an event of the chain that assigns it {row.arm} as number {row.number}; found none"
        for row in rows
        if not row.unit.startswith(ERASED_UNIT)
        and not any((e.stratum, e.number, e.arm) == (row.stratum, row.number, row.arm) for e in said[row.unit][-1:])
    ]
    unsaid += [
        f"version {row.version}: expected an event of the chain with its digest; found none"
        for row in protocols
        if not any((e.version, e.digest) == (str(row.version), row.digest) for e in said[""])
    ]
    faults += unsaid if len(unsaid) > erased else []
    there = {row.unit for row in rows}
    faults += [
        f"{unit}: the chain assigns it, and no allocation is on file" for unit in said if unit and unit not in there
    ]
    return TrialCheck(units=len(rows), answers=answers, erased=erased, faults=tuple(faults))


def _told(
    trial: Trial,
    events: Sequence[sa.Row[*tuple[Any, ...]]],
    kept: frozenset[str] | set[str],
    day_of: Callable[[datetime], date],
) -> tuple[dict[str, list[_Assigned]], int, list[str]]:
    """Unit -> its assignments in the chain ("": protocols), how many answers, and those in another arm than their unit.

    kept: units whose assignment may have been erased.
    """
    said, answers, faults = defaultdict[str, list[_Assigned]](list), 0, list[str]()
    for row in events:
        if row.event is None:
            continue
        if row.kind == AuditKind.TRIAL:
            event = msgspec.json.decode(row.event, type=_Assigned)
            if event.trial == trial.id:
                said[event.unit].append(event)
            continue
        answers += 1
        answer = msgspec.json.decode(row.event, type=_Answered)
        given, at = answer.trial, datetime.fromisoformat(row.at)
        last = said[given["unit"]][-1] if said[given["unit"]] else None
        arms = {last.arm} if last else {"none, as yet"}
        if last and last.arm == BY_DAY:
            # A call may begin on one day and be recorded on the next.
            arms = {arm_on(last.stratum, day_of(moment)) for moment in (at, at - timedelta(milliseconds=answer.ms))}
        if given["arm"] not in arms and not (last is None and given["unit"] in kept):
            faults.append(f"answer {row.seq}: expected arm {min(arms)}, as assigned; found {given['arm']}")
    return said, answers, faults


def _of_rows(trial: Trial, key: DataKey, rows: Sequence[sa.Row[*tuple[Any, ...]]]) -> list[str]:
    """Allocations out of turn, and those in another arm than the key gives."""
    faults, met = list[str](), defaultdict[str, int](int)
    for row in rows:
        if row.number != met[row.stratum]:
            faults.append(f"{row.unit}: expected number {met[row.stratum]} of its stratum; found {row.number}")
        met[row.stratum] = row.number + 1
        arm = BY_DAY if trial.is_wedge else arm_of(key.derived(PURPOSE), trial, row.stratum, row.number)
        if row.arm != arm:
            faults.append(f"{row.unit}: expected arm {arm}, as number {row.number} of its stratum; found {row.arm}")
    return faults
