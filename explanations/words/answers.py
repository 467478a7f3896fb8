"""Answers to screening questions, and what the questions are called. Their wording is not reproduced: licences."""

from __future__ import annotations

from explanations.words.language import Language, later
from explanations.words.tables import complete
from fhir_adapters.codesets.instruments import NINE_ITEM_PHQ, TITLES
from fhir_adapters.facts import AnswerState, Instrument, ItemAnswer

# Answers to an item of the PHQ, by score.
FREQUENCY = (later("not at all"), later("several days"), later("more than half the days"), later("nearly every day"))
STATES = complete(
    {
        AnswerState.ANSWERED: later("answered"),
        AnswerState.DECLINED: later("declined"),
        AnswerState.BLANK: later("blank"),
        AnswerState.UNREADABLE: later("unreadable"),
    },
    AnswerState,
)
# Translators: names of questions stand in a list, or after that of a form: "C-SSRS question 4 (intent): yes".
QUESTIONS = {
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
    "q6": later("question 6 (behaviour)"),
    "q6_recent": later("question 6 (behaviour, past 3 months)"),
    "level": later("overall result"),
}


def question(item: str, say: Language, instrument: Instrument | None = None) -> str:
    """What a question is called: `question 4`, of the C-SSRS `question 4 (intent)`; of a graded form `item 9`."""
    names = CSSRS_QUESTIONS if instrument is Instrument.CSSRS else QUESTIONS
    return say(names[item]) if item in names else say("item {item}", item=item)


def item_words(answer: ItemAnswer, instrument: Instrument, say: Language) -> str:
    """`PHQ-9 item 9: 1 of 3, several days`."""
    said = answer_words(answer, instrument, say)
    return say("{title} item {item}: {answer}", title=TITLES[instrument], item=answer.item, answer=said)


def answer_words(answer: ItemAnswer, instrument: Instrument, say: Language) -> str:
    """An answer as it can be said: 1 of 3, several days; yes; declined."""
    if answer.score is not None and instrument in NINE_ITEM_PHQ:
        return say("{score} of 3, {frequency}", score=answer.score, frequency=say(FREQUENCY[answer.score]))
    if answer.score is not None:
        return say("{score} of 3", score=answer.score)
    if answer.yes is not None:
        return say("yes") if answer.yes else say("no")
    return say(STATES[answer.state])
