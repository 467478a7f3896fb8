"""POST /control/switch and /control/opt-outs: the site's own systems switch off and on, and keep the list of opt-outs.

Authenticated like a hook call, by an issuer whose `uses` say so; a site's issuer reaches that site alone. Bodies are
strict: a member that is misspelt would otherwise widen what is switched off. Not limited in calls a minute, and with
threads of their own, so that a service under load can be switched off.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec
from flask import Blueprint, Response, request

from cds_service.control.acts import Actor, switch_off, switch_on
from cds_service.control.opt_outs import MOST_AT_ONCE, OptOutAct, change_opt_outs, pseudonyms
from cds_service.control.targets import SwitchTarget, known_of
from cds_service.errors import BadRequest, json_response
from cds_service.serving.body import json_body
from cds_service.serving.runtime import Runtime
from cds_service.settings.config import ServiceConfig
from cds_service.settings.deployment import CONTROL_SLOTS
from cds_service.settings.issuers import IssuerUse
from cds_service.trust.admission import CallSlots, authenticate, refusals_counted, use_up
from fhir_adapters.duplicates import named_twice

MOST_SOURCE = 100
MOST_BYTES = 256 * 1024
B = TypeVar("B", bound="ActBody")
S = TypeVar("S", bound=msgspec.Struct)


class ActBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What every act says: at which site, who, and why."""

    site: str
    by: str
    reason: str


class SwitchBody(ActBody, kw_only=True, forbid_unknown_fields=True):
    """What is to be switched: the whole site, unless a service, model or card topic is named."""

    state: Literal["off", "on"]
    service: str = ""
    model: str = ""
    topic: str = ""


class OptOutBody(ActBody, kw_only=True, forbid_unknown_fields=True):
    """Whose ids go on the list, or off it."""

    act: OptOutAct
    patients: list[str]


def create_blueprint(runtime: Runtime) -> Blueprint:
    """The two routes."""
    blueprint = Blueprint("control", __name__)
    slots = CallSlots()

    @blueprint.post("/control/switch", strict_slashes=False)
    @refusals_counted()
    def switch() -> Response:
        with slots.hold(CONTROL_SLOTS):
            config = runtime.config()
            body, actor = _act(runtime, config, IssuerUse.SWITCH, SwitchBody)
            done = (switch_off if body.state == "off" else switch_on)(
                runtime.store,
                SwitchTarget(site=body.site, service=body.service, outcome=body.model, topic=body.topic),
                actor=actor,
                reason=body.reason,
                now=runtime.now(),
                known=known_of(config),
            )
        return json_response({"done": done.done, "pending": done.pending, "id": done.id, "said": done.said})

    @blueprint.post("/control/opt-outs", strict_slashes=False)
    @refusals_counted()
    def opt_outs() -> Response:
        with slots.hold(CONTROL_SLOTS):
            body, actor = _act(runtime, runtime.config(), IssuerUse.OPT_OUT, OptOutBody)
            if not 0 < len(body.patients) <= MOST_AT_ONCE:
                raise BadRequest(f"patients: expected 1 to {MOST_AT_ONCE} ids; found {len(body.patients)}")
            patients = pseudonyms(runtime.key, body.site, body.patients)
            done = change_opt_outs(
                runtime.store, body.act, body.site, patients, actor=actor, reason=body.reason, now=runtime.now()
            )
        kept = [place for place, is_new in enumerate(done, 1) if not is_new]
        return json_response({"site": body.site, "act": body.act.value, "changed": sum(done), "unchanged": kept})

    return blueprint


def _act(runtime: Runtime, config: ServiceConfig, use: IssuerUse, shape: type[B]) -> tuple[B, Actor]:
    """What is to be done, and by whom, once the client is known, its token used up and the site its own.

    Raises Unauthenticated, BadRequest, TooLarge or UnsupportedMedia.
    """
    client = authenticate(runtime, config, request, runtime.now(), limited=False, use=use)
    use_up(runtime, client)
    body = decoded(json_body(request, min(config.body_bytes, MOST_BYTES)), shape)
    if body.site not in client.sites:
        raise BadRequest("site: expected a site that this client is registered for")
    return body, Actor(body.by, f"endpoint, {client.iss}"[:MOST_SOURCE])


def decoded(raw: bytes, shape: type[S]) -> S:
    """A body, member by member. Raises BadRequest."""
    try:
        raw.decode()
        body = msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{error}; nothing was changed") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest("expected one JSON object in UTF-8; found something else") from error
    if named_twice(raw):
        raise BadRequest("expected each member once; found one twice; nothing was changed")
    return body
