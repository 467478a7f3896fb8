"""Questionnaires on file beside the PHQ-9 and GAD-7: what was answered, read-only. Values and words; nothing is judged.

Which answers are a finding is said by the rules; here stands what is on file, so that it can be looked up. The wording
of questions is not reproduced, a coded overall result "low" is never printed, and nothing is said to rule out anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from explanations.words.help_lines import GuidelineLink, guideline
from explanations.words.phrasebook import ago, code, dated
from explanations.words.statements import CSSRS_WORDS, QUESTIONS, answer_words
from fhir_adapters.codesets.instruments import ITEM_COUNT, SAFETY_ITEM, TITLES, TOP_TOTAL, YES_NO
from fhir_adapters.facts import Administration, AnswerState, Instrument, PatientRecord
from fhir_adapters.reading.screening import total_of

SHOWN = (Instrument.CSSRS, Instrument.ASQ, Instrument.EPDS, Instrument.PHQ2, Instrument.AUDITC)
MOST_EACH = 3
# Where the instrument itself is at home; only verified links are shown.
HOMES = {Instrument.CSSRS: "cssrs-triage", Instrument.ASQ: "nimh-asq"}
PRINTED_LEVELS = ("high", "moderate")


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherResult:
    """One instrument. rows: markdown, latest first. more: how many older ones are not shown."""

    title: str
    rows: tuple[str, ...]
    more: int
    home: GuidelineLink | None


def other_results(record: PatientRecord) -> tuple[OtherResult, ...]:
    """What is on file of each instrument, those about suicide first."""
    found = []
    for instrument in SHOWN:
        held = record.of(instrument)
        if held:
            rows = tuple(_row(form, record) for form in held[:MOST_EACH])
            home = guideline(HOMES[instrument]) if instrument in HOMES else None
            found.append(OtherResult(title=TITLES[instrument], rows=rows, more=len(held[MOST_EACH:]), home=home))
    return tuple(found)


def _row(form: Administration, record: PatientRecord) -> str:
    days = record.days_since(form.when)
    age = "" if form.when is None or form.when.future or form.when.partial else f", {ago(days)}"
    said = [_yes_no(form) if form.instrument in YES_NO else _graded(form)]
    if form.contradictory:
        said.append("the entry contradicts itself: look at the source")
    if form.provisional:
        said.append("provisional")
    source = next(iter(form.references), form.total_reference or form.level_reference)
    return f"**{dated(form.when)}{age}**: {'; '.join(said)}{f', {code(source)}' if source else ''}"


def _graded(form: Administration) -> str:
    total, item = total_of(form), SAFETY_ITEM.get(form.instrument)
    top, count = TOP_TOTAL[form.instrument], ITEM_COUNT[form.instrument]
    said = f"total {total} of {top}" if total is not None else f"{len(form.item_scores)} of {count} answered, no total"
    if item is None:
        return said
    answer = form.answer(item)
    return f"{said}; item {item} {answer_words(answer, form.instrument) if answer else 'not on file'}"


def _yes_no(form: Administration) -> str:
    words = CSSRS_WORDS if form.instrument is Instrument.CSSRS else QUESTIONS
    named = [(words.get(a.item, QUESTIONS.get(a.item, a.item)), a) for a in form.answers]
    said = [f"{name}: yes" for name, answer in named if answer.yes]
    said += [f"{name}: {answer.state.value}" for name, answer in named if answer.state is not AnswerState.ANSWERED]
    if form.level in PRINTED_LEVELS:
        said.append(f"overall result coded {form.level}")
    if said:
        return ", ".join(said)
    answered = sum(answer.yes is False for _, answer in named)
    put = "1 question" if answered == 1 else f"{answered} questions"
    return f"{put} answered, none with yes; this does not rule out risk" if answered else "no answers on file"
