"""The card topics, one row each: names, advice and override reasons.

Checked at import: a topic without a row is an error. The order is that of `Topic`; the indicator follows the finding's
urgency (rule R14).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from explanations.judgement.assessment import Assessment
from explanations.words.findings.statements import Statement
from explanations.words.language import later
from explanations.words.notices.could_not_assess import could_not_assess
from explanations.words.notices.depression import follow_up
from explanations.words.notices.notice import Notice, NoticeSettings
from explanations.words.notices.safety import anomaly_notice, safety_notice
from models.rules.findings import SafetyFinding, Topic, Urgency


class Hl7Reason(StrEnum):
    """HL7's non-adherence-reason-codes (CDS Hooks 3.0 ballot, trial use) that ours map to."""

    ACTION_COMPLETED = "action-completed"
    NOT_APPLICABLE = "cds-not-applicable"
    INAPPROPRIATE_RECIPIENT = "inappropriate-recipient"
    SUBOPTIMAL_CONTEXT = "cds-suboptimal-context"
    PATIENT_REFUSES = "patient-refuses"
    NOT_TRUSTED = "recipient-does-not-trust"


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideReason:
    """Why a card is not acted on. The code is static: sites store it.

    hl7: None if nothing is declined (someone will ask, or is asking), or if our data is at fault.
    """

    code: str
    display: str
    hl7: Hl7Reason | None


# Takes the assessment, the topic's findings, their statements, the settings, and the row's advice.
Maker = Callable[[Assessment, list[SafetyFinding], list[Statement], NoticeSettings, tuple[str, ...]], Notice]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """One topic.

    notice: makes the notice from findings; None: a model prompts it. name: the display of its static code. word: its
    urgency on a page, in a word or two. consider: advice; empty if it depends on the findings. overrides: three to
    five.
    """

    topic: Topic
    notice: Maker | None
    name: str
    word: str
    consider: tuple[str, ...]
    overrides: tuple[OverrideReason, ...]


def _done(code: str, display: str) -> OverrideReason:
    return OverrideReason(code=code, display=display, hl7=Hl7Reason.ACTION_COMPLETED)


def _wrong(code: str, display: str) -> OverrideReason:
    return OverrideReason(code=code, display=display, hl7=Hl7Reason.NOT_APPLICABLE)


def _not_theirs(code: str, display: str) -> OverrideReason:
    return OverrideReason(code=code, display=display, hl7=Hl7Reason.INAPPROPRIATE_RECIPIENT)


def _not_now(display: str) -> OverrideReason:
    return OverrideReason(code="not-now", display=display, hl7=Hl7Reason.SUBOPTIMAL_CONTEXT)


def _refused(code: str, display: str) -> OverrideReason:
    return OverrideReason(code=code, display=display, hl7=Hl7Reason.PATIENT_REFUSES)


def _declines_nothing(code: str, display: str) -> OverrideReason:
    return OverrideReason(code=code, display=display, hl7=None)


TOPICS = (
    TopicSpec(
        topic=Topic.ACUTE_SAFETY,
        notice=safety_notice,
        name=later("Acute safety"),
        word=later("Acute"),
        consider=(
            later("Stay with the patient; full safety evaluation today"),
            later("Make a safety plan; discuss access to means"),
        ),
        overrides=(
            _declines_nothing("under-way", later("Safety evaluation done or under way today")),
            _wrong("with-crisis-team", later("Patient is already with the crisis team")),
            _wrong("entered-in-error", later("Entry was recorded in error")),
            _not_theirs("not-treating", later("Not the treating clinician; handed over")),
        ),
    ),
    TopicSpec(
        topic=Topic.POSITIVE_SAFETY_ANSWER,
        notice=safety_notice,
        name=later("Positive safety answer"),
        word=later("Ask"),
        consider=(
            later("Ask directly; a screener such as the C-SSRS or ASQ can follow"),
            later("If confirmed: safety plan, access to means, follow-up date"),
        ),
        overrides=(
            _done("assessed", later("Assessed; documented in my note")),
            _declines_nothing("will-assess", later("Will ask during this visit")),
            _wrong("entered-in-error", later("Entry was recorded in error")),
            _not_now(later("Not appropriate at this visit")),
        ),
    ),
    TopicSpec(
        topic=Topic.RECENT_SAFETY,
        notice=safety_notice,
        name=later("Recent safety event"),
        word=later("Ask again"),
        consider=(
            later("Reassess; make or review the safety plan; discuss access to means"),
            later("Agree on the next contact before the visit ends"),
        ),
        overrides=(
            _done("assessed-elsewhere", later("Reassessed elsewhere; not in this chart")),
            _declines_nothing("will-assess", later("Will ask during this visit")),
            _wrong("wrong-event", later("Entry is wrong or belongs to another patient")),
            _not_now(later("Not appropriate at this visit")),
        ),
    ),
    TopicSpec(
        topic=Topic.DATA_ANOMALY,
        notice=anomaly_notice,
        name=later("Data anomaly"),
        word=later("Check data"),
        consider=(later("Check the source; no estimate was made"),),
        overrides=(
            _done("corrected", later("Corrected at the source")),
            _declines_nothing("known", later("Known; does not matter here")),
            _not_theirs("not-mine", later("Not mine to correct")),
        ),
    ),
    TopicSpec(
        topic=Topic.DEPRESSION_FOLLOW_UP,
        notice=follow_up,
        name=later("Depression follow-up"),
        word=later("Follow up"),
        consider=(),
        overrides=(
            _done("reviewed", later("Followed up; documented in my note")),
            _done("elsewhere", later("Followed up elsewhere")),
            _refused("declines", later("Patient declines")),
            _not_now(later("Not at this visit; ask again later")),
        ),
    ),
    TopicSpec(
        topic=Topic.SCREENING_PROMPT,
        notice=None,
        name=later("Screening prompt"),
        word=later("Prompt"),
        consider=(),
        overrides=(
            _done("screened", later("Screened already; not in this chart")),
            _wrong("known-managed", later("Depression known and managed")),
            _refused("declines", later("Patient declines")),
            OverrideReason(
                code="estimate-wrong",
                display=later("The reasons do not fit this patient"),
                hl7=Hl7Reason.NOT_TRUSTED,
            ),
            _not_now(later("Not at this visit; ask again later")),
        ),
    ),
    TopicSpec(
        topic=Topic.COULD_NOT_ASSESS,
        notice=could_not_assess,
        name=later("Could not assess"),
        word=later("Not assessed"),
        consider=(later("Ask directly"), later("Look at the source in the chart")),
        overrides=(
            _done("asked", later("Asked; documented in my note")),
            _refused("declined", later("Patient declined to answer")),
            _not_now(later("Not at this visit")),
        ),
    ),
)
SPEC_OF = {spec.topic: spec for spec in TOPICS}
# How urgency is shown: the indicator of a card, and the edge on a page.
INDICATORS = {Urgency.ACUTE: "critical", Urgency.PROMPT: "warning", Urgency.NOTE: "info"}
EDGES = {Urgency.ACUTE: "acute", Urgency.PROMPT: "warning", Urgency.NOTE: "info"}
if tuple(SPEC_OF) != tuple(Topic):
    raise LookupError(f"expected one row a topic, in their order: {', '.join(Topic)}")
HL7_REASONS = {reason.code: reason.hl7 for spec in TOPICS for reason in spec.overrides}
