"""The same thing done by two at once."""

from __future__ import annotations

import threading
from collections.abc import Callable


def failures_of_two(job: Callable[[], object]) -> list[Exception]:
    """What two threads that do it at once have raised."""
    failures: list[Exception] = []

    def work() -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001  # shown by the test
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    return failures
