"""What a card offers to do and how it can be answered: draft orders and override reasons, per topic.

Every suggestion creates a resource with `status: draft`, which a person must accept and sign; nothing
starts and nobody is called. Codes are those of the verified code lists. Override reasons record; they
never lower a safety card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from cds_service.wire import Action, Coding, Suggestion
from fhir_adapters.terminology import LOINC, RISK_ASSESSMENT, SNOMED
from models.discharge import StepKind
from models.safety_rules import Topic

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

PHQ9 = Coding(system=LOINC, code="44249-1", display="PHQ-9 quick depression assessment panel [Reported.PHQ]")
PHQ9M = Coding(
    system=LOINC, code="89206-7", display="Patient Health Questionnaire-9: Modified for Teens [Reported.PHQ.Teen]"
)
CSSRS = Coding(
    system=LOINC, code="93373-9", display="Columbia - suicide severity rating scale screener - recent [C-SSRS]"
)
ASSESSMENT = Coding(system=SNOMED, code=RISK_ASSESSMENT, display="Suicide risk assessment (procedure)")
SCREENERS = (PHQ9.code, PHQ9M.code, CSSRS.code)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The patient and visit that a draft is for. `user` is the clinician's reference, `today` the local day."""

    patient_id: str
    today: date
    encounter: str | None = None
    user: str | None = None


def override_reasons(topic: Topic) -> list[Coding]:
    """Three to five reasons with stable codes."""
    return [Coding(system=OVERRIDE_SYSTEM, code=code, display=display) for code, display in REASONS[topic]]


def hl7_reason(code: str) -> str | None:
    """The HL7 non-adherence reason that one of our override reasons stands for; None for other codes."""
    return HL7_REASONS.get(code)


def topic_coding(topic: Topic) -> Coding:
    """The static topic code of a card."""
    return Coding(system=TOPIC_SYSTEM, code=topic.value, display=TOPIC_NAMES[topic])


def order(label: str, what: Coding, visit: Visit, new_id: Callable[[], str]) -> Suggestion:
    """A draft ServiceRequest for `what`, today."""
    resource: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "proposal",
        "code": {"coding": [{"system": what.system, "code": what.code, "display": what.display}]},
        "subject": {"reference": f"Patient/{visit.patient_id}"},
        "occurrenceDateTime": visit.today.isoformat(),
    }
    return _suggestion(label, _placed(resource, visit), new_id)


def follow_up(label: str, visit: Visit, days: int, new_id: Callable[[], str]) -> Suggestion:
    """A draft Task for a follow-up contact within `days` days."""
    resource: dict[str, Any] = {
        "resourceType": "Task",
        "status": "draft",
        "intent": "proposal",
        "description": f"Follow-up contact within {days} days",
        "for": {"reference": f"Patient/{visit.patient_id}"},
        "restriction": {"period": {"end": (visit.today + timedelta(days=days)).isoformat()}},
    }
    return _suggestion(label, _placed(resource, visit), new_id)


def _placed(resource: dict[str, Any], visit: Visit) -> dict[str, Any]:
    if visit.encounter:
        resource["encounter"] = {"reference": visit.encounter}
    if visit.user and visit.user.startswith(("Practitioner/", "PractitionerRole/")):
        resource["requester"] = {"reference": visit.user}
    return resource


def _suggestion(label: str, resource: dict[str, Any], new_id: Callable[[], str]) -> Suggestion:
    action = Action(type="create", description=label, resource=resource)
    return Suggestion(label=label, uuid=new_id(), actions=[action])


def _assessment(visit: Visit, new_id: Callable[[], str]) -> Suggestion:
    return order("Draft order: suicide risk assessment, today", ASSESSMENT, visit, new_id)


def _contact(visit: Visit, new_id: Callable[[], str]) -> Suggestion:
    return follow_up("Draft task: follow-up contact within 7 days", visit, 7, new_id)


def step_offers(due: Iterable[StepKind], visit: Visit, new_id: Callable[[], str]) -> list[Suggestion]:
    """The drafts of the steps that are due at discharge, one each. A safety plan has none: it is made in a talk."""
    makers = {StepKind.RISK_ASSESSMENT: _assessment, StepKind.APPOINTMENT: _contact}
    return [makers[kind](visit, new_id) for kind in due if kind in makers]


def offers(topic: Topic, visit: Visit, age_years: int | None, new_id: Callable[[], str]) -> list[Suggestion]:
    """The drafts of a topic: none for data anomalies; instruments by age."""
    teen, child = age_years is not None and age_years < 18, age_years is not None and age_years < 12
    assessment = _assessment(visit, new_id)
    if topic is Topic.ACUTE_SAFETY or (child and topic in (Topic.POSITIVE_SAFETY_ANSWER, Topic.COULD_NOT_ASSESS)):
        return [assessment]
    if topic is Topic.RECENT_SAFETY:
        return [assessment, _contact(visit, new_id)]
    if topic is Topic.POSITIVE_SAFETY_ANSWER:
        return [order("Draft order: C-SSRS screener, today", CSSRS, visit, new_id)]
    if topic is Topic.DATA_ANOMALY:
        return []
    words = "complete today" if topic is Topic.COULD_NOT_ASSESS else "today"
    name, instrument = ("PHQ-9M", PHQ9M) if teen else ("PHQ-9", PHQ9)
    return [order(f"Draft order: {name}, {words}", instrument, visit, new_id)]


def once_over_all(cards: Iterable[list[Suggestion]]) -> list[list[Suggestion]]:
    """The suggestions of the cards of one answer, without the second of a purpose: one screening, one follow-up."""
    seen: set[str] = set()
    kept: list[list[Suggestion]] = []
    for suggestions in cards:
        kept.append([])
        for suggestion in suggestions:
            if _purpose(suggestion) not in seen:
                kept[-1].append(suggestion)
            seen.add(_purpose(suggestion))
    return kept


def _purpose(suggestion: Suggestion) -> str:
    """What a suggestion is for: two of one purpose would be ordered twice."""
    resource = suggestion.actions[0].resource
    if resource["resourceType"] == "Task":
        return "follow-up"
    code: str = resource["code"]["coding"][0]["code"]
    return "screening" if code in SCREENERS else code
