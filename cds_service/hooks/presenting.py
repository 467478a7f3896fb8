"""An assessment to the answer of a call: its notices, those held back, and its cards as the client can show them."""

from __future__ import annotations

from datetime import datetime

from flask import Response

from cds_service.burden.limits import ChartOpening, limited
from cds_service.cards.dialects import in_dialect
from cds_service.cards.from_notices import cards_for
from cds_service.cards.wire import Card, CardsResponse
from cds_service.control.permission import for_review
from cds_service.errors import json_response
from cds_service.hooks.accepted import AcceptedCall
from cds_service.hooks.app_links import with_app_links
from cds_service.hooks.audit import AuditRecord
from cds_service.hooks.escalating import escalated
from cds_service.hooks.gaps import quiet_hours, saying_so, was_shown
from cds_service.serving.runtime import Runtime
from explanations.judgement.alert_limits import Limited
from explanations.judgement.assessment import Assessment
from explanations.judgement.judge import Judgement
from explanations.words.notices.limited import within_limits
from explanations.words.notices.notice import Notice, NoticeSettings
from explanations.words.notices.switched_off import has_opted_out, held_back, service_off
from fhir_adapters.facts import Consent, PatientRecord


def present(runtime: Runtime, call: AcceptedCall, judgement: Judgement, audit: AuditRecord) -> Response:
    """The cards of a judgement; the card of a gap does not come to the same user again for the site's hours."""
    assessment = escalated(runtime, call, judgement, audit)
    audit.note(review=for_review(runtime.controls(), call.who, assessment.unspoken))
    hours = quiet_hours(assessment, call.site)
    made = saying_so(call.service.notices, hours)(assessment, call.site.cards)
    shown, held = held_back(made, call.control.topics_off, call.site.cards)
    audit.note(held_back=tuple(topic.value for topic in held))
    limits = _limited(runtime, call, assessment, shown, audit)
    cards = _cards(runtime, call, assessment, within_limits(shown, limits.held))
    if hours and cards and was_shown(runtime, call.client.iss, call.site, call.service, call.hook, assessment):
        audit.note(quieted=True)
        cards = []
    return _answer(call, cards, audit)


def _limited(
    runtime: Runtime, call: AcceptedCall, assessment: Assessment, notices: tuple[Notice, ...], audit: AuditRecord
) -> Limited:
    """What the site's limits hold back, which goes on record with what stands behind the cards."""
    encounter = call.hook.context.encounter
    audit.encounter = runtime.key.pseudonym(call.site.id, encounter) if encounter else None
    opening = ChartOpening(patient=call.who.patient, user=audit.event.user or "", encounter=audit.encounter or "")
    found = limited(runtime.store, runtime.key, call.site, assessment, notices, opening, runtime.now())
    audit.behind = found.behind
    audit.note(suppressed=tuple(f"{topic} {why.reason}" for topic, why in found.held.items()))
    return found


def switched_off(runtime: Runtime, call: AcceptedCall, since: datetime, audit: AuditRecord) -> Response:
    """The one card of a service that is switched off. Nothing is read, of what was sent neither."""
    audit.note(switched_off="service")
    return _alone(runtime, call, service_off(since, call.site.cards), audit)


def opted_out(runtime: Runtime, call: AcceptedCall, audit: AuditRecord) -> Response:
    """The one card on a patient who has opted out, where the site's policy switches the rules off too. As above."""
    audit.note(switched_off="opted-out", consent=Consent.OPTED_OUT.value)
    return _alone(runtime, call, has_opted_out(call.site.cards), audit)


def _alone(runtime: Runtime, call: AcceptedCall, notice: Notice, audit: AuditRecord) -> Response:
    now = runtime.now()
    chart = PatientRecord(patient_id=call.patient_id, as_of=now, today=call.site.day(now))
    nothing = Assessment(
        chart=chart, findings=(), history=(), scores=(), explanations=(), asked=(), missing=(), in_care=()
    )
    return _answer(call, _cards(runtime, call, nothing, (notice,)), audit)


def nobody(audit: AuditRecord, kind: str) -> Response:
    """No card: these are not for a patient's or relative's screen (docs/clinical-safety.md). Nothing is read."""
    audit.note(not_for=kind)
    audit.note_cards((), ())
    return json_response(CardsResponse(cards=[]))


def _cards(runtime: Runtime, call: AcceptedCall, assessment: Assessment, notices: tuple[Notice, ...]) -> list[Card]:
    def given(_assessment: Assessment, _settings: NoticeSettings) -> tuple[Notice, ...]:
        return notices

    cards = cards_for(
        assessment,
        call.site.cards,
        new_id=runtime.new_id,
        user=call.hook.context.user_id,
        about=call.config.about,
        notices=given,
    )
    return with_app_links(
        cards,
        site=call.site,
        address=call.config.address,
        server=call.hook.fhir_server,
        patient_id=call.patient_id,
        key=runtime.key,
        now=assessment.chart.as_of,
    )


def _answer(call: AcceptedCall, cards: list[Card], audit: AuditRecord) -> Response:
    audit.note_cards(cards, [card.source.topic.code for card in cards])
    return json_response(CardsResponse(cards=in_dialect(cards, call.site.dialect, call.site.allowed_links)))
