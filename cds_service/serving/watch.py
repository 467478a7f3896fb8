"""Sends messages, tells the next contacts, looks for what must open an incident, keeps and signs the audit chains.

Two threads a worker. One sends: messages go out one by one, and between them whoever is due is told, so that a receiver
that hangs keeps nothing else back for longer than one attempt. The other looks, each look by one worker for all and at
its own pace, so that nobody waits for a long one.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version

from cds_service.audit.configuration import record_configuration
from cds_service.audit.erasure import erase_old
from cds_service.audit.heads import head_lines
from cds_service.audit.verify import verify
from cds_service.burden.stop_rule import apply_stop_rule
from cds_service.errors import StoreUnavailable
from cds_service.escalation.escalations import advance, open_stranded
from cds_service.incidents import watching
from cds_service.sending.contacts import Means
from cds_service.sending.queue import send_next, waiting_since
from cds_service.sending.task_status import look_at_tasks
from cds_service.serving import metrics
from cds_service.serving.daily_look import look_at_models
from cds_service.serving.runtime import Runtime
from cds_service.settings.config import ServiceConfig
from cds_service.storage.store import Store

log = logging.getLogger("mhcds")
REST_S, BETWEEN_S, AFTER_FAILURE_S = 2.0, 0.2, 30.0
LOOK_S = 30
PAGE_REST_S = 0.2
MINUTE_S, SOON_S, HOUR_S, DAY_S = 60, 10 * 60, 60 * 60, 24 * 60 * 60


def start(runtime: Runtime) -> threading.Thread:
    """Starts the thread that sends, and beside it the one that looks; they end with the process."""
    start_beside("look", lambda: _look_and_rest(runtime))
    thread = threading.Thread(target=_watch, args=(runtime,), name="watch", daemon=True)
    thread.start()
    return thread


def start_beside(name: str, job: Callable[[], None]) -> threading.Thread:
    """Starts a thread of its own for what may take long, so that no message waits for it; it ends with the process."""
    thread = threading.Thread(target=_again_and_again, args=(name, job), name=name, daemon=True)
    thread.start()
    return thread


def _again_and_again(name: str, job: Callable[[], None]) -> None:
    while True:
        try:
            job()
        except StoreUnavailable:  # `housekeeping` says so in the log
            time.sleep(AFTER_FAILURE_S)
        except Exception as error:  # noqa: BLE001  # a fault in one turn must not end them all
            log.error(json.dumps({"event": "watch-failed", "job": name, "why": type(error).__name__}))
            time.sleep(AFTER_FAILURE_S)
        time.sleep(REST_S)


def _watch(runtime: Runtime) -> None:
    means = Means(key=runtime.key, backend=runtime.backend)
    while True:
        sent = False
        try:
            config = runtime.config()
            advance(runtime.store, config, runtime.now())
            sent = send_next(runtime.store, config, runtime.now, means)
        except StoreUnavailable:  # `housekeeping` says so in the log
            pass
        except Exception as error:  # noqa: BLE001  # a fault in one message must not end them all
            log.error(json.dumps({"event": "watch-failed", "job": "messages", "why": type(error).__name__}))
        time.sleep(BETWEEN_S if sent else REST_S)


def _look_and_rest(runtime: Runtime) -> None:
    look(runtime)
    time.sleep(LOOK_S)


def look(runtime: Runtime) -> None:
    """Everything that is due now and that no other worker has looked at."""
    store, config, now = runtime.store, runtime.config(), runtime.now()
    since = waiting_since(store, config)
    metrics.WEBHOOK_WAITING.set(0 if since is None else max(0.0, (now - since).total_seconds()))

    facts = {
        "digest": config.digest,
        "release": version("mental-health-cds"),
        "sites": [site.id for site in config.sites],
        "models": [f"{model.outcome} {model.version} {model.digest}" for model in runtime.engine.models],
        "approvals": [f"{approval.id} {approval.version}" for approval in config.approvals],
    }
    record_configuration(store, facts, now)

    def turn(name: str, every_s: int) -> bool:
        # The table of shown gaps does just this: of several workers one is told so within the window.
        return store.note_shown(f"watch:{name}", int(now.timestamp()), every_s)

    if turn("answers", SOON_S):
        watching.open_all(store, watching.anomaly_rates(store, config, now), now)
        watching.open_all(store, watching.settings_not_in_force(runtime.problem()), now)
        open_stranded(store, config, now)
    if any(site.escalation and site.backend for site in config.sites) and turn("tasks", MINUTE_S):
        threading.Thread(target=_tasks, args=(runtime,), name="tasks", daemon=True).start()
    if turn("approvals", HOUR_S):
        watching.open_all(store, watching.approvals(store, config, runtime.engine, now), now)
    if turn("retention", HOUR_S):
        _keep(store, config, now)
    if turn(f"heads:{now.date()}", DAY_S):
        for line in head_lines(store, runtime.key, now):
            log.info(line)
    if turn("day", DAY_S):
        watching.warn_of_ends(config, now)
        apply_stop_rule(store, config, runtime.engine, now)
        threading.Thread(target=verify_audit, args=(runtime,), name="verify", daemon=True).start()
        threading.Thread(target=look_at_models, args=(runtime.folder, store), name="models", daemon=True).start()


def _keep(store: Store, config: ServiceConfig, now: datetime) -> None:
    """Erases what sites no longer keep."""
    for site in config.sites:
        if site.audit_days is not None:
            erase_old(store, site.id, site.audit_days, now)


def _tasks(runtime: Runtime) -> None:
    """Beside the messages, which an EHR that hangs must not keep waiting."""
    try:
        look_at_tasks(runtime.store, runtime.config(), runtime.backend, runtime.now)
    except StoreUnavailable as error:
        log.error(json.dumps({"event": "store-unavailable", "at": "tasks", "reason": str(error)}))


def verify_audit(runtime: Runtime) -> None:
    """Reads every chain, in small parts with rests between them: so calls do not feel it, however long they are."""
    try:
        found = verify(runtime.store, progress=lambda *_: time.sleep(PAGE_REST_S))
        watching.open_all(runtime.store, watching.audit_faults(found), runtime.now())
    except StoreUnavailable as error:
        log.error(json.dumps({"event": "store-unavailable", "at": "audit", "reason": str(error)}))
        return
    faults = {chain.site: len(chain.faults) for chain in found if chain.faults}
    said = {"event": "audit-verified", "events": sum(chain.events for chain in found), "faults": faults}
    log.log(logging.ERROR if faults else logging.INFO, json.dumps(said))
