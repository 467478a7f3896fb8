"""Liveness, readiness and counters for operators. Public, without patient data."""

from __future__ import annotations

import json
import logging
import threading
import time

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST

from cds_service.errors import StoreUnavailable, json_response
from cds_service.serving import metrics
from cds_service.serving.escalation_metrics import EscalationMetrics
from cds_service.serving.model_metrics import ModelMetrics
from cds_service.serving.runtime import Runtime
from cds_service.storage.store import Store
from cds_service.storage.versions import check

log = logging.getLogger("mhcds")
OK = "ok"
FAILED = "failed; rules still answer, answers are kept in the log only"
PROBE_S = 1.0
MOST_S = 5.0


def create_blueprint(runtime: Runtime) -> Blueprint:
    """The three routes."""
    blueprint = Blueprint("ops", __name__)
    probe, escalations, models = StoreProbe(runtime.store), EscalationMetrics(runtime), ModelMetrics(runtime.store)

    @blueprint.get("/health/live")
    def live() -> Response:
        return json_response({"status": "live"})

    @blueprint.get("/health/ready")
    def ready() -> Response:
        checks = {
            "store": probe(),
            "models": _models(runtime),
            "configuration": _configuration(runtime),
            "switches": _switches(runtime),
        }
        ready = all(result == OK for result in checks.values())
        # Hook calls are answered as ever: taking the service out of use would not help whoever waits.
        checks["escalations"] = _escalations(escalations)
        whole = "ready" if checks["escalations"] == OK else "degraded"
        return json_response({"status": whole if ready else "not-ready", "checks": checks}, 200 if ready else 503)

    @blueprint.get("/metrics")
    def counters() -> Response:
        answer = Response(metrics.text() + escalations.text() + models.text(), content_type=CONTENT_TYPE_LATEST)
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    return blueprint


class StoreProbe:
    """Whether the store works: a probe asks it and writes a row, since a full or locked one can still be read.

    However many poll, there is one probe a second in each process. During a probe the last result holds, unless it
    hangs: no database waits longer than `MOST_S`, but a file system that is gone does.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = threading.Lock()
        self._next, self._result = 0.0, ""

    def __call__(self) -> str:
        """`ok`, or what follows from the failure."""
        if self._turn.acquire(timeout=0 if self._result else MOST_S):
            try:
                if time.monotonic() >= self._next:
                    self._next = time.monotonic() + PROBE_S
                    self._result = self._probed()
            finally:
                self._turn.release()
        elif time.monotonic() >= self._next + MOST_S:
            return FAILED
        return self._result

    def _probed(self) -> str:
        try:
            check(self._store)
            self._store.write_probe()
        except StoreUnavailable as error:
            log.error(json.dumps({"event": "store-unavailable", "at": "readiness", "reason": str(error)}))
            return FAILED
        return OK


def _models(runtime: Runtime) -> str:
    failed = ", ".join(failure.name for failure in runtime.engine.failures)
    return f"not loaded: {failed}; rules still answer" if failed else OK


def _configuration(runtime: Runtime) -> str:
    runtime.config()
    return OK if runtime.problem() is None else "the files on disk are not in force; run mhcds check-config"


def _escalations(metrics: EscalationMetrics) -> str:
    try:
        return metrics.trouble() or OK
    except StoreUnavailable:
        return "unknown, since the store failed"


def _switches(runtime: Runtime) -> str:
    problems = runtime.controls().problems
    return "switch.toml is not as expected, so no model speaks; run mhcds switch status" if problems else OK
