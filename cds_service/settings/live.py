"""The settings in force: a changed file takes effect with the next call; with a bad one the old settings stay.

Each worker checks the folder at most once a second. Calls in progress keep their settings. Settings used only at
start-up (`RESTART`) cannot change this way: the old settings stay and the problem says so.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from cds_service.errors import ConfigError
from cds_service.settings.config import ServiceConfig, load_config
from cds_service.settings.files import SWITCHES, referred_by, settings_files
from models.errors import ArtifactError
from models.scoring.registry import SHIPPED, the_version, wanted

log = logging.getLogger("mhcds")
LOOK_S = 1.0
RESTART = ("mode", "models", "store", "tls", "trusted_proxies", "data_key")


class Reread:
    """Loads a folder's settings and knows whether its files, or the key sets and secrets they name, changed."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self._address = address
        self._named: tuple[Path, ...] = ()
        self._secrets: tuple[Path, ...] = ()
        self._seen: object = None

    def __call__(self) -> ServiceConfig:
        """The settings. Raises ConfigError."""
        self._secrets = tuple(sorted({secret for path in self._settings() for secret in referred_by(path)}))
        own = self._own()  # before reading, so that later changes are noticed
        self._seen = own, _state(self._named)
        config = load_config(self.folder, address=self._address, serving=True)
        self._named = tuple(sorted({entry.source for entry in config.issuers if entry.source}))
        self._seen = own, _state(self._named)
        return config

    def changed(self) -> bool:
        """Whether a file changed since the last attempt to load."""
        return (self._own(), _state(self._named)) != self._seen

    def _own(self) -> tuple[tuple[str, int, int], ...]:
        return _state((*self._settings(), *self._secrets))

    def _settings(self) -> list[Path]:
        return [path for path in settings_files(self.folder) if path.name != SWITCHES]


class LiveConfig:
    """The settings of one process. `problem`: why the files on disk are not in force, or None.

    changed: told of settings that have just come into force.
    """

    def __init__(self, config: ServiceConfig, reread: Reread | None = None) -> None:
        self._config = config
        self._loaded = _loaded(config)
        self._reread = reread
        self._lock = threading.Lock()
        self._next_look = 0.0
        self.changed: Callable[[ServiceConfig], None] = lambda _config: None
        self.problem: str | None = None

    @classmethod
    def of(cls, folder: Path, address: str) -> LiveConfig:
        """The settings in a folder, watched from now on. Raises ConfigError.

        address: that of the listening socket, the default for `public_url` in development.
        """
        reread = Reread(folder, address)
        return cls(reread(), reread)

    @property
    def folder(self) -> Path | None:
        """Where the settings are read from."""
        return self._reread.folder if self._reread else None

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
        except Exception as error:  # noqa: BLE001  # a call must not fail for an unforeseen file
            self._keep(f"{reread.folder}: cannot be read ({type(error).__name__}); run mhcds check-config")
            return
        fixed = [name for name in RESTART if getattr(config, name) != getattr(self._config, name)]
        if config.governance is not None and self._config.governance is None:
            fixed.append("[governance]")
        if not wanted(config.kept_models) <= self._loaded:
            fixed.append("[models] of a site, with versions that are not loaded")
        if fixed:
            self._keep(f"{', '.join(fixed)}: changed; restart the service for it")
            return
        self._config, self.problem = config, None
        self.changed(config)
        log.warning(json.dumps({"event": "settings-reloaded", "sites": [s.id for s in config.sites]}))

    def _keep(self, problem: str) -> None:
        self.problem = problem
        log.error(json.dumps({"event": "settings-not-reloaded", "problem": problem}))


def _loaded(config: ServiceConfig) -> set[tuple[str, str | None]]:
    """Outcome and version of the models loaded at the start; the newest, where a site uses it, also by its number."""
    chosen = wanted(config.kept_models)
    for outcome in [outcome for outcome, version in chosen if version is None]:
        with suppress(ArtifactError):
            chosen.add((outcome, the_version((config.models or SHIPPED) / outcome).name))
    return chosen


def _state(paths: Iterable[Path]) -> tuple[tuple[str, int, int], ...]:
    """Name, modification time and size of each existing file."""
    states = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            continue
        states.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(states)
