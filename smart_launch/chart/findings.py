"""Notices as findings on a page, worded as on the cards: a label and a border for urgency, what to do and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from explanations.words.lines import Line, LineRole, block
from explanations.words.notices.notice import Notice, basis_words
from explanations.words.notices.notice_list import crisis_line
from explanations.words.notices.topics import SPEC_OF, PageAction
from models.rules.findings import SAFETY_TOPICS, Urgency
from smart_launch.chart.actions import ActionLink, action_links
from smart_launch.chart.reading import Reading
from smart_launch.launch.guard import OpenLaunch
from smart_launch.pages.markdown import html, line

# The rest of a longer list is folded.
MOST_LINES = 8
EDGES = {Urgency.ACUTE: "acute", Urgency.PROMPT: "warning", Urgency.NOTE: "info"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One notice. `word` and `edge` show its urgency. `more`: folded chart lines.

    came_from: the clinician followed the card of this topic. crisis: on the first safety finding only.
    by_model: the reasons are shown with the estimate.
    """

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
    crisis: Markup | None
    came_from: bool
    by_model: bool


def findings_of(reading: Reading, launch: OpenLaunch) -> tuple[Finding, ...]:
    """The findings, in the order of the notices."""
    first = next((notice for notice in reading.notices if notice.crisis), None)
    crisis = line(crisis_line(reading.assessment, launch.site.notices))
    findings, offered = [], set[str]()
    for notice in reading.notices:
        # Each button appears once, where it is first needed.
        listed = [action for action in SPEC_OF[notice.topic].page_actions if action.page not in offered]
        listed = [action for action in listed if notice.offers or action is PageAction.READ_AGAIN]
        # The short form does not ask about self-harm, so it is offered only beside the full form.
        listed = [action for action in listed if action is not PageAction.SHORT_FORM or PageAction.WHOLE_FORM in listed]
        offered.update(action.page for action in listed)
        buttons = action_links(listed, reading.assessment.chart, launch)
        findings.append(_finding(notice, launch, buttons, crisis if notice is first else None))
    return tuple(findings)


def _finding(notice: Notice, launch: OpenLaunch, buttons: tuple[ActionLink, ...], crisis: Markup | None) -> Finding:
    shown, folded = _split(notice)
    return Finding(
        topic=notice.topic.value,
        word=launch.say(SPEC_OF[notice.topic].word),
        edge=EDGES[notice.urgency],
        summary=notice.summary,
        heading=notice.heading,
        chart=html(block(shown)),
        more=html(block(folded)) if folded else None,
        more_count=len(folded),
        consider_heading=notice.consider_heading,
        consider=tuple(line(text) for text in notice.consider),
        basis=line(basis_words(notice.basis, launch.say)),
        actions=buttons,
        crisis=crisis,
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


def about_safety(notices: Iterable[Notice]) -> bool:
    """Whether any notice is about safety; the page then says that nobody has been notified."""
    return any(notice.topic in SAFETY_TOPICS for notice in notices)
