"""Tokens that this process has seen: asked first, and all that is asked while the store is down."""

from __future__ import annotations

import threading

from cds_service.storage.store import Admission

MOST = 100_000


class RecentTokens:
    """A stand-in for the store's table of used tokens; it knows this process alone, and the latest of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expires: dict[str, int] = {}

    def admit(self, digest: str, expires: int, now: int) -> Admission:
        """Takes note of a token."""
        with self._lock:
            if len(self._expires) >= MOST:
                self._expires = {d: e for d, e in self._expires.items() if e >= now}
                for old in list(self._expires)[: max(0, len(self._expires) - MOST // 2)]:
                    del self._expires[old]
            if digest in self._expires:
                return Admission.REPLAYED
            self._expires[digest] = expires
            return Admission.ADMITTED
