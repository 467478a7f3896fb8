"""One answer of a screening form, read from whatever shape it came in.

Coded, boolean, integer, quantity and text answers read alike. A value that is no step of its scale is unreadable,
never rounded; a missing one is blank or declined, never zero.
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import cache

from fhir_adapters.codesets.terminology import LOINC, SNOMED, canonical, table
from fhir_adapters.facts import AnswerState, ItemAnswer
from fhir_adapters.instruments import Instrument
from fhir_adapters.resources import r4

ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"

SAYS_YES = ("yes", "y", "true", "1", "positive", "present", "si", "positivo", "presente")
SAYS_NO = (
    "no",
    "n",
    "false",
    "0",
    "negative",
    "absent",
    "denied",
    "denies",
    "not present",
    "negativo",
    "ausente",
    "niega",
)
YES_WORDS = dict.fromkeys(SAYS_YES, True) | dict.fromkeys(SAYS_NO, False)
YES_NO_TABLES = ("v2-0136", "v2-0532")
REFUSED = {
    "asked-declined",
    "refused",
    "declined",
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
# Reasons for an absent value that mean the question was not put or not filled in; the short ones are null flavours.
NOT_ASKED = {"not-asked", "unknown", "temp-unknown", "asked-unknown", "not-applicable", "not-performed",
             "UNK", "NASK", "ASKU", "NAV", "NI"}  # fmt: skip


@cache
def scores_by_code(instrument: Instrument) -> dict[str, int]:
    """LOINC answer codes of a graded instrument with their score; a code that two questions share means one score."""
    groups = "|".join(map(re.escape, instrument.spec.scale.codes)) if instrument.spec.scale else "(?!)"
    rows = ((row["code"], re.match(rf"answer\.(?:{groups}) score=(\d)", row["group"])) for row in table("instruments"))
    return {code: int(score[1]) for code, score in rows if score}


@cache
def yes_no_codes() -> dict[tuple[str, str], bool]:
    """Coded yes and no."""
    groups = {"answer.yes": True, "answer.no": False}
    rows = table("instruments")
    return {(row["system"], row["code"]): groups[row["group"]] for row in rows if row["group"] in groups}


LEVELS = {"LA9194-7": "low", "LA6751-7": "moderate", "LA9193-9": "high"}
LEVEL_WORDS = {
    "high": "high",
    "alto": "high",
    "moderate": "moderate",
    "moderado": "moderate",
    "low": "low",
    "bajo": "low",
}
SEVERITY = {"LA30370-3": 1, "LA30371-1": 2, "LA30372-9": 3, "LA30373-7": 4, "LA30374-5": 5}


def codings(value: r4.Value) -> list[r4.Coding]:
    """The codings of a value, of a concept or by themselves."""
    found = list(value.value_codeable_concept.coding) if value.value_codeable_concept else []
    return found + ([value.value_coding] if value.value_coding else [])


def number_in(value: r4.Value) -> float | None:
    """The number in a value, from an integer, decimal, quantity, ordinalValue extension or numeric text."""
    ordinals = [
        extension.value_decimal if extension.value_decimal is not None else extension.value_integer
        for coding in codings(value)
        for extension in coding.extension
        if extension.url == ORDINAL
    ]
    quantity = value.value_quantity
    candidates = [
        *ordinals,
        value.value_integer,
        value.value_decimal,
        quantity.value if quantity and not quantity.comparator else None,
        value.value_string,
    ]
    try:
        number = next((r4.as_number(c) for c in candidates if c is not None), None)
    except (ValueError, OverflowError):
        return None
    return number if number is not None and math.isfinite(number) else None


def _texts(value: r4.Value) -> list[str]:
    """The words of a value in lower case and without accents; then again without a score before or after them."""
    concept = value.value_codeable_concept
    texts = [value.value_string, concept.text if concept else None, *(c.display for c in codings(value))]
    # No answer is longer; a longer text is none, and would take long to look through.
    plain = [_folded(text) for text in texts if text and len(text) <= LONGEST_ANSWER]
    bare = [re.sub(r"^\d\s?(?:[=:.]|-\s)\s?", "", _without_note(text)) for text in plain]
    return list(dict.fromkeys((*plain, *bare)))


LONGEST_ANSWER = 500


def _without_note(text: str) -> str:
    """A text without the note in brackets at its end."""
    return text[: text.rfind("(")].strip() if text.endswith(")") and "(" in text else text


def _folded(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.strip().lower())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def total_in(value: r4.Value) -> float | None:
    """A total: a number, or a coded answer whose code or words are one."""
    number = number_in(value)
    coded = [c.code for c in codings(value) if canonical(c.system or "") not in (LOINC, SNOMED)]
    digits = (text for text in (*_texts(value), *coded) if text and re.fullmatch(r"\d{1,2}", text))
    return number if number is not None else next((float(text) for text in digits), None)


def _absent(value: r4.Value) -> AnswerState | None:
    """Why there is no answer, if that is said: declined, blank, or a reason that we do not know."""
    reasons = [c.code for c in value.data_absent_reason.coding] if value.data_absent_reason else []
    refused = any((canonical(c.system or ""), c.code) in REFUSED_CODES or c.code in REFUSED for c in codings(value))
    if refused or "asked-declined" in reasons or any(text in REFUSED for text in _texts(value)):
        return AnswerState.DECLINED
    if value.data_absent_reason is not None:
        return AnswerState.BLANK if reasons and set(reasons) <= NOT_ASKED else AnswerState.UNREADABLE
    return None


def has_value(value: r4.Value) -> bool:
    """Whether there is a value of any type, readable or not."""
    readable = (
        value.value_quantity,
        value.value_codeable_concept,
        value.value_coding,
        value.value_integer,
        value.value_decimal,
        value.value_string,
        value.value_boolean,
    )
    foreign = (
        value.value_range, value.value_ratio, value.value_period, value.value_date, value.value_time,
        value.value_date_time, value.value_sampled_data, value.value_uri, value.value_reference, value.value_attachment,
    )  # fmt: skip
    return any(part is not None for part in readable) or any(bytes(part) for part in foreign)


def graded(item: str, value: r4.Value, instrument: Instrument, reference: str) -> ItemAnswer:
    """A graded answer: by LOINC answer code, then ordinalValue, then number, then known words, then yes or no.

    A value that is no step of the scale is unreadable: weights shipped with forms are not trusted
    (docs/clinical-sources.md S1). A value that can be read wins over a reason for its absence.
    """
    scores = scores_by_code(instrument)
    coded = {scores[c.code] for c in codings(value) if c.code in scores and canonical(c.system or LOINC) == LOINC}
    if len(coded) > 1:  # two codings that say different things are no answer, and must be seen
        return ItemAnswer(item=item, state=AnswerState.UNREADABLE, reference=reference, out_of_range=True)
    number: float | None = next(iter(coded), None)
    if number is None:
        number = _auditc_number(item, value) if instrument is Instrument.AUDITC else number_in(value)
    if number is None:
        words = _words_of(instrument, item)
        number = next((words[text] for text in _texts(value) if text in words), None)
    if number is not None:
        fits = number == int(number) and 0 <= number <= instrument.spec.top_item
        state = AnswerState.ANSWERED if fits else AnswerState.UNREADABLE
        score = int(number) if fits else None
        return ItemAnswer(item=item, state=state, score=score, reference=reference, out_of_range=not fits)
    said = _said_yes(value)
    if said is not None:
        score = None if said else 0
        return ItemAnswer(item=item, state=AnswerState.ANSWERED, yes=said, score=score, reference=reference)
    return ItemAnswer(item=item, state=_unanswered(value), reference=reference)


def _auditc_number(item: str, value: r4.Value) -> float | None:
    """A score of AUDIT-C; a quantity of drinks becomes the score of its band, one in another unit is none."""
    quantity = value.value_quantity
    unit = ((quantity.code or quantity.unit or "") if quantity else "").lower()
    number = number_in(value)
    if number is None or unit in ("", "1", "{score}", "score", "{points}", "points", "pts"):
        return number
    if item != "2" or "drink" not in unit or number < 0:
        return None
    return float(sum(number >= more for more in DRINKS_FROM))


# From how many drinks on a drinking day each further point of AUDIT-C's second question is given.
DRINKS_FROM = (3, 5, 7, 10)


@cache
def _words_of(instrument: Instrument, item: str) -> dict[str, int]:
    """The response options of a question with their scores, in English and Spanish, in lower case without accents."""
    own = instrument.spec.scale.words if instrument.spec.scale else None
    rows = table("answer_words")
    return {row["words"]: int(row["score"]) for row in rows if row["instrument"] == own and row["item"] in (item, "*")}


def yes_or_no(item: str, value: r4.Value, reference: str) -> ItemAnswer:
    """A yes/no answer: boolean, coded, 1 or 0, the word, or else the interpretation."""
    said = _said_yes(value)
    if said is None:
        return ItemAnswer(item=item, state=_unanswered(value), reference=reference)
    return ItemAnswer(item=item, state=AnswerState.ANSWERED, yes=said, reference=reference)


def _unanswered(value: r4.Value) -> AnswerState:
    return _absent(value) or (AnswerState.UNREADABLE if has_value(value) else AnswerState.BLANK)


def nothing_there(value: r4.Value) -> bool:
    """Whether there is neither a value nor a value that could not be read."""
    return not has_value(value) and _absent(value) is not AnswerState.UNREADABLE


def _said_yes(value: r4.Value) -> bool | None:
    yes_no = yes_no_codes()
    if value.value_boolean is not None:
        return value.value_boolean
    said = set()
    for coding in codings(value):
        code = coding.code or ""
        coded = yes_no.get((canonical(coding.system) if coding.system else LOINC, code))
        if coded is None and (coding.system or "").endswith(YES_NO_TABLES):
            coded = {"Y": True, "N": False}.get(code)
        said.add(coded)
    if said & {True, False}:
        return True in said  # of two that disagree the worse stands
    number = number_in(value)
    if number in (0.0, 1.0):
        return number == 1.0
    texts = _texts(value)
    worded = next((YES_WORDS[text] for text in texts if text in YES_WORDS), None)
    if worded is None and any(re.match(r"(?:yes|si)\b", text) for text in texts):
        return True
    if worded is None and not has_value(value):
        flags = {c.code for concept in value.interpretation for c in concept.coding}
        worded = True if "POS" in flags else False if "NEG" in flags else None
    return worded


def overall_level(value: r4.Value) -> str | None:
    """A coded or worded overall result: high, moderate or low."""
    coded = next((LEVELS[c.code] for c in codings(value) if c.code in LEVELS), None)
    if coded:
        return coded
    words = {word for text in _texts(value) for word in re.findall(r"[a-z]+", text)}
    return next((level for word, level in LEVEL_WORDS.items() if word in words), None)


def most_severe(value: r4.Value, reference: str) -> ItemAnswer:
    """The most severe ideation (93293-9) as an answer to the question of its rank; rank 0 is a no to question 1."""
    rank = next((SEVERITY[c.code] for c in codings(value) if c.code in SEVERITY), None)
    number = rank if rank is not None else number_in(value)
    if number is None or number not in range(6):
        return ItemAnswer(item="q1", state=_unanswered(value), reference=reference)
    return ItemAnswer(item=f"q{max(1, int(number))}", state=AnswerState.ANSWERED, yes=number > 0, reference=reference)
