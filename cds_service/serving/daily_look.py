"""Starts the daily look at the models as a process of its own, so that no worker holds what only figures need.

It reads until its standard input ends, which it does with this worker, however that ends. Its lines go to the log.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

from cds_service.errors import StoreUnavailable
from cds_service.serving.metrics import FOLDER
from cds_service.storage.chain import AuditKind
from cds_service.storage.store import Store
from cds_service.storage.tables import audit_event

log = logging.getLogger("mhcds")


def look_at_models(folder: Path | None, store: Store) -> None:
    """Runs `mhcds monitor --daily` to its end. Nothing without a folder of settings, or before the first answer."""
    try:
        if folder is None or not _has_answers(store):
            return
    except StoreUnavailable:  # `housekeeping` says so in the log
        return
    # Not the workers' counters, which the other would add to as one of them.
    environment = {name: value for name, value in os.environ.items() if name != FOLDER} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "cds_service", "monitor", "--daily", "--attached", "--config", str(folder)]
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:  # noqa: S603  # our own command
            why = f"exit {code}" if (code := process.wait()) else ""
    except OSError as error:
        why = str(error.strerror)
    if why:
        log.error(json.dumps({"event": "watch-failed", "job": "monitor", "why": why}))


def _has_answers(store: Store) -> bool:
    wanted = sa.select(audit_event.c.seq).where(audit_event.c.kind == AuditKind.ANSWER).limit(1)
    with store.transaction() as connection:
        return connection.scalar(wanted) is not None
