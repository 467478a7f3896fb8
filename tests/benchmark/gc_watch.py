"""Notes the pauses of the garbage collector in a process and those forked from it; imported before the service by `soak`.

A line for each of at least a millisecond goes to the file that MHCDS_BENCH_PAUSES names: when it ended (seconds since
1970), process id, generation, milliseconds of its own work, milliseconds until it was over.
"""

from __future__ import annotations

import gc
import os
import time

PLACE = "MHCDS_BENCH_PAUSES"
LEAST_MS = 1
_file = os.open(os.environ[PLACE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_began = 0.0, 0.0


def note(phase: str, about: dict[str, int]) -> None:
    """Collections never overlap: each holds the interpreter."""
    global _began  # noqa: PLW0603  # a callback has no other place
    if phase == "start":
        _began = time.thread_time(), time.perf_counter()
        return
    work, wall = 1000 * (time.thread_time() - _began[0]), 1000 * (time.perf_counter() - _began[1])
    if work >= LEAST_MS:
        line = f"{time.time():.3f} {os.getpid()} {about['generation']} {work:.2f} {wall:.2f}\n"
        os.write(_file, line.encode())


gc.callbacks.append(note)
