"""Screening answers assembled into forms.

One `Administration` is one form filled in once, in any shape: item Observations, a panel with members or components, a
total alone, or a QuestionnaireResponse. Nothing is imputed, no total is pro-rated, and forms are never mixed into a
total that nobody had. What an answer means is for `models.rules.safety_rules`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from fhir_adapters.facts import Administration, AnswerState, ItemAnswer, Result, When
from fhir_adapters.flaws import Flaw
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.questionnaires.form_merging import ANY_ENCOUNTER, FIRST, ONE_HOUR, Key, merged, moment
from fhir_adapters.reading.questionnaires.pieces import Piece
from fhir_adapters.reading.questionnaires.totals import total_fits


def administrations(pieces: Iterable[Piece]) -> tuple[Administration, ...]:
    """Pieces assembled into forms: by the form they name, else by instrument, encounter and hour.

    Loose pieces of one hour (of one day, where no time was recorded) are one form, even when they disagree: the worst
    answers stand, and the form is marked contradictory. Forms of one day that agree are one, unless filled in at
    different hours or in different encounters. The order of the pieces does not matter.
    """
    ordered = sorted(_with_screens(list(pieces)), key=_order)
    teens = {p.form or _time(p) for p in ordered if p.instrument is Instrument.PHQ9M}
    groups: dict[tuple[Instrument, str | datetime, str | None], list[Piece]] = {}
    begun: dict[tuple[Instrument, str | None], datetime] = {}
    for piece in ordered:
        instrument, encounter = piece.instrument, piece.encounter
        begin: str | datetime = piece.form or _time(piece)
        if teens and instrument is Instrument.PHQ9 and begin in teens:
            instrument = Instrument.PHQ9M
        if piece.form:
            encounter = None
        elif piece.when and piece.when.instant:
            start = begun.get((instrument, encounter))
            if start is None or piece.when.instant - start > ONE_HOUR:
                start = begun[instrument, encounter] = piece.when.instant
            begin = start
        groups.setdefault((instrument, begin, encounter), []).append(piece)
    forms = [_form(instrument, group) for (instrument, _, _), group in groups.items()]
    joined = merged(forms)
    settled = [_settled(form) for form in joined]
    # A form that has grown, or is now of another instrument, may fit one that it did not fit before.
    if len(joined) < len(forms) or settled != joined:
        settled = merged(settled)
    return tuple(_checked(form) for form in settled)


def _with_screens(pieces: list[Piece]) -> Iterable[Piece]:
    """The pieces, each risk level as the result of the one screen of its form, or of its day and encounter."""
    if not any(piece.instrument is Instrument.RISK_LEVEL for piece in pieces):
        yield from pieces
        return
    screens: dict[Key, set[Instrument]] = {}
    for piece in pieces:
        if piece.instrument in (Instrument.CSSRS, Instrument.ASQ):
            day = piece.when.day if piece.when else None
            for key in {(piece.form,), (day, piece.encounter), (day, ANY_ENCOUNTER)}:
                screens.setdefault(key, set()).add(piece.instrument)
    for piece in pieces:
        if piece.instrument is not Instrument.RISK_LEVEL:
            yield piece
            continue
        day = piece.when.day if piece.when else None
        places = [(day, piece.encounter), (day, None)] if piece.encounter else [(day, ANY_ENCOUNTER)]
        of = set().union(*(screens.get(place, ()) for place in ([(piece.form,)] if piece.form else places)))
        yield replace(piece, instrument=of.pop()) if len(of) == 1 else piece


def _order(piece: Piece) -> tuple[str, datetime, str, str, str]:
    instant = piece.when.instant if piece.when and piece.when.instant else FIRST
    return piece.instrument, instant, _time(piece), piece.item, piece.reference


def _time(piece: Piece) -> str:
    return piece.when.text if piece.when else "undated"


def _settled(form: Administration) -> Administration:
    """Items 1 and 2 of a PHQ-9 alone, without a total, are a PHQ-2."""
    if form.instrument is not Instrument.PHQ9 or form.total is not None or not form.answers:
        return form
    items = {answer.item for answer in form.answers}
    return replace(form, instrument=Instrument.PHQ2) if items <= {"1", "2"} else form


def _form(instrument: Instrument, pieces: list[Piece]) -> Administration:
    answers: dict[str, ItemAnswer] = {}
    total: Piece | None = None
    level: Piece | None = None
    latest: When | None = None
    conflict = False
    for piece in pieces:
        if piece.when and piece.when is not latest and (latest is None or moment(piece.when) > moment(latest)):
            latest = piece.when
        if piece.number is not None:
            conflict = conflict or (total is not None and piece.number != total.number)
            total = piece if total is None or piece.number > (total.number or 0) else total
        if piece.level and (level is None or _gravity(piece) > _gravity(level)):
            level = piece
        if piece.answer:
            known = answers.get(piece.item)
            conflict = conflict or (known is not None and _disagree(piece.answer, known))
            if known is None or _worse(piece.answer, known):
                answers[piece.item] = piece.answer
    return Administration(
        instrument=instrument,
        when=latest,
        answers=tuple(answers.values()),
        total=total.number if total else None,
        total_reference=total.reference if total else None,
        level=level.level if level else None,
        level_reference=level.reference if level else None,
        encounter=next((p.encounter for p in pieces if p.encounter), None),
        provisional=any(p.provisional for p in pieces),
        contradictory=conflict,
        references=tuple(dict.fromkeys([p.reference for p in pieces])),
    )


def _disagree(first: ItemAnswer, second: ItemAnswer) -> bool:
    """Whether two answers to one item differ; a yes and a score above 0 do not."""
    if first.score is not None and second.score is not None:
        return first.score != second.score
    return bool(first.score or first.yes) != bool(second.score or second.yes)


def _gravity(piece: Piece) -> int:
    return GRAVITY.index(piece.level or Result.LOW)


GRAVITY = tuple(Result)


def _worse(first: ItemAnswer, second: ItemAnswer) -> bool:
    """Whether `first` is the more serious of two answers to the same item."""

    def rank(answer: ItemAnswer) -> tuple[int, int]:
        order = (AnswerState.BLANK, AnswerState.ANSWERED, AnswerState.DECLINED, AnswerState.UNREADABLE)
        score = answer.score if answer.score is not None else int(bool(answer.yes))
        return (10 if score else order.index(answer.state), score)

    return rank(first) > rank(second)


def _checked(form: Administration) -> Administration:
    """The form with its total checked against its items."""
    if form.instrument.spec.yes_no:
        return replace(form, contradictory=False) if form.contradictory else form
    off_scale = Flaw.ANSWER_OFF_SCALE in [answer.flaw for answer in form.answers]
    wrong = form.total is not None and not (0 <= form.total <= form.instrument.spec.top_total and total_fits(form))
    return replace(form, contradictory=True) if off_scale or wrong else form
