"""Notices as findings on a page: a word and an edge for how pressing they are, what to do, and where that is done.

The same words as on the cards. Actions are drafts or forms; nothing here orders, calls or notifies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from explanations.words.language import later
from explanations.words.lines import Line, LineRole, block
from explanations.words.notice_list import crisis_line
from explanations.words.notices import Notice, basis_words
from explanations.words.topics import SPEC_OF, PageAction
from fhir_adapters.facts import PatientRecord
from models.rules.findings import SAFETY_TOPICS, Urgency
from smart_launch.chart.reading import Reading
from smart_launch.launch.guard import OpenLaunch
from smart_launch.oauth import scopes
from smart_launch.pages.markdown import html, line

ADULT = 18
# A longer list is cut, and the rest folded.
MOST_LINES = 8
EDGES = {Urgency.ACUTE: "acute", Urgency.PROMPT: "warning", Urgency.NOTE: "info"}
LABELS = {
    PageAction.WHOLE_FORM: later("Start PHQ-9 with the patient"),
    PageAction.SHORT_FORM: later("Start PHQ-2"),
    PageAction.FOLLOW_UP: later("Draft follow-up task"),
    PageAction.ASSESSMENT: later("Draft assessment order and follow-up"),
    PageAction.READ_AGAIN: later("Try again"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A button: its words, and the address of its page below that of the launch."""

    label: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One notice. `word` and `edge` say how pressing it is. `more`: lines of the chart that are folded.

    came_from: whether the clinician came from the card of this topic. crisis: on the first finding about safety.
    by_model: its reasons are in the section of the estimate.
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
    actions: tuple[Action, ...]
    crisis: Markup | None
    came_from: bool
    by_model: bool


def findings_of(reading: Reading, launch: OpenLaunch) -> tuple[Finding, ...]:
    """The findings of a reading, in the order of its notices."""
    first = next((notice for notice in reading.notices if notice.crisis), None)
    crisis = line(crisis_line(reading.assessment, launch.site.notices))
    findings, offered = [], set[str]()
    for notice in reading.notices:
        # One page: a button stands where it is needed first.
        listed = [action for action in SPEC_OF[notice.topic].page_actions if action.page not in offered]
        listed = [action for action in listed if notice.offers or action is PageAction.READ_AGAIN]
        # The short form asks nothing about self-harm: it is no second choice where the whole one is called for already.
        listed = [action for action in listed if action is not PageAction.SHORT_FORM or PageAction.WHOLE_FORM in listed]
        offered.update(action.page for action in listed)
        buttons = actions(listed, reading.assessment.chart, launch)
        findings.append(_finding(notice, launch, buttons, crisis if notice is first else None))
    return tuple(findings)


def _finding(notice: Notice, launch: OpenLaunch, buttons: tuple[Action, ...], crisis: Markup | None) -> Finding:
    shown, folded = _parted(notice)
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


def actions(listed: Iterable[PageAction], chart: PatientRecord, launch: OpenLaunch) -> tuple[Action, ...]:
    """The buttons that this session may use: adults' forms for adults, and only what the chart lets us write."""
    usable = [action for action in listed if _usable(action, chart, launch)]
    return tuple(Action(label=launch.say(LABELS[action]), path=action.value) for action in usable)


def _usable(action: PageAction, chart: PatientRecord, launch: OpenLaunch) -> bool:
    if action is PageAction.READ_AGAIN:
        return bool(chart.lacking)
    if chart.deceased:
        return False
    if action in (PageAction.FOLLOW_UP, PageAction.ASSESSMENT):
        return launch.can_write("Task", "c")
    young = chart.age_years is not None and chart.age_years < ADULT
    return not young and launch.can_write("QuestionnaireResponse", "c")


def _parted(notice: Notice) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """The lines that are shown at once, and those that are folded: the end of a long list, a model's reasons.

    A table stays whole, and the first line of a finding is never folded: an acute answer must not stand behind a press.
    The section of the estimate shows the same reasons, with their bars.
    """
    lines = notice.chart
    if notice.basis.by_model:
        reasons = tuple(line for line in lines if line.role is LineRole.REASON)
        return tuple(line for line in lines if line not in reasons), reasons
    if len(lines) <= MOST_LINES:
        return lines, ()
    last = max((place for place, one in enumerate(lines, start=1) if one.role is LineRole.LEAD), default=0)
    cut = max(MOST_LINES - 2, last, sum(one.role is LineRole.ROW for one in lines))
    return lines[:cut], lines[cut:]


def about_safety(notices: Iterable[Notice]) -> bool:
    """Whether any is about safety: then the page says that nobody was notified."""
    return any(notice.topic in SAFETY_TOPICS for notice in notices)


READ_WORDS = {
    "Patient": later("patient details"),
    "Observation": later("measurements and screening answers"),
    "QuestionnaireResponse": later("questionnaires"),
    "Condition": later("conditions"),
    "MedicationRequest": later("medicines"),
    "Medication": later("names of medicines"),
    "Encounter": later("visits"),
    "Procedure": later("procedures"),
    "Consent": later("consents"),
}
WRITE_WORDS = {
    "QuestionnaireResponse": later("questionnaires"),
    "Observation": later("totals and answers"),
    "Task": later("draft tasks"),
    "ServiceRequest": later("draft orders"),
}


def not_granted(launch: OpenLaunch) -> tuple[str, ...]:
    """What the chart did not allow of what was asked, in a sentence each for reading and for writing."""
    lacking = scopes.not_granted(launch.session.requested_scopes, launch.session.scopes)
    say = launch.say
    read = [say(READ_WORDS.get(kind, kind)) for kind, right in lacking if right == scopes.READ]
    write = [say(WRITE_WORDS.get(kind, kind)) for kind, right in lacking if right != scopes.READ]
    said = []
    if read:
        said.append(say("The chart did not allow this app to read: {parts}.", parts=", ".join(read)))
    if write:
        said.append(say("The chart did not allow this app to write: {parts}.", parts=", ".join(write)))
    return tuple(said)
