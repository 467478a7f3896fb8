"""CORS: which origins may call, on every response and on preflights.

Our own code, because the rules are few and the origins a live setting, which a library fixes at start-up.
Never `*`, never `null`, never credentials (OWASP; CDS Hooks 2.0, "Cross-Origin Resource Sharing").
"""

from __future__ import annotations

import json
import logging

from flask import Flask, Response, request

from cds_service.serving.runtime import Runtime
from fhir_adapters.received import noted

log = logging.getLogger("mhcds")
MAX_AGE_S = "600"
# What browsers of other origins call; the pages of the SMART app send their own.
CALLED = ("/cds-services", "/sites")


def register(app: Flask, runtime: Runtime) -> None:
    """Adds the headers to every response."""

    @app.after_request
    def _headers(answer: Response) -> Response:
        # Also without an Origin: a cache must not serve that response to a browser that sends one.
        answer.vary.add("Origin")
        origin, config = request.headers.get("Origin"), runtime.config()
        if origin is None or origin not in config.cors_origins:
            if origin is not None and request.path.startswith(CALLED) and (found := noted("origin", origin)):
                log.warning(json.dumps({"event": "origin-refused", **found}))
            return answer
        answer.headers["Access-Control-Allow-Origin"] = origin
        answer.headers["Access-Control-Expose-Headers"] = "ETag, Location, Retry-After, WWW-Authenticate"
        if request.method == "OPTIONS":
            answer.headers["Access-Control-Allow-Methods"] = answer.headers.get("Allow", "GET, POST, OPTIONS")
            answer.headers["Access-Control-Allow-Headers"] = "authorization, content-type, content-encoding"
            answer.headers["Access-Control-Max-Age"] = MAX_AGE_S
        return answer
