"""Reads from a FHIR server with the token of one hook call.

The token goes to the origin and base path of that server and nowhere else: redirects are not followed,
and a next-page link is followed only below the same base. Every call has connect and read time-outs, and
all calls of one request share a deadline. Any failure is FetchFailed with its reason; no token, address or
patient data is in the message. Until client authentication exists, only loopback servers are read.
"""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests

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
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirClient:
    """Reads below `base` with `token`, until `deadline` (time.monotonic seconds)."""

    base: str
    token: str
    deadline: float

    def get(self, query: str) -> list[r4.Resource]:
        """The resource of a read, or the resources of a search over all its pages. Raises FetchFailed."""
        url: str | None = f"{self.base.rstrip('/')}/{query}"
        found: list[r4.Resource] = []
        with requests.Session() as session:
            session.trust_env = False
            for _ in range(MOST_PAGES):
                if url is None:
                    return found
                resources, url = self._page(session, url)
                found += resources
        raise FetchFailed(f"the chart sent more than {MOST_PAGES} pages")

    def _page(self, session: requests.Session, url: str) -> tuple[list[r4.Resource], str | None]:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise FetchFailed("the chart did not answer in time")
        headers = {"Authorization": f"Bearer {self.token}", "Accept": ACCEPT}
        try:
            with session.get(
                url, headers=headers, timeout=(min(CONNECT_TIMEOUT_S, left), left), allow_redirects=False, stream=True
            ) as answer:
                if answer.status_code != requests.codes.ok:
                    raise FetchFailed(STATUS_WORDS.get(answer.status_code, f"the chart answered {answer.status_code}"))
                body = self._body(answer)
        except requests.Timeout as error:
            raise FetchFailed("the chart did not answer in time") from error
        except requests.RequestException as error:
            raise FetchFailed("the chart could not be reached") from error
        try:
            whole = r4.read(body)
        except NotFhir as error:
            raise FetchFailed("the chart answered with something that is not FHIR") from error
        if whole.kind == "OperationOutcome":
            raise FetchFailed("the chart answered with an error report")
        if whole.kind != "Bundle":
            return [whole], None
        if whole.content is None:
            raise FetchFailed("the chart answered with a Bundle that cannot be read")
        following = next((link.url for link in whole.content.link if link.relation == "next" and link.url), None)
        return [r4.read(raw, at) for raw, at in r4.entries(whole.content)], self._below_base(url, following)

    def _body(self, answer: requests.Response) -> bytes:
        chunks, size = [], 0
        for chunk in answer.iter_content(65536):
            size += len(chunk)
            if size > MOST_BYTES:
                raise FetchFailed("the chart sent more than can be read")
            if time.monotonic() > self.deadline:
                raise FetchFailed("the chart did not answer in time")
            chunks.append(chunk)
        return b"".join(chunks)

    def _below_base(self, url: str, following: str | None) -> str | None:
        """The next page's address, made absolute; refused when it leads away from the server (the token would leak)."""
        if following is None:
            return None
        target, home = urlsplit(urljoin(url, following)), urlsplit(self.base)
        same_origin = (target.scheme, target.hostname, target.port) == (home.scheme, home.hostname, home.port)
        inside = (target.path.rstrip("/") + "/").startswith(home.path.rstrip("/") + "/") and ".." not in target.path
        if not same_origin or target.username or not inside:
            raise FetchFailed("the chart's next page lies on another server; it was not read")
        return target.geturl()
