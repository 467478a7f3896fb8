"""Pages from templates, and a page for every error: plain words, a way back, and a support code.

The log has the same code and the cause.
"""

from __future__ import annotations

import json
import logging
import secrets
from typing import Any

from flask import Response, g, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from explanations.words.language import Language
from smart_launch.errors import EhrRefusal, SmartError
from smart_launch.pages.error_words import error_words
from smart_launch.pages.language import user_language
from smart_launch.runtime import AppRuntime
from smart_launch.settings import Registration

log = logging.getLogger("mhcds")
# Routes that write to the chart: after a failure, it is unknown whether the chart has the entry.
WRITING = ("smart_forms.write", "smart_forms.write_task", "smart_forms.take_back")
RETRY_S = {429: 60, 503: 5}
LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def page(say: Language, template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401  # what templates take
    """A page from a template."""
    return make_response(render_template(f"smart/{template}", say=say, **values), status)


def request_language(app: AppRuntime) -> Language:
    """The user's, of the languages of the launch's site, or of all sites when no launch is known."""
    registration: Registration | None = g.get("registration")
    settings = app.settings()
    site = settings.site(registration.site) if registration else None
    return user_language(site.languages if site else settings.languages)


def error_page(app: AppRuntime, error: SmartError, *, window_url: str | None = None) -> Response:
    """The page of an error. window_url: an address that may work in its own window."""
    support = support_code()
    event = {"event": "smart-error", "support": support, "page": error.page, "status": error.status, "why": str(error)}
    said = {"error": error.said.code, "words": error.said.words} if error.said else {}
    log.warning(json.dumps(event | said | error.noted))
    return error_answer(app, error.page, error.status, support, window_url=window_url, said=error.said)


def failure_page(app: AppRuntime, error: Exception) -> Response:
    """The page of any other error: HTTP, the store, or a bug, whose message may quote chart data."""
    if isinstance(error, HTTPException):
        status = error.code or 400
        code = "no-page" if status == 404 else "form-refused"
        return error_page(app, SmartError("a request that cannot be used", code, status))
    if getattr(error, "status", 500) == 403:
        return error_page(app, SmartError(f"{error}: [tls], or X-Forwarded-Proto of a trusted proxy", "insecure", 403))
    status = 503 if getattr(error, "status", 500) == 503 else 500
    support = support_code()
    log_failure(error, support=support)
    code = "in-doubt" if request.endpoint in WRITING else "unavailable" if status == 503 else "failed"
    return error_answer(app, code, status, support)


def log_failure(error: Exception, **more: str) -> None:
    """Logs what failed and where, without its message, which may quote chart data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else ""
    log.error(json.dumps({"event": "smart-failed"} | more | {"type": type(error).__name__, "place": place}))


def error_answer(
    app: AppRuntime,
    code: str,
    status: int,
    support: str,
    *,
    window_url: str | None = None,
    said: EhrRefusal | None = None,
) -> Response:
    """The page of an error code, with a link to the summary if the session may still be open. said: by the EHR."""
    say = request_language(app)
    words = error_words(code, say)
    launch_id = (request.view_args or {}).get("launch_id") if words.back else None
    values = {
        "code": code,
        "words": words,
        "support": support,
        "launch_id": launch_id,
        "window_url": window_url,
        "said": said,
    }
    response = page(say, "error.html", status, **values)
    if status in RETRY_S:
        response.headers["Retry-After"] = str(RETRY_S[status])
    return response


def support_code() -> str:
    """Such as 7F3-K2Q; easy to read out over the telephone."""
    drawn = [secrets.choice(LETTERS) for _ in range(6)]
    return f"{''.join(drawn[:3])}-{''.join(drawn[3:])}"
