"""The forms that we put: valid FHIR, standard codes, verified scores."""

from __future__ import annotations

import pytest

from fhir_adapters.codesets.questions import targets
from fhir_adapters.codesets.terminology import LOINC, table
from fhir_adapters.facts import Result
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
    assert all(q.required for q in counted)
    if not counted[0].code:
        assert found.total_code is None
        return
    verified = {row["code"] for row in table("instruments") if row["verified"] == "yes"}
    asked_as = {Instrument.PHQ2: Instrument.PHQ9}.get(found.instrument, found.instrument)
    assert {targets()[q.code].instrument for q in counted} == {asked_as}
    assert all(q.link_id == f"/{q.code}" and q.code in verified for q in counted)
    assert targets()[found.total_code].instrument is found.instrument
    assert targets()[found.total_code].item == "total"


@pytest.mark.parametrize("name", FORMS)
def test_weights_in_the_file_are_those_of_the_verified_answer_codes(name: str) -> None:
    spec = form(name).instrument.spec
    scores = scores_by_code(form(name).instrument)

    for question in form(name).questions:
        if question.item and not spec.yes_no:
            assert sorted(o.score for o in question.options) == list(range(spec.top_item + 1))
            assert all(o.system != LOINC or scores[o.code] == o.score for o in question.options)
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

    every = [o for name in FORMS for q in form(name).questions for o in q.options]
    offered = {o.code: o.display for o in every if o.system == LOINC}

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
    for name in ("c-ssrs", "../facts", ""):
        with pytest.raises(KeyError):
            form(name)


def test_the_epds_is_asked_as_published_and_never_scored_by_position() -> None:
    found = form("epds")

    worst_first = [q.number for q in found.questions if q.options[0].score == 3]
    assert worst_first == [3, 5, 6, 7, 8, 9, 10]
    assert "IN THE PAST 7 DAYS" in found.intro
    tenth = found.questions[9]
    assert tenth.text == "The thought of harming myself has occurred to me"
    assert [(o.words, o.score) for o in tenth.options] == [
        ("Yes, quite often", 3),
        ("Sometimes", 2),
        ("Hardly ever", 1),
        ("Never", 0),
    ]
    for quoted in ("Cox, J.L., Holden, J.M., & Sagovsky, R. (1987)", "British Journal of Psychiatry, 150, 782-786"):
        assert quoted in found.copyright


@pytest.mark.parametrize(
    ("language", "asked"),
    [
        (
            "en",
            [
                "In the past few weeks, have you wished you were dead?",
                "In the past few weeks, have you felt that you or your family would be better off if you were dead?",
                "In the past week, have you been having thoughts about killing yourself?",
                "Have you ever tried to kill yourself?",
                "Are you having thoughts of killing yourself right now?",
            ],
        ),
        (
            "es",
            [
                "En las últimas semanas, ¿ha deseado estar muerto?",
                "En las últimas semanas, ¿ha sentido que usted o su familia estarían mejor si estuviera muerto?",
                "En la última semana, ¿ha estado pensando en suicidarse?",
                "¿Alguna vez ha intentado suicidarse?",
                "¿Está pensando en suicidarse en este momento?",
            ],
        ),
    ],
)
def test_the_asq_is_asked_word_for_word(language: str, asked: list[str]) -> None:
    assert [question.text for question in form("asq", language).questions] == asked


def test_a_form_is_in_the_first_language_that_has_its_official_wording_else_in_english() -> None:
    for wanted, language in ((("es-mx",), "es"), (("vi", "es"), "es"), (("vi",), "en"), ((), "en")):
        assert form("phq-9").in_language(*wanted).language == language
    assert form("epds").in_language("es").language == "en"
    spanish = form("phq-9", "es")
    assert spanish.questions[8].text == "Pensamientos de que estaría mejor muerto(a) o de lastimarse de alguna manera"
    assert spanish.questions[0].options[0].words == "Ningún día"
    assert [o.display for o in spanish.questions[0].options] == [o.display for o in form("phq-9").questions[0].options]


def said(*yes: bool | None) -> FormAnswers:
    """The ASQ: True is yes, False no, None declined; what is not said is open."""
    return answers("asq", *(None if each is None else 0 if each else 1 for each in yes))


@pytest.mark.parametrize(
    ("given", "still_open", "result"),
    [
        ((False,) * 4, [], Result.NEGATIVE),
        ((False,) * 5, [], Result.NEGATIVE),
        ((True, False, False, False), [5], None),
        ((False, False, False, None), [5], None),
        ((False, False, True, False, False), [], Result.NON_ACUTE),
        ((None, None, None, None, False), [], Result.NON_ACUTE),
        ((False, True, False, False, True), [], Result.ACUTE),
        ((False, True, False, False, None), [], Result.ACUTE),
        ((None,) * 5, [], Result.ACUTE),
        ((False, False, False, None, None), [], Result.NON_ACUTE),
        ((False, False, False, False, True), [], Result.ACUTE),  # asked all the same, and a yes is never lost
        ((True, False), [3, 4, 5], None),
    ],
)
def test_acuity_is_asked_after_a_yes_or_a_refusal_and_decides(given, still_open, result) -> None:
    found = said(*given)

    assert [a.question.number for a in found.open] == still_open
    assert found.screen_result is result
