"""A call beyond the limits is refused, unless its body may hold an acute answer: then what was sent is judged alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from flask import request

from cds_service.errors import ServiceError
from cds_service.serving.body import json_body
from cds_service.serving.runtime import Runtime
from cds_service.serving.slow_clients import SLOW_CLIENTS, SPARE_BODY
from cds_service.settings.config import ServiceConfig
from cds_service.trust.admission import CallSlots, give_back
from cds_service.trust.auth import VerifiedClient
from fhir_adapters.reading.acute_codes import may_be_acute

# Calls beyond the limits that a worker answers at once. They wait for nothing but the store.
ACUTE_SLOTS = 4


@contextmanager
def acute_body(
    runtime: Runtime, config: ServiceConfig, client: VerifiedClient, slots: CallSlots, until: float
) -> Iterator[bytes | None]:
    """The body of a call, which holds one of `slots`; None if the call is to be refused, and its token stays unused.

    Raises what `json_body` raises, and Overloaded if no slot is free `until` then (monotonic seconds).
    """
    SLOW_CLIENTS.begin(SPARE_BODY)
    maps = [entry for site in config.sites if site.id in client.sites for entry in site.reading.maps]
    with ExitStack() as held:
        try:
            body = json_body(request, config.body_bytes)
            acute = may_be_acute(body, maps)
            if acute:
                held.enter_context(slots.hold(ACUTE_SLOTS, until - time.monotonic()))
            else:
                give_back(runtime, client)
        except ServiceError:
            give_back(runtime, client)
            raise
        yield body if acute else None
