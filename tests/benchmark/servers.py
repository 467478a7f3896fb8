"""The servers that are compared, each in processes of its own on loopback."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmark import measuring
from benchmark.bodies import Body
from benchmark.load import Target
from ehr import ADDRESS, EHR, MHCDS, free_port, issuer_table, kept_in, mhcds, settings

HERE = Path(__file__).parent
PUBLIC = "https://cds.example"
HEALTHCHAIN = Path(sys.prefix) / "healthchain" / "bin" / "python"
THREADS = 64
"""About as many as one of our workers has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A server to measure. `command` starts it on a port; `signed`: the algorithm of its clients' tokens."""

    name: str
    what: str
    body: Body
    command: Callable[[int], list[str]]
    path: str = ADDRESS
    ready: str = "/health/ready"
    signed: str | None = None
    database: int | None = None  # process id of the database's master

    def target(self, port: int) -> Target:
        """Calls of it, each with a fresh token where it asks for one."""
        ehr = EHR(base=PUBLIC, algorithm=self.signed or "RS384", kid=self.signed or "RS384")
        return Target(
            url=f"http://127.0.0.1:{port}{self.path}",
            body=self.body.content,
            cards=self.body.cards,
            sign=ehr.token if self.signed else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A started server. `start_s`: from its exec to the first 200 of its readiness."""

    pid: int
    port: int
    start_s: float


@contextmanager
def running(contestant: Contestant, folder: Path) -> Iterator[Running]:
    """The server, ready; ended by its process id, with its workers. What it prints is in `log_of` it."""
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment = inherited | {"PYTHONPATH": os.pathsep.join((str(measuring.ROOT), str(HERE.parent)))}
    with log_of(contestant, folder).open("ab") as log:
        started = time.perf_counter()
        process = subprocess.Popen(
            contestant.command(port), stdout=log, stderr=log, start_new_session=True, env=environment
        )
    try:
        _wait(process, port, contestant)
        yield Running(pid=process.pid, port=port, start_s=time.perf_counter() - started)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=30)


def log_of(contestant: Contestant, folder: Path) -> Path:
    return folder / f"{contestant.name}.log"


def _wait(process: subprocess.Popen, port: int, contestant: Contestant) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{contestant.name} ended at once; its log says why")
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            link.request("GET", contestant.ready)
            if link.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            link.close()
        time.sleep(0.005)
    raise RuntimeError(f"{contestant.name} was not ready within a minute; its log says why")


def reference(body: Body, workers: int = 1) -> Contestant:
    """Flask under gunicorn, with the class of worker that ours has."""
    options = ["--worker-class", "gthread", "--threads", str(THREADS), "--keep-alive", "75", "--log-level", "error"]
    return Contestant(
        name="reference",
        what="Flask under gunicorn: parses the body, no authentication, no record",
        body=Body(content=body.content, cards=0),
        command=lambda port: [
            *(sys.executable, "-m", "gunicorn", "benchmark.reference:app", "--workers", str(workers)),
            *options,
            *("--bind", f"127.0.0.1:{port}", "--no-control-socket"),
        ],
    )


def ours(
    name: str, what: str, body: Body, configured: Path, *, signed: str = "RS384", workers: int = 1,
    database: int | None = None, command: Sequence[str] = MHCDS,
) -> Contestant:  # fmt: skip
    """`mhcds serve` on a folder of settings (`production`)."""
    return Contestant(
        name=name,
        what=what,
        body=body,
        signed=signed,
        database=database,
        command=lambda port: [
            *(*command, "serve", "--config", str(configured)),
            *("--port", str(port), "--workers", str(workers)),
        ],
    )


def production(
    folder: Path, *, store: str | None = None, service: dict | None = None, site: dict | None = None, sites: int = 1
) -> Path:
    """Settings in production mode behind a proxy on loopback, without a limit on calls; the store is made.

    The first of the sites has the client that calls; the others have clients of their own.
    """
    kept = kept_in(store or f"sqlite:///{folder / 'mhcds.db'}", folder)
    wanted = {"mode": "production", "public_url": PUBLIC, "trusted_proxies": ["127.0.0.1"]} | kept | (service or {})
    common = {"consent": "not-used"} | (site or {})
    tables = {"site": common | {"issuer": [issuer_table()]}}
    for n in range(1, sites):
        tables[f"site-{n}"] = common | {"issuer": [issuer_table(iss=f"https://ehr-{n}.example")]}
    configured = settings(folder, service=wanted, sites=tables)
    done = mhcds("db", "upgrade", "--config", str(configured))
    if done.returncode:
        raise RuntimeError(f"mhcds db upgrade: {done.stderr}")
    return configured


def healthchain(body: Body, python: Path) -> Contestant:
    """HealthChain's service, by the Python of its own environment."""
    return Contestant(
        name="healthchain",
        what="HealthChain: a handler with two constant cards, no authentication, no record",
        body=Body(content=body.content, cards=2),
        command=lambda port: [str(python), str(HERE / "with_healthchain.py"), str(port)],
        path="/cds/cds-services/depression-suicide-risk",
        ready="/cds/cds-discovery",
    )
