"""The command `mhcds` as a process that need not import everything anew: forked off one that waits.

A start of Python until the command begins costs two seconds of a core, nearly all of it imports, and the tests run some
three hundred commands. A forked command is otherwise what a started one is: a process of its own with its words,
environment, folder, files and exit status; stores, threads and models begin in it. Not imported ahead is what looks at
the environment when it is imported (prometheus_client, and what needs it) and scikit-learn, which serving does without.
Tests of the start itself, of what is imported and of memory start Python (`ehr.MHCDS`).
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from importlib import import_module
from pathlib import Path

AHEAD = (
    *("alembic.command", "alembic.config", "psycopg", "rich.progress", "rich.table", "xgboost"),
    *("cds_service.__main__", "cds_service.burden.limits", "cds_service.burden.snoozes", "cds_service.cards.from_notices"),
    *("cds_service.control.opt_outs", "cds_service.documents.discovery", "cds_service.escalation.desk"),
    *("cds_service.hooks.accepted", "cds_service.hooks.gaps", "cds_service.hooks.parsing"),
    *("cds_service.incidents.near_misses", "cds_service.sending.inbound", "cds_service.serving.server"),
    *("cds_service.settings.live", "cds_service.storage.opening", "cds_service.storage.sent_cards"),
    *("cds_service.subscriptions.arrivals", "smart_launch.chart.routes", "smart_launch.forms.form_routes"),
    *("smart_launch.launch.begin", "smart_launch.pages.blueprint"),
)  # fmt: skip
MOST_BYTES = 2**20


def run(
    *words: str,
    input: bytes = b"",  # noqa: A002  # as subprocess.run calls it
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess:
    """The command, run to its end: as `subprocess.run` with what it prints captured, in bytes."""
    asked = {"words": words, "env": dict(os.environ if env is None else env), "cwd": str(cwd or Path.cwd())}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
        given.write(input)
        given.seek(0)
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with here, there:
            here.settimeout(timeout)
            files = [given.fileno(), said.fileno(), errors.fileno(), there.fileno()]
            socket.send_fds(_parent(), [json.dumps(asked).encode()], files)
            there.close()
            pid, code = int(here.recv(100)), ""
            try:
                code = here.recv(100).decode()
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(words, timeout) from None
        assert code, "the process that forks commands has ended"
        for file in (said, errors):
            file.seek(0)
        return subprocess.CompletedProcess(words, int(code), said.read(), errors.read())


@cache
def _parent() -> socket.socket:
    """The process that forks commands, one for each process of pytest; it ends when this connection does."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        command = [sys.executable, __file__, str(there.fileno())]
        process = subprocess.Popen(command, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL)

    def end() -> None:
        here.close()
        process.wait()

    atexit.register(end)
    return here


def _wait_for_work(control: int) -> tuple[dict, list[int]]:
    """Returns in each forked process, with what it was asked for and its files; ends the process that forks."""
    asked = socket.socket(fileno=control)
    waits, running = select.poll(), {}
    waits.register(control, select.POLLIN)
    while True:
        for fd, _ in waits.poll():
            if fd == control:
                raw, files, *_ = socket.recv_fds(asked, MOST_BYTES, 4)
                if not raw:
                    os._exit(0)
                if (pid := os.fork()) == 0:
                    asked.detach()
                    return json.loads(raw), files
                os.write(files[3], str(pid).encode())
                for file in files[:3]:
                    os.close(file)
                ended = os.pidfd_open(pid)
                running[ended] = pid, files[3]
                waits.register(ended, select.POLLIN)
            else:
                pid, told = running.pop(fd)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                waits.unregister(fd)
                os.write(told, str(code).encode())
                os.close(fd)
                os.close(told)


def _become(asked: dict, files: list[int]) -> None:
    """Takes over words, files, environment and folder."""
    for place, file in enumerate(files[:3]):
        os.dup2(file, place)
    os.closerange(3, 1024)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    sys.argv = ["mhcds", *asked["words"]]


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parent.parent)
    sys.modules["sklearn"] = None
    for name in AHEAD:
        import_module(name)
    assert "prometheus_client" not in sys.modules
    gc.collect()
    gc.freeze()
    _become(*_wait_for_work(int(sys.argv[1])))
    from cds_service.__main__ import main

    main(prog_name="mhcds")
