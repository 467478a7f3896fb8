"""HTTP calls by the thousand, each answer held against `/openapi.json` and against what we promise.

`python tests/http_fuzz.py 100000` makes that many and prints the counts (make fuzz-http): most of them spoiled at
random (http_calls.py), five in a hundred drawn from the description by schemathesis, two in a hundred over raw sockets
to a running `mhcds serve` (raw_http.py). The first broken promise ends it, with the seed that makes the call again.
A second number is the first seed (0), for calls that were not made before.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote_to_bytes

from builders import AS_OF
from described import Answer, Described
from ehr import app_of, settings
from http_calls import MAKERS, REFUSING_PORT, SECRET, Sent, signed
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from raw_http import run_raw
from werkzeug.test import run_wsgi_app

from cds_service.documents.openapi import document

VIEWER = "https://viewer.example"
NEVER = ("Traceback", "unforeseen-error", SECRET, "eyJ")  # eyJ begins every JWT
# A staff client's token, a contact's signature, a subscription's secret: no token of a client of hooks opens these.
OTHER_KEYS = ("/control/", "/escalations/", "/subscriptions/")
CHUNK, DRAWN = 1000, 250
# Why a body that is as its schema says may be refused all the same: rules that it cannot say.
UNSAID = (
    b"hook: expected",
    b"context.encounterId: required",
    b"fhirAuthorization.",
    b"gzip",
    b"outcomeTimestamp: expected",
    b"by: expected at most",
    b"prefetch",
)
# In memory where there is such a folder: every answer is a row that waits for the disk.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # a folder of its own in it


class Heard(logging.Handler):
    """All that was logged since it was last asked."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def taken(self) -> list[str]:
        found, self.lines = self.lines, []
        return found


class Fuzzed:
    """The app in this process, its description, and its log."""

    def __init__(self, folder: Path) -> None:
        site = {
            "fhir_bases": [f"http://127.0.0.1:{REFUSING_PORT}/fhir", "https://fhir.example/elsewhere"],
            "fetch_budget_s": 0.05,
        }
        settings(folder, service={"cors_origins": [VIEWER]}, site=site)
        self.app = app_of(folder, now=lambda: AS_OF)
        self.described = Described(document())
        self.heard = Heard()
        logging.getLogger().addHandler(self.heard)
        logging.getLogger("mhcds").setLevel(logging.INFO)

    def answer(self, sent: Sent) -> Answer:
        """What the app says, called as a WSGI server calls it. Raises what the app raises."""
        found, status, headers = run_wsgi_app(self.app, _environ(sent), buffered=True)
        return Answer(status=int(status.split()[0]), headers={k.lower(): v for k, v in headers}, body=b"".join(found))

    def judged(self, sent: Sent) -> Answer:
        """The answer. Raises AssertionError on a broken promise."""
        answer = self.answer(sent)
        path = "/" + sent.path.lstrip("/")
        said = self.heard.taken()
        fault = self.described.fault(sent.method.upper(), path, answer)
        assert fault is None, f"not as described: {fault}"
        assert answer.status < 500 or answer.status == 503, f"status {answer.status}; log {said}"
        for word in NEVER:
            # Who a refused token was for and from is said on purpose: its issuer cannot find the fault otherwise.
            heard = [line for line in said if not (word == SECRET and '"client-refused"' in line)]
            assert not any(word in line for line in heard), f"{word!r} in the log: {said}"
        if answer.status >= 300:
            assert SECRET.encode() not in answer.body, f"a refusal quotes what was sent: {answer.body!r}"
        # The app's pages look at the session of a browser, and at no token of a CDS client.
        if sent.good is not None and answer.status not in (404, 405) and not sent.path.startswith("/smart/"):
            # A token of a client of hooks is good for nothing else.
            if path.startswith(OTHER_KEYS):
                assert answer.status >= 400, f"opened by a token of hooks, status {answer.status}"
            else:
                assert (answer.status == 401) is not sent.good, f"good token {sent.good}, status {answer.status}"
        if sent.good and sent.statuses:
            assert answer.status in sent.statuses, f"expected {sent.statuses}; found {answer.status} {answer.body!r}"
        return answer


def _environ(sent: Sent) -> dict:
    found = {
        "REQUEST_METHOD": sent.method, "SCRIPT_NAME": "", "PATH_INFO": sent.path, "QUERY_STRING": sent.query, "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1:8080",
        "CONTENT_LENGTH": str(len(sent.body)), "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": BytesIO(sent.body),
        "wsgi.errors": sys.stderr, "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False, "wsgi.input_terminated": True,
    }  # fmt: skip
    for name, value in sent.headers:
        key = name.upper().replace("-", "_")
        found[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return found


def group(sent: Sent, status: int) -> str:
    """How a call is counted."""
    what = "feedback" if "/feedback" in sent.path else "hook call" if "/cds-services/" in sent.path else "open"
    return f"{what if sent.method == 'POST' else 'other'} {status}"


# ---- spoiled at random ----


def run(fuzzed: Fuzzed, start: str, number: int) -> Counter:
    """That many calls of all makers. Raises on the first that breaks a promise, with its seed."""
    counts: Counter = Counter()
    makers, weights = list(MAKERS), list(MAKERS.values())
    for n in range(number):
        drawer = random.Random(f"{start}-{n}")
        maker = drawer.choices(makers, weights)[0]
        sent = maker(drawer)
        try:
            status = fuzzed.judged(sent).status
        except Exception as error:
            raise AssertionError(
                f"seed {start}-{n}, {maker.__name__}: {type(error).__name__}: {error}\n{shown(sent)}"
            ) from error
        counts[f"{maker.__name__}: {status}"] += 1
        counts[group(sent, status)] += 1
    return counts


def shown(sent: Sent) -> str:
    """A call in words that reproduce it, cut to a length that can be read."""
    return f"{sent.method[:50]} {sent.path[:300]!r} {sent.query[:100]!r}\n{[(k, v[:300]) for k, v in sent.headers[:9]]}\n{sent.body[:3000]!r}"


# ---- drawn from the description ----


def run_described(fuzzed: Fuzzed, start: int, number: int) -> Counter:
    """About that many calls, valid and not, of every operation, made up by schemathesis."""
    counts: Counter = Counter()
    import schemathesis  # a second that no other test needs

    modes = schemathesis.GenerationMode
    operations = [found.ok() for found in schemathesis.openapi.from_dict(document()).get_all_operations()]
    posts = [o for o in operations if o.method.upper() == "POST"]
    for operation in posts:
        for mode in modes:
            counts += _drawn(fuzzed, operation, mode, start, number * 9 // (20 * len(posts)))
    for operation in operations:
        if operation not in posts:
            counts += _drawn(fuzzed, operation, modes.POSITIVE, start, number // (10 * len(operations)))
    return counts


def _drawn(fuzzed: Fuzzed, operation, mode, start: int, number: int) -> Counter:
    counts: Counter = Counter()
    drawer = random.Random(f"{start} {operation.label} {mode.value}")

    @seed(start)
    @hypothesis_settings(
        max_examples=max(1, number),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(mode))
    def one(case) -> None:
        sent = _of_case(case.as_transport_kwargs(), drawer)
        answer = fuzzed.judged(sent)
        # No launch that is made up can be one of a registered EHR.
        made_up = sent.path.startswith("/smart/")
        if mode.name == "POSITIVE" and answer.status == 400 and not made_up:
            said = any(rule in answer.body for rule in UNSAID)
            assert said, f"refused, though as described: {answer.body!r}\n{shown(sent)}"
        counts[f"described, {mode.value}: {answer.status}"] += 1
        counts[group(sent, answer.status)] += 1

    one()
    return counts


def _of_case(case: dict, drawer: random.Random) -> Sent:
    """A drawn case as a call, mostly with a token and with a body that is packed if it says so."""
    body = case.get("data") or b""
    if "json" in case:
        body = json.dumps(case["json"]).encode()
    if not isinstance(body, bytes):
        body = str(body).encode()
    headers = tuple((k, _latin(str(v))) for k, v in case["headers"].items())
    packing = str(case["headers"].get("Content-Encoding", ""))
    if packing in ("gzip", "x-gzip") and drawer.random() < 0.7:
        body = gzip.compress(body, 1)
    path, _, query = case["url"].partition("?")
    sent = Sent(
        method=case["method"], path=unquote_to_bytes(path).decode("latin-1"), body=body, headers=headers, query=query
    )
    if sent.method == "POST" and drawer.random() < 0.9:
        return replace(signed(drawer, sent), statuses=())
    return sent


def _latin(value: str) -> str:
    return value.encode("latin-1", "replace").decode("latin-1")


# ---- all of it ----


@cache
def _fuzzed(folder: Path) -> Fuzzed:
    """One app a process, for as long as the process lives."""
    return Fuzzed(folder / str(os.getpid()))


def _job(folder: Path, kind: str, start: int, number: int) -> Counter:
    return (run_described if kind == "described" else run)(_fuzzed(folder), start, number)


def jobs(number: int, first: int = 0) -> Iterable[tuple[str, int, int]]:
    """The work in pieces, the slow kind first."""
    drawn = number // 20 // DRAWN
    yield from (("described", first + n, DRAWN) for n in range(drawn))
    rest = number - drawn * DRAWN - number // 50
    yield from (("spoiled", first + n, min(CHUNK, rest - n * CHUNK)) for n in range(-(-rest // CHUNK)))


def _calls(counts: Counter) -> int:
    return sum(n for name, n in counts.items() if ":" not in name)


def main(number: int, first: int = 0, say: Callable[[str], None] = print) -> Counter:
    """Runs in two processes, then against a real server, and prints what was done."""
    began = time.monotonic()
    counts: Counter = Counter()
    with tempfile.TemporaryDirectory(prefix="mhcds-fuzz-", dir=MEMORY) as name, ProcessPoolExecutor(2) as pool:
        waiting = [pool.submit(_job, Path(name), *job) for job in jobs(number, first)]
        try:
            for done in as_completed(waiting):
                counts += done.result()
                say(f"{_calls(counts):>9,} of {number:,} calls, {time.monotonic() - began:.0f} s")
            # Some operations have fewer cases than were wanted of them.
            missing = number - number // 50 - _calls(counts)
            counts += pool.submit(_job, Path(name), "spoiled", first - 1, max(0, missing)).result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    with tempfile.TemporaryDirectory(prefix="mhcds-fuzz-", dir=MEMORY) as name:
        counts += run_raw(Path(name), first, number // 50)
    say(
        f"{_calls(counts):,} calls in {time.monotonic() - began:.0f} s: no 5xx but 503, every answer as described, nothing private in the log"
    )
    for name, count in sorted(counts.items(), key=lambda pair: (":" in pair[0], pair[0].partition(":")[0], -pair[1])):
        say(f"{count:>9,} {name}")
    return counts


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
