"""The gravest notice's facts for the top of a page: its result and the one before, and what was done since."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from explanations.judgement.assessment import Assessment
from explanations.judgement.regions import Region
from explanations.judgement.timeline import Point, timeline_of
from fhir_adapters.facts import PatientRecord
from fhir_adapters.instruments import Band, Instrument
from models.rules.discharge import UNSURE, NotCounted, Step, StepEntry, StepKind
from models.rules.findings import Kind, SafetyFinding

# On file, but not what is looked for. An appointment of today is mostly this visit; others have another purpose.
NOT_LOOKED_FOR = (
    NotCounted.NOT_UNDERSTOOD, NotCounted.NOT_BEGUN, NotCounted.NOT_IN_FORCE, NotCounted.PENDING, NotCounted.TOO_FAR,
)  # fmt: skip


class Standing(StrEnum):
    """How a step stands to a finding, in the order in which it is said."""

    SINCE = "since"
    SAME_DAY = "same-day"
    UNSURE = "unsure"
    OVERTAKEN = "overtaken"  # later than the finding, but another finding is later still
    NOT_LOOKED_FOR = "not-looked-for"
    NONE = "none"
    UNREAD = "unread"
    MAY_BE_UNREAD = "may-be-unread"  # entries that may hold it were not understood, so absence is not claimed (R18)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestResult:
    """A result with a total, the one before on the same scale, and all of that scale with a place in time.

    band: the published name of the total's band, where the region shows it. unread: some answers of the chart may be
    unread (R18).
    """

    point: Point
    band: Band | None
    before: Point | None
    course: tuple[Point, ...]
    unread: bool = False


def result_of(chart: PatientRecord, finding: SafetyFinding | None, region: Region) -> LatestResult | None:
    """The result that a finding rests on, without a finding the last PHQ-9; None where there is no total.

    Of a total that is followed up, the last result of its day, which the finding's headline names.
    """
    instrument = finding.form.instrument if finding and finding.form else Instrument.PHQ9
    if (finding and finding.form is None) or not instrument.spec.bands:
        return None
    timeline = timeline_of(chart, instrument)
    course = tuple(point for point in timeline.placed if point.total is not None)
    names = (*finding.form.references, finding.form.total_reference) if finding and finding.form else ()
    total = finding if finding and finding.kind is Kind.DEPRESSION_TOTAL else None
    day = total.when.day if total and total.when and total.when.exact else None
    own = [place for place, point in enumerate(course) if not names or point.reference in names or point.day == day]
    if not own:
        return None
    point = course[own[-1]]
    return LatestResult(
        point=point,
        band=instrument.spec.band(point.total or 0) if region.bands else None,
        before=course[own[-1] - 1] if own[-1] else None,
        course=course,
        unread=timeline.unread,
    )


def leading(assessment: Assessment, topic: str) -> SafetyFinding | None:
    """The first finding of a topic; None where a model prompts it."""
    return next((finding for finding in assessment.findings if finding.topic == topic), None)


def standing(step: Step, finding: SafetyFinding) -> tuple[Standing, StepEntry | None]:
    """How a step stands to a finding, and the entry that shows it."""
    if step.done is not None:
        return Standing.SINCE, step.done
    if step.unread:
        return Standing.UNREAD, None
    for entry in step.seen:
        if entry.not_counted in UNSURE:
            return Standing.UNSURE, entry
    for entry in step.seen:
        later = entry.when and finding.when and entry.when.day > finding.when.day
        if later and entry.not_counted in (NotCounted.BEFORE, NotCounted.BEFORE_ONSET):
            return Standing.OVERTAKEN, entry
        if entry.not_counted in NOT_LOOKED_FOR:
            return Standing.NOT_LOOKED_FOR, entry
    # A psychosocial assessment is known by its name alone.
    maybe = step.kind is StepKind.PSYCHOSOCIAL or (step.kind is StepKind.RISK_ASSESSMENT and finding.partly_searched)
    return (Standing.MAY_BE_UNREAD if maybe else Standing.NONE), None
