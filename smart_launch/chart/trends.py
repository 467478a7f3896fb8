"""Results over time: the picture in three widths, what it shows in words, and every result and event as a row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import tzinfo

from markupsafe import Markup

from explanations.judgement.timeline import Timeline, timelines
from explanations.pictures.plots import NARROW, SMALL, WIDE, trend
from explanations.words.language import Language
from explanations.words.notices.notice import NoticeSettings
from explanations.words.pages.events import EventRow, event_rows, events_sentence
from explanations.words.pages.trends import TrendRow, title_words, trend_rows, trend_sentence
from fhir_adapters.facts import PatientRecord
from smart_launch.chart.estimates import inline_svg
from smart_launch.pages.markdown import Sources

WIDTHS = (SMALL, NARROW, WIDE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One instrument. `pictures`, by width, are empty with fewer than two results; `unread`: some are unreadable."""

    name: str
    title: str
    sentence: str
    events: str
    pictures: dict[str, Markup]
    rows: tuple[TrendRow, ...]
    event_rows: tuple[EventRow, ...]
    safety_item: str | None
    unread: str = ""


def trends_of(chart: PatientRecord, say: Language, settings: NoticeSettings, sources: Sources) -> tuple[Trend, ...]:
    """PHQ-9 always, other instruments when on file."""
    drawn = timelines(chart, settings.region)
    return tuple(_trend(name, timeline, say, settings.zone, sources) for name, timeline in drawn.items())


def _trend(name: str, timeline: Timeline, say: Language, zone: tzinfo, sources: Sources) -> Trend:
    named = title_words(timeline, say)
    rows = trend_rows(timeline, say, zone)
    return Trend(
        name=name,
        title=say("{instrument} over time", instrument=named) if timeline.shown else named,
        sentence=trend_sentence(timeline, say) if timeline.points or not timeline.unread else "",
        events=events_sentence(timeline, say),
        pictures={w.name: inline_svg(drawn) for w in WIDTHS if (drawn := trend(timeline, w, name, say))},
        rows=tuple(replace(row, reference=sources.cited(row.reference)) if row.reference else row for row in rows),
        event_rows=event_rows(timeline, say) if timeline.shown else (),
        safety_item=timeline.safety_item,
        unread=say("Not all results could be read.") if timeline.unread else "",
    )
