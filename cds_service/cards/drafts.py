"""What a card offers to do and how it can be answered: drafts as suggestions, and override reasons, per topic.

Every suggestion creates a resource with `status: draft` (`explanations.judgement.proposals`), which a person must
accept and sign; nothing starts and nobody is called. Override reasons record; they never lower a safety card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cds_service.cards.wire import Action, Coding, Suggestion
from explanations.judgement.proposals import Proposal, proposals, purpose, step_proposals
from fhir_adapters.writing.drafts import Visit
from models.rules.discharge import StepKind
from models.rules.safety_rules import Topic

OVERRIDE_SYSTEM = "urn:mental-health-cds:override-reason"
TOPIC_SYSTEM = "urn:mental-health-cds:card-topic"

TOPIC_NAMES = {
    Topic.ACUTE_SAFETY: "Acute safety",
    Topic.POSITIVE_SAFETY_ANSWER: "Positive safety answer",
    Topic.RECENT_SAFETY: "Recent safety event",
    Topic.DATA_ANOMALY: "Data anomaly",
    Topic.DEPRESSION_FOLLOW_UP: "Depression follow-up",
    Topic.SCREENING_PROMPT: "Screening prompt",
    Topic.COULD_NOT_ASSESS: "Could not assess",
}

REASONS: dict[Topic, tuple[tuple[str, str], ...]] = {
    Topic.ACUTE_SAFETY: (
        ("under-way", "Safety evaluation done or under way today"),
        ("with-crisis-team", "Patient is already with the crisis team"),
        ("entered-in-error", "Answer was recorded in error"),
        ("not-treating", "Not the treating clinician; handed over"),
    ),
    Topic.POSITIVE_SAFETY_ANSWER: (
        ("assessed", "Assessed; documented in my note"),
        ("will-assess", "Will ask during this visit"),
        ("entered-in-error", "Answer was recorded in error"),
        ("not-now", "Not appropriate at this visit"),
    ),
    Topic.RECENT_SAFETY: (
        ("assessed-elsewhere", "Reassessed elsewhere; not in this chart"),
        ("will-assess", "Will ask during this visit"),
        ("wrong-event", "Entry is wrong or not this patient"),
        ("not-now", "Not appropriate at this visit"),
    ),
    Topic.DATA_ANOMALY: (
        ("corrected", "Corrected at the source"),
        ("known", "Known; does not matter here"),
        ("not-mine", "Not mine to correct"),
    ),
    Topic.DEPRESSION_FOLLOW_UP: (
        ("reviewed", "Followed up; documented in my note"),
        ("elsewhere", "Followed up elsewhere"),
        ("declines", "Patient declines"),
        ("not-now", "Not at this visit; ask again later"),
    ),
    Topic.SCREENING_PROMPT: (
        ("screened", "Screened already; not in this chart"),
        ("known-managed", "Depression known and managed"),
        ("declines", "Patient declines"),
        ("estimate-wrong", "The reasons do not fit this patient"),
        ("not-now", "Not at this visit; ask again later"),
    ),
    Topic.COULD_NOT_ASSESS: (
        ("asked", "Asked; documented in my note"),
        ("declined", "Patient declined to answer"),
        ("not-now", "Not at this visit"),
    ),
}


# What our codes stand for in HL7's non-adherence-reason-codes (CDS Hooks 3.0 ballot, trial use). Three
# have none: who will ask, or is at it, does not decline anything; and what is known and does not matter is our data's.
HL7_REASONS = {
    "assessed": "action-completed",
    "assessed-elsewhere": "action-completed",
    "corrected": "action-completed",
    "reviewed": "action-completed",
    "elsewhere": "action-completed",
    "screened": "action-completed",
    "asked": "action-completed",
    "entered-in-error": "cds-not-applicable",
    "wrong-event": "cds-not-applicable",
    "with-crisis-team": "cds-not-applicable",
    "known-managed": "cds-not-applicable",
    "not-treating": "inappropriate-recipient",
    "not-mine": "inappropriate-recipient",
    "not-now": "cds-suboptimal-context",
    "declines": "patient-refuses",
    "declined": "patient-refuses",
    "estimate-wrong": "recipient-does-not-trust",
}


def override_reasons(topic: Topic) -> list[Coding]:
    """Three to five reasons with stable codes."""
    return [Coding(system=OVERRIDE_SYSTEM, code=code, display=display) for code, display in REASONS[topic]]


def hl7_reason(code: str) -> str | None:
    """The HL7 non-adherence reason that one of our override reasons stands for; None for other codes."""
    return HL7_REASONS.get(code)


def topic_coding(topic: Topic) -> Coding:
    """The static topic code of a card."""
    return Coding(system=TOPIC_SYSTEM, code=topic.value, display=TOPIC_NAMES[topic])


def step_offers(due: Iterable[StepKind], visit: Visit, new_id: Callable[[], str]) -> list[Suggestion]:
    """The drafts of the steps that are due at discharge."""
    return [_suggestion(proposal, new_id) for proposal in step_proposals(due, visit)]


def offers(topic: Topic, visit: Visit, age_years: int | None, new_id: Callable[[], str]) -> list[Suggestion]:
    """The drafts of a topic."""
    return [_suggestion(proposal, new_id) for proposal in proposals(topic, visit, age_years)]


def _suggestion(proposal: Proposal, new_id: Callable[[], str]) -> Suggestion:
    action = Action(type="create", description=proposal.label, resource=proposal.resource)
    return Suggestion(label=proposal.label, uuid=new_id(), actions=[action])


def once_over_all(cards: Iterable[list[Suggestion]]) -> list[list[Suggestion]]:
    """The suggestions of the cards of one answer, without the second of a purpose: one screening, one follow-up."""
    seen: set[str] = set()
    kept: list[list[Suggestion]] = []
    for suggestions in cards:
        kept.append([])
        for suggestion in suggestions:
            what_for = purpose(suggestion.actions[0].resource)
            if what_for not in seen:
                kept[-1].append(suggestion)
            seen.add(what_for)
    return kept
