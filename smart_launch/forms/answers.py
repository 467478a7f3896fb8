"""What a page sends about a PHQ to the answers that were given. Pure; nothing is guessed and nothing filled in.

A field is named after the LOINC code of its question; its value is the code of an answer, or `declined`. A value, name
or repetition that our page cannot have sent is refused as a whole (NotAllowed); a question left open is not: it is
named, so that the page can ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from explanations.words.answers import item_words
from explanations.words.help_lines import crisis_text
from explanations.words.language import Language
from explanations.words.notices import NoticeSettings
from fhir_adapters.facts import AnswerState, ItemAnswer
from fhir_adapters.instruments import DEPRESSION_CUTS, Instrument
from fhir_adapters.writing.questionnaires import FORMS, EntryState, Form, FormAnswer, FormAnswers, Question, form
from smart_launch.errors import NotAllowed

PREFIX = "q-"
DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """Whom to call: the crisis lines of the site's country, and its own contact, where it has set one."""

    crisis: str
    contact: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """What an answer to the item on self-harm calls for; the steps are on the page. said: the answer in words."""

    said: str
    declined: bool


def form_named(name: str) -> Form:
    """The form of an address. Raises NotAllowed."""
    if name not in FORMS:
        raise NotAllowed("form: expected one that we put", "no-page", 404)
    return form(name)


def field_of(question: Question) -> str:
    """The name of the field of a question."""
    return PREFIX + question.code


def answers_in(asked: Form, fields: Mapping[str, Sequence[str]]) -> FormAnswers:
    """The answers in the fields of a page. Raises NotAllowed for what the page does not offer.

    Fields of other names are not looked at.
    """
    known = {field_of(question) for question in asked.questions}
    if any(name.startswith(PREFIX) and name not in known for name in fields):
        raise NotAllowed("form: expected the questions of the form alone", "form-refused", 400)
    return FormAnswers(form=asked, given=tuple(_answer(q, fields.get(field_of(q), ())) for q in asked.questions))


def _answer(question: Question, values: Sequence[str]) -> FormAnswer:
    if len(values) > 1:
        raise NotAllowed("form: expected one answer a question", "form-refused", 400)
    if not values or values[0] == "":
        return FormAnswer(question=question, state=EntryState.OPEN)
    if values[0] == DECLINED:
        return FormAnswer(question=question, state=EntryState.DECLINED)
    option = next((option for option in question.options if option.code == values[0]), None)
    if option is None:
        raise NotAllowed("form: expected one of the answers of the page", "form-refused", 400)
    return FormAnswer(question=question, state=EntryState.ANSWERED, option=option)


def fields_of(answers: FormAnswers) -> dict[str, str]:
    """Answers as the fields that a page sends: what `answers_in` reads. Open questions have none."""
    said = {
        a.question: a.option.code if a.option else DECLINED for a in answers.given if a.state is not EntryState.OPEN
    }
    return {field_of(question): value for question, value in said.items()}


def calls_for_phq9(answers: FormAnswers) -> bool:
    """Whether a PHQ-2 is to be followed by the PHQ-9: from the cut on, whatever was declined beside it."""
    if answers.form.instrument is not Instrument.PHQ2:
        return False
    scores = [a.option.score for a in answers.answered if a.option]
    return sum(score for score in scores if score is not None) >= DEPRESSION_CUTS[Instrument.PHQ2]


def carried_over(answers: FormAnswers) -> FormAnswers:
    """The answers of a PHQ-2 as the first two of a PHQ-9, the others open."""
    return answers_in(form("phq-9"), {name: [value] for name, value in fields_of(answers).items()})


def help_of(settings: NoticeSettings, today: date) -> Help:
    """Whom to call."""
    return Help(crisis=crisis_text(settings.country, today, settings.say).replace("**", ""), contact=settings.contact)


def safety_of(answers: FormAnswers, say: Language) -> Safety | None:
    """What the answer to the item on self-harm calls for: above “not at all”, or declined; else None."""
    answer = answers.safety
    if answer is None or answer.state is EntryState.OPEN or (answer.option and not answer.option.score):
        return None
    declined = answer.option is None
    item = ItemAnswer(
        item=answer.question.item or "",
        state=AnswerState.DECLINED if declined else AnswerState.ANSWERED,
        reference="",
        score=answer.option.score if answer.option else None,
    )
    return Safety(said=item_words(item, answers.form.instrument, say), declined=declined)
