"""Notices whose cards are held back by the site's limits: left out of an answer, marked on a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from explanations.judgement.alert_limits import HeldBack, LimitReason
from explanations.words.language import clock, later
from explanations.words.lines import Line, LineRole
from explanations.words.notices.notice import Notice, NoticeSettings
from explanations.words.notices.topics import SPEC_OF
from explanations.words.tables import complete
from models.rules.findings import Topic

FOR_ALL = later("No card about this before {until}: “{reason}” was recorded on {since}. Shown on this page only")
FOR_YOU = later(
    "No card about this for you before {until}: you recorded “{reason}” on {since}. Shown on this page only"
)
WHY = complete(
    {
        LimitReason.SNOOZED: FOR_ALL,
        LimitReason.ASSESSED: later(
            "No card about this before {until}: a suicide risk assessment of {since} is on file. Shown on this page "
            "only"
        ),
        LimitReason.SHOWN_BEFORE: later(
            "No card about this before {until} unless its data change: one was shown on {since}. Shown on this page "
            "only"
        ),
        LimitReason.REPEATED: later(
            "No card about this for you before {until}, {until_time}: you were shown one on {since}, {since_time}. "
            "Shown on this page only"
        ),
        LimitReason.DAILY_LIMIT: later(
            "No card about this for you before {until}: you have seen as many of this kind today as your site allows. "
            "Shown on this page only"
        ),
    },
    LimitReason,
)


def within_limits(notices: Iterable[Notice], held: Mapping[Topic, HeldBack]) -> tuple[Notice, ...]:
    """The notices to show. The history on one that is held back goes to the next."""
    shown, waiting = list[Notice](), tuple[Line, ...]()
    for notice in notices:
        if notice.topic in held:
            waiting = tuple(line for line in notice.chart if line.role is LineRole.HISTORY)
        elif waiting:
            shown.append(replace(notice, chart=(*notice.chart, *waiting)))
            waiting = ()
        else:
            shown.append(notice)
    return tuple(shown)


def marked_limits(
    notices: Iterable[Notice], held: Mapping[Topic, HeldBack], settings: NoticeSettings
) -> tuple[Notice, ...]:
    """For a page, which shows every notice: those whose cards are held back say so, and why."""
    return tuple(
        replace(notice, chart=(*notice.chart, Line(text=_why(notice.topic, held[notice.topic], settings))))
        if notice.topic in held
        else notice
        for notice in notices
    )


def _why(topic: Topic, held: HeldBack, settings: NoticeSettings) -> str:
    say = settings.safe.say
    until, since = (at.astimezone(settings.zone) for at in (held.until, held.since))
    reason = next((reason.display for reason in SPEC_OF[topic].overrides if reason.code == held.code), "")
    return say(
        FOR_YOU if held.reason is LimitReason.SNOOZED and not held.for_all else WHY[held.reason],
        until=say.day(until.date()),
        since=say.day(since.date()),
        until_time=clock(until),
        since_time=clock(since),
        reason=say(reason) if reason else "",
    )
