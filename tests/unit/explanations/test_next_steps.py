"""What a finding calls for, by topic, weight and age: the first draft of its card is the app's main button."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import pytest
from app_views import ENGLISH, LOOKS, look, summary
from builders import AS_OF, cards_of, given, patient, record_of

from explanations.judgement.assessment import Engine, assess
from explanations.judgement.next_steps import next_steps, to_measure
from explanations.judgement.proposals import DraftKind, proposals, purpose
from explanations.words.notices.drafts import draft_label
from explanations.words.notices.notice import NoticeSettings
from explanations.words.notices.notice_list import notices
from explanations.words.notices.topics import TOPICS
from fhir_adapters.facts import PatientRecord, Unknown
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.writing.drafts import DraftContext
from models.rules.findings import SAFETY_TOPICS, Topic
from smart_launch.chart.actions import action_links
from smart_launch.chart.strip import main_action

C_SSRS, ASSESS, CONTACT = DraftKind.CSSRS, DraftKind.ASSESSMENT, DraftKind.CONTACT
PHQ9, COMPLETE, PHQ9M = DraftKind.PHQ9, DraftKind.PHQ9_COMPLETE, DraftKind.PHQ9M
ASQ_NON_ACUTE = "questions 1-2 = yes, questions 3-4 = no, acuity = no"

# Chart lines; the drafts of the gravest notice for an adult, a teenager, a child.
CALLED_FOR = [
    ("C-SSRS, today: question 4 = yes, question 6 = no", (ASSESS, CONTACT), None, None),
    ("C-SSRS, 40 days ago: question 4 = yes, question 6 = no", (ASSESS, CONTACT), None, None),
    ("C-SSRS, 3 days ago: questions 1-2 = yes, question 6 = no", (ASSESS, CONTACT), None, None),
    (f"ASQ, today: {ASQ_NON_ACUTE}", (ASSESS, CONTACT), None, None),
    (f"ASQ, 60 days ago: {ASQ_NON_ACUTE}", (ASSESS, CONTACT), None, None),
    ("ASQ, today: questions 1-4 = declined", (ASSESS, CONTACT), None, None),
    ("PHQ-9, 6 days ago: items 1-8 = 1, item 9 = 1", (C_SSRS, CONTACT), None, (ASSESS, CONTACT)),
    ("PHQ-9, 60 days ago: items 1-8 = 1, item 9 = 1", (C_SSRS, CONTACT), None, (ASSESS, CONTACT)),
    ("PHQ-9, 6 days ago: items 1-8 = 1, item 9 = 2", (ASSESS, CONTACT), None, None),
    ("PHQ-9, 4 days ago: total = 26", (ASSESS, CONTACT), None, None),
    ("PHQ-9M, 3 days ago: items 1-8 = 0, item 9 = 0, lifetime_attempt = yes", (ASSESS, CONTACT), None, None),
    ("EPDS, 2 days ago: items 1-9 = 0, item 10 = 1", (C_SSRS, CONTACT), None, (ASSESS, CONTACT)),
    ("PHQ-9, 2 days ago: items 1-8 = 1, item 9 = declined", (C_SSRS,), None, (ASSESS,)),
    ("Condition T14.91XA, 41 days ago", (ASSESS, CONTACT), None, None),
    ("Condition 6471006, 5 days ago, problem list", (ASSESS, CONTACT), None, None),
    ("PHQ-9, 5 days ago: items 1-8 = 2, item 9 = 0", (CONTACT,), None, ()),
    ("PHQ-9, 56 days ago: items 1-8 = 2, item 9 = 0", (PHQ9, CONTACT), (PHQ9M, CONTACT), ()),
    ("PHQ-9, 5 days ago: total = 16", (PHQ9, CONTACT), (PHQ9M, CONTACT), ()),
    ("PHQ-2, 5 days ago: items 1-2 = 2", (PHQ9, CONTACT), (PHQ9M, CONTACT), ()),
    ("PHQ-9, 3 days ago: items 1-8 = 1, item 9 = blank", (COMPLETE,), (DraftKind.PHQ9M_COMPLETE,), (ASSESS,)),
    ("PHQ-9, 10 days ago: items 1-8 = 1, item 9 = 0, total = 19", (), None, None),
    ("Condition I10, 300 days ago, problem list", (), None, None),
]


def chart(*lines: str, age: int | None = 40) -> PatientRecord:
    return record_of(*(found for text in lines for found in given(text)), who=patient(age))


def gravest(*lines: str, age: int | None = 40):
    """The gravest notice; None where there is none."""
    found = notices(assess(chart(*lines, age=age), Engine()), NoticeSettings(zone=AS_OF.tzinfo))
    return found[0] if found else None


def drafts(*lines: str, age: int | None = 40) -> tuple[DraftKind, ...]:
    found = gravest(*lines, age=age)
    return found.drafts if found else ()


@pytest.mark.parametrize(("text", "adult", "teen", "child"), CALLED_FOR)
def test_each_finding_calls_for_drafts_that_fit_its_weight_and_the_age(text: str, adult, teen, child) -> None:
    assert drafts(text) == drafts(text, age=None) == adult
    assert drafts(text, age=15) == (adult if teen is None else teen)
    assert drafts(text, age=10) == (adult if child is None else child)


WEIGHT = {C_SSRS: 1, ASSESS: 2}


def no_less(new: tuple[DraftKind, ...], old: tuple[DraftKind, ...]) -> bool:
    """Whether drafts offer at least what others do: an evaluation of the same weight or more, and a contact too."""
    evaluation = max((WEIGHT.get(kind, 0) for kind in new), default=0)
    return evaluation >= max((WEIGHT.get(kind, 0) for kind in old), default=0) and (
        CONTACT in new or CONTACT not in old
    )


AGES_OF_ANSWER = (0, 1, 6, 7, 8, 14, 15, 40, 89, 90)
GRADED = [
    *([f"PHQ-9, {{days}} days ago: items 1-8 = {rest}, item 9 = {score}" for score in range(4)] for rest in (0, 1, 3)),
    [f"EPDS, {{days}} days ago: items 1-9 = 0, item 10 = {score}" for score in range(4)],
    [
        "C-SSRS, {days} days ago: questions 1-2 = no, question 6 = no",
        "C-SSRS, {days} days ago: question 1 = yes, question 2 = no, question 6 = no",
        "C-SSRS, {days} days ago: questions 1-3 = yes, questions 4-6 = no",
        "C-SSRS, {days} days ago: questions 1-4 = yes, questions 5-6 = no",
        "C-SSRS, {days} days ago: questions 1-5 = yes, question 6 = yes, q6_recent = yes",
    ],
    [
        "ASQ, {days} days ago: questions 1-4 = no",
        f"ASQ, {{days}} days ago: {ASQ_NON_ACUTE}",
        "ASQ, {days} days ago: questions 1-4 = yes, acuity = yes",
    ],
]


@pytest.mark.parametrize("age", [40, 15, 10])
@pytest.mark.parametrize("answers", GRADED)
def test_a_newer_or_graver_answer_never_offers_less(answers: list[str], age: int) -> None:
    offered = {
        (place, days): drafts(text.format(days=days), age=age)
        for (place, text), days in product(enumerate(answers), AGES_OF_ANSWER)
    }

    for (place, days), lesser in offered.items():
        for graver in range(place, len(answers)):
            assert no_less(offered[graver, days], lesser), (answers[graver], answers[place], days)
    for place in range(len(answers)):
        for newer, older in pairwise(AGES_OF_ANSWER):
            assert no_less(offered[place, newer], offered[place, older]), (answers[place], newer, older)


MIXES = [
    ("C-SSRS, today: question 4 = yes, question 6 = no", "PHQ-9, today: items 1-9 = 3"),
    ("PHQ-9, today: items 1-9 = 3", "Condition T14.91XA, 41 days ago"),
    ("PHQ-9, 2 days ago: items 1-8 = 2, item 9 = 1", f"ASQ, 30 days ago: {ASQ_NON_ACUTE}"),
    ("PHQ-9, 56 days ago: items 1-8 = 2, item 9 = 0", "PHQ-9, 3 days ago: items 1-8 = 1, item 9 = blank"),
    ("PHQ-9, 10 days ago: items 1-8 = 1, item 9 = 0, total = 19", "PHQ-9, 56 days ago: items 1-8 = 2, item 9 = 0"),
    ("PHQ-9, 3 days ago: items 1-8 = 1, item 9 = declined", "EPDS, 3 days ago: items 1-9 = 2, item 10 = 2"),
    ("PHQ-9, 5 days ago: items 1-8 = 2, item 9 = declined", "Condition T14.91XA, 41 days ago"),
    *(
        (severe, finding, "C-SSRS, 18 days ago: questions 1-2 = no, question 6 = no")
        for severe in ("PHQ-9, 20 days ago: items 1-8 = 3, item 9 = 0", "PHQ-9, 5 days ago: total = 24")
        for finding in ("Condition T14.91XA, 41 days ago", "PHQ-9, 60 days ago: items 1-8 = 1, item 9 = 1")
    ),
]


@pytest.mark.parametrize("lines", [*((text,) for text, *_ in CALLED_FOR), *MIXES])
@pytest.mark.parametrize("age", [40, 15, 10])
def test_the_first_suggestion_of_the_cards_is_the_main_button_of_the_app(lines: tuple[str, ...], age: int) -> None:
    found = chart(*lines, age=age)
    _, launch = look("bare")
    first = next((s.label for card in cards_of(found) for s in card.suggestions or ()), None)
    listed = notices(assess(found, Engine()), NoticeSettings(zone=AS_OF.tzinfo))
    kind = next((notice.drafts[0] for notice in listed if notice.drafts), None)

    assert first == (kind and draft_label(kind, ENGLISH))
    if kind:
        assert main_of(found) == action_links((kind,), found, launch)[0]


@pytest.mark.parametrize("lines", MIXES)
def test_with_a_safety_finding_the_main_button_is_its_own_whatever_stands_above_it(lines: tuple[str, ...]) -> None:
    listed = notices(assess(chart(*lines), Engine()), NoticeSettings(zone=AS_OF.tzinfo))
    own = [notice.drafts[0] for notice in listed if notice.topic in SAFETY_TOPICS]
    first = next((notice.drafts[0] for notice in listed if notice.drafts), None)

    assert not own or WEIGHT.get(first, 0) == max(WEIGHT[kind] for kind in own)


@pytest.mark.parametrize(("age", "expected"), [(None, (PHQ9,)), (40, (PHQ9,)), (15, (PHQ9M,)), (11, ())])
def test_where_nothing_is_found_the_questionnaire_is_of_the_age(age: int | None, expected: tuple) -> None:
    assert to_measure(chart(age=age)) == expected


def main_of(found: PatientRecord):
    reading, launch = look("bare")
    settings = NoticeSettings(zone=AS_OF.tzinfo)
    assessment = assess(found, Engine())
    return main_action(replace(reading, assessment=assessment, notices=notices(assessment, settings)), launch)


@pytest.mark.parametrize("name", LOOKS)
def test_after_a_safety_finding_the_main_button_is_never_another_phq_9(name: str) -> None:
    main, topics = summary(name).strip.main, [finding.topic for finding in summary(name).findings]

    if set(topics) & set(SAFETY_TOPICS):
        assert main is None or "phq-9" not in main.path
    assert len(topics) == len(set(topics))


def test_a_topic_without_findings_is_a_models_and_asks_for_the_phq_9() -> None:
    for topic in (Topic.SCREENING_PROMPT, Topic.DEPRESSION_FOLLOW_UP):
        assert next_steps(topic, (), chart()) == (PHQ9,)


@pytest.mark.parametrize(("part", "expected"), [("questionnaires", (COMPLETE,)), ("consents", ())])
def test_what_was_not_read_is_asked_for_unless_it_silences_models_alone(part: str, expected: tuple) -> None:
    gap = Unknown(what=part, reason=Gap(cause=Cause.TOO_LATE), needed=True)
    found = replace(chart(), unknown=(gap,))

    assert next_steps(Topic.COULD_NOT_ASSESS, assess(found, Engine()).findings, found) == expected


def test_every_draft_of_a_notice_is_of_another_purpose_and_there_are_two_at_most() -> None:
    context = DraftContext(patient_id="p1", today=AS_OF.date())

    for text, *_ in CALLED_FOR:
        made = proposals(drafts(text), context)
        assert len({purpose(p.resource) for p in made}) == len(made) <= 2


def test_the_words_for_urgency_are_those_of_the_docs() -> None:
    text = (Path(__file__).parents[3] / "docs" / "clinical-safety.md").read_text(encoding="utf-8")

    rows = re.findall(r"^\| ([A-Z][a-z ]+) \| `([a-z-]+)` \|$", text, re.MULTILINE)

    assert rows == [(spec.word, spec.topic.value) for spec in TOPICS]
