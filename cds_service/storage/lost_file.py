"""A SQLite file that is deleted or replaced while the service runs: noticed before and after each commit.

What connections still hold open of a deleted file is whole, so it is copied back to its place. A file that somebody put
there instead is used as it is: whoever restores a backup means it.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("mhcds")
Identity = tuple[int, int]


@dataclass(slots=True)
class SqliteFile:
    """The file of a store. opened: the device and inode that its connections have open."""

    path: Path
    opened: Identity | None = None

    def identity(self) -> Identity | None:
        """Device and inode of the file in its place; None if there is none."""
        try:
            found = os.stat(self.path)  # noqa: PTH116  # twice a commit, and a third of the cost of Path.stat
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def note_opened(self) -> None:
        """A connection has opened the file."""
        self.opened = self.opened or self.identity()

    def is_lost(self) -> bool:
        """Whether the file in its place is not the one that connections have open."""
        return self.opened is not None and self.opened != self.identity()

    def put_back(self, old: sqlite3.Connection) -> None:
        """Copies all that is committed to its place, unless there is a file; from now on that one is used."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.path.with_name(f"{self.path.name}.lock").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)  # several workers notice it
            deleted = not self.path.exists()
            if deleted:
                self._copy(old)
            self.opened = self.identity()
        log.error(json.dumps({"event": "store-file-lost", "put-back": deleted}))

    def _copy(self, old: sqlite3.Connection) -> None:
        copy = self.path.with_name(f"{self.path.name}.copy")
        copy.unlink(missing_ok=True)
        copy.touch(mode=0o600)
        new = sqlite3.connect(copy)
        try:
            old.backup(new)
        finally:
            new.close()
        for log_of_the_deleted in (f"{self.path.name}-wal", f"{self.path.name}-shm"):
            self.path.with_name(log_of_the_deleted).unlink(missing_ok=True)
        copy.rename(self.path)
