"""How far somebody has been told of an acute answer, as values. The wording belongs to cards and pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EscalationState(StrEnum):
    """The values are stable: they stand in records. A card promises no more than its state says."""

    NOT_RECORDED = "not-recorded"  # the store failed, so nobody will be told
    SWITCHED_OFF = "switched-off"  # cards of acute answers are, by two people
    NOBODY_ON_DUTY = "nobody-on-duty"  # by the site's hours; the first contact is told when its hours begin
    WAITING = "waiting"  # on record, and no contact's system has it yet
    TOLD = "told"  # a contact's system has it; nobody has acknowledged it
    ACKNOWLEDGED = "acknowledged"


class Done(StrEnum):
    """What was done about it, in a clinician's own word. The values are stable."""

    ASSESSMENT = "assessment"
    SAFETY_PLAN = "safety-plan"
    FOLLOW_UP = "follow-up"
    TRANSFERRED = "transferred"


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """The escalation of a patient as it stands. None in its place: the site tells nobody.

    id: "" where there is none on record. contact: the contact told last, by its name in the site's file. at: UTC, since
    when the state holds. by: who acknowledged it: a name, or "" where only the way is known. overdue: no contact has
    acknowledged it in time. done: what was recorded as done.
    """

    state: EscalationState
    id: str = ""
    contact: str | None = None
    at: datetime | None = None
    by: str = ""
    overdue: bool = False
    done: tuple[Done, ...] = ()


# Reasons for not acting on a card of acute answers that say that somebody knows; the others leave it open.
ACKNOWLEDGING = frozenset({"under-way", "with-crisis-team", "entered-in-error"})
# By feedback, which names nobody, that an answer is wrong ends no search: somebody has to sign that.
BY_FEEDBACK = ACKNOWLEDGING - {"entered-in-error"}
