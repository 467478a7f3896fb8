"""What can be wrong with an entry of the chart: values, said in `explanations.words.findings.anomalies`."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class AnomalyKind(StrEnum):
    """The kinds of anomalies, as `mhcds assess --format json` prints them."""

    FUTURE_DATE = "future-date"
    OUT_OF_RANGE = "out-of-range"
    CONTRADICTION = "contradiction"
    AFTER_DEATH = "after-death"
    WRONG_PATIENT = "wrong-patient"
    UNIT = "unit"
    UNMAPPED_CODE = "unmapped-code"


class Flaw(StrEnum):
    """What exactly is wrong with an entry, each with its kind and whether it stops the models (rule R11)."""

    kind: AnomalyKind
    stops_model: bool

    def __new__(cls, value: str, kind: AnomalyKind, stops_model: bool) -> Self:  # one row a member
        """A member whose value is the id alone."""
        member = str.__new__(cls, value)
        member._value_, member.kind, member.stops_model = value, kind, stops_model
        return member

    # Of a form (`FormAnomaly`).
    FORM_IN_FUTURE = "form-in-future", AnomalyKind.FUTURE_DATE, True
    TOTAL_UNREADABLE = "total-unreadable", AnomalyKind.OUT_OF_RANGE, True
    TOTAL_OFF_SCALE = "total-off-scale", AnomalyKind.OUT_OF_RANGE, True
    TOTAL_UNLIKE_ANSWERS = "total-unlike-answers", AnomalyKind.CONTRADICTION, True
    ANSWER_OFF_SCALE = "answer-off-scale", AnomalyKind.OUT_OF_RANGE, True
    ANSWER_CONTRADICTS = "answer-contradicts", AnomalyKind.CONTRADICTION, True
    QUESTION_CONTRADICTS = "question-contradicts", AnomalyKind.CONTRADICTION, True
    SELF_HARM_UNDER_OTHER_CODE = "self-harm-under-other-code", AnomalyKind.CONTRADICTION, True
    FORMS_DISAGREE = "forms-disagree", AnomalyKind.CONTRADICTION, True
    # Of a coded event (`EventAnomaly`), of the death, of a risk assessment, of an encounter.
    EVENT_IN_FUTURE = "event-in-future", AnomalyKind.FUTURE_DATE, True
    DEATH_NOT_MARKED = "death-not-marked", AnomalyKind.CONTRADICTION, True
    DEATH_IN_FUTURE = "death-in-future", AnomalyKind.FUTURE_DATE, True
    ANSWER_AFTER_DEATH = "answer-after-death", AnomalyKind.AFTER_DEATH, True
    ASSESSMENT_IN_FUTURE = "assessment-in-future", AnomalyKind.FUTURE_DATE, True
    VISIT_CLASS_UNKNOWN = "visit-class-unknown", AnomalyKind.UNMAPPED_CODE, False
    # Of a measured value (`ValueAnomaly`).
    VALUE_IN_FUTURE = "value-in-future", AnomalyKind.FUTURE_DATE, True
    VALUE_IS_BOUND = "value-is-bound", AnomalyKind.UNIT, False
    UNITS_DISAGREE = "units-disagree", AnomalyKind.UNIT, True
    UNIT_UNKNOWN = "unit-unknown", AnomalyKind.UNIT, True
    NOT_A_NUMBER = "not-a-number", AnomalyKind.OUT_OF_RANGE, True
    VALUE_OFF_RANGE = "value-off-range", AnomalyKind.OUT_OF_RANGE, True
    ANSWER_UNKNOWN = "answer-unknown", AnomalyKind.UNMAPPED_CODE, False
    # Of entries that were set aside (`ForeignEntries`).
    OF_OTHERS = "of-others", AnomalyKind.WRONG_PATIENT, True
    OF_NOBODY = "of-nobody", AnomalyKind.WRONG_PATIENT, True
    # A server that says it did not search by patient: we filter ourselves, and the chart is not in doubt.
    UNFILTERED = "unfiltered", AnomalyKind.WRONG_PATIENT, False
