"""Which drafts go with a notice: orders for an instrument or an assessment, a task for the next contact.

Cards and pages offer the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
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


class DraftKind(StrEnum):
    """What a draft orders or plans; `words.drafts` names it."""

    CSSRS = "c-ssrs"
    PHQ9 = "phq-9"
    PHQ9_COMPLETE = "phq-9-complete"
    PHQ9M = "phq-9m"
    PHQ9M_COMPLETE = "phq-9m-complete"
    ASSESSMENT = "assessment"
    CONTACT = "contact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One draft: the resource that a person may take over."""

    kind: DraftKind
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
        return (_order(DraftKind.CSSRS, CSSRS, visit),)
    if topic is Topic.DATA_ANOMALY:
        return ()
    whole = topic is Topic.COULD_NOT_ASSESS
    if teen:
        return (_order(DraftKind.PHQ9M_COMPLETE if whole else DraftKind.PHQ9M, PHQ9M, visit),)
    return (_order(DraftKind.PHQ9_COMPLETE if whole else DraftKind.PHQ9, PHQ9, visit),)


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


def _order(kind: DraftKind, what: Orderable, visit: Visit) -> Proposal:
    return Proposal(kind=kind, resource=service_request(what, visit))


def _assessment(visit: Visit) -> Proposal:
    return _order(DraftKind.ASSESSMENT, ASSESSMENT, visit)


def _contact(visit: Visit) -> Proposal:
    return Proposal(kind=DraftKind.CONTACT, resource=follow_up_task(visit, CONTACT_DAYS))
