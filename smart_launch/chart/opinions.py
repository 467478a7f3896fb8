"""What a clinician says about an estimate: useful, wrong and why, or a near miss. Codes and one sealed sentence.

Recorded and counted; it never changes what is shown (rule R17).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from explanations.words.language import later
from models.inputs.outcomes import OUTCOMES
from smart_launch.errors import NotAllowed

CHOICES = ("useful", "wrong", "near-miss")
REASON_WORDS = {
    "known-already": later("Known and cared for already"),
    "inputs-wrong": later("The chart’s data is wrong"),
    "inputs-old": later("The chart’s data is out of date"),
    "not-this-patient": later("Belongs to another patient"),
    "reasons-do-not-fit": later("The reasons do not fit this patient"),
    "other": later("Something else"),
}
REASONS = tuple(REASON_WORDS)
MOST_COMMENT = 1000


def opinion(form: Mapping[str, str], seal: Callable[[str], bytes]) -> dict[str, str]:
    """The fields for the record. Raises NotAllowed for what the page does not offer."""
    outcome, choice, reason = form.get("outcome", ""), form.get("choice", ""), form.get("reason", "")
    if outcome not in (*OUTCOMES, "page") or choice not in CHOICES or reason not in ("", *REASONS):
        raise NotAllowed("opinion: expected one of the choices of the page", "form-refused", 400)
    said = {"outcome": outcome, "choice": choice}
    if reason:
        said["reason"] = reason
    comment = form.get("comment", "").strip()[:MOST_COMMENT]
    if comment:
        said["comment"] = seal(comment).decode()
    return said
