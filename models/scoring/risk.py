"""The result of a model: a score with its contributions, or the reason why there is none.

Values only. The numbers come from `scoring`; wording and order of reasons belong to `explanations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class RiskBand(StrEnum):
    """A probability against the threshold in force. Below it is no reassurance."""

    AT_OR_ABOVE_THRESHOLD = "at-or-above-threshold"
    BELOW_THRESHOLD = "below-threshold"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskScore:
    """A calibrated estimate that the outcome is present now, with its contributions.

    probability: in [0, 1]; low and high: the interval around it meant to hold NOMINAL_COVERAGE of the true calibrations
    of new populations. log_odds: the probability's logit. base_log_odds: the model's output without any input.
    contributions: calibrated log-odds, one per feature in schema order, missing inputs included;
    base_log_odds plus their sum equals log_odds within 1e-5. bins: a character an input in schema order, the bin of its
    training distribution as 0 to 9, `-` where it is not known, `?` where the artifact has no bins of it. threshold:
    probability, in (0, 1).
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
    bins: str = ""

    @property
    def model(self) -> str:
        """The model behind it, such as `depression 2.0.0`."""
        return f"{self.outcome} {self.model_version}"


class NotScoredReason(StrEnum):
    """Why there is no score. The values are stable: they appear in audit rows and JSON."""

    DECEASED = "deceased"
    AGE_UNKNOWN = "age-unknown"
    UNDER_AGE = "under-age"
    OPTED_OUT = "opted-out"
    CONSENT_DENIED = "consent-denied"
    CONSENT_UNKNOWN = "consent-unknown"
    DATA_UNKNOWN = "data-unknown"  # needed parts of the chart could not be read
    DATA_UNREADABLE = "data-unreadable"  # entries that may hold an answer
    DATA_ANOMALY = "data-anomaly"
    ANSWERED = "answered"  # a documented answer replaces the model (R12)
    UNREADABLE = "unreadable"  # such an answer exists but cannot be read
    SEX_UNKNOWN = "sex-unknown"
    SEX_NOT_MODELLED = "sex-not-modelled"  # recorded as neither female nor male
    TOO_LITTLE_DATA = "too-little-data"
    OUTSIDE_TRAINING_RANGE = "outside-training-range"
    OUT_OF_TIME = "out-of-time"
    MODEL_UNAVAILABLE = "model-unavailable"
    MODEL_FAILED = "model-failed"
    NOT_EXPLAINED = "not-explained"  # contributions that do not add up to the score
    DISCHARGE = "discharge"  # no model runs at discharge
    # The site's own decisions (cds_service/control). With the first eight the model ran, for the record alone.
    SILENT = "silent"
    NOT_IN_PILOT = "not-in-pilot"
    NOT_IN_TRIAL = "not-in-trial"  # no clinic of the protocol, or no known clinician; the silent arm is `silent`
    TRIAL_NOT_RUNNING = "trial-not-running"  # before its first day, after its last, or a protocol not as recorded
    TRIAL_NOT_READ = "trial-not-read"  # the arm could not be read or written
    NOT_APPROVED = "not-approved"
    APPROVAL_EXPIRED = "approval-expired"
    APPROVED_OTHER = "approved-other"  # the approval is for another artifact of this model, or for another use
    OFF = "off"
    SWITCHED_OFF = "switched-off"
    CONTROL_UNKNOWN = "control-unknown"  # modes and switches could not be read


@dataclass(frozen=True, slots=True, kw_only=True)
class NotScored:
    """Why there is no score. Absence of a score is a result, not a zero.

    missing: names of the features that would help. outside: names of the features with values outside the training
    range. known, needed: the number of inputs beyond the required ones, actual and minimal, where that is the reason.
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
    """Site thresholds as probabilities in (0, 1), by outcome; the default is the model's.

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
