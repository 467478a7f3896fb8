"""Which drafts go with a notice: orders for an instrument or an assessment, a task for the next contact.

Cards and pages offer the same. A label says "Draft", the thing and the day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fhir_adapters.writing.drafts import (
    ASSESSMENT,
    CSSRS,
    PHQ9,
    PHQ9M,
    Orderable,
    Visit,
    follow_up_task,
    service_request,
)
from models.rules.discharge import CONTACT_DAYS, StepKind
from models.rules.findings import Topic

SCREENERS = (PHQ9.code, PHQ9M.code, CSSRS.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One draft: the words of its button, and the resource that a person may take over."""

    label: str
    resource: dict[str, Any]


def proposals(topic: Topic, visit: Visit, age_years: int | None) -> tuple[Proposal, ...]:
    """The drafts of a topic: none for data anomalies; instruments by age."""
    teen, child = age_years is not None and age_years < 18, age_years is not None and age_years < 12
    assessment = _assessment(visit)
    if topic is Topic.ACUTE_SAFETY or (child and topic in (Topic.POSITIVE_SAFETY_ANSWER, Topic.COULD_NOT_ASSESS)):
        return (assessment,)
    if topic is Topic.RECENT_SAFETY:
        return (assessment, _contact(visit))
    if topic is Topic.POSITIVE_SAFETY_ANSWER:
        return (_order("Draft order: C-SSRS screener, today", CSSRS, visit),)
    if topic is Topic.DATA_ANOMALY:
        return ()
    words = "complete today" if topic is Topic.COULD_NOT_ASSESS else "today"
    name, instrument = ("PHQ-9M", PHQ9M) if teen else ("PHQ-9", PHQ9)
    return (_order(f"Draft order: {name}, {words}", instrument, visit),)


def step_proposals(due: Iterable[StepKind], visit: Visit) -> tuple[Proposal, ...]:
    """The drafts of the steps that are due at discharge, one each. A safety plan has none: it is made in a talk."""
    makers = {StepKind.RISK_ASSESSMENT: _assessment, StepKind.APPOINTMENT: _contact}
    return tuple(makers[kind](visit) for kind in due if kind in makers)


def purpose(resource: dict[str, Any]) -> str:
    """What a draft is for: two of one purpose would be ordered twice."""
    if resource["resourceType"] == "Task":
        return "follow-up"
    code: str = resource["code"]["coding"][0]["code"]
    return "screening" if code in SCREENERS else code


def _order(label: str, what: Orderable, visit: Visit) -> Proposal:
    return Proposal(label=label, resource=service_request(what, visit))


def _assessment(visit: Visit) -> Proposal:
    return _order("Draft order: suicide risk assessment, today", ASSESSMENT, visit)


def _contact(visit: Visit) -> Proposal:
    words = f"Draft task: follow-up contact within {CONTACT_DAYS} days"
    return Proposal(label=words, resource=follow_up_task(visit, CONTACT_DAYS))
