"""Reads from a FHIR server with the token of one hook call.

The token goes only to the origin and base path of that server: redirects are not followed, and a next-page link only
below the same base. Every call has connect and read time-outs, and all calls of one request share a deadline.
Transient failures (429, other 5xx than 501, a dropped connection) are retried once, time permitting. A search that is
refused in its address is sent once more in a body. Each kind of failure is its own FetchFailed, with its reason; no
token, address or patient data is in the message. Connections are kept open between calls, but no cookie, answer or
token.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlencode, urljoin, urlsplit

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from urllib3 import Retry
from urllib3.exceptions import InvalidHeader

from fhir_adapters.access.addresses import base_path, origin
from fhir_adapters.access.deadline import watched_session
from fhir_adapters.access.exchange import answering, body_of
from fhir_adapters.errors import (
    AddressRefused,
    Busy,
    FetchFailed,
    GatewayFailed,
    NextElsewhere,
    NotAuthorized,
    NotFhir,
    NotFound,
    NotSupported,
    NotUsable,
    Passing,
    Redirected,
    Refused,
    ServerFailed,
    TooLate,
    TooMuch,
)
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.resources import r4

PAUSE_S = 0.1
MOST_PAGES = 20
MOST_BYTES = 20_000_000  # of all pages of one query together
ACCEPT = "application/fhir+json"
FORM = "application/x-www-form-urlencoded"
# Media types of FHIR JSON in use: of R4, plain JSON, and of DSTU2 (CDSH-103).
FHIR_JSON = ("application/fhir+json", "application/json", "application/json+fhir")
R4_VERSIONS = ("4.0", "4.0.1", "4.3", "4.3.0")
ELSEWHERE = Gap(cause=Cause.NEXT_PAGE_ELSEWHERE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirClient:
    """Reads below `base` with `token`, until `deadline` (time.monotonic seconds)."""

    base: str
    token: str
    deadline: float

    def get(self, query: str) -> list[r4.Resource]:
        """The server's answer to a query: the resource of a read, or the Bundles of a search, one a page.

        Raises FetchFailed with the pages read so far; always returns by the deadline.
        """
        place, mark, criteria = query.partition("?")
        base = self.base.rstrip("/")
        with watched_session(self.deadline) as session:
            try:
                return self._pages(session, f"{base}/{query}")
            except AddressRefused as refusal:
                if not mark or refusal.pages:
                    raise
                form = urlencode(parse_qsl(criteria, keep_blank_values=True)).encode()
                try:
                    return self._pages(session, f"{base}/{place}/_search", form)
                except FetchFailed as failure:
                    if failure.pages or isinstance(failure, TooLate):
                        raise
                    raise refusal from failure

    def _pages(self, session: requests.Session, first: str, form: bytes | None = None) -> list[r4.Resource]:
        pages: list[r4.Resource] = []
        try:
            self._follow(session, first, form, pages)
        except FetchFailed as failure:
            failure.pages = tuple(pages)
            raise
        return pages

    def _follow(self, session: requests.Session, first: str, form: bytes | None, pages: list[r4.Resource]) -> None:
        """Appends each page to `pages` as it is read. `form`: the search, where it is not in the address."""
        url: str | None = first
        visited: set[str] = set()
        while url is not None:
            if len(pages) == MOST_PAGES or url in visited:
                raise TooMuch(Gap(cause=Cause.TOO_MANY_PAGES, detail=str(MOST_PAGES)))
            visited.add(url)
            page = self._tenacious(session, url, None if pages else form)
            pages.append(page)
            if sum(len(p.text) for p in pages) > MOST_BYTES:
                raise TooMuch(Gap(cause=Cause.TOO_MUCH))
            links = page.content.link if page.kind == "Bundle" and page.content else ()
            following = [link.url for link in links if link and link.relation == "next"]
            if following and not following[0]:
                raise NotUsable(Gap(cause=Cause.NEXT_PAGE_UNNAMED))
            url = self._below_base(url, following[0] if following else None)

    def _tenacious(self, session: requests.Session, url: str, form: bytes | None) -> r4.Resource:
        """One page, retried once after a transient failure if time permits."""

        def no_time(state: RetryCallState) -> bool:
            return time.monotonic() + state.upcoming_sleep >= self.deadline

        again = Retrying(
            retry=retry_if_exception_type(Passing),
            wait=_pause,
            stop=lambda state: stop_after_attempt(2)(state) or no_time(state),
            reraise=True,
        )
        return again(self._page, session, url, form)

    def _page(self, session: requests.Session, url: str, form: bytes | None) -> r4.Resource:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": ACCEPT} | ({"Content-Type": FORM} if form else {})
        with answering(session, "POST" if form else "GET", url, headers, form, self.deadline) as answer:
            if answer.status_code != requests.codes.ok:
                raise _failure(answer)
            _check_type(answer.headers.get("Content-Type", ""))
            body = body_of(answer, self.deadline, MOST_BYTES)
        try:
            body.decode()
            return r4.read(body)
        except (NotFhir, UnicodeDecodeError) as error:
            raise NotUsable(Gap(cause=Cause.ANSWER_NOT_FHIR)) from error

    def _below_base(self, url: str, following: str | None) -> str | None:
        """The absolute address of the next page; refused when it leads away from the server (the token would leak).

        Compared as requests will send it, with encoded dots decoded.
        """
        if following is None:
            return None
        try:
            sent = requests.Request("GET", urljoin(url, following)).prepare().url or ""
            same_origin = origin(sent) == origin(self.base)
            target = urlsplit(sent)
        except (ValueError, requests.RequestException) as error:
            raise NextElsewhere(ELSEWHERE) from error
        path = unquote(target.path)
        climbs = any(part in (".", "..") for part in path.replace("\\", "/").split("/"))
        inside = (base_path(sent) + "/").startswith(base_path(self.base) + "/")
        # Servers strip path parameters, and proxies decode twice: neither may hide a way out.
        disguised = ";" in path or "%" in path
        if not same_origin or target.username or climbs or disguised or not inside:
            raise NextElsewhere(ELSEWHERE)
        return sent


def _pause(state: RetryCallState) -> float:
    """Seconds until the retry: as the server asks, else PAUSE_S."""
    failure = state.outcome.exception() if state.outcome else None
    wait_s = failure.wait_s if isinstance(failure, Passing) else None
    return PAUSE_S if wait_s is None else wait_s


def _failure(answer: requests.Response) -> FetchFailed:
    """A status other than 200 as an error of its kind."""
    status = answer.status_code
    failed = Gap(cause=Cause.FAILED, detail=str(status))
    if status in (401, 403):
        return (NotAuthorized if status == 401 else Refused)(Gap(cause=Cause.REFUSED))
    if status in (404, 410):
        return NotFound(Gap(cause=Cause.NOT_FOUND))
    if status == 429:
        return Busy(Gap(cause=Cause.BUSY), _retry_after(answer))
    if status in (502, 503, 504):
        return GatewayFailed(failed, _retry_after(answer))
    if 300 <= status < 400:
        return Redirected(Gap(cause=Cause.REDIRECTED, detail=str(status)))
    if 400 <= status < 500 or status == 501:
        kind = AddressRefused if status in (400, 405, 413, 414, 431) else NotSupported
        return kind(Gap(cause=Cause.NOT_SUPPORTED, detail=str(status)))
    return ServerFailed(failed, _retry_after(answer)) if status >= 500 else NotUsable(failed)


def _retry_after(answer: requests.Response) -> float | None:
    """Seconds the server asks to wait, from a number or a date."""
    header = answer.headers.get("Retry-After")
    with suppress(InvalidHeader, OverflowError):
        return max(0.0, Retry().parse_retry_after(header)) if header else None
    return None


def _check_type(content_type: str) -> None:
    """Raises NotUsable unless the answer is labelled as FHIR JSON of R4 or R4B."""
    parts = [part.strip() for part in content_type.lower().split(";")]
    if parts[0] not in FHIR_JSON:
        raise NotUsable(Gap(cause=Cause.MEDIA_TYPE, detail=ACCEPT))
    versions = [part.partition("=")[2].strip('"') for part in parts if part.startswith("fhirversion=")]
    if any(version not in R4_VERSIONS for version in versions):
        raise NotUsable(Gap(cause=Cause.OTHER_VERSION))
