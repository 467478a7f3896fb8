"""What was not sent is read from a real FHIR server with the given token, and every way that can fail is said."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler

import pytest
from builders import AS_OF, PATIENT, given, patient

from cds_service.app import create_app
from cds_service.sites import ServiceConfig, default_config
from fhir_adapters.client import FhirClient, is_loopback
from fhir_adapters.errors import FetchFailed

ADDRESS = "/cds-services/depression-suicide-risk"
TOKEN = "token-of-this-call"


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def fhir_server(answer):
    """A FHIR server on loopback. `answer(path, headers)` gives (status, headers, body). Yields its base and what it saw."""
    seen: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization")))
            status, headers, body = answer(self.path, self.headers)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/fhir", seen
        finally:
            server.shutdown()
            thread.join()


def bundle(*resources: dict, following: str | None = None) -> bytes:
    whole = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in resources]}
    if following:
        whole["link"] = [{"relation": "next", "url": following}]
    return json.dumps(whole).encode()


def chart(*resources: dict):
    """A well-behaved server with these resources; like one real server, it filters by type only, not by patient."""

    def answer(path: str, _headers):
        kind = path.removeprefix("/fhir/").partition("?")[0]
        if kind.startswith("Patient/"):
            return 200, {"Content-Type": "application/fhir+json"}, json.dumps(patient()).encode()
        return (
            200,
            {"Content-Type": "application/fhir+json"},
            bundle(*(r for r in resources if r["resourceType"] == kind)),
        )

    return answer


def call(base: str, **changes):
    config = ServiceConfig(sites=default_config().sites, fetch_budget_s=1.5)
    client = create_app(config, now=lambda: AS_OF).test_client()
    body = {
        "hook": "patient-view",
        "hookInstance": "h1",
        "context": {"userId": "Practitioner/doc", "patientId": PATIENT},
        "fhirServer": base,
        "fhirAuthorization": {
            "access_token": TOKEN,
            "token_type": "Bearer",
            "expires_in": 60,
            "scope": "x",
            "subject": "y",
        },
    }
    return client.post(ADDRESS, json=body | changes)


def topics(answer) -> list[str]:
    assert answer.status_code == 200, answer.get_json()
    return [c["source"]["topic"]["code"] for c in answer.get_json()["cards"]]


def test_everything_is_fetched_with_the_token_when_nothing_was_sent() -> None:
    with fhir_server(chart(*given("C-SSRS, today: question 4 = yes"))) as (base, seen):
        answer = call(base)

    assert topics(answer) == ["acute-safety"]
    assert {token for _, token in seen} == {f"Bearer {TOKEN}"}
    assert len(seen) == 8


def test_only_what_was_not_sent_is_fetched() -> None:
    with fhir_server(chart()) as (base, seen):
        answer = call(
            base, prefetch={"patient": patient(), "conditions": None, "screening": None, "questionnaires": None}
        )

    assert topics(answer) == []
    assert not [
        path for path, _ in seen if path.startswith(("/fhir/Patient", "/fhir/Condition", "/fhir/Questionnaire"))
    ]


def test_all_pages_of_a_search_are_read() -> None:
    acute = given("C-SSRS, today: question 4 = yes")

    def answer(path: str, _headers):
        if "page=2" in path:
            return 200, {}, bundle(*acute)
        if path.startswith("/fhir/Observation"):
            return 200, {}, bundle(following="/fhir/Observation?page=2")
        return chart()(path, _headers)

    with fhir_server(answer) as (base, _):
        assert topics(call(base)) == ["acute-safety"]


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, b"{}"), (403, b""), (404, b"{}"), (429, b""), (500, b"<html>"), (200, b"<html>"), (200, b'{"resourceType": "Bun'),
     (200, b'{"resourceType":"OperationOutcome","issue":[]}'), (302, b""), (200, b"null")],
)  # fmt: skip
def test_a_refused_failed_or_garbled_read_of_needed_data_is_412_and_names_the_part(status: int, body: bytes) -> None:
    def answer(path: str, headers):
        if path.startswith("/fhir/QuestionnaireResponse"):
            return status, {"Location": "http://127.0.0.1:9/stolen"}, body
        return chart()(path, headers)

    with fhir_server(answer) as (base, _):
        failed = call(base)

    assert failed.status_code == 412
    text = failed.get_data(as_text=True)
    assert "questionnaires" in text
    assert TOKEN not in text
    assert "127.0.0.1" not in text


def test_a_server_that_does_not_answer_in_time_is_412_within_the_budget() -> None:
    given_up = threading.Event()

    def answer(path: str, headers):
        if path.startswith("/fhir/Condition"):
            given_up.wait(60)
        return chart()(path, headers)

    with fhir_server(answer) as (base, _):
        failed = call(base)
        given_up.set()

    assert failed.status_code == 412
    assert "did not answer in time" in failed.get_data(as_text=True)


def test_no_server_at_all_is_412() -> None:
    assert call("http://127.0.0.1:9/fhir").status_code == 412


def test_the_token_does_not_follow_a_redirect_or_a_next_page_to_another_server() -> None:
    with fhir_server(lambda *_: (200, {}, bundle())) as (elsewhere, stolen):

        def answer(path: str, headers):
            if path.startswith("/fhir/Condition"):
                return 200, {}, bundle(following=f"{elsewhere}/Condition?page=2")
            if path.startswith("/fhir/Questionnaire"):
                return 307, {"Location": f"{elsewhere}/QuestionnaireResponse"}, b""
            return chart()(path, headers)

        with fhir_server(answer) as (base, _):
            failed = call(base)

    assert failed.status_code == 412
    assert stolen == []


def test_a_server_that_ignores_the_patient_parameter_leaks_nothing() -> None:
    foreign = [r | {"subject": {"reference": "Patient/other"}} for r in given("C-SSRS, today: question 4 = yes")]

    with fhir_server(chart(*foreign)) as (base, _):
        assert topics(call(base)) == ["data-anomaly"]


def test_without_a_token_nothing_is_fetched() -> None:
    with fhir_server(chart()) as (base, seen):
        answer = call(base, fhirAuthorization=None)

    assert answer.status_code == 412
    assert seen == []


@pytest.mark.parametrize(
    "address",
    ["http://ehr.example/fhir", "http://10.0.0.1/fhir", "http://169.254.169.254/latest", "file:///etc/passwd", "ftp://127.0.0.1/",
     "http://127.0.0.1@evil.example/fhir", "http://user:pw@127.0.0.1/fhir", "//127.0.0.1/fhir", "http://localhost.evil.example/",
     "http://[::2]/fhir", "http://127.0.0.1:port/fhir", "http://127.0.0.1/fhir?x=1", ""],
)  # fmt: skip
def test_only_loopback_servers_are_read_until_callers_are_authenticated(address: str) -> None:
    assert not is_loopback(address)
    assert call(address).status_code == 412


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8080/fhir", "http://localhost/fhir", "https://[::1]:1/fhir", "http://127.9.9.9/r4"]
)
def test_loopback_servers_are_known_as_such(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "following",
    ["http://evil.example/fhir/x", "http://127.0.0.1:1/fhir/x", "https://127.0.0.1:80/fhir/x", "//evil.example/fhir/x", "/other/x",
     "/fhir/../admin", "http://u@127.0.0.1:80/fhir/x", "/fhirx/y"],
)  # fmt: skip
def test_a_next_page_outside_the_base_is_refused(following: str) -> None:
    client = FhirClient(base="http://127.0.0.1:80/fhir", token=TOKEN, deadline=0)

    with pytest.raises(FetchFailed, match="another server"):
        client._below_base("http://127.0.0.1:80/fhir/Observation", following)


class Dripping(socketserver.BaseRequestHandler):
    """A server that keeps sending, a little at a time, and never ends: headers or body."""

    def handle(self) -> None:
        self.request.recv(65536)
        with suppress(OSError):
            self.request.sendall(self.server.start)
            for _ in range(40):
                self.request.sendall(self.server.piece)
                time.sleep(0.25)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["body", "headers", "chunks"],
)
def test_a_server_that_drips_is_cut_off_at_the_deadline(start: bytes, piece: bytes) -> None:
    with Server(("127.0.0.1", 0), Dripping) as server:
        server.start, server.piece = start, piece
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            client = FhirClient(
                base=f"http://127.0.0.1:{server.server_address[1]}/fhir", token=TOKEN, deadline=time.monotonic() + 1
            )
            begun = time.monotonic()
            with pytest.raises(FetchFailed, match="in time"):
                client.get("Condition?patient=p1")
            # Not a matter of speed: uncut, the server goes on for ten seconds.
            assert time.monotonic() - begun < 5
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "following",
    [
        "/fhir/%2e%2e/%2e%2e/stolen/fhir/Condition",
        "/fhir/x/%2e%2e%2f..%2fstolen",
        "http://[::1",
        "http://127.0.0.1:abc/x",
    ],
)
def test_a_next_page_that_climbs_out_of_the_base_is_not_asked_for(following: str) -> None:
    def answer(path: str, headers):
        if path.startswith("/fhir/Condition"):
            return 200, {}, bundle(following=following)
        return chart()(path, headers)

    with fhir_server(answer) as (base, seen):
        failed = call(base)

    assert failed.status_code == 412
    assert not [path for path, _ in seen if "stolen" in path]


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceType":"CapabilityStatement"}',
        b'{"resourceType":"Patient","id":"p1"}',
        b'\xff\xfe{"resourceType":"Bundle"}',
    ],
)
def test_an_answer_of_another_kind_is_unknown(body: bytes) -> None:
    with fhir_server(
        lambda path, headers: (200, {}, body) if path.startswith("/fhir/Condition") else chart()(path, headers)
    ) as (base, _):
        assert call(base).status_code == 412


def test_another_patient_from_the_server_is_412() -> None:
    def answer(path: str, headers):
        if path.startswith("/fhir/Patient"):
            return 200, {}, json.dumps(patient() | {"id": "other"}).encode()
        return chart()(path, headers)

    with fhir_server(answer) as (base, _):
        assert call(base).status_code == 412


def test_a_first_page_that_was_sent_is_completed_from_the_server() -> None:
    page = {"resourceType": "Bundle", "type": "searchset", "link": [{"relation": "next", "url": "http://ehr/next"}]}
    sent = {"patient": patient(), "conditions": None, "questionnaires": None, "screening": page}

    with fhir_server(chart(*given("C-SSRS, today: question 4 = yes"))) as (base, _):
        assert topics(call(base, prefetch=sent)) == ["acute-safety"]
