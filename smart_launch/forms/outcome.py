"""What became of a submission, as the store knows it.

Beside the references the store has notes on a submission, under slots that begin with `~`: what it holds, which turns
began and ended, which slots are in doubt or were undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from smart_launch.session.store import AppStore


class Fault(StrEnum):
    """Why not everything is in the chart, or not undone."""

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
    """What became of a submission. `form`: which form or draft. `sent_at`: when it was first sent, seconds since 1970.

    planned: its slots in order. written: slot to reference. undone: slots that were marked as entered in error.
    unsure: the slot that may be in the chart or not. fault: why the last press did not do all of it; None when it did.
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
        """Slots that are not known to be in the chart."""
        return tuple(slot for slot in self.planned if slot not in self.written)

    @property
    def in_chart(self) -> tuple[str, ...]:
        """Slots that are in the chart and were not undone."""
        return tuple(slot for slot in self.planned if slot in self.written and slot not in self.undone)

    @property
    def whole(self) -> bool:
        """Whether everything is in the chart."""
        return not self.missing


def stored_outcome(key: str, store: AppStore) -> SubmissionResult | None:
    """What the store knows of a submission; None when it has none of that key."""
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
