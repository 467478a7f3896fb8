"""One answer of a screening form, in any of its FHIR shapes.

Coded, boolean, integer, quantity and text answers are read alike. A value that is not a step of its scale is
unreadable, never rounded; a missing one is blank or declined, never zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from operator import attrgetter

from fhir_adapters.codesets.terminology import LOINC, SNOMED, YES_NO, canonical, table
from fhir_adapters.facts import AnswerState, ItemAnswer
from fhir_adapters.flaws import Flaw
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.questionnaires.values import (
    called_abnormal,
    codings,
    has_value,
    interpretations,
    number_in,
    texts_in,
    unanswered,
)
from fhir_adapters.resources import r4


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
    """A graded answer: by LOINC answer code, ordinalValue or number, known words, and yes or no, which must agree.

    A value that is not a step of the scale is unreadable: weights shipped with forms are not trusted
    (docs/clinical-sources.md S1), so beside an answer code such a weight is left aside. So is an answer whose code,
    weight and words have no score in common (R4), or a 0 that is called abnormal. A readable value wins over a
    data-absent reason.
    """
    scores, words = scores_by_code(instrument), _words_of(instrument, item)
    option = _option_alone(value, scores, words)
    if option is not None:
        return ItemAnswer(item=item, state=AnswerState.ANSWERED, score=option, reference=reference)
    said = {scores[c.code] for c in codings(value) if c.code in scores and canonical(c.system or LOINC) == LOINC}
    if instrument is Instrument.EPDS:
        own = {c.code for c in codings(value) if c.system == OWN_ANSWERS}
        said |= {score for score in range(instrument.spec.top_item + 1) if f"{item}.{score}" in own}
    number = _auditc_number(item, value) if instrument is Instrument.AUDITC else number_in(value)
    if number is not None and number in range(instrument.spec.top_item + 1):
        said.add(int(number))
    elif number is not None and not said:
        return unreadable(item, reference, Flaw.ANSWER_OFF_SCALE)
    other_texts = []
    for text in texts_in(value):
        if text in words:
            said.add(words[text])
        else:
            other_texts.append(text)
    yes_or_no = _yes_or_no_in(value, other_texts)
    if not said and not yes_or_no:
        return ItemAnswer(item=item, state=unanswered(value), reference=reference)
    above = yes_or_no | {score > 0 for score in said}
    if len(said) > 1 or len(above) > 1 or (above == {False} and called_abnormal(value)):
        return unreadable(item, reference, Flaw.ANSWER_CONTRADICTS)
    yes = None if said else above == {True}
    score = min(said) if said else None if yes else 0
    return ItemAnswer(item=item, state=AnswerState.ANSWERED, score=score, yes=yes, reference=reference)


# The answer codes of our EPDS, for which there are no standard ones: `item.score`.
OWN_ANSWERS = "urn:mental-health-cds:answer:epds"


def _option_alone(value: r4.Value, scores: Mapping[str, int], words: Mapping[str, int]) -> int | None:
    """The score of one answer code whose words agree, where the value holds nothing else, as most do; else None."""
    concept = value.value_codeable_concept
    if concept is None or len(concept.coding) != 1 or BESIDE_CONCEPT(value) != NOTHING_BESIDE:
        return None
    coding = concept.coding[0]
    score = scores.get(coding.code or "")
    if coding.system != LOINC or coding.extension:
        return None
    for text in (coding.display, concept.text):
        if text and words.get(text.lower()) != score:
            return None
    return score


BESIDE_CONCEPT = attrgetter(
    "value_coding", "value_integer", "value_decimal", "value_quantity", "value_string", "value_boolean",
    "interpretation",
)  # fmt: skip
NOTHING_BESIDE = (None, None, None, None, None, None, ())


def unreadable(item: str, reference: str, flaw: Flaw | None = None) -> ItemAnswer:
    """An answer that cannot be read, and what is wrong with it."""
    return ItemAnswer(item=item, state=AnswerState.UNREADABLE, reference=reference, flaw=flaw)


def _auditc_number(item: str, value: r4.Value) -> float | None:
    """An AUDIT-C score; a quantity of drinks becomes the score of its band, any other unit gives None."""
    number = number_in(value)
    if number is None:
        return None
    quantity = value.value_quantity
    unit = ((quantity.code or quantity.unit or "") if quantity else "").lower()
    if unit in ("", "1", "{score}", "score", "{points}", "points", "pts"):
        return number
    if item != "2" or "drink" not in unit or number < 0:
        return None
    return float(sum(number >= more for more in DRINKS_FROM))


# The drinks on a drinking day from which AUDIT-C's second item scores each further point.
DRINKS_FROM = (3, 5, 7, 10)


@cache
def _words_of(instrument: Instrument, item: str) -> dict[str, int]:
    """The response options of an item in words with their scores, lower case without accents."""
    own = instrument.spec.scale.words if instrument.spec.scale else None
    rows = table("answer_words")
    return {row["words"]: int(row["score"]) for row in rows if row["instrument"] == own and row["item"] in (item, "*")}


def yes_or_no(item: str, value: r4.Value, reference: str) -> ItemAnswer:
    """A yes/no answer: boolean, coded, 1 or 0, the word, or else the interpretation; what is there must agree."""
    said = _yes_or_no_in(value, texts_in(value))
    number = number_in(value)
    if number in (0.0, 1.0):
        said.add(number == 1.0)
    if not said:
        return ItemAnswer(item=item, state=unanswered(value), reference=reference)
    if len(said) > 1 or (said == {False} and called_abnormal(value)):
        return unreadable(item, reference, Flaw.ANSWER_CONTRADICTS)
    return ItemAnswer(item=item, state=AnswerState.ANSWERED, yes=True in said, reference=reference)


def _yes_or_no_in(value: r4.Value, texts: Iterable[str]) -> set[bool]:
    """Every yes and no in a value: boolean, codes, words; without a value, in its interpretation."""
    said: set[bool] = set()
    for coding in codings(value):
        if coding.code in _yes_or_no_codes() and (yes := _coded_yes_or_no(coding)) is not None:
            said.add(yes)
    if len(said) > 1:
        return {True}  # the worse of contradictory codings
    for text in texts:
        if (yes := worded_yes_or_no(text)) is not None:
            said.add(yes)
    if value.value_boolean is not None:
        said.add(value.value_boolean)
    if not said and not has_value(value):
        flags = interpretations(value)
        said = {True} if "POS" in flags else {False} if "NEG" in flags else set()
    return said


@cache
def _yes_or_no_codes() -> frozenset[str]:
    return frozenset(("Y", "N", *(code for _, code in yes_no_codes())))


def _coded_yes_or_no(coding: r4.Coding) -> bool | None:
    code, system = coding.code or "", canonical(coding.system or "")
    if system == YES_NO:
        return {"Y": True, "N": False}.get(code)
    known = yes_no_codes()
    if not system:  # a listed code without a system is read too
        return known.get((LOINC, code), known.get((SNOMED, code)))
    return known.get((system, code))


def worded_yes_or_no(text: str) -> bool | None:
    """What a text (lower case, without accents) answers: yes where it begins so, no where it holds nothing else.

    Negation is read by `codesets/yes_no_words.csv`: a no, and after it words of denial. "No, but ..." is neither.
    """
    if text in YES_WORDS:
        return YES_WORDS[text]
    yes, no = _beginnings()
    return True if yes.match(text) else False if no.fullmatch(text) else None


YES_WORDS = {row["words"]: row["says"] == "yes" for row in table("yes_no_words") if row["says"] in ("yes", "no")}


@cache
def _beginnings() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A text that begins with yes, and one that says no and nothing else. A single letter or digit begins nothing."""
    rows = [(row["says"], row["words"]) for row in table("yes_no_words") if len(row["words"]) > 1]
    yes = "|".join(re.escape(words) for says, words in rows if says == "yes")
    no = "|".join(re.escape(words) for says, words in rows if says == "no")
    after = "|".join(re.escape(words) for says, words in rows if says != "yes")
    return re.compile(rf"(?:{yes})\b"), re.compile(rf"(?:{no})(?:[\s,.;:()-]+(?:{after}))*[\s.]*")
