"""The top of a page in words: a result with its severity and change in points, and what is on file since a finding."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo

from explanations.judgement.since import LatestResult
from explanations.judgement.timeline import Point
from explanations.words.findings.answers import OPTIONS, answer_words, none_words
from explanations.words.language import Language, later
from explanations.words.notices.safety import SHORT_LATER
from explanations.words.pages.trends import BAND_WORDS
from explanations.words.tables import complete
from models.rules.discharge import UNSURE, Step, StepKind
from models.rules.findings import SafetyFinding
from models.rules.supersession import LaterKind

STEPS = complete(
    {
        # Translators: names of what is looked for after a finding; in a list after "None found since:".
        StepKind.RISK_ASSESSMENT: later("suicide risk assessment"),
        StepKind.SAFETY_PLAN: later("safety plan"),
        StepKind.APPOINTMENT: later("follow-up appointment"),
    },
    StepKind,
)


def result_words(result: LatestResult, say: Language, *, with_item: bool = True) -> str:
    """`PHQ-9 8, mild; item 9 “several days”; down 9 points from 17 on 2 Jun 2026`.

    Without the item where the finding beside it is about that already.
    """
    point = result.point
    total = say("{title} {total}", title=point.instrument.spec.title, total=point.total)
    band = point.instrument.spec.band(point.total or 0)
    # Translators: a total and the published name of its band: "PHQ-9 8, mild".
    first = say("{total}, {band}", total=total, band=say(BAND_WORDS[band])) if band else total
    parts = [first, _safety_item(point, say, unread=result.unread) if with_item else "", _change(result, say)]
    return "; ".join(part for part in parts if part)


def _safety_item(point: Point, say: Language, *, unread: bool) -> str:
    answer = point.safety_answer
    if not point.safety_item:
        return ""
    if answer is None:
        return say("item {item} {answer}", item=point.safety_item, answer=none_words(say, unread=unread))
    options = OPTIONS[point.instrument.spec.scale]
    if answer.score is None or not options:
        return say("item {item} {answer}", item=point.safety_item, answer=answer_words(answer, point.instrument, say))
    return say("item {item} “{answer}”", item=point.safety_item, answer=say(options[answer.score]))


def _change(result: LatestResult, say: Language) -> str:
    """The change since the result before, in points; a fall is no praise."""
    before, now = result.before, result.point.total
    if before is None or before.total is None or now is None:
        return ""
    named = {"before": before.total, "date": say.dated(before.when)}
    apart = abs(now - before.total)
    if not apart:
        return say("{before} on {date} too", **named)
    if now > before.total:
        return say.many(
            "up {count} point from {before} on {date}", "up {count} points from {before} on {date}", apart, **named
        )
    return say.many(
        "down {count} point from {before} on {date}", "down {count} points from {before} on {date}", apart, **named
    )


def since_words(finding: SafetyFinding, steps: Iterable[Step], zone: tzinfo, say: Language) -> tuple[str, ...]:
    """What is on file since a finding, what was not found, and what could not be read; none of them is left out."""
    steps = tuple(steps)
    assessed = any(step.done for step in steps if step.kind is StepKind.RISK_ASSESSMENT)
    found = [
        say("{entry}, {date}", entry=say(SHORT_LATER[entry.what]), date=say.dated(entry.when))
        for entry in finding.later
        if not (assessed and entry.what is LaterKind.RISK_ASSESSMENT)
    ]
    found += [say("{more} more", more=finding.more_later)] if finding.more_later else []
    unsure, none, unread = list[str](), list[str](), list[str]()
    for step in steps:
        name = say(STEPS[step.kind])
        if step.done is not None:
            when = step.done.when
            date = say.day_time(when, zone) if when and step.kind is StepKind.APPOINTMENT else say.dated(when)
            found.append(say("{entry}, {date}", entry=name, date=date))
        elif step.unread:
            unread.append(name)
        elif any(entry.not_counted in UNSURE for entry in step.seen):
            unsure.append(name)
        else:
            none.append(name)
    lines = (
        (found, later("On file since: {named}.")),
        (unsure, later("On file, but not certain that it came later: {named}.")),
        (none, later("None found since: {named}.")),
        (unread, later("Not read: {named}.")),
    )
    return tuple(say(text, named="; ".join(named)) for named, text in lines if named)
