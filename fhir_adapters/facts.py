"""The patient record: typed facts, each with its value, unit, date and source.

Everything later steps know about a patient is here. Values are immutable and hold no FHIR. Absence is None or an
empty tuple; what could not be read (`Unreadable`, `Unknown`) is kept apart from what was not found. No judgement.
Facts that a chart holds by the hundred are structs, which are made several times faster than dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum

from msgspec import Struct

from fhir_adapters.flaws import Flaw
from fhir_adapters.gaps import Gap
from fhir_adapters.instruments import Instrument


class When(Struct, frozen=True, kw_only=True, gc=False):
    """A FHIR date or dateTime, placed on the calendar of the site.

    `text` is as recorded. `day` is the local calendar day; for a date known only to the month or year, the latest day
    it can mean, never after today (rule R1). `instant` is UTC, None without a time of day. `future`: the recorded day
    lies after today. `partial`: only a month or a year was recorded.
    """

    text: str
    day: date
    instant: datetime | None = None
    future: bool = False
    partial: bool = False

    @property
    def exact(self) -> bool:
        """Whether a full date was recorded, and not one in the future."""
        return not (self.future or self.partial)


def full_day(when: When | None) -> date | None:
    """The day of a moment, where more than a month or a year was recorded."""
    return when.day if when and not when.partial else None


class Fact(Struct, frozen=True, kw_only=True, gc=False):
    """One named value of the chart. Names are our own; `models.inputs` maps them to the survey's.

    `unit` is UCUM or None. `references` are relative FHIR references (`Observation/1`).
    `unit_assumed`: the source gave no unit and the canonical one was assumed; such a fact is shown but never reaches a
    model. Freshness is judged by the reader of a fact.
    """

    name: str
    value: float | int | bool | str
    unit: str | None = None
    when: When | None = None
    references: tuple[str, ...] = ()
    unit_assumed: bool = False


class AnswerState(StrEnum):
    """The state of an answer. All four differ, and none of them is zero."""

    ANSWERED = "answered"
    DECLINED = "declined"
    BLANK = "blank"
    UNREADABLE = "unreadable"


class ItemAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """One answer. `score` for graded items (0 upwards), `yes` for yes/no items; both None unless answered.

    `flaw`: what is wrong with an unreadable answer, where that is known.
    """

    item: str
    state: AnswerState
    reference: str
    score: int | None = None
    yes: bool | None = None
    flaw: Flaw | None = None


class Result(StrEnum):
    """The overall result of a screen as recorded, the gravest last: a level of risk, or positive or negative."""

    NEGATIVE = "negative"
    LOW = "low"
    NON_ACUTE = "non-acute"
    POSITIVE = "positive"
    MODERATE = "moderate"
    ACUTE = "acute"
    HIGH = "high"


ACUTE_RESULTS = (Result.HIGH, Result.ACUTE)
POSITIVE_RESULTS = (Result.MODERATE, Result.POSITIVE, Result.NON_ACUTE)


class Administration(Struct, frozen=True, kw_only=True, gc=False):
    """One instrument filled in once.

    `total` is the recorded total, `level` the overall result.
    `encounter` is the encounter's reference. `provisional`: preliminary or in progress.
    `contradictory`: the recorded total disagrees with the items, or a value is out of range.
    """

    instrument: Instrument
    when: When | None
    answers: tuple[ItemAnswer, ...] = ()
    total: int | None = None
    total_reference: str | None = None
    level: Result | None = None
    level_reference: str | None = None
    encounter: str | None = None
    provisional: bool = False
    contradictory: bool = False
    references: tuple[str, ...] = ()

    def answer(self, item: str) -> ItemAnswer | None:
        """The answer to `item`, or None where the form has none."""
        for answer in self.answers:
            if answer.item == item:
                return answer
        return None

    @property
    def safety_answer(self) -> ItemAnswer | None:
        """The answer to the graded question on self-harm; None where the form or the instrument has none."""
        safety = self.instrument.spec.safety
        return self.answer(safety.item) if safety else None

    @property
    def item_scores(self) -> tuple[int, ...]:
        """The scores of the numbered items that have one."""
        return tuple(a.score for a in self.answers if a.score is not None and a.item.isdigit())

    def score(self, item: str) -> int | None:
        """The score of an answered graded item, else None."""
        answer = self.answer(item)
        return answer.score if answer and answer.state is AnswerState.ANSWERED else None

    def yes(self, item: str) -> bool | None:
        """True or False for an answered yes/no item, else None."""
        answer = self.answer(item)
        return answer.yes if answer and answer.state is AnswerState.ANSWERED else None


class Course(StrEnum):
    """Whether a coded safety event is active or history (rule R8)."""

    ACTIVE = "active"
    HISTORY = "history"


class Setting(StrEnum):
    """Where in the chart an event was coded."""

    ENCOUNTER_DIAGNOSIS = "encounter-diagnosis"
    PROBLEM_LIST = "problem-list"
    FINDING = "finding"
    VISIT_REASON = "visit-reason"


class EventKind(StrEnum):
    """The kinds of coded safety events: the first part of a code group of `codesets/conditions.csv`."""

    SELF_HARM = "self_harm"
    SELF_INJURY = "self_injury"
    SUICIDE_ATTEMPT = "suicide_attempt"
    SUICIDAL_BEHAVIOUR = "suicidal_behavior"
    SUICIDAL_PLAN = "suicidal_plan"
    SUICIDAL_INTENT = "suicidal_intent"
    DEATH_BY_SUICIDE = "suicide_death_event"
    SUICIDAL_IDEATION = "suicidal_ideation"
    NONSUICIDAL_SELF_HARM = "nonsuicidal_self_harm"
    HISTORY = "history"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedEvent:
    """A code of the safety code groups on this patient's chart.

    The source's display is not kept: it can name a method. `setting` says where it was coded. `until` is the end of its
    encounter, else `when`. `subsequent`: a follow-up code (ICD-10-CM 7th character D). `verified`: the code's meaning
    was checked at its source. `onset` and `recorded` are those of a Condition, where `when` can be the start of its
    encounter.
    """

    kind: EventKind
    code: str
    system: str
    when: When | None
    course: Course
    reference: str
    setting: Setting
    until: When | None = None
    encounter: str | None = None
    subsequent: bool = False
    provisional: bool = False
    verified: bool = True
    onset: When | None = None
    recorded: When | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """An encounter that took place, from `when` to `until`. `for_depression`: coded for it, or mental-health care."""

    reference: str
    when: When | None
    kind: str
    until: When | None = None
    mental_health: bool = False
    for_depression: bool = False


class MedicineUse(Struct, frozen=True, kw_only=True, gc=False):
    """One medicine, active or past. `name` and `dose_text` are chart text of limited length: show them escaped.

    `classes` are drug classes of the feature map, `ingredients` the listed ones it names. `warning` is the kind of
    the label's warning about mood or suicidal thoughts (`codesets/boxed_warnings.csv`), `warning_verified` how far that
    was checked: yes, secondary or no. `when` is when it was ordered, or its start. `active`: the chart has it as being
    taken. `ended`: when a past one was stopped or ended, as far as the chart says.
    """

    name: str
    classes: frozenset[str]
    when: When | None
    reference: str
    ingredients: tuple[str, ...] = ()
    dose_text: str | None = None
    warning: str | None = None
    warning_verified: str | None = None
    active: bool = True
    ended: When | None = None


class RiskResult(StrEnum):
    """The qualitative risk of a suicide risk assessment."""

    HIGH = "high"
    MODERATE = "moderate"
    LOW = "low"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskAssessment:
    """A suicide risk assessment: a completed Procedure, or a RiskAssessment that may have a result.

    `complete`: done, and by a clinician, with a readable result where it can have one. `by_software`: made by a device,
    an algorithm or a score.
    """

    reference: str
    when: When | None
    encounter: str | None = None
    result: RiskResult | None = None
    complete: bool = True
    by_software: bool = False
    provisional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PsychosocialAssessment:
    """An entry whose words name a psychosocial assessment. `complete`: done.

    `understood`: its words say that one was made, and nothing more.
    """

    reference: str
    when: When | None
    complete: bool = True
    understood: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyPlan:
    """A care plan whose words name a safety or crisis plan, made at `when`, in force from `begins` to `ends`.

    `understood`: its words say that such a plan exists, and nothing more.
    """

    reference: str
    when: When | None
    begins: When | None = None
    ends: When | None = None
    on_hold: bool = False
    understood: bool = True


class Purpose(StrEnum):
    """What an appointment is for, as far as it is recorded."""

    FOLLOW_UP = "follow-up"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """An appointment of this patient, `when` it starts. `confirmed`: booked; otherwise it is pending.

    `declined`: this patient has declined it.
    """

    reference: str
    when: When | None
    purpose: Purpose
    confirmed: bool = True
    declined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """Data that contradicts itself, is out of range, or is not this patient's."""

    flaw: Flaw
    references: tuple[str, ...] = ()
    when: When | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormAnomaly(Anomaly):
    """Of a form; `total` and `scores` are those recorded."""

    instrument: Instrument
    total: int | None = None
    scores: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventAnomaly(Anomaly):
    """Of a coded event."""

    event: EventKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueAnomaly(Anomaly):
    """Of a measured value; `low` and `high` bound the plausible range, in `unit`, the canonical one."""

    feature: str
    unit: str = ""
    low: float = 0
    high: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignEntries(Anomaly):
    """Entries that were set aside: how many, and how many of a type that can hold a safety answer.

    `answers_only`: name only the latter.
    """

    count: int
    answers: int
    answers_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A resource that could not be read. `kind`: its type. `may_hide_answer`: that type can hold a safety answer."""

    kind: str
    reference: str
    reason: Gap
    may_hide_answer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unheard:
    """An entry, or one answer in it, that concerns self-harm or a screening instrument and that no reader used (R18).

    `kind`: its resource type. `instrument`: the name of the instrument it mentions, where it mentions one. `self_harm`:
    its words or codes concern suicide or self-harm. `says_yes`: it answers a question about self-harm with a plain yes,
    or states it (R4). `stated`: in its own words, not as an answer. `words`: the answer as recorded, where it is safe
    to show; else None. An answer that was understood and is negative is never one of these.
    """

    kind: str
    reference: str
    when: When | None
    instrument: str | None = None
    self_harm: bool = False
    says_yes: bool = False
    stated: bool = False
    words: str | None = None


class ChartPart(StrEnum):
    """The parts of a chart; the first twelve are prefetch keys for all sites."""

    PATIENT = "patient"
    SCREENING = "screening"
    QUESTIONNAIRES = "questionnaires"
    CONDITIONS = "conditions"
    MEASUREMENTS = "measurements"
    MEDICATIONS = "medications"
    ENCOUNTERS = "encounters"
    PROCEDURES = "procedures"
    CONSENTS = "consents"
    CARE_PLANS = "care-plans"
    APPOINTMENTS = "appointments"
    RISK_ASSESSMENTS = "risk-assessments"
    COVERAGE = "coverage"
    PAST_MEDICATIONS = "past-medications"  # read by the app alone
    LOCAL_SCREENING = "local-screening"  # a prefetch key too, in a site's own discovery
    REST = "rest"  # unreadable entries of a whole chart


# The parts that hold answers to questionnaires, or may.
ANSWER_PARTS = (ChartPart.SCREENING, ChartPart.QUESTIONNAIRES, ChartPart.LOCAL_SCREENING, ChartPart.REST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A part of the chart that was requested and not obtained: why, and whether the service needs it."""

    what: ChartPart
    reason: Gap
    needed: bool


class Consent(StrEnum):
    """What the patient allows. Models run only for ALLOWED; rules always run, on what may be read."""

    ALLOWED = "allowed"
    OPTED_OUT = "opted-out"
    DENIED = "consent-denied"
    UNKNOWN = "consent-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRecord:
    """Everything known about one patient at one moment.

    `as_of` is UTC; `today` is its local calendar day at the site. `age_years` is None when the birth date is missing or
    unusable. `encounter` is the hook's encounter reference. `withheld` counts entries left unread for their security
    labels. `medicines` are the active ones, perhaps of an incomplete list; `past_medicines` those known to be over, of
    the classes that the models know. `safety_plans`, `bookings` and `unreadable_steps` (unreadable care plans and
    appointments) are filled only where steps after a finding are read.
    `spoken`: the languages of the patient (BCP 47, lower case), the preferred ones first.
    """

    patient_id: str
    as_of: datetime
    today: date
    age_years: int | None = None
    deceased: bool = False
    died: When | None = None
    encounter: str | None = None
    facts: tuple[Fact, ...] = ()
    administrations: tuple[Administration, ...] = ()
    events: tuple[CodedEvent, ...] = ()
    visits: tuple[Visit, ...] = ()
    risk_assessments: tuple[RiskAssessment, ...] = ()
    psychosocial: tuple[PsychosocialAssessment, ...] = ()
    medicines: tuple[MedicineUse, ...] = ()
    past_medicines: tuple[MedicineUse, ...] = ()
    safety_plans: tuple[SafetyPlan, ...] = ()
    bookings: tuple[Booking, ...] = ()
    depressive_disorder: Fact | None = None
    bipolar_disorder: Fact | None = None
    anomalies: tuple[Anomaly, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    unreadable_steps: tuple[Unreadable, ...] = ()
    unheard: tuple[Unheard, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    consent: Consent = Consent.ALLOWED
    withheld: int = 0
    spoken: tuple[str, ...] = ()
    by_name: dict[str, Fact] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {fact.name: fact for fact in self.facts})

    def fact(self, name: str) -> Fact | None:
        """The fact with that name, or None."""
        return self.by_name.get(name)

    @property
    def lacking(self) -> tuple[Unknown, ...]:
        """Needed parts of the chart that were not obtained."""
        return tuple(unknown for unknown in self.unknown if unknown.needed)

    def of(self, *instruments: Instrument) -> tuple[Administration, ...]:
        """Administrations of these instruments, latest first; undated ones come first (they may be of today).

        Likewise, those without a time come first in their day.
        """
        chosen = [a for a in self.administrations if a.instrument in instruments]
        return tuple(sorted(chosen, key=_moment, reverse=True))

    def days_since(self, when: When | None) -> int | None:
        """Whole local calendar days from `when` to today; 0 for a date in the future; None when undated."""
        return max(0, (self.today - when.day).days) if when else None


def _moment(form: Administration) -> tuple[date, datetime]:
    when = form.when
    return when.day if when else date.max, when.instant if when and when.instant else LAST


LAST = datetime.max.replace(tzinfo=UTC)
