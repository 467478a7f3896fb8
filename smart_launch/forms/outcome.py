"""The outcome of a submission, from the store.

Besides references, the store holds notes on a submission under slots that begin with `~`: its content, which turns
began and ended, which slots are in doubt or undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from smart_launch.session.store import AppStore


class Fault(StrEnum):
    """Why not everything was written or undone."""

    NOT_GRANTED = "not-granted"
    OTHER_PATIENT = "other-patient"
    REFUSED = "refused"
    INVALID = "invalid"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    FAILED = "failed"
    BUSY = "busy"
    TOO_LATE = "too-late"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionResult:
    """The outcome of a submission. `form`: which form or draft. `sent_at`: when first sent, seconds since 1970.

    planned: slots in order. written: slot to reference. undone: slots marked as entered in error. unsure: the slot that
    may or may not be in the chart. fault: why the last attempt was incomplete; None if it was complete.
    """

    form: str
    sent_at: int
    planned: tuple[str, ...]
    written: Mapping[str, str]
    undone: frozenset[str] = frozenset()
    unsure: str | None = None
    fault: Fault | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """Slots not known to be in the chart."""
        return tuple(slot for slot in self.planned if slot not in self.written)

    @property
    def in_chart(self) -> tuple[str, ...]:
        """Slots in the chart that were not undone."""
        return tuple(slot for slot in self.planned if slot in self.written and slot not in self.undone)

    @property
    def whole(self) -> bool:
        """Whether everything is in the chart."""
        return not self.missing


def stored_outcome(key: str, store: AppStore) -> SubmissionResult | None:
    """The stored outcome of a submission; None for an unknown key."""
    notes = store.written(key)
    if "~plan" not in notes:
        return None
    return SubmissionResult(
        form=notes["~what"],
        sent_at=int(notes["~at"]),
        planned=tuple(notes["~plan"].split(",")),
        written={slot: reference for slot, reference in notes.items() if not slot.startswith("~")},
        undone=frozenset(slot.removeprefix("~undone.") for slot in notes if slot.startswith("~undone.")),
    )
