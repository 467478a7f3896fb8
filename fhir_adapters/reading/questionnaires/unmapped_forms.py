"""Responses that are not mapped to an instrument, and may hold a safety answer all the same."""

from __future__ import annotations

import re

from fhir_adapters.instruments import SAFETY_ITEMS, Instrument
from fhir_adapters.reading.questionnaires.answers import graded, scores_by_code
from fhir_adapters.reading.questionnaires.response_items import items_of
from fhir_adapters.reading.questionnaires.values import codings, is_empty
from fhir_adapters.resources import r4

NAMES_A_FORM = re.compile("|".join(i.spec.known_by for i in Instrument if i.spec.known_by), re.IGNORECASE)


def seems_a_screen(response: r4.QuestionnaireResponse) -> bool:
    """Whether a response is, by its canonical or its answer codes, one of the instruments: read or not read."""
    scores = {code for instrument in SAFETY_ITEMS for code in scores_by_code(instrument)}

    coded = any(c.code in scores for item in items_of(response) for answer in item.answer for c in codings(answer))
    return bool(NAMES_A_FORM.search(response.questionnaire or "")) or coded


ASKS_OF_SELF_HARM = re.compile(
    r"suicid|better off dead|(?:hurt|harm|kill)ing (?:your|my)self|self[- ]harm", re.IGNORECASE
)


def words_name_an_answer(response: r4.QuestionnaireResponse) -> bool:
    """Whether a question that is not mapped asks of self-harm in its words and has an answer that is no plain no."""
    return any(
        ASKS_OF_SELF_HARM.search((item.text or "")[:1000])
        and not is_empty(answer)
        and (said := graded("words", answer, Instrument.PHQ9, "")).score != 0
        and said.yes is not False
        for item in items_of(response)
        for answer in item.answer
    )
