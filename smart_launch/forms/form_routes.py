"""Routes for what is entered here and written to the chart: questionnaires, draft follow-ups.

Three pages: enter, review, write. Answers are not stored in between; the form carries them, and each step checks them
afresh.
"""

from __future__ import annotations

from typing import Any

from babel import Locale
from flask import Blueprint, Response, request

from explanations.words.pages.note import note_of, total_words
from fhir_adapters.writing.completed import slots_of
from fhir_adapters.writing.questionnaires import Form, FormAnswers
from smart_launch.chart.patient import PatientDetails
from smart_launch.errors import Forbidden, SmartError
from smart_launch.forms import task_routes
from smart_launch.forms.answers import (
    LANGUAGE,
    answer_fields,
    answered_again,
    calls_for_phq9,
    form_named,
    phq9_from_phq2,
    read_answers,
)
from smart_launch.forms.confirmation import help_now, outcome_page, record_outcome, write_confirmed, write_context
from smart_launch.forms.entry import current_patient, refusal
from smart_launch.forms.outcome import stored_outcome
from smart_launch.forms.result import written_result
from smart_launch.forms.safety import pathway_of, safety_answer
from smart_launch.forms.submission import (
    SUBMISSION_ID,
    form_context,
    new_submission,
    read_submission,
    submission_key,
)
from smart_launch.forms.writing import undo
from smart_launch.launch.guard import OpenLaunch, open_form, open_launch, render
from smart_launch.pages.streaming import stream_if_slow
from smart_launch.runtime import AppRuntime

RESPONSE = "QuestionnaireResponse"


def create_blueprint(app: AppRuntime) -> Blueprint:
    """The forms of a launch."""
    blueprint = Blueprint("smart_forms", __name__, url_prefix="/smart/app")

    @blueprint.get("/<launch_id>/forms/<name>")
    def enter(launch_id: str, name: str) -> Response:
        return entry_page(app, open_launch(app, launch_id), name)

    @blueprint.post("/<launch_id>/forms/<name>")
    def review(launch_id: str, name: str) -> Response:
        return review_page(app, open_form(app, launch_id), name)

    @blueprint.post("/<launch_id>/forms/<name>/write")
    def write(launch_id: str, name: str) -> Response:
        return write_form(app, open_form(app, launch_id), name)

    @blueprint.get("/<launch_id>/written/<submission_id>")
    def written(launch_id: str, submission_id: str) -> Response:
        return written_page(app, open_launch(app, launch_id), submission_id)

    @blueprint.post("/<launch_id>/written/<submission_id>/undo")
    def take_back(launch_id: str, submission_id: str) -> Response:
        return undo_written(app, open_form(app, launch_id), submission_id)

    task_routes.add_routes(blueprint, app)
    return blueprint


def entry_page(app: AppRuntime, launch: OpenLaunch, name: str) -> Response:
    """The form, empty."""
    form_named(name)
    launch, patient = current_patient(app, launch)
    questionnaire = _in_their_language(name, launch, patient)
    refused = refusal(launch, RESPONSE, patient, form=questionnaire.instrument.spec)
    return refused or form_page(app, launch, read_answers(questionnaire, {}), patient)


def _in_their_language(name: str, launch: OpenLaunch, patient: PatientDetails) -> Form:
    """The form as chosen on its page, else in a language that the patient speaks, else in the clinician's."""
    chosen = request.values.get(LANGUAGE, "")
    return form_named(name, *([chosen] if chosen in form_named(name).languages else patient.spoken), launch.say.locale)


def form_page(
    app: AppRuntime, launch: OpenLaunch, answers: FormAnswers, patient: PatientDetails, *, checked: bool = False
) -> Response:
    """The form with the answers so far; open questions are marked when `checked`."""
    problems = answers.open if checked else ()
    return render(
        launch,
        "form.html",
        422 if problems else 200,
        form=answers.form,
        answers=answers,
        values=answer_fields(answers),
        problems=problems,
        languages={code: Locale.parse(code).get_display_name(code) for code in answers.form.languages},
        patient=patient,
        help=help_now(app, launch, patient, answers.form),
        pathway=pathway_of(answers.form, launch.site.notices),
    )


def review_page(app: AppRuntime, launch: OpenLaunch, name: str) -> Response:
    """What will be written; or the form again if something is open or to be changed (`edit`)."""
    fields = request.form.to_dict(flat=False)
    read_answers(form_named(name), fields)
    launch, patient = current_patient(app, launch)
    answers = read_answers(_in_their_language(name, launch, patient), fields)
    refused = refusal(launch, RESPONSE, patient, form=answers.form.instrument.spec)
    if refused:
        return refused
    if fields.get("edit") or answers.open:
        return form_page(app, launch, answers, patient, checked=not fields.get("edit"))
    submission = new_submission(app, patient)
    values = review_values(app, launch, answers, patient)
    return render(
        launch,
        "review.html",
        answers=_as_the_clinician_reads(answers, launch),
        hidden_fields=answer_fields(answers) | submission.fields(),
        by_keys="by-keys" in fields and not values["safety"] and not values["phq9_fields"],
        **values,
    )


def review_values(app: AppRuntime, launch: OpenLaunch, answers: FormAnswers, patient: PatientDetails) -> dict[str, Any]:
    """What a review shows besides the answers."""
    # The PHQ-9 asks its last question of those with any problem.
    any_problem = any(answer.option and answer.option.score for answer in answers.answered)
    # No cut prompts another form where no screening is said to be due (rule R15).
    longer = calls_for_phq9(answers) and launch.site.notices.region.prompts
    return {
        "form": answers.form,
        "patient": patient,
        "late": [answer for answer in answers.put if answer.is_open] if any_problem else [],
        "language": Locale.parse(answers.form.language).get_display_name(launch.say.locale),
        "total": total_words(answers, launch.say, bands=launch.site.notices.region.bands),
        "safety": safety_answer(answers, launch.say),
        "phq9_fields": answer_fields(phq9_from_phq2(answers)) if longer else None,
        "pathway": pathway_of(answers.form, launch.site.notices),
        "help": help_now(app, launch, patient, answers.form),
    }


def _as_the_clinician_reads(answers: FormAnswers, launch: OpenLaunch) -> FormAnswers:
    return answered_again(answers, answers.form.in_language(launch.say.locale))


def write_form(app: AppRuntime, launch: OpenLaunch, name: str) -> Response:
    """Writes the reviewed form and shows what is in the chart."""
    fields = request.form.to_dict(flat=False)
    answers = read_answers(form_named(name, request.form.get(LANGUAGE, "")), fields)
    submission = read_submission(app, launch, fields)
    if answers.open:
        raise Forbidden("form: expected an answer or “declined” to every question", "form-refused", 400)
    launch, patient = current_patient(app, launch)
    refused = refusal(launch, RESPONSE, patient, form=answers.form.instrument.spec)
    if refused:
        return refused
    context = form_context(launch, submission)
    outcome = write_confirmed(app, launch, patient, name, slots_of(answers, context), submission)

    def page() -> Response:
        return outcome_page(
            app,
            launch,
            patient,
            submission.id,
            outcome,
            result=written_result(app, launch, outcome, answers),
            safety=safety_answer(answers, launch.say),
            pathway=pathway_of(answers.form, launch.site.notices),
            form=answers.form,
            answers=answers,
            note=note_of(
                _as_the_clinician_reads(answers, launch),
                context.at.astimezone(launch.site.reading.zone),
                context.user_name,
                launch.safe.say,
                bands=launch.site.notices.region.bands,
            ),
            hidden_fields=answer_fields(answers) | submission.fields(),
        )

    # What was not written is said at once.
    return stream_if_slow(app, launch.say, page, written=True) if outcome.fault is None else page()


def written_page(app: AppRuntime, launch: OpenLaunch, submission_id: str) -> Response:
    """Shows what a submission of this launch has put in the chart."""
    outcome = stored_outcome(_key(launch, submission_id), app.store)
    if outcome is None:
        raise _unknown()
    launch, patient = current_patient(app, launch)
    return outcome_page(app, launch, patient, submission_id, outcome)


def undo_written(app: AppRuntime, launch: OpenLaunch, submission_id: str) -> Response:
    """Marks what was just written as entered in error."""
    key = _key(launch, submission_id)
    launch, patient = current_patient(app, launch)
    outcome = undo(key, write_context(app, launch, patient, request.form.get("who", "")))
    if outcome is None:
        raise _unknown()
    record_outcome(app, launch, "undone", outcome)
    return outcome_page(app, launch, patient, submission_id, outcome, undoing=True)


def _key(launch: OpenLaunch, submission_id: str) -> str:
    if not SUBMISSION_ID.fullmatch(submission_id):
        raise _unknown()
    return submission_key(launch.session.launch_id, submission_id)


def _unknown() -> SmartError:
    return SmartError("written: no such submission", "no-page", 404)
