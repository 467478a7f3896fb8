"""A long run and an overload: `PYTHONPATH=.:tests .venv/bin/python -m benchmark.soak [--minutes N | --calls N] [--json FILE]`.

First the capacity (calls a second at 16 connections without a pause); then 70 % of it for so many minutes or calls; then
three times of it, with some calls about an acute answer beside. Looked at: statuses (200, and under overload 503 with
Retry-After), latencies, memory, pauses of the garbage collector, and how soon the service answers as before. Exits with
1 when a promise is broken; the last table says which.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import requests
from benchmark import bodies, measuring
from benchmark.growth import Row, display
from benchmark.load import Load, Target, load
from benchmark.rounds import unstored_in
from benchmark.servers import Contestant, Running, log_of, ours, production, running
from ehr import MHCDS, Postgres
from rich.console import Console

SEGMENT_S = 30
CALM, STORM = 16, 256
"""Connections at 70 % of capacity, and at three times of it."""
SHARE, EXCESS = 0.7, 3.0
BUDGET_S = 4.0
"""The time that a call has: `[limits] deadline_s`, as it is without a setting."""
RECOVERY_S = 2.0
PAUSE_MS = 10
GROWTH_MB = 5
"""By which a worker may grow in the second half of the run."""
WATCHED = (*MHCDS[:2], f"import benchmark.gc_watch; {MHCDS[2]}")


@dataclass(kw_only=True)
class Soak:
    """One server under one load after the other.

    `rows`: a line for each. `taken_ms`: what a call took in the last load of so many connections, so that the next one
    comes at the rate that is wanted.
    """

    contestant: Contestant
    server: Running
    folder: Path
    rows: list[Row] = field(default_factory=list)
    unstored: int = 0
    taken_ms: dict[int, float] = field(default_factory=dict)

    def load(self, name: str, connections: int, seconds: float, rate: float | None = None) -> Load:
        """Calls, `rate` a second or as many as are answered."""
        pause = max(0.0, 1000 * connections / rate - self.taken_ms.get(connections, 0)) if rate else 0.0
        target = self.contestant.target(self.server.port)
        tokens = int((rate or 1000) * seconds * 1.3) + connections
        found = load(
            target, self.folder, connections=connections, seconds=seconds, tokens=tokens, pause_ms=pause
        )  # fmt: skip
        self.taken_ms[connections] = 1000 * connections / found.per_second - pause
        log = log_of(self.contestant, self.folder)
        unstored, self.unstored = unstored_in(log) - self.unstored, unstored_in(log)
        memory = measuring.memory_mb(self.server.pid)
        statuses = ", ".join(f"{status}: {number}" for status, number in sorted(found.statuses.items()))
        self.rows.append(
            {
                "load": name, "calls/s wanted": rate, "answered": found.per_second, "statuses": statuses,
                "Retry-After": found.with_retry_after, "wrong": found.wrong, "closed": found.closed, "broken": found.broken, "not stored": unstored,
                **found.latency_ms, "RSS MB": memory["rss"], "PSS MB": memory["pss"],
            }
        )  # fmt: skip
        return found

    def calm(self, rate: float, minutes: float, calls: int | None) -> list[Load]:
        """Segments of half a minute until the time is over, or so many calls are answered."""
        until, found = time.monotonic() + 60 * minutes, []
        while sum(one.answers for one in found) < calls if calls else time.monotonic() < until:
            found.append(self.load(f"70 % ({len(found) + 1})", CALM, SEGMENT_S, rate))
            print(f"{len(found)}: {self.rows[-1]['statuses']}; {self.rows[-1]['RSS MB']:.1f} MB", file=sys.stderr)
        return found

    def storm(self, rate: float, seconds: float) -> list[Load]:
        """The same in segments of ten seconds, with more calls than can be answered."""
        return [self.load(f"overload ({n + 1})", STORM, 10, rate) for n in range(max(1, round(seconds / 10)))]

    def recovery_s(self, usual_s: float) -> float:
        """Seconds until the first answer of five calls in a row that are answered 200 within five times the usual, or 60."""
        began, good, since = time.monotonic(), 0, 0.0
        target = self.contestant.target(self.server.port)
        while good < 5 and time.monotonic() < began + 60:
            status, seconds = one_call(target)
            since = since if good else time.monotonic()
            good = good + 1 if status == 200 and seconds < 5 * usual_s else 0
        return since - began if good >= 5 else 60.0


class AcuteCalls:
    """While it is entered, about two calls a second about an acute answer, each on a connection of its own."""

    def __init__(self, contestant: Contestant, server: Running) -> None:
        self.target = replace(contestant, body=bodies.acute()).target(server.port)
        self.outcomes: list[tuple[int, float]] = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._calls, daemon=True) for _ in range(4)]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    def _calls(self) -> None:
        while not self.over.wait(2):
            self.outcomes.append(one_call(self.target))


def one_call(target: Target) -> tuple[int, float]:
    """Status (0: none) and seconds of one call; an answer without the cards expected counts as status 1."""
    headers = {
        "Authorization": f"Bearer {target.sign()}", "X-Forwarded-Proto": "https", "Content-Type": "application/json",
    }  # fmt: skip
    began = time.perf_counter()
    try:
        with requests.Session() as link:
            link.trust_env = False
            answer = link.post(target.url, target.body, headers=headers, timeout=30)
    except requests.RequestException:
        return 0, time.perf_counter() - began
    wrong = answer.status_code == 200 and answer.text.count('"indicator"') != target.cards
    return 1 if wrong else answer.status_code, time.perf_counter() - began


def pauses(file: Path, since: float) -> list[tuple[float, float, int]]:
    """The collector's pauses that ended after a moment, the longest first.

    Each is milliseconds of its own work, milliseconds until it was over (more, where others had the core), generation.
    """
    lines = (line.split() for line in file.read_text().splitlines())
    found = ((float(work), float(wall), int(of)) for at, _, of, work, wall in lines if float(at) > since)
    return sorted(found, reverse=True)


def run(asked: argparse.Namespace, folder: Path, pause_file: Path) -> tuple[dict[str, list[Row]], bool]:
    """The tables of a run, and whether every promise was kept."""
    with ExitStack() as stack:
        store = None
        if asked.store == "postgresql":
            store = stack.enter_context(Postgres(folder / "pg")).new_database()
        configured = production(folder / "soak", store=store)
        # ES256 is signed twenty times as fast as RS384, and verified about as fast: the cores are the service's.
        contestant = ours(
            "soak", asked.store, bodies.speaking(), configured, signed="ES256", workers=asked.workers, command=WATCHED
        )  # fmt: skip
        server = stack.enter_context(running(contestant, folder))
        soak = Soak(contestant=contestant, server=server, folder=folder)
        soak.load("warm", CALM, 10)
        ready = time.time()
        capacity = soak.load("capacity", CALM, 10).per_second
        calm = soak.calm(SHARE * capacity, asked.minutes, asked.calls)
        usual_s = calm[-1].latency_ms["p50"] / 1000
        with AcuteCalls(contestant, server) as acute:
            storm = soak.storm(EXCESS * capacity, asked.overload)
        recovery = soak.recovery_s(usual_s)
        soak.load("after", CALM, 10, SHARE * capacity)
        longest = pauses(pause_file, ready)
    statuses = Counter(status for status, _ in acute.outcomes)
    taken = sorted(seconds for _, seconds in acute.outcomes) or [0.0]
    late = sum(status != 200 or seconds > BUDGET_S for status, seconds in acute.outcomes)
    half = [row["RSS MB"] for row in soak.rows[2 : 2 + len(calm)]]
    growth = half[-1] - half[len(half) // 2]
    refused = [one.answers - one.statuses.get("200", 0) for one in storm]
    busy = [one.statuses.get("503", 0) for one in storm]
    promises = [
        promise("at 70 %: answers other than 200", sum(one.answers - one.statuses.get("200", 0) for one in calm), 0),
        promise("all the time: answers 200 without the cards expected", sum(row["wrong"] for row in soak.rows), 0),
        promise(
            "all the time: answers whose record is in the log alone", sum(row["not stored"] for row in soak.rows), 0
        ),
        promise("overload: answers other than 200 and 503", sum(refused) - sum(busy), 0),
        promise("overload: 503 without Retry-After", sum(refused) - sum(one.with_retry_after for one in storm), 0),
        promise("overload: connections that an answer closed", sum(one.closed for one in storm), 0),
        promise("overload: connections that broke", sum(one.broken for one in storm), 0),
        promise("overload: s until calls are answered as before", recovery, RECOVERY_S),
        promise(f"acute answers: calls without 200 in time, of {dict(statuses)}", late, 0),
        promise(f"acute answers: s of the slowest (half within {taken[len(taken) // 2]:.2f})", taken[-1], BUDGET_S),
        promise("garbage collection: ms of the longest collection", longest[0][0] if longest else 0.0, PAUSE_MS),
        promise("memory: MB that a worker grew in the second half", growth, GROWTH_MB),
    ]
    collected = [
        {
            "generation": generation, "pauses of 1 ms or more": len(found), "median ms": found[len(found) // 2][0],
            "longest ms": found[0][0], "longest until over ms": max(wall for _, wall, _ in found),
        }
        for generation in (0, 1, 2)
        if (found := [one for one in longest if one[2] == generation])
    ]  # fmt: skip
    return {"loads": soak.rows, "collections": collected, "promises": promises}, all(
        row["kept"] == "yes" for row in promises
    )


def promise(what: str, found: float, most: float) -> Row:
    return {"promise": what, "found": found, "at most": most, "kept": "yes" if found <= most else "NO"}


def main() -> int:
    words = argparse.ArgumentParser(prog="benchmark.soak", description="A long run, then an overload.")
    words.add_argument("--minutes", type=float, default=30, help="at 70 %% of capacity (30)")
    words.add_argument("--calls", type=int, help="so many calls instead, such as 200000")
    words.add_argument("--overload", type=float, default=60, help="seconds at three times the capacity (60)")
    words.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    words.add_argument("--workers", type=int, default=1)
    words.add_argument("--json", type=Path, help="file for all figures")
    words.add_argument("--dir", type=Path, help="where the database lies (a temporary folder)")
    asked = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="mhcds-soak-", dir=asked.dir) as name:
        folder = Path(name)
        pause_file = folder / "pauses"
        os.environ["MHCDS_BENCH_PAUSES"] = str(pause_file)
        facts = measuring.machine(folder)
        tables, kept = run(asked, folder, pause_file)
        log = (folder / "soak.log").read_text(errors="replace")
    for title, rows in tables.items():
        if rows:
            display(title, rows)
    events = Counter(
        word for word in ("WORKER TIMEOUT", "store-unavailable", "Traceback") for _ in range(log.count(word))
    )
    Console().print(f"in the log: {dict(events) or 'nothing out of order'}")
    if asked.json:
        asked.json.write_text(json.dumps({"machine": facts, **tables, "log": events}, indent=1) + "\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
