"""Drafts in the same three steps as a form: choose an order or the days of a contact, review, write."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, Response, request

from explanations.judgement.proposals import DraftKind
from explanations.words.notices.drafts import draft_label
from smart_launch.chart.patient import PatientDetails
from smart_launch.forms.confirmation import outcome_page, write_confirmed
from smart_launch.forms.entry import current_patient, refusal
from smart_launch.forms.submission import form_context, new_submission, read_submission
from smart_launch.forms.tasks import DAYS, TASK, DraftRequest, asked_order, draft_fields, draft_slots, read_drafts
from smart_launch.launch.guard import OpenLaunch, open_form, open_launch, render
from smart_launch.runtime import AppRuntime

DRAFTS = "follow-up"


def add_routes(blueprint: Blueprint, app: AppRuntime) -> None:
    """The routes of drafts."""

    @blueprint.get("/<launch_id>/tasks/new")
    def task(launch_id: str) -> Response:
        launch = open_launch(app, launch_id)
        return entry_page(
            app, launch, DraftRequest(order=asked_order(request.args.get("order"), launch.site.notices.region))
        )

    @blueprint.post("/<launch_id>/tasks")
    def review_task(launch_id: str) -> Response:
        return review_page(app, open_form(app, launch_id))

    @blueprint.post("/<launch_id>/tasks/write")
    def write_task(launch_id: str) -> Response:
        return write_drafts(app, open_form(app, launch_id))


def entry_page(app: AppRuntime, launch: OpenLaunch, drafts: DraftRequest) -> Response:
    """The choices."""
    launch, patient = current_patient(app, launch)
    return refusal(launch, _needed(launch, drafts), patient) or choice_page(launch, drafts, patient)


def _needed(launch: OpenLaunch, drafts: DraftRequest) -> str:
    """The type without which these drafts cannot be written."""
    if drafts.empty:
        return "Task" if launch.can_write("Task", "c") else "ServiceRequest"
    return "ServiceRequest" if drafts.days is None else "Task"


def choice_page(
    launch: OpenLaunch, drafts: DraftRequest, patient: PatientDetails, *, checked: bool = False
) -> Response:
    """The choices so far; that there is none is said when `checked`."""
    missing = checked and drafts.empty
    order = drafts.order or launch.site.notices.region.offered([DraftKind.ASSESSMENT])[0]
    return render(
        launch,
        "task.html",
        422 if missing else 200,
        drafts=drafts,
        order=order,
        order_label=draft_label(order, launch.say),
        days=DAYS,
        missing=missing,
        orders=launch.can_write("ServiceRequest", "c"),
        contacts=launch.can_write("Task", "c"),
        patient=patient,
    )


def review_page(app: AppRuntime, launch: OpenLaunch) -> Response:
    """What will be written; or the choices again if none was made or to change them (`edit`)."""
    drafts = read_drafts(request.form.to_dict(flat=False), launch.site.notices.region)
    launch, patient = current_patient(app, launch)
    refused = refusal(launch, _needed(launch, drafts), patient)
    if refused:
        return refused
    if "edit" in request.form or drafts.empty:
        return choice_page(launch, drafts, patient, checked="edit" not in request.form)
    submission = new_submission(app, patient)
    # The page shows the wording of the drafts themselves.
    slots = {s.name: s for s in draft_slots(drafts, form_context(launch, submission), launch.site.reading.zone)}
    end = slots[TASK].resource["restriction"]["period"]["end"] if TASK in slots else None
    return render(
        launch,
        "task_review.html",
        drafts=drafts,
        order_label=draft_label(drafts.order, launch.say) if drafts.order else None,
        end=launch.say.day(date.fromisoformat(end)) if end else None,
        hidden_fields=draft_fields(drafts) | submission.fields(),
        patient=patient,
    )


def write_drafts(app: AppRuntime, launch: OpenLaunch) -> Response:
    """Writes the drafts and shows what is in the chart."""
    fields = request.form.to_dict(flat=False)
    drafts, submission = read_drafts(fields, launch.site.notices.region), read_submission(app, launch, fields)
    slots = draft_slots(drafts, form_context(launch, submission), launch.site.reading.zone)
    launch, patient = current_patient(app, launch)
    refused = refusal(launch, _needed(launch, drafts), patient)
    if refused:
        return refused
    outcome = write_confirmed(app, launch, patient, DRAFTS, slots, submission)
    hidden_fields = draft_fields(drafts) | submission.fields()
    return outcome_page(app, launch, patient, submission.id, outcome, hidden_fields=hidden_fields)
