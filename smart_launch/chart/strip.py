"""The top of the page: what was found, what is on file since, one button, and a way to say that it is dealt with.

Without findings it says that nothing is to be shown, or that nothing may be; nothing here reassures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from markupsafe import Markup

from explanations.judgement.next_steps import to_measure
from explanations.judgement.since import LatestResult, leading, result_of
from explanations.pictures.sparkline import sparkline
from explanations.words.findings.statements import statement
from explanations.words.language import Language, capitalised, later
from explanations.words.notices.notice import Notice, NoticeSettings
from explanations.words.notices.notice_list import crisis_line
from explanations.words.notices.summaries import moment_words
from explanations.words.notices.topics import EDGES, SPEC_OF
from explanations.words.pages.strip import result_words, since_words
from fhir_adapters.facts import Consent, PatientRecord
from models.rules.findings import SAFETY_TOPICS, Kind, SafetyFinding, Topic, Urgency
from models.rules.timing import POSITIVE_DAYS
from smart_launch.chart.actions import ActionLink, action_links
from smart_launch.chart.estimates import inline_svg
from smart_launch.chart.reading import Reading
from smart_launch.chart.told import Told, told_of
from smart_launch.launch.guard import OpenLaunch
from smart_launch.pages.markdown import line

WITHHELD = {
    Consent.OPTED_OUT: later("The patient has opted out of this service."),
    Consent.DENIED: later("A consent on file does not permit this use."),
}
ASSESSED, DEALT_WITH = later("Already assessed…"), later("Already done, or not now…")


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherFinding:
    """A further finding, shown below: its topic; its name, or in a safety topic what was found. say: its language."""

    say: Language
    topic: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The answer in ten seconds. topic, word, edge: of the gravest notice; "" without one.

    result: the total with its severity and change. course: its picture, or "". since: what is on file since, what was
    not found, what was not read. steps: what to consider. override: the label above `reasons` (code, words), with which
    the clinician says that it is dealt with; grounds: of a notice whose card limits apply to. safety: the page says who
    has been notified: `told`, or nobody. say: its language; of lines, told and crisis about safety it is `say.safe`.
    """

    say: Language
    headline: str
    topic: str = ""
    word: str = ""
    edge: str = ""
    came_from: bool = False
    lines: tuple[str, ...] = ()
    result: str = ""
    course: Markup = Markup()  # noqa: RUF009  # a string
    since: tuple[str, ...] = ()
    steps: tuple[Markup, ...] = ()
    main: ActionLink | None = None
    override: str = ""
    grounds: str | None = None
    reasons: tuple[tuple[str, str], ...] = ()
    others: tuple[OtherFinding, ...] = ()
    crisis: Markup | None = None
    safety: bool = False
    told: Told | None = None


def withheld_strip(reading: Reading, launch: OpenLaunch) -> Strip | None:
    """Of a patient who has opted out or denied consent; else None."""
    consent, say = reading.assessment.chart.consent, launch.safe.say
    if consent not in WITHHELD:
        return None
    elsewhere = say(
        "This says nothing about the patient’s safety. Check the answers in the chart, and ask if you are concerned."
    )
    lines = (say("The chart was not read."), elsewhere)
    return Strip(say=say, headline=say(WITHHELD[consent]), lines=lines, told=_told(reading, launch))


def strip_of(reading: Reading, launch: OpenLaunch, *, only_history: bool) -> Strip:
    """The strip of a reading."""
    found = _strip(reading, launch, only_history=only_history)
    return replace(found, told=_told(reading, launch))


def _told(reading: Reading, launch: OpenLaunch) -> Told | None:
    return told_of(reading.assessment, launch.site.notices, launch.say)


def _strip(reading: Reading, launch: OpenLaunch, *, only_history: bool) -> Strip:
    chart, say, region = reading.assessment.chart, launch.safe.say, launch.site.notices.region
    if reading.notices:
        return _of_notices(reading, launch)
    if chart.deceased:
        lines = (say("No estimate is made."),) if region.models else ()
        return Strip(say=say, headline=say("The patient is recorded as deceased."), lines=lines)
    result = result_of(chart, None, region)
    days = chart.days_since(result.point.when) if result else None
    point = result.point if result else None
    asked = point is not None and point.safety_answer is not None and not point.provisional
    answered = asked and days is not None and days <= POSITIVE_DAYS
    well = say("This does not mean that the patient is well; people often do not disclose. Ask if you are concerned.")
    main = () if answered else action_links(to_measure(chart, region), chart, launch)
    return Strip(
        say=say,
        headline=say("Only past history found in the records read.")
        if only_history
        else say("No current findings in the records read."),
        lines=(well,),
        result=_last(result, chart, say) if result else "",
        course=_course(result, chart),
        main=main[0] if main else None,
    )


def _of_notices(reading: Reading, launch: OpenLaunch) -> Strip:
    """The strip of the gravest notice; the others are named."""
    gravest, *rest = reading.notices
    assessment, settings = reading.assessment, launch.site.notices.safe
    say = settings.say
    finding = leading(assessment, gravest.topic)
    result = result_of(assessment.chart, finding, settings.region) if finding else None
    about_safety = gravest.topic in SAFETY_TOPICS
    main = main_action(reading, launch.safe)
    # A severe total can stand above a safety finding; the button is for that one.
    below = next((notice.summary for notice in rest if notice.topic in SAFETY_TOPICS), "")
    crisis = any(notice.crisis for notice in reading.notices)
    return Strip(
        say=say,
        headline=_headline(gravest, reading, settings),
        topic=gravest.topic.value,
        word=say(SPEC_OF[gravest.topic].word),
        edge=EDGES[gravest.urgency],
        came_from=launch.session.context.topic == gravest.topic.value,
        lines=(below,) if below and not about_safety else (),
        result=result_words(result, say, with_item=not about_safety) if result else "",
        course=_course(result, assessment.chart),
        since=since_words(finding, assessment.steps, settings.zone, say) if finding and about_safety else (),
        steps=tuple(line(text) for text in _steps(gravest, finding)),
        main=main,
        override=say(ASSESSED if about_safety else DEALT_WITH),
        grounds=behind.snoozed_as if (behind := reading.limits.behind.get(gravest.topic)) else None,
        reasons=tuple((reason.code, say(reason.display)) for reason in SPEC_OF[gravest.topic].overrides),
        others=tuple(_other(notice, reading, launch) for notice in rest),
        crisis=line(crisis_line(assessment, launch.site.notices)) if crisis else None,
        safety=any(notice.topic in SAFETY_TOPICS for notice in reading.notices),
    )


def _steps(gravest: Notice, finding: SafetyFinding | None) -> tuple[str, ...]:
    """What to consider that cannot wait for a fold: of acute answers all, of a current positive ASQ the assessment."""
    if gravest.urgency is Urgency.ACUTE:
        return gravest.consider
    asq = finding is not None and finding.kind is Kind.ASQ and gravest.topic is Topic.POSITIVE_SAFETY_ANSWER
    return gravest.consider[:1] if asq else ()


def main_action(reading: Reading, launch: OpenLaunch) -> ActionLink | None:
    """The one main button: the first draft of the gravest notice with any that this launch may use."""
    for notice in reading.notices:
        links = action_links(notice.drafts, reading.assessment.chart, launch)
        if links:
            return links[0]
        if notice.drafts:
            return None
    return None


def _other(notice: Notice, reading: Reading, launch: OpenLaunch) -> OtherFinding:
    say, finding = launch.site.notices.safe.say, leading(reading.assessment, notice.topic)
    safety = finding if notice.topic in SAFETY_TOPICS else None
    name = (
        capitalised(statement(safety, launch.site.notices.zone, say).what)
        if safety
        else say(SPEC_OF[notice.topic].name)
    )
    return OtherFinding(say=say, topic=notice.topic.value, name=name)


def _headline(gravest: Notice, reading: Reading, settings: NoticeSettings) -> str:
    """A documented safety answer with its date; of other topics the summary of the card."""
    say, finding = settings.say, leading(reading.assessment, gravest.topic)
    if finding is None or gravest.topic not in SAFETY_TOPICS:
        return gravest.summary
    return moment_words(statement(finding, settings.zone, say), say)[0]


def _last(result: LatestResult, chart: PatientRecord, say: Language) -> str:
    when = say.dated_ago(result.point.when, chart.days_since(result.point.when))
    return say("Last result, {when}: {result}.", result=result_words(result, say), when=when)


def _course(result: LatestResult | None, chart: PatientRecord) -> Markup:
    return inline_svg(sparkline(result.course, chart.today.toordinal())) if result else Markup()
