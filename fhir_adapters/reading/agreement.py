"""Whether the words of a question agree with its code (R4).

Only words that are known to mean something else contradict: words on self-harm under the code of another item, the
words of another item of the PHQ-9 (`codesets/question_words.csv`), the name of another instrument. Suicide screens
share their questions and names, so their codes are never doubted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from fhir_adapters.codesets.questions import Target, targets
from fhir_adapters.codesets.terminology import table
from fhir_adapters.flaws import Flaw
from fhir_adapters.instruments import NINE_ITEM_PHQ
from fhir_adapters.kept import kept_without_texts
from fhir_adapters.reading.net.statements import Asks, asks
from fhir_adapters.reading.net.vocabulary import is_on_self_harm, named_instrument
from fhir_adapters.reading.questionnaires.values import folded
from fhir_adapters.resources import r4

LONGEST_QUESTION = 1000


def question_doubt(target: Target, concept: r4.CodeableConcept | None) -> Flaw | None:
    """What is wrong with a coded question: its texts and displays, and the other codes beside its own."""
    if concept is None or target.instrument.spec.yes_no:
        return None
    others = [targets()[c.code] for c in concept.coding if c.code in targets()]
    if not is_on_self_harm(target) and any(map(is_on_self_harm, others)):
        return Flaw.SELF_HARM_UNDER_OTHER_CODE
    return words_doubt(target, (concept.text, *(c.display for c in concept.coding)))


def words_doubt(target: Target, texts: Iterable[str | None]) -> Flaw | None:
    """What is wrong with a question whose texts are these."""
    if target.instrument.spec.yes_no:
        return None
    return _doubt(target, tuple(text for text in texts if text and len(text) <= LONGEST_QUESTION))


@kept_without_texts
def _doubt(target: Target, texts: tuple[str, ...]) -> Flaw | None:
    plain = [re.sub(r"\[[^\]]*\]", " ", folded(text)) for text in texts]
    on_self_harm = any(asks(text) in (Asks.SELF_HARM, Asks.DENIAL) for text in plain)
    if on_self_harm and is_on_self_harm(target):
        return None
    if on_self_harm and target.item.isdigit():
        return Flaw.SELF_HARM_UNDER_OTHER_CODE
    items = {item for text in plain for item in _items_of_phq9(text)} if target.instrument in NINE_ITEM_PHQ else set()
    names = {name.title for text in plain if (name := named_instrument(text))}
    other_item = target.item.isdigit() and items and target.item not in items
    return (
        Flaw.QUESTION_CONTRADICTS
        if other_item or (names and _group(target.instrument.spec.title) not in map(_group, names))
        else None
    )


def _group(title: str) -> str:
    """`PHQ` for all forms of it, since they share their questions."""
    return title.partition("-")[0]


def _items_of_phq9(text: str) -> set[str]:
    return {item for item, words in _words() if words in text}


@cache
def _words() -> tuple[tuple[str, str], ...]:
    return tuple((row["item"], row["words"]) for row in table("question_words"))
