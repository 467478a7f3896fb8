"""POST /cds-services/<id>: the path of a request, read from top to bottom in `answer`."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, Response, request

from cds_service.errors import BadRequest, Overloaded, TooManyCalls
from cds_service.hooks.accepted import accept
from cds_service.hooks.access import chart_access, named_site
from cds_service.hooks.audit import AuditRecord, audit_record
from cds_service.hooks.beyond_limits import acute_body
from cds_service.hooks.catalogue import Service, known_service
from cds_service.hooks.gaps import refuse_gaps
from cds_service.hooks.parsing import CLINICIANS, parse
from cds_service.hooks.presenting import nobody, opted_out, present, switched_off
from cds_service.monitoring.noted import noted
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
from smart_launch.pages.language import accepted_language


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
    call = accept(runtime, config, client, service, hook, named)
    call = replace(call, site=call.site.in_language(accepted_language(request.accept_languages, call.site.languages)))
    audit.note_call(runtime.key, call.site.id, hook.hook_instance, call.patient_id, hook.context.user_id or "")
    times.end(Stage.PARSE)
    if hook.context.user_kind not in CLINICIANS:
        return nobody(audit, hook.context.user_kind)
    if call.control.off_since is not None:
        return switched_off(runtime, call, call.control.off_since, audit)
    if call.control.opted_out and call.site.rules_off_policy is not None:
        return opted_out(runtime, call, audit)
    deadline = times.began + config.limits.deadline_s
    until = min(deadline, times.began + call.site.reading.budget_s)
    access = chart_access(hook, call.site.reading, until, local=config.mode != "production", reads=reads)
    chart_request = ChartRequest(
        patient_id=call.patient_id,
        as_of=runtime.now(),
        user=hook.context.user_id,
        encounter=hook.context.encounter,
        opted_out=call.control.opted_out,
    )

    def gathered(chart: ChartRequest, settings: ReadSettings) -> Gathered:
        found = gather(chart, hook.prefetch or {}, access, settings=settings)
        times.end(Stage.GATHER)
        return found

    try:
        judgement = judge(
            chart_request,
            gathered,
            call.site.judgement,
            runtime.engine,
            occasion=service.occasion,
            control=call.control,
            is_late=lambda: times.end(Stage.EXTRACT) > deadline,
        )
    except WrongPatient as error:
        raise BadRequest(f"prefetch.patient: {error}") from error
    except FhirError as error:
        raise BadRequest(f"prefetch: {error_words(error, call.site.cards.say)}") from error
    times.end(Stage.ASSESS)
    audit.note(late=judgement.late, trial=call.arm.exposure)
    audit.note_assessment(judgement.assessment)
    audit.note(**noted(runtime.key, call.site, judgement, hook.prefetch or {}))
    refuse_gaps(judgement, call.site)
    response = present(runtime, call, judgement, audit)
    times.end(Stage.PRESENT)
    return response
