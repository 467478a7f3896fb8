"""`mhcds serve`: the app under gunicorn. Each worker gets its own models after the fork."""

from __future__ import annotations

import ctypes
import fcntl
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from flask import Flask
from gunicorn import glogging, util  # type: ignore[import-untyped]  # gunicorn ships no types
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # as above
from gunicorn.http import parser, wsgi  # type: ignore[import-untyped]  # as above

from cds_service.serving.log import LogLines
from cds_service.serving.slow_clients import MOST_AT_ONCE
from cds_service.serving.worker import BoundedRequest, Worker, head_is_here
from cds_service.settings.config import ServiceConfig
from cds_service.settings.deployment import APP_SLOTS, CONTROL_SLOTS, LAUNCH_SLOTS, NOTIFICATION_SLOTS
from cds_service.storage import housekeeping

# Spare threads, so that calls beyond the limits are answered 503 without waiting, whatever slow clients hold.
SPARE_THREADS = 16 + MOST_AT_ONCE
# Connections of a worker that are idle or silent. With the threads, fewer than the 1,024 open files of a usual limit.
IDLE_CONNECTIONS = 500
MOST_HEADER = 32 * 1024
MEMORY = "/dev/shm"  # noqa: S108  # a full disk must not stop the counting
NAME = "mhcds"
UNREADABLE = "Invalid request from ip="
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
COUNTERS = "mhcds-counters-"
M_ARENA_MAX = -8  # of glibc's malloc.h


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn with our settings and nothing read from files or the environment."""

    def __init__(self, create: Callable[[], Flask], options: dict[str, Any]) -> None:
        self.create = create
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        """Uses our options instead of gunicorn's own sources."""
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Runs in the worker. Models live as long as the process, so the garbage collector need not scan them."""
        share_one_heap()
        from cds_service.serving import watch  # noqa: PLC0415  # it imports `metrics`, see `shared_counters`

        app = self.create()
        housekeeping.start(app.extensions["mhcds"].store)
        watch.start(app.extensions["mhcds"])
        for name, job in app.extensions["mhcds-jobs"].items():
            watch.start_beside(name, job)
        gc.collect()
        gc.freeze()
        # For a worker that never rests; others collect sooner (`worker`). Python's own 700 means three a call.
        gc.set_threshold(10_000)
        return app


def share_one_heap() -> None:
    """Lets the threads of this process share one heap, where its C library is glibc.

    Each would keep one of its own, 16 MB in all, although only one thread at a time runs Python.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


class Log(glogging.Logger):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's log without the lines it could not parse, which may hold a token, and to the same place as ours."""

    def setup(self, cfg: Any) -> None:  # noqa: ANN401  # as gunicorn's own
        """Lines that hold up no thread."""
        super().setup(cfg)
        lines = LogLines()
        lines.setFormatter(self.error_log.handlers[0].formatter)
        self.error_log.handlers = [lines]

    def warning(self, msg: str, *args: object, **kwargs: Any) -> None:  # noqa: ANN401  # as gunicorn's own
        """Unchanged, except for the line about an invalid HTTP request."""
        if msg.startswith(UNREADABLE):
            msg = f"{UNREADABLE}{msg[len(UNREADABLE) :].partition(': ')[0]}"
        super().warning(msg, *args, **kwargs)


def refuse(sock: Any, status: int, reason: str, _said: str) -> None:  # noqa: ANN401  # as gunicorn calls its own
    """The response to an invalid HTTP request: an OperationOutcome that quotes nothing.

    gunicorn's own response is HTML with the line that it could not parse.
    """
    issue = {"severity": "error", "code": "invalid", "diagnostics": f"{reason}: expected a request in HTTP/1.1"}
    body = msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [issue]})
    lines = (
        f"HTTP/1.1 {status} {reason}",
        f"Server: {NAME}",
        "Connection: close",
        "Content-Type: application/json",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(body)}",
    )
    util.write_nonblock(sock, "\r\n".join((*lines, "", "")).encode("latin-1") + body)


def options(
    config: ServiceConfig, host: str, port: int, workers: int, health_port: int | None = None
) -> dict[str, Any]:
    """Gunicorn's settings: threads, timeouts, whose X-Forwarded-Proto is trusted, TLS."""
    address = f"[{host}]" if ":" in host else host
    threads = config.limits.concurrent_calls + APP_SLOTS + LAUNCH_SLOTS + CONTROL_SLOTS + SPARE_THREADS
    if any(site.subscription for site in config.sites):
        threads += NOTIFICATION_SLOTS
    values: dict[str, Any] = {
        "bind": [f"{address}:{each}" for each in (port, health_port) if each is not None],
        "workers": workers,
        "worker_class": Worker,
        "threads": threads,
        "worker_connections": threads + IDLE_CONNECTIONS,
        "timeout": 60,
        "graceful_timeout": 30,
        # Longer than a load balancer keeps its connection, so that it never meets a closed one.
        "keepalive": 75,
        "proc_name": NAME,
        "forwarded_allow_ips": ",".join(config.trusted_proxies),
        "forwarder_headers": "",
        # Only the documented header: one that a proxy does not overwrite comes from the client.
        "secure_scheme_headers": {"X-FORWARDED-PROTO": "https"},
        "limit_request_field_size": MOST_HEADER,
        # gunicorn's maximum: SMART servers put a lot into launch handles and codes.
        "limit_request_line": 8190,
        "pre_request": head_is_here,
        "logger_class": Log,
        # One path in the home folder for all instances; not needed here.
        "control_socket_disable": True,
    }
    if config.tls is not None:
        values |= {"certfile": str(config.tls.certificate), "keyfile": str(config.tls.key)}
    return values


@contextmanager
def shared_counters() -> Iterator[None]:
    """A temporary folder in which workers add up their counters, in memory where possible.

    prometheus_client reads the folder from the environment when `metrics` is first imported, so import that later.
    """
    place = Path(MEMORY if os.access(MEMORY, os.W_OK) else tempfile.gettempdir())
    for left in place.glob(f"{COUNTERS}*"):
        _sweep(left)
    folder, master = _locked_folder(place), os.getpid()
    os.environ[METRICS_FOLDER] = str(folder)
    try:
        yield
    finally:
        if os.getpid() == master:  # a worker that exits runs this too
            shutil.rmtree(folder, ignore_errors=True)


def _locked_folder(place: Path) -> Path:
    """A new folder, locked until this process and all its workers have ended, however they end."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=COUNTERS, dir=place))
        fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)
        if folder.exists():  # else another service swept it before it was locked
            return folder


def _sweep(folder: Path) -> None:
    """Removes a folder whose service has ended."""
    with suppress(OSError):  # it is locked, another user's, or gone
        opened = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(opened)


def serve(create: Callable[[], Flask], settings: dict[str, Any]) -> None:
    """Serves until stopped."""
    # No response names a product or version, or quotes unparsable input (checklist CDSH-193).
    wsgi.SERVER = NAME
    util.write_error = refuse
    parser.RequestParser.mesg_class = BoundedRequest
    # Collections in a worker would otherwise write to, and so copy, what it shares with the master.
    gc.collect()
    gc.freeze()
    Server(create, settings).run()
