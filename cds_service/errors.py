"""Errors to HTTP responses, in one place: a FHIR OperationOutcome that names the field and holds no patient data.

ServiceError
├── BadRequest (400)            malformed, wrong types, missing or contradictory members
├── Unauthenticated (401)       the client could not be verified; the same response whatever the fault
├── InsecureTransport (403)     plain http where https is required
├── UnknownService (404)
├── DataUnavailable (412)       no needed data was sent or obtainable
├── TooLarge (413)
├── UnsupportedMedia (415)
├── TooManyCalls (429)          a client's limit for this minute
├── Overloaded (503)            too many calls at once
├── StoreUnavailable (503)      the database failed; a hook call continues without it
└── ConfigError                 invalid settings; prevents start-up, never seen over HTTP
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

log = logging.getLogger("mhcds")


class ServiceError(Exception):
    """Base. `code` is a FHIR issue type."""

    status = 500
    code = "exception"
    headers: Mapping[str, str] = {}


class BadRequest(ServiceError):
    """The request is malformed or contradictory."""

    status = 400
    code = "invalid"


class UnknownService(ServiceError):
    """There is no service with that id."""

    status = 404
    code = "not-found"


class DataUnavailable(ServiceError):
    """No needed data was sent or obtainable; where a site wants it, not all of it (CDS Hooks 2.0: 412)."""

    status = 412
    code = "incomplete"


class TooLarge(ServiceError):
    """The body exceeds the size limit."""

    status = 413
    code = "too-long"


class UnsupportedMedia(ServiceError):
    """The body is not declared as JSON."""

    status = 415
    code = "not-supported"


class Unauthenticated(ServiceError):
    """The client could not be verified; the response never says which check failed.

    why: one of a fixed set of words, for the log. found: what was received in its place, cleaned there.
    """

    status = 401
    code = "login"
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="cds-services"'}

    def __init__(self, why: str, found: object = None) -> None:
        self.why, self.found = why, found
        super().__init__("expected Authorization: Bearer with a JWT of a registered CDS client for this address")


class InsecureTransport(ServiceError):
    """Plain http where https is required."""

    status = 403
    code = "security"


class TooManyCalls(ServiceError):
    """The client's limit for this minute is used up."""

    why = "too-many"
    status = 429
    code = "throttled"
    headers: Mapping[str, str] = {"Retry-After": "60"}


class Overloaded(ServiceError):
    """Too many calls at once. `why` is counted."""

    status = 503
    code = "throttled"
    headers: Mapping[str, str] = {"Retry-After": "1"}

    def __init__(self, message: str, why: str = "overloaded") -> None:
        self.why = why
        super().__init__(message)


class StoreUnavailable(ServiceError):
    """The database failed."""

    status = 503
    code = "transient"
    headers: Mapping[str, str] = {"Retry-After": "5"}


class ConfigError(ServiceError):
    """Invalid settings: file, key and remedy."""


def json_response(content: object, status: int = 200) -> Response:
    """`content` as an application/json response that is never cached."""
    answer = Response(msgspec.json.encode(content), status=status, content_type="application/json")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def outcome(status: int, code: str, text: str, *, severity: str = "error") -> Response:
    """An OperationOutcome with one issue."""
    issue: dict[str, Any] = {"severity": severity, "code": code, "diagnostics": text}
    return json_response({"resourceType": "OperationOutcome", "issue": [issue]}, status)


def register(app: Flask) -> None:
    """Registers the handlers of all errors."""

    @app.errorhandler(ServiceError)
    def _ours(error: ServiceError) -> Response:
        answer = outcome(error.status, error.code, str(error))
        answer.headers.update(error.headers)
        return answer

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        status = error.code or 500
        words = {
            404: "there is nothing at this address; the services are listed at /cds-services",
            405: "this address does not take that method",
        }
        answer = outcome(status, "not-found" if status == 404 else "processing", words.get(status, error.name.lower()))
        for name, value in error.get_headers():
            if name == "Allow":
                answer.headers[name] = value
        return answer

    @app.errorhandler(Exception)
    def _unforeseen(error: Exception) -> Response:
        # Type and location only: the message of an unexpected error may quote patient data.
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        log.error(json.dumps({"event": "unforeseen-error", "type": type(error).__name__, "place": place}))
        return outcome(500, "exception", "the service failed; nothing was assessed")
