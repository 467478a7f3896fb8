"""What a value says in answer to a question about self-harm that no reader knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from fhir_adapters.codesets.terminology import table
from fhir_adapters.facts import AnswerState
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.net.statements import Says, says
from fhir_adapters.reading.net.vocabulary import finder
from fhir_adapters.reading.questionnaires.answers import YES_WORDS, graded
from fhir_adapters.reading.questionnaires.levels import QUIET, overall_level
from fhir_adapters.reading.questionnaires.values import (
    absence,
    as_recorded,
    folded,
    interpretations,
    is_empty,
    number_in,
    texts_in,
)
from fhir_adapters.resources import r4


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a value says. NOTHING: there is no value.

    `spoken`: what its own words say of self-harm, whatever was asked. `graver`: by its words, a level or a frequency,
    so more than a yes. `plain`: the answer as recorded, where it is a known option and so safe to show. `number`: a
    bare number, which says nothing unless 0, since its scale is not known.
    """

    says: Says
    spoken: Says = Says.NOTHING
    graver: bool = False
    plain: str | None = None
    number: float | None = None


NOTHING = Said(says=Says.NOTHING)


def said(value: r4.Value) -> Said:
    """What a value says: by its own words, then as an option of a known scale, a level, yes or no, or a number."""
    if is_empty(value):
        return NOTHING if value.data_absent_reason is not None else _interpretation(value)
    spoken = max((says(folded(text)) for text in as_recorded(value)), default=Says.NOTHING)
    if spoken is not Says.NOTHING:
        return Said(says=spoken, spoken=spoken, graver=spoken is Says.YES)
    if absence(value) is AnswerState.DECLINED:
        return Said(says=Says.UNCLEAR)
    texts = texts_in(value)
    number = number_in(value)
    if number is not None and all(re.fullmatch(r"[\d.,\s]*", text) for text in texts):
        return Said(says=Says.NO if number == 0 else Says.UNCLEAR, number=number)
    return _as_option(value)


def _as_option(value: r4.Value) -> Said:
    """The value as an option of a known scale, as yes or no, or as a level; what disagrees with itself is unclear."""
    option = graded("words", value, Instrument.PHQ9, "")
    if option.state is not AnswerState.ANSWERED and not option.flaw:
        option = graded("10", value, Instrument.EPDS, "")
    plain = next((text for text in as_recorded(value) if folded(text) in _options()), None)
    grave = any(finder("grave").search(folded(text)) for text in as_recorded(value))
    if option.score is not None:
        return Said(says=Says.YES if option.score else Says.NO, graver=True, plain=plain)
    if option.yes is not None:
        return Said(says=Says.YES if option.yes else Says.NO, graver=grave, plain=plain)
    level = None if option.flaw else overall_level(value)
    if level is None:
        return Said(says=Says.UNCLEAR)
    return Said(says=Says.NO if level in QUIET else Says.YES, graver=True, plain=plain)


def _interpretation(value: r4.Value) -> Said:
    """An interpretation without a value: POS is a yes, NEG or N a no; another is unclear."""
    flags = interpretations(value)
    if not flags:
        return NOTHING
    if "POS" in flags:
        return Said(says=Says.YES, graver=True)
    return Said(says=Says.NO if flags <= {"NEG", "N", "ND"} else Says.UNCLEAR)


@cache
def _options() -> frozenset[str]:
    """The options of all known scales, and the words for levels."""
    rows = (*table("answer_words"), *table("level_words"))
    return frozenset((*YES_WORDS, *(row["words"] for row in rows)))
