"""A page whose chart takes long to read: that it is being read is shown at once, and the page follows in its place.

What is ready within a second is an answer like any other, with its own status. What is not is sent in two parts of one
document; the style sheet hides the first once the second is there, so no script is needed. An error is then a page with
status 200, because the status has been sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet

from flask import Response, copy_current_request_context, stream_with_context

from smart_launch.errors import SmartError
from smart_launch.pages.responses import error_page, page, unforeseen

AT_ONCE_S = 1.0
BODY, MORE = "<body>", "<!--more-->"


def in_its_time(make: Callable[[], Response], *, at_once_s: float = AT_ONCE_S) -> Response:
    """The answer that `make` gives, or the beginning of one while it works. Raises what `make` raises in time."""
    pool = ThreadPoolExecutor(max_workers=1)
    made = pool.submit(copy_current_request_context(make))
    pool.shutdown(wait=False)
    try:
        return made.result(timeout=at_once_s)
    except NotYet:
        begun = page("reading.html").get_data(as_text=True).partition(MORE)[0]
        return Response(stream_with_context(_both(begun, made)), content_type="text/html; charset=utf-8")


def _both(begun: str, made: Future[Response]) -> Iterator[str]:
    yield begun
    yield _made(made).get_data(as_text=True).partition(BODY)[2]


def _made(made: Future[Response]) -> Response:
    try:
        return made.result()
    except SmartError as error:
        return error_page(error)
    except Exception as error:  # noqa: BLE001  # the handlers of the routes are out of reach by now
        return unforeseen(error)
