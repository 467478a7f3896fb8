"""Rules R3 and R18: what is unread lets no negative lower a finding, and no absence be claimed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import AS_OF, LOW, cards_of, given, phq9_timeline, record_of, resource
from hook_calls import prompting

from explanations.judgement.assessment import Engine, assess
from explanations.words.language import language
from explanations.words.pages.availability import Availability, availability
from explanations.words.pages.other_results import other_results
from explanations.words.pages.trends import trend_rows, trend_sentence
from fhir_adapters.facts import ChartPart, PatientRecord, Unheard, Unknown, When
from fhir_adapters.gaps import Cause, Gap
from models.rules.findings import Urgency
from models.rules.safety_rules import apply_safety_rules


def day(number: int) -> When:
    return When(text=f"2026-11-{number:02d}", day=AS_OF.date().replace(day=number))


def heard(*lines: str, **unread) -> PatientRecord:
    """A chart, with one entry that no reader used."""
    entry = Unheard(kind="Observation", reference="Observation/unread", **({"when": None, "self_harm": True} | unread))
    return replace(record_of(*(r for line in lines for r in given(line))), unheard=(entry,))


ACT, NEGATIVE = "C-SSRS, 20 days ago: question 4 = yes", "C-SSRS, 5 days ago: question 1 2 6 = no"


@pytest.mark.parametrize(
    ("unread", "lowered"),
    [
        ({"when": day(18)}, False),
        ({"when": day(21)}, False),
        ({"when": None}, False),
        ({"when": day(18), "self_harm": False, "instrument": "SBQ-R"}, False),
        ({"when": day(17)}, True),
        ({"when": day(21), "self_harm": False, "instrument": "GAD-7"}, True),
    ],
)
def test_a_negative_lowers_nothing_beside_an_unread_entry_of_the_same_day_or_later(unread: dict, lowered: bool) -> None:
    (finding,) = [f for f in apply_safety_rules(heard(ACT, NEGATIVE, **unread)).findings if f.form]

    assert any(late.downgrades for late in finding.later) is lowered
    assert (finding.urgency is Urgency.NOTE) is lowered


def test_a_form_that_is_not_mapped_lets_no_negative_lower() -> None:
    form = resource(
        "QuestionnaireResponse",
        status="completed",
        questionnaire="https://x.example/Questionnaire/columbia",
        item=[{"linkId": "a", "answer": [{"valueString": "see overleaf"}]}],
    )
    lines = [r for line in (ACT, NEGATIVE) for r in given(line)]

    (finding,) = [f for f in apply_safety_rules(record_of(*lines, form)).findings if f.form]

    assert finding.urgency is Urgency.PROMPT


def test_nothing_is_said_to_be_absent_while_an_entry_is_unread() -> None:
    (plain,) = cards_of(record_of(*given(ACT)))
    (card, *_) = cards_of(heard(ACT))

    assert "no reassessment found since" in plain.summary
    assert "later screens may be unread" in card.summary
    assert "not all of the chart could be read" in card.detail


def test_a_procedure_that_cannot_be_read_may_be_a_risk_assessment() -> None:
    broken = resource("Procedure", status="completed", performedDateTime=3)

    card = cards_of(record_of(*given(ACT), broken))[0]

    assert "later screens may be unread" in card.summary


@pytest.mark.parametrize(
    ("line", "absent", "unread"),
    [
        ("PHQ-9, today: total = 14", "Item 9 not on file: ask directly.", "Item 9 not read: ask directly."),
        ("PHQ-9, today: total = 26", "not on file", "Item 9 not read"),
        ("PHQ-9, today: items 1-8 = 1", "item 9 is not on file", "item 9 was not read"),
        ("PHQ-9, 20 days ago: total = 14", "no later PHQ-9 or follow-up visit found", "may be unread"),
    ],
)
def test_item_9_is_called_absent_only_where_all_answers_were_read(line: str, absent: str, unread: str) -> None:
    def text(record: PatientRecord) -> str:
        return "\n".join(f"{card.summary}\n{card.detail}" for card in cards_of(record))

    assert absent in text(record_of(*given(line)))
    assert unread in text(heard(line))
    assert "not on file" not in text(heard(line))


def test_a_phq_9_without_a_total_is_not_called_absent() -> None:
    from cds_service.serving.engine import load_engine

    begun = "PHQ-9, 2 days ago: item 1 = declined, items 2-9 = 0"

    late = cards_of(record_of(*given("PHQ-9, 20 days ago: total = 14"), *given(begun)))
    prompted = cards_of(
        record_of(*given(begun), *given("Condition I10, 300 days ago, problem list")), load_engine(), LOW
    )

    assert "no later complete PHQ-9 or follow-up visit found" in late[0].summary
    assert "No later complete PHQ-9 or visit coded" in (late[0].detail or "")
    assert prompted[0].summary.startswith("No complete PHQ-9 on file.")


def test_the_pages_claim_no_absence_while_an_entry_is_unread() -> None:
    say = language()
    record = heard("PHQ-9, 3 days ago: total = 26", "EPDS, 3 days ago: total = 9")
    timeline = phq9_timeline(record)

    rows = {row.part: row for row in availability(assess(record, Engine()), say)}
    words = [
        trend_sentence(timeline, say),
        trend_sentence(phq9_timeline(heard()), say),
        *(text for row in trend_rows(timeline, say) for text in (row.safety_answer, row.state)),
        *(text for other in other_results(record, say) for text in other.rows),
    ]

    assert not [text for text in words if "on file" in text]
    screens = rows["Questionnaires and screening answers"]
    assert screens.gaps == ("`Observation/unread` was not understood",)
    empty = {row.part: row for row in availability(assess(heard(), Engine()), say)}
    assert empty["Questionnaires and screening answers"].state is Availability.NOT_READ


@pytest.mark.parametrize(
    ("cause", "unread"),
    [
        *[
            (c, False)
            for c in (Cause.NO_ACCESS, Cause.NOT_GRANTED, Cause.REFUSED, Cause.NOT_FOUND, Cause.NOT_SUPPORTED)
        ],
        *[
            (c, True)
            for c in (Cause.FAILED, Cause.TOO_LATE, Cause.FIRST_PAGE, Cause.ENTRIES_BROKEN, Cause.PARTLY_GRANTED)
        ],
    ],
)
def test_risk_assessments_that_are_not_offered_leave_no_words_on_a_card_and_are_named_on_the_page(
    cause: Cause, unread: bool
) -> None:
    lost = Unknown(what=ChartPart.RISK_ASSESSMENTS, reason=Gap(cause=cause), needed=False)
    record = replace(record_of(*given(ACT), *given("Risk assessment, 30 days ago")), unknown=(lost,))

    (card,) = cards_of(record)
    row = {row.part: row for row in availability(assess(record, Engine()), language())}[
        "Procedures and risk assessments"
    ]

    assert ("may be unread" in card.summary) is unread
    assert ("not all of the chart could be read" in card.detail) is unread
    assert row.state is (Availability.NOT_READ if unread else Availability.READ)
    assert row.gaps[0].startswith("risk assessments: ")


def test_a_prompt_calls_no_input_absent_while_part_of_the_chart_is_unread() -> None:
    from cds_service.serving.engine import load_engine

    engine = load_engine()
    lost = Unknown(what=ChartPart.MEDICATIONS, reason=Gap(cause=Cause.REFUSED), needed=False)
    chart = record_of(*prompting())

    (whole,) = cards_of(chart, engine, LOW)
    (card,) = cards_of(replace(chart, unknown=(lost,)), engine, LOW)

    assert "- Not on file: " in whole.detail
    assert "- Not on file or not read: " in card.detail
