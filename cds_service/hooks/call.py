"""POST /cds-services/<id>: the path of a request, read from top to bottom in `answer`."""

from __future__ import annotations

import re
import time

import msgspec
from flask import Blueprint, Response, request

from cds_service.cards.dialects import spoken
from cds_service.cards.from_notices import cards_for
from cds_service.cards.wire import HOOK_REQUEST, CardsResponse, HookRequest
from cds_service.errors import BadRequest, DataUnavailable, json_response
from cds_service.hooks.app_links import with_app_links
from cds_service.hooks.audit import Recording, recording
from cds_service.hooks.catalogue import Service, known_service
from cds_service.serving.body import json_body
from cds_service.serving.runtime import Runtime
from cds_service.settings.sites import ServiceConfig, SiteConfig
from cds_service.trust.admission import Places, admitted
from cds_service.trust.auth import VerifiedClient
from explanations.judgement.assessment import Assessment
from explanations.judgement.judge import judge
from fhir_adapters.access.addresses import is_loopback, same_base
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.access.client import FhirClient
from fhir_adapters.access.prefetch import Access, gather
from fhir_adapters.errors import FhirError, WrongPatient
from fhir_adapters.resources.gathered import CONSENTS
from fhir_adapters.settings import ReadSettings
from models.rules.findings import Kind

FORBIDDEN_IN_ID = set("/?#&%\\\"'<>()[]` ")
NOT_ALLOWED = "not sent, and this FHIR server is not one that may be read for this site"
PLAIN_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
"""What a client calls its call is put on record when it looks like an id, and not when it could be words."""
CLINICIANS = ("practitioner", "practitionerrole")
USERS = (*CLINICIANS, "patient", "relatedperson")


def create_blueprint(runtime: Runtime, places: Places) -> Blueprint:
    """The route of every hook call."""
    blueprint = Blueprint("hooks", __name__)

    @blueprint.post("/cds-services/<identifier>", strict_slashes=False)
    def call(identifier: str) -> Response:
        started = time.monotonic()
        offered = known_service(identifier)
        config = runtime.config()
        with places.one(config.limits.concurrent_calls):
            client = admitted(runtime, config, request, runtime.now())
            with recording(runtime, offered.id, client.iss) as record:
                return answer(runtime, config, client, offered, started, record)

    return blueprint


def answer(
    runtime: Runtime, config: ServiceConfig, client: VerifiedClient, offered: Service, started: float, record: Recording
) -> Response:
    """One call of a verified client: parse, gather, extract, assess, present. `record` is written when it ends."""
    hook = parse(offered, json_body(request, config.body_bytes))
    site = site_of(config, client, hook)
    patient_id, now = hook.context.patient_id or "", runtime.now()
    record.note(
        site=site.id,
        hook_instance=hook.hook_instance if PLAIN_ID.fullmatch(hook.hook_instance) else None,
        patient=runtime.key.pseudonym(site.id, patient_id),
        user=runtime.key.pseudonym(site.id, hook.context.user_id or ""),
    )
    if hook.context.user_kind not in CLINICIANS:
        # Nothing is read: a patient's or relative's screen is no place for these cards (docs/clinical-safety.md).
        record.note(not_for=hook.context.user_kind)
        record.answered((), ())
        return json_response(CardsResponse(cards=[]))
    deadline = started + config.limits.deadline_s
    until = min(deadline, started + site.reading.budget_s)
    reader = access(hook, site.reading, until, local=config.mode != "production")
    asked = ChartRequest(
        patient_id=patient_id,
        as_of=now,
        user=hook.context.user_id,
        encounter=hook.context.encounter,
        opted_out=runtime.opted_out(site.id, patient_id),
    )
    try:
        judgement = judge(
            asked,
            lambda request, settings: gather(request, hook.prefetch or {}, reader, settings=settings),
            site.judgement,
            runtime.engine,
            occasion=offered.occasion,
            is_late=lambda: time.monotonic() > deadline,
        )
    except WrongPatient as error:
        raise BadRequest(f"prefetch.patient: {error}") from error
    except FhirError as error:
        raise BadRequest(f"prefetch: {error}") from error
    assessment = judgement.assessment
    record.note(late=judgement.late)
    record.assessed(assessment)
    refuse_silence(assessment)
    cards = cards_for(assessment, site.cards, new_id=runtime.new_id, user=hook.context.user_id, notices=offered.notices)
    cards = with_app_links(
        cards,
        site=site,
        address=config.address,
        server=hook.fhir_server,
        patient_id=patient_id,
        key=runtime.key,
        now=now,
    )
    record.answered(cards, [card.source.topic.code for card in cards])
    return json_response(CardsResponse(cards=spoken(cards, site.dialect, site.allowed_links)))


def parse(offered: Service, body: bytes) -> HookRequest:
    """The request as a value. Raises BadRequest that names the member."""
    hook = decode(body)
    if hook.hook != offered.hook:
        raise BadRequest(f"hook: expected {offered.hook} at this address")
    check_context(offered, hook)
    return hook


def site_of(config: ServiceConfig, client: VerifiedClient, hook: HookRequest) -> SiteConfig:
    """The site that the call is for, among those that the client's token speaks for. Raises BadRequest."""
    site = config.site_of(client.sites, hook.fhir_server)
    if site is None:
        raise BadRequest("fhirServer: expected a FHIR server of one of the sites that this client calls for")
    granted = hook.fhir_authorization
    if granted is not None and site.client_id is not None and granted.subject not in (None, site.client_id):
        raise BadRequest("fhirAuthorization.subject: expected this service's own client id at the site")
    return site


def check_context(offered: Service, hook: HookRequest) -> None:
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
    if context.user_kind not in USERS or not bare((context.user_id or "").partition("/")[2]):
        raise BadRequest(
            "context.userId: expected Practitioner, PractitionerRole, Patient or RelatedPerson, / and an id"
        )


def bare(identifier: str) -> bool:
    """Whether an id is one path segment. Longer and odder ids than FHIR allows occur and are taken (CDSH-060)."""
    plain = identifier.isprintable() and not set(identifier) & FORBIDDEN_IN_ID and len(identifier) <= 256
    return plain and identifier not in ("", ".", "..")


def access(hook: HookRequest, settings: ReadSettings, deadline: float, *, local: bool) -> Access:
    """How to read what was not sent: not at all without a server and a token, or when the server is not allowed."""
    granted, server = hook.fhir_authorization, hook.fhir_server
    if granted is None or server is None:
        return Access(server=server)
    if not may_be_read(server, settings, local=local):
        return Access(server=server, why_not=NOT_ALLOWED)
    client = FhirClient(base=server, token=granted.access_token, deadline=deadline)
    return Access(fetch=client.get, server=server)


def may_be_read(server: str, settings: ReadSettings, *, local: bool) -> bool:
    """Whether a FHIR server is one of the site's; where it lists none, and `local` ones count, one on this machine."""
    if not settings.fhir_bases:
        return local and is_loopback(server)
    return any(same_base(server, base) for base in settings.fhir_bases)


def refuse_silence(assessment: Assessment) -> None:
    """412 when needed data could not be had and there is nothing else to say (rule R16).

    Consent that could not be read is no such data: the rules have looked, and a card says that there is no estimate.
    """
    chart = assessment.chart
    others = any(f.kind is not Kind.NOT_OBTAINED for f in assessment.findings)
    lost = [u for u in chart.lacking if u.what != CONSENTS]
    if lost and not chart.deceased and not others and not assessment.prompting():
        missing = "; ".join(f"{u.what}: {u.reason}" for u in lost)
        raise DataUnavailable(f"needed data could not be had, so nothing was assessed. {missing}")
