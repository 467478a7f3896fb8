"""Answers that people see: pages with their headers, and a page for every error.

Strict content security policy, frames of the EHR of this launch alone, nothing cached, nothing referred
(SMART-095, 096). An error page has plain words, a way back and a code for support; the log has the same code and why.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, g, make_response, render_template, request, url_for
from werkzeug.exceptions import HTTPException

from smart_launch.errors import SmartError
from smart_launch.pages import messages
from smart_launch.pages.error_words import words_of
from smart_launch.runtime import AppRuntime
from smart_launch.settings import Registration

log = logging.getLogger("mhcds")
# connect-src: the script prolongs a session without leaving a page on which answers are entered.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'"
)
# What sends something to the chart: a failure on the way leaves open whether it is there.
WRITING = ("smart_forms.write", "smart_forms.write_task", "smart_forms.take_back")
STATIC = Path(__file__).parents[1] / "static"
LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def create_blueprint(app: AppRuntime, language: str = messages.ENGLISH, folder: Path = messages.FOLDER) -> Blueprint:
    """Templates and static files; what all `/smart` answers have in common. folder: of the message catalogues."""
    blueprint = Blueprint(
        "smart_pages",
        __name__,
        template_folder="../templates",
        static_folder="../static",
        static_url_path="/smart/static",
    )
    blueprint.record_once(lambda state: messages.install(state.app.jinja_env))
    blueprint.record_once(lambda state: state.app.add_template_global(asset))

    @blueprint.get("/smart/", defaults={"_rest": ""})
    @blueprint.get("/smart/<path:_rest>")
    def nothing(_rest: str) -> Response:
        return error_page(SmartError("nothing at this address", "no-page", 404))

    def before() -> None:
        if request.path.startswith("/smart/"):
            messages.use(language, folder)

    def after(response: Response) -> Response:
        return protected(app, response) if request.path.startswith("/smart/") else response

    blueprint.before_app_request(before)
    blueprint.after_app_request(after)
    return blueprint


def asset(name: str) -> str:
    """The address of a style sheet, script or picture: another one for other content, so that no cache keeps an old."""
    return url_for("smart_pages.static", filename=name, v=_version(name))


@cache
def _version(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:8]


def with_error_pages(blueprint: Blueprint) -> None:
    """Errors of these routes become pages."""
    blueprint.register_error_handler(SmartError, error_page)
    blueprint.register_error_handler(Exception, unforeseen)


def page(template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401  # what templates take
    """A page from a template of ours."""
    return make_response(render_template(f"smart/{template}", **values), status)


def error_page(error: SmartError, *, window_url: str | None = None) -> Response:
    """The page of an error, with a code that the log has too. window_url: an address that may work in a window."""
    code = support_code()
    event = {"event": "smart-error", "support": code, "page": error.page, "status": error.status, "why": str(error)}
    log.warning(json.dumps(event))
    return told(error.page, error.status, code, window_url=window_url)


def unforeseen(error: Exception) -> Response:
    """Anything else: plain http, the store that failed, or what nobody foresaw, whose message may quote chart data."""
    if isinstance(error, HTTPException):
        status = error.code or 400
        return error_page(
            SmartError("a request that cannot be used", "no-page" if status == 404 else "form-refused", status)
        )
    if getattr(error, "status", 500) == 403:
        return error_page(SmartError(f"{error}: [tls], or X-Forwarded-Proto of a trusted proxy", "insecure", 403))
    status = 503 if getattr(error, "status", 500) == 503 else 500
    code = support_code()
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else ""
    event = {"event": "smart-failed", "support": code, "type": type(error).__name__, "place": place}
    log.error(json.dumps(event))
    if request.endpoint in WRITING:
        return told("in-doubt", status, code)
    return told("unavailable" if status == 503 else "failed", status, code)


def told(code: str, status: int, support: str, *, window_url: str | None = None) -> Response:
    """The page of an error code; with a way back to the summary where the session may still be there."""
    words = words_of(code)
    launch_id = (request.view_args or {}).get("launch_id") if words.back else None
    return page(
        "error.html", status=status, code=code, words=words, support=support, launch_id=launch_id, window_url=window_url
    )


def support_code() -> str:
    """Such as 7F3-K2Q: to be read out on the telephone."""
    drawn = [secrets.choice(LETTERS) for _ in range(6)]
    return f"{''.join(drawn[:3])}-{''.join(drawn[3:])}"


def protected(app: AppRuntime, response: Response) -> Response:
    """The headers that every answer below /smart has."""
    static = request.endpoint == "smart_pages.static" and response.status_code in (200, 206, 304)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if static:
        response.headers["Cache-Control"] = "public, max-age=3600"
    origins = ancestors(app)
    allowed = " ".join(origins) if origins else "'none'"
    response.headers["Content-Security-Policy"] = f"{POLICY}; frame-ancestors {allowed}"
    if not origins:
        response.headers["X-Frame-Options"] = "DENY"
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response


def ancestors(app: AppRuntime) -> tuple[str, ...]:
    """The origins whose frames may show this answer: those of the EHR of this launch.

    Where no launch is known (an error before it), the one origin that the browser says it comes from, if it is
    registered: naming all would tell who our customers are.
    """
    registration: Registration | None = g.get("registration")
    if registration is not None:
        return registration.frame_ancestors
    try:
        parts = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        return ()
    origin = f"{parts.scheme}://{parts.netloc}"
    known = {name for entry in app.settings().registrations() for name in entry.frame_ancestors}
    return (origin,) if origin in known else ()


def ready(flask: Flask, app: AppRuntime, *blueprints: Blueprint) -> None:
    """Puts the app's routes on a Flask app."""
    for blueprint in blueprints:
        with_error_pages(blueprint)
        flask.register_blueprint(blueprint)
    common = create_blueprint(app)
    with_error_pages(common)
    flask.register_blueprint(common)
