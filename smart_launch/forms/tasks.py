"""Draft follow-ups that a clinician requests: a contact within some days and, if chosen, a risk assessment.

A person must accept a draft in the chart; nothing starts and nobody is called. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from fhir_adapters.writing.completed import FormContext, Slot, author_of, identifier, require_valid
from fhir_adapters.writing.drafts import ASSESSMENT, DraftContext, follow_up_task, service_request
from smart_launch.errors import Forbidden

DAYS = (1, 2, 7, 14, 30)
TASK, ORDER = "task", "order"


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """The choices. days: None until chosen. assessment: whether to draft an order for one."""

    days: int | None
    assessment: bool


def read_follow_up(fields: Mapping[str, Sequence[str]]) -> FollowUp:
    """The choices in the fields. Raises Forbidden for what the page does not offer."""
    days, assessment = fields.get("days", ()), fields.get("assessment", ())
    offered = {str(number): number for number in DAYS}
    if len(days) > 1 or len(assessment) > 1 or any(d not in offered for d in days) or any(a != "1" for a in assessment):
        raise Forbidden("task: expected one of the choices of the page", "form-refused", 400)
    return FollowUp(days=offered[days[0]] if days else None, assessment=bool(assessment))


def follow_up_fields(follow_up: FollowUp) -> dict[str, str]:
    """The inverse of `read_follow_up`."""
    days = {} if follow_up.days is None else {"days": str(follow_up.days)}
    return days | ({"assessment": "1"} if follow_up.assessment else {})


def follow_up_slots(follow_up: FollowUp, context: FormContext, zone: tzinfo) -> tuple[Slot, ...]:
    """The drafts, each with an identifier of this submission. Raises Forbidden when no days were chosen."""
    if follow_up.days is None:
        raise Forbidden("task: expected a number of days", "form-refused", 400)
    draft = DraftContext(
        patient_id=context.patient.removeprefix("Patient/"),
        today=context.at.astimezone(zone).date(),
        encounter=context.encounter,
        user=author_of(context.user),
        user_name=context.user_name,
    )
    at = {"authoredOn": context.moment}
    task = follow_up_task(draft, follow_up.days) | at | {"identifier": [identifier(context.submission, TASK)]}
    slots = [Slot(name=TASK, resource=task)]
    if follow_up.assessment:
        order = service_request(ASSESSMENT, draft) | at | {"identifier": [identifier(context.submission, ORDER)]}
        slots.append(Slot(name=ORDER, resource=order))
    require_valid(slots)
    return tuple(slots)
