"""What a page sends about a form to answers: every blank is named, nothing forged is taken, nothing is made up."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import date
from importlib.resources import files
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from builders import AS_OF, PATIENT, record_of
from hypothesis import given
from hypothesis import strategies as st

from explanations.judgement.regions import REGIONS
from explanations.words.language import language
from explanations.words.notices.notice import NoticeSettings
from explanations.words.notices.topics import EDGES
from fhir_adapters.facts import Result
from fhir_adapters.reading.questionnaires.totals import total_of
from fhir_adapters.writing.completed import FormContext, slots_of
from fhir_adapters.writing.questionnaires import FORMS, EntryState, form
from models.rules.findings import Kind
from models.rules.safety_rules import apply_safety_rules
from smart_launch.errors import Forbidden
from smart_launch.forms.answers import (
    DECLINED,
    answer_fields,
    calls_for_phq9,
    field_name,
    form_named,
    phq9_from_phq2,
    read_answers,
)
from smart_launch.forms.safety import crisis_help, safety_answer

TODAY = date(2026, 11, 23)
SITE = NoticeSettings(zone=ZoneInfo("UTC"))


def sent(name: str, *said: int | str | None) -> dict[str, list[str]]:
    """A number is the answer of that score, text goes as it is, None is no field."""
    found = {}
    for question, value in zip(form(name).questions, said, strict=False):
        if value is not None:
            found[field_name(question)] = [question.options[value].code if isinstance(value, int) else value]
    return found


def test_answers_are_read_in_the_order_of_the_form_with_their_total() -> None:
    found = read_answers(form("phq-9"), sent("phq-9", 0, 1, 2, 3, 0, 1, 2, 3, 1, 3))

    assert [a.option.score for a in found.given] == [0, 1, 2, 3, 0, 1, 2, 3, 1, None]
    assert found.total == 13
    assert found.open == ()


def test_a_blank_is_open_and_declined_is_declined_and_neither_is_zero() -> None:
    found = read_answers(form("phq-9"), sent("phq-9", 1, 1, None, DECLINED, 1, 1, "", 1, 1))

    assert [a.question.number for a in found.open] == [3, 7]
    assert [a.question.number for a in found.declined] == [4]
    assert found.total is None
    assert found.given[9].state is EntryState.OPEN  # need not be answered


@pytest.mark.parametrize(
    "fields",
    [
        {"q-44250-9": ["LA6571"]},
        {"q-44250-9": ["3"]},
        {"q-44250-9": ["LA6575-0"]},  # of the question on difficulty
        {"q-69722-7": ["LA6571-9"]},
        {"q-44250-9": ["DECLINED"]},
        {"q-44250-9": ["LA6568-5", "LA6571-9"]},
        {"q-44250-9": ["LA6568-5", "LA6568-5"]},
        {"q-44261-6": ["27"]},
        {"q-": ["LA6568-5"]},
        {"q-44250-9 ": ["LA6568-5"]},
    ],
)
def test_what_the_page_cannot_have_sent_is_refused(fields: dict) -> None:
    with pytest.raises(Forbidden) as caught:
        read_answers(form("phq-9"), sent("phq-9", None, 1, 1, 1, 1, 1, 1, 1, 1) | fields)

    assert (caught.value.status, caught.value.page) == (400, "form-refused")
    assert "LA" not in str(caught.value)


def test_item_names_of_the_phq_9_are_none_of_the_phq_2() -> None:
    with pytest.raises(Forbidden):
        read_answers(form("phq-2"), sent("phq-9", 1, 1, 1))


def test_other_fields_are_not_looked_at() -> None:
    assert read_answers(form("phq-2"), {"csrf": ["x", "y"]} | sent("phq-2", 1, 0)).total == 1


def test_a_form_that_we_do_not_put_has_no_page() -> None:
    for name in ("c-ssrs", "phq-9m", "../phq-9", ""):
        with pytest.raises(Forbidden) as caught:
            form_named(name)
        assert caught.value.status == 404


ANSWER = st.one_of(st.integers(0, 3), st.just(DECLINED), st.none())


@given(said=st.lists(ANSWER, min_size=10, max_size=10))
def test_what_the_review_page_carries_reads_back_as_the_same_answers(said: list) -> None:
    found = read_answers(form("phq-9"), sent("phq-9", *said))

    again = read_answers(form("phq-9"), {name: [value] for name, value in answer_fields(found).items()})

    assert again == found
    numbers = [n for n in said[:9] if isinstance(n, int)]
    assert found.total == (sum(numbers) if len(numbers) == 9 else None)


@pytest.mark.parametrize(
    ("said", "follows"),
    [
        ((0, 2), False),
        ((1, 2), True),
        ((3, 3), True),
        ((3, DECLINED), True),
        ((2, DECLINED), False),
        ((DECLINED,) * 2, False),
    ],
)
def test_a_phq_2_from_the_cut_on_calls_for_the_phq_9(said: tuple, follows: bool) -> None:
    found = read_answers(form("phq-2"), sent("phq-2", *said))

    assert calls_for_phq9(found) is follows
    carried = phq9_from_phq2(found)
    assert carried.given[:2] == found.given
    assert len(carried.open) == 7


def test_a_phq_9_calls_for_no_other() -> None:
    assert not calls_for_phq9(read_answers(form("phq-9"), sent("phq-9", *[3] * 9)))


@pytest.mark.parametrize(
    ("nine", "said"),
    [
        (0, ""),
        (None, ""),
        (1, "PHQ-9 item 9: 1 of 3, several days"),
        (3, "PHQ-9 item 9: 3 of 3, nearly every day"),
        (DECLINED, "PHQ-9 item 9: declined"),
    ],
)
def test_item_9_above_not_at_all_or_declined_brings_the_steps_whatever_the_total(nine, said: str) -> None:
    found = safety_answer(read_answers(form("phq-9"), sent("phq-9", *[0] * 8, nine)), language())

    assert found == said


def findings_of(answers) -> list:
    written = slots_of(answers, FormContext(patient=f"Patient/{PATIENT}", at=AS_OF, submission="s"))
    record = record_of(*(slot.resource | {"id": slot.name} for slot in written))
    assert not record.anomalies and not record.unreadable and not record.unheard
    return list(apply_safety_rules(record).findings)


STEPS = (files("smart_launch") / "templates" / "smart" / "_safety_steps.html").read_text()
STEPS_EDGE = "{% if answers and answers.screen_result == 'acute' %}acute{% else %}warning{% endif %}"


@pytest.mark.parametrize(("name", "before"), [("phq-9", 8), ("epds", 9)])
@pytest.mark.parametrize("last", [0, 1, 2, 3, DECLINED])
def test_the_steps_have_the_colour_of_the_finding_that_the_answer_makes(name: str, before: int, last) -> None:
    zeros = [next(o.code for o in q.options if o.score == 0) for q in form(name).questions[:before]]
    item = form(name).questions[before]
    value = last if last == DECLINED else next(o.code for o in item.options if o.score == last)
    answers = read_answers(form(name), sent(name, *zeros, value))

    found = findings_of(answers)

    assert f'class="finding {STEPS_EDGE}"' in STEPS
    assert bool(safety_answer(answers, language())) is bool(found) is (last != 0)
    assert {EDGES[finding.urgency] for finding in found} <= {"warning"}


def test_every_asq_comes_to_what_the_rules_find_in_it() -> None:
    for given_ in product(("LA33-6", "LA32-8", DECLINED), repeat=5):
        answers = read_answers(form("asq"), sent("asq", *given_))

        found = findings_of(answers)

        urgencies = {EDGES[finding.urgency] for finding in found}
        wanted = {Result.ACUTE: "acute", Result.NON_ACUTE: "warning", Result.NEGATIVE: None}[answers.screen_result]
        assert ("acute" in urgencies) is (wanted == "acute"), given_
        assert bool(found) is (wanted is not None) is bool(safety_answer(answers, language())), given_


@pytest.mark.parametrize(
    ("name", "scores", "total"),
    [("gad-7", [0, 1, 2, 3, 0, 1, 2], 9), ("audit-c", [4, 0, 2], 6), ("epds", [1, 2, 3, 0, 1, 2, 3, 1, 2, 0], 15)],
)
def test_a_graded_form_is_read_back_with_its_answers_and_total(name: str, scores: list, total: int) -> None:
    codes = [
        next(o.code for o in q.options if o.score == score)
        for q, score in zip(form(name).questions, scores, strict=True)
    ]
    answers = read_answers(form(name), sent(name, *codes))
    written = slots_of(answers, FormContext(patient=f"Patient/{PATIENT}", at=AS_OF, submission="s"))

    (read,) = record_of(*(slot.resource | {"id": slot.name} for slot in written)).administrations

    assert answers.total == total_of(read) == total
    assert [read.score(item) for item in read.instrument.spec.items] == scores
    kinds = {finding.kind for finding in findings_of(answers)}
    assert (Kind.DEPRESSION_TOTAL in kinds) is (name == "epds")


@pytest.mark.parametrize("after", [(), ("LA15695-2", "LA18933-4")], ids=["skipped", "left from before"])
def test_after_never_the_audit_c_asks_no_more_and_its_total_is_0(after: tuple) -> None:
    answers = read_answers(form("audit-c"), sent("audit-c", "LA6270-8", *after))

    assert (answers.open, answers.total, len(answers.put)) == ((), 0, 1)
    slots = slots_of(answers, FormContext(patient=f"Patient/{PATIENT}", at=AS_OF, submission="s"))
    assert [slot.name for slot in slots] == ["form", "total", "item-1"]
    for kept in (slots, slots[:1], slots[2:]):
        (read,) = record_of(*(slot.resource | {"id": slot.name} for slot in kept)).administrations
        assert total_of(read) == 0
        assert read.score("2") is None


@pytest.mark.parametrize("first", ["LA18926-8", DECLINED])
def test_any_other_answer_to_the_audit_c_asks_on(first: str) -> None:
    answers = read_answers(form("audit-c"), sent("audit-c", first))

    assert [a.question.number for a in answers.open] == [2, 3]
    assert answers.total is None


def without_canonical(response: dict) -> None:
    del response["questionnaire"]


def registered_elsewhere(response: dict) -> None:
    response["questionnaire"] = "https://ehr.example/Questionnaire/123"


def without_texts(response: dict) -> None:
    without_canonical(response)
    for item in response["item"]:
        del item["text"]


def codes_alone(response: dict) -> None:
    without_texts(response)
    for coding in (item["answer"][0]["valueCoding"] for item in response["item"]):
        coding.pop("extension", None)
        del coding["display"]


def words_alone(response: dict) -> None:
    without_texts(response)
    for (answer,) in (item["answer"] for item in response["item"]):
        answer["valueString"] = answer.pop("valueCoding")["display"]


@pytest.mark.parametrize("keeps", [without_canonical, registered_elsewhere, without_texts, codes_alone, words_alone])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("asq", ("LA33-6", "LA32-8", "LA32-8", "LA32-8", "LA33-6")),
        ("asq", (DECLINED,) * 5),
        ("asq", ("LA32-8",) * 4),
        ("asq", ("LA33-6", "LA32-8", "LA32-8", "LA32-8", "LA32-8")),
        ("asq", ("LA32-8", "LA32-8", "LA32-8", DECLINED, DECLINED)),
        ("epds", (0,) * 9 + (2,)),
        ("epds", (0,) * 9 + (DECLINED,)),
    ],
)
def test_a_form_of_ours_is_read_back_the_same_whatever_a_server_keeps_of_it(name: str, said: tuple, keeps) -> None:
    answers = read_answers(form(name), sent(name, *said))
    (slot,) = slots_of(answers, FormContext(patient=f"Patient/{PATIENT}", at=AS_OF, submission="s"))
    kept = deepcopy(slot.resource)
    keeps(kept)

    whole, read = (record_of(response | {"id": "form"}) for response in (slot.resource, kept))

    assert [f.answers for f in read.administrations] == [f.answers for f in whole.administrations]
    assert apply_safety_rules(read).findings == apply_safety_rules(whole).findings
    assert not read.unheard and not read.unreadable


def test_only_verified_codes_are_written_and_the_response_always() -> None:
    for name in FORMS:
        questions = form(name).questions
        answers = read_answers(form(name), sent(name, *(q.options[-1].code for q in questions)))
        kinds = [slot.name for slot in slots_of(answers, FormContext(patient="Patient/p", at=AS_OF, submission="s"))]

        assert kinds[0] == "form"
        assert (len(kinds) > 1) is (name not in ("asq", "epds"))


def test_a_response_in_spanish_says_so_and_its_codes_are_as_in_english() -> None:
    fields = sent("phq-9", *[1] * 9)
    context = FormContext(patient=f"Patient/{PATIENT}", at=AS_OF, submission="s")
    spanish, english = (
        slots_of(read_answers(form("phq-9", language), fields), context)[0].resource for language in ("es", "en")
    )

    assert (spanish["language"], "language" in english) == ("es", False)
    assert spanish["item"][0]["text"] == "Poco interés o placer en hacer cosas"
    assert [item["answer"] for item in spanish["item"]] == [item["answer"] for item in english["item"]]
    assert [f.kind for f in findings_of(read_answers(form("phq-9", "es"), fields))] == [Kind.SELF_HARM_ITEM]


def test_whom_to_call_is_of_the_site_and_its_country() -> None:
    found = crisis_help(SITE, TODAY, language())

    assert "988" in found.crisis and "911" in found.crisis and "*" not in found.crisis
    assert found.contact is None
    site = NoticeSettings(zone=ZoneInfo("UTC"), contact="On-call psychiatry: ext. 4410", region=REGIONS["generic"])
    assert crisis_help(site, TODAY, language()).contact == site.contact
    assert crisis_help(site, TODAY, language(), ("es",)).crisis == "Emergency: the local emergency number."


def test_whom_to_call_is_in_the_patients_language_or_the_forms_and_beside_an_epds_in_pregnancy() -> None:
    spanish, perinatal = "988 Lifeline in Spanish, call 988, then press 2", "National Maternal Mental Health Hotline"
    asked = {name: crisis_help(SITE, TODAY, language(), form=form(name)).crisis for name in ("phq-9", "epds")}

    assert crisis_help(SITE, TODAY, language(), ("es-mx",), form("asq")).crisis.startswith(f"Crisis lines: {spanish}")
    assert spanish in crisis_help(SITE, TODAY, language(), form=form("phq-9", "es")).crisis
    assert spanish in crisis_help(SITE, TODAY, replace(language("es"), reviewed=False)).crisis
    assert spanish not in asked["phq-9"] and [perinatal in text for text in asked.values()] == [False, True]


def test_a_phq_2_asks_nothing_of_self_harm() -> None:
    assert not safety_answer(read_answers(form("phq-2"), sent("phq-2", 3, 3)), language())
