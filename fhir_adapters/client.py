"""Reads from a FHIR server with the token of one hook call.

The token goes to the origin and base path of that server and nowhere else: redirects are not followed,
and a next-page link is followed only below the same base. Every call has connect and read time-outs, and
all calls of one request share a deadline. Any failure is FetchFailed with its reason; no token, address or
patient data is in the message. Until client authentication exists, only loopback servers are read.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from fhir_adapters import r4
from fhir_adapters.errors import FetchFailed, NotFhir

CONNECT_TIMEOUT_S = 1.0
MOST_PAGES = 20
MOST_BYTES = 20_000_000
ACCEPT = "application/fhir+json, application/json;q=0.9"
STATUS_WORDS = {401: "the chart refused access", 403: "the chart refused access", 404: "not found in the chart",
                429: "the chart is too busy"}  # fmt: skip


def is_loopback(url: str) -> bool:
    """Whether `url` is plain http or https to this machine, without user information in it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or parts.username or parts.password or parts.query or parts.fragment:
        return False
    return is_loopback_host(host)


def is_loopback_host(host: str) -> bool:
    """Whether a host is this machine, by name or by address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Adapter(HTTPAdapter):
    """A requests adapter that remembers the sockets it opened, so that they can be shut down at the deadline.

    Time-outs of requests hold per read: a server that sends a byte now and then would never run into one.
    """

    def __init__(self, opened: list[socket.socket], deadline: float) -> None:
        self.opened, self.deadline = opened, deadline
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # as requests calls it
        """The pool of requests, with connections that report their socket."""
        super().init_poolmanager(*args, **kwargs)
        opened, deadline = self.opened, self.deadline

        def noted(sock: socket.socket) -> None:
            opened.append(sock)
            if time.monotonic() >= deadline:  # the watch may have gone by already
                _shut_down([sock])

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                noted(self.sock)

        class Tls(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                noted(self.sock)

        plain_pool = type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain})
        tls_pool = type("TlsPool", (HTTPSConnectionPool,), {"ConnectionCls": Tls})
        self.poolmanager.pool_classes_by_scheme = {"http": plain_pool, "https": tls_pool}


def _shut_down(opened: list[socket.socket]) -> None:
    for one in opened:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirClient:
    """Reads below `base` with `token`, until `deadline` (time.monotonic seconds)."""

    base: str
    token: str
    deadline: float

    def get(self, query: str) -> list[r4.Resource]:
        """What the server answers to a query: the resource of a read, or a search's Bundles, one a page.

        Raises FetchFailed; always back by the deadline.
        """
        opened: list[socket.socket] = []
        watch = threading.Timer(max(0.0, self.deadline - time.monotonic()), _shut_down, (opened,))
        watch.daemon = True
        watch.start()
        try:
            with requests.Session() as session:
                session.trust_env = False
                for scheme in ("http://", "https://"):
                    session.mount(scheme, _Adapter(opened, self.deadline))
                return self._pages(session, f"{self.base.rstrip('/')}/{query}")
        finally:
            watch.cancel()

    def _pages(self, session: requests.Session, first: str) -> list[r4.Resource]:
        url: str | None = first
        pages: list[r4.Resource] = []
        while url is not None:
            if len(pages) == MOST_PAGES:
                raise FetchFailed(f"the chart sent more than {MOST_PAGES} pages")
            page = self._page(session, url)
            pages.append(page)
            links = page.content.link if page.kind == "Bundle" and page.content else ()
            url = self._below_base(url, next((link.url for link in links if link.relation == "next"), None))
        return pages

    def _page(self, session: requests.Session, url: str) -> r4.Resource:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise FetchFailed(LATE)
        headers = {"Authorization": f"Bearer {self.token}", "Accept": ACCEPT}
        try:
            with session.get(
                url, headers=headers, timeout=(min(CONNECT_TIMEOUT_S, left), left), allow_redirects=False, stream=True
            ) as answer:
                if answer.status_code != requests.codes.ok:
                    raise FetchFailed(STATUS_WORDS.get(answer.status_code, f"the chart answered {answer.status_code}"))
                body = self._body(answer)
                if time.monotonic() >= self.deadline:
                    raise FetchFailed(LATE)
        except (requests.RequestException, OSError, ValueError, AttributeError) as error:
            # The last two: a TLS socket that is shut down while it is being read.
            late = isinstance(error, requests.Timeout) or time.monotonic() >= self.deadline
            raise FetchFailed(LATE if late else "the chart could not be reached") from error
        try:
            body.decode()
            return r4.read(body)
        except (NotFhir, UnicodeDecodeError) as error:
            raise FetchFailed("the chart answered with something that is not FHIR") from error

    def _body(self, answer: requests.Response) -> bytes:
        chunks, size = [], 0
        for chunk in answer.iter_content(65536):
            size += len(chunk)
            if size > MOST_BYTES:
                raise FetchFailed("the chart sent more than can be read")
            if time.monotonic() >= self.deadline:
                raise FetchFailed(LATE)
            chunks.append(chunk)
        return b"".join(chunks)

    def _below_base(self, url: str, following: str | None) -> str | None:
        """The next page's address, made absolute; refused when it leads away from the server (the token would leak).

        Compared as requests will send it: encoded dots are dots by then.
        """
        if following is None:
            return None
        try:
            sent = requests.Request("GET", urljoin(url, following)).prepare().url or ""
            target, home = urlsplit(sent), urlsplit(self.base)
            same_origin = (target.scheme, target.hostname, target.port) == (home.scheme, home.hostname, home.port)
        except (ValueError, requests.RequestException) as error:
            raise FetchFailed(ELSEWHERE) from error
        path = unquote(target.path)
        climbs = any(part in (".", "..") for part in path.replace("\\", "/").split("/"))
        inside = (path.rstrip("/") + "/").startswith(unquote(home.path).rstrip("/") + "/")
        if not same_origin or target.username or climbs or not inside:
            raise FetchFailed(ELSEWHERE)
        return sent


LATE = "the chart did not answer in time"
ELSEWHERE = "the chart's next page lies on another server; it was not read"
