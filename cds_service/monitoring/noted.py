"""What is recorded of an answer to watch models by. Nothing of it is an input, and a card shows none of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from msgspec import Raw

from cds_service.keys.data_key import DataKey
from cds_service.settings.monitoring import AuditGroup
from cds_service.settings.sites import SiteConfig
from explanations.judgement.judge import Judgement
from explanations.judgement.measured import measured
from fhir_adapters.facts import PatientRecord
from fhir_adapters.reading.audit_groups import OF_PATIENT, UNRECORDED, payer
from models.scoring.risk import RiskScore

log = logging.getLogger("mhcds")
COVERAGE = "coverage"
"""The prefetch key of Coverages; the service asks for none."""
BANDS = ((30, "18-29"), (45, "30-44"), (65, "45-64"), (200, "65+"))
"""The ages of the figures by group on the survey, so that a site's stand beside them."""


def noted(key: DataKey, site: SiteConfig, judgement: Judgement, sent: Mapping[str, Raw]) -> dict[str, Any]:
    """Fields of an answer's event: results on file, and where a model scored, who and where. sent: the prefetch."""
    try:
        return _noted(key, site, judgement, sent)
    except Exception as error:  # noqa: BLE001  # it is for the record alone, and must cost nobody a card
        log.error(json.dumps({"event": "not-noted", "site": site.id, "kind": type(error).__name__}))
        return {}


def _noted(key: DataKey, site: SiteConfig, judgement: Judgement, sent: Mapping[str, Raw]) -> dict[str, Any]:
    assessment = judgement.assessment
    chart, pseudonym = assessment.chart, partial(key.pseudonym, site.id)
    found: dict[str, Any] = {"measured": tuple(each.recorded(pseudonym) for each in measured(chart))}
    if assessment.unspoken or any(isinstance(score, RiskScore) for score in assessment.scores):
        found |= {
            "sex": _sex(chart),
            "age_band": next((band for end, band in BANDS if (chart.age_years or 0) < end), None),
            "department": pseudonym(judgement.places[0]) if judgement.places else None,
            "groups": {group.value: _group(group, judgement, sent) for group in site.monitoring.groups},
        }
    return found


def _sex(chart: PatientRecord) -> str:
    female = chart.fact("female")
    if female is None:
        return "other" if chart.fact("other_gender") else "unknown"
    return "female" if female.value else "male"


def _group(group: AuditGroup, judgement: Judgement, sent: Mapping[str, Raw]) -> str:
    gathered = judgement.gathered
    if group is AuditGroup.PAYER:
        held = sent.get(COVERAGE)
        return UNRECORDED if held is None else payer(held, gathered.patient_id, judgement.assessment.chart.today)
    return OF_PATIENT[group](gathered.patient.text) if gathered.patient else UNRECORDED
