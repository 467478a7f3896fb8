"""A safety finding in words: one headline, and the lines of what the chart holds.

Restates; does not judge. Never names a method of self-harm, prints a coded "low" level, reassures, or reproduces the
licensed wording of questions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from fhir_adapters.instruments import DEPRESSION_CUTS, NINE_ITEM_PHQ, SAFETY_ITEMS
from fhir_adapters.reading.questionnaires.totals import total_of
from models.rules.findings import SAFETY_TOPICS, Kind, SafetyFinding
from models.rules.supersession import Later, LaterKind

# The questions outside the total that count like the self-harm item.
FURTHER_ITEMS = tuple(item for safety in SAFETY_ITEMS.values() for item in safety.further)
FURTHER_ENDORSED = complete(
    {
        "past_month_thoughts": later("{title} question on thoughts in the past month answered yes"),
        "lifetime_attempt": later("{title} question on a suicide attempt ever answered yes"),
    },
    FURTHER_ITEMS,
)
FURTHER_YES = complete(
    {
        "past_month_thoughts": later("{title} question on thoughts in the past month: yes"),
        "lifetime_attempt": later("{title} question on a suicide attempt ever: yes"),
    },
    FURTHER_ITEMS,
)
ACUITY = complete(
    {
        AnswerState.ANSWERED: later("ASQ acuity question: not recorded."),
        AnswerState.DECLINED: later("ASQ acuity question: declined."),
        AnswerState.BLANK: later("ASQ acuity question: not recorded."),
        AnswerState.UNREADABLE: later("ASQ acuity question: could not be read."),
    },
    AnswerState,
)
LATER = complete(
    {
        LaterKind.CSSRS_NEGATIVE: later("C-SSRS, every question asked was answered no"),
        LaterKind.CSSRS_POSITIVE: later("C-SSRS with positive answers"),
        LaterKind.CSSRS_INCOMPLETE: later("C-SSRS, not complete"),
        LaterKind.ASQ_NEGATIVE: later("ASQ, every question was answered no"),
        LaterKind.ASQ_POSITIVE: later("ASQ with positive answers"),
        LaterKind.ASQ_INCOMPLETE: later("ASQ, not complete"),
        LaterKind.LEVEL_POSITIVE: later("Suicide risk screen with a positive result"),
        LaterKind.LEVEL_OTHER: later("Suicide risk screen, overall result only"),
        LaterKind.RISK_ASSESSMENT: later("Suicide risk assessment completed"),
        LaterKind.RISK_POSITIVE: later("Suicide risk assessment with a positive result"),
        LaterKind.RISK_INCOMPLETE: later("Suicide risk assessment, not complete"),
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
# By whether the entry is of the same day as the finding, and whether it is negative.
LATER_LINES = {
    (False, False): later("Later: {entry}. {date}, {source}"),
    (False, True): later("Later: {entry}. {date}, {source}; this does not rule out risk"),
    (True, False): later("Same day: {entry}. {date}, {source}"),
    (True, True): later("Same day: {entry}. {date}, {source}; this does not rule out risk"),
}
NONE_LATER = later("Later C-SSRS, ASQ or risk assessment: none found in the records read")
NONE_LATER_IN_PART = later(
    "Later C-SSRS, ASQ or risk assessment: none found in the records read; not all of the chart could be read"
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


Worded = tuple[str, list[Line]]


def statement(finding: SafetyFinding, zone: tzinfo, say: Language) -> Statement:
    """The finding in words."""
    shown = _zone_shown(finding, zone)
    what, lines = _worded(finding, say.dated_ago(finding.when, finding.days, shown), say)
    if finding.provisional:
        counted = say("The entry is provisional, preliminary or in progress; it is counted as it stands.")
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


def _same_form(what: str, source: str | None, say: Language) -> Line:
    """A further line of a form; `source` if it differs from the lead's."""
    if source is None:
        return Line(text=say("{what}. Same form", what=what))
    return sourced(say("{what}. Same form, {source}", what=what, source=code(source)), [source])


def _since(finding: SafetyFinding, zone: tzinfo, say: Language) -> list[Line]:
    """Later entries, at most three lines; or that none was found in what could be read.

    Nothing can be called later than an undated finding.
    """
    if finding.when is None:
        undated = say("Whether a C-SSRS, ASQ or risk assessment came later cannot be said: date not recorded")
        return [Line(text=undated)]
    more = len(finding.later[3:]) + finding.more_later
    lines = [_later(late, finding, zone, say) for late in finding.later[:3]]
    if more:
        lines.append(Line(text=say("and {count} more since", count=more)))
    if all(late.what is LaterKind.ITEM_9_ZERO for late in finding.later):
        none = NONE_LATER_IN_PART if finding.partly_searched else NONE_LATER
        lines.append(Line(text=say(none)))
    return lines


def _later(late: Later, finding: SafetyFinding, zone: tzinfo, say: Language) -> Line:
    same_day = finding.when is not None and late.when.day == finding.when.day
    date = say.dated(late.when, zone if same_day else None)
    words = LATER_LINES[same_day, late.what.is_negative]
    text = say(words, entry=say(LATER[late.what]), date=date, source=code(late.reference))
    return sourced(text, [late.reference])


def _self_harm_item(finding: SafetyFinding, form: Administration, moment: str, say: Language) -> Worded:
    answer, title = finding.items[0], form.instrument.spec.title
    named = {"title": title, "item": answer.item}
    further = _further_lines(title, finding, say)
    if answer.item in FURTHER_ENDORSED:
        what = say(FURTHER_ENDORSED[answer.item], title=title)
        return what, [_lead(what, moment, [answer.reference], say), *further]
    quoted = say("yes") if answer.score is None else say(OPTIONS[form.instrument.spec.scale][answer.score])
    what = say("{title} item {item} answered “{answer}”", answer=quoted, **named)
    lines = [_lead(item_words(answer, form.instrument, say), moment, [answer.reference], say), *further]
    if form.total is not None and not form.contradictory:
        lines.append(_total_beside(form, form.total, answer.item, say))
    return what, lines


def _further_lines(title: str, finding: SafetyFinding, say: Language) -> list[Line]:
    """The other PHQ-9M questions that were answered yes."""
    first = finding.items[0].reference
    return [
        _same_form(say(FURTHER_YES[a.item], title=title), None if a.reference == first else a.reference, say)
        for a in finding.items[1:]
    ]


def _total_beside(form: Administration, total: int, item: str, say: Language) -> Line:
    """The total of a form, shown with its self-harm item."""
    what = _total_words(form, total, say)
    sources = [form.total_reference] if form.total_reference else []
    if sources:
        text = say("{what}. Same form, {source}.", what=what, source=say.references(sources))
    else:
        text = say("{what}. Same form.", what=what)
    if total < DEPRESSION_CUTS[form.instrument]:
        text += " " + say("A low total does not make item {item} less important.", item=item)
    return sourced(text, sources)


def _total_words(form: Administration, total: int | None, say: Language) -> str:
    title, top = form.instrument.spec.title, form.instrument.spec.top_total
    return say("{title} total: {total} of {top}", title=title, total=total, top=top)


def _total_implies(finding: SafetyFinding, form: Administration, moment: str, say: Language) -> Worded:
    title, item = form.instrument.spec.title, SAFETY_ITEMS[form.instrument].item
    answer = form.answer(item)
    if answer:
        words = answer_words(answer, form.instrument, say)
        why = say(
            "On the form, item {item} is {answer}; this total means that it was above 0.", item=item, answer=words
        )
    else:
        absent = say("The answer to item {item} is not on file; this total means that it was above 0.", item=item)
        unread = say("No answer to item {item} was read; this total means that it was above 0.", item=item)
        why = unread if finding.answers_unread else absent
    what = say("{title} total of {total} means item {item} was above 0", title=title, total=finding.value, item=item)
    return what, [_lead(_total_words(form, finding.value, say), moment, finding.references, say, remark=why)]


def _cssrs(finding: SafetyFinding, form: Administration, moment: str, say: Language) -> Worded:
    title = title_of(form.instrument, say)
    names = [question(answer.item, say, form.instrument) for answer in finding.items]
    facts = [
        (say("{title} {question}: yes", title=title, question=name), answer.reference)
        for name, answer in zip(names, finding.items, strict=True)
    ]
    facts += _overall(form, say)
    lines = _listed(facts, moment, say)
    if finding.gap == "recency":
        lines.append(Line(text=say("When the behaviour took place is not recorded.")))
    if form.yes("q6_recent") is False and form.yes("q6"):
        lines.append(_answered_no(form, "q6_recent", say))
    if form.yes("q6") is False:
        lines.append(_answered_no(form, "q6", say))
    if not names:
        return facts[0][0], lines
    return say("{title} {question} answered yes", title=title, question=names[0]), lines


def _answered_no(form: Administration, item: str, say: Language) -> Line:
    title, name = form.instrument.spec.title, question(item, say, form.instrument)
    return _same_form(say("{title} {question}: no", title=title, question=name), None, say)


def _asq(finding: SafetyFinding, form: Administration, moment: str, say: Language) -> Worded:
    title = form.instrument.spec.title
    facts = [
        (say("{title} {question}: yes", title=title, question=question(a.item, say, form.instrument)), a.reference)
        for a in finding.items
    ]
    facts += _overall(form, say)
    lines = _listed(facts, moment, say)
    if finding.gap == "acuity":
        lines.append(_acuity(form, say))
    elif form.yes("acuity") is False:
        lines.append(_answered_no(form, "acuity", say))
    if form.yes("acuity"):
        return say("ASQ acuity answered yes"), lines
    if not finding.items:
        return facts[0][0], lines
    return say("ASQ positive; acuity question not recorded") if finding.gap else say(
        "ASQ positive; acuity question answered no"
    ), lines


def _overall(form: Administration, say: Language) -> list[tuple[str, str]]:
    """The overall result with its source, unless it is low or negative."""
    if form.level not in RESULTS:
        return []
    title, result = title_of(form.instrument, say), say(RESULTS[form.level])
    # Translators: {title} is a screen, such as ASQ; {result} its overall result.
    words = say("{title} {result}", title=title, result=result)
    return [(words, form.level_reference or form.references[0])]


def _listed(facts: Sequence[tuple[str, str]], moment: str, say: Language) -> list[Line]:
    """The first fact in bold with date and source; further ones name their source only if it differs."""
    (first, source), *rest = facts
    further = [_same_form(fact, None if other == source else other, say) for fact, other in rest]
    return [_lead(first, moment, [source], say), *further]


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
    return what, [_lead(lead, moment, finding.references, say)]


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
        "The other {count} answer adds up to {sum}; no total is given, and blank is not counted as zero",
        "The other {count} answers add up to {sum}; no total is given, and blank is not counted as zero",
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
        lines.append(Line(text=say("The meaning of this code was not verified at its source by this service.")))
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
