"""What a page sends about a form to answers: every blank is named, nothing forged is taken, nothing is made up."""

from __future__ import annotations

from datetime import date
from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest
from builders import AS_OF, PATIENT, record_of
from hypothesis import given
from hypothesis import strategies as st

from explanations.words.language import language
from explanations.words.notices.notice import NoticeSettings
from explanations.words.notices.topics import EDGES
from fhir_adapters.writing.completed import FormContext, slots_of
from fhir_adapters.writing.questionnaires import EntryState, form
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
    for name in ("gad-7", "phq-9m", "../phq-9", ""):
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


@pytest.mark.parametrize("nine", [1, 2, 3, DECLINED])
def test_the_steps_have_the_colour_of_the_finding_that_the_answer_makes(nine) -> None:
    answers = read_answers(form("phq-9"), sent("phq-9", *[0] * 8, nine))
    written = slots_of(answers, FormContext(patient=f"Patient/{PATIENT}", at=AS_OF, submission="s"))
    (finding,) = apply_safety_rules(record_of(*(slot.resource | {"id": slot.name} for slot in written))).findings

    steps = (files("smart_launch") / "templates" / "smart" / "_safety_steps.html").read_text()

    assert safety_answer(answers, language())
    assert f'class="finding {EDGES[finding.urgency]}"' in steps


def test_whom_to_call_is_of_the_site_and_its_country() -> None:
    found = crisis_help(SITE, TODAY, language())

    assert "988" in found.crisis and "911" in found.crisis and "*" not in found.crisis
    assert found.contact is None
    site = NoticeSettings(zone=ZoneInfo("UTC"), contact="On-call psychiatry: ext. 4410", country="GB")
    assert crisis_help(site, TODAY, language()).contact == site.contact
    assert crisis_help(site, TODAY, language()).crisis == "Immediate danger: the local emergency number."


def test_a_phq_2_asks_nothing_of_self_harm() -> None:
    assert not safety_answer(read_answers(form("phq-2"), sent("phq-2", 3, 3)), language())
