"""Somebody is told of the acute findings of a call, and feedback on its card says that somebody has it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from cds_service.escalation.escalations import acknowledge
from cds_service.escalation.links import link_of
from cds_service.escalation.opening import open_for
from cds_service.escalation.records import NoSuchEscalation, open_of_cards
from cds_service.hooks.accepted import AcceptedCall
from cds_service.hooks.audit import AuditRecord
from cds_service.serving import metrics
from cds_service.serving.runtime import Runtime
from explanations.judgement.assessment import Assessment
from explanations.judgement.escalation import EscalationState
from explanations.judgement.judge import Judgement


def escalated(runtime: Runtime, call: AcceptedCall, judgement: Judgement, audit: AuditRecord) -> Assessment:
    """The assessment with its escalation; as it is where the site tells nobody, or there is nothing to tell."""
    hook = call.hook
    found = open_for(
        runtime.store,
        runtime.key,
        call.site,
        link_of(judgement.gathered, hook.context.encounter, hook.fhir_server, call.site),
        judgement.assessment,
        runtime.now(),
        service=call.service.id,
        topics_off=call.control.topics_off,
    )
    if found is not None:
        audit.note(escalation=found.state.value)
        if found.state is EscalationState.NOT_RECORDED:
            metrics.NOT_RECORDED.labels(call.site.id).inc()
    return replace(judgement.assessment, escalation=found)


def acknowledge_by_feedback(runtime: Runtime, sites: Sequence[str], cards: Collection[str]) -> int:
    """Feedback says that somebody has what these cards of ours are about; returns how many escalations that were.

    sites: those that the client calls for. Who it was is not known: feedback names nobody. Raises StoreUnavailable.
    """
    count = 0
    for identifier in open_of_cards(runtime.store, sites, cards) if cards else ():
        with suppress(NoSuchEscalation), runtime.store.transaction() as connection:  # closed meanwhile
            count += acknowledge(connection, identifier, by="", through="feedback", now=runtime.now()).first
    return count
