"""Processor time and memory of processes, and the facts of the machine that figures belong to."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
LIBRARIES = ("flask", "gunicorn", "msgspec", "sqlalchemy", "psycopg", "cryptography", "numpy", "xgboost-cpu")


def family(pid: int) -> list[psutil.Process]:
    """A process and its descendants."""
    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]


def cpu_s(pid: int) -> float:
    """User and system time of a process and its descendants, those that have ended included, in seconds."""
    total = 0.0
    for process in family(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # ended meanwhile: its parent counts it the next time
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def memory_mb(pid: int) -> dict[str, float]:
    """Of the largest worker below a master: resident (rss), its share of shared pages counted once (pss), its own (uss)."""
    found = [process.memory_full_info() for process in family(pid)[1:]] or [psutil.Process(pid).memory_full_info()]
    largest = max(found, key=lambda memory: memory.rss)
    return {name: getattr(largest, name) / 1e6 for name in ("rss", "pss", "uss")}


def fsync_ms(folder: Path, times: int = 100) -> float:
    """The median time of a 4 kB write to disk in this folder: no durable record can be faster."""
    taken = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(times):
            started = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken)


def machine(folder: Path) -> dict[str, object]:
    """What a figure depends on; `folder` is where the databases lie."""
    model = [line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short", "HEAD") + ("+changes" if _git("status", "--porcelain") else ""),
        "processor": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "fsync_ms": round(fsync_ms(folder), 3),
        "load_before": [round(n, 2) for n in os.getloadavg()],
    }


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
