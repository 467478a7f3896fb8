"""Answers to screening questions, and names for the questions, whose wording is licensed and not reproduced."""

from __future__ import annotations

from explanations.words.language import Language, later
from explanations.words.tables import complete
from fhir_adapters.facts import ACUTE_RESULTS, POSITIVE_RESULTS, AnswerState, ItemAnswer, Result
from fhir_adapters.instruments import EPDS_OPTIONS, FREQUENCY, SAFETY_ITEMS, Instrument, Scale

# Answers to a question on self-harm, by score.
OPTIONS: dict[Scale | None, tuple[str, ...]] = complete(
    {
        FREQUENCY: (
            later("not at all"),
            later("several days"),
            later("more than half the days"),
            later("nearly every day"),
        ),
        EPDS_OPTIONS: (later("never"), later("hardly ever"), later("sometimes"), later("yes, quite often")),
    },
    {instrument.spec.scale for instrument in SAFETY_ITEMS},
)
STATES = complete(
    {
        AnswerState.ANSWERED: later("answered"),
        AnswerState.DECLINED: later("declined"),
        AnswerState.BLANK: later("blank"),
        AnswerState.UNREADABLE: later("unreadable"),
    },
    AnswerState,
)
QUESTIONS = {
    # Translators: names of questions stand in a list, or after that of a form: "C-SSRS question 4 (intent): yes".
    "q1": later("question 1"),
    "q2": later("question 2"),
    "q3": later("question 3"),
    "q4": later("question 4"),
    "q5": later("question 5"),
    "q6": later("question 6"),
    "q6_recent": later("question 6 (past 3 months)"),
    "acuity": later("acuity question"),
    "level": later("overall result"),
}
CSSRS_QUESTIONS = {
    "q1": later("question 1 (wish to be dead)"),
    "q2": later("question 2 (thoughts)"),
    "q3": later("question 3 (method considered)"),
    "q4": later("question 4 (intent)"),
    "q5": later("question 5 (plan and intent)"),
    "q6": later("question 6 (behavior)"),
    "q6_recent": later("question 6 (behavior, past 3 months)"),
    "level": later("overall result"),
}


# Instruments whose title is no name.
TITLES = {Instrument.RISK_LEVEL: later("Suicide risk screen")}


def title_of(instrument: Instrument, say: Language) -> str:
    """The title of an instrument: its name as it is, else in words."""
    return say(TITLES[instrument]) if instrument in TITLES else instrument.spec.title


# A low or negative result is never printed.
RESULTS = complete(
    {
        Result.HIGH: later("overall result recorded as high"),
        Result.ACUTE: later("overall result recorded as acute"),
        Result.MODERATE: later("overall result recorded as moderate"),
        Result.POSITIVE: later("overall result recorded as positive"),
        Result.NON_ACUTE: later("overall result recorded as non-acute positive"),
    },
    (*ACUTE_RESULTS, *POSITIVE_RESULTS),
)


# What a screen with an acuity question comes to, in the words of its pathway.
SCREENED = {
    Result.ACUTE: later("{title}: acute positive screen"),
    Result.NON_ACUTE: later("{title}: non-acute positive screen"),
    Result.NEGATIVE: later(
        "{title}: no to all four questions. That does not rule out risk; clinical judgment comes first."
    ),
}


def screen_words(result: Result, instrument: Instrument, say: Language) -> str:
    """`ASQ: acute positive screen`; a no never stands alone."""
    return say(SCREENED[result], title=instrument.spec.title)


def question(item: str, say: Language, instrument: Instrument | None = None) -> str:
    """The name of a question: `question 4`, for the C-SSRS `question 4 (intent)`, for a graded form `item 9`."""
    names = CSSRS_QUESTIONS if instrument is Instrument.CSSRS else QUESTIONS
    return say(names[item]) if item in names else say("item {item}", item=item)


def item_words(answer: ItemAnswer, instrument: Instrument, say: Language) -> str:
    """`PHQ-9 item 9: 1 of 3, several days`."""
    words = answer_words(answer, instrument, say)
    return say("{title} item {item}: {answer}", title=instrument.spec.title, item=answer.item, answer=words)


def answer_words(answer: ItemAnswer, instrument: Instrument, say: Language) -> str:
    """An answer in words: `1 of 3, several days`; `yes`; `declined`."""
    if answer.score is not None:
        spec = instrument.spec
        option = say(OPTIONS[spec.scale][answer.score])
        return say("{score} of {top}, {option}", score=answer.score, top=spec.top_item, option=option)
    if answer.yes is not None:
        return say("yes") if answer.yes else say("no")
    return say(STATES[answer.state])


def none_words(say: Language, *, unread: bool) -> str:
    """An answer that a form does not hold. `unread`: some answers of the chart may be unread (R18)."""
    return say("not among the answers read") if unread else say("not on file")
