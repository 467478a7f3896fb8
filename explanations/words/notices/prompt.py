"""The notice of a model: that asking is worthwhile, why, and what is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from explanations.judgement.assessment import Assessment
from explanations.judgement.rationale import Explanation
from explanations.words.estimates.not_scored import MISSING, missing_lines
from explanations.words.estimates.outcomes import OUTCOME_WORDS
from explanations.words.language import Language, capitalised, later
from explanations.words.lines import Line, LineRole
from explanations.words.notices.depression import last_phq9, last_words, reason_lines, without_total
from explanations.words.notices.notice import (
    CONSIDER_TODAY,
    Basis,
    BasisKind,
    Notice,
    NoticeSettings,
)
from explanations.words.notices.summaries import summary
from models.inputs.features import MissingReason
from models.inputs.outcomes import OUTCOME_SPECS
from models.rules.findings import Topic, Urgency
from models.rules.unread import answers_unread
from models.scoring.risk import RiskScore


def prompt(assessment: Assessment, settings: NoticeSettings) -> Notice:
    """The notice of an estimate at or above the threshold."""
    say = settings.say
    scores = assessment.prompting()
    explained = [next(e for e in assessment.explanations if e.outcome == s.outcome) for s in scores]
    reasons = [reason_lines(s, e, settings) for s, e in zip(scores, explained, strict=True)]
    pattern = say(
        "Chart data suggest asking about {outcomes} today (machine learning, not a diagnosis).",
        outcomes=_asked_about(scores, say),
    )
    last = last_phq9(assessment)
    if last is None:
        absent = later("No PHQ-9 on file. {pattern}")
        if without_total(assessment):
            absent = later("No complete PHQ-9 on file. {pattern}")
        none = later("No PHQ-9 was read. {pattern}") if answers_unread(assessment.chart) else absent
        long = say(none, pattern=pattern)
    else:
        latest = later("Last PHQ-9 {when}. {pattern}")
        if without_total(assessment):
            latest = later("Last complete PHQ-9 {when}. {pattern}")
        long = say(latest, pattern=pattern, when=last_words(assessment, last, say))
    return Notice(
        topic=Topic.SCREENING_PROMPT,
        urgency=Urgency.NOTE,
        summary=summary(Topic.SCREENING_PROMPT, say, (), (long, pattern)),
        heading=say("Main reasons"),
        chart=(*(line for lines in reasons for line in lines), *_missing_lines(assessment, explained, say)),
        consider=(say("PHQ-2 or PHQ-9; ask item 9 directly"),),
        consider_heading=say(CONSIDER_TODAY),
        basis=Basis(
            kind=BasisKind.MODEL,
            models=tuple(s.model for s in scores),
            known=explained[0].known,
            inputs=explained[0].inputs,
        ),
        crisis=any(OUTCOME_SPECS[s.outcome].concerns_safety for s in scores),
    )


def _missing_lines(assessment: Assessment, explained: list[Explanation], say: Language) -> list[Line]:
    """Inputs without a usable value, of the models that prompted, by reason."""
    inputs = {name for explanation in explained for name in explanation.missing}
    chart = assessment.chart
    unread = chart.unknown or chart.unreadable or chart.unheard
    reasons = MISSING | ({MissingReason.NOT_ON_FILE: later("not on file or not read")} if unread else {})
    missing = [(gap.name, say(reasons[gap.reason])) for gap in assessment.missing if gap.name in inputs]
    return [Line(text=capitalised(line), role=LineRole.REASON) for line in missing_lines(missing, say)]


def _asked_about(scores: Iterable[RiskScore], say: Language) -> str:
    """`depression and thoughts of self-harm`."""
    words = [say(OUTCOME_WORDS[score.outcome].ask_about) for score in scores]
    # Translators: two of what a clinician may ask about: "depression and thoughts of self-harm".
    return reduce(lambda first, second: say("{first} and {second}", first=first, second=second), words)
