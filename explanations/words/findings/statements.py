"""A safety finding in words: one headline, and the lines of what the chart holds.

Restates; does not judge. Never names a method of self-harm, prints a coded "low" level, reassures, or reproduces the
licensed wording of questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum

from explanations.words.findings.anomalies import flaw_words, remark_words
from explanations.words.findings.answers import (
    OPTIONS,
    RESULTS,
    answer_words,
    item_words,
    none_words,
    question,
    title_of,
)
from explanations.words.findings.coded_events import SETTINGS, event_words
from explanations.words.findings.unheard import unheard_words
from explanations.words.language import Language, capitalised, code, later
from explanations.words.lines import Line, LineRole, sourced
from explanations.words.tables import complete
from fhir_adapters.facts import (
    Administration,
    Anomaly,
    AnswerState,
    CodedEvent,
    RiskResult,
)
from fhir_adapters.instruments import DEPRESSION_CUTS, NINE_ITEM_PHQ, SAFETY_ITEMS, Instrument
from fhir_adapters.reading.questionnaires.totals import total_of
from models.rules.findings import SAFETY_TOPICS, Kind, SafetyFinding
from models.rules.supersession import Later, LaterKind

# The questions outside the total that count like the self-harm item.
FURTHER_ITEMS = tuple(item for safety in SAFETY_ITEMS.values() for item in safety.further)
FURTHER_ENDORSED = complete(
    {
        "past_month_thoughts": later("{title} question on thoughts in the past month answered yes"),
        "lifetime_attempt": later("{title} question on a lifetime suicide attempt answered yes"),
    },
    FURTHER_ITEMS,
)
FURTHER_YES = complete(
    {
        # Translators: further answers of a form, in a list after "Same form:".
        "past_month_thoughts": later("yes to the question on thoughts in the past month"),
        "lifetime_attempt": later("yes to the question on a lifetime suicide attempt"),
    },
    FURTHER_ITEMS,
)
ACUITY = complete(
    {
        AnswerState.ANSWERED: later("ASQ acuity question: not recorded"),
        AnswerState.DECLINED: later("ASQ acuity question: declined"),
        AnswerState.BLANK: later("ASQ acuity question: not recorded"),
        AnswerState.UNREADABLE: later("ASQ acuity question: could not be read"),
    },
    AnswerState,
)
LATER = complete(
    {
        LaterKind.CSSRS_NEGATIVE: later("C-SSRS, every question asked answered no"),
        LaterKind.CSSRS_POSITIVE: later("C-SSRS with positive answers"),
        LaterKind.CSSRS_INCOMPLETE: later("C-SSRS, incomplete"),
        LaterKind.ASQ_NEGATIVE: later("ASQ, every question answered no"),
        LaterKind.ASQ_POSITIVE: later("ASQ with positive answers"),
        LaterKind.ASQ_INCOMPLETE: later("ASQ, incomplete"),
        LaterKind.LEVEL_POSITIVE: later("Suicide risk screen with a positive result"),
        LaterKind.LEVEL_OTHER: later("Suicide risk screen, overall result only"),
        LaterKind.RISK_ASSESSMENT: later("Suicide risk assessment completed"),
        LaterKind.RISK_POSITIVE: later("Suicide risk assessment with a positive result"),
        LaterKind.RISK_INCOMPLETE: later("Suicide risk assessment, incomplete"),
        LaterKind.RISK_BY_SOFTWARE: later("Suicide risk score from software, not an assessment"),
        LaterKind.ITEM_9_ZERO: later("PHQ-9 item 9: 0, not at all"),
    },
    LaterKind,
)
# A result of low is never printed. By whether software made it.
ASSESSED = complete(
    {
        (RiskResult.HIGH, False): later("suicide risk assessment: risk recorded as high"),
        (RiskResult.MODERATE, False): later("suicide risk assessment: risk recorded as moderate"),
        (RiskResult.UNREADABLE, False): later("suicide risk assessment: result could not be read"),
        (RiskResult.HIGH, True): later("suicide risk score from software: risk recorded as high"),
        (RiskResult.MODERATE, True): later("suicide risk score from software: risk recorded as moderate"),
        (RiskResult.UNREADABLE, True): later("suicide risk score from software: result could not be read"),
    },
    {(r, s) for r in RiskResult if r is not RiskResult.LOW for s in (False, True)},
)
# By whether the entry is of the same day as the finding, and whether it is negative or a completed assessment.
LATER_LINES = {
    (False, False): later("Later: {entry}. {date}, {source}"),
    (False, True): later("Later: {entry}. {date}, {source}; this does not rule out risk"),
    (True, False): later("Same day: {entry}. {date}, {source}"),
    (True, True): later("Same day: {entry}. {date}, {source}; this does not rule out risk"),
}
NONE_LATER = later("No later C-SSRS, ASQ or risk assessment found in the records read")
NONE_LATER_IN_PART = later(
    "No later C-SSRS, ASQ or risk assessment found in the records read; not all of the chart could be read"
)
# Later entries that are no complete reassessment.
NOT_COMPLETE = frozenset(
    {
        LaterKind.CSSRS_INCOMPLETE,
        LaterKind.ASQ_INCOMPLETE,
        LaterKind.LEVEL_OTHER,
        LaterKind.RISK_INCOMPLETE,
        LaterKind.RISK_BY_SOFTWARE,
    }
)
NONE_COMPLETE = later("No later complete C-SSRS, ASQ or risk assessment found in the records read")
NONE_COMPLETE_IN_PART = later(
    "No later complete C-SSRS, ASQ or risk assessment found in the records read; not all of the chart could be read"
)


class Timing(StrEnum):
    """How a headline joins a finding and its date."""

    AGO = "ago"  # answered yes 6 days ago (17 Nov 2026)
    ON = "on"  # was 17 on 17 Nov 2026 (6 days ago)
    BESIDE = "beside"  # could not be read (17 Nov 2026, 6 days ago)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A finding in words; `what` as inside a sentence.

    `ago`: "" where no full date up to today is recorded. `beside`: a detail for the headline. `lines` restate the
    chart, the first in bold. `later`: entries since.
    """

    what: str
    timing: Timing
    date: str
    ago: str
    beside: str
    lines: tuple[Line, ...]
    later: tuple[Line, ...] = ()


# Translators: in a list after "Same form:".
NO_TO, NO_ACUITY = later("no to {question}"), later("no to the acuity question")
Worded = tuple[str, list[Line]]
Further = tuple[str, list[str]]  # a further answer of a form, and the references that hold it
# The questions of a screen that are less grave than its others: several of them are listed by their numbers.
BY_NUMBER = {
    Instrument.CSSRS: ("q1", "q2", "q3"),
    Instrument.ASQ: ("q1", "q2", "q3", "q4"),
    Instrument.RISK_LEVEL: (),
}


def statement(finding: SafetyFinding, zone: tzinfo, say: Language) -> Statement:
    """The finding in words."""
    shown = _zone_shown(finding, zone)
    what, lines = _worded(finding, say.dated_ago(finding.when, finding.days, shown), say)
    if finding.provisional:
        counted = say("Provisional, preliminary or in progress; counted as recorded")
        lines.append(Line(text=counted))
    since = _since(finding, zone, say) if finding.topic in SAFETY_TOPICS else []
    return Statement(
        what=what,
        timing=_timing(finding),
        date=say.dated(finding.when, shown),
        ago=say.ago(finding.days) if finding.when and finding.when.exact else "",
        beside=_beside(finding, say),
        lines=tuple(lines),
        later=tuple(since),
    )


def headline(finding: SafetyFinding, say: Language) -> str:
    """The finding without its lines and date."""
    return _worded(finding, "", say)[0]


def _worded(finding: SafetyFinding, moment: str, say: Language) -> Worded:
    if finding.event is not None:
        return _coded(finding.event, moment, say)
    if finding.anomaly is not None:
        return _anomaly(finding.anomaly, moment, say)
    if finding.assessment is not None and finding.assessment.result is not None:
        what = say(ASSESSED[finding.assessment.result, finding.assessment.by_software])
        return what, [_lead(what, moment, finding.references, say)]
    if finding.unheard is not None:
        return unheard_words(finding.unheard, moment, say)
    if finding.form is not None:
        return FORM_WORDING[finding.kind](finding, finding.form, moment, say)
    return say("Some of the chart could not be read"), []


def _timing(finding: SafetyFinding) -> Timing:
    if finding.kind is Kind.UNHEARD and finding.unheard and finding.unheard.says_yes:
        return Timing.AGO
    return TIMINGS.get(finding.kind, Timing.AGO)


TIMINGS = {
    Kind.DEPRESSION_TOTAL: Timing.ON,
    Kind.TOTAL_IMPLIES_ITEM: Timing.BESIDE,
    Kind.UNREADABLE_ANSWER: Timing.BESIDE,
    Kind.UNHEARD: Timing.BESIDE,
    Kind.BLANK_ITEM: Timing.BESIDE,
    Kind.ANOMALY: Timing.BESIDE,
}


def _beside(finding: SafetyFinding, say: Language) -> str:
    """The total of a form with a self-harm answer; how much of a form with a blank item was answered."""
    form = finding.form
    if finding.kind is Kind.SELF_HARM_ITEM and form and (total := total_of(form)) is not None:
        return say("total {total}", total=total)
    if finding.kind is Kind.BLANK_ITEM and form:
        count = len(form.instrument.spec.items)
        return say("{answered} of {count} answered", answered=len(form.item_scores), count=count)
    return ""


def _zone_shown(finding: SafetyFinding, zone: tzinfo) -> tzinfo | None:
    """The zone, where a finding is shown with its time."""
    when = finding.when
    same_day = finding.shares_day or (when is not None and any(late.when.day == when.day for late in finding.later))
    return zone if finding.days in (0, 1) or same_day else None


def _lead(what: str, moment: str, sources: Sequence[str], say: Language, *, remark: str = "") -> Line:
    named = {"what": capitalised(what), "moment": capitalised(moment), "source": say.references(sources)}
    # Translators: {what} is a line such as "PHQ-9 total: 16 of 27", {moment} a date, {source} a reference to the chart.
    text = say("**{what}.** {moment}, {source}", **named)
    if remark:
        text = say("**{what}.** {moment}, {source}. {remark}", remark=remark, **named)
    return sourced(text, sources, LineRole.LEAD)


def _same_form(facts: Iterable[Further], lead: str, say: Language, *, remark: str = "") -> list[Line]:
    """Further answers of a form in one line, each with its sources where they differ from that of the first line."""
    listed, shown = [], []
    for fact, references in facts:
        sources = [code(reference) for reference in references if reference != lead]
        listed.append(", ".join((fact, *sources)))
        shown += sources
    if not listed:
        return []
    text = say("Same form: {answers}", answers="; ".join(listed))
    if remark:
        text = say("{fact}. {remark}", fact=text, remark=remark)
    return [Line(text=text, sources=tuple(shown))]


def _since(finding: SafetyFinding, zone: tzinfo, say: Language) -> list[Line]:
    """Later entries, at most three lines; or that none was found in what could be read.

    Nothing can be called later than an undated finding.
    """
    if finding.when is None:
        undated = say("Not known whether a C-SSRS, ASQ or risk assessment came later: date not recorded")
        return [Line(text=undated)]
    more = len(finding.later[3:]) + finding.more_later
    lines = [_later(late, finding, zone, say) for late in finding.later[:3]]
    if more:
        lines.append(Line(text=say("and {count} more since", count=more)))
    kinds = {late.what for late in finding.later} - {LaterKind.ITEM_9_ZERO}
    if not kinds:
        in_part = Line(text=say(NONE_LATER_IN_PART))
        lines.append(in_part if finding.partly_searched else Line(text=say(NONE_LATER), role=LineRole.NONE_LATER))
    elif kinds <= NOT_COMPLETE and not finding.more_later:
        lines.append(Line(text=say(NONE_COMPLETE_IN_PART if finding.partly_searched else NONE_COMPLETE)))
    return lines


def _later(late: Later, finding: SafetyFinding, zone: tzinfo, say: Language) -> Line:
    same_day = finding.when is not None and late.when.day == finding.when.day
    date = say.dated(late.when, zone if same_day else None)
    words = LATER_LINES[same_day, late.what.is_negative or late.what is LaterKind.RISK_ASSESSMENT]
    text = say(words, entry=say(LATER[late.what]), date=date, source=code(late.reference))
    return sourced(text, [late.reference])


def _self_harm_item(finding: SafetyFinding, form: Administration, moment: str, say: Language) -> Worded:
    answer, title = finding.items[0], form.instrument.spec.title
    named = {"title": title, "item": answer.item}
    further: list[Further] = [(say(FURTHER_YES[a.item]), [a.reference]) for a in finding.items[1:]]
    if answer.item in FURTHER_ENDORSED:
        what = say(FURTHER_ENDORSED[answer.item], title=title)
        lead = _lead(what, moment, [answer.reference], say)
        return what, [lead, *_same_form(further, answer.reference, say)]
    quoted = say("yes") if answer.score is None else say(OPTIONS[form.instrument.spec.scale][answer.score])
    what = say("{title} item {item} answered “{answer}”", answer=quoted, **named)
    lead, remark = _lead(item_words(answer, form.instrument, say), moment, [answer.reference], say), ""
    if form.total is not None and not form.contradictory:
        total = say("total {total} of {top}", total=form.total, top=form.instrument.spec.top_total)
        further.append((total, [form.total_reference] if form.total_reference else []))
        if form.total < DEPRESSION_CUTS[form.instrument]:
            remark = say("A low total does not make item {item} less important", item=answer.item)
    return what, [lead, *_same_form(further, answer.reference, say, remark=remark)]


def _total_words(form: Administration, total: int | None, say: Language) -> str:
    title, top = form.instrument.spec.title, form.instrument.spec.top_total
    return say("{title} total: {total} of {top}", title=title, total=total, top=top)


def _total_implies(finding: SafetyFinding, form: Administration, moment: str, say: Language) -> Worded:
    title, item = form.instrument.spec.title, SAFETY_ITEMS[form.instrument].item
    answer = form.answer(item)
    if answer:
        words = answer_words(answer, form.instrument, say)
        why = say("Item {item} is recorded as {answer}, but this total means it was above 0.", item=item, answer=words)
    else:
        absent = say("Item {item} not on file, but this total means it was above 0.", item=item)
        unread = say("Item {item} not read, but this total means it was above 0.", item=item)
        why = unread if finding.answers_unread else absent
    what = say("{title} total of {total} means item {item} was above 0", title=title, total=finding.value, item=item)
    return what, [_lead(_total_words(form, finding.value, say), moment, finding.references, say, remark=why)]


def _cssrs(finding: SafetyFinding, form: Administration, moment: str, say: Language) -> Worded:
    no = [item for item in ("q6_recent", "q6") if form.yes(item) is False and (item == "q6" or form.yes("q6"))]
    first, lines = _screen(finding, form, no, moment, say)
    if finding.gap == "recency":
        lines.append(Line(text=say("Date of the behavior: not recorded")))
    if not finding.items:
        return first, lines
    named = {"title": title_of(form.instrument, say), "question": question(finding.items[0].item, say, form.instrument)}
    return say("{title} {question} answered yes", **named), lines


def _asq(finding: SafetyFinding, form: Administration, moment: str, say: Language) -> Worded:
    no = ["acuity"] if finding.gap != "acuity" and form.yes("acuity") is False else []
    first, lines = _screen(finding, form, no, moment, say)
    if finding.gap == "acuity":
        lines.append(_acuity(form, say))
    if form.yes("acuity"):
        return say("ASQ acuity answered yes"), lines
    if not finding.items:
        return first, lines
    if not finding.gap:
        return say("ASQ positive; acuity question answered no"), lines
    acuity = form.answer("acuity")
    if acuity and acuity.state is AnswerState.DECLINED:
        return say("ASQ positive; acuity question declined"), lines
    return say("ASQ positive; acuity question not recorded"), lines


def _screen(
    finding: SafetyFinding, form: Administration, no: Sequence[str], moment: str, say: Language
) -> tuple[str, list[Line]]:
    """The gravest fact of a screen, in bold with date and source, and the others in one line. no: answered no."""
    title, kind = title_of(form.instrument, say), form.instrument
    leads: list[tuple[str, str]] = [
        (say("{title} {question}: yes", title=title, question=question(a.item, say, kind)), a.reference)
        for a in finding.items[:1]
    ]
    others = finding.items[1:]
    by_number = [a for a in others if a.item in BY_NUMBER[kind]]
    counted = by_number if len(by_number) > 1 else []
    further: list[Further] = [
        (say("yes to {question}", question=question(a.item, say, kind)), [a.reference])
        for a in others
        if a not in counted
    ]
    if counted:
        numbers = ", ".join(sorted(a.item.removeprefix("q") for a in counted))
        # Translators: in a list after "Same form:"; {numbers} as in "1, 2, 3".
        further.append((say("yes to questions {numbers}", numbers=numbers), [a.reference for a in counted]))
    if form.level in RESULTS:
        result, source = say(RESULTS[form.level]), form.level_reference or form.references[0]
        # Translators: {title} is a screen, such as ASQ; {result} its overall result.
        leads.append((say("{title} {result}", title=title, result=result), source))
        further += [(result, [source])] if finding.items else []
    for item in no:
        no_to, answer = NO_ACUITY if item == "acuity" else NO_TO, form.answer(item)
        words = say(no_to, question=question(item, say, kind))
        further.append((words, [answer.reference] if answer else []))
    (first, lead), *_ = leads
    return first, [_lead(first, moment, [lead], say), *_same_form(further, lead, say)]


def _acuity(form: Administration, say: Language) -> Line:
    answer = form.answer("acuity")
    return Line(text=say(ACUITY[answer.state if answer else AnswerState.BLANK]))


def _refused(finding: SafetyFinding, form: Administration, moment: str, say: Language) -> Worded:
    title, sources = form.instrument.spec.title, finding.references
    declined = say("{title}: all questions declined", title=title)
    lines = [_lead(declined, moment, sources, say, remark=say("Counts as positive."))]
    lines += [_acuity(form, say)] if finding.gap == "acuity" else []
    return say("{title} questions all declined", title=title), lines


def _unreadable(finding: SafetyFinding, form: Administration, moment: str, say: Language) -> Worded:
    named, count = {"title": title_of(form.instrument, say), "questions": _questions(finding, say)}, len(finding.items)
    # Translators: of one question, named, or of several.
    what = say.many(
        "{title} {questions}: answer could not be read", "{title}: {count} answers could not be read", count, **named
    )
    lead = say.many(
        "{title} {questions}: the answer could not be read",
        "{title} {questions}: the answers could not be read",
        count,
        **named,
    )
    return what, [_lead(lead, moment, finding.references, say, remark=say("Look at the source."))]


def _declined(finding: SafetyFinding, form: Administration, moment: str, say: Language) -> Worded:
    named = {"title": title_of(form.instrument, say), "questions": _questions(finding, say)}
    # Translators: of one question, named, or of several.
    what = say.many("{title} {questions} declined", "{title}: {count} questions declined", len(finding.items), **named)
    lead = say("{title} {questions}: declined", **named)
    return what, [_lead(lead, moment, finding.references, say)]


def _questions(finding: SafetyFinding, say: Language) -> str:
    return ", ".join(question(answer.item, say) for answer in finding.items)


def _blank(finding: SafetyFinding, form: Administration, moment: str, say: Language) -> Worded:
    title, item, scores = form.instrument.spec.title, SAFETY_ITEMS[form.instrument].item, form.item_scores
    if form.answer(item):
        state = say("{title} item {item} was left blank", title=title, item=item)
    else:
        absent = say("{title} item {item} is not on file", title=title, item=item)
        state = say("{title} item {item} was not read", title=title, item=item) if finding.answers_unread else absent
    others = say.many(
        "The other {count} answer adds up to {sum}; no total is given, because a blank is not a zero",
        "The other {count} answers add up to {sum}; no total is given, because a blank is not a zero",
        len(scores),
        sum=sum(scores),
    )
    return state, [_lead(state, moment, finding.references, say), Line(text=others)]


def _total(finding: SafetyFinding, form: Administration, moment: str, say: Language) -> Worded:
    lines = [_lead(_total_words(form, finding.value, say), moment, finding.references, say)]
    if form.instrument in NINE_ITEM_PHQ:
        nine = form.answer("9")
        words = answer_words(nine, form.instrument, say) if nine else none_words(say, unread=finding.answers_unread)
        lines.append(Line(text=say("Item 9: {answer}", answer=words), role=LineRole.RESULT))
    return say("{title} was {total}", title=form.instrument.spec.title, total=finding.value), lines


def _coded(event: CodedEvent, moment: str, say: Language) -> Worded:
    name, sources = event_words(event.kind, say), [event.reference]
    if event.subsequent:
        what = say("Follow-up care after {event}", event=name)
        text = say(
            "**{what}.** Coded: {moment}, {source}; date of the event not recorded",
            what=what,
            moment=moment,
            source=say.references(sources),
        )
        return say("follow-up care after {event} coded", event=name), [sourced(text, sources, LineRole.LEAD)]
    where = say("{event}, {setting}", event=capitalised(name), setting=say(SETTINGS[event.setting]))
    lines = [_lead(where, moment, sources, say)]
    if not event.verified:
        lines.append(Line(text=say("This service could not verify the meaning of this code.")))
    return say("{event} recorded", event=name), lines


def _anomaly(anomaly: Anomaly, moment: str, say: Language) -> Worded:
    parts = [moment] if anomaly.when and not anomaly.when.future else []
    if anomaly.references:
        parts.append(say.references(anomaly.references))
    what, details = flaw_words(anomaly, say), ", ".join(parts)
    text = say("**{what}.** {details}", what=what, details=details) if details else say("**{what}.**", what=what)
    if remark := remark_words(anomaly, say):
        text = say("{fact}. {remark}", fact=text, remark=remark) if details else f"{text} {remark}"
    return what, [sourced(text, anomaly.references, LineRole.LEAD)]


FORM_WORDING: dict[Kind, Callable[[SafetyFinding, Administration, str, Language], Worded]] = {
    Kind.SELF_HARM_ITEM: _self_harm_item,
    Kind.TOTAL_IMPLIES_ITEM: _total_implies,
    Kind.CSSRS: _cssrs,
    Kind.ASQ: _asq,
    Kind.RISK_LEVEL: _cssrs,
    Kind.ALL_REFUSED: _refused,
    Kind.UNREADABLE_ANSWER: _unreadable,
    Kind.DECLINED_ANSWER: _declined,
    Kind.BLANK_ITEM: _blank,
    Kind.DEPRESSION_TOTAL: _total,
}
