"""Writes a confirmed submission (form or drafts), records the outcome and shows what is in the chart."""

from __future__ import annotations

import hmac
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import Response

from explanations.judgement.measured import taken_back
from explanations.words.language import clock
from explanations.words.notices.drafts import draft_label
from fhir_adapters.instruments import Instrument
from fhir_adapters.writing.completed import FORM, Slot
from fhir_adapters.writing.confirmed import FhirWriter
from fhir_adapters.writing.questionnaires import Form
from smart_launch.chart.patient import PatientDetails
from smart_launch.forms.entry import refusal_reason
from smart_launch.forms.outcome import SubmissionResult
from smart_launch.forms.safety import CrisisHelp, crisis_help
from smart_launch.forms.submission import Submission, submission_key
from smart_launch.forms.tasks import ORDERED
from smart_launch.forms.writing import UNDO_S, WriteContext, write
from smart_launch.launch.guard import OpenLaunch, render
from smart_launch.records import record_event
from smart_launch.runtime import AppRuntime

WRITE_S = 25.0


def write_context(app: AppRuntime, launch: OpenLaunch, patient: PatientDetails, shown_mark: str) -> WriteContext:
    """How this launch writes.

    `patient` was read for this request, `shown_mark` comes from the page before; they must match (SMART-072).
    """
    session = launch.session
    return WriteContext(
        launch_id=session.launch_id,
        writer=FhirWriter(
            base=session.iss,
            token=session.token,
            patient=session.context.patient,
            deadline=time.monotonic() + WRITE_S,
        ),
        store=app.store,
        can_write=launch.can_write,
        same_patient=hmac.compare_digest(patient.mark.encode(), shown_mark.encode()),
        now=app.seconds,
    )


def write_confirmed(
    app: AppRuntime,
    launch: OpenLaunch,
    patient: PatientDetails,
    form: str,
    slots: Sequence[Slot],
    submission: Submission,
) -> SubmissionResult:
    """Writes a submission and records the outcome before the page is sent."""
    key = submission_key(launch.session.launch_id, submission.id)
    outcome = write(form, slots, key, write_context(app, launch, patient, submission.patient_mark))
    record_outcome(app, launch, "written", outcome)
    return outcome


def record_outcome(app: AppRuntime, launch: OpenLaunch, event: str, outcome: SubmissionResult) -> None:
    """Records what was written or undone: which slots, and why not all."""
    form = outcome.written.get(FORM)
    record_event(
        app,
        launch.session,
        event,
        taken_back(form) if form and FORM in outcome.undone and outcome.form == Instrument.PHQ9 else (),
        form=outcome.form,
        slots=list(outcome.in_chart),
        missing=list(outcome.missing),
        fault=outcome.fault.value if outcome.fault else None,
    )


def outcome_page(
    app: AppRuntime,
    launch: OpenLaunch,
    patient: PatientDetails,
    submission_id: str,
    outcome: SubmissionResult,
    **values: Any,  # noqa: ANN401  # what the template takes
) -> Response:
    """The page that says what is in the chart and what is not."""
    changeable = all(launch.can_write(outcome.written[slot].partition("/")[0], "u") for slot in outcome.in_chart)
    sent = datetime.fromtimestamp(outcome.sent_at, launch.site.reading.zone)
    in_time = app.seconds() - outcome.sent_at <= UNDO_S
    return render(
        launch,
        "written.html",
        200 if outcome.fault is None else 502,
        outcome=outcome,
        submission_id=submission_id,
        patient=patient,
        sent_at=clock(sent),
        sent_on=launch.say.day(sent.date()),
        can_undo=bool(outcome.in_chart) and changeable and in_time,
        assess=launch.can_write("ServiceRequest", "c"),
        asq=refusal_reason(launch, "QuestionnaireResponse", patient, Instrument.ASQ.spec) is None,
        order_labels={slot: draft_label(kind, launch.say) for slot, kind in ORDERED.items()},
        help=help_now(app, launch, patient, values.get("form")),
        **values,
    )


def help_now(app: AppRuntime, launch: OpenLaunch, patient: PatientDetails, form: Form | None) -> CrisisHelp:
    """Whom to call today for a patient, beside a form."""
    today = app.now().astimezone(launch.site.reading.zone).date()
    return crisis_help(launch.site.notices, today, launch.say, patient.spoken, form)
