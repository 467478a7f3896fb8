"""Tokens that this process has seen recently: checked first, and alone while the store is down."""

from __future__ import annotations

import threading

from cachetools import FIFOCache

from cds_service.storage.store import Admission

MOST = 100_000


class RecentTokens:
    """Replaces the store's table of used tokens; knows only this process's latest tokens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digests: FIFOCache[str, bool] = FIFOCache(MOST)

    def admit(self, digest: str) -> Admission:
        """Marks a token as used, unless it already is."""
        with self._lock:
            if digest in self._digests:
                return Admission.REPLAYED
            self._digests[digest] = True
            return Admission.ADMITTED

    def forget(self, digest: str) -> None:
        """Marks a token as unused again: its call was refused before any work."""
        with self._lock:
            self._digests.pop(digest, None)
