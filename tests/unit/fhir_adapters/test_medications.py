"""Products, ingredients and text to drug classes."""

from __future__ import annotations

import pytest
from builders import RXNORM, codeable, record_of, resource

from fhir_adapters.codesets.terminology import table
from fhir_adapters.gaps import Cause
from fhir_adapters.reading.lists.medications import class_names, classes_in
from fhir_adapters.reading.lists.medications import medicine as medicine_of
from fhir_adapters.resources import r4


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

    assert [u.reason.cause for u in record.unreadable] == [Cause.NO_MEDICINE]


@pytest.mark.parametrize(
    ("code", "classes"),
    [("N06AB06", {"rx_ssri"}), ("n06ab04", {"rx_ssri"}), ("N06AX16", {"rx_snri"}), ("N06AX11", {"rx_mirtaz_traz"}), ("N05AH04", {"rx_antipsychotic"}), ("N05AN01", {"rx_lithium"}),
     ("N03AE01", {"rx_benzo"}), ("N03AX09", {"rx_anticonvulsant"}), ("C07AB02", {"rx_betablocker"}), ("N07BC02", set()), ("N02AE01", set()), ("N06AX", set()), ("N06A", set()), ("", set())],
)  # fmt: skip
def test_a_class_is_found_by_atc_code(code: str, classes: set[str]) -> None:
    concept = r4.CodeableConcept(coding=[r4.Coding(system="http://www.whocc.no/atc", code=code, display="x")])

    assert medicine_of(concept, None, "MedicationRequest/1").classes == classes


@pytest.mark.parametrize(
    ("text", "classes"),
    [("Zoloft 50 mg tablet", {"rx_ssri"}), ("LEXAPRO", {"rx_ssri"}), ("Wellbutrin XL 300 mg", {"rx_bupropion"}), ("MS Contin 15 mg", {"rx_opioid"}), ("Lantus SoloStar pen", {"rx_insulin"}),
     ("Percocet 5-325", {"rx_opioid"}), ("Suboxone film", set()), ("Somatropin", set())],
)  # fmt: skip
def test_a_class_is_found_by_brand_name(text: str, classes: set[str]) -> None:
    assert medicine_of(r4.CodeableConcept(text=text), None, "MedicationRequest/1").classes == classes


@pytest.mark.parametrize(
    "text", ["methadone 10 mg", "Suboxone film", "buprenorphine / naloxone", "naltrexone 50 MG Oral Tablet"]
)
def test_a_medicine_of_substance_use_treatment_is_named_as_charted_and_neither_classed_nor_warned_of(text: str) -> None:
    (use,) = record_of(medicine(medicationCodeableConcept={"text": text})).medicines

    assert (use.name, use.classes, use.ingredients, use.warning) == (text, frozenset(), (), None)


def test_a_medicine_keeps_its_name_dose_date_and_source() -> None:
    concept = {"text": "Sertraline 50 MG Oral Tablet"}
    one = medicine(medicationCodeableConcept=concept, authoredOn="2026-11-12", dosageInstruction=[{"text": "1 daily"}])

    (use,) = record_of(one).medicines

    assert (use.name, use.dose_text, use.when.text) == ("Sertraline 50 MG Oral Tablet", "1 daily", "2026-11-12")
    assert (use.classes, use.ingredients) == ({"rx_ssri"}, ("sertraline",))
    assert use.reference == f"MedicationRequest/{one['id']}"


@pytest.mark.parametrize("dosage", [7, "x", [7], [{"text": 7}], {}, None, [], [{}], [None], [{"text": ""}]])
def test_a_dosage_of_another_form_spoils_nothing(dosage) -> None:
    record = record_of(medicine(medicationCodeableConcept={"text": "sertraline"}, dosageInstruction=dosage))

    assert [use.dose_text for use in record.medicines] == [None]
    assert record.fact("rx_ssri").value is True


def test_names_and_doses_are_one_line_of_limited_length_without_signs_that_cannot_be_seen() -> None:
    hostile = "sertraline\n\u202e\u0000 " + "x" * 5000

    (use,) = record_of(
        medicine(medicationCodeableConcept={"text": hostile}, dosageInstruction=[{"text": hostile}])
    ).medicines

    assert use.name.startswith("sertraline x") and use.name.isprintable() and len(use.name) == 120
    assert use.dose_text.isprintable() and len(use.dose_text) == 80


def test_a_medicine_without_a_name_is_listed_as_such() -> None:
    (use,) = record_of(medicine(medicationReference={"reference": "Medication/elsewhere"})).medicines

    assert use.name == "name not sent"


@pytest.mark.parametrize(
    ("text", "kind", "verified"),
    [
        ("sertraline 50 mg", "antidepressant-under-25", "yes"),
        ("Wellbutrin XL", "antidepressant-under-25", "yes"),
        ("esketamine", "antidepressant-under-25", "no"),
        ("Singulair 10 mg", "neuropsychiatric", "secondary"),
        ("montelukast", "neuropsychiatric", "secondary"),
        ("quetiapine 25 MG", "antipsychotic-under-25", "no"),
        ("olanzapine / fluoxetine", "antidepressant-under-25", "yes"),
        ("haloperidol", None, None),
        ("peginterferon alfa-2a", "neuropsychiatric", "no"),
        ("interferon beta-1a", None, None),
        ("lamotrigine", "antiepileptic-class", "no"),
        ("perampanel", "psychiatric-and-behavioural", "no"),
        ("Atomoxetine 40 mg", "suicidal-thoughts-under-18", "no"),
        ("varenicline 1 mg", None, None),
        ("metformin", None, None),
    ],
)
def test_warnings_of_labels_are_found_and_say_how_far_they_were_verified(text, kind, verified) -> None:
    (use,) = record_of(medicine(medicationCodeableConcept={"text": text})).medicines

    assert (use.warning, use.warning_verified) == (kind, verified)


def test_only_what_the_first_source_says_of_all_antidepressants_is_marked_verified() -> None:
    rows = table("boxed_warnings")

    assert {row["kind"] for row in rows if row["verified"] == "yes"} == {"antidepressant-under-25"}
    assert {row["verified"] for row in rows} == {"yes", "secondary", "no"}
    assert {row["class"] for row in rows if row["class"]} <= set(class_names())
    assert not any(word in row["names"] for row in rows for word in ("varenicline", "chantix", "methadone"))


def test_every_class_of_an_atc_code_or_brand_is_a_class_of_ingredients() -> None:
    assert {row["class"] for row in table("atc_classes")} <= set(class_names())
    assert {row["ingredient"] for row in table("brand_names")} <= {row["ingredient"] for row in table("drug_classes")}
