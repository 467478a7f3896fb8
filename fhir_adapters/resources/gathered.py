"""The resources of one patient, before any fact is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from fhir_adapters.facts import ChartPart, Consent, Unknown
from fhir_adapters.resources.r4 import Resource, subjects_of

# Read when a chart is opened or an encounter starts.
OPENED = (
    ChartPart.PATIENT,
    ChartPart.CONDITIONS,
    ChartPart.SCREENING,
    ChartPart.QUESTIONNAIRES,
    ChartPart.MEASUREMENTS,
    ChartPart.MEDICATIONS,
    ChartPart.ENCOUNTERS,
    ChartPart.PROCEDURES,
    ChartPart.RISK_ASSESSMENTS,
    ChartPart.CONSENTS,
)
STEPS = (ChartPart.CARE_PLANS, ChartPart.APPOINTMENTS)
# Discharge needs the steps after a finding, but neither measurements nor medicines (decision 0013).
DISCHARGE = (*(key for key in OPENED if key not in (ChartPart.MEASUREMENTS, ChartPart.MEDICATIONS)), *STEPS)
# What models alone take.
FOR_MODELS = (ChartPart.MEASUREMENTS,)
ALL_KEYS = (*OPENED, *STEPS)
# The app also shows what was done since, and what happened in the time of a trend (decision 0039);
# no finding rests on that.
BESIDE = (*STEPS, ChartPart.PAST_MEDICATIONS)
SHOWN = (*OPENED, *BESIDE)
WHOLE_CHART = frozenset((*OPENED, ChartPart.COVERAGE)) - {ChartPart.CONSENTS}

# Types of which only few entries concern self-harm: one that cannot be read matters where its words do.
HEARD_TYPES = ("DiagnosticReport", "Flag", "RiskAssessment")
# Types that can hold an answer about self-harm.
ANSWER_TYPES = ("Observation", "QuestionnaireResponse", "Condition", *HEARD_TYPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The resources of one request, and which parts of the chart they cover.

    `known`: parts that were read in full, even if empty. `unknown`: parts that were requested and not obtained.
    `fhir_bases`: the servers whose references may be the patient's own. `consent`: what the patient allows.
    `withheld`: how many resources were left unread for their security labels. `none_read`: of the needed parts not one
    was read, not even in part (R16).
    """

    patient_id: str
    patient: Resource | None
    resources: tuple[Resource, ...]
    known: frozenset[ChartPart]
    unknown: tuple[Unknown, ...] = ()
    fhir_bases: tuple[str, ...] = ()
    consent: Consent = Consent.ALLOWED
    withheld: int = 0
    none_read: bool = False


def once(resources: Iterable[Resource]) -> list[Resource]:
    """Each resource once, even if sent or found twice.

    Of two versions of one resource the later counts. Where the order is unknown, both are kept and the worse answer
    stands.
    """
    held = list(resources)
    named = [resource for resource in held if resource.names]
    nameless = [resource for resource in held if not resource.names]
    if len({resource.reference for resource in named}) == len(named):
        return [*named, *nameless]
    versions: dict[tuple[str, str], dict[bytes, Resource]] = {}
    for resource in named:
        # Never across patients: another's resource of the same id must not replace the patient's own.
        owner = resource.owner if resource.content is None else subjects_of(resource.content)
        versions.setdefault((resource.reference, repr(owner)), {}).setdefault(resource.text, resource)
    return [*(r for each in versions.values() for r in _latest(list(each.values()))), *nameless]


def _latest(versions: list[Resource]) -> list[Resource]:
    if len(versions) == 1:
        return versions
    stamps = {version.updated for version in versions}
    # Two servers may each have a resource of this id.
    places = {name for version in versions for name in version.names if name.startswith("http")}
    if None in stamps or len(stamps) < len(versions) or len(places) > 1:
        return versions
    return [max(versions, key=lambda version: version.updated or FIRST)]


FIRST = datetime.min.replace(tzinfo=UTC)
