"""The top of a page in words: a result with its severity and change in points, and what is on file since a finding."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo

from explanations.judgement.since import LatestResult, Standing, standing
from explanations.judgement.timeline import Point
from explanations.words.findings.answers import OPTIONS, answer_words, none_words
from explanations.words.language import Language, later
from explanations.words.notices.safety import SHORT_LATER
from explanations.words.pages.trends import BAND_WORDS
from explanations.words.tables import complete
from models.rules.discharge import Step, StepEntry, StepKind
from models.rules.findings import SafetyFinding
from models.rules.supersession import LaterKind

STEPS = complete(
    {
        # Translators: names of what is looked for after a finding; in a list after "None found since:".
        StepKind.RISK_ASSESSMENT: later("suicide risk assessment"),
        StepKind.PSYCHOSOCIAL: later("psychosocial assessment"),
        StepKind.SAFETY_PLAN: later("safety plan"),
        StepKind.APPOINTMENT: later("follow-up appointment"),
    },
    StepKind,
)
STANDINGS = complete(
    {
        Standing.SINCE: later("On file since: {named}."),
        Standing.SAME_DAY: later("On file the same day: {named}."),
        Standing.UNSURE: later("On file, but not certain that it came later: {named}."),
        Standing.OVERTAKEN: later("On file, but from before a later finding: {named}."),
        Standing.NOT_LOOKED_FOR: later("On file, but not counted: {named}."),
        Standing.NONE: later("None found since: {named}."),
        Standing.UNREAD: later("Not read: {named}."),
        Standing.MAY_BE_UNREAD: later("May be unread: {named}."),
    },
    Standing,
)
# Where the finding has no date in the past.
NONE_FOUND = later("None found: {named}.")
MOST_LATER = 3


def result_words(result: LatestResult, say: Language, *, with_item: bool = True) -> str:
    """`PHQ-9 8, mild; item 9 “several days”; down 9 points from 17 on 2 Jun 2026`.

    Without the item where the finding beside it is about that already.
    """
    point = result.point
    total = say("{title} {total}", title=point.instrument.spec.title, total=point.total)
    # Translators: a total and the published name of its band: "PHQ-9 8, mild".
    first = say("{total}, {band}", total=total, band=say(BAND_WORDS[result.band])) if result.band else total
    state = say("not final") if point.provisional else ""
    change = _change(result, say)
    if change and result.before and result.before.provisional:
        change = say("{change}, not final", change=change)
    parts = [first, state, _safety_item(point, say, unread=result.unread) if with_item else "", change]
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
    total = str(before.total)
    if before.instrument is not result.point.instrument:
        total = say("{title} {total}", title=before.instrument.spec.title, total=total)
    named = {"before": total, "date": say.dated(before.when)}
    apart = abs(now - before.total)
    if not apart:
        return say("also {before} on {date}", **named)
    if now > before.total:
        return say.many(
            "up {count} point from {before} on {date}", "up {count} points from {before} on {date}", apart, **named
        )
    return say.many(
        "down {count} point from {before} on {date}", "down {count} points from {before} on {date}", apart, **named
    )


def since_words(finding: SafetyFinding, steps: Iterable[Step], zone: tzinfo, say: Language) -> tuple[str, ...]:
    """What is on file since a finding, what was not found, and what could not be read; none of them is left out.

    Entries of the same day are not said to be "since"; a "no" is never left to reassure.
    """
    named: dict[Standing, list[str]] = {place: [] for place in Standing}
    stood = [(step.kind, *standing(step, finding)) for step in steps]
    told = any(kind is StepKind.RISK_ASSESSMENT and place in TELLS_OF_ONE for kind, place, _ in stood)
    entries = [entry for entry in finding.later if not (told and entry.what is LaterKind.RISK_ASSESSMENT)]
    for entry in entries[:MOST_LATER]:
        same_day = finding.when is not None and entry.when.day == finding.when.day
        text = say("{entry}, {date}", entry=say(SHORT_LATER[entry.what]), date=say.dated(entry.when))
        named[Standing.SAME_DAY if same_day else Standing.SINCE].append(text)
    if more := len(entries[MOST_LATER:]) + finding.more_later:
        named[Standing.SINCE].append(say("{more} more", more=more))
    for kind, place, shown in stood:
        named[place].append(_step(kind, shown, zone, say) if shown else say(STEPS[kind]))
    texts = STANDINGS if finding.when and not finding.when.future else {**STANDINGS, Standing.NONE: NONE_FOUND}
    lines = [say(text, named="; ".join(named[place])) for place, text in texts.items() if named[place]]
    negative = any(entry.what.is_negative for entry in finding.later)
    return (*lines, say("Answers of “no” or “not at all” do not rule out risk.")) if negative else tuple(lines)


# The assessment is named with its step, so not twice.
TELLS_OF_ONE = (Standing.SINCE, Standing.UNSURE, Standing.OVERTAKEN)


def _step(kind: StepKind, entry: StepEntry, zone: tzinfo, say: Language) -> str:
    when = entry.when
    date = say.day_time(when, zone) if when and kind is StepKind.APPOINTMENT else say.dated(when)
    return say("{entry}, {date}", entry=say(STEPS[kind]), date=date)
