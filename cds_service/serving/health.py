"""Liveness, readiness and counters for operators. Public, without patient data."""

from __future__ import annotations

import json
import logging

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST

from cds_service.errors import StoreUnavailable, json_response
from cds_service.serving import metrics
from cds_service.serving.runtime import Runtime
from cds_service.storage.versions import check

log = logging.getLogger("mhcds")
OK = "ok"


def create_blueprint(runtime: Runtime) -> Blueprint:
    """The three routes."""
    blueprint = Blueprint("ops", __name__)

    @blueprint.get("/health/live")
    def live() -> Response:
        return json_response({"status": "live"})

    @blueprint.get("/health/ready")
    def ready() -> Response:
        checks = {"store": _store(runtime), "models": _models(runtime), "configuration": _configuration(runtime)}
        ready = all(result == OK for result in checks.values())
        return json_response({"status": "ready" if ready else "not-ready", "checks": checks}, 200 if ready else 503)

    @blueprint.get("/metrics")
    def counters() -> Response:
        answer = Response(metrics.text(), content_type=CONTENT_TYPE_LATEST)
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    return blueprint


def _store(runtime: Runtime) -> str:
    """What a probe found that asked, and wrote a row: a full or locked database can still be read."""
    try:
        check(runtime.store)
        runtime.store.write_probe()
    except StoreUnavailable as error:
        log.error(json.dumps({"event": "store-unavailable", "at": "readiness", "reason": str(error)}))
        return "failed; rules still answer, answers are kept in the log only"
    return OK


def _models(runtime: Runtime) -> str:
    failed = ", ".join(failure.name for failure in runtime.engine.failures)
    return f"not loaded: {failed}; rules still answer" if failed else OK


def _configuration(runtime: Runtime) -> str:
    runtime.config()
    return OK if runtime.problem() is None else "the files on disk are not in force; run mhcds check-config"
