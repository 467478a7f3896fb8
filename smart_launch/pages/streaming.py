"""A page whose chart is slow to read: first a waiting message, then the page itself.

A page that is ready within a second is an ordinary response. A later one is sent as the second part of the same
document; the style sheet then hides the first part, so no script is needed. An error then has status 200, because the
status has been sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet

from flask import Response, copy_current_request_context, stream_with_context

from explanations.words.language import Language
from smart_launch.errors import SmartError
from smart_launch.pages.responses import error_page, failure_page, page
from smart_launch.runtime import AppRuntime

AT_ONCE_S = 1.0
BODY, MORE = "<body>", "<!--more-->"


def stream_if_slow(
    app: AppRuntime,
    say: Language,
    make: Callable[[], Response],
    *,
    written: bool = False,
    at_once_s: float = AT_ONCE_S,
) -> Response:
    """The page that `make` returns, streamed if it is slow. Raises what `make` raises within `at_once_s`.

    written: the message says that something has been written already.
    """
    pool = ThreadPoolExecutor(max_workers=1)
    future = pool.submit(copy_current_request_context(make))
    pool.shutdown(wait=False)
    try:
        return future.result(timeout=at_once_s)
    except NotYet:
        first = page(say, "reading.html", written=written).get_data(as_text=True).partition(MORE)[0]
        parts = stream_with_context(_parts(app, first, future))
        return Response(parts, content_type="text/html; charset=utf-8")


def _parts(app: AppRuntime, first: str, future: Future[Response]) -> Iterator[str]:
    yield first
    yield _result(app, future).get_data(as_text=True).partition(BODY)[2]


def _result(app: AppRuntime, future: Future[Response]) -> Response:
    try:
        return future.result()
    except SmartError as error:
        return error_page(app, error)
    except Exception as error:  # noqa: BLE001  # the routes' own handlers are out of reach by now
        return failure_page(app, error)
