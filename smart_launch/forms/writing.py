"""What a person has confirmed, put into the chart: each resource once, and exactly told what is in the chart.

One submission is written in turns. A turn is taken once, over all workers: a second press while one is at work waits
for it and shows its result; a press after a turn that could not write everything writes the rest, and first looks in
the chart for what may have got there. Beside the references the store keeps notes on the submission, under slots that
begin with `~`: what it holds, which turns began and ended, what stayed in doubt, what was undone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec

from fhir_adapters.errors import (
    FetchFailed,
    NotValid,
    WriteConflict,
    WriteFailed,
    WriteInvalid,
    WriteRefused,
    WriteUnknown,
)
from fhir_adapters.writing.completed import FORM, SUBMISSION_SYSTEM, Slot, derived_from, identifier, require_valid
from fhir_adapters.writing.confirmed import FhirWriter
from smart_launch.errors import NotAllowed, NotWritten
from smart_launch.session.store import AppStore

UNDO_S = 10 * 60
WAIT_S, PAUSE_S = 10.0, 0.1
LONGEST_TURN_S = 60  # a turn that has not ended by then was cut off
MOST_TURNS = 20


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
class Ways:
    """With what a submission of one launch is written.

    may: what was granted. same_patient: reads the Patient again and says whether it is the one that the page showed.
    """

    launch_id: str
    writer: FhirWriter
    store: AppStore
    may: Callable[[str, str], bool]
    same_patient: Callable[[], bool]
    now: Callable[[], int]
    pause: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionResult:
    """What became of a submission. `what`: which form or draft. `at`: when it was first sent, seconds since 1970.

    planned: its slots in order. written: slot to reference. undone: slots that were marked as entered in error.
    unsure: the slot of which nobody knows. fault: why the last press did not do all of it; None when it did.
    """

    what: str
    at: int
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
    def left(self) -> tuple[str, ...]:
        """Slots that are in the chart and were not undone."""
        return tuple(slot for slot in self.planned if slot in self.written and slot not in self.undone)

    @property
    def whole(self) -> bool:
        """Whether everything is in the chart."""
        return not self.missing


def key_of(launch_id: str, submission: str) -> str:
    """Under which a submission is kept and found in the chart: of this launch alone, whatever a form says."""
    return hashlib.sha256(f"{launch_id}\0{submission}".encode()).hexdigest()[:40]


def write(what: str, slots: Sequence[Slot], key: str, ways: Ways) -> SubmissionResult:
    """Writes what is not in the chart yet. Raises NotWritten when something is not valid: then nothing is sent."""
    try:
        require_valid(slots)
    except NotValid as error:
        raise NotWritten(f"write: {error}", status=500) from error
    begun = _begun(what, slots, key, ways)
    if begun.undone:
        return replace(begun, fault=Fault.TOO_LATE)
    allowed = [slot for slot in slots if ways.may(slot.resource["resourceType"], "c")]
    if begun.whole:
        return begun
    # Observations alone would be a form without what was declined.
    if not allowed or any(slot.name == FORM and slot not in allowed for slot in slots):
        return replace(begun, fault=Fault.NOT_GRANTED)
    if not ways.same_patient():
        return replace(begun, fault=Fault.OTHER_PATIENT)
    turn = _turn(key, ways)
    if turn is None:
        found = told(key, ways.store) or begun
        return found if found.whole else replace(found, fault=Fault.BUSY)
    done = _written(allowed, key, ways, turn)
    ways.store.note_written(key, f"~over.{turn}", str(ways.now()))
    return replace(done, fault=Fault.NOT_GRANTED) if done.fault is None and not done.whole else done


def told(key: str, store: AppStore) -> SubmissionResult | None:
    """What the store knows of a submission; None when there is none of that key."""
    notes = store.written(key)
    if "~plan" not in notes:
        return None
    return SubmissionResult(
        what=notes["~what"],
        at=int(notes["~at"]),
        planned=tuple(notes["~plan"].split(",")),
        written={slot: reference for slot, reference in notes.items() if not slot.startswith("~")},
        undone=frozenset(slot.removeprefix("~undone.") for slot in notes if slot.startswith("~undone.")),
    )


def undo(key: str, ways: Ways) -> SubmissionResult | None:
    """Marks as entered in error what was written, within ten minutes; None when there is no such submission."""
    found = told(key, ways.store)
    if found is None:
        return None
    if ways.now() - found.at > UNDO_S:
        return replace(found, fault=Fault.TOO_LATE)
    if not ways.same_patient():
        return replace(found, fault=Fault.OTHER_PATIENT)
    fault = None
    for slot in reversed(found.left):
        reference = found.written[slot]
        if not ways.may(reference.partition("/")[0], "u"):
            fault = fault or Fault.NOT_GRANTED
            continue
        try:
            ways.writer.mark_entered_in_error(reference, SUBMISSION_SYSTEM, identifier(key, slot)["value"])
        except WriteFailed as error:
            fault = _fault(error)
            break
        ways.store.note_written(key, f"~undone.{slot}", str(ways.now()))
    return replace(told(key, ways.store) or found, fault=fault)


# ---- turns --------------------------------------------------------------------------------------------------------


def _begun(what: str, slots: Sequence[Slot], key: str, ways: Ways) -> SubmissionResult:
    """The submission as it stands, noted before anything is sent. Raises NotAllowed when it was of other content."""
    content = hashlib.sha256(msgspec.json.encode([slot.resource for slot in slots], order="sorted")).hexdigest()
    store = ways.store
    store.note_written(key, "~content", content)
    store.note_written(key, "~what", what)
    store.note_written(key, "~at", str(ways.now()))
    store.note_written(key, "~plan", ",".join(slot.name for slot in slots))
    found = told(key, store)
    if found is None or store.written(key)["~content"] != content:
        raise NotAllowed("write: expected the same content under the same submission", "form-refused", 400)
    return found


def _turn(key: str, ways: Ways) -> int | None:
    """The number of the turn that is ours; None when everything was written meanwhile, or another is at work."""
    waited = 0.0
    for turn in range(1, MOST_TURNS + 1):
        # Noted before it is taken, so that a turn that was cut off is known by its age.
        ways.store.note_written(key, f"~began.{turn}", str(ways.now()))
        if ways.store.claim(f"{key}.{turn}", ways.launch_id, ways.now()):
            return turn
        while True:
            notes = ways.store.written(key)
            if f"~over.{turn}" in notes:
                break
            if ways.now() - int(notes[f"~began.{turn}"]) > LONGEST_TURN_S:
                break
            if waited >= WAIT_S:
                return None
            ways.pause(PAUSE_S)
            waited += PAUSE_S
        found = told(key, ways.store)
        if found is not None and found.whole:
            return None
    return None


def _written(slots: Sequence[Slot], key: str, ways: Ways, turn: int) -> SubmissionResult:
    """One turn: what is missing, in order, until something fails."""
    notes = ways.store.written(key)
    cut_off = any(f"~over.{n}" not in notes for n in range(1, turn))
    fault, unsure = None, None
    for slot in slots:
        if slot.name in notes:
            continue
        doubtful = cut_off or f"~unsure.{slot.name}" in notes
        try:
            reference = _placed(slot, key, ways, doubtful=doubtful, response=ways.store.written(key).get(FORM))
        except (WriteFailed, FetchFailed) as error:
            fault = _fault(error)
            if fault is Fault.UNKNOWN:
                unsure = slot.name
                ways.store.note_written(key, f"~unsure.{slot.name}", str(turn))
            break
        ways.store.note_written(key, slot.name, reference)
    found = told(key, ways.store)
    if found is None:
        raise NotWritten("write: the store lost a submission", status=500)
    return replace(found, fault=fault, unsure=unsure)


def _placed(slot: Slot, key: str, ways: Ways, *, doubtful: bool, response: str | None) -> str:
    """The reference under which a slot is in the chart now."""
    if doubtful:
        found = ways.writer.find(slot.resource["resourceType"], SUBMISSION_SYSTEM, identifier(key, slot.name)["value"])
        if found is not None:
            return found
    whole = derived_from(slot, response) if response else slot
    return ways.writer.create(whole.resource).reference


def _fault(error: Exception) -> Fault:
    kinds = (
        (WriteRefused, Fault.REFUSED),
        (WriteInvalid, Fault.INVALID),
        (WriteConflict, Fault.CONFLICT),
        (WriteUnknown, Fault.UNKNOWN),
        (FetchFailed, Fault.UNKNOWN),
    )
    return next((fault for kind, fault in kinds if isinstance(error, kind)), Fault.FAILED)
