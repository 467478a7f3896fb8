"""Routes for what is entered here and written to the chart: PHQ-9, PHQ-2, draft follow-ups.

Enter, review, write: three pages, and nothing of the answers is kept between them but what the form carries. The
answers are checked at each step as if they came for the first time.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from fhir_adapters.writing.completed import slots_of
from fhir_adapters.writing.questionnaires import Answers
from smart_launch.chart.person import Person
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
    new_entry,
    occasion_of,
    record,
    refuse,
    show_outcome,
    ways_of,
    why_not,
    with_person,
    write_it,
)
from smart_launch.forms.writing import key_of, told, undo
from smart_launch.launch.guard import Opened, opened, opened_form, render
from smart_launch.runtime import AppRuntime

RESPONSE = "QuestionnaireResponse"


def create_blueprint(app: AppRuntime) -> Blueprint:
    """The forms of a launch."""
    blueprint = Blueprint("smart_forms", __name__, url_prefix="/smart/app")

    @blueprint.get("/<launch>/forms/<name>")
    def enter(launch: str, name: str) -> Response:
        return entering(app, opened(app, launch), name)

    @blueprint.post("/<launch>/forms/<name>")
    def review(launch: str, name: str) -> Response:
        return reviewing(app, opened_form(app, launch), name)

    @blueprint.post("/<launch>/forms/<name>/write")
    def write(launch: str, name: str) -> Response:
        return writing(app, opened_form(app, launch), name)

    @blueprint.get("/<launch>/written/<submission>")
    def written(launch: str, submission: str) -> Response:
        return showing(app, opened(app, launch), submission)

    @blueprint.post("/<launch>/written/<submission>/undo")
    def take_back(launch: str, submission: str) -> Response:
        return undoing(app, opened_form(app, launch), submission)

    task_pages.add_routes(blueprint, app)
    return blueprint


def entering(app: AppRuntime, there: Opened, name: str) -> Response:
    """The form, empty."""
    asked = form_named(name)
    there, shown = with_person(app, there)
    reason = why_not(there, RESPONSE, shown, adults=True)
    if reason:
        return refuse(there, reason, shown)
    return form_page(app, there, answers_in(asked, {}), shown)


def form_page(app: AppRuntime, there: Opened, answers: Answers, shown: Person, *, checked: bool = False) -> Response:
    """The form with what was answered so far; open questions are named once it was `checked`."""
    problems = answers.open if checked else ()
    return render(
        there,
        "form.html",
        422 if problems else 200,
        form=answers.form,
        answers=answers,
        values=fields_of(answers),
        problems=problems,
        person=shown,
        help=help_of(there.site.notices, app.now().astimezone(there.site.reading.zone).date()),
    )


def reviewing(app: AppRuntime, there: Opened, name: str) -> Response:
    """What will be written; or the form again: when something is open, or to change answers (`edit`)."""
    fields = request.form.to_dict(flat=False)
    answers = answers_in(form_named(name), fields)
    there, shown = with_person(app, there)
    reason = why_not(there, RESPONSE, shown, adults=True)
    if reason:
        return refuse(there, reason, shown)
    if fields.get("edit") or answers.open:
        return form_page(app, there, answers, shown, checked=not fields.get("edit"))
    entry = new_entry(app, shown)
    return render(
        there,
        "review.html",
        answers=answers,
        kept=fields_of(answers) | entry.fields(),
        carried=fields_of(carried_over(answers)) if calls_for_phq9(answers) else None,
        **about(app, there, answers, shown),
    )


def about(app: AppRuntime, there: Opened, answers: Answers, shown: Person) -> dict[str, Any]:
    """What review and result show of the answers beside them."""
    return {
        "form": answers.form,
        "person": shown,
        "author": author(there),
        "safety": safety_of(answers, there.site.notices.say),
        "help": help_of(there.site.notices, app.now().astimezone(there.site.reading.zone).date()),
    }


def writing(app: AppRuntime, there: Opened, name: str) -> Response:
    """Writes what was reviewed, and shows what is in the chart."""
    fields = request.form.to_dict(flat=False)
    answers = answers_in(form_named(name), fields)
    entry = entry_in(app, there, fields)
    if answers.open:
        raise NotAllowed("form: expected an answer or “declined” to every question", "form-refused", 400)
    there, shown = with_person(app, there)
    reason = why_not(there, RESPONSE, shown, adults=True)
    if reason:
        return refuse(there, reason, shown)
    done = write_it(app, there, shown, name, slots_of(answers, occasion_of(there, entry)), entry)
    return show_outcome(
        app,
        there,
        shown,
        entry.submission,
        done,
        form=answers.form,
        safety=safety_of(answers, there.site.notices.say),
        kept=fields_of(answers) | entry.fields(),
    )


def showing(app: AppRuntime, there: Opened, submission: str) -> Response:
    """What is in the chart of a submission of this launch."""
    done = told(_key(there, submission), app.store)
    if done is None:
        raise SmartError("written: nothing of that name", "no-page", 404)
    there, shown = with_person(app, there)
    return show_outcome(app, there, shown, submission, done)


def undoing(app: AppRuntime, there: Opened, submission: str) -> Response:
    """Marks as entered in error what was just written."""
    key = _key(there, submission)
    there, shown = with_person(app, there)
    done = undo(key, ways_of(app, there, shown, request.form.get("who", "")))
    if done is None:
        raise SmartError("written: nothing of that name", "no-page", 404)
    record(app, there, "undone", done)
    return show_outcome(app, there, shown, submission, done, undoing=True)


def _key(there: Opened, submission: str) -> str:
    if not SUBMISSION.fullmatch(submission):
        raise SmartError("written: nothing of that name", "no-page", 404)
    return key_of(there.session.launch, submission)
