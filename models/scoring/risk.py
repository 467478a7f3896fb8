"""What a model answers: a score with its parts, or the reason why there is none.

Values only. The numbers come from `scoring`; wording and order of reasons belong to `explanations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class RiskBand(StrEnum):
    """Where a probability stands against the threshold in force. Being below says nothing reassuring."""

    AT_OR_ABOVE_THRESHOLD = "at-or-above-threshold"
    BELOW_THRESHOLD = "below-threshold"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskScore:
    """A calibrated estimate that the outcome is present now, and what made it up.

    probability: in [0, 1]; low and high: the interval around it that is meant to hold NOMINAL_COVERAGE of the right
    calibrations of places that the model never met. log_odds: the probability's logit. base_log_odds: what the model
    says before it knows anything of anyone.
    contributions: calibrated log-odds, one per feature in schema order, missing inputs included;
    base_log_odds plus their sum equals log_odds within 1e-5. threshold: probability, in (0, 1).
    """

    outcome: str
    probability: float
    low: float
    high: float
    log_odds: float
    base_log_odds: float
    contributions: tuple[float, ...]
    threshold: float
    band: RiskBand
    model_version: str
    schema_id: str


class NotScoredReason(StrEnum):
    """Why no score is given. The values are stable: audit rows and JSON hold them."""

    DECEASED = "deceased"
    AGE_UNKNOWN = "age-unknown"
    UNDER_AGE = "under-age"
    OPTED_OUT = "opted-out"
    CONSENT_DENIED = "consent-denied"
    CONSENT_UNKNOWN = "consent-unknown"
    DATA_UNKNOWN = "data-unknown"  # needed parts of the chart could not be read
    DATA_UNREADABLE = "data-unreadable"  # entries that may hold an answer
    DATA_ANOMALY = "data-anomaly"
    ANSWERED = "answered"  # a documented answer speaks in place of the model (R12)
    UNREADABLE = "unreadable"  # such an answer is there and cannot be read
    TOO_LITTLE_DATA = "too-little-data"
    OUTSIDE_TRAINING_RANGE = "outside-training-range"
    OUT_OF_TIME = "out-of-time"
    MODEL_UNAVAILABLE = "model-unavailable"
    MODEL_FAILED = "model-failed"
    NOT_EXPLAINED = "not-explained"  # contributions that do not add up to the score
    DISCHARGE = "discharge"  # no model is asked there


@dataclass(frozen=True, slots=True, kw_only=True)
class NotScored:
    """Why no score is given. Absence of a score is an answer, not a zero.

    missing: names of the features that would help. outside: names of the features whose values lie outside the range
    trained on. known, needed: how many inputs beyond the required ones there are, and should be, where that is why.
    """

    outcome: str
    reason: NotScoredReason
    missing: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    known: int | None = None
    needed: int | None = None


class _Thresholded(Protocol):
    @property
    def outcome(self) -> str: ...
    @property
    def default_threshold(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BandThresholds:
    """Site thresholds as probabilities in (0, 1), by outcome; where there is none, that of the model stands.

    Raises ValueError for a threshold outside (0, 1).
    """

    by_outcome: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for outcome, value in self.by_outcome.items():
            if not 0 < value < 1:
                raise ValueError(
                    f"threshold {outcome} must be a probability between 0 and 1, both excluded; found {value}"
                )

    def threshold_for(self, model: _Thresholded) -> float:
        """The site's threshold for this model's outcome, else the model's own."""
        return self.by_outcome.get(model.outcome, model.default_threshold)


def band(probability: float, threshold: float) -> RiskBand:
    """At or above the threshold, or below it. A higher threshold never raises a band."""
    return RiskBand.AT_OR_ABOVE_THRESHOLD if probability >= threshold else RiskBand.BELOW_THRESHOLD


def shares(probability: float, high: float) -> tuple[int, int]:
    """How many figures of a hundred are solid, and up to which number they are striped."""
    if not (0 <= probability <= 1 and 0 <= high <= 1):
        raise ValueError("expected probabilities between 0 and 1")
    solid = round(100 * probability)
    return solid, max(solid, round(100 * high))
