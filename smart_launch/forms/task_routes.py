"""A draft follow-up: choose the days, review, write. The same three steps as a form."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, Response, request

from explanations.words.phrasebook import day
from smart_launch.chart.person import Person
from smart_launch.chart.reading import may
from smart_launch.forms.confirming import (
    author,
    entry_in,
    new_entry,
    occasion_of,
    refuse,
    show_outcome,
    why_not,
    with_person,
    write_it,
)
from smart_launch.forms.tasks import DAYS, FollowUp, fields_of, follow_up_in, slots_of
from smart_launch.launch.guard import Opened, opened, opened_form, render
from smart_launch.runtime import AppRuntime

WHAT = "follow-up"


def add_routes(blueprint: Blueprint, app: AppRuntime) -> None:
    """The routes of drafts."""

    @blueprint.get("/<launch>/tasks/new")
    def task(launch: str) -> Response:
        there = opened(app, launch)
        return entering(app, there, FollowUp(days=None, assessment=request.args.get("assessment") == "1"))

    @blueprint.post("/<launch>/tasks")
    def review_task(launch: str) -> Response:
        return reviewing(app, opened_form(app, launch))

    @blueprint.post("/<launch>/tasks/write")
    def write_task(launch: str) -> Response:
        return writing(app, opened_form(app, launch))


def entering(app: AppRuntime, there: Opened, wanted: FollowUp) -> Response:
    """The choices."""
    there, shown = with_person(app, there)
    reason = why_not(there, "Task", shown, adults=False)
    return refuse(there, reason, shown) if reason else choices(there, wanted, shown)


def choices(there: Opened, wanted: FollowUp, shown: Person, *, checked: bool = False) -> Response:
    """The choices with what was chosen so far."""
    lacking = checked and wanted.days is None
    orders = may(there.session)("ServiceRequest", "c")
    return render(
        there,
        "task.html",
        422 if lacking else 200,
        wanted=wanted,
        days=DAYS,
        lacking=lacking,
        orders=orders,
        person=shown,
    )


def reviewing(app: AppRuntime, there: Opened) -> Response:
    """What will be written; or the choices again, when none was made or to change them (`edit`)."""
    wanted = follow_up_in(request.form.to_dict(flat=False))
    there, shown = with_person(app, there)
    reason = why_not(there, "Task", shown, adults=False)
    if reason:
        return refuse(there, reason, shown)
    if "edit" in request.form or wanted.days is None:
        return choices(there, wanted, shown, checked="edit" not in request.form)
    entry = new_entry(app, shown)
    # The words on the page are those of the drafts themselves.
    slots = slots_of(wanted, occasion_of(there, entry), there.site.reading.zone)
    return render(
        there,
        "task_review.html",
        wanted=wanted,
        end=day(date.fromisoformat(slots[0].resource["restriction"]["period"]["end"])),
        kept=fields_of(wanted) | entry.fields(),
        author=author(there),
        person=shown,
    )


def writing(app: AppRuntime, there: Opened) -> Response:
    """Writes the drafts, and shows what is in the chart."""
    fields = request.form.to_dict(flat=False)
    wanted, entry = follow_up_in(fields), entry_in(app, there, fields)
    slots = slots_of(wanted, occasion_of(there, entry), there.site.reading.zone)
    there, shown = with_person(app, there)
    reason = why_not(there, "Task", shown, adults=False)
    if reason:
        return refuse(there, reason, shown)
    done = write_it(app, there, shown, WHAT, slots, entry)
    return show_outcome(app, there, shown, entry.submission, done, kept=fields_of(wanted) | entry.fields())
