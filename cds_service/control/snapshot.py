"""Modes, switches and opt-outs as one value for a whole call, read again when their number in the store has changed.

A hook call's one look at the store brings the number, so a change acts on the next call in every worker. Where a call
cannot look, what was last read to be off stays off, so does what `switch.toml` names, and no model speaks.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import sqlalchemy as sa

from cds_service.control.acts import ModeRow, SwitchRow, modes_in, off_in
from cds_service.control.switch_file import SwitchFile
from cds_service.control.version import number
from cds_service.errors import StoreUnavailable
from cds_service.storage.store import Store
from cds_service.storage.tables import opt_out
from models.rules.findings import Topic

log = logging.getLogger("mhcds")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlState:
    """What was decided, as of one moment. number: None where it was never read. opted_out: site -> pseudonyms.

    problems: of `switch.toml`.
    """

    number: int | None = None
    modes: Mapping[tuple[str, str, str, str], ModeRow] = field(default_factory=dict)
    off: tuple[SwitchRow, ...] = ()
    opted_out: Mapping[str, frozenset[str]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether it is all that was decided; if not, no model speaks."""
        return self.number is not None and not self.problems

    def mode_of(self, site: str, service: str, outcome: str, version: str) -> ModeRow | None:
        """The mode of a model for this service, else for all services of the site."""
        return self.modes.get((site, service, outcome, version)) or self.modes.get((site, "", outcome, version))

    def service_off(self, site: str, service: str) -> SwitchRow | None:
        """What switches a whole service off, the oldest."""
        whole = [row for row in self._covering(site, service) if not row.target.outcome and not row.target.topic]
        return min(whole, key=lambda row: row.at, default=None)

    def model_off(self, site: str, service: str, outcome: str) -> bool:
        """Whether a model is switched off."""
        return any(row.target.outcome == outcome for row in self._covering(site, service))

    def topics_off(self, site: str, service: str) -> dict[Topic, datetime]:
        """The topics whose cards are held back, and since when."""
        rows = self._covering(site, service)
        return {topic: row.at for row in rows for topic in Topic if row.target.topic == topic}

    def _covering(self, site: str, service: str) -> Iterable[SwitchRow]:
        return [row for row in self.off if row.target.covers(site, service)]


def read_state(store: Store) -> ControlState:
    """What the store holds. Raises StoreUnavailable."""
    with store.transaction(snapshot=True) as connection:
        out: dict[str, set[str]] = {}
        for row in connection.execute(sa.select(opt_out.c.site, opt_out.c.patient)):
            out.setdefault(row.site, set()).add(row.patient)
        return ControlState(
            number=number(connection),
            modes={row.key: row for row in modes_in(connection)},
            off=off_in(connection),
            opted_out={site: frozenset(patients) for site, patients in out.items()},
        )


class ControlReader:
    """The state of this process. Threads share it."""

    def __init__(self, store: Store, file: SwitchFile) -> None:
        self._store, self._file = store, file
        self._stored = ControlState()
        self._lock = threading.Lock()

    def seen(self, stamp: int) -> None:
        """The number was just seen in the store: reads anew if it is another one.

        While that fails what is switched off stays off, and no model speaks: nobody knows what has changed.
        """
        if stamp == self._stored.number:
            return
        with self._lock:
            # Reading in turn: no older reading may take the place of a newer one.
            if stamp == self._stored.number:
                return
            try:
                self._stored = read_state(self._store)
            except Exception as error:  # noqa: BLE001  # whatever is wrong with a row, the rules must answer
                self._stored = replace(self._stored, number=None)
                reason = str(error) if isinstance(error, StoreUnavailable) else type(error).__name__
                log.error(json.dumps({"event": "control-not-read", "reason": reason}))

    def missed(self) -> None:
        """The store could not be looked at: what is off stays off, and no model speaks, until it can."""
        with self._lock:
            self._stored = replace(self._stored, number=None)

    def look(self) -> None:
        """Where no look of a call brings the number."""
        try:
            with self._store.transaction() as connection:
                stamp = number(connection)
        except StoreUnavailable:
            self.missed()
            return
        self.seen(stamp)

    def __call__(self) -> ControlState:
        """The state for a call that begins now."""
        rows, problems = self._file()
        stored = self._stored
        return replace(stored, off=(*stored.off, *rows), problems=problems) if rows or problems else stored
