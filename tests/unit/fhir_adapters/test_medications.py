"""Products, ingredients and text to drug classes."""

from __future__ import annotations

import pytest
from builders import RXNORM, codeable, record_of, resource

from fhir_adapters.medications import classes_in


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("Sertraline", {"rx_ssri"}),
        ("sertraline hydrochloride 50 MG Oral Tablet [Zoloft]", {"rx_ssri"}),
        ("24 HR venlafaxine 75 MG Extended Release Oral Capsule", {"rx_snri"}),
        ("ACETAMINOPHEN; TRAMADOL", {"rx_opioid"}),
        ("Acetaminophen 325 MG / Oxycodone 5 MG Oral Tablet", {"rx_opioid"}),
        ("prednisone 5 MG", {"rx_steroid"}),
        ("fluticasone nasal spray", set()),
        ("hydrocortisone 1 % topical cream", set()),
        ("diclofenac sodium 0.01 MG/MG topical gel", {"rx_nsaid"}),
        ("diclofenac topical", {"rx_nsaid"}),
        ("methadone", set()),
        ("buprenorphine / naloxone", set()),
        ("not sertralinelike", set()),
        ("", set()),
    ],
)
def test_an_ingredient_is_found_as_whole_words_and_for_its_route(text: str, classes: set[str]) -> None:
    assert classes_in(text) == classes


def medicine(**elements) -> dict:
    return resource("MedicationRequest", status="active", intent="order") | elements


@pytest.mark.parametrize(
    "request_",
    [
        {"medicationCodeableConcept": codeable(RXNORM, "36437")},
        {"medicationCodeableConcept": {"text": "Sertraline"}},
        {
            "medicationReference": {"reference": "#m"},
            "contained": [{"resourceType": "Medication", "id": "m", "code": {"text": "sertraline"}}],
        },
        {"medicationReference": {"reference": "Medication/m9"}},
    ],
)
def test_a_medicine_is_read_coded_in_words_contained_or_by_reference(request_: dict) -> None:
    other = {"resourceType": "Medication", "id": "m9", "code": {"text": "Sertraline 50 MG"}}

    record = record_of(medicine(**request_), other)

    assert record.fact("rx_ssri").value is True
    assert record.fact("n_rx").value == 1


@pytest.mark.parametrize(
    "elements", [{"status": "stopped"}, {"status": "entered-in-error"}, {"intent": "proposal"}, {"doNotPerform": True}]
)
def test_what_is_not_being_taken_is_not_counted(elements: dict) -> None:
    record = record_of(medicine(medicationCodeableConcept={"text": "sertraline"}) | elements)

    assert record.fact("rx_ssri").value is False
    assert record.fact("n_rx").value == 0


def test_two_strengths_of_one_medicine_count_once() -> None:
    two = [medicine(medicationCodeableConcept={"text": f"Fluoxetine {mg} MG Oral Capsule"}) for mg in (20, 40)]

    assert record_of(*two).fact("n_rx").value == 1


def test_a_medicine_without_a_name_is_unreadable_not_nothing() -> None:
    record = record_of(medicine(medicationCodeableConcept={}))

    assert [u.reason for u in record.unreadable] == ["it names no medicine"]
