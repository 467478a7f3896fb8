"""A page as plain text for the clinician's own note: findings, results, medicines, each with date and reference.

What was considered and done is for the clinician to write, estimates are not facts of the chart, and who has been told
changes by the minute; none of that is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, tzinfo

from explanations.judgement.assessment import Assessment
from explanations.judgement.regions import Region
from explanations.judgement.timeline import Timeline, timelines
from explanations.words.findings.gaps import PARTS, gap_words
from explanations.words.language import Language, clock, code, later
from explanations.words.lines import Line, LineRole
from explanations.words.notices.notice import Notice, basis_words, of_answers
from explanations.words.pages.events import events_sentence
from explanations.words.pages.medicines import MedicineLine, medicine_lines
from explanations.words.pages.trends import TrendRow, title_words, trend_rows
from fhir_adapters.resources.gathered import STEPS
from models.rules.unread import is_offered

MOST_RESULTS = 6
# Rows are in the results below, reasons belong to an estimate.
LEFT_OUT = (LineRole.ROW, LineRole.REASON)


def summary_note(
    assessment: Assessment,
    notices: Iterable[Notice],
    history: Sequence[Line],
    at: datetime,
    say: Language,
    plain: Callable[[str], str],
    region: Region,
) -> str:
    """The note. history: what no notice holds. at: of the reading, in the site's zone. plain: markdown to its text."""
    chart, zone = assessment.chart, at.tzinfo
    when = {"day": say.day(at.date()), "time": clock(at)}
    parts = [[say("Mood and safety summary, read from the chart on {day}, {time}", **when)]]
    for notice in notices:
        items = [_item(plain(line.text)) for line in notice.chart if line.role not in LEFT_OUT]
        parts.append([plain(notice.summary), *items, plain(basis_words(of_answers(notice.basis), say))])
    if history:
        parts.append([say("History in the chart"), *(_item(plain(line.text)) for line in history)])
    shown = [timeline for timeline in timelines(chart, region).values() if timeline.points]
    parts += [_results(timeline, zone, say, plain) for timeline in shown]
    parts += [[events] for timeline in shown[:1] if (events := events_sentence(timeline, say))]
    if medicines := medicine_lines(chart, say, region):
        listed = [_item(_medicine(entry, plain)) for entry in medicines]
        parts.append([say("Active medicines on file"), *listed])
    parts.append(
        [
            say("Not read: {part} ({reason}).", part=say(PARTS[gap.what]), reason=gap_words(gap.reason, say))
            for gap in chart.unknown
            if is_offered(gap) and gap.what not in STEPS  # of which nothing is said here
        ]
    )
    return "\n\n".join("\n".join(part) for part in parts if part)


def _results(timeline: Timeline, zone: tzinfo | None, say: Language, plain: Callable[[str], str]) -> list[str]:
    rows = trend_rows(timeline, say, zone)
    more = len(rows) - MOST_RESULTS
    return [
        say("{instrument} results on file", instrument=title_words(timeline, say)),
        *(_item(_result(row, timeline, say, plain)) for row in rows[:MOST_RESULTS]),
        *([_item(say("and {count} more", count=more))] if more > 0 else []),
    ]


def _result(row: TrendRow, timeline: Timeline, say: Language, plain: Callable[[str], str]) -> str:
    # Translators: a result in a list: "17 Nov 2026: 14 of 27; item 9: 1 of 3, several days; complete".
    with_item = later("{date}: {total}; item {item}: {answer}; {state}")
    said = say(
        with_item if row.safety_answer else later("{date}: {total}; {state}"),
        date=row.date,
        total=row.total,
        item=timeline.safety_item,
        answer=row.safety_answer,
        state=row.state,
    )
    return _cited(said, row.reference, plain)


def _medicine(entry: MedicineLine, plain: Callable[[str], str]) -> str:
    named = ", ".join(part for part in (entry.name, entry.dose, entry.since) if part)
    return _cited(named, entry.reference, plain)


def _cited(text: str, reference: str, plain: Callable[[str], str]) -> str:
    return f"{text}, {plain(code(reference))}" if reference else text


def _item(text: str) -> str:
    return f"- {text}"
