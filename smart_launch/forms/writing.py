"""Writes what a person has confirmed to the chart, each resource once, with an exact account of what is there.

A submission is written in turns, each claimed by one worker. Pressing again during a turn waits for it and shows its
result; pressing after an incomplete turn writes the rest, looking in the chart first for what that turn may have
written. `outcome` describes the notes in the store.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

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
from smart_launch.errors import Forbidden, NotWritten
from smart_launch.forms.outcome import Fault, SubmissionResult, stored_outcome
from smart_launch.session.store import AppStore

UNDO_S = 10 * 60
WAIT_S, PAUSE_S = 10.0, 0.1
LONGEST_TURN_S = 60  # a turn that has not ended by then was interrupted
MOST_TURNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteContext:
    """How a submission of one launch is written.

    can_write: whether the launch may create (c) or update (u) a type. same_patient: whether the page showed the
    chart's patient.
    """

    launch_id: str
    writer: FhirWriter
    store: AppStore
    can_write: Callable[[str, str], bool]
    same_patient: bool
    now: Callable[[], int]
    pause: Callable[[float], None] = time.sleep


def write(form: str, slots: Sequence[Slot], key: str, context: WriteContext) -> SubmissionResult:
    """Writes what is not in the chart yet. Raises NotWritten, before sending anything, if a resource is invalid."""
    try:
        require_valid(slots)
    except NotValid as error:
        raise NotWritten(f"write: {error}", status=500) from error
    begun = _begin(form, slots, key, context)
    if begun.undone:
        return replace(begun, fault=Fault.TOO_LATE)
    allowed = [slot for slot in slots if context.can_write(slot.resource["resourceType"], "c")]
    if begun.whole:
        return begun
    # Observations alone would lack the declined answers.
    if not allowed or any(slot.name == FORM and slot not in allowed for slot in slots):
        return replace(begun, fault=Fault.NOT_GRANTED)
    if not context.same_patient:
        return replace(begun, fault=Fault.OTHER_PATIENT)
    turn = _take_turn(key, context)
    if turn is None:
        stored = stored_outcome(key, context.store) or begun
        return stored if stored.whole else replace(stored, fault=Fault.BUSY)
    outcome = _write_turn(allowed, key, context, turn)
    context.store.note_written(key, f"~over.{turn}", str(context.now()))
    return replace(outcome, fault=Fault.NOT_GRANTED) if outcome.fault is None and not outcome.whole else outcome


def undo(key: str, context: WriteContext) -> SubmissionResult | None:
    """Marks what was written as entered in error, within ten minutes; None when there is no such submission."""
    stored = stored_outcome(key, context.store)
    if stored is None:
        return None
    if context.now() - stored.sent_at > UNDO_S:
        return replace(stored, fault=Fault.TOO_LATE)
    if not context.same_patient:
        return replace(stored, fault=Fault.OTHER_PATIENT)
    fault = None
    for slot in reversed(stored.in_chart):
        reference = stored.written[slot]
        if not context.can_write(reference.partition("/")[0], "u"):
            fault = fault or Fault.NOT_GRANTED
            continue
        try:
            context.writer.mark_entered_in_error(reference, SUBMISSION_SYSTEM, identifier(key, slot)["value"])
        except WriteFailed as error:
            fault = _fault(error)
            break
        context.store.note_written(key, f"~undone.{slot}", str(context.now()))
    return replace(stored_outcome(key, context.store) or stored, fault=fault)


def _begin(form: str, slots: Sequence[Slot], key: str, context: WriteContext) -> SubmissionResult:
    """Notes the submission before anything is sent. Raises Forbidden when its content has changed."""
    content = hashlib.sha256(msgspec.json.encode([slot.resource for slot in slots], order="sorted")).hexdigest()
    store = context.store
    store.note_written(key, "~content", content)
    store.note_written(key, "~what", form)
    store.note_written(key, "~at", str(context.now()))
    store.note_written(key, "~plan", ",".join(slot.name for slot in slots))
    stored = stored_outcome(key, store)
    if stored is None or store.written(key)["~content"] != content:
        raise Forbidden("write: expected unchanged content for this submission", "form-refused", 400)
    return stored


def _take_turn(key: str, context: WriteContext) -> int | None:
    """The number of our turn; None when everything has been written meanwhile, or another turn is running."""
    waited = 0.0
    for turn in range(1, MOST_TURNS + 1):
        # Noted before the claim, so that the age of an interrupted turn is known.
        context.store.note_written(key, f"~began.{turn}", str(context.now()))
        if context.store.claim(f"{key}.{turn}", context.launch_id, context.now()):
            return turn
        while True:
            notes = context.store.written(key)
            if f"~over.{turn}" in notes:
                break
            if context.now() - int(notes[f"~began.{turn}"]) > LONGEST_TURN_S:
                break
            if waited >= WAIT_S:
                return None
            context.pause(PAUSE_S)
            waited += PAUSE_S
        stored = stored_outcome(key, context.store)
        if stored is not None and stored.whole:
            return None
    return None


def _write_turn(slots: Sequence[Slot], key: str, context: WriteContext, turn: int) -> SubmissionResult:
    """Writes what is missing, in order, until something fails."""
    notes = context.store.written(key)
    interrupted = any(f"~over.{n}" not in notes for n in range(1, turn))
    fault, unsure = None, None
    for slot in slots:
        if slot.name in notes:
            continue
        in_doubt = interrupted or f"~unsure.{slot.name}" in notes
        try:
            response = context.store.written(key).get(FORM)
            reference = _put_slot(slot, key, context.writer, in_doubt=in_doubt, response=response)
        except (WriteFailed, FetchFailed) as error:
            fault = _fault(error)
            if fault is Fault.UNKNOWN:
                unsure = slot.name
                context.store.note_written(key, f"~unsure.{slot.name}", str(turn))
            break
        context.store.note_written(key, slot.name, reference)
    stored = stored_outcome(key, context.store)
    if stored is None:
        raise NotWritten("write: the store lost a submission", status=500)
    return replace(stored, fault=fault, unsure=unsure)


def _put_slot(slot: Slot, key: str, writer: FhirWriter, *, in_doubt: bool, response: str | None) -> str:
    """The reference of a slot: looked up in the chart when in doubt, else created."""
    if in_doubt:
        reference = writer.find(slot.resource["resourceType"], SUBMISSION_SYSTEM, identifier(key, slot.name)["value"])
        if reference is not None:
            return reference
    linked = derived_from(slot, response) if response else slot
    return writer.create(linked.resource).reference


def _fault(error: Exception) -> Fault:
    kinds = (
        (WriteRefused, Fault.REFUSED),
        (WriteInvalid, Fault.INVALID),
        (WriteConflict, Fault.CONFLICT),
        (WriteUnknown, Fault.UNKNOWN),
        (FetchFailed, Fault.UNKNOWN),
    )
    return next((fault for kind, fault in kinds if isinstance(error, kind)), Fault.FAILED)
