"""The content of a FHIR value of any type: codings, a number, words, or a reason for its absence."""

from __future__ import annotations

import math
import re
import unicodedata
from operator import attrgetter

from fhir_adapters.codesets.terminology import SNOMED, canonical
from fhir_adapters.facts import AnswerState
from fhir_adapters.resources import r4

ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"

REFUSED = {
    "asked-declined",
    "refused",
    "declined",
    "asked but declined",
    "patient declined",
    "patient refused",
    "refuse",
    "refused to answer",
    "prefer not to answer",
    "prefiere no contestar",
    "no desea contestar",
    "se nego a contestar",
}
REFUSED_CODES = {(SNOMED, "720834000")}
# Data-absent reasons that mean not asked or not filled in; the short ones are null flavours.
NOT_ASKED = {"not-asked", "unknown", "temp-unknown", "asked-unknown", "not-applicable", "not-performed",
             "UNK", "NASK", "ASKU", "NAV", "NI"}  # fmt: skip


def codings(value: r4.Value) -> list[r4.Coding]:
    """The codings of a value, in a concept or standalone."""
    held = value.value_codeable_concept.coding if value.value_codeable_concept else []
    return [*held, value.value_coding] if value.value_coding else held


def number_in(value: r4.Value) -> float | None:
    """The number in a value, from an integer, decimal, quantity, ordinalValue extension or numeric text."""
    recorded = _number_recorded(value)
    try:
        number = r4.as_number(recorded) if recorded is not None else None
    except (ValueError, OverflowError):
        return None
    return number if number is not None and math.isfinite(number) else None


def _number_recorded(value: r4.Value) -> float | str | None:
    for coding in codings(value):
        for extension in coding.extension:
            ordinal = extension.value_integer if extension.value_decimal is None else extension.value_decimal
            if extension.url == ORDINAL and ordinal is not None:
                return ordinal
    if value.value_integer is not None:
        return value.value_integer
    if value.value_decimal is not None:
        return value.value_decimal
    quantity = value.value_quantity
    if quantity and quantity.value is not None and not quantity.comparator:
        return quantity.value
    return value.value_string


def as_recorded(value: r4.Value) -> list[str]:
    """The texts of a value, unchanged, each once."""
    concept = value.value_codeable_concept
    texts = dict.fromkeys([value.value_string, concept.text if concept else None, *[c.display for c in codings(value)]])
    return [text for text in texts if text]


def recorded(value: r4.Value) -> list[str]:
    """The texts of a value in lower case without accents."""
    # A longer text is not an answer, and would be slow to search.
    return [folded(text) for text in as_recorded(value) if len(text) <= LONGEST_ANSWER]


def texts_in(value: r4.Value) -> list[str]:
    """The texts of a value in lower case without accents, as they are and without a score before or after."""
    texts = recorded(value)
    for text in texts[:]:
        if text[:1] in "0123456789yn" or text[-1:] in ").!":
            texts.append(SCORE_BEFORE.sub("", _without_note(text)).rstrip(" ."))
    return texts


# "3 - Nearly every day", "Y - Yes"
SCORE_BEFORE = re.compile(r"^[\dyn]\s?(?:[=:.]|-\s)\s?")


LONGEST_ANSWER = 500


def _without_note(text: str) -> str:
    """A text without a trailing note in brackets."""
    return text[: text.rfind("(")].strip() if text.endswith(")") and "(" in text else text


def folded(text: str) -> str:
    """A text in lower case, without accents."""
    plain = text.strip().lower()
    if plain.isascii():
        return plain
    apart = unicodedata.normalize("NFKD", plain.translate(UNSEEN))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


# Soft hyphens, spaces of no width and marks of direction, which editors leave inside words.
UNSEEN = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF))


def has_value(value: r4.Value) -> bool:
    """Whether there is a value of any type, readable or not."""
    if value.value_codeable_concept is not None or value.value_quantity is not None:
        return True
    readable, foreign = READABLE(value), FOREIGN(value)
    return readable.count(None) < len(readable) or foreign.count(r4.NOT_THERE) < len(foreign)


READABLE = attrgetter(
    "value_coding", "value_integer", "value_decimal", "value_string", "value_boolean",
)  # fmt: skip
FOREIGN = attrgetter(
    "value_range", "value_ratio", "value_period", "value_date", "value_time", "value_date_time", "value_sampled_data",
    "value_uri", "value_reference", "value_attachment",
)  # fmt: skip


def absence(value: r4.Value) -> AnswerState | None:
    """Why there is no answer, where a reason is given: declined, blank, or unreadable for an unknown reason."""
    reasons = [c.code for c in value.data_absent_reason.coding] if value.data_absent_reason else []
    refused = any((canonical(c.system or ""), c.code) in REFUSED_CODES or c.code in REFUSED for c in codings(value))
    if refused or "asked-declined" in reasons or any(text in REFUSED for text in texts_in(value)):
        return AnswerState.DECLINED
    if value.data_absent_reason is not None:
        return AnswerState.BLANK if reasons and set(reasons) <= NOT_ASKED else AnswerState.UNREADABLE
    return None


def is_empty(value: r4.Value) -> bool:
    """Whether there is no value, not even an unreadable one."""
    return not has_value(value) and absence(value) is not AnswerState.UNREADABLE


# Interpretations that call a result abnormal; its other codes are "normal", or say nothing of it.
ABNORMAL = {"POS", "A", "AA", "H", "HH", "HU"}


def interpretations(value: r4.Value) -> set[str]:
    """The codes of a value's interpretation, and the codes that its words stand for."""
    codes = {c.code for concept in value.interpretation for c in concept.coding if c.code}
    words = [
        t for i in value.interpretation for t in (i.text, *(c.display for c in i.coding), *(c.code for c in i.coding))
    ]
    return codes | {
        INTERPRETED[plain] for text in words if text and (plain := folded(text[:LONGEST_ANSWER])) in INTERPRETED
    }


INTERPRETED = {"positive": "POS", "abnormal": "A", "high": "H", "negative": "NEG", "normal": "N", "low": "L"}


def called_abnormal(value: r4.Value) -> bool:
    """Whether the interpretation calls the result positive or abnormal."""
    return not interpretations(value).isdisjoint(ABNORMAL)


def unanswered(value: r4.Value) -> AnswerState:
    """Why a value that says nothing known is no answer. Without a value, an abnormal interpretation is unreadable."""
    there = has_value(value) or called_abnormal(value)
    return absence(value) or (AnswerState.UNREADABLE if there else AnswerState.BLANK)
