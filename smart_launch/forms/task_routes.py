"""A draft follow-up: choose the days, review, write. The same three steps as a form."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, Response, request

from smart_launch.chart.patient import PatientDetails
from smart_launch.chart.reading import may
from smart_launch.forms.confirming import (
    author,
    entry_in,
    form_context,
    new_entry,
    refuse,
    show_outcome,
    why_not,
    with_person,
    write_it,
)
from smart_launch.forms.tasks import DAYS, FollowUp, fields_of, follow_up_in, slots_of
from smart_launch.launch.guard import OpenLaunch, open_form, open_launch, render
from smart_launch.runtime import AppRuntime

WHAT = "follow-up"


def add_routes(blueprint: Blueprint, app: AppRuntime) -> None:
    """The routes of drafts."""

    @blueprint.get("/<launch_id>/tasks/new")
    def task(launch_id: str) -> Response:
        launch = open_launch(app, launch_id)
        return entering(app, launch, FollowUp(days=None, assessment=request.args.get("assessment") == "1"))

    @blueprint.post("/<launch_id>/tasks")
    def review_task(launch_id: str) -> Response:
        return reviewing(app, open_form(app, launch_id))

    @blueprint.post("/<launch_id>/tasks/write")
    def write_task(launch_id: str) -> Response:
        return writing(app, open_form(app, launch_id))


def entering(app: AppRuntime, launch: OpenLaunch, follow_up: FollowUp) -> Response:
    """The choices."""
    launch, shown = with_person(app, launch)
    reason = why_not(launch, "Task", shown, adults=False)
    return refuse(launch, reason, shown) if reason else choices(launch, follow_up, shown)


def choices(launch: OpenLaunch, follow_up: FollowUp, shown: PatientDetails, *, checked: bool = False) -> Response:
    """The choices with what was chosen so far."""
    lacking = checked and follow_up.days is None
    orders = may(launch.session)("ServiceRequest", "c")
    return render(
        launch,
        "task.html",
        422 if lacking else 200,
        follow_up=follow_up,
        days=DAYS,
        lacking=lacking,
        orders=orders,
        person=shown,
    )


def reviewing(app: AppRuntime, launch: OpenLaunch) -> Response:
    """What will be written; or the choices again, when none was made or to change them (`edit`)."""
    follow_up = follow_up_in(request.form.to_dict(flat=False))
    launch, shown = with_person(app, launch)
    reason = why_not(launch, "Task", shown, adults=False)
    if reason:
        return refuse(launch, reason, shown)
    if "edit" in request.form or follow_up.days is None:
        return choices(launch, follow_up, shown, checked="edit" not in request.form)
    entry = new_entry(app, shown)
    # The words on the page are those of the drafts themselves.
    slots = slots_of(follow_up, form_context(launch, entry), launch.site.reading.zone)
    return render(
        launch,
        "task_review.html",
        follow_up=follow_up,
        end=launch.say.day(date.fromisoformat(slots[0].resource["restriction"]["period"]["end"])),
        kept=fields_of(follow_up) | entry.fields(),
        author=author(launch),
        person=shown,
    )


def writing(app: AppRuntime, launch: OpenLaunch) -> Response:
    """Writes the drafts, and shows what is in the chart."""
    fields = request.form.to_dict(flat=False)
    follow_up, entry = follow_up_in(fields), entry_in(app, launch, fields)
    slots = slots_of(follow_up, form_context(launch, entry), launch.site.reading.zone)
    launch, shown = with_person(app, launch)
    reason = why_not(launch, "Task", shown, adults=False)
    if reason:
        return refuse(launch, reason, shown)
    done = write_it(app, launch, shown, WHAT, slots, entry)
    return show_outcome(app, launch, shown, entry.submission, done, kept=fields_of(follow_up) | entry.fields())
