"""The overall result of a suicide screen: on the code for a risk level (93374-7), or on a panel's own code.

By LOINC code, by the words of `codesets/level_words.csv`, yes or no, 0, and the interpretation. A low or negative
result is taken only where nothing else is said; one that is negated, or two at once, cannot be read.
"""

from __future__ import annotations

import re
from functools import cache

from fhir_adapters.codesets.terminology import LOINC, SNOMED, canonical, table
from fhir_adapters.facts import AnswerState, ItemAnswer, Result
from fhir_adapters.flaws import Flaw
from fhir_adapters.reading.questionnaires.answers import unreadable, worded_yes_or_no, yes_or_no
from fhir_adapters.reading.questionnaires.values import (
    called_abnormal,
    codings,
    folded,
    has_value,
    interpretations,
    number_in,
    recorded,
    unanswered,
)
from fhir_adapters.resources import r4

CODED = {"LA9194-7": Result.LOW, "LA6751-7": Result.MODERATE, "LA9193-9": Result.HIGH}
INTERPRETED = {
    "POS": Result.POSITIVE,
    **dict.fromkeys(("H", "HH"), Result.HIGH),
    **dict.fromkeys(("L", "LL"), Result.LOW),
    **dict.fromkeys(("N", "NEG", "ND"), Result.NEGATIVE),
}
QUIET = {Result.LOW, Result.NEGATIVE}


def overall_level(value: r4.Value) -> Result | None:
    """The overall result, or None where none can be read: the graver of value and interpretation.

    A quiet interpretation counts only where there is no value.
    """
    flagged = {INTERPRETED[code] for code in interpretations(value) if code in INTERPRETED}
    if not has_value(value):
        return max(flagged, key=tuple(Result).index, default=None)
    claims = _claims(value)
    graver = flagged - QUIET
    if len(claims) > 1 or None in claims or (claims <= QUIET and called_abnormal(value) and not graver):
        return None
    return max((r for r in (*claims, *graver) if r), key=tuple(Result).index, default=None)


def unread_level(value: r4.Value, reference: str) -> ItemAnswer:
    """Why there is no overall result that can be read: blank, declined or unreadable, as a question named "level"."""
    if _claims(value) - {None} and has_value(value):
        return unreadable("level", reference, Flaw.ANSWER_CONTRADICTS)
    return ItemAnswer(item="level", state=unanswered(value), reference=reference)


def _claims(value: r4.Value) -> set[Result | None]:
    """What code and words say, one result where they agree; None for words that are negated, or say two things."""
    claims: set[Result | None] = set()
    for coding in codings(value):
        system = canonical(coding.system or LOINC)
        if system == LOINC and coding.code in CODED:
            claims.add(CODED[coding.code])
        elif system not in (LOINC, SNOMED):
            claims |= _said(folded((coding.code or "")[:LONGEST_CODE])) - {None}
    for text in recorded(value):
        claims |= _said(text)
    if not claims:
        yes = yes_or_no("level", value, "").yes
        # Which scale a number is of is not known: 0 alone says something on all of them.
        if yes is False or (yes and number_in(value) is None):
            claims.add(Result.POSITIVE if yes else Result.NEGATIVE)
    return _joined(claims)


LONGEST_CODE = 64


def _said(text: str) -> set[Result | None]:
    """What a text (lower case, without accents) says; empty where it holds no word of a result."""
    if worded_yes_or_no(text) is False:
        return {Result.NEGATIVE}
    results, finder = _words()
    plain = re.sub(r"[\W_]+", " ", text)
    kinds = {results[words] for words in finder.findall(plain)}
    said = _joined({Result(kind) for kind in kinds - {"unclear", "beside"}})
    more = re.search(r"[^\W\d]", finder.sub("", plain))
    unclear = "unclear" in kinds or len(said) > 1 or (more and said & QUIET)
    return {None} if unclear else said


@cache
def _words() -> tuple[dict[str, str], re.Pattern[str]]:
    """Each word or phrase with its result, and a pattern that finds them, the longest first."""
    results = {row["words"]: row["result"] for row in table("level_words")}
    longest_first = sorted(results, key=len, reverse=True)
    return results, re.compile(rf"\b(?:{'|'.join(longest_first)})\b")


def _joined(results: set[Result | None]) -> set[Result | None]:
    """Results without those that add nothing: "positive" beside a level, "low" beside "negative", "acute" and high."""
    if Result.POSITIVE in results and results - {Result.POSITIVE, Result.LOW, Result.NEGATIVE}:
        results = results - {Result.POSITIVE}
    if results & {Result.POSITIVE, Result.NEGATIVE}:
        results = results - {Result.LOW}
    return results - {Result.ACUTE} if Result.HIGH in results else results


SEVERITY = {"LA30370-3": 1, "LA30371-1": 2, "LA30372-9": 3, "LA30373-7": 4, "LA30374-5": 5}


def most_severe(value: r4.Value, reference: str) -> ItemAnswer:
    """The most severe ideation (93293-9) as an answer to the item of its rank; rank 0 is a no to item 1."""
    rank = next((SEVERITY[c.code] for c in codings(value) if c.code in SEVERITY), None)
    number = rank if rank is not None else number_in(value)
    if number is None or number not in range(6):
        return ItemAnswer(item="q1", state=unanswered(value), reference=reference)
    return ItemAnswer(item=f"q{max(1, int(number))}", state=AnswerState.ANSWERED, yes=number > 0, reference=reference)
