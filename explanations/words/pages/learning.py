"""How often a prompt is right at a site, for the module that clinicians read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from explanations.words.estimates.outcomes import OUTCOME_WORDS
from explanations.words.language import Language, capitalised


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredHere:
    """One model at a site. ppv: of those flagged who have an outcome, with its 95 % interval; None: not measured."""

    outcome: str
    ppv: tuple[float, float, float] | None = None
    since: date | None = None
    last: date | None = None


def measured_words(measured: Iterable[MeasuredHere], say: Language) -> tuple[str, ...]:
    """One sentence for each model."""
    return tuple(_words(one, say) for one in measured)


def _words(one: MeasuredHere, say: Language) -> str:
    estimated = say(OUTCOME_WORDS[one.outcome].estimated)
    if one.ppv is None or one.since is None or one.last is None:
        # Translators: {estimated} as in "Current depressive symptoms (PHQ-9 of 10 or more)".
        return say("{estimated}: not measured here.", estimated=capitalised(estimated))
    count, low, high = (round(100 * share) for share in one.ppv)
    return say(
        "Of 100 people flagged here for {estimated} and then asked, about {count} reported them (range {low} to "
        "{high}; {since} to {last}).",
        estimated=estimated, count=count, low=low, high=high, since=say.day(one.since), last=say.day(one.last),
    )  # fmt: skip
