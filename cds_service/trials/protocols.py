"""Protocols on record: what a trial has begun by, and whether a file is still that.

A file that changed after the first assignment is used only with a higher version, and what decides arms never changes.
Otherwise the trial does not go on, and its model is silent: the service, its rules above all, does not depend on it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

import msgspec
import sqlalchemy as sa

from cds_service.errors import StoreUnavailable
from cds_service.settings.trials import Trial
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.store import Store
from cds_service.storage.tables import allocation, trial_protocol

log = logging.getLogger("mhcds")


class ProtocolChanged(Exception):
    """The file is not what is on record; the message says what to do."""


def fixed_of(trial: Trial) -> str:
    """SHA-256 of what no later version may change, in hex."""
    fixed = (trial.site, trial.outcome, trial.design, trial.begins, trial.seed, trial.blocks)
    return hashlib.sha256(msgspec.json.encode(fixed)).hexdigest()


def is_recorded(connection: sa.Connection, trial: Trial) -> bool:
    """Whether this version is the last one used, and the file still is what it was."""
    last = _last(connection, trial)
    return last is not None and (last.version, last.digest) == (trial.version, trial.digest)


def record(connection: sa.Connection, trial: Trial, now: datetime) -> None:
    """Puts a new protocol, or a later version, on record. Raises ProtocolChanged. The caller holds the lock of acts."""
    last = _last(connection, trial)
    if (problem := _problem(connection, trial, last)) is not None:
        raise ProtocolChanged(problem)
    if last is not None and last.version == trial.version:
        return
    row = {"trial": trial.id, "version": trial.version, "digest": trial.digest, "at": now.isoformat()}
    connection.execute(trial_protocol.insert().values(**row, fixed=fixed_of(trial)))
    event = {"act": "amended" if last else "begun", "trial": trial.id, "version": str(trial.version)}
    append(
        connection,
        NewEvent(
            site=trial.site,
            kind=AuditKind.TRIAL,
            at=now.isoformat(),
            event=event | {"site": trial.site, "digest": trial.digest},
        ),
    )


def protocol_problems(store: Store, trials: Iterable[Trial]) -> tuple[str, ...]:
    """What the files say that is not on record, a line each. Raises StoreUnavailable."""
    with store.transaction(snapshot=True) as connection:
        found = [_problem(connection, trial, _last(connection, trial)) for trial in trials]
    return tuple(problem for problem in found if problem)


def warn_of_protocols(store: Store, trials: Iterable[Trial]) -> None:
    """Logs every such problem. The trial's model is then silent in each call; nothing else waits for a protocol."""
    with suppress(StoreUnavailable):
        for problem in protocol_problems(store, trials):
            log.error(json.dumps({"event": "trial-not-as-recorded", "problem": problem}))


def _last(connection: sa.Connection, trial: Trial) -> sa.Row[tuple[object, ...]] | None:
    of_trial = sa.select(trial_protocol).where(trial_protocol.c.trial == trial.id)
    return connection.execute(of_trial.order_by(trial_protocol.c.version.desc()).limit(1)).first()


def _problem(connection: sa.Connection, trial: Trial, last: sa.Row[tuple[object, ...]] | None) -> str | None:
    if last is None:
        return None
    where = trial.path or f"trial {trial.id}"
    if last.fixed != fixed_of(trial):
        return (
            f"{where}: expected the site, outcome, design, begins, seed and blocks with which trial {trial.id} began; "
            "found others; restore them, or begin another trial with an id of its own"
        )
    if trial.version < last.version:
        return f"{where}: version: expected {last.version}, which is on record, or more; found {trial.version}"
    if trial.version == last.version and last.digest != trial.digest:
        return (
            f"{where}: version: the file changed since {last.at[:10]}, when its version {last.version} was first used; "
            "restore the file, or raise version"
        )
    return _moved_clinic(connection, trial, str(where)) if trial.is_wedge else None


def _moved_clinic(connection: sa.Connection, trial: Trial, where: str) -> str | None:
    """A clinic of a stepped wedge that was met and is no longer what it was."""
    c, days = allocation.c, {clinic.name: clinic.live_from for clinic in trial.clinics}
    for row in connection.execute(sa.select(c.unit, c.stratum).where(c.trial == trial.id).order_by(c.unit)):
        if row.unit not in days:
            return f"{where}: [[clinic]]: expected {row.unit}, which takes part; keep its name (new references: also)"
        if str(days[row.unit]) != row.stratum:
            return (
                f"{where}: [[clinic]] {row.unit} live_from: expected {row.stratum}, as it was assigned, which never "
                f"changes; found {days[row.unit]}"
            )
    return None
