"""Interleaved rounds: each server in turn is started, warmed, measured at each number of connections, and ended.

What a round measures is compared with the reference of the same round, so that a slow minute of the machine meets both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from benchmark import bodies, measuring
from benchmark.load import LATENCIES, Load, Target, load
from benchmark.servers import Contestant, healthchain, log_of, ours, production, reference, running
from ehr import Postgres

CONNECTIONS = (1, 4, 16)
WARM_S = 2
NOT_STORED = '"answer-not-stored"'
SPARE = 1.6
"""Tokens signed for each call expected."""


class WrongAnswersError(Exception):
    """A server gave other answers than it should; its figures would be of something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One server at one number of connections, in one round. Times in milliseconds of processor a request.

    unstored: answers whose record reached only the log, since the database failed.
    """

    connections: int
    cpu_ms: float
    database_ms: float | None
    per_second: float
    latency_ms: dict[str, float]
    answers: int
    unstored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One server in one round. Memory in MB, of the largest worker after the load."""

    name: str
    start_s: float
    memory_mb: dict[str, float]
    levels: tuple[Level, ...]


@contextmanager
def contestants(folder: Path, only: Sequence[str], python: Path) -> Iterator[dict[str, Contestant]]:
    """Those that were asked for, in order, with the PostgreSQL that one of them needs. Says which cannot be had.

    python: that of the environment with HealthChain.
    """
    speaking, quiet = bodies.speaking(), bodies.quiet()
    found = {"reference": reference(speaking)}
    with ExitStack() as stack:
        for name, what, body, signed in (
            ("sqlite", "RS384, SQLite", speaking, "RS384"),
            ("sqlite-es384", "ES384, SQLite", speaking, "ES384"),
            ("sqlite-quiet", "RS384, SQLite, no model speaks", quiet, "RS384"),
        ):
            if name in only:
                found[name] = ours(name, what, body, production(folder / name), signed=signed)
        asked = [name for name in ("postgresql", "postgresql-es384") if name in only]
        if asked:
            server = stack.enter_context(Postgres(folder / "pg"))
            for name in asked:
                url = server.new_database()
                signed = "ES384" if name.endswith("es384") else "RS384"
                configured, master = production(folder / name, store=url), database_master(url)
                what = f"{signed}, PostgreSQL"
                found[name] = ours(name, what, speaking, configured, signed=signed, database=master)
        if "healthchain" in only:
            if python.exists():
                found["healthchain"] = healthchain(speaking, python)
            else:
                print(f"healthchain is not measured: no {python} (make bench makes it where Python is older than 3.14)")
        yield found


NAMES = ("reference", "sqlite", "sqlite-es384", "sqlite-quiet", "postgresql", "postgresql-es384", "healthchain")


def database_master(url: str) -> int:
    """The process that began the PostgreSQL at this address."""
    with psycopg.connect(url) as connection:
        (backend,) = connection.execute("SELECT pg_backend_pid()").fetchone()
        return psutil.Process(backend).ppid()


def measured(contestant: Contestant, folder: Path, connections: Sequence[int], seconds: float) -> Measured:
    """One server, started and ended here. Raises WrongAnswersError."""
    with running(contestant, folder) as server:
        target = contestant.target(server.port)
        warm = checked(contestant, load(target, folder, connections=2, seconds=WARM_S, tokens=400))
        levels = tuple(level(contestant, server.pid, target, folder, n, seconds, warm.per_second) for n in connections)
        memory = measuring.memory_mb(server.pid)
        return Measured(name=contestant.name, start_s=server.start_s, memory_mb=memory, levels=levels)


def level(
    contestant: Contestant, pid: int, target: Target, folder: Path, connections: int, seconds: float, expected: float
) -> Level:  # fmt: skip
    """One number of connections. `expected`: calls a second, for how many tokens are signed beforehand."""
    log = log_of(contestant, folder)
    ours_before, database_before = _spent(pid, contestant.database)
    unstored = unstored_in(log)
    tokens = int(expected * seconds * SPARE) + 50
    found = checked(contestant, load(target, folder, connections=connections, seconds=seconds, tokens=tokens))
    _idle(pid)  # wrk leaves its last calls, which are paid for all the same
    ours_after, database_after = _spent(pid, contestant.database)
    database = None
    if database_before is not None and database_after is not None:
        database = 1000 * (database_after - database_before) / found.sent
    return Level(
        connections=connections,
        cpu_ms=1000 * (ours_after - ours_before) / found.sent,
        database_ms=database,
        per_second=found.per_second,
        latency_ms=found.latency_ms,
        answers=found.answers,
        unstored=unstored_in(log) - unstored,
    )


def unstored_in(log: Path) -> int:
    """How many answers the service has given whose record is in its log alone."""
    return log.read_text(errors="replace").count(NOT_STORED)


def _spent(pid: int, database: int | None) -> tuple[float, float | None]:
    return measuring.cpu_s(pid), measuring.cpu_s(database) if database else None


def _idle(pid: int) -> None:
    """Returns when the server's processes do next to nothing, after ten seconds at the latest."""
    before, until = measuring.cpu_s(pid), time.monotonic() + 10
    while time.monotonic() < until:
        time.sleep(0.1)
        now = measuring.cpu_s(pid)
        if now - before <= 0.02:
            return
        before = now


def checked(contestant: Contestant, found: Load) -> Load:
    """The load, if every answer was the one expected. Raises WrongAnswersError."""
    if not found.answers or not found.all_good:
        raise WrongAnswersError(
            f"{contestant.name}: expected only answers 200 with {contestant.body.cards} cards, found statuses "
            f"{found.statuses or 'none'}, {found.wrong} with other cards, {found.broken} broken connections"
        )
    return found


def summary(rounds: Sequence[Mapping[str, Measured]]) -> dict[str, dict]:
    """Medians, and the least and most over the rounds, of each server and of its ratios to the reference."""
    return {name: _of(name, rounds) for name in rounds[0]}


def _of(name: str, rounds: Sequence[Mapping[str, Measured]]) -> dict:
    mine = [found[name] for found in rounds]
    base = [found.get("reference") for found in rounds]
    whole: dict = {"start_s": spread(m.start_s for m in mine)}
    whole |= {f"{kind}_mb": spread(m.memory_mb[kind] for m in mine) for kind in ("rss", "pss", "uss")}
    whole["connections"] = {}
    for place, first in enumerate(mine[0].levels):
        levels = [m.levels[place] for m in mine]
        at: dict = {
            "cpu_ms": spread(one.cpu_ms for one in levels),
            "per_second": spread(one.per_second for one in levels),
            **{f"{kind}_ms": spread(one.latency_ms[kind] for one in levels) for kind in LATENCIES},
            "answers": sum(one.answers for one in levels),
            "unstored": sum(one.unstored for one in levels),
        }
        if first.database_ms is not None:
            at["database_cpu_ms"] = spread(one.database_ms for one in levels)
        if name != "reference" and all(base):
            same = [b.levels[place] for b in base]
            at["cpu_ratio"] = spread(one.cpu_ms / b.cpu_ms for one, b in zip(levels, same, strict=True))
            at["throughput_ratio"] = spread(one.per_second / b.per_second for one, b in zip(levels, same, strict=True))
        whole["connections"][str(first.connections)] = at
    return whole


def spread(values: Iterator[float]) -> dict[str, float]:
    """Median, least and most."""
    found = list(values)
    return {"median": statistics.median(found), "least": min(found), "most": max(found)}
