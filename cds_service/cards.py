"""An assessment to cards: one a topic, safety first, at most three, the rest merged (rules.md R14).

Each card reads in the same order: summary, what is in the chart, what to consider, crisis line on safety
topics, one italic line that says whether a rule or a model speaks. Pure: ids come from the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import tzinfo

from cds_service.drafts import Visit, offers, override_reasons, topic_coding
from cds_service.wire import UNSET, Card, Link, Source
from explanations.assessment import Assessment
from explanations.help_lines import crisis_text, guideline
from explanations.phrasebook import Phrasebook, ago, code, dated, references
from explanations.rationale import Explanation
from explanations.statements import INDICATORS, Statement, answer_words, statement
from fhir_adapters.facts import Instrument
from fhir_adapters.screening import total_of
from models.feature_schema import DEPRESSION, SUICIDAL_IDEATION
from models.risk import RiskScore
from models.safety_rules import SAFETY_TOPICS, Kind, SafetyFinding, Topic, Urgency

MOST_CARDS = 3
MOST_SUMMARY = 139
MOST_REASONS = 4
RULES_LABEL = "mental-health-cds: documented answers"
MODEL_LABEL = "mental-health-cds: machine-learning model"
NOT_MONITORING = "Not a monitoring service."


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSettings:
    """What a site decides about its cards. `show_probability` is off unless a site turned it on."""

    zone: tzinfo
    country: str = "US"
    contact: str | None = None
    show_probability: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A card before ids, links and buttons are put on."""

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


def cards_for(
    assessment: Assessment,
    settings: CardSettings,
    phrases: Phrasebook,
    *,
    new_id: Callable[[], str],
    user: str | None = None,
) -> list[Card]:
    """The cards of an assessment, most urgent first; empty when there is nothing to say."""
    by_topic: dict[Topic, list[SafetyFinding]] = {}
    for finding in assessment.findings:
        by_topic.setdefault(finding.topic, []).append(finding)
    drafts = [_from_findings(assessment, topic, found, settings) for topic, found in by_topic.items()]
    if assessment.measure_again and Topic.DEPRESSION_FOLLOW_UP not in by_topic:
        drafts.append(_measure_again(assessment))
    if assessment.prompting():
        drafts.append(_prompt(assessment, settings, phrases))
    drafts.sort(key=lambda d: (-d.urgency, list(Topic).index(d.topic)))
    drafts = _with_history(assessment, drafts, settings)
    visit = Visit(
        patient_id=assessment.record.patient_id,
        today=assessment.record.today,
        encounter=assessment.record.encounter,
        user=user,
    )
    return [_card(assessment, draft, settings, visit, new_id) for draft in _at_most_three(drafts)]


def _from_findings(
    assessment: Assessment, topic: Topic, findings: list[SafetyFinding], settings: CardSettings
) -> Draft:
    said = [statement(finding, settings.zone) for finding in findings]
    if topic is Topic.COULD_NOT_ASSESS:
        return _could_not_assess(assessment, findings, said)
    if topic is Topic.DEPRESSION_FOLLOW_UP:
        return _follow_up(assessment, findings, said)
    lines = tuple(dict.fromkeys(line for s in said for line in s.lines))
    rules = _rules(findings)
    summary = SUMMARIES[topic](findings[0], said[0], len(findings))
    urgency = max(f.urgency for f in findings)
    if topic is Topic.DATA_ANOMALY:
        consider = ("Check the source; no estimate was made",)
        basis = f"Rule {rules}; no model was used."
        return Draft(topic=topic, urgency=urgency, summary=summary, chart=lines, consider=consider, basis=basis)
    acute = topic is Topic.ACUTE_SAFETY
    consider = CONSIDER[topic]
    if acute and settings.contact:
        consider = (*consider[:2], f"{settings.contact} (set by this site)")
    return Draft(
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


CONSIDER = {
    Topic.ACUTE_SAFETY: ("Stay with the patient; full safety evaluation today", "Safety plan and access to means"),
    Topic.POSITIVE_SAFETY_ANSWER: (
        "Ask directly; a structured screener such as C-SSRS or ASQ can follow",
        "If confirmed: safety plan, access to means, a date for follow-up",
    ),
    Topic.RECENT_SAFETY: (
        "Reassess; review or make the safety plan; talk about access to means",
        "Agree the next contact before the visit ends",
    ),
}


def _acute_summary(finding: SafetyFinding, said: Statement, count: int) -> str:
    return _fit(f"{said.what}, {said.when}{_more(count)}.", "Safety evaluation before the patient leaves.")


def _positive_summary(finding: SafetyFinding, said: Statement, count: int) -> str:
    total = ""
    if finding.kind is Kind.SELF_HARM_ITEM and finding.form and total_of(finding.form) is not None:
        total = f" (total {total_of(finding.form)})"
    action = "Ask about thoughts of suicide today."
    if finding.kind is Kind.UNREADABLE_ANSWER:
        action = "Look at the source and ask today."
    return _fit(f"{said.what}, {said.when}{total}{_more(count)}.", action)


def _recent_summary(finding: SafetyFinding, said: Statement, count: int) -> str:
    start = f"{said.what}, {said.when}{_more(count)}"
    lowering = next((late for late in finding.later if late.downgrades), None)
    if lowering is None:
        return _fit(f"{start}; no reassessment found since.", "Consider reassessing today.")
    words = {"risk-assessment": "risk assessment", "item-9-zero": "item 9 “not at all”"}
    named = words.get(lowering.what, f"{lowering.what.partition('-negative')[0].upper()} answered no")
    return _fit(f"{start}; later {named}, {dated(lowering.when)}.", "Both shown; neither rules out risk.")


def _anomaly_summary(finding: SafetyFinding, said: Statement, count: int) -> str:
    on = f" ({said.when})" if finding.when else ""
    return _fit(f"{said.what}{on}{_more(count)}.", "Check the source; no estimate was made.")


SUMMARIES = {
    Topic.ACUTE_SAFETY: _acute_summary,
    Topic.POSITIVE_SAFETY_ANSWER: _positive_summary,
    Topic.RECENT_SAFETY: _recent_summary,
    Topic.DATA_ANOMALY: _anomaly_summary,
}


def _could_not_assess(assessment: Assessment, findings: list[SafetyFinding], said: list[Statement]) -> Draft:
    record = assessment.record
    lines = [line for s in said for line in s.lines]
    refused = [f"**Not read: {PARTS[u.what]}** ({u.reason})" for u in record.unknown if u.needed]
    broken = [f"{code(u.reference)} could not be read: {u.reason}" for u in record.unreadable]
    blank = next((f for f in findings if f.kind is Kind.BLANK_ITEM), None)
    if blank is not None:
        start = said[findings.index(blank)]
        summary = _fit(f"{start.what}, {start.when}.", "Thoughts of self-harm not assessed: ask directly.")
    elif refused:
        named = ", ".join(PARTS[u.what] for u in record.unknown if u.needed)
        summary = _fit(f"Could not be read: {named}.", "PHQ-9, C-SSRS and ASQ may be incomplete: ask directly.")
    else:
        count = len(broken)
        noun = "1 chart entry" if count == 1 else f"{count} chart entries"
        summary = _fit(
            f"{noun} could not be read.", "A safety answer may be among them: look at the source, ask directly."
        )
    return Draft(
        topic=Topic.COULD_NOT_ASSESS,
        urgency=max(f.urgency for f in findings),
        summary=summary,
        chart=tuple([*lines, *refused, *broken[:5], *([f"and {len(broken) - 5} more"] if len(broken) > 5 else [])]),
        consider=("Ask directly, and complete the form",)
        if blank
        else ("Ask directly", "Look at the source in the chart"),
        basis=f"Rule {_rules(findings)}; no model was used. What could not be read is not counted as absent.",
    )


# What each part of the chart is called on a card.
PARTS = {
    "patient": "patient details",
    "screening": "screening answers",
    "questionnaires": "questionnaires",
    "conditions": "conditions",
    "measurements": "measurements",
    "medications": "medicines",
    "encounters": "visits",
    "procedures": "procedures",
    "coverage": "coverage",
}


def _follow_up(assessment: Assessment, findings: list[SafetyFinding], said: list[Statement]) -> Draft:
    finding, first = findings[0], said[0]
    instrument = finding.form.instrument if finding.form else Instrument.PHQ9
    late = finding.days is not None and finding.days > 14
    since = "no later PHQ-9 or follow-up visit found." if late else ""
    action = (
        "Complete the PHQ-9."
        if instrument is Instrument.PHQ2
        else "Consider follow-up."
        if not late
        else "Consider repeating it."
    )
    nine = finding.form.answer("9") if finding.form else None
    if instrument in (Instrument.PHQ9, Instrument.PHQ9M) and nine is None:
        action = "Item 9 not on file: ask directly."
    summary = _fit(f"{first.what} on {first.when}{'; ' + since if since else '.'}", action)
    lines = list(dict.fromkeys(line for s in said for line in s.lines))
    table = _results_table(assessment)
    if table:
        lines = [line for line in lines if not line.startswith(("**PHQ-9", "Item 9"))]
    care = [f"Depression care recorded: {references(f.references)}" for f in assessment.in_care[:1]]
    if assessment.record.bipolar_disorder:
        care.append(
            f"Bipolar disorder recorded, {references(assessment.record.bipolar_disorder.references)}: specialist advice first"
        )
    if late:
        lines.append("Later PHQ-9, or a visit coded for depression: none found")
    consider = [
        "Complete the PHQ-9, item 9 asked directly"
        if instrument is Instrument.PHQ2
        else "Repeat the PHQ-9 and ask item 9 again"
    ]
    if nine is None and instrument is not Instrument.PHQ2:
        consider.insert(0, "Item 9 not on file: ask directly")
    consider.append("An answer over 14 days old is history; a 0 then does not speak for today")
    return Draft(
        topic=Topic.DEPRESSION_FOLLOW_UP,
        urgency=max(f.urgency for f in findings),
        summary=summary,
        heading="Last results",
        chart=tuple([*table, *lines, *care]),
        consider=tuple(consider[:3]),
        basis=f"Restates the chart (rule {_rules(findings)}); no model was used.",
    )


def _results_table(assessment: Assessment) -> list[str]:
    """Up to three PHQ-9 results, latest first, as lines of a table; empty when no total is on file."""
    rows = []
    for form in assessment.record.of(Instrument.PHQ9, Instrument.PHQ9M):
        total = total_of(form)
        if total is not None:
            nine = form.answer("9")
            said = answer_words(nine, form.instrument) if nine else "not on file"
            rows.append(f"| {dated(form.when)} | {total} | {said}, {references(form.references)} |")
    return ["| Date recorded | Total of 27 | Item 9 and source |", "|:--|:--|:--|", *rows[:3]] if rows else []


def _measure_again(assessment: Assessment) -> Draft:
    record = assessment.record
    last = next((f for f in record.of(Instrument.PHQ9, Instrument.PHQ9M) if f.when), None)
    start = f"Last PHQ-9 {dated(last.when)} ({ago(record.days_since(last.when))})" if last else "No PHQ-9 on file"
    care = assessment.in_care[0]
    lines = [f"**In depression care.** {CARE.get(care.name, 'antidepressant recorded')}, {references(care.references)}"]
    lines += _results_table(assessment) and [f"Last PHQ-9: {total_of(last)} of 27, {dated(last.when)}"] if last else []
    if record.bipolar_disorder:
        lines.append(
            f"Bipolar disorder recorded, {references(record.bipolar_disorder.references)}: specialist advice first"
        )
    return Draft(
        topic=Topic.DEPRESSION_FOLLOW_UP,
        urgency=Urgency.NOTE,
        summary=_fit(
            f"In care; {start[0].lower() + start[1:] if not last else start}.",
            "Consider measuring symptoms with a PHQ-9.",
        ),
        chart=tuple(lines),
        consider=("Measure symptoms with a PHQ-9, item 9 asked directly",),
        basis="An estimate prompted this (rule R13): a pattern in the record, machine learning, not a diagnosis. "
        "Treatment recorded shows care, not cause.",
        label=MODEL_LABEL,
    )


CARE = {"mh_visit_yr": "Mental-health visit within 12 months", "depressive_disorder": "Depressive disorder active"}


def _prompt(assessment: Assessment, settings: CardSettings, phrases: Phrasebook) -> Draft:
    scores = assessment.prompting()
    record = assessment.record
    about = {DEPRESSION: "depression", SUICIDAL_IDEATION: "thoughts of self-harm"}
    named = " and ".join(about[s.outcome] for s in scores)
    last = next((f for f in record.of(Instrument.PHQ9, Instrument.PHQ9M) if f.when), None)
    start = f"Last PHQ-9 {dated(last.when)}." if last else "No PHQ-9 on file."
    ideation = any(s.outcome == SUICIDAL_IDEATION for s in scores)
    lines: list[str] = []
    for score in scores:
        explanation = next(e for e in assessment.explanations if e.outcome == score.outcome)
        lines += _reason_lines(score, explanation, settings, phrases)
    missing = _missing_line(assessment, phrases)
    versions = ", ".join(f"{s.outcome} {s.model_version}" for s in scores)
    known = next(e for e in assessment.explanations if e.outcome == scores[0].outcome)
    return Draft(
        topic=Topic.SCREENING_PROMPT,
        urgency=Urgency.NOTE,
        summary=_fit(
            f"{start} Pattern in the record suggests asking about {named} today", "(machine learning, not a diagnosis)."
        ),
        heading="",
        chart=tuple([*lines, *missing]),
        consider=("PHQ-2 or PHQ-9, item 9 asked directly",),
        basis=f"Model {versions}, learned from US survey adults: associations, not causes; "
        f"{known.known} of {known.inputs} inputs known. Not validated at this site.",
        crisis=ideation,
        label=MODEL_LABEL,
    )


def _reason_lines(score: RiskScore, explanation: Explanation, settings: CardSettings, phrases: Phrasebook) -> list[str]:
    shown = explanation.leading(MOST_REASONS)
    lines = [f"**Above this site’s threshold:** estimate of {phrases.outcome[score.outcome]}"]
    lines += [phrases.reason(reason) for reason in shown]
    count, rest = explanation.remainder(shown)
    lines.append(f"{count} other inputs together, and what is not on file: {phrases.change(rest)}")
    if settings.show_probability:
        of_hundred = round(100 * score.probability)
        lines.append(
            f"Of 100 survey adults with similar records, about {of_hundred} reported this in the past two weeks"
        )
    return lines


def _missing_line(assessment: Assessment, phrases: Phrasebook) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for gap in assessment.missing:
        by_reason.setdefault(gap.reason, []).append(phrases.input_name(gap.name))
    return [f"{reason.capitalize()}: {', '.join(dict.fromkeys(names))}" for reason, names in by_reason.items()]


def _with_history(assessment: Assessment, drafts: list[Draft], settings: CardSettings) -> list[Draft]:
    """History (over 90 days, or coded as history) as a line on the first card that is about the patient's state."""
    shown = [_history_line(finding, settings) for finding in assessment.history]
    place = next((d for d in drafts if d.topic not in (Topic.DATA_ANOMALY, Topic.COULD_NOT_ASSESS)), None)
    if place is None or not shown:
        return drafts
    lines = tuple([*place.chart, *dict.fromkeys(shown[:3])])
    return [_replaced(d, chart=lines) if d is place else d for d in drafts]


def _history_line(finding: SafetyFinding, settings: CardSettings) -> str:
    if finding.event is not None:
        what = finding.event.display
    else:
        what = statement(finding, settings.zone).what
    return f"History: {what}, {dated(finding.when)}, {references(finding.references)}"


def _replaced(draft: Draft, *, chart: tuple[str, ...]) -> Draft:
    return Draft(**{name: getattr(draft, name) for name in Draft.__slots__ if name != "chart"}, chart=chart)


def _at_most_three(drafts: list[Draft]) -> list[Draft]:
    """The first three cards and every safety card; the summaries of the rest become lines of the last one kept."""
    safety = [d for d in drafts if d.topic in SAFETY_TOPICS]
    room = max(0, MOST_CARDS - len(safety))
    others = [d for d in drafts if d.topic not in SAFETY_TOPICS]
    kept = [d for d in drafts if d in safety or d in others[:room]]
    merged = others[room:]
    if not merged:
        return kept
    last = kept[-1]
    lines = tuple([*last.chart, *(f"Also: {d.summary}" for d in merged)])
    return [*kept[:-1], _replaced(last, chart=lines)]


def _card(
    assessment: Assessment, draft: Draft, settings: CardSettings, visit: Visit, new_id: Callable[[], str]
) -> Card:
    age = assessment.record.age_years
    suggestions = offers(draft.topic, visit, age, new_id)
    links = _links(draft.topic, age, settings.country)
    return Card(
        uuid=new_id(),
        summary=draft.summary,
        detail=_detail(assessment, draft, settings),
        indicator=INDICATORS[draft.urgency],
        source=Source(label=draft.label, topic=topic_coding(draft.topic)),
        suggestions=suggestions or UNSET,
        selection_behavior="any" if suggestions else UNSET,
        override_reasons=override_reasons(draft.topic),
        links=links or UNSET,
    )


def _detail(assessment: Assessment, draft: Draft, settings: CardSettings) -> str:
    blocks = [f"**{draft.heading}**"] if draft.heading else []
    blocks.append(_block(draft.chart))
    blocks.append(f"**{draft.consider_heading}**\n\n" + "\n".join(f"- {line}" for line in draft.consider))
    if draft.crisis:
        perinatal = any(f.form and f.form.instrument is Instrument.EPDS for f in assessment.findings)
        blocks.append(crisis_text(settings.country, assessment.record.today, perinatal=perinatal))
    blocks.append(f"*{draft.basis}*")
    return "\n\n".join(block for block in blocks if block)


def _block(lines: Iterable[str]) -> str:
    """List items; lines of a table stand together as a table."""
    listed = list(lines)
    table = [line for line in listed if line.startswith("|")]
    items = [f"- {line}" for line in listed if not line.startswith("|")]
    return "\n\n".join(part for part in ("\n".join(table), "\n".join(items)) if part)


LINKS: dict[Topic, tuple[str, ...]] = {
    Topic.ACUTE_SAFETY: ("safe-t", "calm"),
    Topic.POSITIVE_SAFETY_ANSWER: ("safe-t", "calm"),
    Topic.RECENT_SAFETY: ("safe-t", "calm"),
    Topic.DEPRESSION_FOLLOW_UP: ("uspstf-adult-2023",),
    Topic.SCREENING_PROMPT: ("uspstf-adult-2023",),
}
YOUNG = {"safe-t": "nimh-asq", "uspstf-adult-2023": "uspstf-child-2022"}


def _links(topic: Topic, age: int | None, country: str) -> list[Link]:
    """One or two verified guideline links; those for young people up to 18. US guidelines stay in the US."""
    if country != "US":
        return []
    young = age is not None and age <= 18
    names = [YOUNG.get(name, name) if young else name for name in LINKS.get(topic, ())]
    found = [guideline(name) for name in names]
    return [Link(label=g.label, url=g.url, type="absolute") for g in found if g]


def _rules(findings: Iterable[SafetyFinding]) -> str:
    return ", ".join(dict.fromkeys(f.rule for f in findings))


def _more(count: int) -> str:
    return "" if count == 1 else f", and {count - 1} more"


def _fit(fact: str, action: str) -> str:
    """Fact and action in under 140 characters; a fact that is too long is cut, the action is kept."""
    room = MOST_SUMMARY - len(action) - 1
    if len(fact) > room:
        fact = fact[: room - 1].rstrip(" ,;.") + "…"
    return f"{fact} {action}"
