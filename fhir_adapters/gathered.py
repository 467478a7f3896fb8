"""What was collected for one patient, before anything is read out of it."""

from __future__ import annotations

from dataclasses import dataclass

from fhir_adapters.facts import Unknown
from fhir_adapters.r4 import Resource

# The parts of a chart; the first eight are also the prefetch keys.
PATIENT = "patient"
SCREENING = "screening"
QUESTIONNAIRES = "questionnaires"
CONDITIONS = "conditions"
MEASUREMENTS = "measurements"
MEDICATIONS = "medications"
ENCOUNTERS = "encounters"
PROCEDURES = "procedures"
COVERAGE = "coverage"
# Screening answers in a site's own codes: fetched, never a prefetch key.
LOCAL_SCREENING = "local-screening"
# What a whole chart lost on the way.
REST = "rest"
WHOLE_CHART = frozenset(
    (PATIENT, SCREENING, QUESTIONNAIRES, CONDITIONS, MEASUREMENTS, MEDICATIONS, ENCOUNTERS, PROCEDURES, COVERAGE)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The resources of one request, and which parts of the chart they cover.

    `known`: parts that were looked at in full, also when empty. `unknown`: parts that were wanted
    and not obtained. `fhir_base`: the server that the references belong to, when that is known.
    """

    patient_id: str
    patient: Resource | None
    resources: tuple[Resource, ...]
    known: frozenset[str]
    unknown: tuple[Unknown, ...] = ()
    fhir_base: str | None = None
