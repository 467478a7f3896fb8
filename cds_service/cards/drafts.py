"""Suggestions (drafts) and override reasons of a card.

Every suggestion creates a resource with `status: draft` (`explanations.judgement.proposals`), which a person must
accept and sign; nothing starts and nobody is called. Override reasons are recorded; they never lower a safety card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from cds_service.cards.wire import Action, Coding, Suggestion
from explanations.judgement.proposals import DraftKind, Proposal, proposals, purpose
from explanations.words.language import Language
from explanations.words.notices.drafts import draft_label
from explanations.words.notices.topics import HL7_REASONS, SPEC_OF
from fhir_adapters.writing.drafts import DraftContext
from models.rules.findings import Topic

OVERRIDE_SYSTEM = "urn:mental-health-cds:override-reason"
TOPIC_SYSTEM = "urn:mental-health-cds:card-topic"


@cache
def override_reasons(topic: Topic, say: Language) -> tuple[Coding, ...]:
    """Three to five reasons with stable codes."""
    return tuple(
        Coding(system=OVERRIDE_SYSTEM, code=reason.code, display=say(reason.display))
        for reason in SPEC_OF[topic].overrides
    )


def hl7_reason(code: str) -> str | None:
    """The HL7 non-adherence reason that one of our override reasons maps to; None for other codes."""
    return HL7_REASONS.get(code)


def is_our_reason(code: str | None, system: str | None) -> bool:
    """Whether a code is one of our override reasons; clients may leave out the system."""
    return system in (OVERRIDE_SYSTEM, None) and code in HL7_REASONS


@cache
def topic_coding(topic: Topic, say: Language) -> Coding:
    """The static topic code of a card."""
    return Coding(system=TOPIC_SYSTEM, code=topic.value, display=say(SPEC_OF[topic].name))


def offers(
    kinds: Iterable[DraftKind], context: DraftContext, new_id: Callable[[], str], say: Language
) -> list[Suggestion]:
    """These drafts as suggestions."""
    return [_suggestion(proposal, new_id, say) for proposal in proposals(kinds, context)]


def _suggestion(proposal: Proposal, new_id: Callable[[], str], say: Language) -> Suggestion:
    label = draft_label(proposal.kind, say)
    action = Action(type="create", description=label, resource=proposal.resource)
    return Suggestion(label=label, uuid=new_id(), actions=[action])


def once_over_all(cards: Iterable[list[Suggestion]]) -> list[list[Suggestion]]:
    """The suggestions of all cards in a response, only the first for each purpose (one screening, one follow-up)."""
    seen: set[str] = set()
    offered: list[list[Suggestion]] = []
    for suggestions in cards:
        offered.append([])
        for suggestion in suggestions:
            what_for = purpose(suggestion.actions[0].resource)
            if what_for not in seen:
                offered[-1].append(suggestion)
            seen.add(what_for)
    return offered
