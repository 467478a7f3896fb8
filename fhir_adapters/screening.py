"""Screening instruments: Observations and QuestionnaireResponses to administrations.

One `Administration` is one form filled in once, whatever shape it came in: item
Observations, a panel with members or components, a total alone, or a QuestionnaireResponse
by LOINC linkId or by the site's own map (ASQ and EPDS have no usable LOINC codes). Coded,
boolean, integer, quantity and text answers read alike. Nothing is imputed and no total is
pro-rated. What an answer means is for `models.safety_rules`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

from fhir_adapters import r4
from fhir_adapters.facts import Administration, AnswerState, Instrument, ItemAnswer, When
from fhir_adapters.terminology import LOINC, SNOMED, canonical, table

ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"

# Highest item score and highest total of the graded instruments (facts.md 1.1, 1.2).
TOP_ITEM = {Instrument.PHQ9: 3, Instrument.PHQ9M: 3, Instrument.PHQ2: 3, Instrument.EPDS: 3, Instrument.GAD7: 3}
TOP_TOTAL = {Instrument.PHQ9: 27, Instrument.PHQ9M: 27, Instrument.PHQ2: 6, Instrument.EPDS: 30, Instrument.GAD7: 21}
ITEM_COUNT = {Instrument.PHQ9: 9, Instrument.PHQ9M: 9, Instrument.PHQ2: 2, Instrument.EPDS: 10, Instrument.GAD7: 7}
YES_NO = (Instrument.CSSRS, Instrument.ASQ)
TITLES = {
    Instrument.PHQ9: "PHQ-9",
    Instrument.PHQ9M: "PHQ-9M",
    Instrument.PHQ2: "PHQ-2",
    Instrument.EPDS: "EPDS",
    Instrument.GAD7: "GAD-7",
    Instrument.CSSRS: "C-SSRS",
    Instrument.ASQ: "ASQ",
}
# The question of each instrument that asks about self-harm or suicide; all of them for the last two.
SAFETY_ITEM = {Instrument.PHQ9: "9", Instrument.PHQ9M: "9", Instrument.EPDS: "10"}

GROUPS = {"phq9": Instrument.PHQ9, "phq9m": Instrument.PHQ9M, "phq2": Instrument.PHQ2, "epds": Instrument.EPDS,
          "gad7": Instrument.GAD7, "cssrs.screener": Instrument.CSSRS}  # fmt: skip

WORDS = {
    "not at all": 0, "nunca": 0, "never": 0, "several days": 1, "varios días": 1,
    "more than half the days": 2, "más de la mitad de los días": 2, "nearly every day": 3, "casi todos los días": 3,
}  # fmt: skip
# EPDS item 10 has answer words of its own (response options only; the question is not reproduced).
EPDS_WORDS = {"never": 0, "hardly ever": 1, "sometimes": 2, "quite often": 3, "yes, quite often": 3}
YES_WORDS = {"yes": True, "y": True, "true": True, "sí": True, "si": True, "1": True, "positive": True, "present": True,
             "no": False, "n": False, "false": False, "0": False, "negative": False, "absent": False, "denied": False,
             "denies": False, "not present": False}  # fmt: skip
YES_NO_TABLES = ("v2-0136", "v2-0532")
REFUSED = {
    "asked-declined",
    "refused",
    "declined",
    "patient declined",
    "patient refused",
    "refuse",
    "refused to answer",
}
REFUSED_CODES = {(SNOMED, "720834000")}
# Reasons for an absent value that mean the question was not put or not filled in; the short ones are null flavours.
NOT_ASKED = {"not-asked", "unknown", "temp-unknown", "asked-unknown", "not-applicable", "not-performed",
             "UNK", "NASK", "ASKU", "NAV", "NI"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionnaireMap:
    """A site's map of one form without standard codes (product.md section 4).

    `source` is the Questionnaire's canonical (`form`) or a code system; `items` maps linkId or code to an
    item: "1".."10", "total", or "q1".."q6", "q6_recent", "acuity".
    """

    instrument: Instrument
    source: str
    items: Mapping[str, str]
    form: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One value of a form, before the form is put together."""

    instrument: Instrument
    item: str
    answer: ItemAnswer | None
    number: int | None
    level: str | None
    when: When | None
    encounter: str | None
    provisional: bool
    reference: str
    form: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a code or linkId asks: `item`, or "total", "panel", "level", "most-severe"."""

    instrument: Instrument
    item: str


@cache
def targets() -> dict[str, Target]:
    """LOINC (and two SNOMED) codes to the instrument and item that they stand for."""
    found: dict[str, Target] = {}
    for row in table("instruments"):
        match = re.match(r"(phq9m|phq9|phq2|gad7|epds|cssrs\.screener)\.(item\d(?:_recent)?|total|panel)", row["group"])
        if match and not row["code"].startswith("("):
            instrument, part = GROUPS[match[1]], match[2]
            item = part.replace("item", "q" if instrument is Instrument.CSSRS else "")
            found[row["code"]] = Target(instrument=instrument, item=item)
    # Nursing-home (MDS) form of item 9: presence is yes/no, frequency 0-3 (facts.md 1.1).
    found["54652-3"] = Target(instrument=Instrument.PHQ9, item="9")
    found["54653-1"] = Target(instrument=Instrument.PHQ9, item="9")
    found["93374-7"] = Target(instrument=Instrument.CSSRS, item="level")
    found["93293-9"] = Target(instrument=Instrument.CSSRS, item="most-severe")
    return found


def target_of(concept: r4.CodeableConcept | None, maps: Iterable[QuestionnaireMap]) -> Target | None:
    """What a code asks, by standard code or by a site's map of a local code system."""
    for coding in concept.coding if concept else ():
        if not coding.code:
            continue
        # A listed code whose system was left out is read all the same: unknown reads as worse (rules.md R4).
        if (not coding.system or canonical(coding.system) in (LOINC, SNOMED)) and coding.code in targets():
            return targets()[coding.code]
        for site_map in maps:
            if site_map.source == coding.system and coding.code in site_map.items:
                return Target(instrument=site_map.instrument, item=site_map.items[coding.code])
    return None


@cache
def _answer_codes() -> tuple[dict[str, int], dict[tuple[str, str], bool]]:
    scores: dict[str, int] = {}
    yes_no: dict[tuple[str, str], bool] = {}
    for row in table("instruments"):
        score = re.match(r"answer\.(?:LL358-3|gad7\.item2) score=(\d)", row["group"])
        if score:
            scores[row["code"]] = int(score[1])
        if row["group"] in ("answer.yes", "answer.no"):
            yes_no[row["system"], row["code"]] = row["group"] == "answer.yes"
    return scores, yes_no


LEVELS = {"LA9194-7": "low", "LA6751-7": "moderate", "LA9193-9": "high"}
SEVERITY = {"LA30370-3": 1, "LA30371-1": 2, "LA30372-9": 3, "LA30373-7": 4, "LA30374-5": 5}


def _codings(value: r4.Value) -> list[r4.Coding]:
    found = list(value.value_codeable_concept.coding) if value.value_codeable_concept else []
    return found + ([value.value_coding] if value.value_coding else [])


def _number(value: r4.Value) -> float | None:
    """The number in a value, from an integer, decimal, quantity, ordinalValue extension or numeric text."""
    ordinals = [
        extension.value_decimal if extension.value_decimal is not None else extension.value_integer
        for coding in _codings(value)
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
        number = next((float(c) for c in candidates if c is not None), None)
    except (ValueError, OverflowError):
        return None
    return number if number is not None and math.isfinite(number) else None


def _texts(value: r4.Value) -> list[str]:
    """The words of a value in lower case, without a note in brackets behind them."""
    concept = value.value_codeable_concept
    texts = [value.value_string, concept.text if concept else None, *(c.display for c in _codings(value))]
    return [re.sub(r"\s*\([^)]*\)$", "", text.strip().lower()) for text in texts if text]


def _absent(value: r4.Value) -> AnswerState | None:
    """Why there is no answer, if that is said: declined, blank, or a reason that we do not know."""
    reasons = [c.code for c in value.data_absent_reason.coding] if value.data_absent_reason else []
    refused = any((canonical(c.system or ""), c.code) in REFUSED_CODES or c.code in REFUSED for c in _codings(value))
    if refused or "asked-declined" in reasons or any(text in REFUSED for text in _texts(value)):
        return AnswerState.DECLINED
    if value.data_absent_reason is not None:
        return AnswerState.BLANK if reasons and set(reasons) <= NOT_ASKED else AnswerState.UNREADABLE
    return None


def _has_value(value: r4.Value) -> bool:
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
    (facts.md 1.1). A value that can be read wins over a reason for its absence.
    """
    scores, _ = _answer_codes()
    number: float | None = next(
        (
            scores[c.code]
            for c in _codings(value)
            if c.code in scores and (not c.system or canonical(c.system) == LOINC)
        ),
        None,
    )
    if number is None:
        number = _number(value)
    if number is None:
        words = EPDS_WORDS if instrument is Instrument.EPDS else WORDS
        number = next((words[text] for text in _texts(value) if text in words), None)
    if number is not None:
        fits = number == int(number) and 0 <= number <= TOP_ITEM[instrument]
        state = AnswerState.ANSWERED if fits else AnswerState.UNREADABLE
        score = int(number) if fits else None
        return ItemAnswer(item=item, state=state, score=score, reference=reference, out_of_range=not fits)
    said = _said_yes(value)
    if said is not None:
        score = None if said else 0
        return ItemAnswer(item=item, state=AnswerState.ANSWERED, yes=said, score=score, reference=reference)
    return ItemAnswer(item=item, state=_unanswered(value), reference=reference)


def yes_or_no(item: str, value: r4.Value, reference: str) -> ItemAnswer:
    """A yes/no answer: boolean, coded, 1 or 0, the word, or else the interpretation."""
    said = _said_yes(value)
    if said is None:
        return ItemAnswer(item=item, state=_unanswered(value), reference=reference)
    return ItemAnswer(item=item, state=AnswerState.ANSWERED, yes=said, reference=reference)


def _unanswered(value: r4.Value) -> AnswerState:
    return _absent(value) or (AnswerState.UNREADABLE if _has_value(value) else AnswerState.BLANK)


def _nothing_there(value: r4.Value) -> bool:
    return not _has_value(value) and _absent(value) is not AnswerState.UNREADABLE


def _said_yes(value: r4.Value) -> bool | None:
    yes_no = _answer_codes()[1]
    if value.value_boolean is not None:
        return value.value_boolean
    for coding in _codings(value):
        code = coding.code or ""
        coded = yes_no.get((canonical(coding.system) if coding.system else LOINC, code))
        if coded is None and (coding.system or "").endswith(YES_NO_TABLES):
            coded = {"Y": True, "N": False}.get(code)
        if coded is not None:
            return coded
    number = _number(value)
    if number in (0.0, 1.0):
        return number == 1.0
    texts = _texts(value)
    worded = next((YES_WORDS[text] for text in texts if text in YES_WORDS), None)
    if worded is None and any(re.match(r"yes\b", text) for text in texts):
        return True
    if worded is None and not _has_value(value):
        flags = {c.code for concept in value.interpretation for c in concept.coding}
        worded = True if "POS" in flags else False if "NEG" in flags else None
    return worded


def pieces_of(
    target: Target,
    value: r4.Value,
    *,
    when: When | None,
    encounter: str | None,
    provisional: bool,
    reference: str,
    form: str | None,
) -> list[Piece]:
    """The piece that one coded value is; empty for a panel without a value of its own."""
    answer, number, level = None, None, None
    if target.item == "panel":
        if not _has_value(value):
            return []
        target = replace(target, item="total")
    if target.item == "total":
        if _nothing_there(value):
            return []
        found = _number(value)
        # A total that cannot be read is kept as -1: out of range, hence an anomaly, never nothing.
        number = int(found) if found is not None and found == int(found) else -1
    elif target.item == "level":
        level = _level(value)
        if level is None:
            if _nothing_there(value):
                return []
            answer = ItemAnswer(item="level", state=AnswerState.UNREADABLE, reference=reference)
    elif target.item == "most-severe":
        answer = _most_severe(value, reference)
        target = replace(target, item=answer.item)
    elif target.instrument in YES_NO or target.item in TEEN_QUESTIONS:
        answer = yes_or_no(target.item, value, reference)
    else:
        answer = graded(target.item, value, target.instrument, reference)
    return [
        Piece(
            instrument=target.instrument,
            item=target.item,
            answer=answer,
            number=number,
            level=level,
            when=when,
            encounter=encounter,
            provisional=provisional,
            reference=reference,
            form=form,
        )
    ]


# The two questions of PHQ-9M outside its total; they must reach the rules all the same (facts.md 1.1).
TEEN_QUESTIONS = ("past_month_thoughts", "lifetime_attempt")


def _level(value: r4.Value) -> str | None:
    """A coded or worded overall result: high, moderate or low."""
    coded = next((LEVELS[c.code] for c in _codings(value) if c.code in LEVELS), None)
    if coded:
        return coded
    words = {word for text in _texts(value) for word in re.findall(r"[a-z]+", text)}
    return next((level for level in ("high", "moderate", "low") if level in words), None)


def _most_severe(value: r4.Value, reference: str) -> ItemAnswer:
    """The most severe ideation (93293-9) as an answer to the question of its rank; rank 0 is a no to question 1."""
    rank = next((SEVERITY[c.code] for c in _codings(value) if c.code in SEVERITY), None)
    number = rank if rank is not None else _number(value)
    if number is None or number not in range(6):
        return ItemAnswer(item="q1", state=_unanswered(value), reference=reference)
    return ItemAnswer(item=f"q{max(1, int(number))}", state=AnswerState.ANSWERED, yes=number > 0, reference=reference)


def questionnaire_targets(
    response: r4.QuestionnaireResponse, maps: Iterable[QuestionnaireMap]
) -> list[tuple[Target, r4.Value]]:
    """Each answered or blank question of a known form, by the site's map first, then by LOINC linkId.

    R4 items carry no code, so the LOINC code is the linkId itself or the last part of its path.
    """
    canonical_url = (response.questionnaire or "").partition("|")[0]
    site_items: dict[str, Target] = {}
    for site_map in maps:
        if site_map.source == canonical_url:
            site_items |= {
                link: Target(instrument=site_map.instrument, item=item) for link, item in site_map.items.items()
            }
    found: list[tuple[Target, r4.Value]] = []

    def walk(items: list[r4.QuestionnaireItem]) -> None:
        for item in items:
            target = site_items.get(item.link_id or "") or _loinc_target(item)
            if target:
                # Each of several answers is kept; putting the form together keeps the worst.
                found.extend((target, answer) for answer in item.answer)
                if not item.answer:
                    found.append((target, r4.Value()))
            walk(item.item)
            for answer in item.answer:
                walk(answer.item)

    walk(response.item)
    teen = any(t.instrument is Instrument.PHQ9M for t, _ in found)
    if teen:
        found = [
            (replace(t, instrument=Instrument.PHQ9M), v) if t.instrument is Instrument.PHQ9 else (t, v)
            for t, v in found
        ]
    return found


def _loinc_target(item: r4.QuestionnaireItem) -> Target | None:
    """By the LOINC code that ends the linkId or the definition; R4 items carry no code of their own."""
    for text in (item.link_id, item.definition):
        match = re.search(r"(?:^|[^0-9A-Za-z])(\d{4,6}-\d)$", text or "")
        if match and match[1] in targets():
            return targets()[match[1]]
    return None


NAMES_A_FORM = re.compile(r"phq|c-?ssrs|columbia|\basq\b|epds|edinburgh", re.IGNORECASE)


def seems_a_screen(response: r4.QuestionnaireResponse) -> bool:
    """Whether a response is, by its canonical or its answer codes, one of the instruments: read or not read."""
    scores = _answer_codes()[0]

    def coded(items: list[r4.QuestionnaireItem]) -> bool:
        return any(
            coded(item.item) or any(coded(a.item) or any(c.code in scores for c in _codings(a)) for a in item.answer)
            for item in items
        )

    return bool(NAMES_A_FORM.search(response.questionnaire or "")) or coded(response.item)


def administrations(pieces: Iterable[Piece]) -> tuple[Administration, ...]:
    """Pieces put together to forms: by the form they name, else by instrument, encounter and hour.

    Loose pieces of one hour (of one day, where no time was recorded) are one form, also when they disagree: the worst
    answers stand, and the form is marked contradictory. Forms of one day that agree are one, unless they were filled in
    at different hours or in different encounters. The order of the pieces does not matter.
    """
    ordered = sorted(pieces, key=_order)
    teens = {p.form or _time(p) for p in ordered if p.instrument is Instrument.PHQ9M}
    groups: dict[tuple[object, ...], list[Piece]] = {}
    begun: dict[tuple[Instrument, str | None], datetime] = {}
    for piece in ordered:
        teen = piece.instrument is Instrument.PHQ9 and (piece.form or _time(piece)) in teens
        instrument = Instrument.PHQ9M if teen else piece.instrument
        moment: object = piece.form or _time(piece)
        if not piece.form and piece.when and piece.when.instant:
            start = begun.get((instrument, piece.encounter))
            if start is None or piece.when.instant - start > ONE_HOUR:
                start = begun[instrument, piece.encounter] = piece.when.instant
            moment = start
        groups.setdefault((instrument, moment, None if piece.form else piece.encounter), []).append(piece)
    forms = _merged([_form(key[0], group) for key, group in groups.items() if isinstance(key[0], Instrument)])
    return tuple(_checked(form) for form in _merged([_settled(form) for form in forms]))


def _order(piece: Piece) -> tuple[str, datetime, str, str, str]:
    instant = piece.when.instant if piece.when and piece.when.instant else FIRST
    return piece.instrument.value, instant, _time(piece), piece.item, piece.reference


FIRST = datetime.min.replace(tzinfo=UTC)


def _time(piece: Piece) -> str:
    return piece.when.text if piece.when else "undated"


def _merged(forms: Iterable[Administration]) -> list[Administration]:
    """Forms joined with the first earlier one that they can be one with."""
    kept: list[Administration] = []
    for form in forms:
        place = next((n for n, other in enumerate(kept) if _may_be_one(other, form)), None)
        if place is None:
            kept.append(form)
        else:
            kept[place] = _union(kept[place], form)
    return kept


def _may_be_one(one: Administration, other: Administration) -> bool:
    if one.instrument is not other.instrument:
        return False
    if one.encounter and other.encounter and one.encounter != other.encounter:
        return False
    first, second = one.when, other.when
    if first is None or second is None:
        close = first is second
    elif first.instant and second.instant:
        close = abs(first.instant - second.instant) <= ONE_HOUR
    else:
        close = first.day == second.day
    return close and _agree(one, other)


ONE_HOUR = timedelta(hours=1)


def _settled(form: Administration) -> Administration:
    """Items 1 and 2 of a PHQ-9 alone, without a total, are a PHQ-2."""
    items = {a.item for a in form.answers}
    if form.instrument is Instrument.PHQ9 and items and items <= {"1", "2"} and form.total is None:
        return replace(form, instrument=Instrument.PHQ2)
    return form


def _form(instrument: Instrument, pieces: list[Piece]) -> Administration:
    answers: dict[str, ItemAnswer] = {}
    conflict = len({p.number for p in pieces if p.number is not None}) > 1
    for piece in pieces:
        known = answers.get(piece.item)
        if piece.answer is None:
            continue
        conflict = conflict or (known is not None and _disagree(piece.answer, known))
        if known is None or _worse(piece.answer, known):
            answers[piece.item] = piece.answer
    total = max((p for p in pieces if p.number is not None), key=lambda p: p.number or 0, default=None)
    level = max((p for p in pieces if p.level), key=lambda p: GRAVITY.index(p.level or "low"), default=None)
    dated = [p.when for p in pieces if p.when]
    return Administration(
        instrument=instrument,
        when=max(dated, key=_moment, default=None),
        answers=tuple(answers.values()),
        total=total.number if total else None,
        total_reference=total.reference if total else None,
        level=level.level if level else None,
        level_reference=level.reference if level else None,
        encounter=next((p.encounter for p in pieces if p.encounter), None),
        provisional=any(p.provisional for p in pieces),
        contradictory=conflict,
        references=tuple(dict.fromkeys(p.reference for p in pieces)),
    )


def _disagree(one: ItemAnswer, other: ItemAnswer) -> bool:
    """Whether two answers to one question say different things; a yes and a score above 0 do not."""
    if one.score is not None and other.score is not None:
        return one.score != other.score
    return bool(one.score or one.yes) != bool(other.score or other.yes)


GRAVITY = ("low", "moderate", "high")


def _worse(one: ItemAnswer, other: ItemAnswer) -> bool:
    """Whether `one` is the more serious of two answers to the same question."""

    def rank(answer: ItemAnswer) -> tuple[int, int]:
        order = (AnswerState.BLANK, AnswerState.ANSWERED, AnswerState.DECLINED, AnswerState.UNREADABLE)
        said = answer.score if answer.score is not None else int(bool(answer.yes))
        return (10 if said else order.index(answer.state), said)

    return rank(one) > rank(other)


def _agree(one: Administration, other: Administration) -> bool:
    if one.total is not None and other.total is not None and one.total != other.total:
        return False
    if one.level and other.level and one.level != other.level:
        return False
    for answer in one.answers:
        twin = other.answer(answer.item)
        if twin and (twin.state, twin.score, twin.yes) != (answer.state, answer.score, answer.yes):
            return False
    return True


def _union(one: Administration, other: Administration) -> Administration:
    answers = {a.item: a for a in other.answers} | {a.item: a for a in one.answers}
    return replace(
        one,
        when=max((f.when for f in (one, other) if f.when), key=_moment, default=None),
        answers=tuple(answers[item] for item in sorted(answers, key=lambda item: (len(item), item))),
        total=one.total if one.total is not None else other.total,
        total_reference=one.total_reference or other.total_reference,
        level=one.level or other.level,
        level_reference=one.level_reference or other.level_reference,
        encounter=one.encounter or other.encounter,
        provisional=one.provisional or other.provisional,
        contradictory=one.contradictory or other.contradictory,
        references=tuple(dict.fromkeys(one.references + other.references)),
    )


def _moment(when: When) -> tuple[date, bool, str]:
    return when.day, when.instant is not None, when.instant.isoformat() if when.instant else when.text


def _checked(form: Administration) -> Administration:
    """The form with its total checked against its items."""
    if form.instrument in YES_NO:
        return replace(form, contradictory=False)
    off_scale = any(a.out_of_range for a in form.answers)
    wrong = form.total is not None and not (0 <= form.total <= TOP_TOTAL[form.instrument] and total_fits(form))
    return replace(form, contradictory=form.contradictory or off_scale or wrong)


def total_fits(form: Administration) -> bool:
    """Whether the recorded total can be reached from the answers on file."""
    scores = [a.score for a in form.answers if a.score is not None and a.item.isdigit()]
    if form.total is None or not scores:
        return True
    open_items = max(0, ITEM_COUNT[form.instrument] - len(scores))
    return sum(scores) <= form.total <= sum(scores) + open_items * TOP_ITEM[form.instrument]


def complete(form: Administration) -> bool:
    """Whether every item of a graded instrument has a score."""
    wanted = ITEM_COUNT.get(form.instrument, 0)
    return wanted > 0 and all(form.score(str(n)) is not None for n in range(1, wanted + 1))


def total_of(form: Administration) -> int | None:
    """The form's total: as recorded when it does not contradict its items, else the sum of complete items."""
    if form.contradictory:
        return None
    if form.total is not None:
        return form.total
    if complete(form):
        return sum(form.score(str(n)) or 0 for n in range(1, ITEM_COUNT[form.instrument] + 1))
    return None
