"""Connections that are silent, half-sent, never left or refused, against a real `mhcds serve`."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests
from builders import bundle, given
from ehr import ADDRESS, MHCDS, Served, free_port, hook_request, mhcds, served, settings

POSITIVE = {"screening": json.loads(bundle(*given("PHQ-9, today: item 9 = 2, total = 9")))}
# As large as a usual chart, so that it is not all there when the head is.
PADDED = {"extension": [{"padding": "x" * 150_000}]}
JSON = b"Content-Type: application/json\r\n"
POST = b"POST " + ADDRESS.encode() + b" HTTP/1.1\r\nHost: x\r\n"
PROBES, PATIENCE_S = 20, 10


@contextmanager
def service(folder: Path, *words: str, port: int | None = None, **wanted) -> Iterator[Served]:
    """One worker on settings of its own."""
    port = port or free_port()
    found = settings(folder, service={"public_url": f"http://127.0.0.1:{port}"})
    with served(found, "--workers", "1", *words, port=port, **wanted) as running:
        yield running


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with service(tmp_path_factory.mktemp("connections")) as found:
        yield found


def address(found: Served) -> tuple[str, int]:
    return "127.0.0.1", int(found.base.rpartition(":")[2])


def opened(found: Served, number: int, sent: bytes, kept: ExitStack, *, reads: bool = True) -> list[socket.socket]:
    """Connections that send this and stay open."""
    made = []
    for _ in range(number):
        client = kept.enter_context(socket.socket())
        if not reads:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.settimeout(PATIENCE_S)
        client.connect(address(found))
        client.sendall(sent)
        made.append(client)
    return made


# ---- floods ----


@pytest.mark.parametrize(("number", "sent", "reads"), [
    (100, b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", True),
    (200, POST + JSON + b"Content-Length: 5000\r\n\r\n{", True),
    (200, POST, True),
    (700, b"", True),
    (120, b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 30, False),
], ids=["answered, and never left", "half a body, unsigned", "half a head", "silent, more than a worker holds", "takes no answer"])  # fmt: skip
def test_a_flood_of_connections_delays_no_probe_and_no_call(
    running: Served, number: int, sent: bytes, *, reads: bool
) -> None:
    with ExitStack() as kept:
        opened(running, number, sent, kept, reads=reads)

        for _ in range(PROBES):
            assert requests.get(f"{running.base}/health/live", timeout=PATIENCE_S).status_code == 200
            time.sleep(0.2)  # a flood takes a while to fill what it fills
        assert running.call(hook_request(more=POSITIVE)).json()["cards"]
    assert not any("WORKER TIMEOUT" in line or "Traceback" in line for line in running.lines())


def test_a_half_body_is_refused_at_once_and_its_client_gets_the_whole_answer(running: Served) -> None:
    with ExitStack() as kept:
        (client,) = opened(running, 1, POST + JSON + b"Content-Length: 5000\r\n\r\n{", kept)

        received = b""
        while part := client.recv(65_536):
            received += part

    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nConnection: close" in head
    assert json.loads(body)["resourceType"] == "OperationOutcome"


def test_a_head_without_an_end_is_refused_once_it_is_larger_than_any(running: Served) -> None:
    """gunicorn would take 3 MB, and go through all that is here each time that more arrives."""
    with ExitStack() as kept:
        (client,) = opened(running, 1, POST + b"X-Line: x\r\n" * 20_000, kept)

        assert client.makefile("rb").readline().startswith(b"HTTP/1.1 431 ")
    assert running.call(cookies="x" * 30_000).status_code == 200


# ---- a refusal, then a valid call on the same connection ----

REFUSED = {
    401: ({"Authorization": "Bearer x"}, PADDED),
    413: ({}, {"extension": [{"padding": "x" * 3_000_000}]}),
    415: ({"Content-Type": "text/plain"}, PADDED),
}


@pytest.mark.parametrize("status", REFUSED)
def test_valid_calls_of_a_session_succeed_after_a_refusal(running: Served, status: int) -> None:
    headers, more = REFUSED[status]
    with requests.Session() as session:

        def call(body: dict, changes: dict[str, str]) -> int:
            sent = running.ehr().headers() | {"Content-Type": "application/json"} | changes
            return session.post(running.base + ADDRESS, json.dumps(body), headers=sent, timeout=30).status_code

        seen = [(call(hook_request(**more), headers), call(hook_request(**PADDED), {})) for _ in range(20)]

    assert seen == [(status, 200)] * 20


def test_a_refusal_keeps_the_connection_only_if_it_says_so(running: Served) -> None:
    """Over a raw socket: a small body is here, and the connection is kept; one too large is not, and it is closed."""
    for size, kept_open in ((150_000, True), (3_000_000, False)):
        with ExitStack() as kept:
            (client,) = opened(running, 1, POST + JSON + b"Content-Length: %d\r\n\r\n" % size + b" " * size, kept)
            answer = client.makefile("rb")
            assert status_and_connection(answer) == (401, "keep-alive" if kept_open else "close")
            if not kept_open:
                assert answer.read() == b""
                continue
            body = json.dumps(hook_request()).encode()
            token = running.ehr().headers()["Authorization"].encode()
            client.sendall(POST + JSON + b"Authorization: %s\r\nContent-Length: %d\r\n\r\n" % (token, len(body)) + body)
            assert status_and_connection(answer) == (200, "keep-alive")


def status_and_connection(answer) -> tuple[int, str]:
    """The next answer of a stream, its body read."""
    status = int(answer.readline().split()[1])
    headers = {}
    while line := answer.readline().strip():
        name, _, value = line.decode().partition(": ")
        headers[name.lower()] = value
    answer.read(int(headers["content-length"]))
    return status, headers["connection"]


# ---- health and metrics on a port of their own ----


def test_the_health_port_answers_on_health_and_metrics_alone(tmp_path: Path) -> None:
    port = free_port()
    with service(tmp_path, "--health-port", str(port)) as found:
        base = f"http://127.0.0.1:{port}"
        assert [requests.get(base + path, timeout=30).status_code for path in ("/health/live", "/health/ready")] == [
            200, 200,
        ]  # fmt: skip
        assert found.call().status_code == 200
        assert "mhcds_calls_total" in requests.get(f"{base}/metrics", timeout=30).text
        assert requests.get(f"{base}/cds-services", timeout=30).status_code == 404
        token = found.ehr().headers()
        assert requests.post(base + ADDRESS, json=hook_request(), headers=token, timeout=30).status_code == 404
        assert requests.post(found.base + ADDRESS, json=hook_request(), headers=token, timeout=30).status_code == 200


def test_the_health_port_is_another_than_the_port(tmp_path: Path) -> None:
    done = mhcds("serve", "--config", str(settings(tmp_path)), "--port", "8080", "--health-port", "8080")

    assert (done.returncode, "expected a port other than --port" in done.stderr) == (2, True)


# ---- the folder of the counters ----


def counters(found: Served) -> Path:
    """The folder that a service has locked."""
    opened_files = Path(f"/proc/{found.process.pid}/fd").iterdir()
    return next(target for file in opened_files if "/mhcds-counters-" in str(target := file.readlink()))


def test_a_start_sweeps_the_counters_of_a_killed_service_and_of_no_other(tmp_path: Path) -> None:
    with service(tmp_path / "living") as living:
        with service(tmp_path / "killed") as killed:
            left = counters(killed)
            killed.kill()

        with service(tmp_path / "next") as following:
            assert not left.exists()
            assert counters(living).is_dir()
            own = counters(following)
        assert not own.exists()
        assert living.call().status_code == 200
        assert 'status="200"} 1.0' in living.get("/metrics").text


# ---- what a worker loads ----


def test_a_worker_loads_no_library_of_training(running: Served) -> None:
    """XGBoost, with all that it loads, stays in the process that loads models. Libraries with binaries show in the maps."""
    assert running.call(hook_request(more=POSITIVE)).status_code == 200
    pid = running.process.pid
    (worker,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

    loaded = set(re.findall(r"/site-packages/([a-z_]+)", Path(f"/proc/{worker}/maps").read_text()))

    assert {"numpy", "msgspec"} <= loaded
    assert not loaded & {"xgboost", "sklearn", "pandas", "pyarrow", "shap", "numba", "llvmlite", "matplotlib"}


def test_the_threads_of_a_worker_share_one_heap(running: Served) -> None:
    """A heap of a thread's own, in glibc, is a part in use and a part that is not, together 64 MB of addresses."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: running.call(hook_request(more=POSITIVE)).status_code, range(24)))
    pid = running.process.pid
    (worker,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    parts = [line.split() for line in Path(f"/proc/{worker}/maps").read_text().splitlines()]
    ends = [tuple(int(end, 16) for end in part[0].split("-")) for part in parts]

    heaps = [
        part[0]
        for part, (begin, _), (_, end), then in zip(parts, ends, ends[1:], parts[1:], strict=False)
        if (part[1], then[1]) == ("rw-p", "---p") and end - begin == 64 * 1024 * 1024
    ]

    assert set(answers) == {200}
    assert heaps == []


# ---- the garbage collector ----

# Collects at the first rest, whatever is there; says which generation was collected.
WATCHED = f"""
import gc, os
from cds_service.serving import worker
worker.OBJECTS_LEFT = worker.FULL_AFTER = -1
gc.callbacks.append(lambda phase, about: phase == "stop" and os.write(2, b"generation %d\\n" % about["generation"]))
{MHCDS[2]}
"""


def test_garbage_is_collected_when_no_call_is_under_way(tmp_path: Path) -> None:
    with service(tmp_path, mhcds=(*MHCDS[:2], WATCHED)) as found, ExitStack() as kept:

        def collections() -> int:
            return found.lines().count("generation 2")

        found.call(hook_request(more=POSITIVE))
        until, first = time.monotonic() + 60, collections()
        while collections() == first and time.monotonic() < until:
            time.sleep(0.1)  # the main loop turns at least once a second
        at_rest = collections() - first

        head = f"Authorization: {found.ehr().headers()['Authorization']}\r\nContent-Length: 9\r\n\r\n"
        opened(found, 1, POST + JSON + head.encode() + b"{", kept)
        found.call(hook_request(more=POSITIVE))  # by now the other call waits for its body
        before = collections()
        statuses = {found.call(hook_request(more=POSITIVE)).status_code for _ in range(2)}
        while_one_waits = collections() - before

    assert at_rest > 0
    assert (statuses, while_one_waits) == ({200}, 0)
