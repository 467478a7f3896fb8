"""Documented answers and codes to safety findings: the rules R1 to R14, read from top to bottom.

Pure functions over facts; no model, no network, no clock. `RULES` is the whole list. Each finding restates what the
chart says, with its date, source and currency; nothing here estimates or can be switched off. The numbers (14, 90 days
and so on) are this product's defaults, chosen from the clinical sources named per rule; none is a guideline value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from fhir_adapters.facts import (
    ACUTE_RESULTS,
    POSITIVE_RESULTS,
    Administration,
    AnswerState,
    ChartPart,
    Course,
    ItemAnswer,
    PatientRecord,
    Result,
    RiskResult,
    Unheard,
)
from fhir_adapters.flaws import Flaw
from fhir_adapters.instruments import DEPRESSION_CUTS, NINE_ITEM_PHQ, SAFETY_ITEMS, Instrument
from fhir_adapters.reading.lists.conditions import severity
from fhir_adapters.reading.questionnaires.totals import total_of
from models.rules.findings import (
    HISTORY,
    NOTHING_LATER,
    Kind,
    SafetyFinding,
    SafetyReading,
    Topic,
    Urgency,
    form_finding,
    lowered,
)
from models.rules.follow_up import is_followed_up, is_superseded, latest_care
from models.rules.forms import all_refused, answered_since, latest_answered, left_blank, said_yes
from models.rules.merging import one_per_event
from models.rules.objections import item_9_endorsed
from models.rules.ordering import by_graveness, by_urgency, day_of, is_history
from models.rules.supersession import LaterEntries, LaterEvidence
from models.rules.timing import (
    POSITIVE_DAYS,
    RECENT_DAYS,
    acute_level,
    is_current,
    is_within,
    positive_level,
    recent_level,
)
from models.rules.unread import answers_unread, later_unread


def cssrs_answers(chart: PatientRecord) -> list[SafetyFinding]:
    """C-SSRS screener. Acute: intent or plan (4, 5) in the past month, or behaviour within 3 months, or overall High.

    Positive: questions 1 to 3, behaviour longer ago, or overall Moderate or positive. Source: cssrs.columbia.edu triage
    (docs/clinical-sources.md S4). Behaviour without recency is acute while current (R4) and positive later. The result
    of a screen that is not named reads alike.
    """
    forms = chart.of(Instrument.CSSRS, Instrument.RISK_LEVEL)
    if not forms:
        return []
    findings = []
    evidence = LaterEvidence(chart)
    for form in forms:
        current = is_current(chart, form.when, form.encounter)
        recency_unknown = form.yes("q6") is True and form.yes("q6_recent") is None
        acute_items = said_yes(form, "q5", "q4", "q6_recent")
        if recency_unknown and current:
            acute_items = (*acute_items, *said_yes(form, "q6"))
        positive_items = said_yes(form, "q3", "q2", "q1", "q6")
        is_acute = bool(acute_items) or form.level in ACUTE_RESULTS
        gap = "recency" if recency_unknown else None
        if is_acute or positive_items or form.level in POSITIVE_RESULTS:
            items = tuple(dict.fromkeys((*acute_items, *positive_items)))
            since = evidence.since(form, acute=is_acute)
            kind = Kind.CSSRS if form.instrument is Instrument.CSSRS else Kind.RISK_LEVEL
            findings.append(_instrument_finding(chart, form, kind, items, since, acute=is_acute, gap=gap))
        elif all_refused(form, "q1", "q2", "q6"):
            since = evidence.since(form, acute=False)
            findings.append(_instrument_finding(chart, form, Kind.ALL_REFUSED, form.answers, since, acute=False))
            continue
        if not is_acute:
            findings += _unanswered(chart, form, form.answers)
    return findings


def asq_answers(chart: PatientRecord) -> list[SafetyFinding]:
    """ASQ. Acute: acuity yes, whatever the other answers; any yes without a recorded acuity, while current (R4).

    Positive: any yes with acuity no. All questions refused counts as positive. An overall result counts like the
    answers that it stands for. Source: NIMH ASQ toolkit (docs/clinical-sources.md S3).
    """
    forms = chart.of(Instrument.ASQ)
    if not forms:
        return []
    findings = []
    evidence = LaterEvidence(chart)
    for form in forms:
        screen = said_yes(form, "q1", "q2", "q3", "q4")
        refused = all_refused(form, "q1", "q2", "q3", "q4")
        acuity = form.yes("acuity")
        current = is_current(chart, form.when, form.encounter)
        positive = bool(screen) or refused or form.level in POSITIVE_RESULTS
        says_acute = acuity is True or form.level in ACUTE_RESULTS
        unknown = acuity is None and form.level not in (*ACUTE_RESULTS, Result.NON_ACUTE, Result.MODERATE)
        is_acute = says_acute or (positive and unknown and current)
        gap = "acuity" if unknown and positive else None
        if is_acute or positive:
            kind = Kind.ALL_REFUSED if refused and not says_acute else Kind.ASQ
            items = (*said_yes(form, "acuity"), *screen) or (form.answers if refused else ())
            since = evidence.since(form, acute=is_acute)
            findings.append(_instrument_finding(chart, form, kind, items, since, acute=is_acute, gap=gap))
        if not is_acute and not refused:
            findings += _unanswered(chart, form, form.answers)
    return findings


def _instrument_finding(
    chart: PatientRecord,
    form: Administration,
    kind: Kind,
    items: tuple[ItemAnswer, ...],
    since: LaterEntries,
    *,
    acute: bool,
    gap: str | None = None,
) -> SafetyFinding:
    level = acute_level(chart, form.when, form.encounter) if acute else positive_level(chart, form.when)
    return form_finding(
        chart,
        rule=("R4" if gap or kind is Kind.ALL_REFUSED else "R2") if acute else "R7",
        kind=kind,
        level=level,
        form=form,
        items=items,
        gap=gap,
        since=since,
    )


def self_harm_items(chart: PatientRecord) -> list[SafetyFinding]:
    """R7: PHQ-9 item 9 (>= 1) and EPDS item 10 (above "never"), whatever the total. R5: declined or blank.

    R6: a PHQ-9 total of 25 or an EPDS total of 28 cannot be reached without the item. The two further questions
    of PHQ-9M count as item 9 does. Sources: docs/clinical-sources.md S1, S2.
    """
    forms = chart.of(*SAFETY_ITEMS)
    if not forms:
        return []
    findings = []
    evidence = LaterEvidence(chart)
    latest = latest_answered(chart)
    for form in forms:
        spec, safety, answer = form.instrument.spec, SAFETY_ITEMS[form.instrument], form.safety_answer
        further = tuple(a for name in safety.further if (a := form.answer(name)) and a.yes)
        level = positive_level(chart, form.when, safety.positive_days)
        if (answer and item_9_endorsed(form)) or further:
            items = (answer,) if answer and item_9_endorsed(form) else ()
            findings.append(
                form_finding(
                    chart,
                    rule="R7",
                    kind=Kind.SELF_HARM_ITEM,
                    level=level,
                    form=form,
                    items=(*items, *further),
                    since=evidence.since(form, acute=False, item_9=form.instrument in NINE_ITEM_PHQ),
                )
            )
        elif form.total is not None and spec.total_of_others < form.total <= spec.top_total:
            since = evidence.since(form, acute=False)  # an item 9 of 0 does not lower a total
            findings.append(
                form_finding(chart, rule="R6", kind=Kind.TOTAL_IMPLIES_ITEM, level=level, form=form, since=since)
            )
        elif answer and answer.state in (AnswerState.DECLINED, AnswerState.UNREADABLE):
            findings += _unanswered(chart, form, [answer])
        elif left_blank(form) and not answered_since(latest, form) and is_within(chart, form.when, POSITIVE_DAYS):
            blank = (Topic.COULD_NOT_ASSESS, Urgency.NOTE)
            findings.append(form_finding(chart, rule="R5", kind=Kind.BLANK_ITEM, level=blank, form=form))
    # R3: the worst answer of a day stands, so it leads; `by_urgency` sorts days and keeps this order.
    return sorted(findings, key=_by_frequency)


def _by_frequency(finding: SafetyFinding) -> int:
    return -max((answer.score or 0 for answer in finding.items), default=0)


def _unanswered(chart: PatientRecord, form: Administration, answers: Iterable[ItemAnswer]) -> list[SafetyFinding]:
    """R4: an unreadable safety answer; R5: a declined one. Findings for 14 days, then silent."""
    if not is_within(chart, form.when, POSITIVE_DAYS):
        return []
    answers = tuple(answers)
    level = (Topic.POSITIVE_SAFETY_ANSWER, Urgency.PROMPT)
    findings = []
    for state, kind, rule in (
        (AnswerState.UNREADABLE, Kind.UNREADABLE_ANSWER, "R4"),
        (AnswerState.DECLINED, Kind.DECLINED_ANSWER, "R5"),
    ):
        items = tuple(a for a in answers if a.state is state)
        if items:
            findings.append(form_finding(chart, rule=rule, kind=kind, level=level, form=form, items=items))
    return findings


def depression_totals(chart: PatientRecord) -> list[SafetyFinding]:
    """R6: PHQ-9 or PHQ-9M >= 10, PHQ-2 >= 3, EPDS >= 13, up to 90 days old; from day 15 only without follow-up since.

    Bands: docs/clinical-sources.md S1; PHQ-2 cut 3: Arroll 2010. Under 12: no depression card (R9).
    """
    if chart.age_years is not None and chart.age_years < 12:
        return []
    findings = []
    care = latest_care(chart)
    for form in chart.of(*DEPRESSION_CUTS):
        total = total_of(form)
        days = chart.days_since(form.when)
        if total is None or total < DEPRESSION_CUTS[form.instrument] or (days is not None and days > RECENT_DAYS):
            continue
        if is_superseded(care, form) or (days is not None and days > POSITIVE_DAYS and is_followed_up(care, form)):
            continue
        severe_total = form.instrument.spec.severe_total
        severe = severe_total is not None and total >= severe_total
        level = (Topic.DEPRESSION_FOLLOW_UP, Urgency.PROMPT if severe else Urgency.NOTE)
        findings.append(form_finding(chart, rule="R6", kind=Kind.DEPRESSION_TOTAL, level=level, form=form))
    return findings


def coded_events(chart: PatientRecord) -> list[SafetyFinding]:
    """Coded self-harm, attempts, plan and intent (R2); coded ideation and non-suicidal self-harm (R7).

    A follow-up code (7th character D) of today is not current. An active entry with no date counts as
    positive, "date not recorded" (R1). Code groups: `fhir_adapters/codesets/conditions.csv`.
    """
    if not chart.events:
        return []
    findings = []
    evidence = LaterEvidence(chart)
    for event in one_per_event(chart.events):
        acute = severity(event.kind) == 0
        if event.course is Course.HISTORY:
            level = None
        elif event.when is None:
            level = (Topic.POSITIVE_SAFETY_ANSWER, Urgency.PROMPT)
        elif acute and event.subsequent:
            level = recent_level(chart, event.when)
        elif acute:
            level = acute_level(chart, event.when, event.encounter)
        else:
            level = positive_level(chart, event.when)
        since = evidence.since(event, acute=acute) if level else NOTHING_LATER
        topic, urgency = lowered(level, since.later) if level else HISTORY
        findings.append(
            SafetyFinding(
                rule="R2" if acute else "R7",
                kind=Kind.CODED,
                topic=topic,
                urgency=urgency,
                when=event.when,
                days=chart.days_since(event.when),
                references=(event.reference,),
                event=event,
                later=since.later,
                more_later=since.more,
                provisional=event.provisional,
            )
        )
    return findings


def assessed_risks(chart: PatientRecord) -> list[SafetyFinding]:
    """RiskAssessments: High is acute, like an instrument's coded overall result (R2), Moderate positive (R7).

    One that cannot be read is a finding for 14 days (R4). Low is none, and never printed (R3).
    """
    assessed = [a for a in chart.risk_assessments if a.result not in (None, RiskResult.LOW)]
    if not assessed:
        return []
    findings = []
    evidence = LaterEvidence(chart)
    for assessment in assessed:
        acute, unreadable = assessment.result is RiskResult.HIGH, assessment.result is RiskResult.UNREADABLE
        if unreadable and not is_within(chart, assessment.when, POSITIVE_DAYS):
            continue
        if acute:
            level = acute_level(chart, assessment.when, assessment.encounter)
        else:
            level = positive_level(chart, assessment.when)
        since = NOTHING_LATER if unreadable or not level else evidence.since(assessment, acute=acute)
        topic, urgency = lowered(level, since.later) if level else HISTORY
        findings.append(
            SafetyFinding(
                rule="R2" if acute else "R4" if unreadable else "R7",
                kind=Kind.UNREADABLE_ANSWER if unreadable else Kind.RISK_ASSESSED,
                topic=topic,
                urgency=urgency,
                when=assessment.when,
                days=chart.days_since(assessment.when),
                references=(assessment.reference,),
                assessment=assessment,
                later=since.later,
                more_later=since.more,
                provisional=assessment.provisional,
            )
        )
    return findings


def anomalies(chart: PatientRecord) -> list[SafetyFinding]:
    """R11: contradictory, out of range, dated in the future, or not this patient's. R10: dated after death."""
    return [
        SafetyFinding(
            rule="R10" if anomaly.flaw is Flaw.ANSWER_AFTER_DEATH else "R11",
            kind=Kind.ANOMALY,
            topic=Topic.DATA_ANOMALY,
            urgency=Urgency.PROMPT if anomaly.flaw is Flaw.ANSWER_AFTER_DEATH else Urgency.NOTE,
            when=anomaly.when,
            days=chart.days_since(anomaly.when),
            references=anomaly.references,
            anomaly=anomaly,
        )
        for anomaly in chart.anomalies
        if anomaly.flaw.stops_model
    ]


def not_obtained(chart: PatientRecord) -> list[SafetyFinding]:
    """R16: needed data that failed, was refused or cannot be read is reported, never ignored."""
    # Missing consent silences only the models, which are only for adults.
    minor = chart.age_years is not None and chart.age_years < 18
    if not chart.unreadable and all(u.what == ChartPart.CONSENTS and minor for u in chart.lacking):
        return []
    return [
        SafetyFinding(
            rule="R16",
            kind=Kind.NOT_OBTAINED,
            topic=Topic.COULD_NOT_ASSESS,
            urgency=Urgency.NOTE,
            when=None,
            days=None,
            references=tuple(u.reference for u in chart.unreadable),
        )
    ]


def unheard_entries(chart: PatientRecord) -> list[SafetyFinding]:
    """R18: entries on self-harm or an instrument that no reader used. R4: one that says yes is a finding for 14 days.

    Up to 90 days old it is named; then it is history, as a readable answer would be. An undated one may be of today.
    """
    return [_unheard(chart, entry) for entry in chart.unheard]


def _unheard(chart: PatientRecord, entry: Unheard) -> SafetyFinding:
    level = (Topic.COULD_NOT_ASSESS, Urgency.NOTE)
    if entry.says_yes and is_within(chart, entry.when, POSITIVE_DAYS):
        level = (Topic.POSITIVE_SAFETY_ANSWER, Urgency.PROMPT)
    elif not is_within(chart, entry.when, RECENT_DAYS):
        level = HISTORY
    return SafetyFinding(
        rule="R4" if entry.says_yes else "R18",
        kind=Kind.UNHEARD,
        topic=level[0],
        urgency=level[1],
        when=entry.when,
        days=chart.days_since(entry.when),
        references=(entry.reference,),
        unheard=entry,
    )


RULES: tuple[Callable[[PatientRecord], list[SafetyFinding]], ...] = (
    cssrs_answers,
    asq_answers,
    self_harm_items,
    coded_events,
    assessed_risks,
    anomalies,
    depression_totals,
    unheard_entries,
    not_obtained,
)


def apply_safety_rules(chart: PatientRecord) -> SafetyReading:
    """Applies every rule to one chart: findings, the most urgent first and then by topic (R14), and history.

    A deceased patient has no findings except answers dated after death (R10).
    """
    if chart.deceased:
        late = [finding for finding in anomalies(chart) if finding.rule == "R10"]
        return SafetyReading(findings=tuple(late), history=())
    everything = [finding for rule in RULES for finding in rule(chart)]
    history = tuple(sorted((f for f in everything if is_history(f)), key=by_graveness))
    unread, partly = answers_unread(chart), later_unread(chart)
    current = [f for f in everything if not is_history(f)]
    days = Counter(day_of(f) for f in current)
    findings = [
        replace(f, shares_day=days[day_of(f)] > 1, answers_unread=unread, partly_searched=partly) for f in current
    ]
    findings.sort(key=by_urgency)
    return SafetyReading(findings=tuple(findings), history=history)
