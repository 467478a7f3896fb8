"""Documented answers and codes to safety findings: the rules R1 to R14, read from top to bottom.

Pure functions over facts; no model, no network, no clock. `RULES` at the end is the whole list.
Each finding restates what the chart says, with its date and source, and how current it is; nothing
here estimates, and nothing here can be switched off. The numbers (14, 90 days and so on) are this
product's defaults, chosen from the clinical sources named per rule; none is a guideline value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import IntEnum, StrEnum

from fhir_adapters.facts import (
    Administration,
    Anomaly,
    AnswerState,
    CodedEvent,
    Course,
    Instrument,
    ItemAnswer,
    PatientRecord,
    When,
)
from fhir_adapters.screening import SAFETY_ITEM, total_of

RECENT_DAYS = 90
POSITIVE_DAYS = 14
EPDS_POSITIVE_DAYS = 7  # EPDS asks about the past seven days (facts.md 1.2)
SAME_ENCOUNTER_DAYS = 7
ONE_DAY = timedelta(hours=24)


class Urgency(IntEnum):
    """How soon a finding wants looking at: ACUTE is critical on the card, PROMPT warning, NOTE info."""

    NOTE = 1
    PROMPT = 2
    ACUTE = 3


class Topic(StrEnum):
    """The static topics of our cards, in the order of R14."""

    ACUTE_SAFETY = "acute-safety"
    POSITIVE_SAFETY_ANSWER = "positive-safety-answer"
    RECENT_SAFETY = "recent-safety"
    DATA_ANOMALY = "data-anomaly"
    DEPRESSION_FOLLOW_UP = "depression-follow-up"
    SCREENING_PROMPT = "screening-prompt"
    COULD_NOT_ASSESS = "could-not-assess"


SAFETY_TOPICS = (Topic.ACUTE_SAFETY, Topic.POSITIVE_SAFETY_ANSWER, Topic.RECENT_SAFETY)


class Kind(StrEnum):
    """What was found. The wording belongs to the cards."""

    SELF_HARM_ITEM = "self-harm-item"
    TOTAL_IMPLIES_ITEM = "total-implies-item"
    CSSRS = "c-ssrs"
    ASQ = "asq"
    ALL_REFUSED = "all-refused"
    CODED = "coded"
    UNREADABLE_ANSWER = "unreadable-answer"
    DECLINED_ANSWER = "declined-answer"
    BLANK_ITEM = "blank-item"
    DEPRESSION_TOTAL = "depression-total"
    ANOMALY = "anomaly"
    NOT_OBTAINED = "not-obtained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Something recorded after a finding that bears on it. `downgrades`: it lowered the finding by one step (R3)."""

    what: str
    when: When
    reference: str
    downgrades: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyFinding:
    """One finding. `items` are the answers that it restates, the worst first; `value` a total where one matters.

    `days` are whole local days since `when`; None where no date was recorded. `gap` names what is not
    recorded ("acuity", "recency"), which reads as worse (R4).
    """

    rule: str
    kind: Kind
    topic: Topic
    urgency: Urgency
    when: When | None
    days: int | None
    references: tuple[str, ...]
    form: Administration | None = None
    event: CodedEvent | None = None
    anomaly: Anomaly | None = None
    items: tuple[ItemAnswer, ...] = ()
    value: int | None = None
    gap: str | None = None
    later: tuple[Later, ...] = ()
    provisional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyReading:
    """All that the rules say: findings in the order of R14, and history for other cards to mention."""

    findings: tuple[SafetyFinding, ...]
    history: tuple[SafetyFinding, ...]


Level = tuple[Topic, Urgency]


# ---- R1 time ------------------------------------------------------------------------------------------------------


def is_current(record: PatientRecord, when: When | None, encounter: str | None) -> bool:
    """R1: same local date, or at most 24 h before `as_of`, or the hook's encounter and at most 7 days old.

    An answer without a date may be of today and reads as current. A future date counts as today's (R11).
    """
    if when is None or when.day >= record.today:
        return True
    if when.instant is not None and record.as_of - when.instant <= ONE_DAY:
        return True
    days = (record.today - when.day).days
    return encounter is not None and encounter == record.encounter and days <= SAME_ENCOUNTER_DAYS


def acute_level(record: PatientRecord, when: When | None, encounter: str | None) -> Level | None:
    """R2: acute while current, recent to 90 days, then history (None)."""
    if is_current(record, when, encounter):
        return Topic.ACUTE_SAFETY, Urgency.ACUTE
    return _recent(record, when)


def positive_level(record: PatientRecord, when: When | None, window: int = POSITIVE_DAYS) -> Level | None:
    """R7: positive within the window, recent to 90 days, then history (None)."""
    days = record.days_since(when)
    if days is None or days <= window:
        return Topic.POSITIVE_SAFETY_ANSWER, Urgency.PROMPT
    return _recent(record, when)


def _recent(record: PatientRecord, when: When | None) -> Level | None:
    days = record.days_since(when)
    return (Topic.RECENT_SAFETY, Urgency.PROMPT) if days is not None and days <= RECENT_DAYS else None


# ---- R3 supersession ----------------------------------------------------------------------------------------------


def is_complete_negative(form: Administration) -> bool:
    """R3: C-SSRS questions 1, 2 and 6 all no (3-5 may be absent); ASQ all four no. Never a form still in progress."""
    if form.provisional or (form.when and form.when.future):
        return False
    if any(a.yes for a in form.answers) or form.level in ("high", "moderate"):
        return False
    wanted = {Instrument.CSSRS: ("q1", "q2", "q6"), Instrument.ASQ: ("q1", "q2", "q3", "q4")}.get(form.instrument)
    return wanted is not None and all(form.yes(item) is False for item in wanted)


def _is_later(then: When | None, encounter: str | None, now: When | None, now_encounter: str | None) -> bool:
    """Whether the second is later than the first: a later local date, or another encounter later the same day."""
    if then is None or now is None or now.future:
        return False
    if now.day != then.day:
        return now.day > then.day
    other = encounter is not None and now_encounter is not None and encounter != now_encounter
    return other and now.instant is not None and then.instant is not None and now.instant > then.instant


def later_evidence(
    record: PatientRecord, when: When | None, encounter: str | None, *, acute: bool, phq: bool = False
) -> tuple[Later, ...]:
    """What came after a finding, and which of it lowers the finding (R3).

    A complete negative C-SSRS or ASQ lowers every finding; a completed suicide risk assessment lowers
    acute facts; PHQ-9 item 9 = 0 lowers only an older positive item 9 (`phq`), and is named otherwise.
    """
    found = []
    for form in record.of(Instrument.CSSRS, Instrument.ASQ):
        if form.when and is_complete_negative(form) and _is_later(when, encounter, form.when, form.encounter):
            what = f"{form.instrument.value}-negative"
            found.append(Later(what=what, when=form.when, reference=form.references[0], downgrades=True))
    found += [
        Later(what="risk-assessment", when=done.when, reference=done.reference, downgrades=acute)
        for done in record.risk_assessments
        if done.when and _is_later(when, encounter, done.when, done.encounter)
    ]
    for form in record.of(Instrument.PHQ9, Instrument.PHQ9M):
        zero = form.answer("9")
        if zero and form.score("9") == 0 and when and form.when and when.day < form.when.day and not form.when.future:
            found.append(Later(what="item-9-zero", when=form.when, reference=zero.reference, downgrades=phq))
    return tuple(sorted(found, key=lambda late: late.when.day, reverse=True))


def _lowered(level: Level, later: Iterable[Later]) -> Level:
    """One step down, once: critical to recent-safety warning, warning to recent-safety info."""
    if not any(late.downgrades for late in later):
        return level
    return Topic.RECENT_SAFETY, Urgency(max(Urgency.NOTE, level[1] - 1))


# ---- R2, R4, R7 C-SSRS and ASQ ------------------------------------------------------------------------------------


def cssrs_answers(record: PatientRecord) -> list[SafetyFinding]:
    """C-SSRS screener. Acute: intent or plan (4, 5) in the past month, or behaviour within 3 months, or overall High.

    Positive: questions 1 to 3, behaviour longer ago, or overall Moderate. Source: cssrs.columbia.edu triage
    (facts.md 1.4). Behaviour without recency is acute while current (R4) and positive later.
    """
    findings = []
    for form in record.of(Instrument.CSSRS):
        current = is_current(record, form.when, form.encounter)
        recency_unknown = form.yes("q6") is True and form.yes("q6_recent") is None
        acute_items = _said_yes(form, "q5", "q4", "q6_recent")
        if recency_unknown and current:
            acute_items = (*acute_items, *_said_yes(form, "q6"))
        positive_items = _said_yes(form, "q3", "q2", "q1", "q6")
        is_acute = bool(acute_items) or form.level == "high"
        gap = "recency" if recency_unknown else None
        if is_acute or positive_items or form.level == "moderate":
            items = tuple(dict.fromkeys((*acute_items, *positive_items)))
            findings.append(_instrument_finding(record, form, Kind.CSSRS, items, acute=is_acute, gap=gap))
        elif _all_refused(form, "q1", "q2", "q6"):
            findings.append(_instrument_finding(record, form, Kind.ALL_REFUSED, form.answers, acute=False))
        if not is_acute:
            findings += _unanswered(record, form, form.answers, POSITIVE_DAYS)
    return findings


def asq_answers(record: PatientRecord) -> list[SafetyFinding]:
    """ASQ. Acute: acuity yes, whatever the other answers; any yes without a recorded acuity, while current (R4).

    Positive: any yes with acuity no. All questions refused counts as positive. Source: NIMH ASQ toolkit
    (facts.md 1.3).
    """
    findings = []
    for form in record.of(Instrument.ASQ):
        screen = _said_yes(form, "q1", "q2", "q3", "q4")
        refused = _all_refused(form, "q1", "q2", "q3", "q4")
        acuity = form.yes("acuity")
        current = is_current(record, form.when, form.encounter)
        is_acute = acuity is True or ((bool(screen) or refused) and acuity is None and current)
        gap = "acuity" if acuity is None and (screen or refused) else None
        if is_acute or screen or refused:
            kind = Kind.ALL_REFUSED if refused and acuity is not True else Kind.ASQ
            items = (*_said_yes(form, "acuity"), *screen) or form.answers
            findings.append(_instrument_finding(record, form, kind, items, acute=is_acute, gap=gap))
        if not is_acute:
            findings += _unanswered(record, form, [a for a in form.answers if a.item != "acuity"], POSITIVE_DAYS)
    return findings


def _said_yes(form: Administration, *items: str) -> tuple[ItemAnswer, ...]:
    return tuple(answer for item in items if (answer := form.answer(item)) and form.yes(item))


def _all_refused(form: Administration, *items: str) -> bool:
    asked = [a for a in form.answers if a.item in items]
    return bool(asked) and all(a.state is AnswerState.DECLINED for a in asked)


def _instrument_finding(
    record: PatientRecord,
    form: Administration,
    kind: Kind,
    items: tuple[ItemAnswer, ...],
    *,
    acute: bool,
    gap: str | None = None,
) -> SafetyFinding:
    level = acute_level(record, form.when, form.encounter) if acute else positive_level(record, form.when)
    later = later_evidence(record, form.when, form.encounter, acute=acute)
    return _finding(
        record,
        rule=("R4" if gap or kind is Kind.ALL_REFUSED else "R2") if acute else "R7",
        kind=kind,
        level=level,
        form=form,
        items=items,
        gap=gap,
        later=later,
    )


def _finding(
    record: PatientRecord,
    *,
    rule: str,
    kind: Kind,
    level: Level | None,
    form: Administration,
    items: tuple[ItemAnswer, ...] = (),
    gap: str | None = None,
    later: tuple[Later, ...] = (),
) -> SafetyFinding:
    """A finding on a form; a level of None makes it history (NOTE urgency, kept apart by `apply_safety_rules`)."""
    topic, urgency = _lowered(level, later) if level else HISTORY
    references = tuple(dict.fromkeys(answer.reference for answer in items)) or form.references
    return SafetyFinding(
        rule=rule,
        kind=kind,
        topic=topic,
        urgency=urgency,
        when=form.when,
        days=record.days_since(form.when),
        references=references,
        form=form,
        items=items,
        value=form.total if kind is Kind.TOTAL_IMPLIES_ITEM else total_of(form),
        gap=gap,
        later=later,
        provisional=form.provisional,
    )


# Marks a fact older than 90 days, or coded as history: it has no card of its own (R2, R7, R8).
HISTORY: Level = (Topic.RECENT_SAFETY, Urgency(Urgency.NOTE))


# ---- R5, R6, R7 PHQ-9, PHQ-9M and EPDS ----------------------------------------------------------------------------


def self_harm_items(record: PatientRecord) -> list[SafetyFinding]:
    """R7: PHQ-9 item 9 (>= 1) and EPDS item 10 (above "never"), whatever the total. R5: declined or blank.

    R6: a PHQ-9 total of 25 or an EPDS total of 28 cannot be reached without the item. Sources: facts.md 1.1, 1.2.
    """
    findings = []
    for form in record.of(Instrument.PHQ9, Instrument.PHQ9M, Instrument.EPDS):
        item = SAFETY_ITEM[form.instrument]
        epds = form.instrument is Instrument.EPDS
        window = EPDS_POSITIVE_DAYS if epds else POSITIVE_DAYS
        answer = form.answer(item)
        later = later_evidence(record, form.when, form.encounter, acute=False, phq=not epds)
        least = 28 if epds else 25
        most = 30 if epds else 27
        if answer and ((form.score(item) or 0) >= 1 or form.yes(item)):
            level = positive_level(record, form.when, window)
            findings.append(
                _finding(
                    record, rule="R7", kind=Kind.SELF_HARM_ITEM, level=level, form=form, items=(answer,), later=later
                )
            )
        elif form.total is not None and least <= form.total <= most:
            level = positive_level(record, form.when, window)
            negatives = tuple(late for late in later if late.what != "item-9-zero")
            findings.append(
                _finding(
                    record,
                    rule="R6",
                    kind=Kind.TOTAL_IMPLIES_ITEM,
                    level=level,
                    form=form,
                    later=negatives,
                )
            )
        elif answer and answer.state in (AnswerState.DECLINED, AnswerState.UNREADABLE):
            findings += _unanswered(record, form, [answer], window)
        elif not epds and _left_blank(form) and not _answered_since(record, form.when):
            days = record.days_since(form.when)
            if days is None or days <= POSITIVE_DAYS:
                blank = (Topic.COULD_NOT_ASSESS, Urgency(Urgency.NOTE))
                findings.append(_finding(record, rule="R5", kind=Kind.BLANK_ITEM, level=blank, form=form))
    return findings


def _left_blank(form: Administration) -> bool:
    """R5: any of items 3-8 answered and item 9 not; items 1-2 alone are a PHQ-2."""
    answered = any(form.score(str(n)) is not None for n in range(3, 9))
    nine = form.answer("9")
    return answered and (nine is None or nine.state is AnswerState.BLANK)


def _answered_since(record: PatientRecord, when: When | None) -> bool:
    """Whether item 9 was answered on the same day or later."""
    return any(
        form.answer("9") is not None and form.score("9") is not None and when is not None and form.when is not None
        and form.when.day >= when.day
        for form in record.of(Instrument.PHQ9, Instrument.PHQ9M)
    )  # fmt: skip


def _unanswered(
    record: PatientRecord, form: Administration, answers: Iterable[ItemAnswer], window: int
) -> list[SafetyFinding]:
    """R4: an unreadable safety answer; R5: a declined one. Findings for `window` days, then silent."""
    days = record.days_since(form.when)
    if days is not None and days > window:
        return []
    asked = tuple(answers)
    findings = []
    for state, kind, rule in (
        (AnswerState.UNREADABLE, Kind.UNREADABLE_ANSWER, "R4"),
        (AnswerState.DECLINED, Kind.DECLINED_ANSWER, "R5"),
    ):
        items = tuple(a for a in asked if a.state is state)
        if items and not (state is AnswerState.DECLINED and len(items) == len(asked) and len(asked) > 1):
            level = (Topic.POSITIVE_SAFETY_ANSWER, Urgency(Urgency.PROMPT))
            findings.append(_finding(record, rule=rule, kind=kind, level=level, form=form, items=items))
    return findings


def depression_totals(record: PatientRecord) -> list[SafetyFinding]:
    """R6: PHQ-9 or PHQ-9M >= 10, PHQ-2 >= 3, EPDS >= 13, up to 90 days old; from day 15 only without follow-up since.

    Bands: facts.md 1.1; PHQ-2 cut 3: Arroll 2010. Under 12: no depression card (R9).
    """
    if record.age_years is not None and record.age_years < 12:
        return []
    findings = []
    for form in record.of(Instrument.PHQ9, Instrument.PHQ9M, Instrument.PHQ2, Instrument.EPDS):
        total = total_of(form)
        days = record.days_since(form.when)
        if total is None or total < CUTS[form.instrument] or (days is not None and days > RECENT_DAYS):
            continue
        if _superseded(record, form) or (days is not None and days > POSITIVE_DAYS and _followed_up(record, form.when)):
            continue
        severe = form.instrument in (Instrument.PHQ9, Instrument.PHQ9M) and total >= 20
        level = (Topic.DEPRESSION_FOLLOW_UP, Urgency.PROMPT if severe else Urgency.NOTE)
        findings.append(_finding(record, rule="R6", kind=Kind.DEPRESSION_TOTAL, level=level, form=form))
    return findings


CUTS = {Instrument.PHQ9: 10, Instrument.PHQ9M: 10, Instrument.PHQ2: 3, Instrument.EPDS: 13}


def _superseded(record: PatientRecord, form: Administration) -> bool:
    """A PHQ-2 is settled by a PHQ-9 of the same day or later; nothing else is."""
    if form.instrument is not Instrument.PHQ2 or form.when is None:
        return False
    return any(f.when and f.when.day >= form.when.day for f in record.of(Instrument.PHQ9, Instrument.PHQ9M))


def _followed_up(record: PatientRecord, when: When | None) -> bool:
    """A later PHQ-9, PHQ-9M or EPDS, or a later visit coded for depression other than the one going on now."""
    if when is None:
        return False
    forms = record.of(Instrument.PHQ9, Instrument.PHQ9M, Instrument.EPDS)
    if any(f.when and f.when.day > when.day for f in forms):
        return True
    return any(
        v.for_depression and v.when and not v.when.future and v.when.day > when.day and v.reference != record.encounter
        for v in record.visits
    )


# ---- R2, R7, R8 codes ---------------------------------------------------------------------------------------------

ACUTE_GROUPS = ("self_harm", "self_injury", "suicide_attempt", "suicidal_behavior", "suicidal_plan", "suicidal_intent",
                "suicide_death_event")  # fmt: skip


def coded_events(record: PatientRecord) -> list[SafetyFinding]:
    """Coded self-harm, attempts, plan and intent (R2); coded ideation and non-suicidal self-harm (R7).

    A follow-up code (7th character D) of today is not current. An active entry with no date counts as
    positive, "date not recorded" (R1). Code groups: `fhir_adapters/codesets/conditions.csv`.
    """
    findings = []
    for event in one_per_event(record.events):
        acute = event.group.startswith(ACUTE_GROUPS)
        if event.course is Course.HISTORY:
            level = None
        elif event.when is None:
            level = (Topic.POSITIVE_SAFETY_ANSWER, Urgency.PROMPT)
        elif acute and event.subsequent:
            level = _recent(record, event.when)
        elif acute:
            level = acute_level(record, event.when, event.encounter)
        else:
            level = positive_level(record, event.when)
        later = later_evidence(record, event.when, event.encounter, acute=acute) if level else ()
        topic, urgency = _lowered(level, later) if level else HISTORY
        findings.append(
            SafetyFinding(
                rule="R2" if acute else "R7",
                kind=Kind.CODED,
                topic=topic,
                urgency=urgency,
                when=event.when,
                days=record.days_since(event.when),
                references=(event.reference,),
                event=event,
                later=later,
                provisional=event.provisional,
            )
        )
    return findings


def one_per_event(events: Iterable[CodedEvent]) -> list[CodedEvent]:
    """R8: codes of one encounter, or with the same first six characters, are one event, dated by its earliest record.

    An initial-encounter code (7th character A) of another encounter more than seven days later is a new
    event: read as the same, it would hide a new attempt behind an old date. SNOMED CT identifiers
    share leading digits by accident, so for them only the encounter and the reference count.
    """
    kept: list[CodedEvent] = []
    for event in sorted(events, key=_by_date):
        twin = next((k for k in kept if _same_event(k, event)), None)
        if twin is None:
            kept.append(event)
        elif _rank(event) > _rank(twin):
            kept[kept.index(twin)] = replace(event, when=twin.when, subsequent=twin.subsequent)
    return kept


def _by_date(event: CodedEvent) -> tuple[bool, date]:
    return event.when is None, event.when.day if event.when else date.max


def _rank(event: CodedEvent) -> tuple[bool, bool]:
    return event.course is Course.ACTIVE, event.group.startswith(ACUTE_GROUPS)


def _same_event(first: CodedEvent, second: CodedEvent) -> bool:
    """Whether the later of two records speaks of the earlier one's event; history and active never merge."""
    if first.course is not second.course:
        return False
    if first.encounter is not None and first.encounter == second.encounter:
        return True
    one, other = (e.code.replace(".", "").upper() for e in (first, second))
    if "icd-10" not in first.system or first.system != second.system or len(other) != 7 or one[:6] != other[:6]:
        return False
    new_care = other.endswith("A") and second.encounter_diagnosis and first.when and second.when
    return not (new_care and first.when and second.when and (second.when.day - first.when.day).days > 7)


# ---- R10, R11, R16 ------------------------------------------------------------------------------------------------


def anomalies(record: PatientRecord) -> list[SafetyFinding]:
    """R11: contradictory, out of range, dated in the future, or not this patient's. R10: dated after death."""
    return [
        SafetyFinding(
            rule="R10" if anomaly.kind == "after-death" else "R11",
            kind=Kind.ANOMALY,
            topic=Topic.DATA_ANOMALY,
            urgency=Urgency.PROMPT if anomaly.kind == "after-death" else Urgency.NOTE,
            when=anomaly.when,
            days=record.days_since(anomaly.when),
            references=anomaly.references,
            anomaly=anomaly,
        )
        for anomaly in record.anomalies
        if anomaly.stops_model
    ]


def not_obtained(record: PatientRecord) -> list[SafetyFinding]:
    """R16: needed data that failed, was refused or cannot be read is said, never passed over."""
    if not (record.unreadable or any(unknown.needed for unknown in record.unknown)):
        return []
    return [
        SafetyFinding(
            rule="R16",
            kind=Kind.NOT_OBTAINED,
            topic=Topic.COULD_NOT_ASSESS,
            urgency=Urgency.NOTE,
            when=None,
            days=None,
            references=tuple(u.reference for u in record.unreadable),
        )
    ]


RULES: tuple[Callable[[PatientRecord], list[SafetyFinding]], ...] = (
    cssrs_answers,
    asq_answers,
    self_harm_items,
    coded_events,
    anomalies,
    depression_totals,
    not_obtained,
)


def apply_safety_rules(record: PatientRecord) -> SafetyReading:
    """Every rule on one record: findings, the most urgent first and then by topic (R14), and history.

    A deceased patient gives no findings but answers dated after death (R10).
    """
    if record.deceased:
        late = [finding for finding in anomalies(record) if finding.rule == "R10"]
        return SafetyReading(findings=tuple(late), history=())
    found = [finding for rule in RULES for finding in rule(record)]
    history = tuple(f for f in found if _is_history(f))
    findings = [f for f in found if not _is_history(f)]
    findings.sort(key=lambda f: (-f.urgency, list(Topic).index(f.topic), f.days if f.days is not None else -1))
    return SafetyReading(findings=tuple(findings), history=history)


def _is_history(finding: SafetyFinding) -> bool:
    if finding.event is not None and finding.event.course is Course.HISTORY:
        return True
    old = finding.days is not None and finding.days > RECENT_DAYS
    return finding.topic is Topic.RECENT_SAFETY and old
