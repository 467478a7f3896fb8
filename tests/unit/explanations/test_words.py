"""Words for inputs, dates and amounts, and the tables of help lines and guidelines."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from explanations.judgement.rationale import Reason, Size, size
from explanations.words.estimates.inputs import input_name, reason_line, reason_words, value_words
from explanations.words.estimates.not_scored import SILENCED, not_scored_words
from explanations.words.estimates.outcomes import OUTCOME_WORDS
from explanations.words.help_lines import crisis_text, guideline
from explanations.words.language import code, language
from fhir_adapters.facts import Fact, When
from models.inputs.feature_schema import FEATURES
from models.inputs.outcomes import OUTCOME_SPECS
from models.scoring.registry import load_models
from models.scoring.risk import NotScored, NotScoredReason

CHECKED = date(2026, 11, 23)
LARGEST = {"smoke_status": 3, "food_insec": 4, "gen_health": 5}
SMALLEST = {"food_insec": 1, "gen_health": 1}


@pytest.mark.parametrize("spec", FEATURES, ids=lambda s: s.name)
def test_every_value_that_an_input_can_have_has_words(spec) -> None:
    top = LARGEST.get(spec.name, 1 if spec.kind == "boolean" else 3)
    for value in range(SMALLEST.get(spec.name, 0), top + 1):
        said = value_words(Fact(name=spec.name, value=value), language())
        if value:
            assert said
            assert "{" not in said
    assert input_name(spec.name, language())


def test_a_reason_says_what_it_did_and_names_value_date_and_source() -> None:
    when = When(text="2026-08-03", day=date(2026, 8, 3))
    facts = (
        Fact(name="smoke_status", value=3, when=when, references=("Observation/s-3",)),
        Fact(name="n_rx", value=1, when=when, references=("MedicationRequest/1", "MedicationRequest/2")),
        Fact(name="rx_ppi", value=True, references=("MedicationRequest/1",)),
        Fact(name="asthma", value=False, references=("Condition/1",)),
    )
    reason = Reason(concept="smoke_status", log_odds=-0.1, facts=facts, missing=())

    words = reason_words(reason, language())

    assert words.change == "Lowered it slightly"
    assert words.what.split("; ") == [
        "daily smoker, 3 Aug 2026, `Observation/s-3`",
        "1 active medicine, latest 3 Aug 2026, `MedicationRequest/1` and 1 more",
        "proton-pump inhibitor on medication list, `MedicationRequest/1`",
    ]
    assert reason_line(reason, language()) == f"{words.change}: {words.what}"


def test_every_outcome_of_the_shipped_models_has_words() -> None:
    assert {model.outcome for model in load_models()} == set(OUTCOME_WORDS)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, "today"),
        (1, "yesterday"),
        (2, "2 days ago"),
        (90, "90 days ago"),
        (91, "3 months ago"),
        (800, "2 years ago"),
        (None, ""),
    ],
)
def test_ages_are_days_up_to_90_then_months_then_years(days: int | None, words: str) -> None:
    assert language().ago(days) == words


@pytest.mark.parametrize(
    ("log_odds", "word"),
    [(0.25, Size.SLIGHTLY), (-0.26, Size.MODERATELY), (0.68, Size.MODERATELY), (-0.69, Size.STRONGLY)],
)
def test_a_contribution_is_worded_by_its_size(log_odds: float, word: Size) -> None:
    assert size(log_odds) is word


@pytest.mark.parametrize("text", ["Observation/`x`", "a\nb", "<script>alert(1)</script>", "x|y", "\u202ex"])
def test_chart_text_in_code_marks_cannot_break_out(text: str) -> None:
    shown = code(text)

    assert shown.count("`") == 2
    assert not set(shown) & set("<>|\n\u202e")


def test_crisis_lines_are_the_checked_ones_with_the_emergency_number() -> None:
    text = crisis_text("US", CHECKED, language())

    assert "988 Suicide & Crisis Lifeline, call or text 988" in text
    assert "911" in text
    assert "press 3" not in text


def test_the_perinatal_line_stands_beside_988_never_instead() -> None:
    text = crisis_text("US", CHECKED, language(), perinatal=True)

    assert text.index("988 Suicide") < text.index("National Maternal Mental Health Hotline")


def test_a_line_checked_too_long_ago_is_not_printed_but_the_emergency_number_is() -> None:
    assert "988" in crisis_text("US", CHECKED + timedelta(days=180), language())

    stale = crisis_text("US", CHECKED + timedelta(days=181), language())
    assert "988" not in stale
    assert "911" in stale


def test_a_country_without_verified_lines_still_says_what_to_do_in_danger() -> None:
    text = crisis_text("ZZ", CHECKED, language())

    assert "local emergency number" in text


def test_an_unverified_guideline_is_never_linked() -> None:
    assert guideline("uspstf-adult-2023").url.startswith("https://")
    assert guideline("va-dod-mdd-2022") is None


def test_why_there_is_no_estimate_is_one_sentence_whatever_the_reason() -> None:
    by_outcome = {r for r in NotScoredReason if r in SILENCED}
    scores = [NotScored(outcome="depression", reason=reason) for reason in set(NotScoredReason) - by_outcome]
    scores += [
        NotScored(outcome=spec.outcome, reason=NotScoredReason(answer.state.value))
        for spec in OUTCOME_SPECS.values()
        for answer in spec.silenced_by
    ]

    said = [not_scored_words(score, language()) for score in scores]

    assert all(text.endswith(".") for text in said)
    assert len(set(said)) == len(scores)


def test_too_little_data_is_said_with_how_much_is_known_and_needed() -> None:
    score = NotScored(outcome="depression", reason=NotScoredReason.TOO_LITTLE_DATA, known=2, needed=5)

    words = not_scored_words(score, language())

    assert words == (
        "Too little is on record: age, sex and either 5 further inputs or both PHQ-2 answers are needed; "
        "2 further inputs are known."
    )
