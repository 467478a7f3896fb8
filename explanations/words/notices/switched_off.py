"""The notices of what is switched off: a service, cards of a topic, all for a patient. An answer never hides it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from explanations.words.language import Language, clock, later
from explanations.words.lines import Line, LineRole
from explanations.words.notices.notice import CONSIDER_TODAY, Basis, BasisKind, Notice, NoticeSettings
from explanations.words.notices.summaries import summary
from explanations.words.notices.topics import SPEC_OF
from models.rules.findings import SAFETY_TOPICS, Topic, Urgency

ABOUT_SAFETY = (*SAFETY_TOPICS, Topic.COULD_NOT_ASSESS)
LOOK = later("Check the chart itself for answers about suicide and self-harm")
ASK = later("Ask directly about thoughts of suicide and self-harm")


def service_off(since: datetime, settings: NoticeSettings) -> Notice:
    """The one notice of a service that is switched off: nothing was read."""
    settings = settings.safe
    say = settings.say
    return _instead(
        say,
        say("This service is switched off: the chart was not read."),
        say("Switched off"),
        (
            Line(text=say("**The chart was not read**"), role=LineRole.LEAD),
            Line(text=say("This service was switched off here on {moment}", moment=_moment(since, settings))),
        ),
        BasisKind.SWITCHED_OFF,
    )


def has_opted_out(settings: NoticeSettings) -> Notice:
    """The one notice on a patient who has opted out, at a site whose policy then switches the rules off: no content."""
    say = settings.safe.say
    text = say("No answers are restated here. This says nothing about the patient’s safety")
    found = _instead(
        say,
        say("The patient has opted out: the chart was not read."),
        say("Opted out"),
        (
            Line(text=say("**The patient has chosen not to have this used**"), role=LineRole.LEAD),
            Line(text=text),
        ),
        BasisKind.OPTED_OUT,
    )
    return replace(found, urgency=Urgency.NOTE)


def _instead(say: Language, what: str, heading: str, chart: tuple[Line, ...], kind: BasisKind) -> Notice:
    """A notice in place of others. what: its summary, before what to do."""
    return Notice(
        topic=Topic.COULD_NOT_ASSESS,
        urgency=Urgency.PROMPT,
        summary=summary(Topic.COULD_NOT_ASSESS, say, say("Look in the chart; ask directly."), (what,)),
        heading=heading,
        chart=chart,
        consider=(say(LOOK), say(ASK)),
        consider_heading=say(CONSIDER_TODAY),
        basis=Basis(kind=kind),
    )


def held_back(
    notices: Iterable[Notice], off: Mapping[Topic, datetime], settings: NoticeSettings
) -> tuple[tuple[Notice, ...], tuple[Topic, ...]]:
    """The notices to show, and the topics of those held back. One notice stands for all that are about safety."""
    listed = tuple(notices)
    held = tuple(notice.topic for notice in listed if notice.topic in off)
    shown = tuple(notice for notice in listed if notice.topic not in off)
    safety = [topic for topic in held if topic in ABOUT_SAFETY]
    told = next((notice.basis.told for notice in listed if notice.topic in held and notice.basis.told), "")
    return ((_topics_off(safety, off, told, settings), *shown) if safety else shown), held


def _topics_off(topics: list[Topic], off: Mapping[Topic, datetime], told: str, settings: NoticeSettings) -> Notice:
    """That something about safety was found, and is not said here; but who has been `told` is."""
    settings = settings.safe
    say = settings.say
    texts = (
        say(
            "**{topic}**: cards of this kind were switched off here on {moment}",
            topic=say(SPEC_OF[topic].name),
            moment=_moment(off[topic], settings),
        )
        for topic in topics
    )
    found = _instead(
        say,
        say("A safety card is held back: cards of this kind are switched off."),
        say("Switched off"),
        tuple(Line(text=text, role=LineRole.LEAD) for text in texts),
        BasisKind.SWITCHED_OFF,
    )
    return replace(found, basis=replace(found.basis, told=told), crisis=True)


def marked(notices: Iterable[Notice], off: Mapping[Topic, datetime], settings: NoticeSettings) -> tuple[Notice, ...]:
    """For a page, which shows every notice: those whose cards are held back say so."""
    return tuple(
        replace(
            notice,
            chart=(
                *notice.chart,
                Line(
                    text=settings.safe.say(
                        "Cards of this kind were switched off here on {moment}. Shown on this page only",
                        moment=_moment(off[notice.topic], settings),
                    )
                ),
            ),
        )
        if notice.topic in off
        else notice
        for notice in notices
    )


def _moment(at: datetime, settings: NoticeSettings) -> str:
    local = at.astimezone(settings.zone)
    return settings.say("{day}, {time}", day=settings.say.day(local.date()), time=clock(local))
