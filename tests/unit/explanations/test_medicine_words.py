"""Medicines in words: context with its dates and how far it was verified, never a cause."""

from __future__ import annotations

import pytest
from builders import codeable, given, moment, patient, record_of, resource

from explanations.judgement.regions import DEFAULT_REGION
from explanations.words.language import language
from explanations.words.pages.medicines import KINDS, medicine_lines, treatment_note
from fhir_adapters.codesets.boxed_warnings import warnings_by_code


def lines(text: str, when: str | None = None, age: int | None = 20, kind="MedicationRequest"):
    dated = {"authoredOn" if kind == "MedicationRequest" else "effectiveDateTime": moment(when)} if when else {}
    one = resource(kind, status="active", intent="order", medicationCodeableConcept={"text": text}, **dated)
    return medicine_lines(record_of(one, who=patient(age)), language(), DEFAULT_REGION)


def notes(text: str, when: str | None = None, age: int | None = 20, **more) -> str:
    return " ".join(lines(text, when, age, **more)[0].notes)


def test_the_warning_of_antidepressants_is_said_under_25_only() -> None:
    assert "under 25" in notes("sertraline", age=24)
    assert notes("sertraline", age=25) == ""


def test_with_an_unknown_age_it_is_said_for_whom_a_warning_applies() -> None:
    assert "applies under 25; the age is not known" in notes("sertraline", age=None)


def test_what_was_not_verified_says_so_and_what_was_does_not() -> None:
    assert "verified" not in notes("sertraline")
    assert "Not verified at its source by this service." in notes("perampanel")
    assert "secondary source; not verified at its source by this service" in notes("montelukast")


def test_the_class_warning_of_antiepileptics_is_not_called_boxed() -> None:
    assert notes("lamotrigine", age=60).startswith("Class warning on the label, not boxed")


@pytest.mark.parametrize(("when", "said"), [("30 days ago", True), ("31 days ago", False), ("in 3 days", False), ("2026-11", False), (None, False)])  # fmt: skip
def test_recent_is_within_thirty_days_of_a_whole_date(when: str | None, said: bool) -> None:
    assert ("Recent start" in notes("metformin", when)) == said


def test_an_order_is_not_said_to_be_a_start_for_certain() -> None:
    assert notes("metformin", "11 days ago") == "Recent start, dose change or renewal, 12 Nov 2026."
    assert notes("metformin", "11 days ago", kind="MedicationStatement") == "Recent start, 12 Nov 2026."


@pytest.mark.parametrize(("when", "said"), [("11 days ago", "ordered 12 Nov 2026, 11 days ago"), (None, "date not recorded"), ("in 3 days", "dated 2026-11-26, in the future"), ("2025", "ordered 2025")])  # fmt: skip
def test_since_when_is_said_as_far_as_it_is_recorded(when: str | None, said: str) -> None:
    assert lines("metformin", when)[0].since == said


def test_medicines_with_a_note_come_first() -> None:
    found = [*given("Medicine amlodipine"), *given("Medicine sertraline")]

    assert [line.name for line in medicine_lines(record_of(*found, who=patient(20)), language(), DEFAULT_REGION)] == [
        "sertraline",
        "amlodipine",
    ]


def test_every_kind_has_words_and_none_speaks_of_a_cause() -> None:
    assert set(KINDS) == set(warnings_by_code())
    assert not any(word in text for text in KINDS.values() for word in ("cause", "stop", "risk"))


def test_beside_treatment_stands_the_question_about_mania_or_the_bipolar_disorder_on_file() -> None:
    bipolar = resource("Condition", code=codeable("http://hl7.org/fhir/sid/icd-10-cm", "F31.9"))

    assert "ask about past mania or hypomania first" in treatment_note(record_of(), language())
    assert "antidepressant monotherapy can trigger mania" in treatment_note(record_of(bipolar), language())
