"""What the strip says was done since a finding: only what came later, and nothing that may be unread as absent."""

from __future__ import annotations

from datetime import date

import pytest
from app_views import ENGLISH, LOOKS, ZONE
from builders import LOINC, given, observation, record_of

from explanations.judgement.assessment import Engine
from explanations.judgement.judge import assess_shown
from explanations.judgement.regions import DEFAULT_REGION
from explanations.judgement.since import result_of
from explanations.words.notices.notice import NoticeSettings
from explanations.words.notices.notice_list import notices
from explanations.words.pages.strip import result_words, since_words
from fhir_adapters.facts import PatientRecord, When
from models.rules.discharge import NotCounted, Step, StepEntry, StepKind
from models.scoring.risk import BandThresholds

POSITIVE = "PHQ-9, today: items 1-8 = 1, item 9 = 1"
ATTEMPT = "Condition T14.91XA, 41 days ago"
NO_ANSWER = "questions 1-2 = no, question 6 = no"
NOT_RULED_OUT = "Answers of “no” or “not at all” do not rule out risk."
# Chart lines; what is said of the gravest finding.
SINCE = [
    (
        (POSITIVE, f"C-SSRS, today: {NO_ANSWER}"),
        (
            "On file the same day: C-SSRS answered no, 23 Nov 2026.",
            "None found since: suicide risk assessment; safety plan; follow-up appointment.",
            NOT_RULED_OUT,
        ),
    ),
    (
        (POSITIVE, "Risk assessment, today"),
        (
            "On file, but not certain that it came later: suicide risk assessment, 23 Nov 2026.",
            "None found since: safety plan; follow-up appointment.",
        ),
    ),
    (
        (ATTEMPT, "PHQ-9, 3 days ago: items 1-9 = 0"),
        (
            "On file since: item 9 “not at all”, 20 Nov 2026.",
            "None found since: suicide risk assessment; safety plan; follow-up appointment.",
            NOT_RULED_OUT,
        ),
    ),
    (
        ("ASQ, 41 days ago: questions 1-2 = yes, questions 3-4 = no, acuity = no", "Risk assessment, 30 days ago",
         "PHQ-9, 20 days ago: items 1-8 = 1, item 9 = 1", "PHQ-9, 10 days ago: items 1-9 = 0"),
        (
            "On file since: item 9 “not at all”, 13 Nov 2026.",
            "On file, but from before a later finding: suicide risk assessment, 24 Oct 2026.",
            "None found since: safety plan; follow-up appointment.",
            NOT_RULED_OUT,
        ),
    ),
    (
        ("Condition T14.91XA, problem list",),
        ("None found: suicide risk assessment; safety plan; follow-up appointment.",),
    ),
]  # fmt: skip


UNSURE = "On file, but not certain that it came later: {plan}."
OVERTAKEN = "On file, but from before a later finding: {plan}."
NOT_COUNTED = "On file, but not counted: {plan}."
NONE = "None found since: safety plan."
SAID_OF = {
    NotCounted.SAME_DAY: UNSURE,
    NotCounted.UNDATED: UNSURE,
    NotCounted.ORDER_UNKNOWN: UNSURE,
    NotCounted.FUTURE: UNSURE,
    NotCounted.BEFORE: OVERTAKEN,
    NotCounted.BEFORE_ONSET: OVERTAKEN,
    NotCounted.NOT_COMPLETE: NONE,
    NotCounted.NOT_UNDERSTOOD: NOT_COUNTED,
    NotCounted.NOT_BEGUN: NOT_COUNTED,
    NotCounted.NOT_IN_FORCE: NOT_COUNTED,
    NotCounted.OTHER_PURPOSE: NONE,
    NotCounted.PENDING: NOT_COUNTED,
    NotCounted.DECLINED: NONE,
    NotCounted.TODAY: NONE,
    NotCounted.TOO_FAR: NOT_COUNTED,
}


def since(chart: PatientRecord) -> tuple[str, ...]:
    found = assess_shown(chart, Engine(), BandThresholds())
    return since_words(found.findings[0], found.steps, ZONE, ENGLISH)


def chart(*lines: str, more: tuple[dict, ...] = ()) -> PatientRecord:
    return record_of(*(found for text in lines for found in given(text)), *more)


@pytest.mark.parametrize(("lines", "expected"), SINCE)
def test_only_what_came_later_is_since(lines: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert since(chart(*lines)) == expected


def test_no_assessment_is_said_to_be_missing_while_a_screen_is_unread() -> None:
    said = since(chart(ATTEMPT, more=LOOKS["unheard"].more[:1]))

    assert said == ("None found since: safety plan; follow-up appointment.", "May be unread: suicide risk assessment.")


@pytest.mark.parametrize("why", NotCounted)
def test_a_step_that_does_not_count_is_said_to_be_missing_only_where_it_is(why: NotCounted) -> None:
    finding = assess_shown(chart(ATTEMPT), Engine(), BandThresholds()).findings[0]
    entry = StepEntry(reference="CarePlan/1", when=When(day=date(2026, 11, 20), text="2026-11-20"), not_counted=why)

    said = since_words(finding, (Step(kind=StepKind.SAFETY_PLAN, seen=(entry,)),), ZONE, ENGLISH)

    assert said == (SAID_OF[why].format(plan="safety plan, 20 Nov 2026"),)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("PHQ-9, 3 days ago: items 1-9 = 1", "PHQ-9 9, mild; not final; down 9 points from 18 on 24 Sep 2026, not final"),
        ("PHQ-9M, 3 days ago: items 1-9 = 1", "PHQ-9M 9, mild; not final; down 9 points from PHQ-9 18 on 24 Sep 2026, not final"),
    ],
)  # fmt: skip
def test_a_result_that_is_not_final_or_of_another_questionnaire_is_named_so(line: str, words: str) -> None:
    found = [*given(line), *given("PHQ-9, 60 days ago: items 1-9 = 2")]
    record = record_of(*(entry | {"status": "preliminary"} for entry in found))
    result = result_of(record, assess_shown(record, Engine(), BandThresholds()).findings[0], DEFAULT_REGION)

    assert result is not None and result_words(result, ENGLISH, with_item=False) == words


@pytest.mark.parametrize(
    ("totals", "words"),
    [
        ({"09": 16, "15": 8}, "PHQ-9 8, mild; down 8 points from 16 on 20 Nov 2026"),
        ({"15": 8, "09": 16}, "PHQ-9 8, mild; down 8 points from 16 on 20 Nov 2026"),
        ({"09": 12, "15": 16}, "PHQ-9 16, moderately severe; up 4 points from 12 on 20 Nov 2026"),
    ],
)
def test_of_two_results_of_a_day_the_strip_has_the_one_that_its_headline_names(totals: dict, words: str) -> None:
    entries = [
        observation(LOINC, "44261-6", f"2026-11-20T{hour}:00:00-05:00", {"valueQuantity": {"value": value}})
        for hour, value in totals.items()
    ]
    record = record_of(*entries)
    found = assess_shown(record, Engine(), BandThresholds())
    result = result_of(record, found.findings[0], DEFAULT_REGION)

    (notice,) = notices(found, NoticeSettings(zone=ZONE))
    assert result is not None and result_words(result, ENGLISH, with_item=False) == words
    assert notice.summary.startswith(f"PHQ-9 was {result.point.total} on 20 Nov 2026 15:00 EST")


def test_an_assessment_of_the_same_day_is_not_called_later_on_the_card() -> None:
    found = assess_shown(chart(ATTEMPT, "Risk assessment, 41 days ago"), Engine(), BandThresholds())

    first, *_ = notices(found, NoticeSettings(zone=ZONE))

    assert first.summary == (
        "Suicide attempt recorded 41 days ago (13 Oct 2026); risk assessment the same day. Consider reassessing today."
    )
