"""At discharge: the steps after a positive safety answer, and which of them are on file since (decision 0013).

Three steps, judged separately: an assessment (of suicide risk, or in some regions a psychosocial one), a safety plan, a
follow-up appointment ahead. A step counts
only when the chart shows it to be later than every finding; an entry that cannot be ordered does not count and is named
with the reason. Unreadable is never the same as not found. Pure functions over facts; no model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from fhir_adapters.facts import (
    Booking,
    ChartPart,
    CodedEvent,
    Course,
    PatientRecord,
    PsychosocialAssessment,
    Purpose,
    SafetyPlan,
    When,
)
from fhir_adapters.gaps import Gap
from models.rules.findings import SAFETY_TOPICS, SafetyFinding
from models.rules.unread import is_offered

# How far ahead the follow-up of this discharge may lie: this product's default, not a guideline value.
APPOINTMENT_DAYS = 90
# An appointment that is further ahead leaves the contact after discharge to be agreed (docs/clinical-sources.md S9).
CONTACT_DAYS = 7


class StepKind(StrEnum):
    """The steps expected at discharge."""

    RISK_ASSESSMENT = "risk-assessment"
    PSYCHOSOCIAL = "psychosocial-assessment"
    SAFETY_PLAN = "safety-plan"
    APPOINTMENT = "appointment"


class NotCounted(StrEnum):
    """Why an entry on file does not count."""

    SAME_DAY = "same-day"  # as a finding, and which came first is not recorded
    UNDATED = "undated"
    ORDER_UNKNOWN = "order-unknown"  # a date is missing, or known only to the month
    FUTURE = "future"  # something done, dated in the future
    BEFORE = "before"
    BEFORE_ONSET = "before-onset"  # later than the encounter's start, not than what was coded in it
    NOT_COMPLETE = "not-complete"  # an assessment that is not final, or that no clinician is known to have made
    NOT_UNDERSTOOD = "not-understood"  # a plan whose words may deny it or mean another kind
    NOT_BEGUN = "not-begun"
    NOT_IN_FORCE = "not-in-force"
    OTHER_PURPOSE = "other-purpose"
    PENDING = "pending"
    DECLINED = "declined"
    TODAY = "today"  # an appointment of the day of discharge
    TOO_FAR = "too-far"


# Reasons for entries that may be later than the findings.
UNSURE = (NotCounted.SAME_DAY, NotCounted.UNDATED, NotCounted.ORDER_UNKNOWN, NotCounted.FUTURE)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEntry:
    """One entry of the chart that is, or may be, a step. `not_counted`: why not; None when it counts."""

    reference: str
    when: When | None
    not_counted: NotCounted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. `done`: the latest entry that counts (for appointments, the next). `seen`: entries that do not count.

    `missing`: why relevant parts of the chart were not obtained. `unreadable`: entries that cannot be read.
    """

    kind: StepKind
    done: StepEntry | None = None
    seen: tuple[StepEntry, ...] = ()
    missing: tuple[Gap, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def unread(self) -> bool:
        """Whether anything relevant to this step could not be read."""
        return bool(self.missing or self.unreadable)


def follow_up_steps(
    chart: PatientRecord, findings: Iterable[SafetyFinding], *, psychosocial: bool = False
) -> tuple[Step, ...]:
    """The three steps after these findings; none where no finding has a safety topic.

    psychosocial: a psychosocial assessment is looked for in place of one of the risk of suicide (rule R15).
    """
    safety = [finding for finding in findings if finding.topic in SAFETY_TOPICS]
    since = _marks(chart, safety)
    if not since:
        return ()
    # An assessment is the step, not a finding that it must be later than.
    before = _marks(chart, [f for f in safety if not (f.assessment and f.assessment.complete)])
    assessments = [
        StepEntry(
            reference=a.reference,
            when=a.when,
            not_counted=_order(chart, before, a.when) if a.complete else NotCounted.NOT_COMPLETE,
        )
        for a in chart.risk_assessments
    ]
    if psychosocial:
        assessments = [
            StepEntry(reference=p.reference, when=p.when, not_counted=_why_not_assessed(chart, p, since))
            for p in chart.psychosocial
        ]
    plans = [
        StepEntry(reference=p.reference, when=p.when, not_counted=_why_no_plan(chart, p, since))
        for p in chart.safety_plans
    ]
    ahead = [
        StepEntry(reference=b.reference, when=b.when, not_counted=_why_no_follow_up(chart, b))
        for b in chart.bookings
        if (b.when is None or _is_to_come(chart, b.when)) and (b.confirmed or b.purpose is Purpose.FOLLOW_UP)
    ]
    return (
        _step(
            chart,
            StepKind.PSYCHOSOCIAL if psychosocial else StepKind.RISK_ASSESSMENT,
            sorted(assessments, key=_latest_first),
        ),
        _step(chart, StepKind.SAFETY_PLAN, sorted(plans, key=_latest_first)),
        _step(chart, StepKind.APPOINTMENT, sorted(ahead, key=lambda entry: -_latest_first(entry))),
    )


def _latest_first(entry: StepEntry) -> int:
    return -(entry.when.day.toordinal() if entry.when else 0)


def _step(chart: PatientRecord, kind: StepKind, entries: list[StepEntry]) -> Step:
    seen = [entry for entry in entries if entry.not_counted]
    seen.sort(key=lambda entry: list(NotCounted).index(entry.not_counted or NotCounted.BEFORE))
    done = next((entry for entry in entries if entry.not_counted is None), None)
    parts, kinds = PLACES[kind]
    return Step(
        kind=kind,
        done=done,
        seen=tuple(seen),
        missing=tuple(
            unknown.reason
            for unknown in chart.unknown
            if unknown.what in (*parts, ChartPart.REST) and is_offered(unknown)
        ),
        unreadable=(
            *(u.reference for u in (*chart.unreadable, *chart.unreadable_steps) if u.kind in kinds),
            *(u.reference for u in chart.unheard if u.kind in kinds),
        ),
    )


# Where each step is recorded: the parts of the chart, and the resource types.
PLACES = {
    StepKind.RISK_ASSESSMENT: ((ChartPart.PROCEDURES, ChartPart.RISK_ASSESSMENTS), ("Procedure", "RiskAssessment")),
    StepKind.PSYCHOSOCIAL: ((ChartPart.PROCEDURES, ChartPart.RISK_ASSESSMENTS), ("Procedure", "RiskAssessment")),
    StepKind.SAFETY_PLAN: ((ChartPart.CARE_PLANS,), ("CarePlan",)),
    StepKind.APPOINTMENT: ((ChartPart.APPOINTMENTS,), ("Appointment",)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """A moment that a step must be later than: of a finding, or of an event coded in its encounter.

    `onset`: it began then. `at_latest`: it happened then or earlier that day.
    """

    when: When | None
    onset: bool = False
    at_latest: bool = False


def _marks(chart: PatientRecord, findings: Iterable[SafetyFinding]) -> tuple[_Mark, ...]:
    """The moments of the findings, each once, and of events coded in their encounters after the start."""
    findings = list(findings)
    marks = dict.fromkeys(_Mark(when=finding.when) for finding in findings)
    events = [f.event for f in findings if f.event]
    days = {(e.encounter, e.when.day) for e in events if e.encounter and e.when}
    for event in chart.events:
        if event.course is Course.ACTIVE and event.when and (event.encounter, event.when.day) in days:
            marks |= dict.fromkeys(_coded_later(event))
    return tuple(marks)


def _coded_later(event: CodedEvent) -> Iterable[_Mark]:
    """The marks of a coded event beyond its encounter's start, by which the rules date it (R8).

    Its onset, where that has a time or is on another day. Else it may have happened at any time of that day until it
    was recorded.
    """
    onset = event.onset if event.onset and not event.onset.partial else None
    day = event.when.day if event.when else None
    if onset and (onset.instant or onset.day != day):
        return (_Mark(when=onset, onset=True),)
    if event.recorded and event.recorded.day == day and not event.recorded.partial:
        return (_Mark(when=event.recorded, at_latest=True),)
    return (_Mark(when=onset, onset=True),) if onset else ()


def _order(chart: PatientRecord, since: Iterable[_Mark], when: When | None) -> NotCounted | None:
    """None when `when` is known to be later than every finding; else why not."""
    if when is None:
        return NotCounted.UNDATED
    if _is_to_come(chart, when):
        return NotCounted.FUTURE
    reasons = {_against_mark(chart, mark, when) for mark in since} - {None}
    worst_first = (NotCounted.BEFORE, NotCounted.BEFORE_ONSET, NotCounted.ORDER_UNKNOWN, NotCounted.SAME_DAY)
    return next((not_counted for not_counted in worst_first if not_counted in reasons), None)


def _is_to_come(chart: PatientRecord, when: When) -> bool:
    """Whether a moment lies in the future; for a date without a time, after today."""
    return when.instant > chart.as_of if when.instant else when.future


def _against_mark(chart: PatientRecord, mark: _Mark, when: When) -> NotCounted | None:
    not_counted = _against(chart, mark.when, when)
    if not_counted and mark.at_latest:
        return NotCounted.ORDER_UNKNOWN
    return NotCounted.BEFORE_ONSET if not_counted is NotCounted.BEFORE and mark.onset else not_counted


def _against(chart: PatientRecord, then: When | None, when: When) -> NotCounted | None:
    """A step at `when` compared with a finding at `then`. A finding dated in the future counts as today's (R11)."""
    if then is None:
        return NotCounted.ORDER_UNKNOWN
    if _earliest(when) > min(then.day, chart.today):
        return None
    if when.day < min(_earliest(then), chart.today):
        return NotCounted.BEFORE
    if when.partial or then.partial:
        return NotCounted.ORDER_UNKNOWN
    if then.future or when.instant is None or then.instant is None or when.instant == then.instant:
        return NotCounted.SAME_DAY
    return None if when.instant > then.instant else NotCounted.BEFORE


def _earliest(when: When) -> date:
    """The earliest day a date can mean; elsewhere a month-only date is read as its latest day (R1)."""
    if not when.partial:
        return when.day
    return date.fromisoformat(f"{when.text}-01-01"[:10])


def _why_not_assessed(chart: PatientRecord, found: PsychosocialAssessment, since: Iterable[_Mark]) -> NotCounted | None:
    if not found.complete:
        return NotCounted.NOT_COMPLETE
    return _order(chart, since, found.when) if found.understood else NotCounted.NOT_UNDERSTOOD


def _why_no_plan(chart: PatientRecord, plan: SafetyPlan, since: Iterable[_Mark]) -> NotCounted | None:
    """Why a plan does not count as one made after the findings and in force; None when it does."""
    if not plan.understood:
        return NotCounted.NOT_UNDERSTOOD
    begins, ends = plan.begins, plan.ends
    if begins and (_is_to_come(chart, begins) or (begins.partial and begins.day >= chart.today)):
        return NotCounted.NOT_BEGUN
    ended = ends and (ends.instant <= chart.as_of if ends.instant else ends.day < chart.today)
    return _order(chart, since, plan.when) or (NotCounted.NOT_IN_FORCE if ended or plan.on_hold else None)


def _why_no_follow_up(chart: PatientRecord, booking: Booking) -> NotCounted | None:
    if booking.declined:
        return NotCounted.DECLINED
    if booking.purpose is not Purpose.FOLLOW_UP:
        return NotCounted.OTHER_PURPOSE
    if not booking.confirmed:
        return NotCounted.PENDING
    if booking.when is None or booking.when.partial:
        return NotCounted.UNDATED
    if booking.when.day <= chart.today:
        return NotCounted.TODAY
    return NotCounted.TOO_FAR if (booking.when.day - chart.today).days > APPOINTMENT_DAYS else None
