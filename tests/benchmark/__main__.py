"""`make bench`: rounds of the servers, a table on the terminal, JSON on request. docs/benchmarks.md says how to read it."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmark import bodies, measuring
from benchmark.load import WRK
from benchmark.page import CALLS, SERVERS, cell
from benchmark.rounds import CONNECTIONS, NAMES, WrongAnswersError, contestants, measured, summary
from benchmark.servers import HEALTHCHAIN
from rich.console import Console
from rich.table import Table


def wanted() -> argparse.Namespace:
    words = argparse.ArgumentParser(prog="make bench", description="What a hook call costs, beside a reference.")
    words.add_argument("--rounds", type=int, help="rounds of all servers (5)")
    words.add_argument("--seconds", type=float, help="of load at each number of connections (5)")
    words.add_argument("--only", help=f"some of {','.join(NAMES)}; the reference always (all)")
    words.add_argument("--quick", action="store_true", help="about a minute: --rounds 3 --seconds 2 --only sqlite")
    words.add_argument("--json", type=Path, help="file for all figures")
    words.add_argument("--healthchain", type=Path, default=HEALTHCHAIN, help="Python that has HealthChain")
    words.add_argument("--dir", type=Path, help="where the databases lie (a temporary folder); the disk matters")
    found = words.parse_args()
    rounds, seconds, only = (3, 2, "sqlite") if found.quick else (5, 5, ",".join(NAMES))
    found.rounds, found.seconds = found.rounds or rounds, found.seconds or seconds
    found.only = (found.only or only).split(",")
    if unknown := set(found.only) - set(NAMES):
        words.error(f"--only: expected some of {','.join(NAMES)}, found {','.join(unknown)}")
    return found


def main() -> int:
    asked = wanted()
    with tempfile.TemporaryDirectory(prefix="mhcds-bench-", dir=asked.dir) as name:
        folder = Path(name)
        facts = measuring.machine(folder) | {
            "load_from": "wrk" if WRK else "tests/benchmark/driver.py",
            "body_bytes": len(bodies.speaking().content),
            "rounds": asked.rounds,
            "seconds": asked.seconds,
        }
        console = Console()
        console.width = max(console.width, 150)
        console.print(
            f"{facts['processor']}, {facts['cores']} cores shared with the load ({facts['load_from']}); kernel "
            f"{facts['kernel']}; Python {facts['python']}; fsync {facts['fsync_ms']} ms; load before "
            f"{facts['load_before']}; commit {facts['commit']}; body {facts['body_bytes']} bytes"
        )
        rounds = []
        try:
            with contestants(folder, asked.only, asked.healthchain) as found:
                what = {name: one.what for name, one in found.items()}
                for number in range(asked.rounds):
                    # Each time another begins, so that none always follows the same one.
                    names = list(found)
                    order = names[number % len(names) :] + names[: number % len(names)]
                    took = {n: measured(found[n], folder, CONNECTIONS, asked.seconds) for n in order}
                    rounds.append({n: took[n] for n in names})
                    print(f"round {number + 1} of {asked.rounds} done", file=sys.stderr)
        except (WrongAnswersError, RuntimeError) as error:
            print(f"make bench: {error}", file=sys.stderr)
            for log in folder.glob("*.log"):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}", file=sys.stderr)
            return 1
    figures = summary(rounds)
    shown(console, figures, what)
    unstored = sum(at["unstored"] for of in figures.values() for at in of["connections"].values())
    if asked.json:
        whole = {"machine": facts, "servers": {name: {"what": what[name]} | of for name, of in figures.items()}}
        asked.json.write_text(json.dumps(whole, indent=1) + "\n")
    if unstored:
        print(
            f"make bench: {unstored} answers were recorded in the log alone, since the database failed", file=sys.stderr
        )
    return 1 if unstored else 0


def shown(console: Console, figures: dict[str, dict], what: dict[str, str]) -> None:
    calls = Table(title="One call: medians (least-most over the rounds)")
    for head in ("server", "connections", *CALLS, "not stored"):
        calls.add_column(head, justify="left" if head == "server" else "right")
    for name, of in figures.items():
        for connections, at in of["connections"].items():
            cells = (cell(at.get(key)) for key in CALLS.values())
            calls.add_row(name, connections, *cells, str(at["unstored"] or ""))
        calls.add_section()
    console.print(calls)
    servers = Table(title="One server with one worker")
    for head in ("server", *SERVERS, "what"):
        servers.add_column(head, justify="left" if head in ("server", "what") else "right")
    for name, of in figures.items():
        servers.add_row(name, *(cell(of[key]) for key in SERVERS.values()), what[name])
    console.print(servers)


if __name__ == "__main__":
    sys.exit(main())
