"""Results over time: the picture in two widths, what it shows in words, and every result as a table row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from markupsafe import Markup

from explanations.judgement.timeline import Timeline, timelines
from explanations.pictures.plots import NARROW, WIDE, trend
from explanations.words.language import Language
from explanations.words.pages.trends import TrendRow, title_words, trend_rows, trend_sentence
from fhir_adapters.facts import PatientRecord
from smart_launch.chart.estimates import inline_svg


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One instrument. `wide` and `narrow` are "" if no result can be drawn; `unread` is set if some are unreadable."""

    name: str
    title: str
    sentence: str
    wide: Markup
    narrow: Markup
    rows: tuple[TrendRow, ...]
    safety_item: str | None
    unread: str = ""


def trends_of(chart: PatientRecord, say: Language, zone: tzinfo) -> tuple[Trend, ...]:
    """PHQ-9 always, other instruments when on file."""
    return tuple(_trend(name, timeline, say, zone) for name, timeline in timelines(chart).items())


def _trend(name: str, timeline: Timeline, say: Language, zone: tzinfo) -> Trend:
    return Trend(
        name=name,
        title=say("{instrument} over time", instrument=title_words(timeline, say)),
        sentence=trend_sentence(timeline, say) if timeline.points or not timeline.unread else "",
        wide=inline_svg(trend(timeline, WIDE, name, say)),
        narrow=inline_svg(trend(timeline, NARROW, name, say)),
        rows=trend_rows(timeline, say, zone),
        safety_item=timeline.safety_item,
        unread=say("Not all results could be read.") if timeline.unread else "",
    )
