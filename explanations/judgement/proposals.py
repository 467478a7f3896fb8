"""The drafts that go with a notice: orders for an instrument or an assessment, a task for the next contact.

Cards and pages offer the same drafts; `next_steps` decides which.
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
    PSYCHOSOCIAL,
    DraftContext,
    follow_up_task,
    service_request,
)
from models.rules.discharge import CONTACT_DAYS

SCREENERS = (PHQ9.code, PHQ9M.code, CSSRS.code)


class DraftKind(StrEnum):
    """What a draft orders or plans; worded in `words.notices.drafts`."""

    CSSRS = "c-ssrs"
    PHQ9 = "phq-9"
    PHQ9_COMPLETE = "phq-9-complete"
    PHQ9M = "phq-9m"
    PHQ9M_COMPLETE = "phq-9m-complete"
    ASSESSMENT = "assessment"
    PSYCHOSOCIAL = "psychosocial-assessment"
    CONTACT = "contact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One draft: a resource that a person may accept."""

    kind: DraftKind
    resource: dict[str, Any]


def proposals(kinds: Iterable[DraftKind], context: DraftContext) -> tuple[Proposal, ...]:
    """The drafts of these kinds, in order."""
    return tuple(Proposal(kind=kind, resource=_resource(kind, context)) for kind in kinds)


def purpose(resource: dict[str, Any]) -> str:
    """What a draft is for: two with one purpose would be ordered twice."""
    if resource["resourceType"] == "Task":
        return "follow-up"
    concept = resource["code"]
    code: str = concept["coding"][0]["code"] if "coding" in concept else concept["text"]
    return "screening" if code in SCREENERS else code


def _resource(kind: DraftKind, context: DraftContext) -> dict[str, Any]:
    if kind is DraftKind.CONTACT:
        return follow_up_task(context, CONTACT_DAYS)
    return service_request(ORDERS[kind], context)


ORDERS = {
    DraftKind.CSSRS: CSSRS,
    DraftKind.PHQ9: PHQ9,
    DraftKind.PHQ9_COMPLETE: PHQ9,
    DraftKind.PHQ9M: PHQ9M,
    DraftKind.PHQ9M_COMPLETE: PHQ9M,
    DraftKind.ASSESSMENT: ASSESSMENT,
    DraftKind.PSYCHOSOCIAL: PSYCHOSOCIAL,
}
