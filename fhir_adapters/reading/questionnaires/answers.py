"""One answer of a screening form, in any of its FHIR shapes.

Coded, boolean, integer, quantity and text answers are read alike. A value that is not a step of its scale is
unreadable, never rounded; a missing one is blank or declined, never zero.
"""

from __future__ import annotations

import re
from functools import cache

from fhir_adapters.codesets.terminology import LOINC, SNOMED, YES_NO, canonical, table
from fhir_adapters.facts import AnswerState, ItemAnswer
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.questionnaires.values import absence, codings, has_value, number_in, texts_in
from fhir_adapters.resources import r4

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


@cache
def scores_by_code(instrument: Instrument) -> dict[str, int]:
    """LOINC answer codes of a graded instrument with their scores; a code shared by two items has one score."""
    groups = "|".join(map(re.escape, instrument.spec.scale.codes)) if instrument.spec.scale else "(?!)"
    rows = ((row["code"], re.match(rf"answer\.(?:{groups}) score=(\d)", row["group"])) for row in table("instruments"))
    return {code: int(score[1]) for code, score in rows if score}


@cache
def yes_no_codes() -> dict[tuple[str, str], bool]:
    """Coded yes and no."""
    groups = {"answer.yes": True, "answer.no": False}
    rows = table("instruments")
    return {(row["system"], row["code"]): groups[row["group"]] for row in rows if row["group"] in groups}


def total_in(value: r4.Value) -> float | None:
    """A total: a number, or a coded answer whose code or text is a number."""
    number = number_in(value)
    coded = [c.code for c in codings(value) if canonical(c.system or "") not in (LOINC, SNOMED)]
    digits = (text for text in (*texts_in(value), *coded) if text and re.fullmatch(r"\d{1,2}", text))
    return number if number is not None else next((float(text) for text in digits), None)


def graded(item: str, value: r4.Value, instrument: Instrument, reference: str) -> ItemAnswer:
    """A graded answer: by LOINC answer code, then ordinalValue, then number, then known words, then yes or no.

    A value that is not a step of the scale is unreadable: weights shipped with forms are not trusted
    (docs/clinical-sources.md S1). A readable value wins over a data-absent reason.
    """
    scores = scores_by_code(instrument)
    coded = {scores[c.code] for c in codings(value) if c.code in scores and canonical(c.system or LOINC) == LOINC}
    if len(coded) > 1:  # contradictory codings are no answer, and must be shown
        return ItemAnswer(item=item, state=AnswerState.UNREADABLE, reference=reference, out_of_range=True)
    number: float | None = next(iter(coded), None)
    if number is None:
        number = _auditc_number(item, value) if instrument is Instrument.AUDITC else number_in(value)
    if number is None:
        words = _words_of(instrument, item)
        number = next((words[text] for text in texts_in(value) if text in words), None)
    if number is not None:
        fits = number == int(number) and 0 <= number <= instrument.spec.top_item
        state = AnswerState.ANSWERED if fits else AnswerState.UNREADABLE
        score = int(number) if fits else None
        return ItemAnswer(item=item, state=state, score=score, reference=reference, out_of_range=not fits)
    yes = _said_yes(value)
    if yes is not None:
        score = None if yes else 0
        return ItemAnswer(item=item, state=AnswerState.ANSWERED, yes=yes, score=score, reference=reference)
    return ItemAnswer(item=item, state=_unanswered(value), reference=reference)


def _auditc_number(item: str, value: r4.Value) -> float | None:
    """An AUDIT-C score; a quantity of drinks becomes the score of its band, any other unit gives None."""
    quantity = value.value_quantity
    unit = ((quantity.code or quantity.unit or "") if quantity else "").lower()
    number = number_in(value)
    if number is None or unit in ("", "1", "{score}", "score", "{points}", "points", "pts"):
        return number
    if item != "2" or "drink" not in unit or number < 0:
        return None
    return float(sum(number >= more for more in DRINKS_FROM))


# The drinks on a drinking day from which AUDIT-C's second item scores each further point.
DRINKS_FROM = (3, 5, 7, 10)


@cache
def _words_of(instrument: Instrument, item: str) -> dict[str, int]:
    """The English and Spanish response options of an item with their scores, lower case without accents."""
    own = instrument.spec.scale.words if instrument.spec.scale else None
    rows = table("answer_words")
    return {row["words"]: int(row["score"]) for row in rows if row["instrument"] == own and row["item"] in (item, "*")}


def yes_or_no(item: str, value: r4.Value, reference: str) -> ItemAnswer:
    """A yes/no answer: boolean, coded, 1 or 0, the word, or else the interpretation."""
    yes = _said_yes(value)
    if yes is None:
        return ItemAnswer(item=item, state=_unanswered(value), reference=reference)
    return ItemAnswer(item=item, state=AnswerState.ANSWERED, yes=yes, reference=reference)


def _unanswered(value: r4.Value) -> AnswerState:
    return absence(value) or (AnswerState.UNREADABLE if has_value(value) else AnswerState.BLANK)


def _said_yes(value: r4.Value) -> bool | None:
    yes_no = yes_no_codes()
    if value.value_boolean is not None:
        return value.value_boolean
    answers = set()
    for coding in codings(value):
        code = coding.code or ""
        system = canonical(coding.system) if coding.system else LOINC
        coded = yes_no.get((system, code))
        if coded is None and system == YES_NO:
            coded = {"Y": True, "N": False}.get(code)
        answers.add(coded)
    if answers & {True, False}:
        return True in answers  # the worse of contradictory codings
    number = number_in(value)
    if number in (0.0, 1.0):
        return number == 1.0
    texts = texts_in(value)
    worded = next((YES_WORDS[text] for text in texts if text in YES_WORDS), None)
    if worded is None and any(re.match(r"(?:yes|si)\b", text) for text in texts):
        return True
    if worded is None and not has_value(value):
        flags = {c.code for concept in value.interpretation for c in concept.coding}
        worded = True if "POS" in flags else False if "NEG" in flags else None
    return worded


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


def overall_level(value: r4.Value) -> str | None:
    """A coded or worded overall result: high, moderate or low."""
    coded = next((LEVELS[c.code] for c in codings(value) if c.code in LEVELS), None)
    if coded:
        return coded
    words = {word for text in texts_in(value) for word in re.findall(r"[a-z]+", text)}
    return next((level for word, level in LEVEL_WORDS.items() if word in words), None)


def most_severe(value: r4.Value, reference: str) -> ItemAnswer:
    """The most severe ideation (93293-9) as an answer to the item of its rank; rank 0 is a no to item 1."""
    rank = next((SEVERITY[c.code] for c in codings(value) if c.code in SEVERITY), None)
    number = rank if rank is not None else number_in(value)
    if number is None or number not in range(6):
        return ItemAnswer(item="q1", state=_unanswered(value), reference=reference)
    return ItemAnswer(item=f"q{max(1, int(number))}", state=AnswerState.ANSWERED, yes=number > 0, reference=reference)
