"""A clinician's opinion of an estimate: useful, wrong and why, or a near miss. Codes and one encrypted sentence.

Opinions are recorded and counted; they never change what is shown (rule R17).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from explanations.judgement.assessment import Assessment
from explanations.words.estimates.outcomes import OUTCOME_WORDS
from explanations.words.language import Language, later
from models.inputs.outcomes import OUTCOMES
from models.scoring.risk import NotScored
from smart_launch.errors import Forbidden

NEAR_MISS = "near-miss"
CHOICES = ("useful", "wrong", NEAR_MISS)
REASON_WORDS = {
    "known-already": later("Already known and managed"),
    "inputs-wrong": later("The chart data are wrong"),
    "inputs-old": later("The chart data are out of date"),
    "not-this-patient": later("Belongs to another patient"),
    "reasons-do-not-fit": later("The reasons do not fit this patient"),
    "other": later("Something else"),
}
MOST_COMMENT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class OpinionTopic:
    """What an opinion may be about: code and label."""

    code: str
    words: str


def opinion_topics(assessment: Assessment, say: Language) -> tuple[OpinionTopic, ...]:
    """The outcomes with an estimate, and the page itself."""
    scored = [score.outcome for score in assessment.scores if not isinstance(score, NotScored)]
    estimates = (OpinionTopic(code=code, words=say(OUTCOME_WORDS[code].estimate)) for code in scored)
    return (*estimates, OpinionTopic(code="page", words=say("This page")))


def opinion_reasons(say: Language) -> tuple[tuple[str, str], ...]:
    """Why an estimate may be wrong, as (code, label)."""
    return tuple((code, say(words)) for code, words in REASON_WORDS.items())


def opinion(form: Mapping[str, str], seal: Callable[[str], bytes]) -> dict[str, str]:
    """The fields to record. Raises Forbidden for a choice that the page does not offer."""
    outcome, choice, reason = form.get("outcome", ""), form.get("choice", ""), form.get("reason", "")
    if outcome not in (*OUTCOMES, "page") or choice not in CHOICES or reason not in ("", *REASON_WORDS):
        raise Forbidden("opinion: expected one of the choices of the page", "form-refused", 400)
    fields = {"outcome": outcome, "choice": choice}
    if reason:
        fields["reason"] = reason
    comment = form.get("comment", "").strip()[:MOST_COMMENT]
    if comment:
        fields["comment"] = seal(comment).decode()
    return fields
