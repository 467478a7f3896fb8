"""Documented answers and codes to safety findings: the rules R1 to R14, read from top to bottom.

Pure functions over facts; no model, no network, no clock. `RULES` at the end is the whole list.
Each finding restates what the chart says, with its date and source, and how current it is; nothing
here estimates, and nothing here can be switched off. The numbers (14, 90 days and so on) are this
product's defaults, chosen from the clinical sources named per rule; none is a guideline value.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import IntEnum, StrEnum

from fhir_adapters.codesets.instruments import NINE_ITEM_PHQ, SAFETY_ITEM, TEEN_QUESTIONS
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
from fhir_adapters.reading.conditions import severity
from fhir_adapters.reading.screening import total_of
from models.rules.supersession import Later, LaterEvidence, Since, item_9_endorsed

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
class SafetyFinding:
    """One finding. `items` are the answers that it restates, the worst first; `value` a total where one matters.

    `days` are whole local days since `when`; None where no date was recorded. `gap` names what is not
    recorded ("acuity", "recency"), which reads as worse (R4). `more_later`: how many later entries are not named in
    `later`. `partly_searched`: some part of the chart in which later
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
    more_later: int = 0
    provisional: bool = False
    partly_searched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyReading:
    """All that the rules say: findings in the order of R14, and history for other cards to mention."""

    findings: tuple[SafetyFinding, ...]
    history: tuple[SafetyFinding, ...]


Level = tuple[Topic, Urgency]
NOTHING_SINCE = Since()


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


# ---- R3 supersession: `supersession` says what is later and what lowers ------------------------------------------


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
    forms = record.of(Instrument.CSSRS)
    if not forms:
        return []
    findings = []
    evidence = LaterEvidence(record)
    for form in forms:
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
            since = evidence.since(form, acute=is_acute)
            findings.append(_instrument_finding(record, form, Kind.CSSRS, items, since, acute=is_acute, gap=gap))
        elif _all_refused(form, "q1", "q2", "q6"):
            since = evidence.since(form, acute=False)
            findings.append(_instrument_finding(record, form, Kind.ALL_REFUSED, form.answers, since, acute=False))
            continue
        if not is_acute:
            findings += _unanswered(record, form, form.answers)
    return findings


def asq_answers(record: PatientRecord) -> list[SafetyFinding]:
    """ASQ. Acute: acuity yes, whatever the other answers; any yes without a recorded acuity, while current (R4).

    Positive: any yes with acuity no. All questions refused counts as positive. Source: NIMH ASQ toolkit
    (docs/clinical-sources.md S3).
    """
    forms = record.of(Instrument.ASQ)
    if not forms:
        return []
    findings = []
    evidence = LaterEvidence(record)
    for form in forms:
        screen = _said_yes(form, "q1", "q2", "q3", "q4")
        refused = _all_refused(form, "q1", "q2", "q3", "q4")
        acuity = form.yes("acuity")
        current = is_current(record, form.when, form.encounter)
        is_acute = acuity is True or ((bool(screen) or refused) and acuity is None and current)
        gap = "acuity" if acuity is None and (screen or refused) else None
        if is_acute or screen or refused:
            kind = Kind.ALL_REFUSED if refused and acuity is not True else Kind.ASQ
            items = (*_said_yes(form, "acuity"), *screen) or form.answers
            since = evidence.since(form, acute=is_acute)
            findings.append(_instrument_finding(record, form, kind, items, since, acute=is_acute, gap=gap))
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
    since: Since,
    *,
    acute: bool,
    gap: str | None = None,
) -> SafetyFinding:
    level = acute_level(record, form.when, form.encounter) if acute else positive_level(record, form.when)
    return _finding(
        record,
        rule=("R4" if gap or kind is Kind.ALL_REFUSED else "R2") if acute else "R7",
        kind=kind,
        level=level,
        form=form,
        items=items,
        gap=gap,
        since=since,
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
    since: Since = NOTHING_SINCE,
) -> SafetyFinding:
    """A finding on a form; a level of None makes it history (NOTE urgency, kept apart by `apply_safety_rules`)."""
    topic, urgency = _lowered(level, since.later) if level else HISTORY
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
        later=since.later,
        more_later=since.more,
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
    forms = record.of(Instrument.PHQ9, Instrument.PHQ9M, Instrument.EPDS)
    if not forms:
        return []
    findings = []
    evidence = LaterEvidence(record)
    latest = _latest_answered(record)
    for form in forms:
        epds = form.instrument is Instrument.EPDS
        least, most = (28, 30) if epds else (25, 27)
        answer = form.answer(SAFETY_ITEM[form.instrument])
        teen = tuple(a for name in TEEN_QUESTIONS if (a := form.answer(name)) and a.yes)
        level = positive_level(record, form.when, EPDS_POSITIVE_DAYS if epds else POSITIVE_DAYS)
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
                    since=evidence.since(form, acute=False, item_9=not epds),
                )
            )
        elif form.total is not None and least <= form.total <= most:
            since = evidence.since(form, acute=False)  # an item 9 of 0 does not lower a total
            findings.append(
                _finding(record, rule="R6", kind=Kind.TOTAL_IMPLIES_ITEM, level=level, form=form, since=since)
            )
        elif answer and answer.state in (AnswerState.DECLINED, AnswerState.UNREADABLE):
            findings += _unanswered(record, form, [answer])
        elif _left_blank(form) and not _answered_since(latest, form) and _within(record, form.when, POSITIVE_DAYS):
            blank = (Topic.COULD_NOT_ASSESS, Urgency(Urgency.NOTE))
            findings.append(_finding(record, rule="R5", kind=Kind.BLANK_ITEM, level=blank, form=form))
    # R3: of one day the worst answer stands, so that it leads: `_order` puts the latest day first and keeps this order.
    return sorted(findings, key=_by_frequency)


def _by_frequency(finding: SafetyFinding) -> int:
    return -max((answer.score or 0 for answer in finding.items), default=0)


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


def _latest_answered(record: PatientRecord) -> dict[str, date]:
    """The last day on which each of the two questions, PHQ item 9 and EPDS item 10, was answered."""
    latest: dict[str, date] = {}
    for form in record.of(*NINE_ITEM_PHQ, Instrument.EPDS):
        item = SAFETY_ITEM[form.instrument]
        if form.when and form.score(item) is not None:
            latest[item] = max(form.when.day, latest.get(item, date.min))
    return latest


def _answered_since(latest: Mapping[str, date], form: Administration) -> bool:
    """Whether the same question was answered on the same day or later."""
    last = latest.get(SAFETY_ITEM[form.instrument])
    return form.when is not None and last is not None and last >= form.when.day


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
    care = _latest_care(record)
    for form in record.of(Instrument.PHQ9, Instrument.PHQ9M, Instrument.PHQ2, Instrument.EPDS):
        total = total_of(form)
        days = record.days_since(form.when)
        if total is None or total < CUTS[form.instrument] or (days is not None and days > RECENT_DAYS):
            continue
        if _superseded(care, form) or (days is not None and days > POSITIVE_DAYS and _followed_up(care, form)):
            continue
        severe = form.instrument in NINE_ITEM_PHQ and total >= 20
        level = (Topic.DEPRESSION_FOLLOW_UP, Urgency.PROMPT if severe else Urgency.NOTE)
        findings.append(_finding(record, rule="R6", kind=Kind.DEPRESSION_TOTAL, level=level, form=form))
    return findings


CUTS = {Instrument.PHQ9: 10, Instrument.PHQ9M: 10, Instrument.PHQ2: 3, Instrument.EPDS: 13}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Care:
    """The last day of a total of each instrument, and of a visit for depression other than this one."""

    totals: Mapping[Instrument, date]
    visit: date | None

    def total(self, *instruments: Instrument) -> date | None:
        """The last day of a total of one of these instruments."""
        return max((day for instrument, day in self.totals.items() if instrument in instruments), default=None)


def _latest_care(record: PatientRecord) -> _Care:
    totals: dict[Instrument, date] = {}
    for form in record.of(*NINE_ITEM_PHQ, Instrument.EPDS):
        if form.when and not form.when.future and total_of(form) is not None:
            totals[form.instrument] = max(form.when.day, totals.get(form.instrument, date.min))
    visits = (
        v.when.day
        for v in record.visits
        if v.for_depression and v.when and not v.when.future and v.reference != record.encounter
    )
    return _Care(totals=totals, visit=max(visits, default=None))


def _superseded(care: _Care, form: Administration) -> bool:
    """A PHQ-2 is settled by a PHQ-9 with a total of the same day or later; nothing else is."""
    if form.instrument is not Instrument.PHQ2 or form.when is None:
        return False
    last = care.total(*NINE_ITEM_PHQ)
    return last is not None and last >= form.when.day


def _followed_up(care: _Care, form: Administration) -> bool:
    """A later total of PHQ-9 or PHQ-9M (for an EPDS also EPDS), or a later visit for depression, not this one."""
    if form.when is None:
        return False
    instruments = [*NINE_ITEM_PHQ]
    if form.instrument is Instrument.EPDS:
        instruments.append(Instrument.EPDS)
    day = form.when.day
    return any(last is not None and last > day for last in (care.visit, care.total(*instruments)))


# ---- R2, R7, R8 codes ---------------------------------------------------------------------------------------------


def coded_events(record: PatientRecord) -> list[SafetyFinding]:
    """Coded self-harm, attempts, plan and intent (R2); coded ideation and non-suicidal self-harm (R7).

    A follow-up code (7th character D) of today is not current. An active entry with no date counts as
    positive, "date not recorded" (R1). Code groups: `fhir_adapters/codesets/conditions.csv`.
    """
    if not record.events:
        return []
    findings = []
    evidence = LaterEvidence(record)
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
        since = evidence.since(event, acute=acute) if level else NOTHING_SINCE
        topic, urgency = _lowered(level, since.later) if level else HISTORY
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
                later=since.later,
                more_later=since.more,
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
    kept = _Kept()
    for event in sorted(events, key=_by_date):
        place = kept.twin_of(event)
        if place is None:
            kept.put(len(kept.events), event)
            continue
        twin = kept.events[place]
        graver = event if _rank(event) > _rank(twin) else twin
        merged = replace(
            graver,
            when=twin.when,
            subsequent=twin.subsequent and event.subsequent,
            provisional=twin.provisional and event.provisional,
            until=event.until or twin.until,
        )
        kept.put(place, merged)
    return kept.events


Key = tuple[object, ...]


class _Kept:
    """The events kept so far, and where to look for the first of them that a further record speaks of.

    Only events that share a key can be the same, so that a record is compared with few. An event with which an
    initial-encounter code was compared in vain is over, or followed up, for later codes too: it is `open` to them
    again only when another record is merged into it.
    """

    def __init__(self) -> None:
        self.events: list[CodedEvent] = []
        self._places: dict[Key, list[int]] = {}
        self._open: dict[Key, list[int]] = {}

    def put(self, place: int, event: CodedEvent) -> None:
        """Sets the event of a place, which may be the next one. Events come in the order of `_by_date`."""
        for old in self.events[place : place + 1]:
            for key in _keys(old):
                _drop(self._places[key], place)
                _drop(self._open[key], place)
        self.events[place : place + 1] = [event]
        for key in _keys(event):
            _add(self._places.setdefault(key, []), place)
            _add(self._open.setdefault(key, []), place)

    def twin_of(self, event: CodedEvent) -> int | None:
        """The first place with an event of which this is another record, or None."""
        encounter, stem, code = _encounter_key(event), _stem_key(event), _code_key(event)
        found = self._first(encounter, event), self._first_coded(stem if _has_7th(event) else code, event)
        return min((place for place in found if place is not None), default=None)

    def _first(self, key: Key, event: CodedEvent) -> int | None:
        places = self._places.get(key, ())
        return next((place for place in places if _same_event(self.events[place], event)), None)

    def _first_coded(self, key: Key, event: CodedEvent) -> int | None:
        if event.when is None and not _has_7th(event):
            return None  # of an unknown day: the same event as nothing
        if not _is_initial_care(event) or event.when is None:
            return self._first(key, event)
        still, n = self._open.get(key, []), 0
        while n < len(still):
            first = self.events[still[n]]
            if _same_event(first, event):
                return still[n]
            if first.encounter is not None and first.encounter == event.encounter:
                n += 1  # judged by the encounter alone: another encounter's code may yet be the same event
            else:
                del still[n]
        return None


def _add(places: list[int], place: int) -> None:
    n = bisect_left(places, place)
    if places[n : n + 1] != [place]:
        places.insert(n, place)


def _drop(places: list[int], place: int) -> None:
    n = bisect_left(places, place)
    if places[n : n + 1] == [place]:
        del places[n]


def _keys(event: CodedEvent) -> list[Key]:
    return [_encounter_key(event), _stem_key(event), _code_key(event)]


def _encounter_key(event: CodedEvent) -> Key:
    # One without an encounter shares it with nothing; its reference keeps it apart.
    return event.course, "encounter", event.encounter, None if event.encounter else event.reference


def _stem_key(event: CodedEvent) -> Key:
    return event.course, event.system, _compared(event)[:6].ljust(6, "X")


def _code_key(event: CodedEvent) -> Key:
    return event.course, event.system, _compared(event), event.when.day if event.when else None


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
    one, other = _compared(first), _compared(second)
    if first.system != second.system:
        return False
    if not _has_7th(second) or one[:6].ljust(6, "X") != other[:6]:
        return one == other and day is not None and day == later
    ended = first.until.day if first.until else day
    if not _is_initial_care(second) or day is None or later is None:
        return True
    # Initial care after follow-up care on record is care of something new; so is initial care a week after the last.
    return not (first.subsequent and later > day) and (later - (ended or day)).days <= 7


def _compared(event: CodedEvent) -> str:
    return event.code.replace(".", "").upper()


def _has_7th(event: CodedEvent) -> bool:
    code = _compared(event)
    return len(code) == 7 and code[0].isalpha()


def _is_initial_care(event: CodedEvent) -> bool:
    """Whether the code says initial care, and not on a problem list, where it stays."""
    return _has_7th(event) and _compared(event).endswith("A") and event.setting is not Setting.PROBLEM_LIST


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
    findings.sort(key=_order)
    return SafetyReading(findings=tuple(findings), history=history)


def _order(finding: SafetyFinding) -> tuple[int, int, bool, int]:
    """The most urgent first, by topic as R14 has it; within a topic acute facts (R2, R4) first, then the latest."""
    acute = finding.rule in ("R2", "R4") and finding.kind is not Kind.UNREADABLE_ANSWER
    days = finding.days if finding.days is not None else -1
    return -finding.urgency, list(Topic).index(finding.topic), not acute, days


def _history_order(finding: SafetyFinding) -> tuple[int, int]:
    """Attempts and self-harm first, then the latest."""
    graveness = severity(finding.event.group) if finding.event else 1
    return (0 if graveness == 0 else 1, finding.days if finding.days is not None else -1)


def _is_history(finding: SafetyFinding) -> bool:
    if finding.event is not None and finding.event.course is Course.HISTORY:
        return True
    old = finding.days is not None and finding.days > RECENT_DAYS
    return finding.topic is Topic.RECENT_SAFETY and old
