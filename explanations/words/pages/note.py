"""A form filled in here, in plain words: its total with the band, and a text for the clinician's own note."""

from __future__ import annotations

from datetime import datetime

from explanations.words.findings.answers import item_words, screen_words
from explanations.words.language import Language, clock
from explanations.words.pages.trends import BAND_WORDS
from fhir_adapters.facts import AnswerState, ItemAnswer
from fhir_adapters.writing.questionnaires import FormAnswer, FormAnswers


def total_words(answers: FormAnswers, say: Language, *, bands: bool) -> str:
    """`PHQ-9 total 11 of 27, moderate`; without a total, that there is none and why; of a screen, its result.

    bands: whether the region names them.
    """
    total, spec = answers.total, answers.form.instrument.spec
    if answers.screen_result:
        return screen_words(answers.screen_result, answers.form.instrument, say.safe)
    if total is None:
        return say("{title}: no total; a declined answer is not counted as zero", title=spec.title)
    band = spec.band(total) if bands else None
    words = say("{title} total {total} of {top}", title=spec.title, total=total, top=spec.top_total)
    return say("{total}, {band}", total=words, band=say(BAND_WORDS[band])) if band else words


def safety_words(answers: FormAnswers, say: Language) -> str:
    """`PHQ-9 item 9: 1 of 3, several days`; empty for a form without the item, or where it is open."""
    answer = answers.safety
    if answer is None or answer.is_open:
        return ""
    item = ItemAnswer(
        item=answer.question.item or "",
        state=AnswerState.ANSWERED if answer.option else AnswerState.DECLINED,
        reference="",
        score=answer.option.score if answer.option else None,
    )
    return item_words(item, answers.form.instrument, say)


def note_of(answers: FormAnswers, at: datetime, by: str | None, say: Language, *, bands: bool) -> str:
    """Lines of plain text: what was asked when and by whom, total, item 9, each answer. `at`: in the site's zone."""
    title, day, time = answers.form.title, say.day(at.date()), clock(at)
    if by:
        asked = say("{title}, {day} {time}, entered by {name}", title=title, day=day, time=time, name=by)
    else:
        asked = say("{title}, {day} {time}", title=title, day=day, time=time)
    given = [_answer(answer, say) for answer in answers.put if not answer.is_open]
    return "\n".join(
        line for line in (asked, total_words(answers, say, bands=bands), safety_words(answers, say), *given) if line
    )


def _answer(answer: FormAnswer, say: Language) -> str:
    question = answer.question
    named = {"number": question.number, "question": question.text}
    if answer.option is None:
        return say("{number}. {question}: declined", **named)
    if answer.option.score is None:
        return say("{number}. {question}: {answer}", answer=answer.option.words, **named)
    return say(
        "{number}. {question}: {answer} ({score})", answer=answer.option.words, score=answer.option.score, **named
    )
