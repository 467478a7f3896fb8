"""The depression notices: a result to follow up, and symptoms to measure again in care (rules R6, R13)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from explanations.judgement.assessment import Assessment
from explanations.judgement.rationale import Explanation, Reason
from explanations.words.estimates.inputs import change_words, reason_line, value_words
from explanations.words.estimates.outcomes import OUTCOME_WORDS, share_words
from explanations.words.findings.answers import answer_words, none_words
from explanations.words.findings.statements import Statement
from explanations.words.language import Language, clock, code, later, shared_days
from explanations.words.lines import Line, LineRole, sourced
from explanations.words.notices.notice import (
    CONSIDER_TODAY,
    IN_THE_CHART,
    LAST_RESULTS,
    Basis,
    BasisKind,
    Notice,
    NoticeSettings,
    lines_of,
    rules_of,
)
from explanations.words.notices.summaries import moment_words, sentences, summary
from fhir_adapters.facts import Administration, AnswerState, PatientRecord, When
from fhir_adapters.instruments import NINE_ITEM_PHQ, Instrument
from fhir_adapters.reading.questionnaires.totals import total_of
from models.inputs.outcomes import OUTCOME_SPECS
from models.rules.findings import SafetyFinding, Topic, Urgency
from models.rules.follow_up import of_one_day
from models.rules.timing import POSITIVE_DAYS
from models.rules.unread import answers_unread
from models.scoring.risk import RiskScore

MOST_REASONS = 3
OLD_ANSWERS = later("Answers over 14 days old may not reflect today, even a 0")


def follow_up(
    assessment: Assessment,
    findings: list[SafetyFinding],
    statements: list[Statement],
    settings: NoticeSettings,
    _consider: tuple[str, ...],
) -> Notice:
    """A result at or above its cut without follow-up (R6)."""
    say = settings.say
    finding, first = findings[0], statements[0]
    late = [f for f in findings if f.days is not None and f.days > POSITIVE_DAYS]
    is_late = finding in late
    begun = without_total(assessment)
    results = _results_shown(assessment.chart, findings)
    table = _results_table(assessment.chart, results, settings)
    restated = [_beside_table(f, s) if table else s for f, s in zip(findings, statements, strict=True)]
    lines = [*lines_of(restated, say)]
    if late:
        none = later("No later PHQ-9 or visit coded for depression found in the records read")
        if begun:
            none = later("No later complete PHQ-9 or visit coded for depression found in the records read")
        part = later(
            "No later PHQ-9 or visit coded for depression found in the records read; not all of the chart could be read"
        )
        lines.append(Line(text=say(part if any(f.partly_searched for f in late) else none)))
    if any(f.form and f.form.instrument.spec.safety for f in late) or _has_old_zero(assessment.chart, results):
        lines.append(Line(text=say(OLD_ANSWERS)))
    action, consider = _follow_up_advice(finding, is_late=is_late, say=say)
    first, worse = _leading(assessment.chart, finding, first, settings)
    dated = moment_words(first, say)
    since = later("{finding}; later results or visits may be unread")
    found = later("{finding}; no later PHQ-9 or follow-up visit found")
    if begun:
        found = later("{finding}; no later complete PHQ-9 or follow-up visit found")
    long = [say(since if finding.partly_searched else found, finding=text) for text in dated] if is_late else []
    same_day = [say("{finding}; {worse}", finding=text, worse=worse) for text in dated] if worse else []
    return Notice(
        topic=Topic.DEPRESSION_FOLLOW_UP,
        urgency=max(f.urgency for f in findings),
        summary=summary(Topic.DEPRESSION_FOLLOW_UP, say, action, sentences((*(same_day or long), *dated), say)),
        heading=say(LAST_RESULTS if table else IN_THE_CHART),
        chart=(*table, *lines, *_care_lines(assessment, say)),
        consider=consider,
        consider_heading=say(CONSIDER_TODAY),
        basis=Basis(kind=BasisKind.CHART, rules=rules_of(findings)),
    )


def _leading(
    chart: PatientRecord, finding: SafetyFinding, first: Statement, settings: NoticeSettings
) -> tuple[Statement, str]:
    """Of several results of one day, the latest in words; and the worst, where that is another one."""
    form, say = finding.form, settings.say
    if form is None:
        return first, ""
    latest, worst = of_one_day(chart, form)
    total, most = total_of(latest), total_of(worst)
    zone = settings.zone if finding.days in (0, 1) or finding.shares_day or total != most else None
    what = say("{title} was {total}", title=latest.instrument.spec.title, total=total)
    first = replace(first, what=what, date=say.dated(latest.when, zone))
    if total == most or worst.when is None or worst.when.instant is None:
        return first, ""
    time = clock(worst.when.instant.astimezone(settings.zone))
    return first, say("{total} at {time} the same day", total=most, time=time)


def _beside_table(finding: SafetyFinding, statement: Statement) -> Statement:
    """Drops a PHQ-9's total and item 9, which the table shows already."""
    if finding.form is None or finding.form.instrument not in NINE_ITEM_PHQ:
        return statement
    lines = tuple(line for line in statement.lines if line.role not in (LineRole.LEAD, LineRole.RESULT))
    return replace(statement, lines=lines)


def _follow_up_advice(finding: SafetyFinding, *, is_late: bool, say: Language) -> tuple[str, tuple[str, ...]]:
    """The summary's action, and what to consider, by instrument and by whether the self-harm item is on file."""
    form = finding.form
    instrument = form.instrument if form else Instrument.PHQ9
    safety = instrument.spec.safety
    if safety is None:
        return say("Complete the PHQ-9."), (say("Complete the PHQ-9; ask item 9 directly"),)
    title, item = instrument.spec.title, safety.item
    answer = form.safety_answer if form else None
    unknown = answer is None or answer.state is AnswerState.BLANK
    if unknown:
        absent = later("Item {item} not on file: ask directly.")
        none = later("Item {item} not read: ask directly.") if finding.answers_unread else absent
        action = say(none, item=item)
    else:
        action = say("Consider repeating it.") if is_late else say("Consider follow-up.")
    if instrument in NINE_ITEM_PHQ:
        soon = say("Review the result; repeat the PHQ-9 and ask item 9 again at follow-up")
        again = say("Repeat the PHQ-9 and ask item 9 again") if is_late else soon
    else:
        soon = say("Review the result; repeat the {title} or complete a PHQ-9 at follow-up", title=title)
        again = say("Repeat the {title} or complete a PHQ-9", title=title) if is_late else soon
    absent = later("Item {item} not on file: ask directly")
    none = later("Item {item} not read: ask directly") if finding.answers_unread else absent
    return action, (*((say(none, item=item),) if unknown else ()), again)


def _care_lines(assessment: Assessment, say: Language) -> list[Line]:
    """R13: recorded care and bipolar disorder, without prescribing advice."""
    lines = []
    if assessment.in_care:
        care = assessment.in_care[0]
        named = {"care": say(CARE.get(care.name, ANTIDEPRESSANT)), "sources": say.references(care.references)}
        if care.when:
            text = say("In mental-health care: {care}, {date}, {sources}", date=say.dated(care.when), **named)
        else:
            text = say("In mental-health care: {care}, {sources}", **named)
        lines.append(sourced(text, care.references))
    bipolar = assessment.chart.bipolar_disorder
    if bipolar:
        sources = say.references(bipolar.references)
        text = say("Bipolar disorder recorded, {sources}: seek specialist advice first", sources=sources)
        lines.append(sourced(text, bipolar.references))
    return lines


CARE = {
    "mh_visit_yr": later("mental-health visit within 12 months"),
    "depressive_disorder": later("active depressive disorder"),
}
ANTIDEPRESSANT = later("antidepressant on medication list")


def _with_total(chart: PatientRecord) -> list[Administration]:
    return [form for form in chart.of(*NINE_ITEM_PHQ) if total_of(form) is not None]


def _results_shown(chart: PatientRecord, findings: Iterable[SafetyFinding]) -> list[Administration]:
    """Up to three PHQ-9s with a total, including the findings' own, latest first."""
    forms = _with_total(chart)
    here = set(forms)
    own = [f.form for f in findings if f.form in here]
    chosen = list(dict.fromkeys((*own, *forms)))[:3]
    return [form for form in forms if form in chosen]


def _has_old_zero(chart: PatientRecord, results: Iterable[Administration]) -> bool:
    """Whether one of these PHQ-9s has an item 9 of 0 that is no longer current (R12)."""
    return any(
        nine.score == 0 and (chart.days_since(form.when) or 0) > POSITIVE_DAYS
        for form in results
        if (nine := form.answer("9"))
    )


def _results_table(chart: PatientRecord, results: Iterable[Administration], settings: NoticeSettings) -> list[Line]:
    """These PHQ-9s as table lines; empty without any."""
    unread = answers_unread(chart)
    say, rows = settings.say, []
    shared = shared_days(form.when for form in _with_total(chart))
    for form in results:
        nine = form.answer("9")
        answer = answer_words(nine, form.instrument, say) if nine else none_words(say, unread=unread)
        source = code(nine.reference if nine else form.total_reference or form.references[0])
        date = say.dated(form.when, settings.zone if form.when and form.when.day in shared else None)
        own = [code(form.total_reference)] if form.total_reference else []
        sources = tuple(dict.fromkeys((*own, source)))
        total = ", ".join((f"{total_of(form)}", *sources[:-1]))
        rows.append(Line(text=f"| {date} | {total} | {answer}, {source} |", role=LineRole.ROW, sources=sources))
    if not rows:
        return []
    head = say("| Date recorded | Total of 27 | Item 9 |")
    return [Line(text=head, role=LineRole.ROW), Line(text="|:--|:--|:--|", role=LineRole.ROW), *rows]


def measure_again(assessment: Assessment, settings: NoticeSettings) -> Notice:
    """R13: in care, no PHQ-9 on file for 120 days, and the model would have prompted."""
    say = settings.say
    score = next(s for s in assessment.above() if OUTCOME_SPECS[s.outcome].measured_in_care)
    explanation = next(e for e in assessment.explanations if e.outcome == score.outcome)
    results = _results_shown(assessment.chart, ())
    table = _results_table(assessment.chart, results, settings)
    old = [Line(text=say(OLD_ANSWERS))] if _has_old_zero(assessment.chart, results) else []
    last = last_phq9(assessment)
    if last is None:
        unread = answers_unread(assessment.chart)
        absent = later("In mental-health care; no PHQ-9 on file.")
        begun = later("In mental-health care; no complete PHQ-9 on file.") if without_total(assessment) else absent
        fact = say(later("In mental-health care; no PHQ-9 was read.") if unread else begun)
    else:
        fact = say("In mental-health care; last PHQ-9 {when}.", when=last_words(assessment, last, say))
    return Notice(
        topic=Topic.DEPRESSION_FOLLOW_UP,
        urgency=Urgency.NOTE,
        summary=summary(Topic.DEPRESSION_FOLLOW_UP, say, say("Consider measuring symptoms with a PHQ-9."), [fact]),
        heading=say(LAST_RESULTS if table else IN_THE_CHART),
        chart=(*table, *old, *_care_lines(assessment, say), *reason_lines(score, explanation, settings)),
        consider=(say("Measure symptoms with a PHQ-9; ask item 9 directly"),),
        consider_heading=say(CONSIDER_TODAY),
        basis=Basis(kind=BasisKind.PATTERN, rules=("R13",)),
    )


def last_phq9(assessment: Assessment) -> When | None:
    """When a PHQ-9 with a total was last completed."""
    return next((f.when for f in assessment.chart.of(*NINE_ITEM_PHQ) if f.when and total_of(f) is not None), None)


def without_total(assessment: Assessment) -> bool:
    """Whether a PHQ-9 is on file that has no total, so that its absence is not claimed."""
    return any(total_of(form) is None for form in assessment.chart.of(*NINE_ITEM_PHQ))


def last_words(assessment: Assessment, when: When, say: Language) -> str:
    """`41 days ago (17 Nov 2026)`; a date known only to the month or year as it is."""
    if not when.exact:
        return say.dated(when)
    return say("{ago} ({date})", ago=say.ago(assessment.chart.days_since(when)), date=say.dated(when))


def reason_lines(score: RiskScore, explanation: Explanation, settings: NoticeSettings) -> list[Line]:
    """An estimate, its leading reasons, and the remainder; figures only if the site turned them on."""
    say = settings.say
    shown = explanation.leading(MOST_REASONS)
    named = say(
        "**Above this site’s threshold:** estimate of {outcome}", outcome=say(OUTCOME_WORDS[score.outcome].estimated)
    )
    lines = [Line(text=named, role=LineRole.ESTIMATE)]
    alike: dict[str, list[Reason]] = {}
    for reason in shown:
        alike.setdefault(change_words(reason.log_odds, say), []).append(reason)
    for reasons in alike.values():
        facts = [fact for reason in reasons for fact in reason.facts]
        sources = tuple(code(fact.references[0]) for fact in facts if fact.references and value_words(fact, say))
        lines.append(Line(text=reason_line(reasons, say), role=LineRole.REASON, sources=sources))
    others = say(
        "All other inputs, including missing ones: {change}", change=change_words(explanation.remainder(shown)[1], say)
    )
    lines.append(Line(text=others, role=LineRole.REASON))
    if settings.show_probability:
        lines.append(Line(text=share_words(score, say), role=LineRole.REASON))
    return lines
