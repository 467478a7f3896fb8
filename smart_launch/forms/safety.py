"""The self-harm item on a form: an answer that calls for action, and whom to call. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from explanations.words.help_lines import crisis_text
from explanations.words.language import Language
from explanations.words.notices.notice import NoticeSettings
from explanations.words.pages.note import safety_words
from fhir_adapters.writing.questionnaires import FormAnswers


@dataclass(frozen=True, slots=True, kw_only=True)
class CrisisHelp:
    """Whom to call: the crisis lines of the site's country, and the site's own contact, if set."""

    crisis: str
    contact: str | None


def crisis_help(settings: NoticeSettings, today: date, say: Language) -> CrisisHelp:
    """Whom to call, on a page of this site."""
    return CrisisHelp(crisis=crisis_text(settings.country, today, say).replace("**", ""), contact=settings.contact)


def safety_answer(answers: FormAnswers, say: Language) -> str:
    """The answer to the self-harm item in words if above “not at all” or declined; else empty."""
    answer = answers.safety
    if answer is None or (answer.option and not answer.option.score):
        return ""
    return safety_words(answers, say)
