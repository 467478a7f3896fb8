"""What three fixed hook calls cost, in counts that do not depend on the machine; tests/cost_guard.toml has the figures.

    PYTHONPATH=.:tests .venv/bin/python tests/cost_guard.py            # prints them
    PYTHONPATH=.:tests .venv/bin/python tests/cost_guard.py --write    # and writes them into the file

Each call is a signed one through the whole app with its models and a store in SQLite, after three like it have filled
what a process keeps. Counted are the instructions of Python's interpreter and the calls of functions (ours, Python's
and those in C) in the thread of the call, the statements and commits of every connection to the database, and the
objects left to the garbage collector. Time spent inside of C (msgspec, cryptography, numpy, the database) is not seen;
memory that stays after a call is not stable enough to be compared. Instructions and calls are those of one version of
Python.
"""

from __future__ import annotations

import gc
import io
import itertools
import json
import logging
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from wsgiref.types import WSGIEnvironment

from benchmark import bodies
from benchmark.bodies import Body
from builders import AS_OF
from ehr import ADDRESS, BASE, EHR, settings
from flask import Flask
from werkzeug.test import create_environ, run_wsgi_app

from cds_service.app import create_app, make_ready
from cds_service.demo_ehr.patients import forms
from cds_service.settings.config import load_config

FIGURES = Path(__file__).with_name("cost_guard.toml")
COMMAND = "PYTHONPATH=.:tests .venv/bin/python tests/cost_guard.py --write"
WITHIN = 0.05
OF_ANY_PYTHON = ("statements", "commits")
Counts = dict[str, int]


def healthy() -> Body:
    """A short chart with nothing to say."""
    made = bodies.started(40, AS_OF)
    made.vitals(30, height_cm=170, weight_kg=65, blood_pressure=(118, 76), pulse=64)
    forms.phq9_total(made, 30, 1, forms.phq9_items(made, 30, (1, 0, 0, 0, 0, 0, 0, 0, 0)))
    return Body(content=bodies.request(made.resources), cards=0)


CALLS: dict[str, Callable[[], Body]] = {
    "healthy": healthy,
    "models-speak": lambda: bodies.speaking(AS_OF),
    "acute": lambda: bodies.acute(AS_OF),
}


def overheard() -> list[str]:
    """The statements that SQLite runs, on every connection that is opened from now on in this process."""
    statements: list[str] = []

    def connect(*arguments, **named) -> sqlite3.Connection:
        connection = open_connection(*arguments, **named)
        connection.set_trace_callback(statements.append)
        return connection

    open_connection = sqlite3.connect
    sqlite3.connect = sqlite3.dbapi2.connect = connect
    return statements


def app_in(folder: Path) -> Flask:
    """The app with its models. Its settings are not watched: that depends on the time that passes."""
    config = load_config(settings(folder, service={"store": f"sqlite:///{folder / 'guard.db'}"}), BASE, serving=True)
    make_ready(config)
    return create_app(config, now=lambda: AS_OF)


def environ_of(client: EHR, body: Body) -> WSGIEnvironment:
    """One signed call, as a server hands it to the app."""
    return create_environ(
        ADDRESS, BASE, method="POST", input_stream=io.BytesIO(body.content), content_type="application/json",
        content_length=len(body.content), headers=client.headers(ADDRESS),
    )  # fmt: skip


def counts_of(app: Flask, environ: WSGIEnvironment, body: Body, statements: list[str]) -> Counts:
    """The counts of one call."""
    executed, called = itertools.count(), itertools.count()

    def profile(_frame, event, _argument):
        if event in ("call", "c_call"):
            next(called)

    def trace(frame, event, _argument):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            next(executed)
        return trace

    statements.clear()
    gc.collect()
    gc.disable()
    sys.setprofile(profile)
    sys.settrace(trace)
    try:
        content, status, _ = run_wsgi_app(app, environ)
    finally:
        sys.settrace(None)
        sys.setprofile(None)
        garbage = gc.collect()
        gc.enable()
    cards = json.loads(b"".join(content))["cards"]
    if (status, len(cards)) != ("200 OK", body.cards):
        raise AssertionError(f"expected 200 and {body.cards} cards; found {status} and {len(cards)}")
    words = [statement.split(maxsplit=1)[0].upper() for statement in statements]
    return {
        "instructions": next(executed),
        "calls": next(called),
        "statements": sum(word not in ("BEGIN", "COMMIT", "ROLLBACK", "--") for word in words),
        "commits": words.count("COMMIT"),
        "garbage": garbage,
    }


def counted() -> dict[str, Counts]:
    """The counts of each call, in the order of CALLS."""
    logging.basicConfig(level=logging.INFO, stream=io.StringIO())
    statements = overheard()
    with tempfile.TemporaryDirectory() as folder:
        app, client = app_in(Path(folder)), EHR(clock=AS_OF.timestamp(), algorithm="RS384", kid="RS384")
        made = {name: make() for name, make in CALLS.items()}
        for body in list(made.values()) * 3:
            run_wsgi_app(app, environ_of(client, body))
        return {name: counts_of(app, environ_of(client, body), body, statements) for name, body in made.items()}


def differences(before: dict, after: dict) -> list[str]:
    """What differs by more than WITHIN, one line each: dearer, cheaper, another call. Both as the file has them."""
    if set(before) != set(after):
        return [f"calls: {', '.join(sorted(before))} became {', '.join(sorted(after))}"]
    names = {name for name in before if isinstance(before[name], dict)}
    compared = before[min(names)] if before["python"] == after["python"] else OF_ANY_PYTHON
    pairs = [(f"{name}, {what}", before[name][what], after[name][what]) for name in sorted(names) for what in compared]
    return [f"{what}: {old} became {new}" for what, old, new in pairs if abs(new - old) > WITHIN * old]


def as_toml(counts: dict[str, Counts]) -> str:
    """Counts by call as TOML."""
    tables = (f"\n[{name}]\n" + "".join(f"{what} = {n}\n" for what, n in own.items()) for name, own in counts.items())
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f'# What tests/cost_guard.py counts; rewrite with\n#     {COMMAND}\npython = "{python}"\n{"".join(tables)}'


if __name__ == "__main__":
    text = as_toml(counted())
    sys.stdout.write(text)
    if "--write" in sys.argv[1:]:
        FIGURES.write_text(text, encoding="utf-8")
