"""What the token answer says that the launch is about: SMART-063 to 069, 075, 076."""

from __future__ import annotations

import pytest

from smart_launch.errors import EhrFailed
from smart_launch.oauth.id_token import fhir_user
from smart_launch.oauth.launch_context import launch_context

BASE = "https://ehr.example/fhir"


@pytest.mark.parametrize(
    "patient",
    [
        None,
        "",
        1,
        ["p1"],
        "../p2",
        "p 1",
        "p1/../p2",
        ".",
        "..",
        "p1?x",
        "p1,p2",
        "p1\\,p2",
        "p1|p2",
        "p1$p2",
        "p1%2Cp2",
        "p" * 129,
    ],
)
def test_smart_063_without_a_patient_there_is_no_page(patient: object) -> None:
    with pytest.raises(EhrFailed) as refused:
        launch_context({"patient": patient})

    assert refused.value.page == "no-patient"


@pytest.mark.parametrize(
    ("said", "shown"), [(None, True), (True, True), ("true", True), (False, False), ("false", False), ("no", True)]
)
def test_smart_066_the_banner_is_hidden_by_a_clear_no_alone(said: object, shown: bool) -> None:
    assert launch_context({"patient": "p1", "need_patient_banner": said}).banner is shown


def test_smart_064_065_068_069_the_rest_is_taken_when_it_is_as_it_should_be() -> None:
    found = launch_context(
        {
            "patient": "p1",
            "encounter": "e1",
            "intent": "reconcile",
            "tenant": "north",
            "smart_style_url": "https://ehr.example/style.json",
            "fhirContext": [
                {"reference": "ImagingStudy/1"},
                {"reference": "ImagingStudy/1", "role": "launch"},
                {"reference": "DocumentReference/2", "role": "something-else"},
                {"reference": "https://elsewhere.example/Observation/1"},
                {"canonical": "https://x.example"},
                "Observation/1",
            ],
        }
    )

    assert (found.encounter, found.intent, found.tenant) == ("e1", "reconcile", "north")
    assert found.resources == ("ImagingStudy/1",)


@pytest.mark.parametrize("odd", [{"encounter": {"x": 1}}, {"encounter": "a/b"}, {"fhirContext": "x"}, {"intent": 3}])
def test_odd_context_is_left_out_and_stops_nothing(odd: dict) -> None:
    found = launch_context({"patient": "p1", **odd})

    assert (found.patient, found.encounter, found.intent, found.resources) == ("p1", None, None, ())


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        ("Practitioner/1", "Practitioner/1"),
        (f"{BASE}/Practitioner/1", "Practitioner/1"),
        (f"{BASE}/PractitionerRole/a-b.c", "PractitionerRole/a-b.c"),
        ("Patient/1", None),
        ("https://elsewhere.example/fhir/Practitioner/1", None),
        ("https://ehr.example/fhir2/Practitioner/1", None),
        ("https://ehr.example.evil.example/fhir/Practitioner/1", None),
        ("Device/1", None),
        ("Practitioner/../Patient/1", None),
        ("Practitioner/a b", None),
        ("Practitioner", None),
        (None, None),
        (7, None),
    ],
)
def test_smart_075_076_the_user_is_a_reference_below_the_fhir_base(value: object, reference: str | None) -> None:
    assert fhir_user(value, BASE) == reference
