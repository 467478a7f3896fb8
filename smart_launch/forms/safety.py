"""The self-harm item on a form: an answer that calls for action, and whom to call. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from explanations.words.findings.answers import item_words
from explanations.words.help_lines import crisis_text
from explanations.words.language import Language
from explanations.words.notices.notice import NoticeSettings
from fhir_adapters.facts import AnswerState, ItemAnswer
from fhir_adapters.writing.questionnaires import EntryState, FormAnswers


@dataclass(frozen=True, slots=True, kw_only=True)
class CrisisHelp:
    """Whom to call: the crisis lines of the site's country, and the site's own contact, if set."""

    crisis: str
    contact: str | None


def crisis_help(settings: NoticeSettings, today: date, say: Language) -> CrisisHelp:
    """Whom to call, on a page of this site."""
    return CrisisHelp(crisis=crisis_text(settings.country, today, say).replace("**", ""), contact=settings.contact)


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyAnswer:
    """An answer to the self-harm item that calls for action: in words, and whether it was declined."""

    words: str
    declined: bool


def safety_answer(answers: FormAnswers, say: Language) -> SafetyAnswer | None:
    """The answer to the self-harm item if above “not at all” or declined; else None."""
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
    return SafetyAnswer(words=item_words(item, answers.form.instrument, say), declined=declined)
