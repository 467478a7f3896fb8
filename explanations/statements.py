"""A safety finding in words: one headline, and the lines of what the chart holds.

Restates; does not judge. The method of self-harm is never named, a coded "low" level never printed, and
nothing here is said to be reassuring. Question wording of instruments is not reproduced: licences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo

from explanations.phrasebook import ago, code, dated, references
from fhir_adapters.facts import Administration, Anomaly, CodedEvent, Instrument, ItemAnswer
from models.safety_rules import SAFETY_TOPICS, Kind, Later, SafetyFinding, Urgency

TITLES = {
    Instrument.PHQ9: "PHQ-9",
    Instrument.PHQ9M: "PHQ-9M",
    Instrument.PHQ2: "PHQ-2",
    Instrument.EPDS: "EPDS",
    Instrument.CSSRS: "C-SSRS",
    Instrument.ASQ: "ASQ",
    Instrument.GAD7: "GAD-7",
}
FREQUENCY = ("not at all", "several days", "more than half the days", "nearly every day")
QUESTIONS = {
    **{f"q{n}": f"question {n}" for n in range(1, 7)},
    "q6_recent": "question 6 (past 3 months)",
    "acuity": "acuity question",
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
TOP = {Instrument.PHQ9: 27, Instrument.PHQ9M: 27, Instrument.PHQ2: 6, Instrument.EPDS: 30}
NOT_DECISIVE = {Instrument.PHQ9: 10, Instrument.PHQ9M: 10, Instrument.EPDS: 13}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """`what` and `when` make the headline; `lines` are markdown list items, the first one bold."""

    what: str
    when: str
    lines: tuple[str, ...]


def statement(finding: SafetyFinding, zone: tzinfo) -> Statement:
    """The finding in words."""
    moment = _moment(finding, zone)
    what, lines = _worded(finding, moment)
    if finding.provisional:
        lines = [*lines, "The entry is provisional, preliminary or in progress; it is counted as it stands."]
    if finding.topic in SAFETY_TOPICS:
        lines = [*lines, *later_lines(finding)]
    return Statement(what=what, when=moment, lines=tuple(lines))


def _worded(finding: SafetyFinding, moment: str) -> tuple[str, list[str]]:
    if finding.event is not None:
        return _coded(finding.event, moment)
    if finding.anomaly is not None:
        return _anomaly(finding.anomaly, moment)
    if finding.form is not None:
        return FORM_WORDING[finding.kind](finding, finding.form, moment)
    return "Some of the chart could not be read", []


def _moment(finding: SafetyFinding, zone: tzinfo) -> str:
    if finding.when is None or finding.when.future:
        return dated(finding.when)
    with_time = zone if finding.days in (0, 1) else None
    return f"{dated(finding.when, with_time)}, {ago(finding.days)}"


def later_lines(finding: SafetyFinding) -> list[str]:
    """What came later, or that nothing was found."""
    lines = [_later(late) for late in finding.later]
    if not any(late.what != "item-9-zero" for late in finding.later):
        lines.append("C-SSRS, ASQ or risk assessment since then: none found")
    return lines


def _later(late: Later) -> str:
    words = {
        "c-ssrs-negative": "Later complete C-SSRS, questions answered no",
        "asq-negative": "Later complete ASQ, questions answered no",
        "risk-assessment": "Later suicide risk assessment completed",
        "item-9-zero": "Later PHQ-9 item 9: 0, not at all",
    }[late.what]
    note = "; this does not rule out risk" if late.what != "risk-assessment" else ""
    return f"{words}: {dated(late.when)}, {code(late.reference)}{note}"


def answer_words(answer: ItemAnswer, instrument: Instrument) -> str:
    """An answer as it can be said: 1 of 3, several days; yes; declined."""
    if answer.score is not None:
        phq = instrument in (Instrument.PHQ9, Instrument.PHQ9M)
        return f"{answer.score} of 3" + (f", {FREQUENCY[answer.score]}" if phq else "")
    if answer.yes is not None:
        return "yes" if answer.yes else "no"
    return answer.state.value


def _self_harm_item(finding: SafetyFinding, form: Administration, moment: str) -> tuple[str, list[str]]:
    answer, title = finding.items[0], TITLES[form.instrument]
    epds = form.instrument is Instrument.EPDS
    said = "above “never”" if epds else answer_words(answer, form.instrument)
    lines = [f"**{title} item {answer.item}: {said}.** {moment}, {references(finding.references)}"]
    if form.total is not None and not form.contradictory:
        cut = NOT_DECISIVE[form.instrument]
        note = f" A total under {cut} does not soften item {answer.item}." if form.total < cut else ""
        source = f", {code(form.total_reference)}" if form.total_reference else ""
        lines.append(f"{title} total: {form.total} of {TOP[form.instrument]}. Same form{source}.{note}")
    quoted = "“yes”" if answer.score is None else f"“{FREQUENCY[answer.score]}”"
    return f"{title} item {answer.item} {'above “never”' if epds else quoted}", lines


def _total_implies(finding: SafetyFinding, form: Administration, moment: str) -> tuple[str, list[str]]:
    title = TITLES[form.instrument]
    item = "10" if form.instrument is Instrument.EPDS else "9"
    line = (
        f"**{title} total: {finding.value} of {TOP[form.instrument]}.** {moment}, {references(finding.references)}. "
        f"The answer to item {item} is not on file; this total cannot be reached without it."
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
        lines.append("The acuity question is not recorded.")
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


def _refused(finding: SafetyFinding, form: Administration, moment: str) -> tuple[str, list[str]]:
    title = TITLES[form.instrument]
    line = f"**{title}: all questions declined.** {moment}, {references(finding.references)}. Counts as positive."
    lines = [line] + (["The acuity question is not recorded."] if finding.gap == "acuity" else [])
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
    title = TITLES[form.instrument]
    scores = [a.score for a in form.answers if a.score is not None and a.item.isdigit()]
    lines = [
        f"**{title} item 9: blank.** {moment}, {references(finding.references)}",
        f"The other {len(scores)} answers add up to {sum(scores)}; no total is given, and blank is not counted as zero",
    ]
    return f"{title} item 9 was left blank ({len(scores)} of 9 answered)", lines


def _total(finding: SafetyFinding, form: Administration, moment: str) -> tuple[str, list[str]]:
    title = TITLES[form.instrument]
    lines = [
        f"**{title} total: {finding.value} of {TOP[form.instrument]}.** {moment}, {references(finding.references)}"
    ]
    if form.instrument in (Instrument.PHQ9, Instrument.PHQ9M):
        nine = form.answer("9")
        lines.append(f"Item 9: {answer_words(nine, form.instrument) if nine else 'not on file'}")
    return f"{title} was {finding.value}", lines


def _coded(event: CodedEvent, moment: str) -> tuple[str, list[str]]:
    label = event.display[0].upper() + event.display[1:]
    where = ", encounter diagnosis" if event.encounter_diagnosis else ""
    lines = [f"**{label}{where}.** {moment}, {code(event.reference)}"]
    if event.subsequent:
        lines.append("Coded as follow-up care of an earlier event.")
    if not event.verified:
        lines.append("The meaning of this code was not verified at its source by this service.")
    return f"{label} recorded", lines


def _anomaly(anomaly: Anomaly, moment: str) -> tuple[str, list[str]]:
    parts = [moment] if anomaly.when else []
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
