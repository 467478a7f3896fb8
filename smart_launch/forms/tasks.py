"""Drafts that a clinician requests: an order, a follow-up contact within some days, or both.

A person must accept a draft in the chart; nothing starts and nobody is called. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from explanations.judgement.proposals import ORDERS, DraftKind
from explanations.judgement.regions import Region
from fhir_adapters.writing.completed import FormContext, Slot, author_of, identifier, require_valid
from fhir_adapters.writing.drafts import DraftContext, follow_up_task, service_request
from smart_launch.errors import Forbidden

DAYS = (1, 2, 7, 14, 30)
# What the page can order; a PHQ-9 to complete is ordered like any other.
ORDERED = {
    kind.value: kind
    for kind in (DraftKind.ASSESSMENT, DraftKind.PSYCHOSOCIAL, DraftKind.CSSRS, DraftKind.PHQ9, DraftKind.PHQ9M)
}
TASK = "task"


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRequest:
    """The choices. order: what to draft an order for. days: within how many the contact takes place. None: not."""

    order: DraftKind | None = None
    days: int | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is to be drafted."""
        return self.order is None and self.days is None


def asked_order(text: str | None, region: Region) -> DraftKind | None:
    """The order that an address asks for, as the region has it; None for none, and for one that the page lacks."""
    return next(iter(region.offered([ORDERED[text]])), None) if text in ORDERED else None


def read_drafts(fields: Mapping[str, Sequence[str]], region: Region) -> DraftRequest:
    """The choices in the fields, as the region has them. Raises Forbidden for what the page does not offer."""
    days, order = fields.get("days", ()), fields.get("order", ())
    offered = {"": None} | {str(number): number for number in DAYS}
    if len(days) > 1 or len(order) > 1 or any(d not in offered for d in days) or any(o not in ORDERED for o in order):
        raise Forbidden("task: expected one of the choices of the page", "form-refused", 400)
    return DraftRequest(order=asked_order(order[0], region) if order else None, days=offered[days[0]] if days else None)


def draft_fields(drafts: DraftRequest) -> dict[str, str]:
    """The inverse of `read_drafts`."""
    order = {} if drafts.order is None else {"order": drafts.order.value}
    return order | ({} if drafts.days is None else {"days": str(drafts.days)})


def draft_slots(drafts: DraftRequest, context: FormContext, zone: tzinfo) -> tuple[Slot, ...]:
    """The drafts, each with an identifier of this submission. Raises Forbidden when nothing was chosen."""
    if drafts.empty:
        raise Forbidden("task: expected an order or a number of days", "form-refused", 400)
    draft = DraftContext(
        patient_id=context.patient.removeprefix("Patient/"),
        today=context.at.astimezone(zone).date(),
        encounter=context.encounter,
        user=author_of(context.user),
        user_name=context.user_name,
    )
    made = {}
    if drafts.order is not None:
        made[drafts.order.value] = service_request(ORDERS[drafts.order], draft)
    if drafts.days is not None:
        made[TASK] = follow_up_task(draft, drafts.days)
    at = {"authoredOn": context.moment}
    slots = tuple(
        Slot(name=name, resource=resource | at | {"identifier": [identifier(context.submission, name)]})
        for name, resource in made.items()
    )
    require_valid(slots)
    return slots
