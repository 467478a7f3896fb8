"""Generated resources, bundles and prefetch maps, and spoiled sample charts: nothing escapes, nothing foreign enters."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from builders import AS_OF, PATIENT, open_app
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn
from mutations import check, run, sample_charts
from strategies import bundles, prefetches

from cds_service.hooks.catalogue import SERVICES
from explanations.judgement.assessment import Engine, assess
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.errors import FhirError
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.settings import ReadSettings

MANY = settings(
    max_examples=400,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
CLIENT = open_app(engine=Engine(), now=lambda: AS_OF).test_client()


@MANY
@drawn(chart=bundles())
def test_a_generated_bundle_is_read_or_refused_and_holds_no_foreign_fact(chart: dict) -> None:
    try:
        gathered = chart_bundle(json.dumps(chart).encode(), settings=ReadSettings(), as_of=AS_OF)
    except FhirError:
        return
    record = patient_record(gathered, settings=ReadSettings(), as_of=AS_OF, left_out=True)
    check(record)
    assess(record, Engine())


@MANY
@drawn(prefetch=prefetches())
def test_cdsh_032_a_generated_prefetch_is_answered_and_never_a_500(prefetch: object) -> None:
    context = {"userId": "Practitioner/d", "patientId": PATIENT, "encounterId": "e1"}
    for service in SERVICES:
        body = {"hook": service.hook, "hookInstance": "h", "context": context, "prefetch": prefetch}

        answer = CLIENT.post(f"/cds-services/{service.id}", json=body)

        assert answer.status_code in (200, 400, 412)
        assert "foreign-" not in answer.get_data(as_text=True)
        assert b"Traceback" not in answer.data


def test_spoiled_sample_charts_keep_every_promise(shared: Path) -> None:
    counts = run(sample_charts(shared / "data" / "fhir-samples"), seed=1, number=1500)

    print(dict(counts))
    assert counts["read"] > 1000
    assert counts["with an entry that cannot be read"] > 300
    assert counts["with foreign entries put aside"] > 100
    assert counts["refused: NoPatient"] > 5


def test_the_generators_make_what_they_are_meant_to_make() -> None:
    seen: Counter = Counter()

    @settings(max_examples=300, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @drawn(chart=bundles())
    def look(chart: dict) -> None:
        seen.update(e["resource"]["resourceType"] for e in chart["entry"] if e and "resource" in e)
        seen["foreign"] += '"foreign-' in json.dumps(chart)

    look()

    assert {"Patient", "Observation", "QuestionnaireResponse", "Condition", "MedicationRequest", "Encounter", "Procedure", "Consent", "CarePlan", "Appointment"} <= set(seen)  # fmt: skip
    assert seen["foreign"] > 50
