"""A safety finding in words: one headline, and the lines of what the chart holds.

Restates; does not judge. The method of self-harm is never named, a coded "low" level never printed, and
nothing here is said to be reassuring. Question wording of instruments is not reproduced: licences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo

from explanations.words.phrasebook import ago, code, dated, references
from fhir_adapters.codesets.instruments import ITEM_COUNT, NINE_ITEM_PHQ, SAFETY_ITEM, TITLES, TOP_TOTAL
from fhir_adapters.facts import Administration, Anomaly, AnswerState, CodedEvent, Instrument, ItemAnswer
from models.rules.findings import SAFETY_TOPICS, Kind, SafetyFinding, Urgency
from models.rules.safety_rules import CUTS
from models.rules.supersession import Later, LaterKind

FREQUENCY = ("not at all", "several days", "more than half the days", "nearly every day")
QUESTIONS = {
    **{f"q{n}": f"question {n}" for n in range(1, 7)},
    "q6_recent": "question 6 (past 3 months)",
    "acuity": "acuity question",
    "level": "overall result",
}
CSSRS_WORDS = {
    "q1": "question 1 (wish to be dead)",
    "q2": "question 2 (thoughts)",
    "q3": "question 3 (method considered)",
    "q4": "question 4 (intent)",
    "q5": "question 5 (plan and intent)",
    "q6": "question 6 (behaviour)",
    "q6_recent": "question 6 (behaviour, past 3 months)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """`what` and `when` make the headline; `lines` are markdown list items, the first one bold.

    `later`: what came since.
    """

    what: str
    when: str
    lines: tuple[str, ...]
    later: tuple[str, ...] = ()


def statement(finding: SafetyFinding, zone: tzinfo) -> Statement:
    """The finding in words."""
    moment = _moment(finding, zone)
    what, lines = _worded(finding, moment)
    if finding.provisional:
        lines = [*lines, "The entry is provisional, preliminary or in progress; it is counted as it stands."]
    later = later_lines(finding, zone) if finding.topic in SAFETY_TOPICS else []
    return Statement(what=what, when=moment, lines=tuple(lines), later=tuple(later))


def headline(finding: SafetyFinding, zone: tzinfo) -> str:
    """What the finding says, without its lines."""
    return _worded(finding, _moment(finding, zone))[0]


def _worded(finding: SafetyFinding, moment: str) -> tuple[str, list[str]]:
    if finding.event is not None:
        return _coded(finding.event, moment)
    if finding.anomaly is not None:
        return _anomaly(finding.anomaly, moment)
    if finding.form is not None:
        return FORM_WORDING[finding.kind](finding, finding.form, moment)
    return "Some of the chart could not be read", []


def _moment(finding: SafetyFinding, zone: tzinfo) -> str:
    when = finding.when
    if when is None or when.future:
        return dated(when)
    same_day = any(late.when.day == when.day for late in finding.later)
    with_time = zone if finding.days in (0, 1) or same_day else None
    return f"{dated(when, with_time)}{'' if when.partial else f', {ago(finding.days)}'}"


def later_lines(finding: SafetyFinding, zone: tzinfo) -> list[str]:
    """What was recorded since, at most three lines; or that nothing was found in what could be read.

    Of a finding without a date nothing can be said to be later.
    """
    if finding.when is None:
        return ["Whether a C-SSRS, ASQ or risk assessment came later cannot be said: date not recorded"]
    more = len(finding.later[3:]) + finding.more_later
    shown = [_later(late, finding, zone) for late in finding.later[:3]]
    shown += [f"and {more} more since"] if more else []
    if not any(late.what is not LaterKind.ITEM_9_ZERO for late in finding.later):
        unread = "; not all of the chart could be read" if finding.partly_searched else ""
        shown.append(f"Later C-SSRS, ASQ or risk assessment: none in the records read{unread}")
    return shown


LATER_WORDS = {
    LaterKind.CSSRS_NEGATIVE: "C-SSRS, all questions put answered no",
    LaterKind.CSSRS_POSITIVE: "C-SSRS with positive answers",
    LaterKind.CSSRS_INCOMPLETE: "C-SSRS, not complete",
    LaterKind.ASQ_NEGATIVE: "ASQ, all questions answered no",
    LaterKind.ASQ_POSITIVE: "ASQ with positive answers",
    LaterKind.ASQ_INCOMPLETE: "ASQ, not complete",
    LaterKind.RISK_ASSESSMENT: "Suicide risk assessment completed",
    LaterKind.ITEM_9_ZERO: "PHQ-9 item 9: 0, not at all",
}


def _later(late: Later, finding: SafetyFinding, zone: tzinfo) -> str:
    same_day = finding.when is not None and late.when.day == finding.when.day
    start = "Same day" if same_day else "Later"
    note = "; this does not rule out risk" if late.what.is_negative else ""
    moment = dated(late.when, zone if same_day else None)
    return f"{start}: {LATER_WORDS[late.what]}. {moment}, {code(late.reference)}{note}"


def answer_words(answer: ItemAnswer, instrument: Instrument) -> str:
    """An answer as it can be said: 1 of 3, several days; yes; declined."""
    if answer.score is not None:
        phq = instrument in NINE_ITEM_PHQ
        return f"{answer.score} of 3" + (f", {FREQUENCY[answer.score]}" if phq else "")
    if answer.yes is not None:
        return "yes" if answer.yes else "no"
    return answer.state.value


def _self_harm_item(finding: SafetyFinding, form: Administration, moment: str) -> tuple[str, list[str]]:
    answer, title = finding.items[0], TITLES[form.instrument]
    if answer.item in TEEN_WORDS:
        what = f"{title} question on {TEEN_WORDS[answer.item]} answered yes"
        return what, [f"**{what}.** {moment}, {code(answer.reference)}", *_teen_lines(title, finding)]
    epds = form.instrument is Instrument.EPDS
    said = "above “never”" if epds else answer_words(answer, form.instrument)
    lines = [f"**{title} item {answer.item}: {said}.** {moment}, {code(answer.reference)}"]
    lines += _teen_lines(title, finding)
    if form.total is not None and not form.contradictory:
        cut = CUTS[form.instrument]
        note = f" A total under {cut} does not soften item {answer.item}." if form.total < cut else ""
        source = f", {code(form.total_reference)}" if form.total_reference else ""
        lines.append(f"{title} total: {form.total} of {TOP_TOTAL[form.instrument]}. Same form{source}.{note}")
    quoted = "“yes”" if answer.score is None else f"“{FREQUENCY[answer.score]}”"
    return f"{title} item {answer.item} {'above “never”' if epds else quoted}", lines


def _teen_lines(title: str, finding: SafetyFinding) -> list[str]:
    """The further questions of PHQ-9M that were answered yes beside the first answer."""
    first = finding.items[0].reference
    sources = {a.item: "" if a.reference == first else f", {code(a.reference)}" for a in finding.items}
    return [f"{title} question on {TEEN_WORDS[a.item]}: yes. Same form{sources[a.item]}" for a in finding.items[1:]]


TEEN_WORDS = {"past_month_thoughts": "thoughts in the past month", "lifetime_attempt": "a suicide attempt ever"}


def _total_implies(finding: SafetyFinding, form: Administration, moment: str) -> tuple[str, list[str]]:
    title, item = TITLES[form.instrument], SAFETY_ITEM[form.instrument]
    answer = form.answer(item)
    said = (
        f"Item {item} is {answer_words(answer, form.instrument)} on the form"
        if answer
        else (f"The answer to item {item} is not on file")
    )
    line = (
        f"**{title} total: {finding.value} of {TOP_TOTAL[form.instrument]}.** {moment}, "
        f"{references(finding.references)}. {said}; this total cannot be reached without it."
    )
    return f"{title} total {finding.value} cannot be reached without item {item}", [line]


def _cssrs(finding: SafetyFinding, form: Administration, moment: str) -> tuple[str, list[str]]:
    said = [(f"{CSSRS_WORDS[a.item]}: yes", a.reference) for a in finding.items]
    if form.level in ("high", "moderate"):
        said.append((f"overall result recorded as {form.level}", form.level_reference or form.references[0]))
    lines = _listed("C-SSRS", said, moment)
    if finding.gap == "recency":
        lines.append("When the behaviour took place is not recorded.")
    if form.yes("q6_recent") is False and form.yes("q6"):
        lines.append("C-SSRS question 6 (behaviour, past 3 months): no. Same form")
    if form.yes("q6") is False:
        lines.append("C-SSRS question 6 (behaviour): no. Same form")
    first = said[0][0]
    return f"C-SSRS {first.replace(': yes', ' answered yes')}", lines


def _asq(finding: SafetyFinding, form: Administration, moment: str) -> tuple[str, list[str]]:
    lines = _listed("ASQ", [(f"{QUESTIONS[a.item]}: yes", a.reference) for a in finding.items], moment)
    if finding.gap == "acuity":
        lines.append(f"ASQ acuity question: {_acuity(form)}.")
    elif form.yes("acuity") is False:
        lines.append("ASQ acuity question: no. Same form")
    if form.yes("acuity"):
        return "ASQ acuity answered yes", lines
    return "ASQ positive" + (", acuity not recorded" if finding.gap else ", acuity no"), lines


def _listed(title: str, said: list[tuple[str, str]], moment: str) -> list[str]:
    """The first answer in bold with date and source; further ones name their source only when it is another."""
    lines = []
    for place, (words, reference) in enumerate(said):
        if place == 0:
            lines.append(f"**{title} {words}.** {moment}, {code(reference)}")
        else:
            source = "" if reference == said[0][1] else f", {code(reference)}"
            lines.append(f"{title} {words}. Same form{source}")
    return lines


def _acuity(form: Administration) -> str:
    answer = form.answer("acuity")
    words = {AnswerState.DECLINED: "declined", AnswerState.UNREADABLE: "could not be read"}
    return words.get(answer.state, "not recorded") if answer else "not recorded"


def _refused(finding: SafetyFinding, form: Administration, moment: str) -> tuple[str, list[str]]:
    title = TITLES[form.instrument]
    line = f"**{title}: all questions declined.** {moment}, {references(finding.references)}. Counts as positive."
    lines = [line] + ([f"ASQ acuity question: {_acuity(form)}."] if finding.gap == "acuity" else [])
    return f"{title} questions all declined", lines


def _unreadable(finding: SafetyFinding, form: Administration, moment: str) -> tuple[str, list[str]]:
    what = f"{TITLES[form.instrument]} {_item_names(finding)}"
    return f"{what}: answer could not be read", [
        f"**{what}: the answer could not be read.** {moment}, {references(finding.references)}"
    ]


def _declined(finding: SafetyFinding, form: Administration, moment: str) -> tuple[str, list[str]]:
    what = f"{TITLES[form.instrument]} {_item_names(finding)}: declined"
    return what, [f"**{what}.** {moment}, {references(finding.references)}"]


def _item_names(finding: SafetyFinding) -> str:
    return ", ".join(QUESTIONS.get(answer.item, f"item {answer.item}") for answer in finding.items)


def _blank(finding: SafetyFinding, form: Administration, moment: str) -> tuple[str, list[str]]:
    title, item = TITLES[form.instrument], SAFETY_ITEM[form.instrument]
    scores = form.item_scores
    state = "was left blank" if form.answer(item) else "is not on file"
    of = ITEM_COUNT[form.instrument]
    lines = [
        f"**{title} item {item} {state}.** {moment}, {references(finding.references)}",
        f"The other {len(scores)} answers add up to {sum(scores)}; no total is given, and blank is not counted as zero",
    ]
    return f"{title} item {item} {state} ({len(scores)} of {of} answered)", lines


def _total(finding: SafetyFinding, form: Administration, moment: str) -> tuple[str, list[str]]:
    title = TITLES[form.instrument]
    top = TOP_TOTAL[form.instrument]
    lines = [f"**{title} total: {finding.value} of {top}.** {moment}, {references(finding.references)}"]
    if form.instrument in NINE_ITEM_PHQ:
        nine = form.answer("9")
        lines.append(f"Item 9: {answer_words(nine, form.instrument) if nine else 'not on file'}")
    return f"{title} was {finding.value}", lines


def _coded(event: CodedEvent, moment: str) -> tuple[str, list[str]]:
    label = event.display[0].upper() + event.display[1:]
    if event.subsequent:
        what = f"Follow-up care after {event.display}"
        return f"{what}, coded", [
            f"**{what}.** Coded {moment}, {code(event.reference)}; date of the event not recorded"
        ]
    lines = [f"**{label}, {event.setting.value}.** {moment}, {code(event.reference)}"]
    if not event.verified:
        lines.append("The meaning of this code was not verified at its source by this service.")
    return f"{label} recorded", lines


def _anomaly(anomaly: Anomaly, moment: str) -> tuple[str, list[str]]:
    parts = [moment] if anomaly.when and not anomaly.when.future else []
    if anomaly.references:
        parts.append(references(anomaly.references))
    return anomaly.text.rstrip("."), [f"**{anomaly.text}** {', '.join(parts)}".rstrip()]


FORM_WORDING: dict[Kind, Callable[[SafetyFinding, Administration, str], tuple[str, list[str]]]] = {
    Kind.SELF_HARM_ITEM: _self_harm_item,
    Kind.TOTAL_IMPLIES_ITEM: _total_implies,
    Kind.CSSRS: _cssrs,
    Kind.ASQ: _asq,
    Kind.ALL_REFUSED: _refused,
    Kind.UNREADABLE_ANSWER: _unreadable,
    Kind.DECLINED_ANSWER: _declined,
    Kind.BLANK_ITEM: _blank,
    Kind.DEPRESSION_TOTAL: _total,
}

INDICATORS = {Urgency.ACUTE: "critical", Urgency.PROMPT: "warning", Urgency.NOTE: "info"}
