"""What each topic has to say: summary, chart lines, what to consider, and on what it rests.

One function a topic, from findings or scores to a `Notice`; `notice_list` makes and orders all of them, a card or a
page shows them. Summaries stay under 140 characters, the most a card may have: what was found comes first, then when,
then what to do. Lines are markdown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from explanations.judgement.assessment import Assessment
from explanations.judgement.rationale import Explanation
from explanations.words.answers import answer_words
from explanations.words.inputs import OUTCOME_WORDS, change_words, input_name, reason_line
from explanations.words.language import ENGLISH, Language, language
from explanations.words.phrasebook import ago, code, dated, references
from explanations.words.statements import Statement, statement
from explanations.words.topics import SPEC_OF
from fhir_adapters.codesets.instruments import NINE_ITEM_PHQ
from fhir_adapters.facts import AnswerState, Instrument
from fhir_adapters.reading.screening import total_of
from models.inputs.feature_schema import DEPRESSION, SUICIDAL_IDEATION
from models.rules.discharge import Step
from models.rules.findings import Kind, SafetyFinding, Topic, Urgency
from models.rules.supersession import LaterKind
from models.scoring.risk import RiskScore

MOST_SUMMARY = 139
MOST_REASONS = 4
RULES_LABEL = "mental-health-cds: documented answers"
MODEL_LABEL = "mental-health-cds: machine-learning model"
MOST_UNREADABLE = 5
# Findings come the most urgent first, so that these lines hold the gravest.
MOST_LINES = 30
MOST_COUNTED = 8
NOT_MONITORING = "Not a monitoring service."


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSettings:
    """What a site decides about its notices. `show_probability` is off unless a site turned it on."""

    zone: tzinfo
    country: str = "US"
    contact: str | None = None
    show_probability: bool = False
    locale: str = ENGLISH

    @property
    def say(self) -> Language:
        """The language of this site's clinicians."""
        return language(self.locale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What one topic says, before a card or a page gives it links and buttons.

    `steps`: at discharge, the steps that decide on its buttons. `offers`: whether it has any; no draft fits an EPDS.
    """

    topic: Topic
    urgency: Urgency
    summary: str
    chart: tuple[str, ...]
    consider: tuple[str, ...]
    basis: str
    heading: str = "In the chart"
    consider_heading: str = "Consider today"
    crisis: bool = False
    label: str = RULES_LABEL
    steps: tuple[Step, ...] = ()
    offers: bool = True


def from_findings(
    assessment: Assessment, topic: Topic, findings: list[SafetyFinding], settings: NoticeSettings
) -> Notice:
    """The notice of one topic from its findings, the most urgent first."""
    said = [statement(finding, settings.zone, settings.say) for finding in findings]
    if topic is Topic.COULD_NOT_ASSESS:
        return _could_not_assess(assessment, findings, said)
    if topic is Topic.DEPRESSION_FOLLOW_UP:
        return _follow_up(assessment, findings, said)
    lines = lines_of(said)
    rules = rules_of(findings)
    summary = SUMMARIES[topic](findings[0], said[0], len(findings))
    urgency = max(f.urgency for f in findings)
    if topic is Topic.DATA_ANOMALY:
        return Notice(
            topic=topic,
            urgency=urgency,
            summary=summary,
            chart=lines,
            consider=("Check the source; no estimate was made",),
            basis=f"Rule {rules}; no model was used.",
        )
    acute = topic is Topic.ACUTE_SAFETY
    consider = SPEC_OF[topic].consider
    if topic is Topic.POSITIVE_SAFETY_ANSWER and any(f.kind is Kind.ASQ for f in findings):
        consider = ("Brief suicide safety assessment during this visit, before the patient leaves", consider[1])
    if acute and settings.contact:
        consider = (*consider[:2], f"{settings.contact} (set by this site)")
    return Notice(
        topic=topic,
        urgency=urgency,
        summary=summary,
        chart=lines,
        consider=consider,
        consider_heading="Consider now" if acute else "Consider today",
        basis=f"Restates answers in the chart (rule {rules}); no model was used. "
        + ("Nobody has been notified: this is not a monitoring service." if acute else NOT_MONITORING),
        crisis=True,
    )


def lines_of(said: list[Statement]) -> tuple[str, ...]:
    """The lines of all findings, none said twice. What would make the notice too long to read is counted.

    Lines belong to their finding ("Same form"), so only whole findings that read the same are said once; what came
    later is said once at the end where it is the same for all.
    """
    different = list(dict.fromkeys(said))
    same = len({s.later for s in different}) == 1
    shared = tuple(line.text for line in different[0].later) if same else ()
    lines: list[str] = []
    for place, one in enumerate(different):
        new = [line.text for line in (*one.lines, *(() if shared else one.later))]
        if place and len(lines) + len(new) > MOST_LINES:
            return (*lines, _counted(different[place:]), *shared)
        lines += new
    return (*lines, *shared)


def _counted(rest: list[Statement]) -> str:
    counts = Counter(one.what for one in rest).most_common()
    named = [f"{what} ({count})" if count > 1 else what for what, count in counts[:MOST_COUNTED]]
    others = sum(count for _, count in counts[MOST_COUNTED:])
    noun = "finding" if len(rest) == 1 else "findings"
    listed = "; ".join([*named, *([f"others ({others})"] if others else [])])
    return f"and {len(rest)} more {noun}, not listed here: {listed}"


def _acute_summary(_finding: SafetyFinding, said: Statement, count: int) -> str:
    return fit("Safety evaluation before the patient leaves.", f"{said.what}, {said.when}{more(count)}.")


def _positive_summary(finding: SafetyFinding, said: Statement, count: int) -> str:
    total = total_of(finding.form) if finding.kind is Kind.SELF_HARM_ITEM and finding.form else None
    action = "Ask about thoughts of suicide today."
    if finding.kind is Kind.UNREADABLE_ANSWER:
        action = "Look at the source and ask today."
    if finding.kind is Kind.ASQ:  # asked and answered: what follows is the assessment (docs/clinical-sources.md S3)
        action = "Brief suicide safety assessment before the patient leaves."
    return fit(action, f"{said.what}, {said.when}{'' if total is None else f' (total {total})'}{more(count)}.")


def _recent_summary(finding: SafetyFinding, said: Statement, count: int) -> str:
    recent = next((late for late in finding.later if late.downgrades), None)
    known = recent or next((late for late in finding.later if late.what is not LaterKind.ITEM_9_ZERO), None)
    short, long = f"{said.what}, {dated(finding.when)}{more(count)}", f"{said.what}, {said.when}{more(count)}"
    if known is None:
        since = "no later C-SSRS, ASQ or risk assessment in this chart."
        return fit(
            "Consider reassessing today.", f"{long}; {since}", f"{short}; {since}", f"{short}; no later screen here."
        )
    later = f"later {SHORT_LATER[known.what]}, {dated(known.when)}."
    action = "Both shown; neither rules out risk." if recent else "Consider reassessing today."
    return fit(action, f"{long}; {later}", f"{short}; {later}")


SHORT_LATER = {
    LaterKind.CSSRS_NEGATIVE: "C-SSRS answered no",
    LaterKind.CSSRS_POSITIVE: "C-SSRS with positive answers",
    LaterKind.CSSRS_INCOMPLETE: "C-SSRS, not complete",
    LaterKind.ASQ_NEGATIVE: "ASQ answered no",
    LaterKind.ASQ_POSITIVE: "ASQ with positive answers",
    LaterKind.ASQ_INCOMPLETE: "ASQ, not complete",
    LaterKind.RISK_ASSESSMENT: "risk assessment",
    LaterKind.ITEM_9_ZERO: "item 9 “not at all”",
}


def _anomaly_summary(finding: SafetyFinding, said: Statement, count: int) -> str:
    # A date in the future is what the anomaly says already.
    on = f" ({said.when})" if finding.when and not finding.when.future else ""
    return fit("Check the source; no estimate was made.", f"{said.what}{on}{more(count)}.")


SUMMARIES = {
    Topic.ACUTE_SAFETY: _acute_summary,
    Topic.POSITIVE_SAFETY_ANSWER: _positive_summary,
    Topic.RECENT_SAFETY: _recent_summary,
    Topic.DATA_ANOMALY: _anomaly_summary,
}


def _could_not_assess(assessment: Assessment, findings: list[SafetyFinding], said: list[Statement]) -> Notice:
    chart = assessment.chart
    needed = chart.lacking
    refused = [f"**Not read: {PARTS[u.what]}** ({u.reason})" for u in needed]
    broken = [f"{code(u.reference)} could not be read: {u.reason}" for u in chart.unreadable]
    rest = [f"and {len(broken) - MOST_UNREADABLE} more"] if len(broken) > MOST_UNREADABLE else []
    blank = next(((f, s) for f, s in zip(findings, said, strict=True) if f.kind is Kind.BLANK_ITEM), None)
    epds = blank is not None and blank[0].form is not None and blank[0].form.instrument is Instrument.EPDS
    if blank is not None:
        left = blank[1]
        summary = fit("Thoughts of self-harm not assessed: ask directly.", f"{left.what}, {left.when}.")
        consider: tuple[str, ...] = (f"Ask {'EPDS item 10' if epds else 'item 9'} directly and complete the form",)
    else:
        consider = ("Ask directly", "Look at the source in the chart")
        if [u.what for u in needed] == ["consents"] and not broken:
            consider = ("Go by the documented answers; check the consent on file",)
        if needed:
            named = ", ".join(PARTS[u.what] for u in needed)
            action, what = _missing_action({u.what for u in needed}), f"Could not be read: {named}."
        else:
            noun = "1 chart entry" if len(broken) == 1 else f"{len(broken)} chart entries"
            hides = any(u.may_hide_answer for u in chart.unreadable)
            action = "A safety answer may be among them: ask directly." if hides else "Estimates may be incomplete."
            what = f"{noun} could not be read."
        summary = fit(action, what)
    return Notice(
        topic=Topic.COULD_NOT_ASSESS,
        urgency=max(f.urgency for f in findings),
        summary=summary,
        chart=(*lines_of(said), *refused, *broken[:MOST_UNREADABLE], *rest),
        consider=consider,
        offers=not epds,
        basis=f"Rule {rules_of(findings)}; no model was used. What could not be read is not counted as absent.",
    )


def _missing_action(parts: set[str]) -> str:
    if parts & {"screening", "questionnaires", "local-screening", "rest"}:
        return "PHQ-9, C-SSRS and ASQ may be incomplete: ask directly."
    if "conditions" in parts:
        return "Coded self-harm may be missing: ask directly."
    return "Age and sex are not known." if "patient" in parts else "No estimate was made."


# What each part of the chart is called.
PARTS = {
    "patient": "patient details",
    "screening": "screening answers",
    "local-screening": "screening answers in local codes",
    "rest": "part of the chart",
    "questionnaires": "questionnaires",
    "conditions": "conditions",
    "measurements": "measurements",
    "medications": "medicines",
    "encounters": "visits",
    "procedures": "procedures",
    "consents": "the patient's consent",
    "coverage": "coverage",
}


def _follow_up(assessment: Assessment, findings: list[SafetyFinding], said: list[Statement]) -> Notice:
    finding, first = findings[0], said[0]
    late = finding.days is not None and finding.days > 14
    table = _results_table(assessment, findings)
    lines = [line for line in lines_of(said) if not (table and line.startswith(("**PHQ-9", "Item 9")))]
    if late:
        unread = "; not all of the chart could be read" if finding.partly_searched else ""
        lines.append(f"Later PHQ-9, or a visit coded for depression: none in the records read{unread}")
    action, consider = _follow_up_advice(finding, late=late)
    fact = f"{first.what}, {first.when}"
    return Notice(
        topic=Topic.DEPRESSION_FOLLOW_UP,
        urgency=max(f.urgency for f in findings),
        summary=fit(action, f"{fact}; no later PHQ-9 or follow-up visit found." if late else f"{fact}.", f"{fact}."),
        heading="Last results" if table else "In the chart",
        chart=(*table, *lines, *_care_lines(assessment)),
        consider=consider,
        basis=f"Restates the chart (rule {rules_of(findings)}); no model was used.",
    )


HISTORY_NOTE = "An answer over 14 days old is history; a 0 then does not speak for today"


def _follow_up_advice(finding: SafetyFinding, *, late: bool) -> tuple[str, tuple[str, ...]]:
    """The action of the summary, and what to consider, by instrument and by whether the self-harm item is on file."""
    form = finding.form
    instrument = form.instrument if form else Instrument.PHQ9
    if instrument is Instrument.PHQ2:
        return "Complete the PHQ-9.", ("Complete the PHQ-9, item 9 asked directly",)
    epds = instrument is Instrument.EPDS
    item = "10" if epds else "9"
    answer = form.answer(item) if form else None
    unknown = answer is None or answer.state is AnswerState.BLANK
    action = (
        f"Item {item} not on file: ask directly."
        if unknown
        else "Consider repeating it."
        if late
        else "Consider follow-up."
    )
    again = "Repeat the EPDS or complete a PHQ-9" if epds else "Repeat the PHQ-9 and ask item 9 again"
    again = again if late else f"Review the result; {again[0].lower()}{again[1:]} at follow-up"
    first = (f"Item {item} not on file: ask directly",) if unknown else ()
    return action, (*first, again, *((HISTORY_NOTE,) if late else ()))


def _care_lines(assessment: Assessment) -> list[str]:
    """R13: that care is recorded, and bipolar disorder, without any word on what to prescribe."""
    lines = []
    if assessment.in_care:
        care = assessment.in_care[0]
        words = CARE.get(care.name, "Antidepressant on the list; shows care, not cause")
        lines.append(f"In care. {words}{f', {dated(care.when)}' if care.when else ''}, {references(care.references)}")
    bipolar = assessment.chart.bipolar_disorder
    if bipolar:
        lines.append(f"Bipolar disorder recorded, {references(bipolar.references)}: specialist advice first")
    return lines


CARE = {"mh_visit_yr": "Mental-health visit within 12 months", "depressive_disorder": "Depressive disorder active"}


def _results_table(assessment: Assessment, findings: Iterable[SafetyFinding] = ()) -> list[str]:
    """Up to three PHQ-9 results, the findings' own among them, as lines of a table; empty without totals."""
    forms = [f for f in assessment.chart.of(*NINE_ITEM_PHQ) if total_of(f) is not None]
    here = set(forms)
    own = [f.form for f in findings if f.form in here]
    chosen = list(dict.fromkeys((*own, *forms)))[:3]
    rows = []
    for form in (f for f in forms if f in chosen):
        nine = form.answer("9")
        said = answer_words(nine, form.instrument, language()) if nine else "not on file"
        source = nine.reference if nine else form.total_reference or form.references[0]
        rows.append(f"| {dated(form.when)} | {total_of(form)} | {said}, {code(source)} |")
    return ["| Date recorded | Total of 27 | Item 9 and source |", "|:--|:--|:--|", *rows] if rows else []


def measure_again(assessment: Assessment, settings: NoticeSettings, say: Language) -> Notice:
    """R13: in care, and no PHQ-9 on file for 120 days, where the model would have prompted."""
    score = next(s for s in assessment.scores if isinstance(s, RiskScore) and s.outcome == DEPRESSION)
    explanation = next(e for e in assessment.explanations if e.outcome == DEPRESSION)
    table = _results_table(assessment)
    reasons = _reason_lines(score, explanation, settings, say)
    summary = fit("Consider measuring symptoms with a PHQ-9.", f"In depression care; {_last_phq9(assessment, 'no')}.")
    return Notice(
        topic=Topic.DEPRESSION_FOLLOW_UP,
        urgency=Urgency.NOTE,
        summary=summary,
        heading="Last results" if table else "In the chart",
        chart=(*table, *_care_lines(assessment), *reasons),
        consider=("Measure symptoms with a PHQ-9, item 9 asked directly",),
        basis="A pattern in the record prompted this (rule R13; machine learning, not a diagnosis).",
        label=MODEL_LABEL,
    )


def _last_phq9(assessment: Assessment, none: str) -> str:
    chart = assessment.chart
    results = [f for f in chart.of(*NINE_ITEM_PHQ) if f.when and total_of(f) is not None]
    last = results[0] if results else None
    if last is None:
        return f"{none} PHQ-9 on file"
    return f"last PHQ-9 {dated(last.when)}, {ago(chart.days_since(last.when))}"


def prompt(assessment: Assessment, settings: NoticeSettings, say: Language) -> Notice:
    """The model's notice: that asking is worth while, and why, with what is not known."""
    scores = assessment.prompting()
    about = {DEPRESSION: "depression", SUICIDAL_IDEATION: "thoughts of self-harm"}
    named = " and ".join(about[s.outcome] for s in scores)
    start = _last_phq9(assessment, "No")
    explained = [next(e for e in assessment.explanations if e.outcome == s.outcome) for s in scores]
    reasons = [_reason_lines(s, e, settings, say) for s, e in zip(scores, explained, strict=True)]
    versions = ", ".join(f"{s.outcome} {s.model_version}" for s in scores)
    pattern = f"Pattern in the record suggests asking about {named} today"
    return Notice(
        topic=Topic.SCREENING_PROMPT,
        urgency=Urgency.NOTE,
        summary=fit("(machine learning, not a diagnosis).", f"{start[0].upper()}{start[1:]}. {pattern}", pattern),
        heading="",
        chart=(*(line for lines in reasons for line in lines), *_missing_lines(assessment, explained, say)),
        consider=("PHQ-2 or PHQ-9, item 9 asked directly",),
        basis=f"Model {versions}, learned from US survey adults: associations, not causes; "
        f"{explained[0].known} of {explained[0].inputs} inputs known. Not validated at this site.",
        crisis=any(s.outcome == SUICIDAL_IDEATION for s in scores),
        label=MODEL_LABEL,
    )


def _reason_lines(score: RiskScore, explanation: Explanation, settings: NoticeSettings, say: Language) -> list[str]:
    shown = explanation.leading(MOST_REASONS)
    lines = [f"**Above this site’s threshold:** estimate of {say(OUTCOME_WORDS[score.outcome])}"]
    lines += [reason_line(reason, say) for reason in shown]
    count, rest = explanation.remainder(shown)
    lines.append(f"{count} other inputs together, and what is not on file: {change_words(rest, say)}")
    if settings.show_probability:
        of_hundred, low, high = (round(100 * p) for p in (score.probability, score.low, score.high))
        lines.append(
            f"Of 100 survey adults with similar records, about {of_hundred} (range {low} to {high}) reported this "
            "in the past two weeks"
        )
    return lines


def _missing_lines(assessment: Assessment, explained: list[Explanation], say: Language) -> list[str]:
    """The inputs of the models that speak which have no usable value, by reason."""
    inputs = {name for explanation in explained for reason in explanation.reasons for name in reason.missing}
    by_reason: dict[str, list[str]] = {}
    for gap in (gap for gap in assessment.missing if gap.name in inputs):
        by_reason.setdefault(gap.reason, []).append(input_name(gap.name, say))
    return [f"{reason.capitalize()}: {', '.join(dict.fromkeys(names))}" for reason, names in by_reason.items()]


def rules_of(findings: Iterable[SafetyFinding]) -> str:
    """The rules of findings, each once."""
    return ", ".join(dict.fromkeys(f.rule for f in findings))


def more(count: int) -> str:
    """How many findings there are beside the one that a summary names."""
    return "" if count == 1 else f", and {count - 1} more"


def fit(action: str, *facts: str) -> str:
    """The first of `facts` that leaves room for the action under 140 characters; else the last one, cut."""
    room = MOST_SUMMARY - len(action) - 1
    fact = next((fact for fact in facts if len(fact) <= room), facts[-1])
    if len(fact) > room:
        fact = fact[: room - 1].rstrip(" ,;.") + "…"
    return f"{fact} {action}"
