"""Screening instruments: Observations and QuestionnaireResponses to administrations.

One `Administration` is one form filled in once, whatever shape it came in: item
Observations, a panel with members or components, a total alone, or a QuestionnaireResponse
by LOINC linkId or by the site's own map (ASQ and EPDS have no usable LOINC codes). Coded,
boolean, integer, quantity and text answers read alike. Nothing is imputed and no total is
pro-rated. What an answer means is for `models.safety_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

from fhir_adapters import r4
from fhir_adapters.facts import Administration, AnswerState, Instrument, ItemAnswer, When
from fhir_adapters.terminology import LOINC, SNOMED, canonical, code_list, table

ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"

# Highest item score and highest total of the graded instruments (facts.md 1.1, 1.2).
TOP_ITEM = {Instrument.PHQ9: 3, Instrument.PHQ9M: 3, Instrument.PHQ2: 3, Instrument.EPDS: 3, Instrument.GAD7: 3}
TOP_TOTAL = {Instrument.PHQ9: 27, Instrument.PHQ9M: 27, Instrument.PHQ2: 6, Instrument.EPDS: 30, Instrument.GAD7: 21}
ITEM_COUNT = {Instrument.PHQ9: 9, Instrument.PHQ9M: 9, Instrument.PHQ2: 2, Instrument.EPDS: 10, Instrument.GAD7: 7}
YES_NO = (Instrument.CSSRS, Instrument.ASQ)
# The question of each instrument that asks about self-harm or suicide; all of them for the last two.
SAFETY_ITEM = {Instrument.PHQ9: "9", Instrument.PHQ9M: "9", Instrument.EPDS: "10"}

GROUPS = {"phq9": Instrument.PHQ9, "phq9m": Instrument.PHQ9M, "phq2": Instrument.PHQ2, "epds": Instrument.EPDS,
          "gad7": Instrument.GAD7, "cssrs.screener": Instrument.CSSRS}  # fmt: skip

WORDS = {
    "not at all": 0, "nunca": 0, "never": 0, "several days": 1, "varios días": 1,
    "more than half the days": 2, "más de la mitad de los días": 2, "nearly every day": 3, "casi todos los días": 3,
}  # fmt: skip
YES_WORDS = {"yes": True, "y": True, "true": True, "sí": True, "si": True, "1": True, "positive": True, "present": True,
             "no": False, "n": False, "false": False, "0": False, "negative": False, "absent": False}  # fmt: skip
REFUSED = {
    "asked-declined",
    "refused",
    "declined",
    "patient declined",
    "patient refused",
    "refuse",
    "refused to answer",
}
REFUSED_CODES = {(SNOMED, "720834000"), (SNOMED, "443390004"), (LOINC, "LA30122-8")}
# Reasons for an absent value that mean the question was not put or not filled in.
NOT_ASKED = {"not-asked", "unknown", "temp-unknown", "asked-unknown", "not-applicable", "not-performed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionnaireMap:
    """A site's map of one form without standard codes (product.md section 4).

    `source` is the Questionnaire's canonical or a code system; `items` maps linkId or code to an
    item: "1".."10", "total", or "q1".."q6", "q6_recent", "acuity".
    """

    instrument: Instrument
    source: str
    items: Mapping[str, str]


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
    raw: float | str | None = None
    for coding in _codings(value):
        for extension in coding.extension:
            if extension.url == ORDINAL:
                raw = extension.value_decimal if extension.value_decimal is not None else extension.value_integer
    for candidate in (
        value.value_integer,
        value.value_decimal,
        value.value_quantity.value if value.value_quantity and not value.value_quantity.comparator else None,
        value.value_string,
    ):
        raw = candidate if raw is None else raw
    try:
        return float(raw) if raw is not None else None
    except ValueError:
        return None


def _texts(value: r4.Value) -> list[str]:
    concept = value.value_codeable_concept
    texts = [value.value_string, concept.text if concept else None, *(c.display for c in _codings(value))]
    return [text.strip().lower() for text in texts if text]


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
    return any(
        part is not None
        for part in (
            value.value_quantity,
            value.value_codeable_concept,
            value.value_coding,
            value.value_integer,
            value.value_decimal,
            value.value_string,
            value.value_boolean,
        )
    )


def graded(item: str, value: r4.Value, top: int, reference: str) -> ItemAnswer:
    """A graded answer: by LOINC answer code, then ordinalValue, then number, then boolean, then known words.

    A value above `top`, below 0 or not whole is unreadable: weights shipped with forms are not
    trusted (facts.md 1.1).
    """
    state = _absent(value)
    if state:
        return ItemAnswer(item=item, state=state, reference=reference)
    if not _has_value(value):
        return ItemAnswer(item=item, state=AnswerState.BLANK, reference=reference)
    scores, yes_no = _answer_codes()
    number: float | None = next(
        (scores[c.code] for c in _codings(value) if c.code in scores and canonical(c.system or "") == LOINC), None
    )
    if number is None:
        number = _number(value)
    if number is None:
        number = next((WORDS[text] for text in _texts(value) if text in WORDS), None)
    if number is not None:
        if number == int(number) and 0 <= number <= top:
            return ItemAnswer(item=item, state=AnswerState.ANSWERED, score=int(number), reference=reference)
        return ItemAnswer(item=item, state=AnswerState.UNREADABLE, reference=reference)
    said = _said_yes(value, yes_no)
    if said is None:
        return ItemAnswer(item=item, state=AnswerState.UNREADABLE, reference=reference)
    return ItemAnswer(item=item, state=AnswerState.ANSWERED, yes=said, score=None if said else 0, reference=reference)


def yes_or_no(item: str, value: r4.Value, reference: str) -> ItemAnswer:
    """A yes/no answer: boolean, coded, 1 or 0, or the word."""
    state = _absent(value)
    if state:
        return ItemAnswer(item=item, state=state, reference=reference)
    if not _has_value(value):
        return ItemAnswer(item=item, state=AnswerState.BLANK, reference=reference)
    said = _said_yes(value, _answer_codes()[1])
    if said is None:
        return ItemAnswer(item=item, state=AnswerState.UNREADABLE, reference=reference)
    return ItemAnswer(item=item, state=AnswerState.ANSWERED, yes=said, reference=reference)


def _said_yes(value: r4.Value, yes_no: Mapping[tuple[str, str], bool]) -> bool | None:
    if value.value_boolean is not None:
        return value.value_boolean
    for coding in _codings(value):
        coded = yes_no.get((canonical(coding.system or ""), coding.code or ""))
        if coded is None and (coding.system or "").endswith("v2-0136"):
            coded = {"Y": True, "N": False}.get(coding.code or "")
        if coded is not None:
            return coded
    number = _number(value)
    if number in (0.0, 1.0):
        return number == 1.0
    return next((YES_WORDS[text] for text in _texts(value) if text in YES_WORDS), None)


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
        found = _number(value)
        # A total that cannot be read is kept as -1: out of range, hence an anomaly, never nothing.
        number = int(found) if found is not None and found == int(found) else -1
        if _absent(value) or not _has_value(value):
            return []
    elif target.item == "level":
        level = next((LEVELS[c.code] for c in _codings(value) if c.code in LEVELS), None) or next(
            (text for text in _texts(value) if text in LEVELS.values()), None
        )
        if level is None:
            return []
    elif target.item == "most-severe":
        rank = next((SEVERITY[c.code] for c in _codings(value) if c.code in SEVERITY), None)
        target = replace(target, item=f"q{rank}" if rank else "q1")
        state = AnswerState.ANSWERED if rank else (_absent(value) or AnswerState.UNREADABLE)
        answer = ItemAnswer(item=target.item, state=state, yes=True if rank else None, reference=reference)
    elif target.instrument in YES_NO:
        answer = yes_or_no(target.item, value, reference)
    else:
        answer = graded(target.item, value, TOP_ITEM[target.instrument], reference)
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
            link = item.link_id or ""
            target = site_items.get(link) or targets().get(link.rsplit("/", 1)[-1])
            if target:
                first: r4.Value = item.answer[0] if item.answer else r4.Value()
                found.append((target, first))
            walk(item.item)
            for answer in item.answer:
                walk(answer.item)

    walk(response.item)
    teen = any(t.instrument is Instrument.PHQ9M for t, _ in found)
    return [(replace(t, instrument=Instrument.PHQ9M) if teen and t.instrument is Instrument.PHQ9 else t, v)
            for t, v in found]  # fmt: skip


def administrations(pieces: Iterable[Piece]) -> tuple[Administration, ...]:
    """Pieces put together to forms: by the form they name, else by instrument and exact time.

    Within one day, forms of one instrument that do not disagree are one.
    """
    forms: dict[tuple[Instrument, str], list[Piece]] = {}
    for piece in pieces:
        key = piece.form or (piece.when.text if piece.when else "undated")
        forms.setdefault((piece.instrument, key), []).append(piece)
    merged: dict[tuple[Instrument, object], list[Administration]] = {}
    for (instrument, key), group in forms.items():
        form = _form(instrument, group)
        day = form.when.day if form.when else key
        same_day = merged.setdefault((instrument, day), [])
        for index, other in enumerate(same_day):
            if _agree(form, other):
                same_day[index] = _union(other, form)
                break
        else:
            same_day.append(form)
    return tuple(_checked(form) for same_day in merged.values() for form in same_day)


def _form(instrument: Instrument, pieces: list[Piece]) -> Administration:
    answers: dict[str, ItemAnswer] = {}
    for piece in pieces:
        if piece.answer and (piece.item not in answers or _worse(piece.answer, answers[piece.item])):
            answers[piece.item] = piece.answer
    total = next((p for p in pieces if p.number is not None), None)
    level = next((p for p in pieces if p.level), None)
    dated = [p.when for p in pieces if p.when]
    return Administration(
        instrument=instrument,
        when=max(dated, key=lambda w: (w.day, w.text)) if dated else None,
        answers=tuple(answers.values()),
        total=total.number if total else None,
        total_reference=total.reference if total else None,
        level=level.level if level else None,
        level_reference=level.reference if level else None,
        encounter=next((p.encounter for p in pieces if p.encounter), None),
        provisional=any(p.provisional for p in pieces),
        references=tuple(dict.fromkeys(p.reference for p in pieces)),
    )


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
        answers=tuple(answers.values()),
        total=one.total if one.total is not None else other.total,
        total_reference=one.total_reference or other.total_reference,
        level=one.level or other.level,
        level_reference=one.level_reference or other.level_reference,
        encounter=one.encounter or other.encounter,
        provisional=one.provisional or other.provisional,
        references=tuple(dict.fromkeys(one.references + other.references)),
    )


def _checked(form: Administration) -> Administration:
    """The form with its instrument settled (items 1-2 alone are a PHQ-2) and its total checked against its items."""
    items = {a.item for a in form.answers}
    if form.instrument is Instrument.PHQ9 and items and items <= {"1", "2"} and form.total is None:
        form = replace(form, instrument=Instrument.PHQ2)
    if form.instrument in YES_NO:
        return form
    scores = [a.score for a in form.answers if a.score is not None and a.item.isdigit()]
    unreadable = any(a.state is AnswerState.UNREADABLE for a in form.answers)
    open_items = ITEM_COUNT[form.instrument] - len(scores)
    wrong = False
    if form.total is not None:
        top = TOP_TOTAL[form.instrument]
        wrong = not 0 <= form.total <= top
        low, high = sum(scores), sum(scores) + max(0, open_items) * TOP_ITEM[form.instrument]
        wrong = wrong or (bool(scores) and not low <= form.total <= high)
    return replace(form, contradictory=wrong or unreadable)


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


def code_display(code: str) -> str:
    """The official display of a LOINC code in our list, for messages to integrators."""
    rows = code_list("instruments").rows(LOINC, code)
    return rows[0].display if rows else code
