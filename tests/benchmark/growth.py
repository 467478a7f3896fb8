"""How the cost of a call grows: `PYTHONPATH=.:tests .venv/bin/python -m benchmark.growth [PART ...] [--rows N] [--json FILE]`.

One thing grows at a time: resources, forms, texts, connections, workers, sites, rows (of the audit tables), latency (of
the FHIR server that is read when nothing was prefetched). Every answer must be a 200.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import real_server
import requests
import sqlalchemy as sa
from benchmark import bodies, measuring
from benchmark.bodies import Body
from benchmark.load import load
from benchmark.rounds import Level, database_master, level
from benchmark.servers import Contestant, Running, ours, production, running
from builders import codeable, patient, resource
from ehr import ADDRESS, EHR, Postgres, issuer_table, settings
from rich.console import Console
from rich.table import Table

Row = dict[str, object]
CALLS = 10  # at each latency, read from the FHIR server
ROUNDS = 5  # of an empty and a full store in turn
LARGE = {"body_bytes": 64 * 1024 * 1024}


class Growth:
    """Where the parts work, and how long each load lasts."""

    def __init__(self, folder: Path, seconds: float, rows: int) -> None:
        self.folder, self.seconds, self.rows = folder, seconds, rows

    @contextmanager
    def served(self, name: str, body: Body, configured: Path | None = None, **wanted) -> Iterator[tuple]:
        """A server of ours, warm, and how it is loaded: a function from a number of connections to a level."""
        contestant = ours(name, name, body, configured or production(self.folder / name, service=LARGE), **wanted)
        with running(contestant, self.folder) as server:
            yield contestant, server, self.loader(contestant, server)

    def loader(self, contestant: Contestant, server: Running) -> Callable[..., Level]:
        def at(connections: int, body: Body | None = None) -> Level:
            asked = replace(contestant, body=body) if body else contestant
            target = asked.target(server.port)
            for seconds in (2, 8, 32):
                warm = load(target, self.folder, connections=connections, seconds=seconds, tokens=200 * seconds)
                if warm.answers > 2:
                    break
            seconds = min(40, max(self.seconds, 30 * warm.latency_ms["p50"] / 1000))
            return level(asked, server.pid, target, self.folder, connections, seconds, warm.per_second)

        return at

    # ---- one thing grows -----------------------------------------------------------------------------------------

    def of_resources(self) -> Iterator[Row]:
        """1 connection; the usual mix."""
        yield from self._of_bodies("resources", (10, 30, 100, 300, 1000, 3000, 10_000), bodies.sized)

    def of_forms(self) -> Iterator[Row]:
        """1 connection; PHQ-9 forms of as many days."""
        yield from self._of_bodies("forms", (10, 30, 100, 300, 1000, 3000), bodies.of_forms)

    def of_texts(self) -> Iterator[Row]:
        """1 connection; conditions that are words alone."""
        yield from self._of_bodies("texts", (10, 30, 100, 300, 1000, 3000), bodies.of_texts)

    def _of_bodies(self, name: str, sizes: tuple[int, ...], made: Callable[[int], Body]) -> Iterator[Row]:
        before: tuple[int, float] | None = None
        with self.served(name, made(sizes[0])) as (_, _, at):
            for size in sizes:
                body = made(size)
                found = at(1, body)
                power = math.log(found.cpu_ms / before[1]) / math.log(size / before[0]) if before else None
                before = size, found.cpu_ms
                kilobytes = len(body.content) // 1000
                yield {name: size, "kB": kilobytes, **shown(found), "cpu ms each": found.cpu_ms / size, "power": power}

    def of_connections(self) -> Iterator[Row]:
        with self.served("connections", bodies.speaking()) as (_, _, at):
            for connections in (1, 2, 4, 8, 16):
                yield {"connections": connections, **shown(at(connections))}

    def of_workers(self) -> Iterator[Row]:
        """16 connections."""
        configured = production(self.folder / "workers")
        for workers in (1, 2, 4):
            with self.served("workers", bodies.speaking(), configured, workers=workers) as (_, server, at):
                found = at(16)
                memory = measuring.memory_mb(server.pid)["pss"]
                yield {"workers": workers, **shown(found), "PSS MB a worker": memory}

    def of_sites(self) -> Iterator[Row]:
        """1 connection; each site with an issuer of its own."""
        for sites in (1, 10, 50):
            configured = production(self.folder / f"sites-{sites}", sites=sites)
            with self.served(f"sites-{sites}", bodies.speaking(), configured) as (_, server, at):
                found = at(1)
                yield {"sites": sites, **shown(found), "start s": server.start_s}

    def of_rows(self) -> Iterator[Row]:
        """An empty store and one of so many answers, each with its cards, measured in turn; medians of the rounds."""
        with Postgres(self.folder / "pg") as server:
            for kind in ("SQLite", "PostgreSQL"):
                with ExitStack() as stack:
                    took, stores = {}, {}
                    for rows in (0, self.rows):
                        name = f"rows-{kind}-{rows}"
                        is_file = kind == "SQLite"
                        url = f"sqlite:///{self.folder / name}.db" if is_file else server.new_database()
                        configured = production(self.folder / name, store=url)
                        served = partial(self.served, name, bodies.speaking(), configured)
                        if rows:
                            with served() as (_, _, at):
                                at(1)
                            took[rows] = fill(url, rows)
                        stores[rows] = stack.enter_context(served(database=None if is_file else database_master(url)))
                    found = [(rows, at(1), at(4)) for _ in range(ROUNDS) for rows, (_, _, at) in stores.items()]
                    for rows, (_, ready, _) in stores.items():
                        one, four = zip(*(levels for n, *levels in found if n == rows), strict=True)
                        yield {
                            "store": kind, "rows": rows, **middle(map(shown, one)),
                            "p99 at 4": statistics.median(level.latency_ms["p99"] for level in four),
                            "start s": ready.start_s, "filled in s": took.get(rows),
                        }  # fmt: skip

    def of_latency(self) -> Iterator[Row]:
        """One call at a time with no prefetch: every part is read from a real FHIR server that waits so long.

        Where consent is required, it is read before anything else, so one read follows the other.
        """
        folder = self.folder / "latency"
        folder.mkdir()
        with real_server.running(folder) as fhir:
            who = fhir.load(
                patient(), *(resource("Condition", code=codeable(bodies.codes.SNOMED, "38341003")) for _ in range(20))
            )
            delay = Delay()
            fhir.fail("", act=delay)
            for consent in ("not-used", "required"):
                configured = self._reading(folder / consent, fhir.base, consent)
                contestant = ours("latency", "latency", Body(content=b"", cards=None), configured)
                with running(contestant, self.folder) as server:
                    for ms in (0, 20, 50, 100, 200, 500):
                        yield {"consent": consent, **self._read(server, fhir, delay, who, ms)}

    def _reading(self, folder: Path, base: str, consent: str) -> Path:
        """In development mode, where a FHIR server on this machine may be read without TLS."""
        site = {"consent": consent, "fhir_bases": [base], "fetch_budget_s": 10, "issuer": [issuer_table()]}
        service = {
            "store": f"sqlite:///{folder.resolve() / 'mhcds.db'}",
            "limits": {"calls_per_minute": 0, "deadline_s": 12},
        }
        return settings(folder, service=service, sites={"site": site})

    def _read(self, server: Running, fhir: real_server.RealServer, delay: Delay, who: str, ms: int) -> Row:
        delay.seconds = ms / 1000
        link = requests.Session()
        link.trust_env = False
        ehr, body = EHR(), without_prefetch(who, fhir.base)
        shares, totals, slowests = [], [], []
        spent = 0.0
        for n in range(CALLS + 1):
            if n == 1:  # the first one opens connections
                spent = measuring.cpu_s(server.pid)
            delay.taken.clear()
            fhir.proxy.seen.clear()
            started = time.perf_counter()
            answer = link.post(f"http://127.0.0.1:{server.port}{ADDRESS}", json=body, headers=ehr.headers(), timeout=30)
            total = time.perf_counter() - started
            if answer.status_code != 200:
                raise RuntimeError(f"expected 200, found {answer.status_code}: {answer.text[:300]}")
            if n:
                slowest = max(delay.taken)
                shares.append(total / slowest)
                totals.append(1000 * total)
                slowests.append(1000 * slowest)
        middle = len(shares) // 2
        return {
            "latency ms": ms, "reads": len(delay.taken), "call ms": sorted(totals)[middle],
            "slowest read ms": sorted(slowests)[middle], "cpu ms": 1000 * (measuring.cpu_s(server.pid) - spent) / CALLS, "call / slowest": sorted(shares)[middle],
        }  # fmt: skip


class Delay:
    """Makes the proxy wait before it asks the server; `taken` are the seconds of each read, as the proxy sees it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.taken: list[float] = []
        self.lock = threading.Lock()

    def __call__(self, handler) -> bool:
        started = time.perf_counter()
        time.sleep(self.seconds)
        status, headers, body = handler.forward(handler.path)
        real_server.answer(handler, status, body, {"Content-Type": headers.get("Content-Type", real_server.FHIR_JSON)})
        with self.lock:
            self.taken.append(time.perf_counter() - started)
        return True


def without_prefetch(who: str, base: str) -> Row:
    authorization = {
        "access_token": real_server.TOKEN, "token_type": "Bearer", "expires_in": 300, "scope": "patient/*.read",
        "subject": "cds-service",
    }  # fmt: skip
    context = {"userId": "Practitioner/1", "patientId": who}
    return {
        "hook": "patient-view", "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", "fhirServer": base,
        "fhirAuthorization": authorization, "context": context,
    }  # fmt: skip


def fill(url: str, rows: int) -> float:
    """Multiplies the newest answer and its cards until there are so many answers; the seconds that took.

    The uuids of the cards rise, so that their index is written from end to end, and are spread over all that there may
    be, so that those of later cards fall between them.
    """
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    sqlite = engine.dialect.name == "sqlite"
    numbers = sa.select(sa.literal(1).label("i")).cte("numbers", recursive=True)
    numbers = numbers.union_all(sa.select(numbers.c.i + 1).where(numbers.c.i < rows))
    began = time.perf_counter()
    with engine.connect() as connection:
        if sqlite:  # a file that nobody else has open needs no journal
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000"):
                connection.exec_driver_sql(f"PRAGMA {pragma}")
        else:  # without looking up each card's answer, which takes longer than all the rest
            connection.exec_driver_sql("SET session_replication_role = replica")
        found = sa.MetaData()
        found.reflect(connection, only=("audit_event", "card", "chain_head"))
        answer, card, head = (found.tables[name] for name in ("audit_event", "card", "chain_head"))
        site, last = connection.execute(sa.select(answer.c.site, answer.c.seq).order_by(answer.c.seq.desc())).first()
        copied = [column for column in answer.columns if column.name != "seq"]
        newest = sa.and_(answer.c.site == site, answer.c.seq == last)
        many = sa.select(answer.c.seq + numbers.c.i, *copied).select_from(answer.join(numbers, sa.true())).where(newest)
        connection.execute(
            answer.insert().from_select(["seq", *copied], many)
        )  # linked to nothing; only the cost counts
        connection.execute(head.update().where(head.c.site == site).values(seq=last + rows))
        kept = [column for column in card.columns if column.name not in ("uuid", "answer")]
        one = (
            sa.select(sa.func.row_number().over().label("n"), *kept)
            .where(card.c.site == site, card.c.answer == last)
            .subquery()
        )
        place = sa.cast(answer.c.seq - last, sa.BigInteger) * (2**32 // (rows + 2))
        if sqlite:
            uuid = sa.func.printf("%08x%024x", place, one.c.n)
        else:
            uuid = sa.func.lpad(sa.func.to_hex(place), 8, "0").concat(sa.func.lpad(sa.func.to_hex(one.c.n), 24, "0"))
        many = sa.select(uuid, answer.c.seq, *(one.c[column.name] for column in kept))
        many = (
            many.select_from(answer.join(one, sa.true()))
            .where(answer.c.site == site, answer.c.seq > last)
            .order_by(answer.c.seq)
        )
        connection.execute(card.insert().from_select(["uuid", "answer", *kept], many))
        connection.commit()
    if not sqlite:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()
    os.sync()  # what is still to be written would slow the calls that are measured
    return time.perf_counter() - began


def middle(rows: Iterable[Row]) -> Row:
    """The median of each figure."""
    found = list(rows)
    return {name: statistics.median(row[name] for row in found) for name in found[0]}


def shown(found: Level) -> Row:
    row = {"cpu ms": found.cpu_ms, "calls/s": found.per_second}
    row |= {} if found.database_ms is None else {"database cpu ms": found.database_ms}
    return row | {name: found.latency_ms[name] for name in ("p50", "p99")}


PARTS = ("resources", "forms", "texts", "connections", "workers", "sites", "rows", "latency")


def main() -> int:
    words = argparse.ArgumentParser(prog="benchmark.growth", description="How the cost of a call grows.")
    words.add_argument("parts", nargs="*", default=PARTS, metavar="PART", help=f"some of {', '.join(PARTS)}; all")
    words.add_argument("--seconds", type=float, default=4, help="of load at each point (4)")
    words.add_argument(
        "--rows",
        type=int,
        default=10_000_000,
        help="answers in the filled tables (10 million: 10 GB in SQLite, about as much in PostgreSQL)",
    )
    words.add_argument("--json", type=Path, help="file for all figures")
    words.add_argument("--dir", type=Path, help="where the databases lie (a temporary folder)")
    asked = words.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        words.error(f"expected some of {', '.join(PARTS)}, found {', '.join(unknown)}")
    with tempfile.TemporaryDirectory(prefix="mhcds-growth-", dir=asked.dir) as name:
        growth = Growth(Path(name), asked.seconds, asked.rows)
        whole = {"machine": measuring.machine(Path(name))}
        for part in asked.parts:
            rows = whole[part] = list(getattr(growth, f"of_{part}")())
            display(part, rows)
    if asked.json:
        asked.json.write_text(json.dumps(whole, indent=1) + "\n")
    return 0


def display(title: str, rows: list[Row]) -> None:
    table = Table(title=title)
    heads = list(dict.fromkeys(head for row in rows for head in row))
    for head in heads:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*(written(row.get(head)) for head in heads))
    console = Console()
    console.width = max(console.width, 140)
    console.print(table)


def written(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if value < 100 else f"{value:.0f}"
    return "" if value is None else str(value)


if __name__ == "__main__":
    sys.exit(main())
