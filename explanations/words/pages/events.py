"""What stands under a trend in words: medicines for mood, visits, crises, safety plans, as rows and in one sentence.

A medicine that is over never reads as being taken: its end is given as recorded, or said not to be recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from explanations.judgement.timeline import Crisis, Lane, Run, Timeline, window
from explanations.words.findings.coded_events import EVENTS
from explanations.words.language import Language, capitalised, later


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event as a row."""

    date: str
    what: str


def lane_caption(medicine: str, lane: Lane, start: date, say: Language) -> str:
    """The name of a medicine, with what its line cannot show: an order before `start`, its end, or no date."""
    if lane.undated and not lane.runs:
        return say("{medicine}, date of the order not recorded", medicine=medicine)
    first, last = lane.runs[0], lane.runs[-1]
    if not lane.active:
        return _ended(medicine, last, say)
    if first.days[0] < start:
        # Translators: the date of the first order of a medicine.
        return say("{medicine}, since {date}", medicine=medicine, date=say.day(first.days[0]))
    return medicine


def _ended(medicine: str, run: Run, say: Language) -> str:
    if run.end is None:
        return say("{medicine}, ended, date not recorded", medicine=medicine)
    return say("{medicine}, ended {date}", medicine=medicine, date=say.day(run.end))


def crisis_caption(crises: Sequence[Crisis], say: Language) -> str:
    """The name of a line of crises: their kind, if it is one."""
    kinds = {EVENTS[crisis.kind] for crisis in crises}
    return capitalised(say(kinds.pop())) if len(kinds) == 1 else say("Self-harm or suicidal thoughts")


def event_rows(timeline: Timeline, say: Language) -> tuple[EventRow, ...]:
    """The events of the window, latest first, but visits, of which there may be hundreds."""
    start = window(timeline)
    events = [
        *((crisis.day, capitalised(say(EVENTS[crisis.kind]))) for crisis in timeline.crises),
        *((day, say("Safety plan")) for day in timeline.plans),
        *(event for lane in timeline.lanes for event in _of_medicine(lane, say)),
    ]
    shown = sorted((event for event in events if event[0] >= start), key=lambda event: event[0], reverse=True)
    return tuple(EventRow(date=say.day(day), what=what) for day, what in shown)


def _of_medicine(lane: Lane, say: Language) -> list[tuple[date, str]]:
    name = lane.label or say("Medicine")
    events = []
    for run in lane.runs:
        events += [(day, say("{medicine}: ordered", medicine=name)) for day in run.days]
        if run.end:
            events.append((run.end, say("{medicine}: ended", medicine=name)))
        elif not run.active:
            over = say("{medicine}: ordered; ended, date not recorded", medicine=name)
            events[-1] = (run.days[-1], over)
    return events


def events_sentence(timeline: Timeline, say: Language) -> str:
    """The events under a picture; "" without one."""
    if not timeline.shown:
        return ""
    start = window(timeline)
    crises = [crisis for crisis in timeline.crises if crisis.day >= start]
    plans = [day for day in timeline.plans if day >= start]
    parts = [
        *(say("{event} on {date}", event=say(EVENTS[c.kind]), date=say.long_day(c.day)) for c in crises),
        *(say("safety plan of {date}", date=say.long_day(day)) for day in plans),
        *(_medicine_words(lane, start, say) for lane in timeline.lanes),
        _visit_words(timeline, start, say),
    ]
    said = "; ".join(filter(None, parts))
    # Translators: a list of what happened in the time of a chart.
    return say("Over the same period: {events}.", events=said) if said else ""


def _medicine_words(lane: Lane, start: date, say: Language) -> str:
    name = lane.label or say("a medicine")
    if not lane.runs:
        return say("{medicine} active, date of the order not recorded", medicine=name)
    first, last = lane.runs[0].days[0], lane.runs[-1]
    since = say.long_day(first)
    if lane.active:
        return say("{medicine} since {date}, active", medicine=name, date=since)
    if (last.end or last.days[-1]) < start:
        return ""
    message = (
        later("{medicine} from {start} to {end}, ended")
        if last.end
        else later("{medicine} from {start}, ended, date not recorded")
    )
    return say(message, medicine=name, start=since, end=say.long_day(last.end) if last.end else "")


def _visit_words(timeline: Timeline, start: date, say: Language) -> str:
    days = [visit for visit in timeline.visits if visit.day >= start]
    if not days:
        return ""
    visits = say.many("{count} day with a visit", "{count} days with visits", len(days))
    mental = sum(visit.mental_health for visit in days)
    if not mental:
        return visits
    # Translators: so many of the visits, a number, were for mental health.
    return say("{visits}, {count} of them for mental health", visits=visits, count=mental)
