"""Cards beyond the clinical tables: merging, history, settings of a site, drafts."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC

import msgspec
import pytest
from builders import AS_OF, cards_of, given, patient, record_of

from cds_service.cards.drafts import offers
from cds_service.cards.from_notices import cards_for
from explanations.judgement.assessment import Engine, assess
from explanations.judgement.discharge import assess_discharge
from explanations.judgement.proposals import DraftKind
from explanations.judgement.regions import DEFAULT_REGION, REGIONS, Region
from explanations.words import help_lines
from explanations.words.help_lines import guideline
from explanations.words.language import language
from explanations.words.notices.discharge import discharge_notices
from explanations.words.notices.notice import NoticeSettings
from explanations.words.notices.topics import TOPICS
from fhir_adapters.facts import ChartPart, Unknown
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.resources.validation import faults
from fhir_adapters.writing.drafts import DraftContext
from models.rules.findings import SAFETY_TOPICS, Topic


def chart(*lines: str, **who):
    return record_of(*(r for line in lines for r in given(line)), who=patient(**who))


def test_what_finds_no_room_is_named_on_the_last_card() -> None:
    cards = cards_of(
        chart(
            "C-SSRS, today: question 4 = yes",
            "PHQ-9, 3 days ago: items 1-6 = 2, items 7-8 = 0, item 9 = 1",
            "Condition T14.91XA, 41 days ago",
        )
    )

    assert len(cards) == 3
    assert "Also: PHQ-9 was 13" in cards[-1].detail


def test_an_earlier_answer_is_a_line_of_the_card_of_today_with_its_date_source_and_total() -> None:
    found = chart("PHQ-9, today: items 1-9 = 1, total = 9", "PHQ-9, 83 days ago: items 1-8 = 1, item 9 = 2, total = 10")

    (card,) = cards_of(found)

    assert card.summary.startswith("PHQ-9 item 9 answered “several days” today (23 Nov 2026; total 9), and 1 more.")
    first, earlier = (line for line in card.detail.splitlines() if "PHQ-9 item 9:" in line)
    assert first == "- **PHQ-9 item 9: 1 of 3, several days.** 23 Nov 2026, today [1]"
    assert earlier == "- Earlier: **PHQ-9 item 9: 2 of 3, more than half the days.** 1 Sep 2026, 83 days ago [3]"
    assert "Same form: total 10 of 27 [4]" in card.detail
    assert card.detail.count("No later C-SSRS, ASQ or risk assessment found") == 1
    assert re.search(r"\*Sources: \[1\] `Observation/\S+`, .*, \[4\] `Observation/\S+`\*$", card.detail)


def foreign(line: str) -> dict:
    (one,) = given(line)
    return one | {"id": "of-somebody", "subject": {"reference": "Patient/somebody"}}


@pytest.mark.parametrize(
    ("line", "topics"),
    [
        ("PHQ-9, 3 days ago: items 1-8 = 0, item 9 = 1", ["positive-safety-answer"]),
        ("PHQ-9, 3 days ago: items 1-8 = 2, item 9 = 0", ["depression-follow-up"]),
        ("PHQ-9, 3 days ago: items 1-8 = 1, item 9 = blank", ["data-anomaly", "could-not-assess"]),
    ],
)
def test_entries_of_others_are_the_last_line_of_the_first_card_where_there_is_a_finding(
    line: str, topics: list[str]
) -> None:
    cards = cards_of(record_of(*given(line), foreign("Condition I10, 3 days ago"), who=patient()))

    assert [card.source.topic.code for card in cards] == topics
    said = [line for line in cards[0].detail.splitlines() if line.startswith("- ")][-1]
    assert said.startswith("- 1 entry for another patient or from an unknown server was left out.") is (
        "data-" not in topics[0]
    )


def test_a_contradiction_beside_entries_of_others_keeps_its_card() -> None:
    odd = given("PHQ-9, 3 days ago: items 1-8 = 0, item 9 = 1, total = 20")

    cards = cards_of(record_of(*odd, foreign("Condition I10, 3 days ago"), who=patient()))

    assert [card.source.topic.code for card in cards] == ["positive-safety-answer", "data-anomaly"]
    assert "another patient" not in cards[0].detail
    assert "1 entry for another patient" in cards[1].detail


def test_a_source_has_an_address_only_where_the_page_is_served() -> None:
    found = assess(chart("PHQ-9, today: items 1-8 = 0, item 9 = 1"), Engine())
    settings = NoticeSettings(zone=UTC)

    (served,) = cards_for(found, settings, new_id=lambda: "x", about="https://cds.example.org/about")
    (read_from_a_file,) = cards_for(found, settings, new_id=lambda: "x")

    assert served.source.url == "https://cds.example.org/about"
    assert "url" not in msgspec.to_builtins(read_from_a_file)["source"]


def test_history_is_a_line_on_another_card() -> None:
    cards = cards_of(
        chart("Condition Z91.51, 400 days ago, problem list", "PHQ-9, 3 days ago: items 1-8 = 0, item 9 = 1")
    )

    assert len(cards) == 1
    assert "History: past suicidal behavior" in cards[0].detail


def test_the_method_is_never_shown_even_when_the_source_names_it() -> None:
    coded = given("Condition 287182007, 10 days ago")[0]
    coded["code"]["coding"][0]["display"] = "Attempted suicide - suffocation (event)"
    coded["code"]["text"] = "Attempted suicide by suffocation"

    (card,) = cards_of(record_of(coded))

    assert "suffocation" not in (card.summary + card.detail).lower()
    assert "uicide attempt" in card.summary


def test_a_coded_low_level_is_never_printed() -> None:
    cards = cards_of(chart("C-SSRS, today: question 1 = yes, question 2 6 = no, level = low"))

    assert cards
    assert "low" not in f"{cards[0].summary} {cards[0].detail}".lower().replace("below", "").replace("follow", "")


def test_no_contact_configured_means_no_line_and_a_configured_one_is_shown() -> None:
    record = chart("C-SSRS, today: question 4 = yes")

    assert "On-call" not in cards_of(record)[0].detail
    assert (
        "On-call psychiatry: ext. 4410 (set by this site)"
        in cards_of(record, contact="On-call psychiatry: ext. 4410")[0].detail
    )


def test_teens_get_teen_links_and_the_teen_form() -> None:
    (card,) = cards_of(chart("PHQ-9M, 40 days ago: items 1-6 = 2, items 7-9 = 0", age=15))

    assert "PHQ-9M" in card.suggestions[0].label
    assert [link.label for link in card.links] == [
        "USPSTF Depression and Suicide Risk in Children and Adolescents: Screening (11 Oct 2022)"
    ]


# By age: the ids of the links of a safety card, and of a card on depression; None: no such card (R9).
OF_YOUNG, OF_ADULTS = ["nimh-asq", "calm"], ["safe-t", "calm"]
LINKS = {
    8: (OF_YOUNG, None),
    11: (OF_YOUNG, None),
    12: (OF_YOUNG, ["uspstf-child-2022"]),
    15: (OF_YOUNG, ["uspstf-child-2022"]),
    17: (OF_YOUNG, ["uspstf-child-2022"]),
    18: (OF_YOUNG, ["uspstf-child-2022"]),
    19: (OF_ADULTS, ["uspstf-adult-2023"]),
    40: (OF_ADULTS, ["uspstf-adult-2023"]),
    None: (OF_ADULTS, ["uspstf-adult-2023"]),
}
WITH_LINKS = {
    Topic.ACUTE_SAFETY: "C-SSRS, today: question 4 = yes",
    Topic.POSITIVE_SAFETY_ANSWER: "PHQ-9, today: item 9 = 1",
    Topic.RECENT_SAFETY: "C-SSRS, 20 days ago: question 4 = yes",
    Topic.DEPRESSION_FOLLOW_UP: "PHQ-9, 5 days ago: items 1-8 = 2, item 9 = 0",
}


@pytest.mark.parametrize("age", LINKS)
@pytest.mark.parametrize("topic", WITH_LINKS)
@pytest.mark.parametrize("region", [DEFAULT_REGION, REGIONS["generic"]], ids=lambda region: region.id)
def test_r9_r15_every_card_has_the_links_of_its_age_and_region(topic: Topic, age: int | None, region: Region) -> None:
    found = chart(WITH_LINKS[topic], age=age)
    names = LINKS[age][topic not in SAFETY_TOPICS]
    expected = {topic.value: [guideline(name).url for name in names if region.country == "US"]} if names else {}

    for cards in (cards_of(found, region=region), cards_at_discharge(found, region)):
        links = {card.source.topic.code: [link.url for link in card.links or ()] for card in cards}
        assert links == (expected if cards or topic in SAFETY_TOPICS else {})


def cards_at_discharge(record, region: Region) -> list:
    settings = NoticeSettings(zone=UTC, region=region)
    return cards_for(assess_discharge(record), settings, new_id=lambda: "x", notices=discharge_notices)


def test_the_links_of_an_age_are_for_that_age() -> None:
    for_adults = {
        row["id"] for row in help_lines._rows("guideline_links") if re.match(r"adults|age>=1", row["applies_to"])
    }
    for spec in TOPICS:
        shown = {name for age in (12, 15, 17) for name in DEFAULT_REGION.links(spec.topic, age)}
        assert not shown & for_adults
        assert bool(shown) == bool(DEFAULT_REGION.links(spec.topic, None))


def test_bipolar_disorder_is_named_and_no_text_speaks_of_antidepressants() -> None:
    cards = cards_of(chart("PHQ-9, 20 days ago: total = 17", "Condition 13746004, 900 days ago, problem list"))

    text = " ".join(card.summary + card.detail for card in cards).lower()
    assert "bipolar disorder recorded" in text
    assert "antidepressant" not in text


def test_override_reasons_are_three_to_five_and_none_denies() -> None:
    assert {spec.topic for spec in TOPICS} == set(Topic)
    for reasons in (spec.overrides for spec in TOPICS):
        assert 3 <= len(reasons) <= 5
        assert not any("not at risk" in reason.display.lower() for reason in reasons)


def test_every_draft_is_a_valid_resource_and_only_a_draft() -> None:
    visit = DraftContext(patient_id="p1", today=AS_OF.date(), encounter="Encounter/e1", user="Practitioner/d")

    found = offers(DraftKind, visit, new_id=lambda: "00000000-0000-4000-8000-000000000001", say=language())

    assert len(found) == len(DraftKind)
    for suggestion in found:
        assert suggestion.label.startswith("Draft")
        assert len(suggestion.label) < 45
        for action in suggestion.actions:
            assert action.type == "create"
            assert action.description == suggestion.label
            assert action.resource["status"] == "draft"
            assert faults(action.resource) == []


def test_a_user_who_is_no_practitioner_requests_nothing() -> None:
    visit = DraftContext(patient_id="p1", today=AS_OF.date(), user="Patient/p1")

    (suggestion,) = offers((DraftKind.ASSESSMENT,), visit, new_id=str, say=language())

    assert "requester" not in suggestion.actions[0].resource


def test_a_model_that_cannot_be_loaded_is_not_scored_with_the_reason() -> None:
    from explanations.judgement.assessment import assess

    scores = assess(chart("Condition 193462001, 90 days ago, problem list"), Engine()).scores

    assert {s.reason for s in scores} == {"model-unavailable"}


def test_a_chart_with_nothing_but_a_name_is_not_scored() -> None:
    from cds_service.serving.engine import load_engine
    from explanations.judgement.assessment import assess

    assert {s.reason for s in assess(chart(), load_engine()).scores} == {"too-little-data"}


def test_nothing_is_said_to_be_later_than_a_finding_without_a_date() -> None:
    undated = given("Condition R45.851, 10 days ago, problem list")
    for name in ("onsetDateTime", "recordedDate"):
        undated[0].pop(name, None)

    (card,) = cards_of(record_of(*undated, *given("C-SSRS, yesterday: question 1 2 6 = no")))

    assert "date not recorded" in card.detail
    assert "No later C-SSRS" not in card.detail


def test_two_forms_that_say_the_same_each_keep_their_lines() -> None:
    """Lines such as "Same form" belong to their own finding."""
    forms = ("question 1 2 4 6 = yes",) * 2
    cards = cards_of(chart(f"C-SSRS, 3 days ago: {forms[0]}", f"C-SSRS, 40 days ago: {forms[1]}"))

    detail = cards[0].detail
    assert "Same form: yes to question 6 (behavior) [2]; yes to questions 1, 2 [3] [4]" in detail
    assert "Same form: yes to question 6 (behavior) [6]; yes to questions 1, 2 [7] [8]" in detail
    assert detail.count("Date of the behavior: not recorded") == 2
    assert detail.count("No later C-SSRS, ASQ or risk assessment found") == 1  # the same for both, said once


def test_what_came_later_is_said_of_each_finding_when_it_differs() -> None:
    (card,) = cards_of(chart("Condition T14.91XA, 30 days ago", "PHQ-9, 20 days ago: items 1-8 = 0, item 9 = 1", "C-SSRS, 25 days ago: question 1 2 6 = no"))  # fmt: skip

    assert "Later: C-SSRS, every question asked answered no" in card.detail
    assert "No later C-SSRS, ASQ or risk assessment found in the records read" in card.detail


def test_within_a_topic_the_graver_finding_leads_the_summary() -> None:
    cards = cards_of(chart("Condition T14.91XA, 41 days ago", "PHQ-9, 20 days ago: items 1-8 = 0, item 9 = 1"))

    assert cards[0].summary.startswith("Suicide attempt")
    assert "and 1 more" in cards[0].summary


def test_a_blank_epds_item_10_is_asked_for_by_its_name_and_no_phq_9_is_offered() -> None:
    items = ", ".join(f"item {n} = 1" for n in range(1, 10))
    (card, *_) = [c for c in cards_of(chart(f"EPDS, yesterday: {items}")) if c.source.topic.code == "could-not-assess"]

    assert "EPDS item 10" in card.detail
    assert "item 9" not in card.detail.replace("item 9 =", "")
    assert not card.suggestions


def test_what_is_merged_keeps_its_source_and_its_rule() -> None:
    cards = cards_of(
        chart(
            "C-SSRS, today: question 4 = yes",
            "PHQ-9, 3 days ago: items 1-8 = 2, item 9 = 1",
            "Condition T14.91XA, 41 days ago",
        )
    )

    also = cards[-1].detail.partition("Also: ")[2]
    assert "(rule R6)" in also
    assert "`Observation/" in also


def test_where_many_parts_could_not_be_read_the_summary_counts_them_and_the_detail_names_each() -> None:
    lost = (ChartPart.PATIENT, ChartPart.CONDITIONS, ChartPart.SCREENING, ChartPart.LOCAL_SCREENING)
    gaps = tuple(Unknown(what=part, reason=Gap(cause=Cause.NO_ACCESS), needed=True) for part in lost)

    (card,) = cards_of(replace(chart(), unknown=gaps))

    assert card.summary == (
        "4 needed parts of the chart could not be read. PHQ-9, C-SSRS and ASQ may be incomplete: ask directly."
    )
    assert card.detail.count("**Not read: ") == 4


def test_nobody_is_to_be_told_of_a_gap_that_the_patient_wants() -> None:
    gap = Unknown(what=ChartPart.CONDITIONS, reason=Gap(cause=Cause.NOT_PERMITTED), needed=True)

    (card,) = cards_of(replace(chart(), unknown=(gap,)))

    assert "Check the chart itself for: conditions" in card.detail
    assert "tell EHR support" not in card.detail


# ---- what a card owes to its reader ----

UNREAD = (Unknown(what=ChartPart.QUESTIONNAIRES, reason=Gap(cause=Cause.REFUSED), needed=True),)


def sources_of(detail: str) -> int:
    return len(re.findall(r"\[\d+\] `", detail))


def test_every_answer_that_a_safety_card_shows_has_its_source() -> None:
    (screen,) = cards_of(chart("C-SSRS, today: question 1 2 3 4 6 = yes"))
    (nine,) = cards_of(chart("PHQ-9, 6 days ago: items 1-8 = 0, item 9 = 1, total = 1"))

    assert sources_of(screen.detail) == 5
    assert "Same form: total 1 of 27 [2]." in nine.detail and sources_of(nine.detail) == 2


def test_a_result_to_follow_up_has_the_source_of_its_total_and_of_item_9() -> None:
    (card,) = cards_of(chart("PHQ-9, 30 days ago: items 1-6 = 2, items 7-9 = 0, total = 12"))

    assert "| 12 [1] | 0 of 3, not at all [2] |" in card.detail and sources_of(card.detail) == 2


def test_a_total_that_contradicts_its_answers_names_the_entry_of_the_total() -> None:
    made = given("PHQ-9, 9 days ago: items 1-9 = 0, total = 14")
    total = next(r["id"] for r in made if r["code"]["coding"][0]["code"] == "44261-6")

    (card,) = cards_of(record_of(*made, who=patient()))

    assert f"[1] `Observation/{total}`" in card.detail


def test_an_answer_that_could_not_be_read_says_so_beside_a_graver_one_too() -> None:
    (card,) = cards_of(chart("PHQ-9, today: items 1-8 = 0, item 9 = 2", "C-SSRS, 3 days ago: question 1 = unreadable"))

    assert card.summary.endswith("Ask about thoughts of suicide today.")
    assert "could not be read.** 20 Nov 2026, 3 days ago [2]. Look at the source." in card.detail


@pytest.mark.parametrize("entry", ["C-SSRS, 10 days ago: question 1 = no", "Risk level, 10 days ago: level = low"])
def test_a_later_entry_that_is_no_reassessment_takes_the_place_of_none(entry: str) -> None:
    (card,) = cards_of(chart("Condition T14.91XA, 41 days ago", entry))

    assert "Later: " in card.detail
    assert "- No later complete C-SSRS, ASQ or risk assessment found in the records read\n" in card.detail


def test_a_refused_acuity_question_is_not_said_to_be_missing() -> None:
    (card,) = cards_of(chart("ASQ, today: question 1 = yes, acuity = declined"))

    assert card.summary.startswith("ASQ positive; acuity question declined today")


def test_an_old_0_has_its_caveat_whichever_result_leads() -> None:
    (card,) = cards_of(
        chart(
            "PHQ-2, 3 days ago: items 1-2 = 2, total = 4", "PHQ-9, 30 days ago: items 1-8 = 2, item 9 = 0, total = 16"
        )
    )

    assert card.summary.startswith("PHQ-2 was 4")
    assert "- Answers over 14 days old may not reflect today, even a 0\n" in card.detail
    assert "- No later PHQ-9 or visit coded for depression found in the records read\n" in card.detail


def test_history_stands_on_a_card_about_data_if_there_is_no_other() -> None:
    past = "Condition T14.91XA, 200 days ago"
    (blank,) = cards_of(chart("PHQ-9, 3 days ago: items 1-8 = 0, total = 0", past))
    (odd,) = cards_of(chart("PHQ-9, 3 days ago: total = 31", past))
    cards = cards_of(chart("PHQ-9, 3 days ago: total = 31", "PHQ-9, 30 days ago: items 1-8 = 2, item 9 = 0", past))

    assert all("History: suicide attempt" in card.detail for card in (blank, odd))
    assert ["History:" in card.detail for card in cards] == [
        card.source.topic.code == "depression-follow-up" for card in cards
    ]


def test_item_9_blank_and_questionnaires_unread_are_both_acted_on() -> None:
    found = chart("PHQ-9, 3 days ago: items 1-8 = 0, total = 0")

    (card,) = cards_of(replace(found, unknown=UNREAD))

    assert "Ask item 9 directly and complete the form\n- Check the chart itself for: questionnaires" in card.detail


def at_discharge(*lines: str, unknown: tuple[Unknown, ...] = ()) -> str:
    card, *_ = cards_at_discharge(replace(chart(*lines), unknown=unknown), DEFAULT_REGION)
    return card.detail


def test_before_discharge_a_declined_answer_is_asked_again() -> None:
    detail = at_discharge("PHQ-9, today: items 1-8 = 0, item 9 = declined")

    assert detail.startswith("**Before discharge**\n\n- Ask directly\n")


def test_before_discharge_what_is_unread_narrows_what_was_not_found() -> None:
    attempt = "Condition T14.91XA, 41 days ago"

    assert "None found since (notes, outside care unread): C-SSRS, ASQ," in at_discharge(attempt)
    assert "None found since (notes, outside care and part of the chart unread): " in at_discharge(
        attempt, unknown=UNREAD
    )
