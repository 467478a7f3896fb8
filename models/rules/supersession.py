"""Later entries that bear on a finding: rule R3.

A complete negative C-SSRS or ASQ lowers every finding, a completed suicide risk assessment acute facts, PHQ-9 item 9
= 0 an older positive item 9. A negative lowers nothing beside an unread or positive answer (`objections`). Entries that
do not lower are named too. The chart is sorted once and each finding is then a look-up, since a chart can hold
thousands of both.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum, StrEnum, auto

from fhir_adapters.facts import (
    ACUTE_RESULTS,
    POSITIVE_RESULTS,
    Administration,
    AnswerState,
    CodedEvent,
    PatientRecord,
    RiskAssessment,
    RiskResult,
    When,
)
from fhir_adapters.instruments import NINE_ITEM_PHQ, SUICIDE_SCREENS, Instrument
from models.rules.objections import Objections, is_positive, objecting_answers, objecting_assessments

# How many later entries a finding names; further ones are counted. A card shows three.
MOST_LATER = 20


class LaterKind(StrEnum):
    """The later entry: a screen and its result, a risk assessment, or item 9 = 0."""

    CSSRS_NEGATIVE = "c-ssrs-negative"
    CSSRS_POSITIVE = "c-ssrs-positive"
    CSSRS_INCOMPLETE = "c-ssrs-incomplete"
    ASQ_NEGATIVE = "asq-negative"
    ASQ_POSITIVE = "asq-positive"
    ASQ_INCOMPLETE = "asq-incomplete"
    LEVEL_POSITIVE = "risk-level-positive"
    LEVEL_OTHER = "risk-level-incomplete"
    RISK_ASSESSMENT = "risk-assessment"
    RISK_POSITIVE = "risk-positive"
    RISK_INCOMPLETE = "risk-incomplete"
    RISK_BY_SOFTWARE = "risk-by-software"
    ITEM_9_ZERO = "item-9-zero"

    @property
    def is_negative(self) -> bool:
        """Whether all its answers are "no" or 0. None of them rules out risk, and a card says so."""
        return self in (LaterKind.CSSRS_NEGATIVE, LaterKind.ASQ_NEGATIVE, LaterKind.ITEM_9_ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """A later entry that bears on a finding. `downgrades`: it lowered the finding by one step (R3)."""

    what: LaterKind
    when: When
    reference: str
    downgrades: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterEntries:
    """Entries since a finding, latest first; `more` counts those not named.

    Where any entry lowers the finding, one that does is named.
    """

    later: tuple[Later, ...] = ()
    more: int = 0


def is_complete_negative(form: Administration) -> bool:
    """R3: C-SSRS questions 1, 2 and 6 all no, and no other answer but no; ASQ likewise, all four.

    Questions that were not asked may be absent. A form in progress never counts.
    """
    if form.provisional or form.level in (*ACUTE_RESULTS, *POSITIVE_RESULTS):
        return False
    answers = [a for a in form.answers if a.state is not AnswerState.BLANK]
    required = form.instrument.spec.negative_items
    if required is None or any(a.yes is not False for a in answers):
        return False
    return all(form.yes(item) is False for item in required)


class _Lowers(Enum):
    """Which findings an entry can lower."""

    ALL = auto()
    ACUTE = auto()
    ITEM_9 = auto()
    NONE = auto()


@dataclass(slots=True, kw_only=True, eq=False)
class _Entry:
    """An entry that can be later than a finding; `source` where it can be the finding's own."""

    what: LaterKind
    when: When
    reference: str
    lowers: _Lowers
    encounter: str | None = None
    source: Administration | RiskAssessment | None = None
    named: dict[bool, Later] = field(default_factory=dict)

    def later(self, *, downgrades: bool) -> Later:
        """The entry as findings name it, one shared value."""
        if downgrades not in self.named:
            self.named[downgrades] = Later(
                what=self.what, when=self.when, reference=self.reference, downgrades=downgrades
            )
        return self.named[downgrades]


class LaterEvidence:
    """Everything in a chart that can be later than a finding, in order, without future dates."""

    def __init__(self, chart: PatientRecord) -> None:
        objections = Objections(objecting_answers(chart))
        entries = [*_screens(chart, objections), *_assessments(chart, objections), *_zeros(chart, objections)]
        # Within a day the sort keeps this order: screens, assessments, zeros.
        self._entries = sorted(entries, key=lambda entry: -entry.when.day.toordinal())
        self._days = [-entry.when.day.toordinal() for entry in self._entries]
        self._zeros = Counter(entry.when.day for entry in self._entries if entry.what is LaterKind.ITEM_9_ZERO)
        places = range(len(self._entries))
        self._first = {
            lowers: next((n for n in places if self._entries[n].lowers is lowers), len(places)) for lowers in _Lowers
        }
        self._not_zeros = [n for n in places if self._entries[n].what is not LaterKind.ITEM_9_ZERO][:2]
        self._latest: dict[tuple[date, _Lowers], list[_Entry]] = {}
        for entry in self._entries:
            if entry.encounter and entry.when.instant and entry.lowers is not _Lowers.NONE:
                key = (entry.when.day, entry.lowers)
                self._latest[key] = _latest_of_two_encounters([*self._latest.get(key, ()), entry])

    def since(
        self, source: Administration | CodedEvent | RiskAssessment, *, acute: bool, item_9: bool = False
    ) -> LaterEntries:
        """All other entries of the day of a finding or later that bear on it, latest first.

        An item 9 of 0 counts from the next day on. `acute`: the finding is of an acute fact; `item_9`: of item 9.
        """
        when, encounter = source.when, source.encounter
        if when is None:
            return LaterEntries()
        day = -when.day.toordinal()
        same_day = bisect_left(self._days, day)
        end = bisect_right(self._days, day) - self._zeros[when.day]
        can = {_Lowers.ALL, *([_Lowers.ACUTE] if acute else []), *([_Lowers.ITEM_9] if item_9 else [])}

        def lowering(entry: _Entry) -> bool:
            return entry.lowers in can and is_later(when, encounter, entry.when, entry.encounter)

        listed = [e for e in self._entries[: min(end, MOST_LATER + 1)] if e.source is not source][:MOST_LATER]
        if not any(lowering(entry) for entry in listed):
            listed += self._lowering(can, same_day, when, encounter)
        if all(entry.what is LaterKind.ITEM_9_ZERO for entry in listed):
            not_zeros = [self._entries[n] for n in self._not_zeros if n < end]
            listed += [entry for entry in not_zeros if entry.source is not source][:1]
        screen = isinstance(source, Administration) and source.instrument in SUICIDE_SCREENS
        itself = not when.future and (screen or isinstance(source, RiskAssessment))
        return LaterEntries(
            later=tuple(entry.later(downgrades=lowering(entry)) for entry in listed),
            more=end - itself - len(listed),
        )

    def _lowering(self, can: Iterable[_Lowers], same_day: int, when: When, encounter: str | None) -> list[_Entry]:
        """One entry that lowers a finding, if any: of a later day, or of a later encounter of the same day."""
        first = min(self._first[lowers] for lowers in can)
        if first < same_day:
            return [self._entries[first]]
        of_day = [entry for lowers in can for entry in self._latest.get((when.day, lowers), ())]
        return [e for e in of_day if is_later(when, encounter, e.when, e.encounter)][:1]


def is_later(then: When, encounter: str | None, now: When, now_encounter: str | None) -> bool:
    """Whether the second is later than the first: a later local date, or another encounter later the same day."""
    if now.day != then.day:
        return now.day > then.day
    other = encounter is not None and now_encounter is not None and encounter != now_encounter
    return other and now.instant is not None and then.instant is not None and now.instant > then.instant


def _latest_of_two_encounters(entries: list[_Entry]) -> list[_Entry]:
    """The latest entry, and the latest of another encounter: one differs from any finding's encounter."""
    ordered = sorted(entries, key=_instant, reverse=True)
    return ordered[:1] + [entry for entry in ordered if entry.encounter != ordered[0].encounter][:1]


def _instant(entry: _Entry) -> datetime:
    return entry.when.instant or datetime.min  # noqa: DTZ901  # unreachable: all have one


def _dated(chart: PatientRecord, instruments: Iterable[Instrument]) -> list[tuple[Administration, When]]:
    """The forms of these instruments with their dates, without undated ones and those of the future."""
    return [(form, form.when) for form in chart.of(*instruments) if form.when and not form.when.future]


def _screens(chart: PatientRecord, objections: Objections) -> list[_Entry]:
    entries = []
    for form, when in _dated(chart, SUICIDE_SCREENS):
        negative = is_complete_negative(form)
        kind = "negative" if negative else "positive" if is_positive(form) else "incomplete"
        entries.append(
            _Entry(
                what=LaterKind(f"{form.instrument.value}-{kind}"),
                when=when,
                reference=form.references[0],
                lowers=_Lowers.ALL if negative and not objections.against(when, form.encounter) else _Lowers.NONE,
                encounter=form.encounter,
                source=form,
            )
        )
    return entries


def _assessments(chart: PatientRecord, objections: Objections) -> list[_Entry]:
    """A result of low is a negative.

    A Procedure has no low result, so only that of another assessment objects to it, and what is unread of itself.
    """
    of_others = Objections(objecting_assessments(chart))
    unread = {entry.reference for entry in chart.unheard}
    entries = []
    for assessment in chart.risk_assessments:
        if assessment.when is None or assessment.when.future:
            continue
        what = _assessed(assessment)
        against = of_others if assessment.result is None else objections
        unsaid = what is LaterKind.RISK_ASSESSMENT and assessment.reference not in unread
        stands = unsaid and not against.against(assessment.when, assessment.encounter)
        entries.append(
            _Entry(
                what=what,
                when=assessment.when,
                reference=assessment.reference,
                lowers=_Lowers.ACUTE if stands else _Lowers.NONE,
                encounter=assessment.encounter,
                source=assessment,
            )
        )
    return entries


def _assessed(assessment: RiskAssessment) -> LaterKind:
    if assessment.result in (RiskResult.HIGH, RiskResult.MODERATE):
        return LaterKind.RISK_POSITIVE
    if assessment.by_software:
        return LaterKind.RISK_BY_SOFTWARE
    return LaterKind.RISK_ASSESSMENT if assessment.complete else LaterKind.RISK_INCOMPLETE


def _zeros(chart: PatientRecord, objections: Objections) -> list[_Entry]:
    entries = []
    for form, when in _dated(chart, NINE_ITEM_PHQ):
        zero = form.answer("9")
        if zero is not None and form.score("9") == 0:
            doubted = form.provisional or form.contradictory or objections.against(when, form.encounter)
            lowers = _Lowers.NONE if doubted else _Lowers.ITEM_9
            entries.append(_Entry(what=LaterKind.ITEM_9_ZERO, when=when, reference=zero.reference, lowers=lowers))
    return entries
