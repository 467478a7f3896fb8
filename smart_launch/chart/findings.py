"""Notices as findings on a page, worded as on the cards: a label and a border for urgency, what to do and where."""

from __future__ import annotations

from dataclasses import dataclass, replace

from markupsafe import Markup

from explanations.words.language import Language
from explanations.words.lines import Line, LineRole, block
from explanations.words.notices.notice import Notice, basis_words, of_answers
from explanations.words.notices.topics import EDGES, SPEC_OF
from models.rules.findings import Topic, Urgency
from smart_launch.chart.actions import ActionLink, action_links, short_form
from smart_launch.chart.reading import Reading
from smart_launch.chart.strip import main_action
from smart_launch.launch.guard import OpenLaunch
from smart_launch.pages.markdown import Sources, html, line

# The rest of a longer list is folded.
MOST_LINES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One notice. `word` and `edge` show its urgency. `more`: folded chart lines.

    came_from: the clinician followed the card of this topic. actions: without the page's main button. by_model: the
    reasons are shown with the estimate. say: its language.
    """

    say: Language
    topic: str
    word: str
    edge: str
    summary: str
    heading: str
    chart: Markup
    more: Markup | None
    more_count: int
    consider_heading: str
    consider: tuple[Markup, ...]
    basis: Markup
    actions: tuple[ActionLink, ...]
    came_from: bool
    by_model: bool

    @property
    def open(self) -> bool:
        """Whether it is never folded."""
        return self.edge == EDGES[Urgency.ACUTE]


def findings_of(reading: Reading, launch: OpenLaunch, sources: Sources) -> tuple[Finding, ...]:
    """The findings, in the order of the notices. Each button stands once, where it is first needed."""
    chart = reading.assessment.chart
    main = main_action(reading, launch)
    findings, offered = [], {main}
    for notice in reading.notices:
        buttons = [*action_links(notice.drafts, chart, launch.safe)]
        if notice.topic is Topic.SCREENING_PROMPT and (short := short_form(chart, launch)):
            buttons.append(short)
        if notice.topic is Topic.COULD_NOT_ASSESS and chart.lacking:
            buttons.append(ActionLink(label=launch.say("Try again"), path=""))
        findings.append(_finding(notice, launch, sources, tuple(button for button in buttons if button not in offered)))
        offered.update(buttons)
    return tuple(findings)


def _finding(notice: Notice, launch: OpenLaunch, sources: Sources, buttons: tuple[ActionLink, ...]) -> Finding:
    shown, folded = _split(notice)
    say = launch.site.notices.safe.say
    sources = replace(sources, say=say)
    return Finding(
        say=say,
        topic=notice.topic.value,
        word=say(SPEC_OF[notice.topic].word),
        edge=EDGES[notice.urgency],
        summary=notice.summary,
        heading=notice.heading,
        chart=html(block(shown), sources),
        more=html(block(folded), sources) if folded else None,
        more_count=len(folded),
        consider_heading=notice.consider_heading,
        consider=tuple(line(text) for text in notice.consider),
        basis=line(basis_words(of_answers(notice.basis), say)),  # who has been told is said at the top
        actions=buttons,
        came_from=launch.session.context.topic == notice.topic.value,
        by_model=notice.basis.by_model,
    )


def _split(notice: Notice) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """(shown, folded) lines; the end of a long list and a model's reasons are folded.

    A table stays whole, and the first line of a finding is never folded, lest an acute answer be hidden.
    A model's reasons appear with the estimate too.
    """
    lines = notice.chart
    if notice.basis.by_model:
        reasons = tuple(line for line in lines if line.role is LineRole.REASON)
        return tuple(line for line in lines if line not in reasons), reasons
    if len(lines) <= MOST_LINES:
        return lines, ()
    last = max((place for place, line in enumerate(lines, start=1) if line.role is LineRole.LEAD), default=0)
    cut = max(MOST_LINES - 2, last, sum(line.role is LineRole.ROW for line in lines))
    return lines[:cut], lines[cut:]
