"""Headers of every answer below /smart: a strict content security policy, frames of the EHR of this launch alone.

Nothing is cached but static files, and no referrer is sent (SMART-095, 096).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, g, request

from smart_launch.runtime import AppRuntime
from smart_launch.settings import Registration

# connect-src: the script prolongs a session without leaving a page on which answers are entered.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def add_headers(app: AppRuntime, response: Response) -> Response:
    """The response, with the headers that it lacks."""
    static = request.endpoint == "smart_pages.static" and response.status_code in (200, 206, 304)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if static:
        response.headers["Cache-Control"] = "public, max-age=3600"
    origins = frame_ancestors(app)
    allowed = " ".join(origins) if origins else "'none'"
    response.headers["Content-Security-Policy"] = f"{POLICY}; frame-ancestors {allowed}"
    if not origins:
        response.headers["X-Frame-Options"] = "DENY"
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response


def frame_ancestors(app: AppRuntime) -> tuple[str, ...]:
    """The origins whose frames may show this answer: those of the EHR of this launch.

    Before a launch is known, the origin of the Referer alone, if it is registered: a list of all would tell who our
    customers are.
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
