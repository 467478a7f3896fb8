"""A record on a time axis: what has a place, what has none, and what is never filled in."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from builders import LOINC, gad7_timeline, given, moment, observation, patient, phq9_timeline, record_of, resource

from explanations.judgement.timeline import PointState
from explanations.words.language import language
from explanations.words.pages.events import event_rows, events_sentence
from explanations.words.pages.trends import state_words, title_words, trend_rows, trend_sentence
from fhir_adapters.facts import SafetyPlan, When


def timeline(*lines: str, more=(), age: int = 61):
    return phq9_timeline(record_of(*(r for line in lines for r in given(line)), *more, who=patient(age)))


def order(text: str, when: str | None = None) -> dict:
    dated = {"authoredOn": moment(when)} if when else {}
    concept = {"text": text}
    return resource("MedicationRequest", status="active", intent="order", medicationCodeableConcept=concept, **dated)


COMPLETE = "items 1-8 = 1, item 9 = 0"


@pytest.mark.parametrize(
    ("line", "state", "total", "words"),
    [
        (f"PHQ-9, 3 days ago: {COMPLETE}", PointState.COMPLETE, 8, "complete"),
        (f"PHQ-9M, 3 days ago: {COMPLETE}", PointState.COMPLETE, 8, "complete"),
        (f"PHQ-9, 3 days ago: {COMPLETE}, total = 8", PointState.COMPLETE, 8, "complete"),
        ("PHQ-9, 3 days ago: total = 14", PointState.TOTAL_ONLY, 14, "total as recorded; its answers are not on file"),
        (
            "PHQ-9, 3 days ago: items 1-3 = 1, total = 5",
            PointState.TOTAL_ONLY,
            5,
            "total as recorded; 3 of 9 answers on file",
        ),
        (
            "PHQ-9, 3 days ago: items 1-7 = 1",
            PointState.INCOMPLETE,
            None,
            "incomplete, 7 of 9 answered; no total is given",
        ),
        (
            f"PHQ-9, 3 days ago: {COMPLETE}, total = 20",
            PointState.CONTRADICTORY,
            None,
            "contradicts itself; check the source",
        ),
        (f"PHQ-9, 3 days ago, in progress: {COMPLETE}", PointState.COMPLETE, 8, "complete; provisional"),
    ],
)
def test_a_form_is_as_far_as_it_is_filled_in(line: str, state: PointState, total: int | None, words: str) -> None:
    (point,) = timeline(line).points

    assert (point.state, point.total, state_words(point, language())) == (state, total, words)


@pytest.mark.parametrize("when", ["undated", "in 9 days", "2026-10", "2025"])
def test_a_result_without_a_whole_date_up_to_today_is_in_the_table_only(when: str) -> None:
    found = timeline(f"PHQ-9, {when}: total = 12")

    assert found.placed == ()
    assert [row.total for row in trend_rows(found, language())] == ["12 of 27"]
    assert trend_sentence(found, language()).endswith("In the table only: 1 without a full date up to today.")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("item 9 = 1", "1 of 3, several days"),
        ("item 9 = 0", "0 of 3, not at all"),
        ("item 9 = declined", "declined"),
        ("item 9 = unreadable", "could not be read"),
        ("item 8 = 1", "not on file"),
    ],
)
def test_kinds_of_no_answer_to_item_9_stay_apart(item: str, words: str) -> None:
    (row,) = trend_rows(timeline(f"PHQ-9, 3 days ago: items 1-3 = 1, {item}"), language())

    assert row.safety_answer == words


def test_a_blank_item_9_is_said_to_be_left_blank() -> None:
    forms = given("PHQ-9, 3 days ago: items 1-8 = 1, item 9 = blank", "questionnaire")

    (row,) = trend_rows(phq9_timeline(record_of(*forms)), language())

    assert row.safety_answer == "left blank"


def test_gad_7_has_its_own_scale_and_no_item_9() -> None:
    found = gad7_timeline(record_of(observation(LOINC, "70274-6", moment("3 days ago"), {"valueInteger": 14})))

    assert (
        title_words(found, language()),
        found.top,
        [row.safety_answer for row in trend_rows(found, language())],
    ) == (
        "GAD-7",
        21,
        [None],
    )


def test_lanes_are_of_antidepressants_and_mood_stabilisers_and_name_strengths_without_claiming_a_change() -> None:
    medicines = [
        order("Sertraline 50 MG Oral Tablet", "200 days ago"),
        order("sertraline 100mg", "20 days ago"),
        order("Depakote 500 mg"),
        order("Lamictal", "in 3 days"),
        order("gabapentin 300 mg", "20 days ago"),
        order("lisinopril", "20 days ago"),
    ]

    lanes = timeline(more=medicines).lanes

    assert [(lane.label, [len(run.days) for run in lane.runs], lane.undated) for lane in lanes] == [
        ("Sertraline 50 mg, 100 mg", [2], False),
        ("Divalproex 500 mg", [], True),
        ("Lamotrigine", [], True),
    ]


def over(name: str, ordered: str, status: str = "stopped", **more) -> dict:
    return order(name, ordered) | {"status": status} | more


def bounds(end: str) -> dict:
    return {"dosageInstruction": [{"timing": {"repeat": {"boundsPeriod": {"end": moment(end)}}}}]}


CHANGED = "http://hl7.org/fhir/5.0/StructureDefinition/extension-MedicationRequest.statusChanged"


@pytest.mark.parametrize(
    ("orders", "runs", "active"),
    [
        ([over("sertraline", "200 days ago", **bounds("100 days ago"))], [([200], 100)], False),
        ([over("sertraline", "200 days ago", "completed", dispenseRequest={"validityPeriod": {"end": moment("90 days ago")}})], [([200], 90)], False),
        ([over("sertraline", "200 days ago", extension=[{"url": CHANGED, "valueDateTime": moment("80 days ago")}], **bounds("10 days ago"))], [([200], 80)], False),
        ([over("sertraline", "200 days ago")], [([200], None)], False),
        ([over("sertraline", "200 days ago", **bounds("in 20 days"))], [([200], None)], False),
        ([over("sertraline", "200 days ago", dosageInstruction="odd", dispenseRequest=[1], extension="odd")], [([200], None)], False),
        ([over("sertraline", "200 days ago", "cancelled"), over("sertraline", "90 days ago", "entered-in-error")], [], False),
        ([over("sertraline", "200 days ago", "completed", **bounds("170 days ago")), over("sertraline", "150 days ago", "completed", **bounds("120 days ago"))], [([200, 150], 120)], False),
        ([over("sertraline", "200 days ago", **bounds("170 days ago")), order("sertraline", "30 days ago")], [([200], 170), ([30], None)], True),
        ([over("sertraline", "200 days ago"), order("sertraline", "190 days ago")], [([200], None), ([190], None)], True),
        ([over("sertraline", "undated")], [], False),
    ],
)  # fmt: skip
def test_a_medicine_that_is_over_ends_where_the_chart_says_and_never_reads_as_being_taken(orders, runs, active) -> None:
    found = timeline("PHQ-9, 250 days ago: total = 9", "PHQ-9, 3 days ago: total = 9", more=orders)
    today = found.today

    assert [
        ([(today - day).days for day in run.days], (today - run.end).days if run.end else None)
        for lane in found.lanes
        for run in lane.runs
    ] == runs
    assert any(lane.active for lane in found.lanes) == active
    assert ("active" in events_sentence(found, language())) == active
    assert (any("date not recorded" in row.what for row in event_rows(found, language()))) == (([200], None) in runs)


def test_what_happened_in_the_time_of_a_trend_is_said_in_a_sentence_and_in_rows() -> None:
    coded = [*given("Condition T14.91XA, 40 days ago"), *given("Condition R45.851, 30 days ago")]
    results = ("PHQ-9, 90 days ago: total = 9", "PHQ-9, 3 days ago: total = 14")
    chart = record_of(*(r for line in results for r in given(line)), *coded, order("sertraline", "60 days ago"))
    made = When(text="2026-10-15", day=date(2026, 10, 15))
    plans = tuple(SafetyPlan(reference="CarePlan/p", when=made, understood=known) for known in (True, False))

    found = phq9_timeline(replace(chart, safety_plans=plans))

    assert events_sentence(found, language()) == (
        "Over the same period: suicide attempt on 14 October 2026; suicidal ideation on 24 October 2026; "
        "safety plan of 15 October 2026; Sertraline since 24 September 2026, active."
    )
    assert [(row.date, row.what) for row in event_rows(found, language())] == [
        ("24 Oct 2026", "Suicidal ideation"),
        ("15 Oct 2026", "Safety plan"),
        ("14 Oct 2026", "Suicide attempt"),
        ("24 Sep 2026", "Sertraline: ordered"),
    ]
    assert events_sentence(timeline(results[0], more=coded), language()) == ""


def test_a_day_with_a_mental_health_visit_is_marked_once() -> None:
    day = {"period": {"start": "2026-10-01"}}
    visits = [
        resource("Encounter", **{"status": "finished", "class": {"code": "AMB"}, **day, **kind})
        for kind in (
            {},
            {"type": [{"text": "Psychiatry visit"}]},
            {"status": "cancelled", "period": {"start": "2026-10-02"}},
        )
    ]

    assert [(visit.day, visit.mental_health) for visit in timeline(more=visits).visits] == [(date(2026, 10, 1), True)]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ((), "No dated PHQ-9 total on file."),
        (("PHQ-9, 2026-10-25: items 1-9 = 1",), "One result: 9 on 25 October 2026 with item 9 answered several days."),
        (("PHQ-9, 2025-11-10: total = 18", "PHQ-9, 2026-06-01: total = 9"), "Fell from 18 to 9 between 10 November 2025 and 1 June 2026."),
        (("PHQ-9, 2025-11-10: total = 9", "PHQ-9, 2026-06-01: total = 9"), "9 on both 10 November 2025 and 1 June 2026."),
        (
            ("PHQ-9, 2025-11-10: total = 18", "PHQ-9, 2026-04-13: items 1-7 = 1", "PHQ-9, 2026-06-01: total = 9", "PHQ-9, 2026-10-25: items 1-5 = 2, items 6-9 = 1"),
            "Fell from 18 to 9 between 10 November 2025 and 1 June 2026, then 14 on 25 October 2026 with item 9 answered several days. The form of 13 April 2026 was incomplete.",
        ),
        (
            ("PHQ-9, 2026-01-01: total = 5", "PHQ-9, 2026-02-01: total = 20", "PHQ-9, 2026-03-01: total = 6", "PHQ-9, 2026-04-01: total = 7"),
            "4 results between 1 January 2026 and 1 April 2026, from 5 to 20: first 5, last 7 on 1 April 2026.",
        ),
        (("PHQ-9, 2026-10-25: items 1-7 = 1, item 9 = 2",), "No dated PHQ-9 total on file. Item 9 was above 0 on 25 October 2026. The form of 25 October 2026 was incomplete."),
        (("PHQ-9, 2026-10-14: items 1-8 = 1, item 9 = declined",), "No dated PHQ-9 total on file. Item 9 was declined: 14 Oct 2026. The form of 14 October 2026 was incomplete."),
        (("PHQ-9, 2026-10-14: items 1-8 = 1, item 9 = unreadable",), "No dated PHQ-9 total on file. Item 9 could not be read: 14 Oct 2026. The form of 14 October 2026 was incomplete."),
        (("PHQ-9, undated: items 1-9 = 1",), "No dated PHQ-9 total on file. Item 9 was above 0: date not recorded. In the table only: 1 without a full date up to today."),
        (("PHQ-9, 2026-05-07: total = 25",), "One result: 25 on 7 May 2026. A total of 25 or more means item 9 was above 0; its answer is not on file: 7 May 2026."),
        (("PHQ-9, 2015-01-01: total = 5", "PHQ-9, 2026-10-25: total = 6"), "Rose from 5 to 6 between 1 January 2015 and 25 October 2026. In the table only: 1 from before 25 October 2026."),
    ],
)  # fmt: skip
def test_the_trend_in_a_sentence(lines: tuple[str, ...], sentence: str) -> None:
    assert trend_sentence(timeline(*lines), language()) == sentence
