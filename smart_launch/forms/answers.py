"""Form fields of a questionnaire's page to answers, and back. Pure; nothing is guessed.

A field is named after its question; its value is an answer code or `declined`. A value, name or
repetition that our page cannot have sent refuses the whole form (Forbidden). An open question does not: the page asks
for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fhir_adapters.instruments import DEPRESSION_CUTS, Instrument
from fhir_adapters.writing.questionnaires import FORMS, EntryState, Form, FormAnswer, FormAnswers, Question, form
from smart_launch.errors import Forbidden

PREFIX = "q-"
DECLINED = "declined"


LANGUAGE = "lang"


def form_named(name: str, *languages: str) -> Form:
    """The form with this name in the first of these languages that it has. Raises Forbidden if there is none."""
    if name not in FORMS:
        raise Forbidden("form: expected the name of a known form", "no-page", 404)
    return form(name).in_language(*languages)


def field_name(question: Question) -> str:
    """The field name of a question."""
    return PREFIX + question.name


def read_answers(questionnaire: Form, fields: Mapping[str, Sequence[str]]) -> FormAnswers:
    """The answers in the fields; other fields are ignored. Raises Forbidden for what no page offers."""
    known = {field_name(question) for question in questionnaire.questions}
    if any(name.startswith(PREFIX) and name not in known for name in fields):
        raise Forbidden("form: expected only questions of this form", "form-refused", 400)
    answers = tuple(_answer(question, fields.get(field_name(question), ())) for question in questionnaire.questions)
    return FormAnswers(form=questionnaire, given=answers)


def _answer(question: Question, values: Sequence[str]) -> FormAnswer:
    if len(values) > 1:
        raise Forbidden("form: expected at most one answer per question", "form-refused", 400)
    if not values or values[0] == "":
        return FormAnswer(question=question, state=EntryState.OPEN)
    if values[0] == DECLINED:
        return FormAnswer(question=question, state=EntryState.DECLINED)
    option = next((option for option in question.options if option.code == values[0]), None)
    if option is None:
        raise Forbidden("form: expected one of the offered answers", "form-refused", 400)
    return FormAnswer(question=question, state=EntryState.ANSWERED, option=option)


def answer_fields(answers: FormAnswers) -> dict[str, str]:
    """The inverse of `read_answers`, with the language. Open questions, and those not asked, have no field."""
    given = {
        field_name(answer.question): answer.option.code if answer.option else DECLINED
        for answer in answers.put
        if not answer.is_open
    }
    return {LANGUAGE: answers.form.language} | given


def calls_for_phq9(answers: FormAnswers) -> bool:
    """Whether the PHQ-9 should follow a PHQ-2: total at or above the cut, even if one question was declined."""
    if answers.form.instrument is not Instrument.PHQ2:
        return False
    scores = [a.option.score for a in answers.answered if a.option]
    return sum(score for score in scores if score is not None) >= DEPRESSION_CUTS[Instrument.PHQ2]


def phq9_from_phq2(answers: FormAnswers) -> FormAnswers:
    """The answers of a PHQ-2 as the first two of a PHQ-9, the rest open."""
    return answered_again(answers, form_named("phq-9", answers.form.language))


def answered_again(answers: FormAnswers, questionnaire: Form) -> FormAnswers:
    """The same answers to another form: a longer one, or the same in another language."""
    return read_answers(questionnaire, {name: [value] for name, value in answer_fields(answers).items()})
