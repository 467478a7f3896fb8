"""Answers on file to questionnaires other than PHQ-9 and GAD-7, for reference; the rules judge them.

The wording of questions is not reproduced, a coded overall result of "low" is never printed, and nothing is said to
rule anything out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from explanations.words.findings.answers import RESULTS, STATES, answer_words, none_words, question, title_of
from explanations.words.help_lines import GuidelineLink, guideline
from explanations.words.language import Language, code, shared_days
from fhir_adapters.facts import Administration, AnswerState, PatientRecord
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.questionnaires.totals import total_of
from models.rules.unread import answers_unread

# Instruments without a trend: suicide screens first, then questionnaires with a self-harm question.
SHOWN = sorted(
    (i for i in Instrument if i.spec.bands is None),
    key=lambda i: (not i.spec.yes_no, i.spec.safety is None),
)
MOST_EACH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherResult:
    """One instrument. rows: markdown, latest first. more: number of older results not shown."""

    title: str
    rows: tuple[str, ...]
    more: int
    home: GuidelineLink | None


def other_results(chart: PatientRecord, say: Language, zone: tzinfo | None = None) -> tuple[OtherResult, ...]:
    """The results on file of each instrument, those about suicide first. `zone`: of times, for those of one day."""
    results = []
    for instrument in SHOWN:
        forms = chart.of(instrument)
        if forms:
            shared = shared_days(form.when for form in forms)
            rows = tuple(
                _row(form, chart, say, zone if form.when and form.when.day in shared else None)
                for form in forms[:MOST_EACH]
            )
            home = guideline(instrument.spec.home) if instrument.spec.home else None
            results.append(
                OtherResult(title=title_of(instrument, say), rows=rows, more=len(forms[MOST_EACH:]), home=home)
            )
    return tuple(results)


def _row(form: Administration, chart: PatientRecord, say: Language, zone: tzinfo | None) -> str:
    date = say.dated_ago(form.when, chart.days_since(form.when), zone)
    facts = [_yes_no(form, say) if form.instrument.spec.yes_no else _graded(form, say, unread=answers_unread(chart))]
    if form.contradictory:
        facts.append(say("the entry contradicts itself: check the source"))
    if form.provisional:
        facts.append(say("provisional"))
    result, source = "; ".join(facts), next(iter(form.references), form.total_reference or form.level_reference)
    if not source:
        return say("**{date}**: {result}", date=date, result=result)
    return say("**{date}**: {result}, {source}", date=date, result=result, source=code(source))


def _graded(form: Administration, say: Language, *, unread: bool) -> str:
    total, safety = total_of(form), form.instrument.spec.safety
    if total is not None:
        result = say("total {total} of {top}", total=total, top=form.instrument.spec.top_total)
    else:
        count = len(form.instrument.spec.items)
        result = say("{answered} of {count} answered, no total", answered=len(form.item_scores), count=count)
    if safety is None:
        return result
    answer = form.safety_answer
    words = answer_words(answer, form.instrument, say) if answer else none_words(say, unread=unread)
    return say("{result}; item {item} {answer}", result=result, item=safety.item, answer=words)


def _yes_no(form: Administration, say: Language) -> str:
    named = [(question(answer.item, say, form.instrument), answer) for answer in form.answers]
    facts = [say("{question}: {answer}", question=name, answer=say("yes")) for name, answer in named if answer.yes]
    facts += [
        say("{question}: {answer}", question=name, answer=say(STATES[answer.state]))
        for name, answer in named
        if answer.state is not AnswerState.ANSWERED
    ]
    if form.level in RESULTS:
        facts.append(say(RESULTS[form.level]))
    if facts:
        return ", ".join(facts)
    answered = sum(answer.yes is False for answer in form.answers)
    if not answered:
        return say("no answers were read")
    return say.many(
        "{count} question answered, none yes; this does not rule out risk",
        "{count} questions answered, none yes; this does not rule out risk",
        answered,
    )
