"""The forms that we put: valid FHIR, standard codes, verified scores."""

from __future__ import annotations

import pytest

from fhir_adapters.codesets.questions import targets
from fhir_adapters.codesets.terminology import LOINC, table
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.questionnaires.answers import scores_by_code
from fhir_adapters.resources.validation import faults
from fhir_adapters.writing.questionnaires import (
    ABSENT,
    DECLINED,
    FORMS,
    EntryState,
    FormAnswer,
    FormAnswers,
    form,
    questionnaire,
)


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_a_valid_r4_questionnaire_with_an_address_of_ours(name: str) -> None:
    content = questionnaire(name)

    assert faults(content) == []
    assert content["url"] == f"urn:mental-health-cds:questionnaire:{name}"
    assert form(name).canonical == f"{content['url']}|{content['version']}"


@pytest.mark.parametrize("name", FORMS)
def test_every_item_asks_what_its_verified_code_says_in_the_order_of_the_instrument(name: str) -> None:
    found = form(name)
    counted = [q for q in found.questions if q.item]

    assert [q.item for q in counted] == list(found.instrument.spec.items)
    assert {targets()[q.code].instrument for q in counted} == {Instrument.PHQ9}
    assert all(q.link_id == f"/{q.code}" and q.required for q in counted)
    assert targets()[found.total_code].instrument is found.instrument
    assert targets()[found.total_code].item == "total"


@pytest.mark.parametrize("name", FORMS)
def test_weights_in_the_file_are_those_of_the_verified_answer_codes(name: str) -> None:
    scores = scores_by_code(Instrument.PHQ9)

    for question in form(name).questions:
        if question.item:
            assert [(scores[o.code], o.score) for o in question.options] == [(n, n) for n in range(4)]
        else:
            assert all(o.score is None for o in question.options)


@pytest.mark.parametrize("name", FORMS)
def test_every_question_can_be_declined(name: str) -> None:
    asked = [item for item in questionnaire(name)["item"] if item["type"] == "choice"]

    for item in asked:
        last = item["answerOption"][-1]["valueCoding"]
        assert (last["system"], last["code"]) == (ABSENT, DECLINED)


def test_texts_of_answers_are_those_of_the_code_list() -> None:
    known = {row["code"]: row["display"] for row in table("instruments") if row["system"] == LOINC}

    offered = {o.code: o.display for name in FORMS for q in form(name).questions for o in q.options}

    assert {code: known[code] for code in offered} == offered


def test_the_question_on_difficulty_is_outside_the_total_and_its_codes_stand_by_meaning_not_by_number() -> None:
    tenth = form("phq-9").questions[9]

    assert (tenth.number, tenth.item, tenth.code, tenth.required) == (10, None, "69722-7", False)
    assert [o.code for o in tenth.options] == ["LA6572-7", "LA6573-5", "LA6575-0", "LA6574-3"]


def test_the_phq_2_is_the_first_two_questions_of_the_phq_9() -> None:
    assert form("phq-2").questions == form("phq-9").questions[:2]
    assert form("phq-2").stem == form("phq-9").stem
    assert form("phq-2").copyright == form("phq-9").copyright
    assert "Pfizer" in form("phq-9").copyright


def answers(name: str, *scores: int | None) -> FormAnswers:
    """A number is an answer, None is declined; what is not said is open."""
    given = []
    for place, question in enumerate(form(name).questions):
        if place >= len(scores):
            given.append(FormAnswer(question=question, state=EntryState.OPEN))
        elif (score := scores[place]) is None:
            given.append(FormAnswer(question=question, state=EntryState.DECLINED))
        else:
            given.append(FormAnswer(question=question, state=EntryState.ANSWERED, option=question.options[score]))
    return FormAnswers(form=form(name), given=tuple(given))


@pytest.mark.parametrize(
    ("scores", "total", "still_open"),
    [
        ([0] * 9, 0, 0),
        ([3] * 9, 27, 0),
        ([3] * 10, 27, 0),  # extremely difficult adds nothing
        ([1] * 8, None, 1),
        ([1] * 8 + [None], None, 0),
        ([None] * 9, None, 0),
        ([], None, 9),
    ],
)
def test_a_total_is_the_sum_of_all_nine_and_never_of_fewer(scores: list, total: int | None, still_open: int) -> None:
    found = answers("phq-9", *scores)

    assert found.total == total
    assert len(found.open) == still_open


def test_the_answer_of_self_harm_is_the_ninth_and_the_phq_2_has_none() -> None:
    assert answers("phq-9", *[0] * 8, 2).safety.option.score == 2
    assert answers("phq-2", 3, 3).safety is None


def test_a_form_that_we_do_not_have_is_a_key_error_and_no_file_of_another_name_is_read() -> None:
    for name in ("gad-7", "../facts", ""):
        with pytest.raises(KeyError):
            form(name)
