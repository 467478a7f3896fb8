"""`mhcds serve`: the app under gunicorn. Each worker loads its own models after the fork."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # gunicorn ships no types
from gunicorn.http import wsgi  # type: ignore[import-untyped]  # as above


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn with our settings and nothing read from files or the environment."""

    def __init__(self, create: Callable[[], Flask], options: dict[str, Any]) -> None:
        self.create = create
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        """Puts our options in the place of gunicorn's own sources."""
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Runs in the worker. Models stay for the life of the process, so collections need not look at them."""
        app = self.create()
        gc.collect()
        gc.freeze()
        return app


def serve(create: Callable[[], Flask], host: str, port: int, workers: int) -> None:
    """Serves until it is told to stop."""
    options = {
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "workers": workers,
        "worker_class": "gthread",
        "threads": 4,
        "timeout": 30,
        "graceful_timeout": 10,
        "proc_name": "mhcds",
        # One path in the home folder for all instances; nothing here needs it.
        "control_socket_disable": True,
    }
    # The Server header names no product or version (CDS Hooks checklist CDSH-193).
    wsgi.SERVER = "mhcds"
    Server(create, options).run()
