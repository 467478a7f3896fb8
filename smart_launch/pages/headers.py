"""Headers of every response below /smart: a strict content security policy, framing by this launch's EHR only.

Only static files are cached, and no referrer is sent (SMART-095, 096).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, g, request

from smart_launch.runtime import AppRuntime
from smart_launch.settings import Registration

# connect-src: a script prolongs the session while answers are being entered.
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
    """The response with missing headers added."""
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
    """The origins that may frame this response: those of this launch's EHR.

    Before a launch is known, only the Referer's origin, if registered: a full list would reveal our customers.
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
