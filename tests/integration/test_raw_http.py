"""`mhcds serve` and what comes over its socket that is no proper HTTP."""

from __future__ import annotations

import pytest
from described import Answer
from ehr import ADDRESS, EHR, served, settings
from raw_http import MAKERS, answers, fault, parsed, run_raw


def test_no_malformed_call_breaks_the_server_or_gets_into_its_log(tmp_path) -> None:
    counts = run_raw(tmp_path, 2, 200)

    print(dict(counts))
    assert {maker.__name__ for maker in MAKERS} == {n.split()[1].rstrip(":") for n in counts if ":" in n}
    assert counts["raw 200"] > 5
    assert counts["raw 400"] > 20
    assert counts["raw 413"] > 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with served(settings(tmp_path_factory.mktemp("served")), "--workers", "1") as found:
        yield found


def port_of(server) -> int:
    return int(server.base.rpartition(":")[2])


@pytest.mark.parametrize(
    "body", [b"zz\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n", b"ffff\r\nabc", b"2\r\n{}\r\n0\r\nX y\r\n\r\n", b""]
)
def test_a_body_that_is_chunked_wrongly_is_a_400_and_no_fault_of_ours(server, body: bytes) -> None:
    head = f"POST {ADDRESS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {EHR().token()}\r\n"

    [answer] = answers(port_of(server), f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + body, half_closed=True)

    assert answer.status == 400
    assert b"OperationOutcome" in answer.body
    assert not [line for line in server.lines() if "unforeseen" in line]


def test_a_token_in_a_header_line_that_cannot_be_read_is_not_logged(server) -> None:
    spoiled = b"GET /health/live HTTP/1.1\r\nAuthorization Bearer eyJhbGci\r\n\r\n"

    [answer] = answers(port_of(server), spoiled, half_closed=True)

    assert answer.status == 400
    assert not [line for line in server.lines() if "eyJhbGci" in line and '"audit-head"' not in line]


def test_answers_in_a_stream_are_told_apart_and_judged() -> None:
    one = b"HTTP/1.1 100 Continue\r\n\r\n"
    two = b"HTTP/1.1 400 BAD REQUEST\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    three = b"HTTP/1.1 500 INTERNAL SERVER ERROR\r\nContent-Length: 0\r\n\r\n"

    found = parsed(one + two + three)

    assert [answer.status for answer in found] == [100, 400, 500]
    assert [bool(fault(answer)) for answer in found] == [False, True, True]
    assert fault(Answer(status=404, headers={"content-type": "text/html"}, body=b"<html>"))
    with pytest.raises(ValueError, match="no answer"):
        parsed(b"Traceback")
