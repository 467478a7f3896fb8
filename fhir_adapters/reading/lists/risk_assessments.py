"""Completed suicide risk assessments, from Procedures."""

from __future__ import annotations

from fhir_adapters.codesets.terminology import RISK_ASSESSMENT, SNOMED, canonical
from fhir_adapters.facts import RiskAssessment
from fhir_adapters.reading.lists.chart_resources import ChartResources
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import first_when


def risk_assessments(resources: ChartResources) -> tuple[RiskAssessment, ...]:
    """In the order of the chart."""
    assessments = []
    for resource in resources.of("Procedure"):
        procedure: r4.Procedure = resource.content
        coded = procedure.code.coding if procedure.code else ()
        if procedure.status == "completed" and any(
            canonical(c.system or "") == SNOMED and c.code == RISK_ASSESSMENT for c in coded
        ):
            period = procedure.performed_period or r4.Period()
            encounter = resources.encounter(procedure.encounter)
            assessments.append(
                RiskAssessment(
                    reference=resource.reference,
                    when=first_when(
                        resources.zone, resources.today, procedure.performed_date_time, period.end, period.start
                    ),
                    encounter=encounter.reference if encounter else None,
                )
            )
    return tuple(assessments)
