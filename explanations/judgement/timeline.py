"""A chart to a timeline: results of one instrument, medicines for mood, visits, crises, safety plans.

Values only; `pictures` draws and `words.pages.trends` describes them. Only results with a full date not in the
future are placed; the others are in the table. Nothing is imputed: an incomplete form has no total.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import TypeGuard

from explanations.judgement.regions import Region
from fhir_adapters.facts import Administration, Course, EventKind, ItemAnswer, MedicineUse, PatientRecord, When
from fhir_adapters.instruments import Bands, Instrument
from fhir_adapters.reading.lists.medications import MOST_NAME, as_line
from fhir_adapters.reading.questionnaires.totals import is_complete, total_of
from models.inputs.feature_schema import ANTIDEPRESSANTS
from models.rules.unread import answers_unread

# The anticonvulsants that are also given for mood. General knowledge, not verified at its source.
MOOD_STABILISERS = ("carbamazepine", "divalproex", "divalproex sodium", "lamotrigine", "valproate", "valproic acid")


class PointState(StrEnum):
    """How complete and readable a form is."""

    COMPLETE = "complete"
    TOTAL_ONLY = "total-only"
    INCOMPLETE = "incomplete"
    CONTRADICTORY = "contradictory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One result. `total` is None if absent or unreliable; `answered` of `items` have a score."""

    instrument: Instrument
    when: When | None
    total: int | None
    safety_answer: ItemAnswer | None
    state: PointState
    answered: int
    items: int
    reference: str
    provisional: bool = False

    @property
    def day(self) -> date | None:
        """Where it is placed; None without a full date, or with one in the future."""
        return self.when.day if self.when and self.when.exact else None

    @property
    def safety_score(self) -> int:
        """The score of the self-harm item; 0 also without one, so only a higher score means anything."""
        return (self.safety_answer.score if self.safety_answer else None) or 0

    @property
    def safety_item(self) -> str:
        """The self-harm item; "" for an instrument without one."""
        safety = self.instrument.spec.safety
        return safety.item if safety else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An unbroken stretch of a medicine: the days of its orders, earliest first, and its end.

    `active`: the chart has it as being taken. Otherwise `end` is None where no end is recorded.
    """

    days: tuple[date, ...]
    end: date | None = None
    active: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One medicine for mood: its name, and its stretches, earliest first.

    `label` is "" if no order names it. `undated`: an active order has no full date, or one in the future.
    """

    label: str
    runs: tuple[Run, ...]
    undated: bool = False

    @property
    def active(self) -> bool:
        """Whether the chart has it as being taken."""
        return self.undated or any(run.active for run in self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crisis:
    """A day on which self-harm or suicidal thoughts were coded."""

    day: date
    kind: EventKind


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitDay:
    """A day with a visit."""

    day: date
    mental_health: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """All results of an instrument, earliest first, unplaced ones last; with what else is on the timeline.

    `instruments`: those on file, or the first that could be. `unread`: some answers of the chart may be unread.
    """

    instruments: tuple[Instrument, ...]
    top: int
    bands: Bands
    today: date
    points: tuple[Point, ...]
    lanes: tuple[Lane, ...]
    visits: tuple[VisitDay, ...]
    crises: tuple[Crisis, ...]
    plans: tuple[date, ...]
    safety_item: str | None
    unread: bool = False

    @property
    def placed(self) -> tuple[Point, ...]:
        """The results with a place."""
        return tuple(point for point in self.points if point.day)

    @property
    def shown(self) -> tuple[Point, ...]:
        """The results of a picture; none where there are fewer than two in its window."""
        start = window(self)
        held = tuple(point for point in self.placed if point.day and point.day >= start)
        return held if len(held) > 1 else ()


def timelines(chart: PatientRecord, region: Region) -> dict[str, Timeline]:
    """Family -> its results over time, for families with bands: the PHQ-9 always, others if they have a result."""
    always = Instrument.PHQ9.spec.family
    families = {i.spec.family: i for i in Instrument if i.spec.bands}
    drawn = {name: timeline_of(chart, instrument) for name, instrument in families.items()}
    return {
        name: timeline if region.bands else replace(timeline, bands=())
        for name, timeline in drawn.items()
        if timeline.points or name == always
    }


def timeline_of(chart: PatientRecord, instrument: Instrument) -> Timeline:
    """The timeline of an instrument and of those on the same scale, such as PHQ-9 and PHQ-9M."""
    spec = instrument.spec
    kinds = tuple(kind for kind in Instrument if kind.spec.family == spec.family)
    points = sorted((_point(form) for form in chart.of(*kinds)), key=_order)
    return Timeline(
        instruments=tuple(kind for kind in kinds if chart.of(kind)) or kinds[:1],
        top=spec.top_total,
        bands=spec.bands or (),
        today=chart.today,
        points=tuple(points),
        lanes=lanes((*chart.medicines, *chart.past_medicines)),
        visits=visit_days(chart),
        crises=crises(chart),
        plans=tuple(sorted({plan.when.day for plan in chart.safety_plans if plan.understood and _placed(plan.when)})),
        safety_item=spec.safety.item if spec.safety else None,
        unread=answers_unread(chart),
    )


def _order(point: Point) -> tuple[bool, date, str, str]:
    at = point.when.instant.isoformat() if point.when and point.when.instant else ""
    return point.day is None, point.when.day if point.when else date.max, at, point.reference


def _point(form: Administration) -> Point:
    total = total_of(form)
    state = (
        PointState.CONTRADICTORY
        if form.contradictory
        else PointState.COMPLETE
        if is_complete(form)
        else PointState.INCOMPLETE
        if total is None
        else PointState.TOTAL_ONLY
    )
    items = form.instrument.spec.items
    return Point(
        instrument=form.instrument,
        when=form.when,
        total=total,
        safety_answer=form.safety_answer,
        state=state,
        answered=sum(form.score(item) is not None for item in items),
        items=len(items),
        reference=form.total_reference or (form.references[0] if form.references else ""),
        provisional=form.provisional,
    )


def lanes(medicines: Iterable[MedicineUse]) -> tuple[Lane, ...]:
    """One lane per antidepressant or mood stabiliser, in the order of their first days."""
    groups: dict[str, list[MedicineUse]] = {}
    for use in medicines:
        if for_mood(use):
            groups.setdefault("; ".join(sorted(set(use.ingredients))) or use.name.lower(), []).append(use)
    drawn = [lane for name, uses in groups.items() if (lane := _lane(name, uses)).runs or lane.undated]
    return tuple(sorted(drawn, key=lambda lane: (lane.runs[0].days[0] if lane.runs else date.max, lane.label)))


def for_mood(use: MedicineUse) -> bool:
    """Whether its class or ingredient is an antidepressant or mood stabiliser; its indication is unknown."""
    stabiliser = "rx_lithium" in use.classes or bool(set(use.ingredients) & set(MOOD_STABILISERS))
    return stabiliser or bool(use.classes & set(ANTIDEPRESSANTS))


STRENGTH = re.compile(r"\d{1,5}(?:\.\d{1,3})? ?m(?:c)?g\b", re.IGNORECASE)


def _lane(name: str, uses: list[MedicineUse]) -> Lane:
    """Several orders of a medicine may be active at once, so strengths are listed and no change is claimed."""
    uses = sorted(uses, key=lambda use: (use.when.day if use.when else date.max, use.reference))
    strengths = [re.sub(r" ?(mc?g)$", r" \1", match[0].lower()) for use in uses if (match := STRENGTH.search(use.name))]
    undated = any(use.active and not _placed(use.when) for use in uses)
    label = as_line(f"{name[:1].upper()}{name[1:]} {', '.join(dict.fromkeys(strengths))}", MOST_NAME)
    return Lane(label=label, runs=_runs(use for use in uses if _placed(use.when)), undated=undated)


def _placed(when: When | None) -> TypeGuard[When]:
    return when is not None and when.exact


# Orders that follow each other this closely are one stretch: a refill is rarely written on the day the last one ends.
REFILL_DAYS = 31


def _runs(uses: Iterable[MedicineUse]) -> tuple[Run, ...]:
    """The stretches of dated orders of one medicine, sorted by day. An order without an end does not reach the next."""
    runs: list[Run] = []
    for use in uses:
        day = use.when.day if use.when else date.max
        end = use.ended.day if _placed(use.ended) and use.ended.day >= day else None
        new = Run(days=(day,), end=None if use.active else end, active=use.active)
        last = runs[-1] if runs else None
        if last and (last.active or (last.end and (day - last.end).days <= REFILL_DAYS) or day == last.days[-1]):
            runs[-1] = _joined(last, new)
        else:
            runs.append(new)
    return tuple(runs)


def _joined(last: Run, new: Run) -> Run:
    ends = [end for end in (last.end, new.end) if end]
    active = last.active or new.active
    days = last.days if new.days[0] in last.days else (*last.days, *new.days)
    return Run(days=days, end=max(ends) if len(ends) == 2 and not active else None, active=active)


def crises(chart: PatientRecord) -> tuple[Crisis, ...]:
    """The days with a coded event of self-harm or suicidal thoughts, without duplicates; history is none."""
    days = {
        (event.when.day, event.kind)
        for event in chart.events
        if event.course is Course.ACTIVE and not event.subsequent and event.kind in CRISES and _placed(event.when)
    }
    return tuple(Crisis(day=day, kind=kind) for day, kind in sorted(days))


CRISES = tuple(kind for kind in EventKind if kind not in (EventKind.HISTORY, EventKind.DEATH_BY_SUICIDE))


def visit_days(chart: PatientRecord) -> tuple[VisitDay, ...]:
    """Days with completed visits, without duplicates, mental-health visits marked."""
    mental_health_on: dict[date, bool] = {}
    for visit in chart.visits:
        if visit.when and visit.when.exact:
            mental_health_on[visit.when.day] = mental_health_on.get(visit.when.day, False) or visit.mental_health
    return tuple(VisitDay(day=day, mental_health=mental) for day, mental in sorted(mental_health_on.items()))


def window(timeline: Timeline) -> date:
    """The first day shown: the first result of the last 24 months, at least four weeks before today.

    If all results are older, the latest one.
    """
    days = [point.day for point in timeline.placed if point.day]
    earliest = timeline.today - timedelta(days=round(MONTHS_SHOWN * 30.44))
    recent = [day for day in days if day >= earliest]
    first = min(recent) if recent else max(days, default=timeline.today)
    return min(first, timeline.today - timedelta(days=LEAST_DAYS))


MONTHS_SHOWN = 24
LEAST_DAYS = 28
