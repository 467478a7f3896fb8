"""Questions whose code and words are of different questions."""

from __future__ import annotations

import pytest
from builders import LOINC, observation, record_of, resource

from fhir_adapters.codesets.questions import targets
from fhir_adapters.codesets.terminology import table
from fhir_adapters.facts import AnswerState
from fhir_adapters.flaws import Flaw
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.agreement import words_doubt

TODAY = "2026-11-23"
OTHER, SELF_HARM = Flaw.QUESTION_CONTRADICTS, Flaw.SELF_HARM_UNDER_OTHER_CODE


def test_no_code_contradicts_its_own_display() -> None:
    listed = [row for row in table("instruments") if row["code"] in targets()]

    assert [row["display"] for row in listed if words_doubt(targets()[row["code"]], [row["display"]])] == []


def test_the_words_of_every_item_are_its_own() -> None:
    codes = {t.item: t for t in targets().values() if t.instrument is Instrument.PHQ9}

    assert [row["words"] for row in table("question_words") if words_doubt(codes[row["item"]], [row["words"]])] == []


@pytest.mark.parametrize(
    ("code", "words", "flaw"),
    [
        ("44258-2", "Thoughts that you would be better off dead, or of hurting yourself in some way", SELF_HARM),
        ("44250-9", "Pensamientos de hacerse daño", SELF_HARM),
        ("44250-9", "Gedanken an Selbstverletzung", SELF_HARM),
        ("69725-0", "Thoughts of suicide", SELF_HARM),
        ("44260-8", "Feeling bad about yourself - or that you are a failure", OTHER),
        ("44260-8", "Poco interés en hacer las cosas", OTHER),
        ("44260-8", "EPDS item 9", OTHER),
        ("44259-0", "Feeling tired or having little energy", OTHER),
        ("44261-6", "GAD-7 total score", OTHER),
        ("89204-2", "Edinburgh Postnatal Depression Scale total", OTHER),
        ("44260-8", "Item 9", None),
        ("44260-8", "Pensées qu’il vaudrait mieux mourir ou de vous faire du mal", None),
        ("44260-8", "PHQ-9M question 9: thoughts of self-harm", None),
        ("44255-8", "PHQ-2: feeling down", None),
        ("44258-2", "Sich schlecht fühlen", None),
        ("70274-6", "Generalized anxiety disorder 7 item (GAD-7) total score [Reported.PHQ]", None),
        ("93250-9", "SAFE-T with C-SSRS: plan", None),
        ("93374-7", "PHQ-9 follow-up: suicide risk level", None),
    ],
)
def test_only_words_that_are_known_to_mean_another_question_contradict(
    code: str, words: str, flaw: Flaw | None
) -> None:
    assert words_doubt(targets()[code], [words]) is flaw


def test_words_in_a_form_count_like_those_of_an_observation() -> None:
    item = {"linkId": "/44258-2", "text": "Thoughts of hurting yourself", "answer": [{"valueInteger": 2}]}
    record = record_of(resource("QuestionnaireResponse", status="completed", authored=TODAY, item=[item]))

    (form,) = record.administrations
    assert [(a.item, a.state) for a in form.answers] == [("9", AnswerState.UNREADABLE)]
    assert [a.flaw for a in record.anomalies] == [SELF_HARM]


def test_a_question_with_the_codes_of_two_is_not_read_as_the_other() -> None:
    both = {"coding": [{"system": LOINC, "code": code} for code in ("44258-2", "44260-8")]}
    record = record_of(observation(LOINC, "44258-2", TODAY, {"valueInteger": 2}) | {"code": both})

    assert [(a.item, a.flaw) for a in record.administrations[0].answers] == [("9", SELF_HARM)]


def test_a_blank_answer_is_no_contradiction() -> None:
    asked = {"coding": [{"system": LOINC, "code": "44258-2"}], "text": "Thoughts of hurting yourself"}

    assert record_of(observation(LOINC, "44258-2", TODAY, {}) | {"code": asked}).anomalies == ()
