"""Reads from a FHIR server with the token of one hook call.

The token goes to the origin and base path of that server and nowhere else: redirects are not followed,
and a next-page link is followed only below the same base. Every call has connect and read time-outs, and
all calls of one request share a deadline. What may be over in a moment (429, 502, 503, 504, a dropped connection)
is asked for once more, when there is time. Any failure is a FetchFailed of its own class with its
reason; no token, address or patient data is in the message. Connections are kept open between calls; nothing else
is: no cookie, no answer, no token.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from urllib3 import PoolManager, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import InvalidHeader, MaxRetryError, NewConnectionError

from fhir_adapters.errors import (
    Busy,
    FetchFailed,
    GatewayFailed,
    NextElsewhere,
    NotAuthorized,
    NotFhir,
    NotFound,
    NotReached,
    NotSupported,
    NotUsable,
    Passing,
    Redirected,
    Refused,
    ServerFailed,
    TooLate,
    TooMuch,
    Unreachable,
)
from fhir_adapters.resources import r4

CONNECT_TIMEOUT_S = 1.0
PAUSE_S = 0.1
MOST_PAGES = 20
MOST_BYTES = 20_000_000  # of all pages of one query together
MOST_REPLY_BYTES = 1_000_000
SERVERS_KEPT, CONNECTIONS_KEPT = 16, 16
ACCEPT = "application/fhir+json"
# What servers label FHIR JSON with: the R4 name, the plain one, and the one of DSTU2 (CDSH-103).
FHIR_JSON = ("application/fhir+json", "application/json", "application/json+fhir")
R4_VERSIONS = ("4.0", "4.0.1", "4.3", "4.3.0")


def is_loopback(url: str) -> bool:
    """Whether `url` is plain http or https to this machine, without user information in it."""
    return is_base(url) and is_loopback_host(urlsplit(url).hostname or "")


def is_base(url: str) -> bool:
    """Whether `url` can be the base of a FHIR server: http or https, a host, no user information, query or fragment."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain


def is_loopback_host(host: str) -> bool:
    """Whether a host is this machine, by name or by address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def same_base(one: str, other: str) -> bool:
    """Whether two addresses are the same FHIR base; letter case, default port and last slash are no difference."""
    return is_base(one) and is_base(other) and _origin(one) == _origin(other) and _path(one) == _path(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _path(url: str) -> str:
    return unquote(urlsplit(url).path).rstrip("/")


class Watch:
    """Shuts down, at the deadline, the connections that one call uses.

    Time-outs of requests hold per read: a server that sends a byte now and then would never run into one.
    """

    def __init__(self, deadline: float) -> None:
        self.used: dict[HTTPConnection, socket.socket | None] = {}
        self.over = False
        self.lock = threading.Lock()
        self.timer = threading.Timer(max(0.0, deadline - time.monotonic()), self.cut)
        self.timer.daemon = True

    def __enter__(self) -> None:
        _threads.watch = self
        self.timer.start()

    def __exit__(self, *_: object) -> None:
        _threads.watch = None
        self.timer.cancel()
        with self.lock:
            self.used.clear()

    def add(self, connection: HTTPConnection) -> None:
        """Keeps a connection that is about to be used."""
        # The socket itself is kept: after an answer that ends the connection, the connection no longer holds it.
        with self.lock:
            self.used[connection] = connection.sock
            if self.over:
                _shut_down(connection.sock)

    def remove(self, connection: HTTPConnection) -> None:
        """Lets go of a connection that is about to serve somebody else."""
        with self.lock:
            self.used.pop(connection, None)

    def cut(self) -> None:
        """Ends whatever is still being read."""
        with self.lock:
            self.over = True
            for opened in self.used.values():
                _shut_down(opened)


def _shut_down(opened: socket.socket | None) -> None:
    if opened is not None:
        with suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)


class _Threads(threading.local):
    watch: Watch | None = None


_threads = _Threads()


class _Final(HTTPResponse):
    """An answer before which others may come that only say that it is on the way, such as 103 Early Hints.

    http.client passes over 100 alone. How many come is left to the deadline.
    """

    def begin(self) -> None:
        super().begin()
        while 100 <= self.status < 200 and self.status != HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment]  # what tells http.client that nothing was read
            super().begin()


class _Watched(HTTPConnection):
    """A connection that tells the watch of the call at hand that it is in use: when opened, and when used again."""

    response_class = _Final
    watch: Watch | None = None

    def connect(self) -> None:
        super().connect()
        _tell(self)

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # as urllib3 calls it
        if self.sock is not None:
            _tell(self)
        super().request(*args, **kwargs)


class _WatchedTls(_Watched, HTTPSConnection):
    pass


def _tell(connection: _Watched) -> None:
    connection.watch = _threads.watch
    if connection.watch:
        connection.watch.add(connection)


class _LettingGo(HTTPConnectionPool):
    """A pool whose connections leave their watch before anybody else can have them."""

    def _put_conn(self, conn: Any) -> None:  # noqa: ANN401  # as urllib3 calls it
        if isinstance(conn, _Watched) and conn.watch:
            conn.watch.remove(conn)
            conn.watch = None
        super()._put_conn(conn)


class _Plain(_LettingGo):
    ConnectionCls = _Watched


class _Tls(_LettingGo, HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


POOLS = PoolManager(num_pools=SERVERS_KEPT, maxsize=CONNECTIONS_KEPT)
POOLS.pool_classes_by_scheme = {"http": _Plain, "https": _Tls}


class _Adapter(HTTPAdapter):
    """The adapter of one call: its connections come from the pools of the process."""

    def init_poolmanager(self, *_args: object, **_kwargs: object) -> None:
        """No pools of its own."""
        self.poolmanager = POOLS

    def close(self) -> None:
        """Leaves the pools open for the next call."""


@contextmanager
def watched_session(deadline: float) -> Iterator[requests.Session]:
    """A session whose connections are shut down at the deadline (time.monotonic seconds), whatever they are doing.

    What was cut off may look like a whole answer: look at the time before believing it.
    """
    with Watch(deadline), requests.Session() as session:
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter())
        yield session


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirClient:
    """Reads below `base` with `token`, until `deadline` (time.monotonic seconds)."""

    base: str
    token: str
    deadline: float

    def get(self, query: str) -> list[r4.Resource]:
        """What the server answers to a query: the resource of a read, or a search's Bundles, one a page.

        Raises FetchFailed, with the pages that were read before it; always back by the deadline.
        """
        with watched_session(self.deadline) as session:
            return self._pages(session, f"{self.base.rstrip('/')}/{query}")

    def _pages(self, session: requests.Session, first: str) -> list[r4.Resource]:
        pages: list[r4.Resource] = []
        try:
            self._follow(session, first, pages)
        except FetchFailed as failure:
            failure.pages = tuple(pages)
            raise
        return pages

    def _follow(self, session: requests.Session, first: str, pages: list[r4.Resource]) -> None:
        """Adds to `pages` each page as it is read."""
        url: str | None = first
        asked: set[str] = set()
        while url is not None:
            if len(pages) == MOST_PAGES or url in asked:
                raise TooMuch(f"the chart sent more than {MOST_PAGES} pages, or one of them twice")
            asked.add(url)
            page = self._tenacious(session, url)
            pages.append(page)
            if sum(len(p.text) for p in pages) > MOST_BYTES:
                raise TooMuch("the chart sent more than can be read")
            links = page.content.link if page.kind == "Bundle" and page.content else ()
            following = [link.url for link in links if link and link.relation == "next"]
            if following and not following[0]:
                raise NotUsable("the chart said that there is more, and not where")
            url = self._below_base(url, following[0] if following else None)

    def _tenacious(self, session: requests.Session, url: str) -> r4.Resource:
        """One page, asked for once more after a failure that may be over, if that still fits."""

        def no_time(state: RetryCallState) -> bool:
            return time.monotonic() + state.upcoming_sleep >= self.deadline

        again = Retrying(
            retry=retry_if_exception_type(Passing),
            wait=_pause,
            stop=lambda state: stop_after_attempt(2)(state) or no_time(state),
            reraise=True,
        )
        return again(self._page, session, url)

    def _page(self, session: requests.Session, url: str) -> r4.Resource:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": ACCEPT}
        with _answering(session, "GET", url, headers, None, self.deadline) as answer:
            if answer.status_code != requests.codes.ok:
                raise _failure(answer)
            _check_type(answer.headers.get("Content-Type", ""))
            body = _body(answer, self.deadline, MOST_BYTES)
        try:
            body.decode()
            return r4.read(body)
        except (NotFhir, UnicodeDecodeError) as error:
            raise NotUsable("the chart answered with something that is not FHIR") from error

    def _below_base(self, url: str, following: str | None) -> str | None:
        """The next page's address, made absolute; refused when it leads away from the server (the token would leak).

        Compared as requests will send it: encoded dots are dots by then.
        """
        if following is None:
            return None
        try:
            sent = requests.Request("GET", urljoin(url, following)).prepare().url or ""
            same_origin = _origin(sent) == _origin(self.base)
            target = urlsplit(sent)
        except (ValueError, requests.RequestException) as error:
            raise NextElsewhere(ELSEWHERE) from error
        path = unquote(target.path)
        climbs = any(part in (".", "..") for part in path.replace("\\", "/").split("/"))
        inside = (path.rstrip("/") + "/").startswith(_path(self.base) + "/")
        # Servers strip parameters of a path, and proxies decode twice: neither may hide a way out.
        disguised = ";" in path or "%" in path
        if not same_origin or target.username or climbs or disguised or not inside:
            raise NextElsewhere(ELSEWHERE)
        return sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer, whatever its status; `headers` are found in either case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def exchange(method: str, url: str, headers: Mapping[str, str], body: bytes | None, deadline: float) -> Reply:
    """One request and its answer; sent once, never redirected. Raises NotReached when nothing was sent at all.

    Any other FetchFailed leaves open whether the server has done what was asked.
    """
    if time.monotonic() >= deadline:
        raise NotReached(LATE)
    with (
        watched_session(deadline) as session,
        _answering(session, method, url, headers, body, deadline) as answer,
    ):
        content = _body(answer, deadline, MOST_REPLY_BYTES)
        return Reply(status=answer.status_code, headers=answer.headers, body=content)


@contextmanager
def _answering(
    session: requests.Session, method: str, url: str, headers: Mapping[str, str], body: bytes | None, deadline: float
) -> Iterator[requests.Response]:
    """The answer to one request, about to be read; what goes wrong until it is read is a FetchFailed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TooLate(LATE)
    within = (min(CONNECT_TIMEOUT_S, left), left)
    try:
        with session.request(
            method, url, headers=dict(headers), data=body, timeout=within, allow_redirects=False, stream=True
        ) as answer:
            if time.monotonic() >= deadline:  # what was cut off may look like an answer
                raise TooLate(LATE)
            yield answer
            if time.monotonic() >= deadline:
                raise TooLate(LATE)
    except requests.exceptions.ContentDecodingError as error:
        raise NotUsable("the chart answered with something that cannot be unpacked") from error
    except (requests.RequestException, OSError, ValueError, AttributeError) as error:
        # The last two: a TLS socket that is shut down while it is being read.
        if isinstance(error, requests.Timeout) or time.monotonic() >= deadline:
            raise TooLate(LATE) from error
        kind = NotReached if never_connected(error) else Unreachable
        raise kind("the chart could not be reached, or dropped the connection") from error


def never_connected(error: Exception) -> bool:
    """Whether there was no connection at all, so that nothing can have been sent."""
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _body(answer: requests.Response, deadline: float, most: int) -> bytes:
    chunks, size = [], 0
    for chunk in answer.iter_content(65536):
        size += len(chunk)
        if size > most:
            raise TooMuch("the chart sent more than can be read")
        if time.monotonic() >= deadline:
            raise TooLate(LATE)
        chunks.append(chunk)
    return b"".join(chunks)


def _pause(state: RetryCallState) -> float:
    """Seconds until asking again: as long as the server says, else a moment."""
    failure = state.outcome.exception() if state.outcome else None
    said = failure.wait_s if isinstance(failure, Passing) else None
    return PAUSE_S if said is None else said


def _failure(answer: requests.Response) -> FetchFailed:
    """A status other than 200 as an error of its kind."""
    status = answer.status_code
    if status in (401, 403):
        return (NotAuthorized if status == 401 else Refused)("the chart refused access")
    if status in (404, 410):
        return NotFound("not found in the chart")
    if status == 429:
        return Busy("the chart is too busy (429)", _retry_after(answer))
    if status in (502, 503, 504):
        return GatewayFailed(f"the chart answered {status}", _retry_after(answer))
    if 300 <= status < 400:
        return Redirected(f"the chart pointed to another address ({status}); redirects are not followed")
    if 400 <= status < 500 or status == 501:
        return NotSupported(f"the chart does not answer such a query ({status})")
    return ServerFailed(f"the chart answered {status}") if status >= 500 else NotUsable(f"the chart answered {status}")


def _retry_after(answer: requests.Response) -> float | None:
    """Seconds that the server asks to wait, from a number or a date."""
    said = answer.headers.get("Retry-After")
    with suppress(InvalidHeader, OverflowError):
        return max(0.0, Retry().parse_retry_after(said)) if said else None
    return None


def _check_type(content_type: str) -> None:
    """Raises NotUsable unless the answer is labelled as FHIR JSON of R4 or R4B."""
    parts = [part.strip() for part in content_type.lower().split(";")]
    if parts[0] not in FHIR_JSON:
        raise NotUsable(f"the chart answered with another media type than {ACCEPT}")
    versions = [part.partition("=")[2].strip('"') for part in parts if part.startswith("fhirversion=")]
    if any(version not in R4_VERSIONS for version in versions):
        raise NotUsable("the chart answered in another FHIR version; R4 and R4B are read")


LATE = "the chart did not answer in time"
ELSEWHERE = "the chart's next page lies on another server; it was not read"
