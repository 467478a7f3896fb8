"""POST /cds-services/<id>: the path of a request, read from top to bottom in `answer`."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cds_service.cards.dialects import in_dialect
from cds_service.cards.from_notices import cards_for
from cds_service.cards.wire import CardsResponse
from cds_service.errors import BadRequest, Overloaded, TooManyCalls, json_response
from cds_service.hooks.access import chart_access, named_site, site_of
from cds_service.hooks.app_links import with_app_links
from cds_service.hooks.audit import AuditRecord, audit_record
from cds_service.hooks.beyond_limits import acute_body
from cds_service.hooks.catalogue import Service, known_service
from cds_service.hooks.gaps import quiet_hours, refuse_gaps, saying_so, was_shown
from cds_service.hooks.parsing import CLINICIANS, parse
from cds_service.serving.body import json_body
from cds_service.serving.runtime import Runtime
from cds_service.serving.stage_times import Stage, StageTimes
from cds_service.settings.config import ServiceConfig
from cds_service.trust.admission import CallSlots, authenticate, refusals_counted
from cds_service.trust.auth import VerifiedClient
from explanations.judgement.judge import judge
from explanations.words.findings.gaps import error_words
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.access.prefetch import gather
from fhir_adapters.errors import FhirError, WrongPatient
from fhir_adapters.resources.gathered import Gathered
from fhir_adapters.settings import ReadSettings


def create_blueprint(runtime: Runtime, slots: CallSlots) -> Blueprint:
    """The route of every hook call."""
    blueprint = Blueprint("hooks", __name__)
    acute_slots = CallSlots()

    @blueprint.post("/cds-services/<identifier>", strict_slashes=False)
    @blueprint.post("/sites/<site>/cds-services/<identifier>", strict_slashes=False)
    @refusals_counted()
    def call(identifier: str, site: str | None = None) -> Response:
        times = StageTimes()
        service = known_service(identifier)
        config = runtime.config()
        if site is not None:
            named_site(config, site)
        try:
            with slots.hold(config.limits.concurrent_calls):
                client = authenticate(runtime, config, request, runtime.now())
                times.end(Stage.AUTHENTICATE)
                with audit_record(runtime, service.id, client, times) as audit:
                    body = json_body(request, config.body_bytes)
                    response = answer(runtime, config, client, service, body, audit, named=site)
        except (Overloaded, TooManyCalls):
            client = authenticate(runtime, config, request, runtime.now(), limited=False)
            times.end(Stage.AUTHENTICATE)
            with acute_body(runtime, config, client, acute_slots, times.began + config.limits.deadline_s) as found:
                if found is None:
                    raise
                with audit_record(runtime, service.id, client, times) as audit:
                    response = answer(runtime, config, client, service, found, audit, named=site, reads=False)
        if config.server_timing:
            response.headers["Server-Timing"] = times.header()
        return response

    return blueprint


def answer(
    runtime: Runtime,
    config: ServiceConfig,
    client: VerifiedClient,
    service: Service,
    body: bytes,
    audit: AuditRecord,
    *,
    named: str | None = None,
    reads: bool = True,
) -> Response:
    """One call of a verified client: parse, gather, extract, assess, present. The caller writes the audit record.

    `named`: the site in the address. `reads`: what was not sent may be read from the FHIR server.
    """
    times = audit.times
    hook = parse(service, body)
    site = site_of(config, client, hook, named)
    patient_id, now = hook.context.patient_id or "", runtime.now()
    audit.note(
        site=site.id,
        hook_instance=runtime.key.pseudonym(site.id, hook.hook_instance),
        patient=runtime.key.pseudonym(site.id, patient_id),
        user=runtime.key.pseudonym(site.id, hook.context.user_id or ""),
    )
    times.end(Stage.PARSE)
    if hook.context.user_kind not in CLINICIANS:
        # Nothing is read: these cards are not for a patient's or relative's screen (docs/clinical-safety.md).
        audit.note(not_for=hook.context.user_kind)
        audit.note_cards((), ())
        return json_response(CardsResponse(cards=[]))
    deadline = times.began + config.limits.deadline_s
    until = min(deadline, times.began + site.reading.budget_s)
    access = chart_access(hook, site.reading, until, local=config.mode != "production", reads=reads)
    chart_request = ChartRequest(
        patient_id=patient_id,
        as_of=now,
        user=hook.context.user_id,
        encounter=hook.context.encounter,
        opted_out=runtime.opted_out(site.id, patient_id),
    )

    def gathered(chart: ChartRequest, settings: ReadSettings) -> Gathered:
        found = gather(chart, hook.prefetch or {}, access, settings=settings)
        times.end(Stage.GATHER)
        return found

    try:
        judgement = judge(
            chart_request,
            gathered,
            site.judgement,
            runtime.engine,
            occasion=service.occasion,
            is_late=lambda: times.end(Stage.EXTRACT) > deadline,
        )
    except WrongPatient as error:
        raise BadRequest(f"prefetch.patient: {error}") from error
    except FhirError as error:
        raise BadRequest(f"prefetch: {error_words(error, site.cards.say)}") from error
    assessment = judgement.assessment
    times.end(Stage.ASSESS)
    audit.note(late=judgement.late)
    audit.note_assessment(assessment)
    refuse_gaps(judgement, site)
    hours = quiet_hours(assessment, site)
    cards = cards_for(
        assessment,
        site.cards,
        new_id=runtime.new_id,
        user=hook.context.user_id,
        about=config.about,
        notices=saying_so(service.notices, hours),
    )
    cards = with_app_links(
        cards,
        site=site,
        address=config.address,
        server=hook.fhir_server,
        patient_id=patient_id,
        key=runtime.key,
        now=now,
    )
    if hours and cards and was_shown(runtime, client.iss, site, service, hook, assessment):
        audit.note(quieted=True)
        cards = []
    audit.note_cards(cards, [card.source.topic.code for card in cards])
    response = json_response(CardsResponse(cards=in_dialect(cards, site.dialect, site.allowed_links)))
    times.end(Stage.PRESENT)
    return response
