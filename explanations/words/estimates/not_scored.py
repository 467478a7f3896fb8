"""Why there is no estimate of an outcome, and why an input has no usable value."""

from __future__ import annotations

from collections.abc import Iterable

from explanations.words.estimates.inputs import input_name
from explanations.words.estimates.outcomes import OUTCOME_WORDS
from explanations.words.language import Language, later
from explanations.words.tables import complete
from fhir_adapters.facts import AnswerState
from models.inputs.features import MissingReason
from models.scoring.risk import NotScored, NotScoredReason

SILENCED = {NotScoredReason.ANSWERED: AnswerState.ANSWERED, NotScoredReason.UNREADABLE: AnswerState.UNREADABLE}
REASONS = complete(
    {
        NotScoredReason.DECEASED: later("The patient is recorded as deceased."),
        NotScoredReason.AGE_UNKNOWN: later(
            "Age is not known. The models were trained on adults, so no estimate is made."
        ),
        NotScoredReason.UNDER_AGE: later("The models were trained on adults; no estimate is made under 18."),
        NotScoredReason.OPTED_OUT: later("The patient has opted out."),
        NotScoredReason.CONSENT_DENIED: later("A consent on file denies this use."),
        NotScoredReason.CONSENT_UNKNOWN: later("The patient’s consent could not be read."),
        NotScoredReason.DATA_UNKNOWN: later("Needed parts of the chart could not be read."),
        NotScoredReason.DATA_UNREADABLE: later("Chart entries that may hold an answer could not be read."),
        NotScoredReason.DATA_ANOMALY: later(
            "Chart data contradict each other or are not this patient’s. Check the source first."
        ),
        NotScoredReason.SEX_UNKNOWN: later(
            "Gender is not known. The models were trained on adults recorded as female or male, so no estimate is made."
        ),
        NotScoredReason.SEX_NOT_MODELLED: later(
            "The record gives a gender other than female or male. The models were trained on adults recorded as "
            "female or male, so no estimate is made."
        ),
        NotScoredReason.TOO_LITTLE_DATA: later("Only age and sex are on record."),
        NotScoredReason.OUTSIDE_TRAINING_RANGE: later(
            "A recorded value is outside the range the model was trained on: {inputs}."
        ),
        NotScoredReason.OUT_OF_TIME: later("Time for an answer ran out; the rules still apply."),
        NotScoredReason.MODEL_UNAVAILABLE: later("The model could not be loaded; the rules still apply."),
        NotScoredReason.MODEL_FAILED: later("The model could not score this record; the rules still apply."),
        NotScoredReason.NOT_EXPLAINED: later("The estimate could not be explained exactly."),
        NotScoredReason.DISCHARGE: later("No estimate is made at discharge; only documented answers are read."),
        NotScoredReason.SILENT: later("The model runs silently at this site: its estimates are recorded, not shown."),
        NotScoredReason.NOT_IN_PILOT: later(
            "The model is in a pilot at this site, and this user and patient are not in it; estimates are recorded, "
            "not shown."
        ),
        NotScoredReason.NOT_IN_TRIAL: later(
            "The model is in a trial at this site, and this visit is not part of it; estimates are recorded, not shown."
        ),
        NotScoredReason.TRIAL_NOT_RUNNING: later(
            "The model is for a trial at this site that is not running now; estimates are recorded, not shown."
        ),
        NotScoredReason.TRIAL_NOT_READ: later(
            "The model is in a trial at this site, and whether it may speak in it could not be read; estimates are "
            "recorded, not shown."
        ),
        NotScoredReason.NOT_APPROVED: later(
            "The model is not approved at this site; its estimates are recorded, not shown."
        ),
        NotScoredReason.APPROVAL_EXPIRED: later(
            "The model’s approval at this site has ended; its estimates are recorded, not shown."
        ),
        NotScoredReason.APPROVED_OTHER: later(
            "The model’s approval at this site is for another version or another use; its estimates are recorded, not "
            "shown."
        ),
        NotScoredReason.OFF: later("The model is turned off at this site; the rules still apply."),
        NotScoredReason.SWITCHED_OFF: later("The model was switched off at this site; the rules still apply."),
        NotScoredReason.CONTROL_UNKNOWN: later(
            "Whether the model may be used at this site could not be read; the rules still apply."
        ),
    },
    set(NotScoredReason) - set(SILENCED),
)
MISSING = complete(
    {
        # Translators: why inputs of a model have no value; a list of them follows, after a colon.
        MissingReason.NOT_ON_FILE: later("not on file"),
        MissingReason.TOO_OLD: later("too old to use"),
        MissingReason.NO_UNIT: later("unit not recorded"),
        MissingReason.NO_DATE: later("date not recorded"),
        MissingReason.NOT_MODELLED: later("recorded, but unknown to the models"),
    },
    MissingReason,
)


def not_scored_words(score: NotScored, say: Language) -> str:
    """Why there is no estimate, in one sentence."""
    silencing = SILENCED.get(score.reason)
    if silencing is not None:
        return say(OUTCOME_WORDS[score.outcome].silenced[silencing])
    if score.needed is not None:
        return say(
            "Too little is on record: age, sex and either {needed} further inputs or both PHQ-2 answers are needed; "
            "{known} further inputs are known.",
            needed=score.needed,
            known=score.known,
        )
    return say(REASONS[score.reason], inputs=", ".join(input_name(name, say) for name in score.outside))


def missing_lines(missing: Iterable[tuple[str, str]], say: Language) -> list[str]:
    """(name, reason) pairs as one line per reason: `not on file: alcohol, asthma`."""
    names: dict[str, list[str]] = {}
    for name, reason in missing:
        names.setdefault(reason, []).append(input_name(name, say))
    return [
        # Translators: why inputs have no value, and which: "not on file: alcohol, asthma".
        say("{reason}: {inputs}", reason=reason, inputs=", ".join(dict.fromkeys(listed)))
        for reason, listed in names.items()
    ]
