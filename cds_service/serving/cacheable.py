"""Public documents that clients may cache: an ETag, and 304 if they have it already.

Only `If-None-Match` is honoured. werkzeug's `make_conditional` also answers `If-Match` with 412 and the whole document,
but here 412 means that no needed data could be obtained.
"""

from __future__ import annotations

import hashlib

from flask import Response, request


def cacheable(body: bytes, content_type: str) -> Response:
    """The document, or 304 without a body."""
    tag = hashlib.sha256(body).hexdigest()[:16]
    known = request.if_none_match.contains_weak(tag)
    answer = Response(b"" if known else body, status=304 if known else 200, content_type=content_type)
    answer.set_etag(tag)
    answer.headers["Cache-Control"] = "public, max-age=300"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


NOTHING = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"


def cacheable_page(page: str, policy: str = NOTHING) -> Response:
    """The same for a page. policy: what it may load, by default nothing."""
    answer = cacheable(page.encode(), "text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = policy
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer
