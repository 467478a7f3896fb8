"""The summary of a notice: the finding, its date, then what to do, in whole sentences under 140 characters.

Wordings are tried from the fullest to the shortest. The last is a fixed sentence, so a summary is never cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from explanations.errors import PhrasesIncomplete
from explanations.words.findings.statements import Statement, Timing
from explanations.words.language import Language, capitalised, later
from explanations.words.tables import complete
from models.rules.findings import Topic

MOST_SUMMARY = 139
LAST = complete(
    {
        # Translators: the shortest summary of a card, under 140 characters; so are the six that follow.
        Topic.ACUTE_SAFETY: later("Acute safety finding in the chart. Safety evaluation before the patient leaves."),
        Topic.POSITIVE_SAFETY_ANSWER: later(
            "Positive safety answer in the chart. Ask about thoughts of suicide today."
        ),
        Topic.RECENT_SAFETY: later("Recent safety finding in the chart. Consider reassessing today."),
        Topic.DATA_ANOMALY: later("Chart data do not fit together. Check the source."),
        Topic.DEPRESSION_FOLLOW_UP: later("Depression result in the chart. Consider follow-up."),
        Topic.SCREENING_PROMPT: later("Chart data suggest asking today (machine learning, not a diagnosis)."),
        Topic.COULD_NOT_ASSESS: later("Not all of the chart could be read. Ask directly."),
    },
    Topic,
)
if any(len(text) > MOST_SUMMARY for text in LAST.values()):
    raise PhrasesIncomplete(f"expected last summaries of at most {MOST_SUMMARY} characters")
MOMENTS = complete(
    {
        # Translators: {what} is a finding, {ago} as in "6 days ago", {date} as in "17 Nov 2026", {beside} empty or as
        # in "; total 8".
        Timing.AGO: later("{what} {ago} ({date}{beside})"),
        Timing.ON: later("{what} on {date} ({ago}{beside})"),
        Timing.BESIDE: later("{what} ({date}, {ago}{beside})"),
    },
    Timing,
)


def summary(topic: Topic, say: Language, actions: str | Sequence[str], facts: Iterable[str]) -> str:
    """The first fact and action that fit together, else the first fact that fits alone, else the topic's last.

    Facts and actions are whole sentences, the fullest first.
    """
    listed = tuple(facts)
    pairs = (f"{fact} {action}" for action in ((actions,) if isinstance(actions, str) else actions) for fact in listed)
    candidates = (*pairs, *listed, say(LAST[topic]))
    return next((text for text in candidates if len(text) <= MOST_SUMMARY), LAST[topic])


def sentences(phrases: Iterable[str], say: Language) -> tuple[str, ...]:
    """Phrases with their full stop."""
    return tuple(say("{phrase}.", phrase=phrase) for phrase in phrases)


def findings_words(statements: Sequence[Statement], say: Language) -> tuple[str, ...]:
    """The first finding with its date and the others, the fullest wording first; without full stop.

    One other finding is named with its date, else the others are counted.
    """
    first, *others = statements
    dated = moment_words(first, say)
    if not others:
        return dated
    named = [say("{first}; {second}", first=text, second=_second(first, others[0], say)) for text in dated]
    return (*(named if len(others) == 1 else ()), *counted_words(dated, len(others), say))


def counted_words(dated: Iterable[str], others: int, say: Language) -> tuple[str, ...]:
    """A finding in several wordings, each with the number of other findings."""
    if not others:
        return tuple(dated)
    return tuple(say("{finding}, and {count} more", finding=text, count=others) for text in dated)


def moment_words(statement: Statement, say: Language) -> tuple[str, ...]:
    """A finding with its date, the fullest wording first."""
    beside = say("; {detail}", detail=statement.beside) if statement.beside else ""
    named = {"what": capitalised(statement.what), "date": statement.date, "ago": statement.ago}
    short = _on_day(named["what"], statement, say)
    if not statement.ago:
        return tuple(dict.fromkeys((say("{what} ({date}{beside})", beside=beside, **named), short)))
    full = MOMENTS[statement.timing]
    return tuple(dict.fromkeys((say(full, beside=beside, **named), say(full, beside="", **named), short)))


def _second(first: Statement, second: Statement, say: Language) -> str:
    if first.what == second.what and second.ago:
        return say("also on {date}", date=second.date)
    return _on_day(second.what, second, say)


def _on_day(what: str, statement: Statement, say: Language) -> str:
    on = statement.ago and statement.timing is not Timing.BESIDE
    return say(later("{what} on {date}") if on else later("{what} ({date})"), what=what, date=statement.date)
