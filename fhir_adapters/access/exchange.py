"""One HTTP request and its answer by a deadline; each kind of failure is its own FetchFailed.

Sent once, never redirected. No token, address or patient data is in a message.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError

from fhir_adapters.access.deadline import watched_session
from fhir_adapters.errors import NotReached, NotUsable, TooLate, TooMuch, Unreachable
from fhir_adapters.gaps import Cause, Gap

CONNECT_TIMEOUT_S = 1.0
MOST_REPLY_BYTES = 1_000_000
LATE = Gap(cause=Cause.TOO_LATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer of any status; `headers` ignore case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def exchange(method: str, url: str, headers: Mapping[str, str], body: bytes | None, deadline: float) -> Reply:
    """One request and its answer; sent once, never redirected. Raises NotReached when nothing was sent at all.

    After any other FetchFailed the server may or may not have acted on the request.
    """
    if time.monotonic() >= deadline:
        raise NotReached(LATE)
    with (
        watched_session(deadline) as session,
        answering(session, method, url, headers, body, deadline) as answer,
    ):
        content = body_of(answer, deadline, MOST_REPLY_BYTES)
        return Reply(status=answer.status_code, headers=answer.headers, body=content)


@contextmanager
def answering(
    session: requests.Session, method: str, url: str, headers: Mapping[str, str], body: bytes | None, deadline: float
) -> Iterator[requests.Response]:
    """The answer to one request, to be read by the caller; failures until then are FetchFailed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TooLate(LATE)
    within = (min(CONNECT_TIMEOUT_S, left), left)
    try:
        with session.request(
            method, url, headers=dict(headers), data=body, timeout=within, allow_redirects=False, stream=True
        ) as answer:
            if time.monotonic() >= deadline:  # a cut-off answer may look whole
                raise TooLate(LATE)
            yield answer
            if time.monotonic() >= deadline:
                raise TooLate(LATE)
    except requests.exceptions.ContentDecodingError as error:
        raise NotUsable(Gap(cause=Cause.NOT_UNPACKED)) from error
    except (requests.RequestException, OSError, ValueError, AttributeError) as error:
        # The last two: a TLS socket that is shut down while it is being read.
        if isinstance(error, requests.Timeout) or time.monotonic() >= deadline:
            raise TooLate(LATE) from error
        kind = NotReached if never_connected(error) else Unreachable
        raise kind(Gap(cause=Cause.UNREACHABLE)) from error


def never_connected(error: Exception) -> bool:
    """Whether there was no connection at all, so that nothing can have been sent."""
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def body_of(answer: requests.Response, deadline: float, most: int) -> bytes:
    """The whole body of an answer. Raises TooMuch above `most` bytes, TooLate after the deadline."""
    chunks, size = [], 0
    for chunk in answer.iter_content(65536):
        size += len(chunk)
        if size > most:
            raise TooMuch(Gap(cause=Cause.TOO_MUCH))
        if time.monotonic() >= deadline:
            raise TooLate(LATE)
        chunks.append(chunk)
    return b"".join(chunks)
