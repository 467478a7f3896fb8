"""Answers on self-harm: whether they call for action, and whom to call. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from explanations.judgement.proposals import DraftKind
from explanations.words.findings.answers import screen_words
from explanations.words.help_lines import GuidelineLink, guideline
from explanations.words.interpreter import interpreter_words
from explanations.words.language import Language
from explanations.words.notices.drafts import draft_label
from explanations.words.notices.notice import NoticeSettings
from explanations.words.pages.note import safety_words
from fhir_adapters.facts import Result
from fhir_adapters.instruments import Instrument
from fhir_adapters.writing.questionnaires import Form, FormAnswers


@dataclass(frozen=True, slots=True, kw_only=True)
class CrisisHelp:
    """Whom to call: the crisis lines of the site, and the site's own contact, if set.

    order: what to draft, by name. interpreter: that this is in English; "" where it is in the reader's language.
    """

    crisis: str
    contact: str | None
    order: str
    order_label: str
    interpreter: str = ""


def crisis_help(
    settings: NoticeSettings, today: date, say: Language, spoken: tuple[str, ...] = (), form: Form | None = None
) -> CrisisHelp:
    """Whom to call, on a page of this site. spoken: what the patient speaks, by code, beside the form's language."""
    order = settings.region.offered([DraftKind.ASSESSMENT])[0]
    spoken = (*spoken, form.language) if form else spoken
    perinatal = form is not None and form.instrument is Instrument.EPDS
    return CrisisHelp(
        crisis=settings.crisis_text(today, say, spoken=spoken, perinatal=perinatal).replace("**", ""),
        contact=settings.contact,
        order=order.value,
        order_label=draft_label(order, say.safe),
        interpreter=interpreter_words(say),
    )


def safety_answer(answers: FormAnswers, say: Language) -> str:
    """What calls for the safety steps, in words: an item above none or declined, a screen's yes; else empty."""
    if result := answers.screen_result:
        return "" if result is Result.NEGATIVE else screen_words(result, answers.form.instrument, say.safe)
    answer = answers.safety
    return safety_words(answers, say.safe) if answer and answer.calls_for_help else ""


def pathway_of(form: Form, settings: NoticeSettings) -> GuidelineLink | None:
    """Where the instrument is published with what follows from its answers; None without such a page."""
    home = form.instrument.spec.home if settings.region.homes else None
    return guideline(home) if home else None
