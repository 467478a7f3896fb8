"""Tokens that this process has seen recently: checked first, and alone while the store is down."""

from __future__ import annotations

import threading
from collections import deque

from cds_service.storage.store import Admission

# Five minutes of as many calls as a worker can answer; full, they take 6 MB.
MOST = 50_000


class RecentTokens:
    """Replaces the store's table of used tokens; knows only this process's latest tokens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: set[bytes] = set()
        self._in_order: deque[bytes] = deque()

    def admit(self, digest: str) -> Admission:
        """Marks a token as used, unless it already is. digest: SHA-256, in hexadecimal digits."""
        half = bytes.fromhex(digest)[:16]
        with self._lock:
            if half in self._used:
                return Admission.REPLAYED
            self._used.add(half)
            self._in_order.append(half)
            if len(self._in_order) > MOST:
                self._used.discard(self._in_order.popleft())
            return Admission.ADMITTED

    def forget(self, digest: str) -> None:
        """Marks a token as unused again: its call was refused before any work."""
        with self._lock:
            self._used.discard(bytes.fromhex(digest)[:16])
