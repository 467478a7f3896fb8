"""A draft follow-up in the same three steps as a form: choose the days, review, write."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, Response, request

from smart_launch.chart.patient import PatientDetails
from smart_launch.forms.confirmation import outcome_page, write_confirmed
from smart_launch.forms.entry import current_patient, refusal
from smart_launch.forms.submission import form_context, new_submission, read_submission
from smart_launch.forms.tasks import DAYS, FollowUp, follow_up_fields, follow_up_slots, read_follow_up
from smart_launch.launch.guard import OpenLaunch, open_form, open_launch, render
from smart_launch.runtime import AppRuntime

FOLLOW_UP = "follow-up"


def add_routes(blueprint: Blueprint, app: AppRuntime) -> None:
    """The routes of drafts."""

    @blueprint.get("/<launch_id>/tasks/new")
    def task(launch_id: str) -> Response:
        launch = open_launch(app, launch_id)
        return entry_page(app, launch, FollowUp(days=None, assessment=request.args.get("assessment") == "1"))

    @blueprint.post("/<launch_id>/tasks")
    def review_task(launch_id: str) -> Response:
        return review_page(app, open_form(app, launch_id))

    @blueprint.post("/<launch_id>/tasks/write")
    def write_task(launch_id: str) -> Response:
        return write_drafts(app, open_form(app, launch_id))


def entry_page(app: AppRuntime, launch: OpenLaunch, follow_up: FollowUp) -> Response:
    """The choices."""
    launch, patient = current_patient(app, launch)
    return refusal(launch, "Task", patient, adults=False) or choice_page(launch, follow_up, patient)


def choice_page(launch: OpenLaunch, follow_up: FollowUp, patient: PatientDetails, *, checked: bool = False) -> Response:
    """The choices so far; a missing one is marked when `checked`."""
    days_missing = checked and follow_up.days is None
    return render(
        launch,
        "task.html",
        422 if days_missing else 200,
        follow_up=follow_up,
        days=DAYS,
        days_missing=days_missing,
        orders=launch.can_write("ServiceRequest", "c"),
        patient=patient,
    )


def review_page(app: AppRuntime, launch: OpenLaunch) -> Response:
    """What will be written; or the choices again if none was made or to change them (`edit`)."""
    follow_up = read_follow_up(request.form.to_dict(flat=False))
    launch, patient = current_patient(app, launch)
    refused = refusal(launch, "Task", patient, adults=False)
    if refused:
        return refused
    if "edit" in request.form or follow_up.days is None:
        return choice_page(launch, follow_up, patient, checked="edit" not in request.form)
    submission = new_submission(app, patient)
    # The page shows the wording of the drafts themselves.
    slots = follow_up_slots(follow_up, form_context(launch, submission), launch.site.reading.zone)
    return render(
        launch,
        "task_review.html",
        follow_up=follow_up,
        end=launch.say.day(date.fromisoformat(slots[0].resource["restriction"]["period"]["end"])),
        hidden_fields=follow_up_fields(follow_up) | submission.fields(),
        patient=patient,
    )


def write_drafts(app: AppRuntime, launch: OpenLaunch) -> Response:
    """Writes the drafts and shows what is in the chart."""
    fields = request.form.to_dict(flat=False)
    follow_up, submission = read_follow_up(fields), read_submission(app, launch, fields)
    slots = follow_up_slots(follow_up, form_context(launch, submission), launch.site.reading.zone)
    launch, patient = current_patient(app, launch)
    refused = refusal(launch, "Task", patient, adults=False)
    if refused:
        return refused
    outcome = write_confirmed(app, launch, patient, FOLLOW_UP, slots, submission)
    hidden_fields = follow_up_fields(follow_up) | submission.fields()
    return outcome_page(app, launch, patient, submission.id, outcome, hidden_fields=hidden_fields)
