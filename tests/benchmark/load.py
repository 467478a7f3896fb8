"""Load on one address: from wrk where it is installed, else from `driver`; both are processes of their own.

Each call carries a token of its own, signed beforehand, and every answer is looked at.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
WRK = shutil.which("wrk")
LATENCIES = ("p50", "p99", "p99.9", "max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came back. Latencies in milliseconds; `sent`: calls begun, the last ones of which may lack their answer; `wrong`: answers 200 without the cards expected; `closed`: connections that an answer ended; `broken`: those that ended otherwise."""

    seconds: float
    statuses: dict[str, int]
    wrong: int
    with_retry_after: int
    sent: int
    closed: int
    broken: int
    latency_ms: dict[str, float]

    @property
    def answers(self) -> int:
        return sum(self.statuses.values())

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds

    @property
    def all_good(self) -> bool:
        return set(self.statuses) == {"200"} and not self.wrong and not self.broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where calls go. `sign` gives a fresh token; without it nobody looks at tokens."""

    url: str
    body: bytes
    cards: int | None
    sign: Callable[[], str] | None


def load(target: Target, folder: Path, *, connections: int, seconds: float, tokens: int, pause_ms: float = 0) -> Load:
    """Calls for so many seconds, begun again with more tokens where they were used up. `tokens`: how many are likely.

    pause_ms: between an answer and the next call of the same connection, half to one and a half times as long.
    """
    body, signed = folder / "body.json", folder / "tokens"
    body.write_bytes(target.body)
    while True:
        fresh = (target.sign() for _ in range(tokens)) if target.sign else ("not-looked-at",)
        signed.write_text("\n".join(fresh))
        mode = "once" if target.sign else "again"
        words = [str(pause_ms), str(body), str(signed), mode, "any" if target.cards is None else str(target.cards)]
        found = _run(target.url, words, connections, seconds)
        if not found.pop("short"):
            break
        tokens *= 2
    latencies = {name: found.pop(name) for name in LATENCIES}
    return Load(latency_ms=latencies, **found)


def _run(url: str, words: list[str], connections: int, seconds: float) -> dict:
    if WRK:
        shape = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
        command = [WRK, *shape, "-s", str(HERE / "load.lua"), url, "--", *words]
    else:
        command = [sys.executable, str(HERE / "driver.py"), url, str(connections), str(seconds), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 120)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    raise RuntimeError(f"no result from {command[0]}: {done.stdout} {done.stderr}")
