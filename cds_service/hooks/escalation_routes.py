"""POST /escalations/acknowledge: the system of a contact who was told says that somebody has it.

Signed with the contact's own secret, as what it was sent is. Limited in size and in how many are read at once.
"""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, request

from cds_service.errors import BadRequest, json_response
from cds_service.hooks.control_routes import decoded
from cds_service.sending.inbound import NotSigned, acknowledge_signed
from cds_service.serving import metrics
from cds_service.serving.body import json_body
from cds_service.serving.runtime import Runtime
from cds_service.settings.deployment import CONTROL_SLOTS
from cds_service.trust.admission import CallSlots, refusals_counted

MOST_BYTES = 4096
MOST_WHO = 200


class AcknowledgementBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which escalation, and who has it: a member of staff; without that, the contact."""

    id: str
    by: str = ""


def create_blueprint(runtime: Runtime) -> Blueprint:
    """The route."""
    blueprint = Blueprint("escalations", __name__)
    slots = CallSlots()

    @blueprint.post("/escalations/acknowledge", strict_slashes=False)
    @refusals_counted()
    def acknowledged() -> Response:
        with slots.hold(CONTROL_SLOTS):
            raw = json_body(request, MOST_BYTES)
            body = decoded(raw, AcknowledgementBody)
            if any(len(text) > MOST_WHO or not text.isprintable() for text in (body.id, body.by)):
                raise BadRequest(f"id, by: expected at most {MOST_WHO} printable characters; nothing was changed")
            said = (body.id, body.by.strip(), request.headers, raw)
            try:
                done = acknowledge_signed(runtime.store, runtime.config(), *said, runtime.now())
            except NotSigned:
                metrics.REFUSED.labels("acknowledgement").inc()
                raise
        return json_response({"id": body.id, "first": done.first, "by": done.by, "at": done.at})

    return blueprint
