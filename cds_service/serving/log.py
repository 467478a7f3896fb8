"""The service's log: lines to standard error that hold up no call when their reader hangs.

A collector that hangs leaves the pipe to it full, and a thread that writes to a full pipe waits for ever.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import time

WAIT_S = 1.0
REST_S = 5.0


class LogLines(logging.Handler):
    """Writes lines while their reader takes them. A full pipe is waited for now and then, and otherwise loses lines."""

    def __init__(self, file: int | None = None) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))
        if file is None:
            # A service that was started with standard error closed has nowhere to write.
            file = sys.stderr.fileno() if sys.stderr else os.open(os.devnull, os.O_WRONLY)
        self._file = file
        self._pipe = select.poll()
        self._pipe.register(self._file, select.POLLOUT)
        self._next_wait, self._lost = 0.0, 0

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line; one at a time, since `handle` holds a lock."""
        try:
            if self._lost and self._write(json.dumps({"event": "log-lines-lost", "lines": self._lost})):
                self._lost = 0
            if self._lost or not self._write(self.format(record)):
                self._lost += 1
        except Exception:  # noqa: BLE001  # as in the handlers of the standard library
            self.handleError(record)

    def _write(self, line: str) -> bool:
        """Whether the line was written. A pipe that is ready for writing takes at least PIPE_BUF bytes at once."""
        left = f"{line}\n".encode(errors="backslashreplace")
        while left:
            now = time.monotonic()
            if not self._pipe.poll(1000 * WAIT_S if now >= self._next_wait else 0):
                self._next_wait = time.monotonic() + REST_S
                return False
            left = left[os.write(self._file, left[: select.PIPE_BUF]) :]
        return True
