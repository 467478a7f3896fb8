"""What can go wrong with a model, each as a type of its own.

    ModelError
    |-- ArtifactError       a folder of a trained model is missing, incomplete, altered or of another schema
    |-- SchemaMismatch      a feature vector was built for another schema than the model's
    |-- FeatureValueError   a raw value that no feature transform accepts (NaN, a text, a boolean that is 2)
    |-- SurveyDataError     survey tables that cannot be read, or the two that nothing works without
    |-- LabelsError         local labels or charts that are too few, or not of the shape that is asked for

Callers catch `ModelError`: a score that fails must never take a safety finding with it.
Each message says what was expected, what was found and what to do; none carries a value of a patient.
"""

from __future__ import annotations

from functools import partial


class ModelError(Exception):
    """A model cannot be used. The message says what was expected, what was found and what to do."""

    def __init__(self, *, expected: str, found: str, remedy: str) -> None:
        self.expected = expected
        self.found = found
        self.remedy = remedy
        super().__init__(f"expected {expected}; found {found}; {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        """So that it comes back whole from the process that trained."""
        return partial(type(self), expected=self.expected, found=self.found, remedy=self.remedy), ()


class ArtifactError(ModelError):
    """A model folder is missing, incomplete, altered, or does not fit this version of the code."""


class SchemaMismatch(ModelError):
    """A feature vector belongs to another schema than the model that should score it."""


class FeatureValueError(ModelError):
    """A raw value that the feature's transform cannot take."""


class SurveyDataError(ModelError):
    """Survey tables are missing or unreadable, so nothing can be trained or evaluated."""


class LabelsError(ModelError):
    """Local data that is too little or not of the shape that recalibration and the check of the input mix need."""
