"""Deviations from R4: each with its path, none with the value; and a second opinion on everything that we emit."""

from __future__ import annotations

import json

import pytest
from builders import LOINC, PATIENT, bundle, codeable, given, patient

from fhir_adapters.errors import NotFhir
from fhir_adapters.resources.validation import deviations

OBSERVATION = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": codeable(LOINC, "8480-6"),
    "subject": {"reference": f"Patient/{PATIENT}"},
}


@pytest.mark.parametrize(
    ("change", "path", "fault"),
    [
        ({"status": None}, "status", "required and missing"),
        ({"valueQuantity": {"value": "Zanzibar"}}, "valueQuantity.value", "not a value of its type"),
        ({"component": [{"valueInteger": 1}]}, "component[0].code", "required and missing"),
        ({"Zanzibar": 1}, "Zanzibar", "no such element in R4"),
        ({"valueInteger": 1, "valueString": "x"}, "resource", "more than one value of a choice of types"),
        ({"effectiveDateTime": "yesterday"}, "effectiveDateTime", "not a value of its type"),
        ({"code": {"coding": [{"system": 5}]}}, "code.coding[0].system", "string_type"),
    ],
)  # fmt: skip
def test_a_deviation_has_its_path_and_not_its_value(change: dict, path: str, fault: str) -> None:
    (found,) = deviations(json.dumps(OBSERVATION | change).encode())

    assert (found.path, found.resource, found.fault) == (path, "Observation/o1", fault)


def test_every_deviation_of_a_bundle_is_listed_under_its_entry() -> None:
    chart = json.loads(
        bundle(
            patient() | {"gender": "woman"},
            OBSERVATION,
            OBSERVATION | {"effectiveDateTime": "2026-13-01"},
        )
    )
    chart["type"] = "heap"
    chart["entry"].append({"resource": {"resourceType": "Nope"}})

    found = [(d.path, d.resource) for d in deviations(json.dumps(chart).encode())]

    assert found == [
        ("type", "Bundle/(no id)"),
        ("entry[0].resource.gender", f"Patient/{PATIENT}"),
        ("entry[2].resource.effectiveDateTime", "Observation/o1"),
        ("entry[3].resource.resourceType", "Nope/(no id)"),
    ]


def test_the_prefetch_of_a_hook_request_is_looked_through_key_by_key() -> None:
    request = {
        "hook": "patient-view",
        "prefetch": {
            "patient": {"resourceType": "Patient", "birthDate": "soon"},
            "conditions": None,
            "screening": json.loads(bundle(OBSERVATION | {"valueInteger": "x"})),
        },
    }

    assert [d.path for d in deviations(json.dumps(request).encode())] == [
        "prefetch.patient.birthDate",
        "prefetch.screening.entry[0].resource.valueInteger",
    ]


@pytest.mark.parametrize("raw", [b"[]", b"5", b"{", b"null"])
def test_what_is_no_object_is_no_fhir(raw: bytes) -> None:
    with pytest.raises(NotFhir):
        deviations(raw)


def test_valid_charts_have_no_deviation() -> None:
    chart = bundle(
        patient(), *given("C-SSRS, today: question 4 = yes"), *given("Condition F32.9, 20 days ago, problem list")
    )

    assert deviations(chart) == []


def test_a_code_outside_a_required_value_set_is_a_deviation() -> None:
    (found,) = deviations(json.dumps(patient() | {"gender": "woman"}).encode())

    assert (found.path, found.fault) == ("gender", "not a code of the required value set")


def test_what_is_missing_is_found_beside_what_is_wrong() -> None:
    wrong = {
        "resourceType": "Observation",
        "id": "o1",
        "code": {"coding": [{"system": 5, "code": "x"}]},
        "Zanzibar": 1,
        "component": [{"valueInteger": "x"}, {"code": {"text": "y"}, "valueInteger": []}],
    }

    paths = {d.path for d in deviations(json.dumps(wrong).encode())}

    assert {
        "status",
        "code.coding[0].system",
        "Zanzibar",
        "component[0].code",
        "component[0].valueInteger",
        "component[1].valueInteger",
    } <= paths
