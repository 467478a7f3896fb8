"""How long the steps of a call took: for the metrics, the call's line of the log, and the header `Server-Timing`."""

from __future__ import annotations

import time
from enum import StrEnum


class Stage(StrEnum):
    """The steps of a call, in their order."""

    AUTHENTICATE = "authenticate"
    PARSE = "parse"
    GATHER = "gather"
    EXTRACT = "extract"
    ASSESS = "assess"
    PRESENT = "present"
    RECORD = "record"


class StageTimes:
    """One call's times. `began`, `since`: monotonic seconds, of the call and of the stage under way.

    cpu_began: computing seconds of the call's own thread; what other threads read from a FHIR server is not in them.

    seconds: by stage; those that the call did not come to, and one that failed, are not in it.
    """

    __slots__ = ("began", "cpu_began", "seconds", "since")

    def __init__(self) -> None:
        self.began = self.since = time.monotonic()
        self.cpu_began = time.thread_time()
        self.seconds: dict[Stage, float] = {}

    def end(self, stage: Stage) -> float:
        """Notes that a stage ends and the next begins; returns this moment."""
        now = time.monotonic()
        self.seconds[stage] = now - self.since
        self.since = now
        return now

    def skip(self) -> None:
        """Notes that the next stage begins, and the one under way, if any, did not end."""
        self.since = time.monotonic()

    def milliseconds(self) -> dict[Stage, float]:
        """To a hundredth."""
        return {stage: round(1000 * seconds, 2) for stage, seconds in self.seconds.items()}

    def cpu_milliseconds(self) -> float:
        """Computing time so far, to a hundredth; to be asked in the call's own thread."""
        return round(1000 * (time.thread_time() - self.cpu_began), 2)

    def header(self) -> str:
        """As the value of `Server-Timing` (W3C)."""
        return ", ".join(f"{stage};dur={ms}" for stage, ms in self.milliseconds().items())
