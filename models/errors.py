"""The errors of models.

    ModelError
    |-- ArtifactError       a model folder is missing, incomplete, altered or of another schema
    |-- SchemaMismatch      a feature vector was built for another schema than the model's
    |-- FeatureValueError   a raw value that the feature's transform rejects (NaN, text, a boolean of 2)
    |-- SurveyDataError     survey tables that cannot be read, or a required table is missing
    |-- LabelsError         local labels or charts are too few or malformed

Callers catch `ModelError`: a failed score must never suppress a safety finding.
Each message says what was expected, what was found and what to do, without patient data.
"""

from __future__ import annotations

from functools import partial

RETRAIN = "train again with `mhcds train`, or restore the folder from the release"
"""The remedy for most of what can be wrong with a model folder."""


class ModelError(Exception):
    """A model cannot be used. The message says what was expected, what was found and what to do."""

    def __init__(self, *, expected: str, found: str, remedy: str) -> None:
        self.expected = expected
        self.found = found
        self.remedy = remedy
        super().__init__(f"expected {expected}; found {found}; {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        """Keeps its parts on the way back from a training process."""
        return partial(type(self), expected=self.expected, found=self.found, remedy=self.remedy), ()


class ArtifactError(ModelError):
    """A model folder is missing, incomplete, altered, or does not fit this version of the code."""


class SchemaMismatch(ModelError):
    """A feature vector was built for another schema than the model's."""


class FeatureValueError(ModelError):
    """A raw value that the feature's transform rejects."""


class SurveyDataError(ModelError):
    """Survey tables are missing or unreadable, so nothing can be trained or evaluated."""


class LabelsError(ModelError):
    """Local data that is too little or malformed for recalibration or the drift check."""
