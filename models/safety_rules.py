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

from fhir_adapters.conditions import severity
from fhir_adapters.facts import (
    Administration,
    Anomaly,
    AnswerState,
    CodedEvent,
    Course,
    Instrument,
    ItemAnswer,
    PatientRecord,
    Setting,
    When,
)
from fhir_adapters.instruments import NINE_ITEM_PHQ, SAFETY_ITEM, TEEN_QUESTIONS
from fhir_adapters.screening import total_of

RECENT_DAYS = 90
POSITIVE_DAYS = 14
EPDS_POSITIVE_DAYS = 7  # EPDS asks about the past seven days (docs/clinical-sources.md S2)
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
    recorded ("acuity", "recency"), which reads as worse (R4). `partly_searched`: some part of the chart in which later
    answers would stand was not obtained.
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
    partly_searched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyReading:
    """All that the rules say: findings in the order of R14, and history for other cards to mention."""

    findings: tuple[SafetyFinding, ...]
    history: tuple[SafetyFinding, ...]


Level = tuple[Topic, Urgency]


# ---- R1 time ------------------------------------------------------------------------------------------------------


def is_current(record: PatientRecord, when: When | None, encounter: str | None) -> bool:
    """R1: same local date, or at most 24 h before `as_of`, or the hook's encounter and at most 7 days old.

    A future date counts as today's (R11). Without a date nothing is current: it counts as positive (R1).
    """
    if when is None:
        return False
    if when.day >= record.today:
        return True
    if when.instant is not None and record.as_of - when.instant <= ONE_DAY:
        return True
    days = (record.today - when.day).days
    return encounter is not None and encounter == record.encounter and days <= SAME_ENCOUNTER_DAYS


def acute_level(record: PatientRecord, when: When | None, encounter: str | None) -> Level | None:
    """R2: acute while current, recent to 90 days, then history (None). Undated counts as positive (R1)."""
    if when is None:
        return Topic.POSITIVE_SAFETY_ANSWER, Urgency.PROMPT
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
    """R3: C-SSRS questions 1, 2 and 6 all no, and no other answer but no; ASQ all four no, likewise.

    Questions that were not put may be absent. A form still in progress is never one.
    """
    if form.provisional or form.level in ("high", "moderate"):
        return False
    put = [a for a in form.answers if a.state is not AnswerState.BLANK]
    wanted = {Instrument.CSSRS: ("q1", "q2", "q6"), Instrument.ASQ: ("q1", "q2", "q3", "q4")}.get(form.instrument)
    if wanted is None or any(a.yes is not False for a in put):
        return False
    return all(form.yes(item) is False for item in wanted)


def is_positive(form: Administration) -> bool:
    """Whether a C-SSRS or ASQ holds any yes, or an overall result of moderate or high."""
    return any(a.yes for a in form.answers) or form.level in ("high", "moderate")


def _is_later(then: When | None, encounter: str | None, now: When | None, now_encounter: str | None) -> bool:
    """Whether the second is later than the first: a later local date, or another encounter later the same day.

    Callers leave out what is dated in the future.
    """
    if then is None or now is None:
        return False
    if now.day != then.day:
        return now.day > then.day
    other = encounter is not None and now_encounter is not None and encounter != now_encounter
    return other and now.instant is not None and then.instant is not None and now.instant > then.instant


def later_evidence(
    record: PatientRecord, found_in: Administration | CodedEvent, *, acute: bool, phq: bool = False
) -> tuple[Later, ...]:
    """Everything else that was recorded on the day of a finding or after it and bears on it, latest first (R3).

    A complete negative C-SSRS or ASQ lowers every finding, a completed suicide risk assessment acute facts, PHQ-9
    item 9 = 0 an older positive item 9 (`phq`). Nothing lowers on a day that also holds a positive answer: the
    worst answer of a day stands. What does not lower is named all the same.
    """
    when, encounter = found_in.when, found_in.encounter
    if when is None:
        return ()
    screens = [f for f in record.of(Instrument.CSSRS, Instrument.ASQ) if f is not found_in]
    found = [*_later_screens(screens, when, encounter), *_later_assessments(record, when, encounter, acute=acute)]
    found += _later_zeros(record, when, phq=phq)
    return tuple(sorted(found, key=lambda late: late.when.day, reverse=True))


def _later_screens(screens: Iterable[Administration], when: When, encounter: str | None) -> list[Later]:
    forms = [f for f in screens if f.when and not f.when.future]
    found = []
    for form in forms:
        if form.when is None or form.when.day < when.day:
            continue
        negative = is_complete_negative(form)
        kind = "negative" if negative else "positive" if is_positive(form) else "incomplete"
        lowers = negative and _is_later(when, encounter, form.when, form.encounter) and not _contradicted(form, forms)
        found.append(
            Later(
                what=f"{form.instrument.value}-{kind}", when=form.when, reference=form.references[0], downgrades=lowers
            )
        )
    return found


def _contradicted(negative: Administration, forms: Iterable[Administration]) -> bool:
    """Whether a positive form of the same day stands that the negative is not later than."""
    return any(
        is_positive(form)
        and form.when is not None
        and negative.when is not None
        and form.when.day == negative.when.day
        and not _is_later(form.when, form.encounter, negative.when, negative.encounter)
        for form in forms
    )


def _later_assessments(record: PatientRecord, when: When, encounter: str | None, *, acute: bool) -> list[Later]:
    return [
        Later(
            what="risk-assessment",
            when=done.when,
            reference=done.reference,
            downgrades=acute and _is_later(when, encounter, done.when, done.encounter),
        )
        for done in record.risk_assessments
        if done.when and not done.when.future and done.when.day >= when.day
    ]


def _later_zeros(record: PatientRecord, when: When, *, phq: bool) -> list[Later]:
    forms = [f for f in record.of(*NINE_ITEM_PHQ) if f.when and not f.when.future]
    bad_days = {f.when.day for f in forms if f.when and item_9_endorsed(f)}
    return [
        Later(
            what="item-9-zero",
            when=form.when,
            reference=zero.reference,
            downgrades=phq and form.when.day not in bad_days and not form.provisional and not form.contradictory,
        )
        for form in forms
        if form.when and form.when.day > when.day and form.score("9") == 0 and (zero := form.answer("9"))
    ]


def item_9_endorsed(form: Administration) -> bool:
    """PHQ-9 item 9 (or EPDS item 10) answered above "not at all" ("never")."""
    item = SAFETY_ITEM[form.instrument]
    return bool((form.score(item) or 0) >= 1 or form.yes(item))


def _lowered(level: Level, later: Iterable[Later]) -> Level:
    """One step down, once: critical to recent-safety warning, warning to recent-safety info."""
    if not any(late.downgrades for late in later):
        return level
    return Topic.RECENT_SAFETY, Urgency(max(Urgency.NOTE, level[1] - 1))


# ---- R2, R4, R7 C-SSRS and ASQ ------------------------------------------------------------------------------------


def cssrs_answers(record: PatientRecord) -> list[SafetyFinding]:
    """C-SSRS screener. Acute: intent or plan (4, 5) in the past month, or behaviour within 3 months, or overall High.

    Positive: questions 1 to 3, behaviour longer ago, or overall Moderate. Source: cssrs.columbia.edu triage
    (docs/clinical-sources.md S4). Behaviour without recency is acute while current (R4) and positive later.
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
            continue
        if not is_acute:
            findings += _unanswered(record, form, form.answers)
    return findings


def asq_answers(record: PatientRecord) -> list[SafetyFinding]:
    """ASQ. Acute: acuity yes, whatever the other answers; any yes without a recorded acuity, while current (R4).

    Positive: any yes with acuity no. All questions refused counts as positive. Source: NIMH ASQ toolkit
    (docs/clinical-sources.md S3).
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
        if not is_acute and not refused:
            findings += _unanswered(record, form, form.answers)
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
    later = later_evidence(record, form, acute=acute)
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

    R6: a PHQ-9 total of 25 or an EPDS total of 28 cannot be reached without the item. The two further questions
    of PHQ-9M count as item 9 does. Sources: docs/clinical-sources.md S1, S2.
    """
    findings = []
    for form in record.of(Instrument.PHQ9, Instrument.PHQ9M, Instrument.EPDS):
        epds = form.instrument is Instrument.EPDS
        least, most = (28, 30) if epds else (25, 27)
        answer = form.answer(SAFETY_ITEM[form.instrument])
        teen = tuple(a for name in TEEN_QUESTIONS if (a := form.answer(name)) and a.yes)
        level = positive_level(record, form.when, EPDS_POSITIVE_DAYS if epds else POSITIVE_DAYS)
        later = later_evidence(record, form, acute=False, phq=not epds)
        if (answer and item_9_endorsed(form)) or teen:
            items = (answer,) if answer and item_9_endorsed(form) else ()
            findings.append(
                _finding(
                    record,
                    rule="R7",
                    kind=Kind.SELF_HARM_ITEM,
                    level=level,
                    form=form,
                    items=(*items, *teen),
                    later=later,
                )
            )
        elif form.total is not None and least <= form.total <= most:
            kept = tuple(replace(late, downgrades=False) if late.what == "item-9-zero" else late for late in later)
            findings.append(
                _finding(record, rule="R6", kind=Kind.TOTAL_IMPLIES_ITEM, level=level, form=form, later=kept)
            )
        elif answer and answer.state in (AnswerState.DECLINED, AnswerState.UNREADABLE):
            findings += _unanswered(record, form, [answer])
        elif _left_blank(form) and not _answered_since(record, form) and _within(record, form.when, POSITIVE_DAYS):
            blank = (Topic.COULD_NOT_ASSESS, Urgency(Urgency.NOTE))
            findings.append(_finding(record, rule="R5", kind=Kind.BLANK_ITEM, level=blank, form=form))
    return findings


def _within(record: PatientRecord, when: When | None, days: int) -> bool:
    """At most `days` old; an undated answer may be."""
    ago = record.days_since(when)
    return ago is None or ago <= days


def _left_blank(form: Administration) -> bool:
    """R5: any of items 3-8 answered and item 9 not (items 1-2 alone are a PHQ-2); any EPDS item, and not item 10."""
    epds = form.instrument is Instrument.EPDS
    others = range(1, 10) if epds else range(3, 9)
    last = form.answer(SAFETY_ITEM[form.instrument])
    answered = any(form.score(str(n)) is not None for n in others)
    return answered and (last is None or last.state is AnswerState.BLANK)


def _answered_since(record: PatientRecord, form: Administration) -> bool:
    """Whether the same question was answered on the same day or later."""
    item = SAFETY_ITEM[form.instrument]
    same = (Instrument.EPDS,) if form.instrument is Instrument.EPDS else NINE_ITEM_PHQ
    return any(
        other.score(item) is not None and form.when and other.when and other.when.day >= form.when.day
        for other in record.of(*same)
    )


def _unanswered(record: PatientRecord, form: Administration, answers: Iterable[ItemAnswer]) -> list[SafetyFinding]:
    """R4: an unreadable safety answer; R5: a declined one. Findings for 14 days, then silent."""
    if not _within(record, form.when, POSITIVE_DAYS):
        return []
    asked = tuple(answers)
    level = (Topic.POSITIVE_SAFETY_ANSWER, Urgency(Urgency.PROMPT))
    findings = []
    for state, kind, rule in (
        (AnswerState.UNREADABLE, Kind.UNREADABLE_ANSWER, "R4"),
        (AnswerState.DECLINED, Kind.DECLINED_ANSWER, "R5"),
    ):
        items = tuple(a for a in asked if a.state is state)
        if items:
            findings.append(_finding(record, rule=rule, kind=kind, level=level, form=form, items=items))
    return findings


def depression_totals(record: PatientRecord) -> list[SafetyFinding]:
    """R6: PHQ-9 or PHQ-9M >= 10, PHQ-2 >= 3, EPDS >= 13, up to 90 days old; from day 15 only without follow-up since.

    Bands: docs/clinical-sources.md S1; PHQ-2 cut 3: Arroll 2010. Under 12: no depression card (R9).
    """
    if record.age_years is not None and record.age_years < 12:
        return []
    findings = []
    for form in record.of(Instrument.PHQ9, Instrument.PHQ9M, Instrument.PHQ2, Instrument.EPDS):
        total = total_of(form)
        days = record.days_since(form.when)
        if total is None or total < CUTS[form.instrument] or (days is not None and days > RECENT_DAYS):
            continue
        if _superseded(record, form) or (days is not None and days > POSITIVE_DAYS and _followed_up(record, form)):
            continue
        severe = form.instrument in NINE_ITEM_PHQ and total >= 20
        level = (Topic.DEPRESSION_FOLLOW_UP, Urgency.PROMPT if severe else Urgency.NOTE)
        findings.append(_finding(record, rule="R6", kind=Kind.DEPRESSION_TOTAL, level=level, form=form))
    return findings


CUTS = {Instrument.PHQ9: 10, Instrument.PHQ9M: 10, Instrument.PHQ2: 3, Instrument.EPDS: 13}


def _superseded(record: PatientRecord, form: Administration) -> bool:
    """A PHQ-2 is settled by a PHQ-9 with a total of the same day or later; nothing else is."""
    if form.instrument is not Instrument.PHQ2 or form.when is None:
        return False
    return _has_total_from(record, form.when.day, *NINE_ITEM_PHQ)


def _has_total_from(record: PatientRecord, day: date, *instruments: Instrument) -> bool:
    return any(
        f.when and not f.when.future and f.when.day >= day and total_of(f) is not None for f in record.of(*instruments)
    )


def _followed_up(record: PatientRecord, form: Administration) -> bool:
    """A later total of PHQ-9 or PHQ-9M (for an EPDS also EPDS), or a later visit for depression, not this one."""
    if form.when is None:
        return False
    instruments = [*NINE_ITEM_PHQ]
    if form.instrument is Instrument.EPDS:
        instruments.append(Instrument.EPDS)
    if _has_total_from(record, form.when.day + timedelta(days=1), *instruments):
        return True
    return any(
        v.for_depression
        and v.when
        and not v.when.future
        and v.when.day > form.when.day
        and v.reference != record.encounter
        for v in record.visits
    )


# ---- R2, R7, R8 codes ---------------------------------------------------------------------------------------------


def coded_events(record: PatientRecord) -> list[SafetyFinding]:
    """Coded self-harm, attempts, plan and intent (R2); coded ideation and non-suicidal self-harm (R7).

    A follow-up code (7th character D) of today is not current. An active entry with no date counts as
    positive, "date not recorded" (R1). Code groups: `fhir_adapters/codesets/conditions.csv`.
    """
    findings = []
    for event in one_per_event(record.events):
        acute = severity(event.group) == 0
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
        later = later_evidence(record, event, acute=acute) if level else ()
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

    Read so that a new act never hides behind an old date (decision 0003): an initial-encounter code (7th
    character A) more than seven days after the end of the earlier one's encounter is a new event, and so is a graver
    code of a later day in the same encounter. Codes that have no 7th character are one event only within an
    encounter, or with the same code on the same day.
    """
    kept: list[CodedEvent] = []
    for event in sorted(events, key=_by_date):
        twin = next((k for k in kept if _same_event(k, event)), None)
        if twin is None:
            kept.append(event)
            continue
        graver = event if _rank(event) > _rank(twin) else twin
        kept[kept.index(twin)] = replace(
            graver,
            when=twin.when,
            subsequent=twin.subsequent and event.subsequent,
            provisional=twin.provisional and event.provisional,
            until=event.until or twin.until,
        )
    return kept


def _by_date(event: CodedEvent) -> tuple[bool, date, str]:
    return event.when is None, event.when.day if event.when else date.max, event.reference


def _rank(event: CodedEvent) -> tuple[bool, int]:
    return event.course is Course.ACTIVE, -severity(event.group)


def _same_event(first: CodedEvent, second: CodedEvent) -> bool:
    """Whether the later of two records speaks of the earlier one's event; history and active never merge."""
    if first.course is not second.course:
        return False
    day, later = (e.when.day if e.when else None for e in (first, second))
    if first.encounter is not None and first.encounter == second.encounter:
        graver = severity(second.group) < severity(first.group)
        return not (graver and day and later and later > day)
    one, other = (e.code.replace(".", "").upper() for e in (first, second))
    if first.system != second.system:
        return False
    if len(other) != 7 or not other[0].isalpha() or one[:6].ljust(6, "X") != other[:6]:
        return one == other and day is not None and day == later
    ended = first.until.day if first.until else day
    if not other.endswith("A") or second.setting is Setting.PROBLEM_LIST or day is None or later is None:
        return True
    # Initial care after follow-up care on record is care of something new; so is initial care a week after the last.
    return not (first.subsequent and later > day) and (later - (ended or day)).days <= 7


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
    # Consent silences the models alone, and they speak for adults alone.
    minor = record.age_years is not None and record.age_years < 18
    if not record.unreadable and all(u.what == "consents" and minor for u in record.lacking):
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


# Parts of the chart in which later answers, assessments and visits stand.
LATER_PARTS = ("screening", "questionnaires", "procedures", "encounters", "local-screening", "rest")


def apply_safety_rules(record: PatientRecord) -> SafetyReading:
    """Every rule on one record: findings, the most urgent first and then by topic (R14), and history.

    A deceased patient gives no findings but answers dated after death (R10).
    """
    if record.deceased:
        late = [finding for finding in anomalies(record) if finding.rule == "R10"]
        return SafetyReading(findings=tuple(late), history=())
    found = [finding for rule in RULES for finding in rule(record)]
    history = tuple(sorted((f for f in found if _is_history(f)), key=_history_order))
    partly = any(u.what in LATER_PARTS for u in record.unknown)
    findings = [replace(f, partly_searched=partly) for f in found if not _is_history(f)]
    findings.sort(key=lambda f: (-f.urgency, list(Topic).index(f.topic), f.days if f.days is not None else -1))
    return SafetyReading(findings=tuple(findings), history=history)


def _history_order(finding: SafetyFinding) -> tuple[int, int]:
    """Attempts and self-harm first, then the latest."""
    graveness = severity(finding.event.group) if finding.event else 1
    return (0 if graveness == 0 else 1, finding.days if finding.days is not None else -1)


def _is_history(finding: SafetyFinding) -> bool:
    if finding.event is not None and finding.event.course is Course.HISTORY:
        return True
    old = finding.days is not None and finding.days > RECENT_DAYS
    return finding.topic is Topic.RECENT_SAFETY and old
