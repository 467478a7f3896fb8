"""What comes over a socket that is no proper HTTP, sent to a running `mhcds serve` on loopback."""

from __future__ import annotations

import gzip
import json
import random
import re
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from described import Answer, Described
from ehr import ADDRESS, EHR, free_port, served, settings
from http_calls import SECRET, hook_text

from cds_service.documents.openapi import document

DESCRIBED = Described(document())
NEVER = ("Traceback", "unforeseen-error", SECRET, "eyJ", "WORKER TIMEOUT")
# Answers to what is no HTTP, given before the app is asked. 501: an unknown transfer coding (RFC 9112, 6.1).
ITS_OWN = (400, 405, 408, 413, 414, 417, 431, 501, 505)
WAIT_S = 5


class Raw:
    """Makes bytes of calls: `lines` of the head, and what comes after it."""

    def __init__(self, drawer: random.Random, ehr: EHR) -> None:
        self.drawer = drawer
        self.token = ehr.token(jti=f"{SECRET}-{drawer.getrandbits(96):x}")
        self.body = hook_text(drawer)[1].encode() if drawer.random() < 0.7 else b"{}"

    def head(self, *headers: bytes, line: bytes = f"POST {ADDRESS} HTTP/1.1".encode(), signed: bool = True) -> bytes:
        usual = [line, b"Host: 127.0.0.1", b"Content-Type: application/json"]
        usual += [b"Authorization: Bearer " + self.token.encode()] if signed else []
        return b"\r\n".join((*usual, *headers)) + b"\r\n\r\n"

    def whole(self, *headers: bytes, **wanted) -> bytes:
        return self.head(b"Content-Length: %d" % len(self.body), *headers, **wanted) + self.body

    def chunked(self, *chunks: bytes, coding: bytes = b"chunked") -> bytes:
        return self.head(b"Transfer-Encoding: " + coding) + b"".join(chunks)


def chunk(data: bytes, size: bytes | None = None) -> bytes:
    return (b"%x" % len(data) if size is None else size) + b"\r\n" + data + b"\r\n"


LAST = b"0\r\n\r\n"


def proper(raw: Raw) -> bytes:
    half = len(raw.body) // 2
    return raw.drawer.choice((
        raw.whole(), raw.whole() + raw.whole(b"Connection: close"), raw.chunked(chunk(raw.body), LAST), raw.chunked(chunk(raw.body[:half]), chunk(raw.body[half:]), LAST),
        raw.chunked(*(chunk(raw.body[n : n + 1]) for n in range(min(300, len(raw.body)))), chunk(raw.body[300:]) if raw.body[300:] else b"", LAST),
        raw.whole(b"Expect: 100-continue"), b"GET /health/live HTTP/1.0\r\n\r\n", b"\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    ))  # fmt: skip


def request_line(raw: Raw) -> bytes:
    path = ADDRESS.encode()
    line = raw.drawer.choice((
        b"GET", b"", b" ", b"GET / HTTP/9.9", b"GET / HTTP/1.", b"GET / HTTP/2.0", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 x", b"get / HTTP/1.1", b"POST " + path + b" http/1.1",
        b"POST " + b"/a" * 5000 + b" HTTP/1.1", b"X" * 300 + b" / HTTP/1.1", b"G\x00T / HTTP/1.1", b"GET /\x00 HTTP/1.1", b"GET /\xff HTTP/1.1", b"GET \xe2\x80\xae HTTP/1.1",
        b"GET http://evil.example/cds-services HTTP/1.1", b"GET //evil.example/cds-services HTTP/1.1", b"CONNECT evil.example:443 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"PRI * HTTP/2.0",
        b"GET /%00%ff%2e%2e/%zz HTTP/1.1", b"GET /cds-services#x HTTP/1.1", b"GET cds-services HTTP/1.1", b"GET ?x HTTP/1.1", b"POST " + path + b"%2ffeedback HTTP/1.1", b"TRACE / HTTP/1.1",
        b"{} / HTTP/1.1", b"POST\t" + path + b"\tHTTP/1.1", b"GET /health/live", b"GET / HTTPS/1.1",
    ))  # fmt: skip
    return raw.whole(line=line)


def header_lines(raw: Raw) -> bytes:
    token = raw.token.encode()
    return raw.drawer.choice((
        raw.whole(b"Authorization Bearer " + token, signed=False), raw.whole(b"Authorization : Bearer " + token, signed=False), raw.whole(b" Authorization: Bearer " + token, signed=False),
        raw.whole(b"Authorization: Bearer\r\n " + token, signed=False), raw.whole(b"Authorization: Bearer " + token + b"\x00", signed=False), raw.whole(b"Authorization: Bearer " + token),
        raw.whole(b"Authorization: Bearer " + token + b"\rX: y", signed=False), raw.whole(b"Authorization: Bearer " + token + b"\nX: y", signed=False),
        raw.whole(b"Authoriz\xe9tion: Bearer " + token), raw.whole(b"Authorization_: Bearer " + token), raw.whole(b"AUTHORIZATION: bearer " + token, signed=False),
        raw.whole(b": x"), raw.whole(b""), raw.whole(b"X"), raw.whole(b"X: " + b"y" * 20_000), raw.whole(*(b"X-%d: y" % n for n in range(raw.drawer.choice((90, 101, 3000))))),
        raw.whole(b"X" * 9000 + b": y"), raw.whole(b"X: \xff\xfe"), raw.whole(b"X: \x01\x7f"), raw.whole(b"Host: evil.example"), raw.whole(b"Host: 127.0.0.1\r\nHost: evil.example"),
        raw.whole(b"Expect: x"), raw.whole(b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings"), raw.whole(b"Connection: close, keep-alive, \xff"), raw.whole(b"X-Forwarded-Proto: https", b"X-Forwarded-Proto: http"),
        raw.whole(b"X_Forwarded_For: x"), raw.whole(b"Script-Name: /x", b"SCRIPT_NAME: /x", b"Path-Info: /health/live", b"REMOTE_ADDR: 127.0.0.1"), raw.whole(b"Content-Encoding: gzip"),
    ))  # fmt: skip


def lengths(raw: Raw) -> bytes:
    size = len(raw.body)
    body = raw.body
    heads = (
        raw.head(b"Content-Length: -1"), raw.head(b"Content-Length: abc"), raw.head(b"Content-Length: +%d" % size), raw.head(b"Content-Length: 0x10"), raw.head(b"Content-Length: 1e3"),
        raw.head(b"Content-Length: %d" % 10**30), raw.head(b"Content-Length: 9223372036854775807"), raw.head(b"Content-Length: %d" % (size + 50)), raw.head(b"Content-Length: %d" % (size // 2)),
        raw.head(b"Content-Length: %d, %d" % (size, size)), raw.head(b"Content-Length: %d" % size, b"Content-Length: %d" % (size + 1)), raw.head(b"Content-Length: %d" % size, b"Content-Length: %d" % size),
        raw.head(b"Content-Length: "), raw.head(b"Content-Length: \xc2\xb2"), raw.head(), raw.head(b"Content-Length: 0"), raw.head(b"Content-Length: 3000000"), raw.head(b"Content-Length: 0%d" % size),
        raw.head(b"Content-Length: %d" % size, b"Transfer-Encoding: chunked"), raw.head(b"Transfer-Encoding: chunked", b"Content-Length: 4"),
    )  # fmt: skip
    return raw.drawer.choice(heads) + body


def chunks(raw: Raw) -> bytes:
    good = chunk(raw.body)
    return raw.drawer.choice((
        raw.chunked(chunk(raw.body, raw.drawer.choice((b"zz", b"-1", b"", b" ", b"0x5", b"+5", b"5_0", b"F" * 40, b"7fffffffffffffff", b"\xff", b"5;", b'5;a=b;c="', b"5 ", b"\x005", b"1" * 9000))), LAST),
        raw.chunked(b"5\nhello\n0\n\n"), raw.chunked(b"5\r\nhelloXX0\r\n\r\n"), raw.chunked(good), raw.chunked(b""), raw.chunked(LAST), raw.chunked(b"ffff\r\nabc"), raw.chunked(good, b"0\r\nX: y\r\n\r\n"),
        raw.chunked(good, b"0\r\nX y\r\n\r\n"), raw.chunked(good, b"0\r\n" + b"X: y\r\n" * 5000 + b"\r\n"), raw.chunked(good, b"0\r\nAuthorization: Bearer x\r\nContent-Length: 5\r\n\r\n"),
        raw.chunked(chunk(b" " * 3_000_000), LAST), raw.chunked(*[chunk(b" " * 1000)] * 2500, LAST), raw.chunked(good, LAST, coding=b"chunked, chunked"), raw.chunked(good, LAST, coding=b"gzip, chunked"),
        raw.chunked(good, LAST, coding=b"xchunked"), raw.chunked(good, LAST, coding=b"chunked, identity"), raw.chunked(good, LAST, coding=b"\x0bchunked"), raw.chunked(good, LAST, coding=b"CHUNKED"),
        raw.chunked(good, LAST, coding=b"chunked\r\nTransfer-Encoding: identity"), raw.chunked(good, LAST, coding=b"chunked;q=1"), raw.chunked(good, LAST, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"),
    ))  # fmt: skip


def no_http(raw: Raw) -> bytes:
    whole = raw.whole()
    return raw.drawer.choice((
        b"", b"\x00" * 100, b"\r\n" * 200, b"\n", raw.drawer.randbytes(raw.drawer.choice((1, 100, 10_000))), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + raw.drawer.randbytes(300), b"SSH-2.0-x\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + whole, b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a" + raw.drawer.randbytes(20), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", gzip.compress(whole), whole[1:],
        whole[: raw.drawer.randrange(len(whole))], whole[: raw.drawer.randrange(len(whole))], whole.replace(b"\r\n", b"\n"), whole.replace(b"\r\n", b"\r"), whole.replace(b": ", b":"),
        _flipped(whole, raw.drawer), _flipped(whole, raw.drawer), _flipped(whole, raw.drawer),
    ))  # fmt: skip


def _flipped(whole: bytes, drawer: random.Random) -> bytes:
    at = drawer.randrange(min(600, len(whole)))
    return whole[:at] + drawer.randbytes(1) + whole[at + 1 :]


MAKERS: dict[Callable[[Raw], bytes], int] = {
    proper: 2,
    request_line: 4,
    header_lines: 5,
    lengths: 4,
    chunks: 5,
    no_http: 4,
}


def answers(port: int, sent: bytes, *, half_closed: bool) -> list[Answer]:
    """What a server sends back until it closes, or says nothing more for a while."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        received = b""
        try:
            connection.sendall(sent)
            if half_closed:
                connection.shutdown(socket.SHUT_WR)
            else:
                connection.settimeout(0.5)
            while part := connection.recv(65_536):
                received += part
        except OSError:  # reset or silent: what came before counts
            pass
    return parsed(received)


def parsed(received: bytes) -> list[Answer]:
    """The answers in a stream. Raises ValueError where it is none."""
    found = []
    while received:
        head, split, rest = received.partition(b"\r\n\r\n")
        line, *headers = head.decode("latin-1").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.[01] (\d{3}) .*", line)
        if match is None or not split:
            raise ValueError(f"no answer: {received[:200]!r}")
        named = {name.lower(): value.strip() for name, _, value in (h.partition(":") for h in headers)}
        size = 0 if match[1] == "100" else int(named.get("content-length", len(rest)))
        found.append(Answer(status=int(match[1]), headers=named, body=rest[:size]))
        received = rest[size:]
    return found


def fault(answer: Answer) -> str | None:
    """What is wrong with an answer whose call is nobody's guess."""
    kind = answer.headers.get("content-type", "")
    if answer.status >= 500 and answer.status != 503 and not before_the_app(answer):
        return f"status {answer.status}"
    if answer.status >= 400 and answer.body:
        if kind != "application/json":
            return f"status {answer.status} as {kind}"
        error = next(
            DESCRIBED.validator("#/components/schemas/OperationOutcome").iter_errors(json.loads(answer.body)), None
        )
        return error and error.message
    return None


def before_the_app(answer: Answer) -> bool:
    return answer.status in ITS_OWN and b"expected a request in HTTP/1.1" in answer.body


def counted(answer: Answer) -> str:
    return f"{answer.status}{' before the app' if before_the_app(answer) else ''}"


def run_raw(folder: Path, seed: int, number: int) -> Counter:
    """That many connections to a server of two workers. Raises AssertionError on the first broken promise."""
    port = free_port()
    settings(folder, service={"public_url": f"http://127.0.0.1:{port}"}, site={"fetch_budget_s": 0.05})
    counts: Counter = Counter()

    with served(folder, port=port) as server:

        def one(n: int) -> Counter:
            drawer = random.Random(f"raw-{seed}-{n}")
            maker = drawer.choices(list(MAKERS), list(MAKERS.values()))[0]
            sent = maker(Raw(drawer, server.ehr()))
            found = answers(port, sent, half_closed=drawer.random() < 0.7)
            for answer in found:
                wrong = fault(answer)
                assert wrong is None, f"raw-{seed}-{n}, {maker.__name__}: {wrong}\n{sent[:2000]!r}"
            first = counted(found[-1]) if found else "closed without an answer"
            return Counter({f"raw {maker.__name__}: {first}": 1, f"raw {first}": 1})

        with ThreadPoolExecutor(6) as pool:
            for done in pool.map(one, range(number)):
                counts += done
        assert server.get("/health/live").status_code == 200
        assert server.call().status_code == 200
        # The service signs the head of each chain into its log.
        lines = [line for line in server.lines() if '"audit-head"' not in line]
    for word in NEVER:
        assert not any(word in line for line in lines), (
            f"{word!r} in the log: {next(line for line in lines if word in line)[:500]}"
        )
    return counts
