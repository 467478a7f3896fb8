"""Responses that are not mapped to an instrument but may still hold a safety answer."""

from __future__ import annotations

import re
from functools import cache

from fhir_adapters.instruments import SAFETY_ITEMS, Instrument
from fhir_adapters.reading.questionnaires.answers import graded, scores_by_code
from fhir_adapters.reading.questionnaires.response_items import items_of
from fhir_adapters.reading.questionnaires.values import codings, is_empty
from fhir_adapters.resources import r4

NAMES_A_FORM = re.compile("|".join(i.spec.known_by for i in Instrument if i.spec.known_by), re.IGNORECASE)


def seems_a_screen(response: r4.QuestionnaireResponse) -> bool:
    """Whether a response is one of the instruments, by its canonical or its answer codes."""
    return bool(NAMES_A_FORM.search(response.questionnaire or "")) or any(
        coding.code in _answer_codes()
        for item in items_of(response)
        for answer in item.answer
        for coding in codings(answer)
    )


@cache
def _answer_codes() -> frozenset[str]:
    """The answer codes of every instrument with a question on self-harm."""
    return frozenset(code for instrument in SAFETY_ITEMS for code in scores_by_code(instrument))


ASKS_OF_SELF_HARM = re.compile(
    r"suicid|better off dead|(?:hurt|harm|kill)ing (?:your|my)self|self[- ]harm", re.IGNORECASE
)


def words_name_an_answer(response: r4.QuestionnaireResponse) -> bool:
    """Whether an unmapped question asks about self-harm in its text and its answer is not a plain no."""
    return any(
        ASKS_OF_SELF_HARM.search((item.text or "")[:1000])
        and not is_empty(answer)
        and (result := graded("words", answer, Instrument.PHQ9, "")).score != 0
        and result.yes is not False
        for item in items_of(response)
        for answer in item.answer
    )
