"""`mhcds serve` as it runs in production: workers, stores, stops, limits, settings that change, TLS."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from builders import bundle, given
from ehr import (
    ADDRESS,
    DATA_KEY,
    EHR,
    FEEDBACK,
    MHCDS,
    Served,
    certificate,
    free_port,
    hook_request,
    issuer_table,
    kept_in,
    mhcds,
    public_jwk,
    recorded,
    served,
    settings,
)

from cds_service.audit.verify import verify
from cds_service.keys.data_key import DataKey
from cds_service.storage import tables
from cds_service.storage.opening import open_store
from cds_service.storage.versions import upgrade

POSITIVE = {"screening": json.loads(bundle(*given("PHQ-9, today: item 9 = 2, total = 9")))}


@contextmanager
def service(folder: Path, *words: str, **changes):
    """A running service on settings of its own; `changes` go to `settings`."""
    port = free_port()
    changes["service"] = {"public_url": f"http://127.0.0.1:{port}"} | changes.get("service", {})
    with served(settings(folder, **changes), *words, port=port) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory):
    with service(tmp_path_factory.mktemp("served")) as found:
        yield found


def wait_for(found, what: str) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if found():
            return
        time.sleep(0.05)
    raise AssertionError(f"not seen within two minutes: {what}")


# ---- life ----


def test_a_service_that_runs_is_live_ready_and_counted(running: Served) -> None:
    assert running.get("/health/live").json() == {"status": "live"}
    ready = running.get("/health/ready")
    assert (ready.status_code, ready.json()) == (
        200, {"status": "ready", "checks": dict.fromkeys(("store", "models", "configuration", "switches", "escalations"), "ok")},
    )  # fmt: skip
    answers = [running.call(hook_request(more=POSITIVE)) for _ in range(12)]  # a connection each: both workers answer

    assert {a.status_code for a in answers} == {200}
    text = running.get("/metrics").text
    assert re.search(r'mhcds_calls_total\{service="depression-suicide-risk",status="200"\} (\d+)', text)[1] == "12"
    assert 'mhcds_cards_total{indicator="warning",topic="positive-safety-answer"} 12.0' in text
    for line in text.splitlines():
        assert "p1" not in re.findall(r'"([^"]*)"', line), line


def test_the_answer_names_no_product_version_and_no_library(running: Served) -> None:
    for path in ("/cds-services", "/nothing", "/health/live"):
        server = running.get(path).headers["Server"]
        assert server == "mhcds"


def test_a_token_is_used_up_for_all_workers(running: Served) -> None:
    token = running.ehr().headers()

    def call(_number: int) -> int:
        return requests.post(running.base + ADDRESS, json=hook_request(), headers=token, timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(call, range(24))) == [200] + [401] * 23


def test_bodies_come_chunked_packed_and_on_one_connection(running: Served) -> None:
    connection = http.client.HTTPConnection(running.base.removeprefix("http://"), timeout=30)
    body = json.dumps(hook_request(more=POSITIVE)).encode()
    for size in (1, 7, 5000):
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        headers = running.ehr().headers() | {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        connection.request("POST", ADDRESS, iter(pieces), headers, encode_chunked=True)
        answer = connection.getresponse()
        assert (answer.status, len(json.loads(answer.read())["cards"])) == (200, 1)
    connection.request(
        "POST", ADDRESS, body, running.ehr().headers() | {"Content-Type": "application/json; charset=utf-8"}
    )
    assert connection.getresponse().status == 200
    connection.close()


def test_calls_side_by_side_never_share_a_patient(running: Served) -> None:
    def call(number: int) -> bool:
        who = f"patient-{number}"
        positive = number % 2 == 0
        entries = [
            r | {"subject": {"reference": f"Patient/{who}"}} for r in given("PHQ-9, today: item 9 = 2, total = 9")
        ]
        more = {"patient": {"resourceType": "Patient", "id": who, "birthDate": "1980-01-01"}}
        if positive:
            more["screening"] = json.loads(bundle(*entries))
        context = {"userId": "Practitioner/doc", "patientId": who}
        cards = running.call(hook_request(more=more, context=context)).json()["cards"]
        named = {r for c in cards for r in re.findall(r"Patient/(patient-\d+)", json.dumps(c))}
        return (bool(cards), named) == (positive, {who} if positive else set())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(120)))


def test_a_worker_that_dies_is_replaced_and_nothing_else_is_lost(tmp_path: Path) -> None:
    with service(tmp_path) as found:
        children = Path(f"/proc/{found.process.pid}/task/{found.process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        wait_for(
            lambda: (
                len(
                    set(Path(f"/proc/{found.process.pid}/task/{found.process.pid}/children").read_text().split())
                    - {children[0]}
                )
                == 2
            ),
            "a second worker",
        )

        assert {found.call().status_code for _ in range(10)} == {200}
        for child in Path(f"/proc/{found.process.pid}/task/{found.process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGTERM)  # one that ends by itself, as at a reload
        wait_for(lambda: {found.call().status_code for _ in range(10)} == {200}, "workers again")
        counted = int(re.search(r'mhcds_calls_total\{.*status="200"\} (\d+)', found.get("/metrics").text)[1])
        assert counted >= 20


def test_a_stop_lets_calls_under_way_finish(tmp_path: Path) -> None:
    with (
        fhir_host() as host,
        service(
            tmp_path, site={"fhir_bases": [host.base], "fetch_budget_s": 8}, service={"limits": {"deadline_s": 10}}
        ) as found,
    ):
        with ThreadPoolExecutor(1) as pool:
            under_way = pool.submit(found.call, reading(host))
            wait_for(lambda: host.asked, "the service to read the chart")
            found.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            host.release.set()
            assert under_way.result().status_code == 412
        assert found.process.wait(timeout=30) == 0


def test_a_reload_and_workers_that_end_under_load_drop_no_call(store_url: str, tmp_path: Path) -> None:
    """SIGHUP replaces all workers, SIGTERM one, and SIGUSR1 comes from tools that rotate logs."""
    first = open_store(store_url)
    upgrade(first)
    with service(tmp_path, service=kept_in(store_url, tmp_path)) as found:
        stop, seen, sent = threading.Event(), [], []

        def steady(session: requests.Session | None) -> None:
            while not stop.is_set():
                instance = str(uuid.uuid4())
                post = session.post if session else requests.post
                body = hook_request(hookInstance=instance)
                seen.append(
                    post(found.base + ADDRESS, json=body, headers=found.ehr().headers(), timeout=30).status_code
                )
                if seen[-1] == 200:
                    sent.append(instance)

        def workers() -> set[int]:
            master = found.process.pid
            return {int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()}

        def gone(pids: set[int]) -> None:
            wait_for(lambda: len(workers()) == 2 and not workers() & pids, "new workers")
            enough = len(seen) + 20
            wait_for(lambda: len(seen) >= enough, "calls of the new workers")

        with requests.Session() as session, ThreadPoolExecutor(3) as pool:
            jobs = [pool.submit(steady, each) for each in (None, None, session)]
            wait_for(lambda: len(seen) >= 20, "calls")
            for _ in range(2):
                old = workers()
                found.process.send_signal(signal.SIGHUP)
                gone(old)
            one = min(workers())
            os.kill(one, signal.SIGTERM)
            gone({one})
            found.process.send_signal(signal.SIGUSR1)
            gone(set())
            stop.set()
            for job in jobs:
                job.result()

    assert set(seen) <= {200, 503}
    key = DataKey(DATA_KEY)
    kept = {row["event"]["hook_instance"] for row in recorded(first)}
    assert {key.pseudonym("north", instance) for instance in sent} <= kept
    assert seen.count(200) > 100


def test_a_reader_of_the_log_that_hangs_holds_up_no_call(tmp_path: Path) -> None:
    """As a collector of logs that stops taking lines: the pipe is full after some hundred calls."""
    log = tmp_path / "served.log"
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    with service(tmp_path, "--workers", "1") as found:
        assert {found.call().status_code for _ in range(300)} == {200}

        read = b""
        while b"log-lines-lost" not in read:
            found.call()
            with suppress(BlockingIOError):
                read += os.read(reader, 1_000_000)
        lost = json.loads(next(line for line in read.splitlines() if b"log-lines-lost" in line))
        assert lost["lines"] > 10
    os.close(reader)


def test_a_service_whose_standard_error_is_closed_answers(tmp_path: Path) -> None:
    closed = ("sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-m", "cds_service")
    port = free_port()
    folder = settings(tmp_path, service={"public_url": f"http://127.0.0.1:{port}"})
    with served(folder, port=port, mhcds=closed) as found:
        assert found.call().status_code == 200


# ---- kill -9 ----


def test_kill_9_under_load_loses_no_acknowledged_row(store_url: str, tmp_path: Path) -> None:
    """What a busy machine could not write within two seconds, here because of a lock, reached the log."""
    folder = tmp_path / "settings"
    kept = kept_in(store_url, folder)
    first = open_store(store_url)
    upgrade(first)
    acknowledged: list[str] = []
    said: list[str] = []

    with service(folder, service=kept) as found:

        def client(_number: int) -> None:
            try:
                while True:
                    instance = str(uuid.uuid4())
                    answer = found.call(hook_request(more=POSITIVE, hookInstance=instance))
                    if answer.status_code == 200:
                        acknowledged.append(instance)
                        card = answer.json()["cards"][0]["uuid"]
                        item = {"card": card, "outcome": "overridden", "outcomeTimestamp": "2026-11-25T10:00:00Z"}
                        if found.call({"feedback": [item]}, path=FEEDBACK).status_code == 200:
                            said.append(card)
            except (requests.RequestException, OSError):
                return

        with ThreadPoolExecutor(6) as pool:
            clients = [pool.submit(client, n) for n in range(6)]
            wait_for(lambda: len(acknowledged) >= 100, "100 answers")
            with first.transaction(patient=True) as connection:
                sqlite = store_url.startswith("sqlite")
                connection.exec_driver_sql("BEGIN IMMEDIATE" if sqlite else "LOCK TABLE audit_event IN SHARE MODE")
                wait_for(lambda: "answer-not-stored" in found.log.read_text(), "an answer that reached only the log")
            enough = len(acknowledged) + 50
            wait_for(lambda: len(acknowledged) >= enough, "50 more")
            found.kill()
        for done in clients:
            done.result()

    def written() -> set[str]:
        return {row["event"]["hook_instance"] for row in recorded(first)}

    known = {DataKey(DATA_KEY).pseudonym("north", instance) for instance in acknowledged}
    assert known - written()
    assert [chain.faults for chain in verify(first)] == [()] * len(verify(first))
    replayed = mhcds("db", "replay", "--config", str(folder), str(found.log))
    assert replayed.returncode == 0, replayed.stderr
    assert known <= written(), len(known - written())
    # Of a card whose answer was in the log alone, a report holds only a digest.
    assert len(said) <= len(first.rows(tables.feedback))
    with service(folder, service=kept) as again:
        assert again.get("/health/ready").status_code == 200
        assert again.call().status_code == 200
    whole = mhcds("audit", "verify", "--config", str(folder))
    assert (whole.returncode, "Every chain is whole" in whole.stdout) == (0, True), whole.stdout + whole.stderr


def test_postgresql_without_its_tables_stops_the_start_with_what_to_do(postgres, tmp_path: Path) -> None:
    settings(tmp_path, service=kept_in(postgres.new_database(), tmp_path))

    done = mhcds("serve", "--config", str(tmp_path), "--port", str(free_port()))

    assert (done.returncode, "mhcds db upgrade" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


# ---- settings that change ----


def swap_key(folder: Path, name: str, **changes) -> None:
    settings(folder, issuers=[issuer_table(keys=[public_jwk("ES384", "ES384", name)])], **changes)


def test_changed_settings_take_effect_and_drop_no_call(tmp_path: Path) -> None:
    """Two keys are taken in turn. Calls with a key that is in force throughout must all be answered."""
    both = [issuer_table(), issuer_table(keys=[public_jwk("ES384", "other", "other")])]
    with service(tmp_path) as found:
        url = {"public_url": found.base}
        other, stop, seen = found.ehr(kid="other", key="other"), threading.Event(), []

        def steady() -> None:
            while not stop.is_set():
                seen.append(found.call().status_code)

        def answers(ehr: EHR) -> int:
            return requests.post(
                found.base + ADDRESS, json=hook_request(), headers=ehr.headers(), timeout=30
            ).status_code

        assert answers(other) == 401
        with ThreadPoolExecutor(3) as pool:
            jobs = [pool.submit(steady) for _ in range(3)]
            for issuers, status in ((both, 200), ([issuer_table()], 401), (both, 200)):
                settings(tmp_path, issuers=issuers, service=url)
                wait_for(lambda: {answers(other) for _ in range(6)} == {status}, f"{status} from all workers")  # noqa: B023
            stop.set()
            for job in jobs:
                job.result()

        assert len(seen) > 30
        assert set(seen) == {200}


def test_bad_settings_keep_the_old_ones_and_say_so_until_they_are_mended(tmp_path: Path) -> None:
    with service(tmp_path) as found:
        url = {"public_url": found.base}
        (tmp_path / "sites" / "north.toml").write_text("time_zone = 'Mars/Olympus'\nissuer = 5")
        wait_for(lambda: {found.get("/health/ready").status_code for _ in range(6)} == {503}, "not ready")

        assert found.get("/health/ready").json()["checks"]["configuration"] != "ok"
        assert {found.call().status_code for _ in range(6)} == {200}
        assert found.get("/health/live").status_code == 200
        assert any("settings-not-reloaded" in line and "north.toml" in line for line in found.lines())
        settings(tmp_path, service=url)
        wait_for(lambda: {found.get("/health/ready").status_code for _ in range(6)} == {200}, "ready again")

        settings(tmp_path, service=url | {"store": "sqlite:///data/elsewhere.db"})
        wait_for(lambda: {found.get("/health/ready").status_code for _ in range(6)} == {503}, "not ready")
        assert any("store: changed; restart the service for it" in line for line in found.lines())
        assert found.call().status_code == 200


# ---- limits ----


class FhirHost(ThreadingHTTPServer):
    """A FHIR server that answers nothing until it is told; `asked` are the paths."""

    daemon_threads = True
    request_queue_size = 100  # with the usual five, connections that come at once are refused on a busy machine

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Waiting)
        self.release, self.asked = threading.Event(), []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/fhir"


class _Waiting(BaseHTTPRequestHandler):
    server: FhirHost

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.release.wait(30)
        self.send_error(500)

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def fhir_host():
    host = FhirHost()
    thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.release.set()
        host.shutdown()
        thread.join()
        host.server_close()


def reading(host: FhirHost, **changes) -> dict:
    """A call that has to read everything from that server, or what `prefetch` lacks."""
    granted = {
        "access_token": "t",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.read",
        "subject": "us",
    }
    return hook_request(**{"prefetch": {}, "fhirServer": host.base, "fhirAuthorization": granted} | changes)


def test_more_calls_at_once_than_allowed_are_told_to_come_again(tmp_path: Path) -> None:
    limits = {"calls_per_minute": 0, "concurrent_calls": 2, "deadline_s": 20}
    with (
        fhir_host() as host,
        service(
            tmp_path,
            "--workers",
            "1",
            site={"fhir_bases": [host.base], "fetch_budget_s": 20},
            service={"limits": limits},
        ) as found,
        ThreadPoolExecutor(8) as pool,
    ):
        slow = [pool.submit(found.call, reading(host)) for _ in range(2)]
        wait_for(lambda: len(host.asked) >= 10, "both calls to read")

        turned_away = list(pool.map(lambda _: found.call(), range(6)))

        assert {(a.status_code, a.headers["Retry-After"], a.json()["issue"][0]["code"]) for a in turned_away} == {
            (503, "1", "throttled")
        }
        assert found.get("/health/live").status_code == 200  # threads are left for whoever asks
        assert not any(job.done() for job in slow)
        host.release.set()
        assert [job.result().status_code for job in slow] == [412, 412]
        assert found.call().status_code == 200


def test_launches_at_an_ehr_that_hangs_keep_no_hook_call_waiting(tmp_path: Path) -> None:
    """Anybody may open a launch, and each waits for its EHR: more of them than a worker has threads."""
    with ExitStack() as kept:
        silent = kept.enter_context(socket.create_server(("127.0.0.1", 0), backlog=200))
        iss = f"http://127.0.0.1:{silent.getsockname()[1]}/fhir"
        found = kept.enter_context(
            service(
                tmp_path,
                "--workers",
                "1",
                site={"smart": [{"iss": iss, "client_id": "us"}]},
                service={"limits": {"calls_per_minute": 0, "concurrent_calls": 4}},
            )
        )
        pool = kept.enter_context(ThreadPoolExecutor(60))

        def answered_before_any_launch_was_given_up() -> bool:
            launches = [pool.submit(found.get, f"/smart/launch?iss={iss}&launch=x") for _ in range(60)]
            wait_for(lambda: any(job.done() for job in launches), "a launch that finds all places taken")

            assert found.call(hook_request(more=POSITIVE)).status_code == 200
            assert found.get("/smart/jwks.json").status_code == 200
            assert found.get("/smart/app/none/").status_code == 401  # a clinician's page
            at_once = {job.result().status_code for job in launches if job.done()} == {503}
            answers = [job.result() for job in launches]
            assert {(a.status_code, re.search(r'data-page="([^"]+)"', a.text)[1]) for a in answers} == {
                (502, "ehr-unreachable"),
                (503, "unavailable"),
            }
            return at_once

        # Again where the machine is so busy that three calls took the five seconds after which a launch is given up.
        assert any(answered_before_any_launch_was_given_up() for _ in range(5))


def test_at_the_deadline_the_rules_answer_with_what_is_there(tmp_path: Path) -> None:
    limits = {"calls_per_minute": 0, "deadline_s": 0.5}
    with (
        fhir_host() as host,
        service(tmp_path, site={"fhir_bases": [host.base], "fetch_budget_s": 30}, service={"limits": limits}) as found,
    ):
        known = hook_request(more=POSITIVE)["prefetch"]
        del known["conditions"]

        partly = found.call(reading(host, prefetch=known))
        nothing = found.call(reading(host))

    topics = [c["source"]["topic"]["code"] for c in partly.json()["cards"]]
    assert topics == ["positive-safety-answer", "could-not-assess"]
    assert nothing.status_code == 412
    assert "conditions" in nothing.text


# ---- https ----


def test_cdsh_164_with_a_certificate_it_speaks_https_of_today_and_nothing_else(tmp_path: Path) -> None:
    port, (crt, _key) = free_port(), certificate(tmp_path)
    url = f"https://127.0.0.1:{port}"
    folder = settings(
        tmp_path,
        service={"mode": "production", "public_url": url, "tls": {"certificate": "cert.crt", "key": "cert.key"}},
    )

    with served(folder, port=port, scheme="https", verify=str(crt)) as found:
        sent = found.ehr().headers()
        answer = requests.post(url + ADDRESS, json=hook_request(), headers=sent, verify=str(crt), timeout=30)
        assert answer.status_code == 200
        with pytest.raises(requests.RequestException):
            requests.post(
                url.replace("https", "http") + ADDRESS, json=hook_request(), headers=found.ehr().headers(), timeout=30
            )
        context = ssl.create_default_context(cafile=str(crt))
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            assert secure.version() in ("TLSv1.2", "TLSv1.3")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLError):
            old.wrap_socket(plain)


@pytest.mark.parametrize(
    ("proxies", "status"), [(["127.0.0.1"], 200), (["127.0.0.0/8"], 200), ([], 403), (["10.0.0.1"], 403)]
)
def test_cdsh_164_only_a_trusted_proxy_may_say_that_the_client_came_by_https(
    tmp_path: Path, proxies: list[str], status: int
) -> None:
    port = free_port()
    folder = settings(
        tmp_path, service={"mode": "production", "public_url": "https://cds.example", "trusted_proxies": proxies}
    )

    with served(folder, "--workers", "1", port=port) as found:
        for forwarded, expected in (
            ({"X-Forwarded-Proto": "https"}, status),
            ({}, 403),
            ({"X-Forwarded-Proto": "http"}, 403),
        ):
            sent = EHR(base="https://cds.example").headers() | forwarded
            answer = requests.post(found.base + ADDRESS, json=hook_request(), headers=sent, timeout=30)
            assert answer.status_code == expected, forwarded
        told = {
            "X-Forwarded-Proto": "https",
            "SCRIPT_NAME": "/x",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Prefix": "/x",
        }
        assert (
            requests.post(
                found.base + ADDRESS,
                json=hook_request(),
                headers=EHR(base="https://cds.example").headers() | told,
                timeout=30,
            ).status_code
            == status
        )


@pytest.mark.parametrize(("service", "words"), [
    ({}, "expected a loopback address in development mode"),
    ({"mode": "production", "public_url": "https://cds.example"}, "expected [tls] or trusted_proxies"),
    ({"mode": "production", "public_url": ...}, "public_url: required"),
])  # fmt: skip
def test_it_does_not_listen_beyond_this_machine_without_a_way_to_https(
    tmp_path: Path, service: dict, words: str
) -> None:
    done = mhcds(
        "serve", "--config", str(settings(tmp_path, service=service)), "--host", "0.0.0.0", "--port", str(free_port())
    )

    assert (done.returncode, words in done.stderr, "Traceback" in done.stderr) == (1, True, False), done.stderr


def test_without_settings_nobody_may_call() -> None:
    port = free_port()
    process = subprocess.Popen(
        [*MHCDS, "serve", "--port", str(port), "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    base = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _up(base), "the service")
        assert requests.get(f"{base}/cds-services", timeout=30).status_code == 200
        answer = requests.post(base + ADDRESS, json=hook_request(), headers=EHR(base=base).headers(), timeout=30)
        assert answer.status_code == 401
    finally:
        process.terminate()
        process.wait(timeout=30)


def _up(base: str) -> bool:
    try:
        return requests.get(f"{base}/health/live", timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
        return False


def test_an_odd_forwarding_header_is_not_believed_even_from_a_trusted_proxy(tmp_path: Path) -> None:
    """A proxy overwrites the header that the docs name; others come through it from the client."""
    port = free_port()
    proxy = {"mode": "production", "public_url": "https://cds.example", "trusted_proxies": ["127.0.0.1"]}
    with served(settings(tmp_path, service=proxy), "--workers", "1", port=port) as found:
        for header in ({"X-Forwarded-Ssl": "on"}, {"X-Forwarded-Protocol": "ssl"}, {"Forwarded": "proto=https"}):
            sent = EHR(base="https://cds.example").headers() | header
            assert requests.post(found.base + ADDRESS, json=hook_request(), headers=sent, timeout=30).status_code == 403


def test_clients_that_send_half_a_request_do_not_stop_the_service(tmp_path: Path) -> None:
    """More of them than there are threads: heads that never end, and signed bodies that never come."""
    limits = {"calls_per_minute": 0, "concurrent_calls": 8}
    with ExitStack() as opened, service(tmp_path, "--workers", "1", service={"limits": limits}) as found:
        address = ("127.0.0.1", int(found.base.rpartition(":")[2]))
        for number in range(40):
            half = opened.enter_context(socket.create_connection(address))
            head = f"POST {ADDRESS} HTTP/1.1\r\nHost: x\r\n"
            if number % 4 == 0:
                head += f"Authorization: {found.ehr().headers()['Authorization']}\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{{"
            half.sendall(head.encode())

        wait_for(
            lambda: _up(found.base), "an answer while the half requests are open"
        )  # asks for up to five seconds at a time
        wait_for(lambda: found.call().status_code == 200, "a place, which the signed half requests hold for a while")
        wait_for(lambda: _up(found.base), "an answer")


def test_a_long_token_is_refused_like_any_other(running: Served) -> None:
    sent = {"Authorization": "Bearer " + "a" * 20_000}

    assert requests.post(running.base + ADDRESS, json=hook_request(), headers=sent, timeout=30).status_code == 401


def test_a_key_set_outside_the_folder_is_read_again_when_it_changes(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [public_jwk("ES384", "ES384")]}))
    with service(tmp_path / "settings", issuers=[issuer_table(keys=..., jwks_file="../../keys.json")]) as found:
        new = found.ehr(key="rotated")

        def answers(ehr: EHR) -> int:
            return requests.post(
                found.base + ADDRESS, json=hook_request(), headers=ehr.headers(), timeout=30
            ).status_code

        assert (answers(found.ehr()), answers(new)) == (200, 401)
        keys.write_text(json.dumps({"keys": [public_jwk("ES384", "ES384", "rotated")]}))
        # Each worker looks at most once a second; which one answers is not ours to say.
        wait_for(
            lambda: [{answers(ehr) for _ in range(12)} for ehr in (new, found.ehr())] == [{200}, {401}],
            "the new key good and the old one refused, by every worker",
        )


@pytest.mark.parametrize(
    "spoil",
    [
        {"cors_origins": ["https://[x"]},
        {"public_url": "https://[x"},
        {"store": "postgresql://u@h:abc/db"},
        {"trusted_proxies": ["*"]},
    ],
)
def test_settings_that_nobody_would_think_of_drop_no_call_and_show_as_not_ready(tmp_path: Path, spoil: dict) -> None:
    with service(tmp_path) as found:
        settings(tmp_path, service={"public_url": found.base} | spoil)
        seen = []
        wait_for(
            lambda: (
                seen.append(found.call().status_code),
                {found.get("/health/ready").status_code for _ in range(6)} == {503},
            )[1],
            "not ready",
        )

        assert set(seen) == {200}
