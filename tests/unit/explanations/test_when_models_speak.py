"""When the models speak and when they are silent (rule R9 to R13), with thresholds so low that every score prompts."""

from __future__ import annotations

import pytest
from builders import LOW, cards_of, given, patient, record_of

from cds_service.serving.engine import load_engine
from explanations.errors import NotExact
from explanations.judgement.assessment import assess
from explanations.words.estimates.not_scored import not_scored_words
from explanations.words.language import language
from models.inputs.features import MissingReason, inputs
from models.scoring.risk import NotScored

ENGINE = load_engine()
BASE = ("Condition 193462001, 100 days ago, problem list", "Medicine ibuprofen, today")


def chart(*lines: str, **who):
    return record_of(*(r for line in (*BASE, *lines) for r in given(line)), who=patient(**who))


def spoken(*lines: str, **who) -> dict[str, str]:
    """Outcome to "speaks" or the reason of silence."""
    scores = assess(chart(*lines, **who), ENGINE, LOW).scores
    return {s.outcome: s.reason if isinstance(s, NotScored) else "speaks" for s in scores}


BOTH = {"depression": "speaks", "suicidal-ideation": "speaks"}


BORN_FEMALE = [{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex", "valueCode": "F"}]


def silent(reason: str) -> dict[str, str]:
    return {"depression": reason, "suicidal-ideation": reason}


@pytest.mark.parametrize(
    ("rule", "lines", "who", "expected"),
    [
        ("R12 nothing answered", (), {}, BOTH),
        ("R9 just under 18", (), {"age": 17}, silent("under-age")),
        ("R9 exactly 18", (), {"age": 18}, BOTH),
        ("R9 age unknown", (), {"age": None}, silent("age-unknown")),
        ("gender other", (), {"gender": "other"}, silent("sex-not-modelled")),
        ("gender of another list", (), {"gender": "x"}, silent("sex-not-modelled")),
        ("gender unknown", (), {"gender": "unknown"}, silent("sex-unknown")),
        ("gender not recorded", (), {"gender": None}, silent("sex-unknown")),
        ("gender other, sex at birth recorded", (), {"gender": "other", "extension": BORN_FEMALE}, BOTH),
        ("gender other, answered", ("PHQ-9, 3 days ago: items 1-9 = 0",), {"gender": "other"}, silent("answered")),
        ("R10 deceased", (), {"deceasedBoolean": True}, silent("deceased")),
        ("R11 contradiction", ("PHQ-9, 30 days ago: items 1-9 = 1, total = 20",), {}, silent("data-anomaly")),
        ("R11 GAD-like range", ("PHQ-2, 30 days ago: total = 9",), {}, silent("data-anomaly")),
        ("R11 future C-SSRS", ("C-SSRS, in 3 days: question 1 = no",), {}, silent("data-anomaly")),
        ("R11 future code", ("Condition T14.91XA, in 3 days",), {}, silent("data-anomaly")),
        (
            "R12 item 9 within 14 days",
            ("PHQ-9, 14 days ago: item 9 = 0",),
            {},
            BOTH | {"suicidal-ideation": "answered"},
        ),
        ("R12 item 9 at 15 days", ("PHQ-9, 15 days ago: items 1-9 = 0",), {}, BOTH),
        (
            "R12 item 9 unreadable",
            ("PHQ-9, 3 days ago: item 9 = unreadable",),
            {},
            BOTH | {"suicidal-ideation": "unreadable"},
        ),
        ("R12 item 9 declined", ("PHQ-9, 3 days ago: item 9 = declined",), {}, BOTH),
        ("R12 total within 14 days", ("PHQ-9, 14 days ago: total = 4",), {}, BOTH | {"depression": "answered"}),
        ("R12 total at 15 days", ("PHQ-9, 15 days ago: total = 4",), {}, BOTH),
        ("R12 complete form", ("PHQ-9, 3 days ago: items 1-9 = 0",), {}, silent("answered")),
        ("R12 a PHQ-2 silences nothing", ("PHQ-2, 3 days ago: total = 1",), {}, BOTH),
        ("R16 unreadable entry", ("Condition text Suicidal ideation, 3 days ago",), {}, silent("data-unreadable")),
    ],
)
def test_the_models_speak_only_when_the_rules_let_them(
    rule: str, lines: tuple[str, ...], who: dict, expected: dict
) -> None:
    assert spoken(*lines, **who) == expected, rule


def topics(*lines: str, **who) -> list[str]:
    return [f"{c.source.topic.code} {c.indicator}" for c in cards_of(chart(*lines, **who), ENGINE, LOW)]


@pytest.mark.parametrize(
    ("lines", "never"),
    [
        (("PHQ-9, 3 days ago: items 1-8 = 1, item 9 = unreadable",), "was answered"),
        (("C-SSRS, today: question 4 = yes",), "Nothing but"),
        (("PHQ-9, 60 days ago: items 1-9 = 0",), "Nothing but"),
    ],
)
def test_why_a_model_is_silent_is_not_said_of_what_is_on_file(lines: tuple[str, ...], never: str) -> None:
    record = record_of(*(r for line in lines for r in given(line)))

    said = [
        not_scored_words(score, language())
        for score in assess(record, ENGINE, LOW).scores
        if isinstance(score, NotScored)
    ]

    assert said
    assert not [text for text in said if never in text]


def test_both_prompts_are_one_card() -> None:
    (card,) = cards_of(chart(), ENGINE, LOW)

    assert card.source.topic.code == "screening-prompt"
    assert "depression and thoughts of self-harm" in card.summary
    assert "988" in card.detail


@pytest.mark.parametrize(
    "line",
    ["Medicine sertraline, today", "Visit for depression, 30 days ago", "Condition F32.9, 400 days ago, problem list"],
)
def test_a_patient_in_depression_care_gets_no_depression_prompt_but_a_note_to_measure(line: str) -> None:
    visit = line.startswith("Visit")
    cards = cards_of(chart(line if not visit else "Condition F32.9, 30 days ago, problem list"), ENGINE, LOW)

    assert [c.source.topic.code for c in cards] == ["depression-follow-up", "screening-prompt"]
    assert "thoughts of self-harm" in cards[1].summary
    assert "depression" not in cards[1].summary


@pytest.mark.parametrize(("days", "again"), [(120, False), (121, True)])
def test_the_note_to_measure_waits_120_days_after_a_phq_9(days: int, again: bool) -> None:
    found = topics("Medicine sertraline, today", f"PHQ-9, {days} days ago: total = 4")

    assert ("depression-follow-up info" in found) == again


def test_a_resolved_disorder_is_no_care() -> None:
    assert topics("Condition F32.9, 400 days ago, problem list, resolved") == ["screening-prompt info"]


def test_three_safety_cards_leave_the_prompt_a_line_that_says_it_is_a_models() -> None:
    cards = cards_of(
        chart(
            "C-SSRS, today: question 4 = yes",
            "EPDS, 3 days ago: item 10 = 1",
            "Condition T14.91XA, 41 days ago",
        ),
        ENGINE,
        LOW,
    )

    assert len(cards) == 3
    assert "Also: " in cards[-1].detail
    assert "a model prompted only what follows" in cards[-1].detail
    # Its reasons need caveats that have no place on a card of answers.
    assert "Raised it" not in cards[-1].detail and "Lowered it" not in cards[-1].detail


def test_a_probability_is_shown_only_where_the_site_turned_it_on() -> None:
    shown, hidden = cards_of(chart(), ENGINE, LOW, show_probability=True)[0], cards_of(chart(), ENGINE, LOW)[0]

    assert "Of 100 survey adults with similar records" in shown.detail
    assert "Of 100" not in hidden.detail


@pytest.mark.parametrize(("days", "usable"), [(14, True), (15, False)])
def test_a_phq_answer_feeds_a_model_for_14_days(days: int, usable: bool) -> None:
    given_ = inputs(chart(f"PHQ-9, {days} days ago: items 1-2 = 1"))

    assert ("DPQ010" in given_.facts) == usable
    assert (MissingReason.TOO_OLD in {g.reason for g in given_.missing if g.name == "DPQ010"}) != usable


def test_the_assessment_does_not_depend_on_an_answer_to_item_9() -> None:
    one, other = (
        assess(chart(f"PHQ-9, 3 days ago: items 1-2 = 1, item 9 = {n}"), ENGINE, LOW).scores[0] for n in (0, 3)
    )

    assert one.log_odds == other.log_odds


def test_a_value_without_a_unit_feeds_no_model() -> None:
    from builders import LOINC, observation

    bare = observation(LOINC, "29463-7", "2026-11-01", {"valueQuantity": {"value": 80}})

    record = record_of(bare)

    assert record.fact("weight_kg").unit_assumed
    assert "weight_kg" not in inputs(record).facts


def test_a_score_that_cannot_be_explained_is_not_shown_and_silences_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise NotExact("made to fail")

    monkeypatch.setattr("explanations.judgement.assessment.reasons", fail)
    lines = ("Medicine sertraline, today", "C-SSRS, today: question 4 = yes")

    assert spoken(*lines) == silent("not-explained")
    assert topics(*lines) == ["acute-safety critical"]
