"""The settings in force: a changed file takes effect with the next call, a bad one keeps the old settings.

Each worker looks at the folder at most once a second. Calls under way keep the settings that they began with.
What is used once, at the start (`RESTART`), cannot change this way: it keeps the old settings too, and says so.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path

from cds_service.errors import ConfigError
from cds_service.sites import ServiceConfig, load_config

log = logging.getLogger("mhcds")
LOOK_S = 1.0
RESTART = ("mode", "models", "store", "tls", "trusted_proxies", "data_key")


class Reread:
    """Loads the settings of a folder, and knows whether its files have changed since."""

    def __init__(self, folder: Path, address: str) -> None:
        self._folder = folder
        self._address = address
        self._seen: object = None

    def __call__(self) -> ServiceConfig:
        """The settings. Raises ConfigError."""
        self._seen = _fingerprint(self._folder)  # before reading: what changes meanwhile is read again
        return load_config(self._folder, address=self._address, serving=True)

    def changed(self) -> bool:
        """Whether a file is other than when the settings were last loaded, or loading was last tried."""
        return _fingerprint(self._folder) != self._seen


class LiveConfig:
    """The settings of one process. `problem`: why the files on disk are not in force, or None."""

    def __init__(self, config: ServiceConfig, reread: Reread | None = None) -> None:
        self._config = config
        self._reread = reread
        self._lock = threading.Lock()
        self._next_look = 0.0
        self.problem: str | None = None

    @classmethod
    def of(cls, folder: Path, address: str) -> LiveConfig:
        """The settings in a folder, watched from now on. Raises ConfigError.

        address: that of the listening socket, which stands in for `public_url` in development.
        """
        reread = Reread(folder, address)
        return cls(reread(), reread)

    def __call__(self) -> ServiceConfig:
        """The settings for a call that begins now."""
        if self._reread is not None and time.monotonic() >= self._next_look and self._lock.acquire(blocking=False):
            try:
                self._look(self._reread)
            finally:
                self._lock.release()
        return self._config

    def _look(self, reread: Reread) -> None:
        self._next_look = time.monotonic() + LOOK_S
        if not reread.changed():
            return
        try:
            config = reread()
        except ConfigError as error:
            self._keep(str(error))
            return
        fixed = [name for name in RESTART if getattr(config, name) != getattr(self._config, name)]
        if fixed:
            self._keep(f"{', '.join(fixed)}: changed; restart the service for it")
            return
        self._config, self.problem = config, None
        log.warning(json.dumps({"event": "settings-reloaded", "sites": [s.id for s in config.sites]}))

    def _keep(self, problem: str) -> None:
        self.problem = problem
        log.error(json.dumps({"event": "settings-not-reloaded", "problem": problem}))


def _fingerprint(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, time and size of every settings file."""
    found = []
    for path in sorted((*folder.glob("*.toml"), *folder.glob("sites/*"))):
        try:
            stat = path.stat()
        except OSError:
            continue
        found.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(found)
