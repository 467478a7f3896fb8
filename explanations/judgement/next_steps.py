"""What a finding calls for: the drafts that its card and its page offer, the one to begin with first.

One table for both. A newer or graver answer never offers less than an older or lesser one; at most two drafts a notice.
Values only; `words.notices.drafts` names them, `judgement.proposals` makes the resources.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from explanations.judgement.assessment import ADULT_YEARS
from explanations.judgement.proposals import DraftKind
from explanations.judgement.regions import DEFAULT_REGION, Region
from fhir_adapters.facts import AnswerState, ChartPart, PatientRecord
from fhir_adapters.instruments import NINE_ITEM_PHQ, SAFETY_ITEMS
from models.rules.discharge import CONTACT_DAYS, Step, StepKind
from models.rules.findings import SAFETY_TOPICS, Kind, SafetyFinding, Topic
from models.rules.timing import POSITIVE_DAYS

Drafts = tuple[DraftKind, ...]
ASSESSMENTS = (DraftKind.ASSESSMENT, DraftKind.PSYCHOSOCIAL)

TEEN_YEARS = 12
# No answer yet: it is asked for, and what follows depends on it.
TO_ASK = (Kind.UNREADABLE_ANSWER, Kind.DECLINED_ANSWER, Kind.UNHEARD)
# What stands in for a draft that is for adults, or for adults and teenagers (R9).
FOR_TEENS = {DraftKind.PHQ9: DraftKind.PHQ9M, DraftKind.PHQ9_COMPLETE: DraftKind.PHQ9M_COMPLETE}
FOR_CHILDREN = {
    DraftKind.PHQ9: DraftKind.PHQ9M,
    DraftKind.PHQ9_COMPLETE: DraftKind.ASSESSMENT,
    DraftKind.CSSRS: DraftKind.ASSESSMENT,
}
STEP_DRAFTS = {
    StepKind.RISK_ASSESSMENT: DraftKind.ASSESSMENT,
    StepKind.PSYCHOSOCIAL: DraftKind.PSYCHOSOCIAL,
    StepKind.APPOINTMENT: DraftKind.CONTACT,
}


def next_steps(
    topic: Topic, findings: Sequence[SafetyFinding], chart: PatientRecord, region: Region = DEFAULT_REGION
) -> Drafts:
    """The drafts of a topic with these findings; findings are empty where a model prompts it."""
    return region.offered(_at_age(kind, chart.age_years) for kind in _called_for(topic, findings, chart))


def led_by_safety(drafts: Drafts, safety: Sequence[Drafts]) -> Drafts:
    """The drafts of a notice up to the first safety finding: no PHQ-9, no less than any safety finding calls for."""
    firsts = [kinds[0] for kinds in safety]
    first = next((kind for kind in ASSESSMENTS if kind in firsts), firsts[0])
    return (first, *(kind for kind in drafts if kind is DraftKind.CONTACT))


def to_measure(chart: PatientRecord, region: Region = DEFAULT_REGION) -> Drafts:
    """The questionnaire where nothing is found; none under 12 (R9), and where nobody is to be prompted (R15)."""
    young = chart.age_years is not None and chart.age_years < TEEN_YEARS
    return () if young or not region.prompts else (_at_age(DraftKind.PHQ9, chart.age_years),)


def discharge_steps(steps: Iterable[Step], chart: PatientRecord, region: Region = DEFAULT_REGION) -> Drafts:
    """The drafts of the steps that are due at discharge; none for a safety plan, which is made in conversation.

    With an appointment more than seven days ahead, an earlier contact is still due.
    """
    return region.offered(STEP_DRAFTS[step.kind] for step in steps if step.kind in STEP_DRAFTS and _is_due(step, chart))


def _is_due(step: Step, chart: PatientRecord) -> bool:
    if step.done is None:
        return True
    ahead = step.done.when if step.kind is StepKind.APPOINTMENT else None
    return ahead is not None and (ahead.day - chart.today).days > CONTACT_DAYS


def _at_age(kind: DraftKind, age_years: int | None) -> DraftKind:
    if age_years is None or age_years >= ADULT_YEARS:
        return kind
    return (FOR_TEENS if age_years >= TEEN_YEARS else FOR_CHILDREN).get(kind, kind)


def _called_for(topic: Topic, findings: Sequence[SafetyFinding], chart: PatientRecord) -> Drafts:
    """For adults."""
    if topic in SAFETY_TOPICS:
        first = DraftKind.ASSESSMENT if any(_needs_assessment(f) for f in findings) else DraftKind.CSSRS
        return (first,) if all(f.kind in TO_ASK for f in findings) else (first, DraftKind.CONTACT)
    if topic is Topic.DEPRESSION_FOLLOW_UP and findings:
        return (DraftKind.PHQ9, DraftKind.CONTACT) if _is_to_measure(findings[0]) else (DraftKind.CONTACT,)
    if topic is Topic.COULD_NOT_ASSESS:
        return _not_assessed(findings, chart)
    return () if topic is Topic.DATA_ANOMALY else (DraftKind.PHQ9,)


def _needs_assessment(finding: SafetyFinding) -> bool:
    """Whether a screener would not be enough: it was positive, or the self-harm item was above its lowest answer.

    An answer without a score, and a total that implies one, read as worse (R4).
    """
    if finding.kind in TO_ASK:
        return False
    if finding.kind is not Kind.SELF_HARM_ITEM or finding.form is None:
        return True
    item = SAFETY_ITEMS[finding.form.instrument].item
    return any(answer.item != item or answer.score != 1 for answer in finding.items)


def _is_to_measure(finding: SafetyFinding) -> bool:
    """Whether a result is to be measured again first: it is old or undated, or its self-harm item was not answered."""
    answer = finding.form.safety_answer if finding.form else None
    unanswered = answer is None or answer.state is AnswerState.BLANK
    return unanswered or finding.days is None or finding.days > POSITIVE_DAYS


def _not_assessed(findings: Sequence[SafetyFinding], chart: PatientRecord) -> Drafts:
    """None for the form of another instrument, nor where consents alone are missing: they silence only models."""
    blank = next((f.form for f in findings if f.kind is Kind.BLANK_ITEM and f.form), None)
    if blank is not None:
        return (DraftKind.PHQ9_COMPLETE,) if blank.instrument in NINE_ITEM_PHQ else ()
    heard = any(f.kind is Kind.UNHEARD for f in findings)
    lost = heard or chart.unreadable or any(gap.what != ChartPart.CONSENTS for gap in chart.lacking)
    return (DraftKind.PHQ9_COMPLETE,) if lost else ()
