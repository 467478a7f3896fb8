"""Before any work: https (`require_https`), a free slot, a verified client, a token not used before.

Cheap checks come first, before the body is read. A token is looked up here, and used by the commit that holds the
answer: of two calls at once with one token, one is answered (decision 0029). While the store is down, tokens are
checked against those that this process has seen, so that safety rules still run (docs/decisions/0016-store.md).
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from flask import Request

from cds_service.errors import InsecureTransport, Overloaded, StoreUnavailable, TooManyCalls, Unauthenticated
from cds_service.serving import metrics
from cds_service.serving.runtime import Runtime
from cds_service.settings.config import ServiceConfig
from cds_service.settings.issuers import IssuerUse
from cds_service.storage.store import Admission
from cds_service.trust.auth import VerifiedClient, verify_client
from fhir_adapters.access.addresses import is_loopback_host
from fhir_adapters.received import noted

log = logging.getLogger("mhcds")
WAIT_FOR_A_SLOT_S = 0.1
HTTPS_ONLY = ("/cds-services", "/sites", "/smart", "/governance", "/control", "/escalations", "/subscriptions")


class CallSlots:
    """Limits a worker's concurrent calls; the limit may change with the settings."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held = 0

    @contextmanager
    def hold(self, most: int, wait_s: float = WAIT_FOR_A_SLOT_S) -> Iterator[None]:
        """Holds a slot for the duration of a call. Raises Overloaded if none becomes free within `wait_s`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._held < most, wait_s):
                raise Overloaded("too many calls at once; try again shortly")
            self._held += 1
        try:
            yield
        finally:
            with self._changed:
                self._held -= 1
                self._changed.notify()


@contextmanager
def refusals_counted() -> Iterator[None]:
    """Counts a call that is refused because of a limit."""
    try:
        yield
    except (Overloaded, TooManyCalls) as refusal:
        metrics.REFUSED.labels(refusal.why).inc()
        raise


def require_https(config: ServiceConfig, request: Request) -> None:
    """Raises InsecureTransport when anything with a token or a session is called over plain http in production."""
    if config.mode == "production" and request.scheme != "https" and request.path.startswith(HTTPS_ONLY):
        raise InsecureTransport("expected https")


def authenticate(
    runtime: Runtime,
    config: ServiceConfig,
    request: Request,
    now: datetime,
    *,
    limited: bool = True,
    use: IssuerUse = IssuerUse.HOOKS,
) -> VerifiedClient:
    """The client, once its token is verified, for this use and, if `limited`, within its limit.

    Raises Unauthenticated, TooManyCalls or Overloaded.
    """
    if config.mode == "demo" and is_loopback_host(request.remote_addr or "127.0.0.1"):
        runtime.controls.look()
        return VerifiedClient(iss="demo", sites=tuple(site.id for site in config.sites), token=None)
    try:
        client = _verified(runtime, config, request, now, use)
        _admit(runtime, client, config.limits.calls_per_minute if limited else 0)
    except Unauthenticated as error:
        metrics.REFUSED.labels(error.why).inc()
        found = noted(error.why, error.found) if error.found is not None else {}
        log.warning(json.dumps({"event": "client-refused", "why": error.why, **found, "path": request.path[:80]}))
        raise
    return client


def _verified(
    runtime: Runtime, config: ServiceConfig, request: Request, now: datetime, use: IssuerUse
) -> VerifiedClient:
    values = request.headers.getlist("Authorization")
    if len(values) > 1:
        raise Unauthenticated("malformed")
    path = request.path.rstrip("/")
    addresses = (f"{config.address}{path}", f"{config.address}{path}/") if config.address else ()
    return verify_client(values[0] if values else None, addresses, config.issuers, runtime.key_sets, now, use)


def use_up(runtime: Runtime, client: VerifiedClient) -> None:
    """Uses the token of a call that writes no answer. Raises Unauthenticated if another call was faster."""
    try:
        if client.token is not None and runtime.store.use(client.token) is Admission.REPLAYED:
            raise Unauthenticated("replayed")
    except StoreUnavailable:
        _note_store_failure()


def _note_store_failure() -> None:
    metrics.STORE_FAILED.inc()
    log.error(json.dumps({"event": "store-unavailable", "at": "admission"}))


def give_back(runtime: Runtime, client: VerifiedClient) -> None:
    """Lets the token of a call that is refused before any work be used again."""
    if client.token is not None:
        runtime.recent_tokens.forget(client.token.digest)


def _admit(runtime: Runtime, client: VerifiedClient, most: int) -> None:
    """Refuses a used token, and a client above its limit of calls a minute, whose token stays unused."""
    token = client.token
    if token is None:
        return
    if runtime.recent_tokens.admit(token.digest) is Admission.REPLAYED:
        raise Unauthenticated("replayed")
    try:
        admission, stamp = runtime.store.admission(token, most)
    except StoreUnavailable:
        runtime.controls.missed()
        _note_store_failure()
        return
    if admission is Admission.REPLAYED:
        raise Unauthenticated("replayed")
    if admission is Admission.TOO_MANY:
        give_back(runtime, client)
        raise TooManyCalls(f"expected at most {most} calls a minute")
    runtime.controls.seen(stamp)
