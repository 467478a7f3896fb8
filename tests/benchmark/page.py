"""Figures of a run as tables of docs/benchmarks.md: `PYTHONPATH=.:tests .venv/bin/python -m benchmark.page FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from models.reports.figures import markdown_table

Spread = dict[str, float]
CALLS = {
    "CPU ms": "cpu_ms", "database CPU ms": "database_cpu_ms", "CPU, x reference": "cpu_ratio", "calls/s": "per_second",
    "calls, x reference": "throughput_ratio", "p50 ms": "p50_ms", "p99 ms": "p99_ms", "p99.9 ms": "p99.9_ms",
}  # fmt: skip
SERVERS = {"start s": "start_s", "worker RSS MB": "rss_mb", "PSS MB": "pss_mb", "USS MB": "uss_mb"}


def cell(spread: Spread | None) -> str:
    """The median, and least and most over the rounds."""
    if spread is None:
        return ""
    digits = 0 if spread["median"] >= 100 else 1 if spread["median"] >= 10 else 2
    if spread["least"] == spread["most"]:
        return f"{spread['median']:.{digits}f}"
    return f"{spread['median']:.{digits}f} ({spread['least']:.{digits}f}-{spread['most']:.{digits}f})"


def main() -> None:
    whole = json.loads(Path(sys.argv[1]).read_text())
    machine, servers = whole["machine"], whole["servers"]
    print(
        f"{machine['date'][:10]}, commit {machine['commit']}: {machine['processor']}, {machine['cores']} cores, kernel "
        f"{machine['kernel']}, Python {machine['python']}, load from {machine['load_from']}, {machine['rounds']} rounds of "
        f"{machine['seconds']:g} s, fsync {machine['fsync_ms']} ms, load of the machine before: {machine['load_before'][0]}.\n"
    )
    rows = (
        (f"`{name}`", connections, *(cell(at.get(key)) for key in CALLS.values()), str(at["unstored"] or ""))
        for name, of in servers.items()
        for connections, at in of["connections"].items()
    )
    print(markdown_table(("server", "connections", *CALLS, "not stored"), rows))
    print(
        markdown_table(
            ("server", *SERVERS),
            ((f"`{name}`", *(cell(of[key]) for key in SERVERS.values())) for name, of in servers.items()),
        )
    )


if __name__ == "__main__":
    main()
