"""What is written of a form is valid R4, and our own reader reads back what was said: nothing more, nothing less."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import AS_OF, PATIENT, record_of
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_adapters.errors import NotValid
from fhir_adapters.facts import AnswerState
from fhir_adapters.resources.validation import faults
from fhir_adapters.writing.completed import (
    FORM,
    SUBMISSION_SYSTEM,
    TOTAL,
    FormContext,
    Slot,
    author_of,
    derived_from,
    slots_of,
)
from fhir_adapters.writing.questionnaires import EntryState, FormAnswer, FormAnswers, form
from models.rules.findings import Kind, Topic
from models.rules.safety_rules import apply_safety_rules

SOME = settings(max_examples=120)
OCCASION = FormContext(patient=f"Patient/{PATIENT}", at=AS_OF - timedelta(minutes=5), submission="5f0c")
seen = Counter()


@st.composite
def filled_in(draw, names=("phq-9", "phq-2")) -> FormAnswers:
    """A form without an open required question; as often as not one with every item answered."""
    found = form(draw(st.sampled_from(names)))
    declines = st.sampled_from([False, draw(st.booleans())])
    given_ = []
    for question in found.questions:
        if not question.required and draw(st.booleans()):
            given_.append(FormAnswer(question=question, state=EntryState.OPEN))
        elif draw(declines):
            given_.append(FormAnswer(question=question, state=EntryState.DECLINED))
        else:
            option = draw(st.sampled_from(question.options))
            given_.append(FormAnswer(question=question, state=EntryState.ANSWERED, option=option))
    return FormAnswers(form=found, given=tuple(given_))


def in_chart(slots: tuple[Slot, ...], first: int = 1) -> list[dict]:
    """The resources as a server has them: with ids, and each Observation derived from the response."""
    numbered = [Slot(name=s.name, resource=s.resource | {"id": f"w{n}"}) for n, s in enumerate(slots, start=first)]
    return [derived_from(s, f"QuestionnaireResponse/w{first}").resource for s in numbered]


def forms_of(resources: list[dict]):
    record = record_of(*resources)
    assert not record.anomalies and not record.unreadable
    return record.administrations


@given(answers=filled_in(), encounter=st.sampled_from([None, "Encounter/e1"]), shuffled=st.randoms())
@SOME
def test_what_is_written_is_valid_and_read_back_as_one_form_with_the_same_answers(answers, encounter, shuffled) -> None:
    resources = in_chart(slots_of(answers, replace(OCCASION, encounter=encounter)))
    assert [fault for resource in resources for fault in faults(resource)] == []
    shuffled.shuffle(resources)

    (read,) = forms_of(resources)

    wanted = {a.question.item: a for a in answers.given if a.question.item}
    assert read.instrument is answers.form.instrument
    assert read.total == answers.total
    assert (read.contradictory, read.provisional, read.encounter) == (False, False, encounter)
    assert {a.item for a in read.answers} == set(wanted)
    for item, said in wanted.items():
        state = AnswerState.ANSWERED if said.option else AnswerState.DECLINED
        assert (read.answer(item).state, read.score(item)) == (state, said.option.score if said.option else None)
    seen[answers.form.name, answers.total is None] += 1


def test_forms_of_every_kind_were_made_up() -> None:
    assert set(seen) == {(name, lacking) for name in ("phq-9", "phq-2") for lacking in (True, False)}


@given(answers=filled_in(names=("phq-9",)))
@SOME
def test_an_answer_to_item_9_is_never_lost(answers: FormAnswers) -> None:
    findings = apply_safety_rules(record_of(*in_chart(slots_of(answers, OCCASION)))).findings

    kinds = {f.kind for f in findings if f.form and any(a.item == "9" for a in f.items)}
    option = answers.safety.option
    wanted = {Kind.DECLINED_ANSWER} if option is None else {Kind.SELF_HARM_ITEM} if option.score else set()
    assert kinds & {Kind.DECLINED_ANSWER, Kind.SELF_HARM_ITEM} == wanted
    if option and option.score:
        assert Topic.POSITIVE_SAFETY_ANSWER in {f.topic for f in findings}


@given(answers=filled_in(), kept=st.data())
@SOME
def test_a_part_of_what_is_written_reads_as_a_part_and_never_as_something_else(answers, kept) -> None:
    resources = in_chart(slots_of(answers, OCCASION))
    some = resources[: kept.draw(st.integers(1, len(resources)))]

    (read,) = forms_of(some)

    assert read.instrument is answers.form.instrument
    assert read.total in (None, answers.total)


@given(first=filled_in(names=("phq-9",)), hours=st.integers(2, 30))
@SOME
def test_two_forms_of_different_hours_stay_two(first: FormAnswers, hours: int) -> None:
    earlier = replace(OCCASION, at=OCCASION.at - timedelta(hours=hours), submission="other")
    resources = in_chart(slots_of(first, OCCASION)) + in_chart(slots_of(first, earlier), first=100)

    assert len(forms_of(resources)) == 2


@given(answers=filled_in(), minutes=st.integers(0, 50), kept=st.data())
@SOME
def test_a_form_that_got_in_twice_for_want_of_an_answer_reads_as_one(answers: FormAnswers, minutes: int, kept) -> None:
    again = replace(OCCASION, at=OCCASION.at - timedelta(minutes=minutes))
    twice = in_chart(slots_of(answers, again), first=100)
    part = twice[: kept.draw(st.integers(1, len(twice)))]

    (read,) = forms_of(in_chart(slots_of(answers, OCCASION)) + part)

    assert (read.total, read.contradictory) == (answers.total, False)


@given(answers=filled_in())
@SOME
def test_every_resource_is_known_again_by_an_identifier_of_its_own(answers: FormAnswers) -> None:
    slots = slots_of(answers, OCCASION)
    found = [r.resource["identifier"] for r in slots]
    flat = [i if isinstance(i, dict) else i[0] for i in found]

    assert [i["value"] for i in flat] == [f"5f0c.{s.name}" for s in slots]
    assert {i["system"] for i in flat} == {SUBMISSION_SYSTEM}
    total = [TOTAL] if answers.total is not None else []
    assert [s.name for s in slots][: 1 + len(total)] == [FORM, *total]
    assert len(slots) == 1 + len(total) + len(answers.answered)


def complete_phq9(score: int = 1) -> FormAnswers:
    given_ = tuple(
        FormAnswer(question=q, state=EntryState.ANSWERED, option=q.options[score]) for q in form("phq-9").questions
    )
    return FormAnswers(form=form("phq-9"), given=given_)


@pytest.mark.parametrize(
    ("user", "author"),
    [
        ("Practitioner/doc", "Practitioner/doc"),
        ("PractitionerRole/r-1", "PractitionerRole/r-1"),
        ("https://ehr.example/fhir/Practitioner/doc", "Practitioner/doc"),
        ("Patient/p1", None),
        ("RelatedPerson/x", None),
        ("Practitioner/a b", None),
        ("XPractitioner/doc", None),
        (None, None),
    ],
)
def test_a_practitioner_signs_and_nobody_else(user: str | None, author: str | None) -> None:
    slots = slots_of(complete_phq9(), replace(OCCASION, user=user))

    assert author_of(user) == author
    assert slots[0].resource.get("author") == ({"reference": author} if author else None)
    assert slots[1].resource.get("performer") == ([{"reference": author}] if author else None)
    assert slots[0].resource["source"] == {"reference": f"Patient/{PATIENT}"}


def test_an_open_question_stops_everything() -> None:
    whole = complete_phq9()
    opened = replace(whole.given[8], state=EntryState.OPEN, option=None)

    with pytest.raises(NotValid):
        slots_of(replace(whole, given=(*whole.given[:8], opened)), OCCASION)


@pytest.mark.parametrize(
    "odd",
    [
        {"patient": "Patient/a|b"},
        {"patient": "p1"},
        {"encounter": "https://x/e"},
        {"submission": "a|b"},
        {"submission": ""},
    ],
)
def test_a_reference_or_submission_that_could_mean_something_else_stops_everything(odd: dict) -> None:
    if odd == {"submission": ""}:
        odd = {"submission": "a" * 80}
    with pytest.raises(NotValid):
        slots_of(complete_phq9(), replace(OCCASION, **odd))


def test_an_invalid_resource_is_named_by_element_and_holds_no_value() -> None:
    wrong = replace(complete_phq9().given[0].question, link_id="")

    with pytest.raises(NotValid) as caught:
        slots_of(
            FormAnswers(
                form=form("phq-9"),
                given=(
                    FormAnswer(question=wrong, state=EntryState.ANSWERED, option=replace(wrong.options[0], display="")),
                ),
            ),
            OCCASION,
        )

    assert "form" in str(caught.value) and PATIENT not in str(caught.value)
    assert json.dumps(wrong.text) not in str(caught.value)
