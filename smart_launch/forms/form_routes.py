"""Routes for what is entered here and written to the chart: PHQ-9, PHQ-2, draft follow-ups.

Enter, review, write: three pages, and nothing of the answers is kept between them but what the form carries. The
answers are checked at each step as if they came for the first time.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from fhir_adapters.writing.completed import slots_of
from fhir_adapters.writing.questionnaires import FormAnswers
from smart_launch.chart.patient import PatientDetails
from smart_launch.errors import NotAllowed, SmartError
from smart_launch.forms import task_routes as task_pages
from smart_launch.forms.answers import (
    answers_in,
    calls_for_phq9,
    carried_over,
    fields_of,
    form_named,
    help_of,
    safety_of,
)
from smart_launch.forms.confirming import (
    SUBMISSION,
    author,
    entry_in,
    form_context,
    new_entry,
    record,
    refuse,
    show_outcome,
    ways_of,
    why_not,
    with_person,
    write_it,
)
from smart_launch.forms.writing import key_of, told, undo
from smart_launch.launch.guard import OpenLaunch, open_form, open_launch, render
from smart_launch.runtime import AppRuntime

RESPONSE = "QuestionnaireResponse"


def create_blueprint(app: AppRuntime) -> Blueprint:
    """The forms of a launch."""
    blueprint = Blueprint("smart_forms", __name__, url_prefix="/smart/app")

    @blueprint.get("/<launch_id>/forms/<name>")
    def enter(launch_id: str, name: str) -> Response:
        return entering(app, open_launch(app, launch_id), name)

    @blueprint.post("/<launch_id>/forms/<name>")
    def review(launch_id: str, name: str) -> Response:
        return reviewing(app, open_form(app, launch_id), name)

    @blueprint.post("/<launch_id>/forms/<name>/write")
    def write(launch_id: str, name: str) -> Response:
        return writing(app, open_form(app, launch_id), name)

    @blueprint.get("/<launch_id>/written/<submission>")
    def written(launch_id: str, submission: str) -> Response:
        return showing(app, open_launch(app, launch_id), submission)

    @blueprint.post("/<launch_id>/written/<submission>/undo")
    def take_back(launch_id: str, submission: str) -> Response:
        return undoing(app, open_form(app, launch_id), submission)

    task_pages.add_routes(blueprint, app)
    return blueprint


def entering(app: AppRuntime, launch: OpenLaunch, name: str) -> Response:
    """The form, empty."""
    asked = form_named(name)
    launch, shown = with_person(app, launch)
    reason = why_not(launch, RESPONSE, shown, adults=True)
    if reason:
        return refuse(launch, reason, shown)
    return form_page(app, launch, answers_in(asked, {}), shown)


def form_page(
    app: AppRuntime, launch: OpenLaunch, answers: FormAnswers, shown: PatientDetails, *, checked: bool = False
) -> Response:
    """The form with what was answered so far; open questions are named once it was `checked`."""
    problems = answers.open if checked else ()
    return render(
        launch,
        "form.html",
        422 if problems else 200,
        form=answers.form,
        answers=answers,
        values=fields_of(answers),
        problems=problems,
        person=shown,
        help=help_of(launch.site.notices, app.now().astimezone(launch.site.reading.zone).date()),
    )


def reviewing(app: AppRuntime, launch: OpenLaunch, name: str) -> Response:
    """What will be written; or the form again: when something is open, or to change answers (`edit`)."""
    fields = request.form.to_dict(flat=False)
    answers = answers_in(form_named(name), fields)
    launch, shown = with_person(app, launch)
    reason = why_not(launch, RESPONSE, shown, adults=True)
    if reason:
        return refuse(launch, reason, shown)
    if fields.get("edit") or answers.open:
        return form_page(app, launch, answers, shown, checked=not fields.get("edit"))
    entry = new_entry(app, shown)
    return render(
        launch,
        "review.html",
        answers=answers,
        kept=fields_of(answers) | entry.fields(),
        carried=fields_of(carried_over(answers)) if calls_for_phq9(answers) else None,
        **about(app, launch, answers, shown),
    )


def about(app: AppRuntime, launch: OpenLaunch, answers: FormAnswers, shown: PatientDetails) -> dict[str, Any]:
    """What review and result show of the answers beside them."""
    return {
        "form": answers.form,
        "person": shown,
        "author": author(launch),
        "safety": safety_of(answers, launch.say),
        "help": help_of(launch.site.notices, app.now().astimezone(launch.site.reading.zone).date()),
    }


def writing(app: AppRuntime, launch: OpenLaunch, name: str) -> Response:
    """Writes what was reviewed, and shows what is in the chart."""
    fields = request.form.to_dict(flat=False)
    answers = answers_in(form_named(name), fields)
    entry = entry_in(app, launch, fields)
    if answers.open:
        raise NotAllowed("form: expected an answer or “declined” to every question", "form-refused", 400)
    launch, shown = with_person(app, launch)
    reason = why_not(launch, RESPONSE, shown, adults=True)
    if reason:
        return refuse(launch, reason, shown)
    done = write_it(app, launch, shown, name, slots_of(answers, form_context(launch, entry)), entry)
    return show_outcome(
        app,
        launch,
        shown,
        entry.submission,
        done,
        form=answers.form,
        safety=safety_of(answers, launch.say),
        kept=fields_of(answers) | entry.fields(),
    )


def showing(app: AppRuntime, launch: OpenLaunch, submission: str) -> Response:
    """What is in the chart of a submission of this launch."""
    done = told(_key(launch, submission), app.store)
    if done is None:
        raise SmartError("written: nothing of that name", "no-page", 404)
    launch, shown = with_person(app, launch)
    return show_outcome(app, launch, shown, submission, done)


def undoing(app: AppRuntime, launch: OpenLaunch, submission: str) -> Response:
    """Marks as entered in error what was just written."""
    key = _key(launch, submission)
    launch, shown = with_person(app, launch)
    done = undo(key, ways_of(app, launch, shown, request.form.get("who", "")))
    if done is None:
        raise SmartError("written: nothing of that name", "no-page", 404)
    record(app, launch, "undone", done)
    return show_outcome(app, launch, shown, submission, done, undoing=True)


def _key(launch: OpenLaunch, submission: str) -> str:
    if not SUBMISSION.fullmatch(submission):
        raise SmartError("written: nothing of that name", "no-page", 404)
    return key_of(launch.session.launch_id, submission)
