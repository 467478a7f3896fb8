"""A safety finding in words: one headline, and the lines of what the chart holds.

Restates; does not judge. The method of self-harm is never named, a coded "low" level never printed, and
nothing here is said to be reassuring. Question wording of instruments is not reproduced: licences.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from explanations.phrasebook import ago, code, dated, references
from fhir_adapters.facts import Instrument, ItemAnswer
from models.safety_rules import Kind, Later, SafetyFinding, Topic, Urgency

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
    "q1": "question 1", "q2": "question 2", "q3": "question 3", "q4": "question 4", "q5": "question 5",
    "q6": "question 6 (behaviour)", "q6_recent": "question 6 (behaviour, past 3 months)", "acuity": "acuity question",
}  # fmt: skip
CSSRS_WORDS = {"q4": "question 4 (intent)", "q5": "question 5 (plan and intent)", "q3": "question 3 (method considered)",
               "q2": "question 2 (thoughts)", "q1": "question 1 (wish to be dead)"}  # fmt: skip
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
    what, lines = WORDING[finding.kind](finding, moment)
    if finding.provisional:
        lines = [*lines, "The entry is provisional, preliminary or in progress; it is counted as it stands."]
    if finding.event is not None and not finding.event.verified:
        lines = [*lines, "The meaning of this code was not verified at its source by this service."]
    if finding.topic in (Topic.ACUTE_SAFETY, Topic.POSITIVE_SAFETY_ANSWER, Topic.RECENT_SAFETY):
        lines = [*lines, *later_lines(finding)]
    return Statement(what=what, when=moment, lines=tuple(lines))


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


def _title(finding: SafetyFinding) -> str:
    return TITLES[finding.form.instrument] if finding.form else ""


def answer_words(answer: ItemAnswer, instrument: Instrument) -> str:
    """An answer as it can be said: 1 of 3, several days; yes; declined."""
    if answer.score is not None:
        phq = instrument in (Instrument.PHQ9, Instrument.PHQ9M)
        return f"{answer.score} of 3" + (f", {FREQUENCY[answer.score]}" if phq else "")
    if answer.yes is not None:
        return "yes" if answer.yes else "no"
    return answer.state.value


def _self_harm_item(finding: SafetyFinding, moment: str) -> tuple[str, list[str]]:
    form, answer = finding.form, finding.items[0]
    assert form is not None
    title, epds = _title(finding), form.instrument is Instrument.EPDS
    said = "above “never”" if epds else answer_words(answer, form.instrument)
    first = f"**{title} item {answer.item}: {said}.** {moment}, {references(finding.references)}"
    lines = [first]
    if form.total is not None and not form.contradictory:
        below = form.total < NOT_DECISIVE[form.instrument]
        note = f" A total under {NOT_DECISIVE[form.instrument]} does not soften item {answer.item}." if below else ""
        source = f", {code(form.total_reference)}" if form.total_reference else ""
        lines.append(f"{title} total: {form.total} of {TOP[form.instrument]}. Same form{source}.{note}")
    quoted = "“yes”" if answer.score is None else f"“{FREQUENCY[answer.score]}”"
    return f"{title} item {answer.item} {'above “never”' if epds else quoted}", lines


def _total_implies(finding: SafetyFinding, moment: str) -> tuple[str, list[str]]:
    title = _title(finding)
    assert finding.form is not None
    item = "10" if finding.form.instrument is Instrument.EPDS else "9"
    line = (
        f"**{title} total: {finding.value} of {TOP[finding.form.instrument]}.** {moment}, {references(finding.references)}. "
        f"The answer to item {item} is not on file; this total cannot be reached without it."
    )
    return f"{title} total {finding.value} cannot be reached without item {item}", [line]


def _cssrs(finding: SafetyFinding, moment: str) -> tuple[str, list[str]]:
    lines, seen = [], []
    for answer in finding.items:
        words = CSSRS_WORDS.get(answer.item, QUESTIONS.get(answer.item, answer.item))
        seen.append(words)
        bold = "**" if not lines else ""
        lines.append(f"{bold}C-SSRS {words}: yes.{bold} {moment}, {code(answer.reference)}")
    form = finding.form
    assert form is not None
    if form.level in ("high", "moderate"):
        bold = "**" if not lines else ""
        lines.append(
            f"{bold}C-SSRS overall result recorded as {form.level}.{bold} {moment}, {references(form.references)}"
        )
        seen.append(f"overall result recorded as {form.level}")
    if finding.gap == "recency":
        lines.append("When the behaviour took place is not recorded.")
    if form.yes("q6_recent") is False and form.yes("q6"):
        lines.append("Behaviour in the past 3 months: answered no.")
    first = seen[0] if seen else "answered"
    return f"C-SSRS {first}" + ("" if first.startswith("overall") else " answered yes"), lines


def _asq(finding: SafetyFinding, moment: str) -> tuple[str, list[str]]:
    lines = []
    for answer in finding.items:
        bold = "**" if not lines else ""
        lines.append(f"{bold}ASQ {QUESTIONS[answer.item]}: yes.{bold} {moment}, {code(answer.reference)}")
    form = finding.form
    assert form is not None
    if finding.gap == "acuity":
        lines.append("The acuity question is not recorded.")
    elif form.yes("acuity") is False:
        lines.append("ASQ acuity question: no.")
    if form.yes("acuity"):
        return "ASQ acuity answered yes", lines
    return "ASQ positive" + (", acuity not recorded" if finding.gap else ", acuity no"), lines


def _refused(finding: SafetyFinding, moment: str) -> tuple[str, list[str]]:
    line = f"**{_title(finding)}: all questions declined.** {moment}, {references(finding.references)}. Counts as positive."
    return f"{_title(finding)} questions all declined", [line]


def _coded(finding: SafetyFinding, moment: str) -> tuple[str, list[str]]:
    event = finding.event
    assert event is not None
    label = event.display[0].upper() + event.display[1:]
    where = ", encounter diagnosis" if event.encounter_diagnosis else ""
    lines = [f"**{label}{where}.** {moment}, {references(finding.references)}"]
    if event.subsequent:
        lines.append("Coded as follow-up care of an earlier event.")
    return f"{label} recorded", lines


def _unreadable(finding: SafetyFinding, moment: str) -> tuple[str, list[str]]:
    items = ", ".join(_item_name(finding, a) for a in finding.items)
    line = f"**{_title(finding)} {items}: the answer could not be read.** {moment}, {references(finding.references)}"
    return f"{_title(finding)} {items}: answer could not be read", [line]


def _declined(finding: SafetyFinding, moment: str) -> tuple[str, list[str]]:
    items = ", ".join(_item_name(finding, a) for a in finding.items)
    line = f"**{_title(finding)} {items}: declined.** {moment}, {references(finding.references)}"
    return f"{_title(finding)} {items}: declined", [line]


def _item_name(finding: SafetyFinding, answer: ItemAnswer) -> str:
    return QUESTIONS.get(answer.item, f"item {answer.item}")


def _blank(finding: SafetyFinding, moment: str) -> tuple[str, list[str]]:
    form = finding.form
    assert form is not None
    scores = [a.score for a in form.answers if a.score is not None and a.item.isdigit()]
    lines = [
        f"**{_title(finding)} item 9: blank.** {moment}, {references(finding.references)}",
        f"The other {len(scores)} answers add up to {sum(scores)}; no total is given, and blank is not counted as zero",
    ]
    return f"{_title(finding)} item 9 was left blank ({len(scores)} of 9 answered)", lines


def _total(finding: SafetyFinding, moment: str) -> tuple[str, list[str]]:
    form = finding.form
    assert form is not None
    title, top = _title(finding), TOP[form.instrument]
    lines = [f"**{title} total: {finding.value} of {top}.** {moment}, {references(finding.references)}"]
    if form.instrument in (Instrument.PHQ9, Instrument.PHQ9M):
        nine = form.answer("9")
        said = answer_words(nine, form.instrument) if nine else "not on file"
        lines.append(f"Item 9: {said}")
    return f"{title} was {finding.value}", lines


def _anomaly(finding: SafetyFinding, moment: str) -> tuple[str, list[str]]:
    assert finding.anomaly is not None
    where = f", {references(finding.references)}" if finding.references else ""
    on = f" {moment}{where}" if finding.when else (f" {references(finding.references)}" if where else "")
    return finding.anomaly.text.rstrip("."), [f"**{finding.anomaly.text}**{on}"]


def _nothing(finding: SafetyFinding, moment: str) -> tuple[str, list[str]]:
    return "Some of the chart could not be read", []


WORDING = {
    Kind.SELF_HARM_ITEM: _self_harm_item,
    Kind.TOTAL_IMPLIES_ITEM: _total_implies,
    Kind.CSSRS: _cssrs,
    Kind.ASQ: _asq,
    Kind.ALL_REFUSED: _refused,
    Kind.CODED: _coded,
    Kind.UNREADABLE_ANSWER: _unreadable,
    Kind.DECLINED_ANSWER: _declined,
    Kind.BLANK_ITEM: _blank,
    Kind.DEPRESSION_TOTAL: _total,
    Kind.ANOMALY: _anomaly,
    Kind.NOT_OBTAINED: _nothing,
}

INDICATORS = {Urgency.ACUTE: "critical", Urgency.PROMPT: "warning", Urgency.NOTE: "info"}
