"""POST /cds-services/<id>: the path of a request, read from top to bottom in `answer`."""

from __future__ import annotations

import json
import logging
import time

import msgspec
from flask import Blueprint, Response, request

from cds_service import catalogue
from cds_service.cards import cards_for
from cds_service.engine import for_site
from cds_service.errors import (
    BadRequest,
    DataUnavailable,
    TooLarge,
    UnknownService,
    UnsupportedMedia,
    json_response,
)
from cds_service.runtime import Runtime
from cds_service.wire import HOOK_REQUEST, CardsResponse, HookRequest
from explanations.assessment import Assessment, assess
from fhir_adapters.client import FhirClient, is_loopback, same_base
from fhir_adapters.errors import FhirError, WrongPatient
from fhir_adapters.extraction import patient_record
from fhir_adapters.gathered import CONSENTS
from fhir_adapters.prefetch import Access, gather
from fhir_adapters.settings import ReadSettings
from models.safety_rules import Kind

log = logging.getLogger("mhcds")
JSON_TYPES = ("application/json", "application/fhir+json")
FORBIDDEN_IN_ID = set("/?#&%\\\"'<>()[]` ")
NOT_ALLOWED = "not sent, and this FHIR server is not one that may be read for this site"


def create_blueprint(runtime: Runtime) -> Blueprint:
    """The route of every hook call."""
    blueprint = Blueprint("hooks", __name__)

    @blueprint.post("/cds-services/<identifier>", strict_slashes=False)
    def call(identifier: str) -> Response:
        return answer(runtime, identifier, request.mimetype, body(runtime.config.body_bytes))

    return blueprint


def body(limit: int) -> bytes:
    """The body of the request at hand. Raises TooLarge above `limit` bytes, also when no length was announced."""
    if request.content_encoding not in (None, "identity"):
        raise UnsupportedMedia("expected a body without Content-Encoding")
    if (request.content_length or 0) > limit:
        raise TooLarge(f"the body is larger than the {limit} bytes that are read")
    read = request.stream.read(limit + 1)
    if len(read) > limit:
        raise TooLarge(f"the body is larger than the {limit} bytes that are read")
    return read


def answer(runtime: Runtime, identifier: str, media_type: str, body: bytes) -> Response:
    """One hook call: parse, gather, extract, assess, present, log. Authentication and audit have their own issues."""
    started = time.monotonic()
    hook = parse(identifier, media_type, body)
    site = runtime.config.site(fhir_base=hook.fhir_server)
    patient_id = hook.context.patient_id or ""
    now = runtime.now()
    try:
        gathered = gather(
            patient_id,
            hook.prefetch or {},
            access(hook, site.reading, started),
            settings=site.reading,
            as_of=now,
            user=hook.context.user_id,
            opted_out=runtime.opted_out(site.id, patient_id),
        )
        record = patient_record(gathered, settings=site.reading, as_of=now, encounter=hook.context.encounter)
    except WrongPatient as error:
        raise BadRequest(f"prefetch.patient: {error}") from error
    except FhirError as error:
        raise BadRequest(f"prefetch: {error}") from error
    assessment = assess(record, for_site(runtime.engine, site.thresholds))
    refuse_silence(assessment)
    cards = cards_for(assessment, site.cards, runtime.phrases, new_id=runtime.new_id, user=hook.context.user_id)
    log_request(identifier, hook, site.id, assessment, len(cards), time.monotonic() - started)
    return json_response(CardsResponse(cards=cards))


def parse(identifier: str, media_type: str, body: bytes) -> HookRequest:
    """The request as a value. Raises UnknownService, UnsupportedMedia, or BadRequest that names the member."""
    offered = catalogue.service(identifier)
    if offered is None:
        raise UnknownService("there is no service of this id; the services are listed at /cds-services")
    if media_type not in JSON_TYPES:
        raise UnsupportedMedia("expected Content-Type application/json")
    hook = decode(body)
    if hook.hook != offered.hook:
        raise BadRequest(f"hook: expected {offered.hook} at this address")
    check_context(offered, hook)
    return hook


def check_context(offered: catalogue.Service, hook: HookRequest) -> None:
    """What the definition of the hook requires beyond user and patient. Raises BadRequest."""
    if offered.needs_encounter and not hook.context.encounter_id:
        raise BadRequest(f"context.encounterId: required by {offered.hook}; found none")


def decode(body: bytes) -> HookRequest:
    """A hook request from its JSON, checked member by member. Raises BadRequest."""
    try:
        body.decode()
        hook = HOOK_REQUEST.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from error
    except UnicodeDecodeError as error:
        raise BadRequest("expected JSON in UTF-8; found another encoding") from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error
    except msgspec.DecodeError as error:
        raise BadRequest("expected one JSON object; found something that is not JSON") from error
    if not hook.hook or not hook.hook_instance:
        raise BadRequest("hook and hookInstance: expected a non-empty string")
    check_ids(hook)
    check_grant(hook)
    return hook


def check_grant(hook: HookRequest) -> None:
    """Access, where it was given, is for this patient and comes with a server. Raises BadRequest."""
    granted = hook.fhir_authorization
    if granted is None:
        return
    if hook.fhir_server is None:
        raise BadRequest("fhirServer: required when fhirAuthorization is sent")
    if granted.patient is not None and granted.patient != hook.context.patient_id:
        raise BadRequest("fhirAuthorization.patient: expected the patient of the context")
    if not granted.access_token or not granted.access_token.isascii() or not granted.access_token.isprintable():
        raise BadRequest("fhirAuthorization.access_token: expected printable ASCII")
    if (granted.token_type or "bearer").lower() != "bearer":
        raise BadRequest("fhirAuthorization.token_type: expected Bearer")


def check_ids(hook: HookRequest) -> None:
    """Ids go into addresses and drafts, so they must be bare. Raises BadRequest."""
    context = hook.context
    if not context.patient_id:
        raise BadRequest("context.patientId: expected the id of the patient; found none")
    if not bare(context.patient_id):
        raise BadRequest("context.patientId: expected a bare Patient id, without Patient/ before it")
    if context.encounter_id and not bare(context.encounter_id):
        raise BadRequest("context.encounterId: expected a bare Encounter id")
    kind, _, user = (context.user_id or "").partition("/")
    if not kind.isalpha() or not bare(user):
        raise BadRequest("context.userId: expected a reference such as Practitioner/123")


def bare(identifier: str) -> bool:
    """Whether an id is one path segment. Longer and odder ids than FHIR allows occur and are taken (CDSH-060)."""
    plain = identifier.isprintable() and not set(identifier) & FORBIDDEN_IN_ID and len(identifier) <= 256
    return plain and identifier not in ("", ".", "..")


def access(hook: HookRequest, settings: ReadSettings, started: float) -> Access:
    """How to read what was not sent: not at all without a server and a token, or when the server is not allowed."""
    granted, server = hook.fhir_authorization, hook.fhir_server
    if granted is None or server is None:
        return Access(server=server)
    if not may_be_read(server, settings):
        return Access(server=server, why_not=NOT_ALLOWED)
    client = FhirClient(base=server, token=granted.access_token, deadline=started + settings.budget_s)
    return Access(fetch=client.get, server=server)


def may_be_read(server: str, settings: ReadSettings) -> bool:
    """Whether a FHIR server is one of the site's; where the site lists none, whether it is on this machine."""
    if not settings.fhir_bases:
        return is_loopback(server)
    return any(same_base(server, base) for base in settings.fhir_bases)


def refuse_silence(assessment: Assessment) -> None:
    """412 when needed data could not be had and there is nothing else to say (rule R16).

    Consent that could not be read is no such data: the rules have looked, and a card says that there is no estimate.
    """
    record = assessment.record
    others = any(f.kind is not Kind.NOT_OBTAINED for f in assessment.findings)
    lost = [u for u in record.lacking if u.what != CONSENTS]
    if lost and not record.deceased and not others and not assessment.prompting():
        missing = "; ".join(f"{u.what}: {u.reason}" for u in lost)
        raise DataUnavailable(f"needed data could not be had, so nothing was assessed. {missing}")


def log_request(
    identifier: str, hook: HookRequest, site: str, assessment: Assessment, cards: int, seconds: float
) -> None:
    """One line per request: ids of the call, counts and rule ids; never a value from the chart."""
    log.info(
        json.dumps(
            {
                "event": "hook-answered",
                "service": identifier,
                "site": site,
                "hook_instance": hook.hook_instance[:64],
                "cards": cards,
                "rules": sorted({f.rule for f in assessment.findings}),
                "unknown": [u.what for u in assessment.record.unknown],
                "anomalies": len(assessment.record.anomalies),
                "consent": assessment.record.consent.value,
                "withheld": assessment.record.withheld,
                "ms": round(1000 * seconds, 1),
            }
        )
    )
