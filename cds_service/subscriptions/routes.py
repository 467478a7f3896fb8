"""POST and PUT /subscriptions/<site>, and below it: a FHIR server says that something came.

Authenticated by the secret that the site's file and the Subscription's `channel.header` share. Answered only once what
it is about is on disk; the chart is read later, by the service's own token (`reading`). Each call takes a slot, and
there is no limit of calls a minute: what is refused, some servers never send again. So the server is searched for it.
"""

from __future__ import annotations

import hmac
import json
import logging

from flask import Blueprint, Request, Response, request

from cds_service.errors import BadRequest, Overloaded, StoreUnavailable, Unauthenticated, UnknownService, outcome
from cds_service.serving import metrics
from cds_service.serving.body import json_body
from cds_service.serving.runtime import Runtime
from cds_service.settings.config import ServiceConfig
from cds_service.settings.deployment import NOTIFICATION_SLOTS
from cds_service.settings.sites import SiteConfig
from cds_service.subscriptions.arrivals import Missed, note
from cds_service.trust.admission import CallSlots, refusals_counted
from fhir_adapters.access.notifications import Notification, notification
from fhir_adapters.errors import NotFhir

log = logging.getLogger("mhcds")
METHODS = ("POST", "PUT")
TURN_S = 10.0


def create_blueprint(runtime: Runtime, missed: Missed) -> Blueprint:
    """The route. missed: where it leaves sites of which a notification had to be refused."""
    blueprint = Blueprint("subscriptions", __name__)
    slots, turns = CallSlots(), CallSlots()

    @blueprint.route("/subscriptions/<site>", methods=METHODS, strict_slashes=False)
    @blueprint.route("/subscriptions/<site>/<path:place>", methods=METHODS)
    @refusals_counted()
    def arrived(site: str, place: str = "") -> Response:
        config = runtime.config()
        known = _authenticated(config, site, request)
        try:
            with slots.hold(NOTIFICATION_SLOTS):
                found = _notification(config, known, request, place)
                # One at a time writes, so that a burst does not keep answers of hook calls waiting for the store.
                with turns.hold(1, TURN_S):
                    note(runtime.store, runtime.key, known.id, found, runtime.now())
        except (Overloaded, StoreUnavailable) as error:
            missed.setdefault(known.id, int(runtime.now().timestamp()))
            why = type(error).__name__
            log.error(json.dumps({"event": "notification-refused", "site": known.id, "why": why}))
            raise
        counts = {"patients": len(found.patients), "resources": len(found.resources), "unnamed": found.unnamed}
        log.info(json.dumps({"event": "notified", "site": known.id, "kind": found.kind.value, **counts}))
        # Some servers take an answer that is no resource for a failure (HAPI FHIR, jpaserver-starter issue 677).
        return outcome(200, "informational", "noted", severity="information")

    return blueprint


def _authenticated(config: ServiceConfig, name: str, sent: Request) -> SiteConfig:
    """The site. Raises UnknownService where it takes no notifications, Unauthenticated for another secret."""
    site = config.at(name)
    if site is None or site.subscription is None:
        raise UnknownService("there is no site of this name that takes notifications")
    values = sent.headers.getlist("Authorization")
    scheme, _, token = (values[0] if len(values) == 1 else "").partition(" ")
    is_ours = hmac.compare_digest(token.strip().encode(), site.subscription.secret.encode())
    if scheme.lower() != "bearer" or not is_ours:
        metrics.REFUSED.labels("secret").inc()
        log.warning(json.dumps({"event": "notification-refused", "site": site.id, "why": "secret"}))
        raise Unauthenticated("secret")
    return site


def _notification(config: ServiceConfig, site: SiteConfig, sent: Request, place: str) -> Notification:
    """Raises BadRequest, TooLarge or UnsupportedMedia."""
    is_empty = not sent.content_length and "Transfer-Encoding" not in sent.headers
    body = b"" if is_empty else json_body(sent, config.body_bytes)
    try:
        body.decode()
        return notification(body, place.rstrip("/"), site.reading.fhir_bases)
    except (NotFhir, UnicodeDecodeError) as error:
        raise BadRequest(str(error) if isinstance(error, NotFhir) else "expected JSON in UTF-8") from error
