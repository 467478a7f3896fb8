"""Words for inputs, dates and amounts, and the tables of help lines and guidelines."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from explanations.judgement.rationale import Reason, Size, size
from explanations.judgement.regions import DEFAULT_REGION, REGIONS
from explanations.words.estimates.inputs import input_name, reason_line, reason_words, value_words
from explanations.words.estimates.not_scored import SILENCED, not_scored_words
from explanations.words.estimates.outcomes import OUTCOME_WORDS
from explanations.words.help_lines import CrisisLine, crisis_lines, crisis_text, guideline, lines_to_name
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
    assert reason_line([reason], language()) == f"{words.change}: {words.what}"


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
    text = crisis_text(DEFAULT_REGION, CHECKED, language(), spoken=("en",))

    assert "988 Suicide & Crisis Lifeline, call or text 988" in text
    assert "911" in text
    assert "press 3" not in text


def test_the_perinatal_line_stands_beside_988_never_instead() -> None:
    text = crisis_text(DEFAULT_REGION, CHECKED, language(), spoken=("en",), perinatal=True)

    assert text.index("988 Suicide") < text.index("National Maternal Mental Health Hotline")


def test_a_line_checked_too_long_ago_is_not_printed_but_the_emergency_number_is() -> None:
    assert "988" in crisis_text(DEFAULT_REGION, CHECKED + timedelta(days=180), language(), spoken=("en",))

    stale = crisis_text(DEFAULT_REGION, CHECKED + timedelta(days=181), language(), spoken=("en",))
    assert "988" not in stale
    assert "911" in stale


def test_a_country_without_verified_lines_still_says_what_to_do_in_danger() -> None:
    text = crisis_text(REGIONS["generic"], CHECKED, language(), spoken=("en",))

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


def test_lines_in_the_language_asked_for_come_first_and_those_of_the_country_stay() -> None:
    spanish = crisis_text(DEFAULT_REGION, CHECKED, language(), spoken=("es",))
    english, other = (crisis_text(DEFAULT_REGION, CHECKED, language(), spoken=(tag,)) for tag in ("en", "vi"))

    assert spanish.index("call 988, then press 2, or text AYUDA to 988") < spanish.index(
        "988 Suicide & Crisis Lifeline"
    )
    assert "press 2" not in english and other == english


def test_a_sites_own_line_stands_first_and_in_place_of_those_for_the_same_people_in_the_same_language_alone() -> None:
    def named(*languages: str, spoken: str = "es", audience: str = "general") -> list[str]:
        own = CrisisLine(service="County", call="555 0100", audience=audience, languages=languages, checked=CHECKED)
        return [
            line.service
            for line in lines_to_name(DEFAULT_REGION, (own,), CHECKED, (spoken,), perinatal=True)
            if line.audience == audience
        ]

    english, spanish = "988 Suicide & Crisis Lifeline", "988 Lifeline in Spanish"
    assert named("en") == [spanish, "County"]
    assert named() == [spanish, "County", english]
    assert named("es") == ["County", english]
    assert named("vi", spoken="vi") == ["County", english] and named("vi", spoken="en") == [english]
    assert named("en", "es") == ["County"]
    assert named("en", audience="perinatal") == ["National Maternal Mental Health Hotline", "County"]


def test_a_line_that_a_site_checked_again_stands_in_for_itself_alone() -> None:
    england = REGIONS["GB-ENG"]
    again = CrisisLine(service="NHS 111", call="111", languages=("en",), checked=CHECKED + timedelta(days=300))

    def named(days: int) -> list[str]:
        return [one.service for one in lines_to_name(england, (again,), CHECKED + timedelta(days), ("en",))]

    assert named(10) == ["NHS 111", "Samaritans"]
    assert named(300) == ["NHS 111"]


def test_where_the_country_has_no_line_all_of_the_sites_own_are_named_whatever_language_the_patient_speaks() -> None:
    own = tuple(
        CrisisLine(service=tag, call=call, languages=(tag,), checked=CHECKED)
        for tag, call in (("de", "143"), ("fr", "1430"))
    )

    assert [one.service for one in lines_to_name(REGIONS["generic"], own, CHECKED, ("en",))] == ["de", "fr"]
    assert [one.service for one in lines_to_name(REGIONS["generic"], own, CHECKED, ("fr",))] == ["fr", "de"]


def test_an_emergency_number_of_the_site_gives_way_once_its_check_is_too_old_and_the_countrys_is_not() -> None:
    own = CrisisLine(service="Emergency", call="112", audience="emergency", checked=date(2020, 1, 1))

    assert crisis_text(DEFAULT_REGION, CHECKED, language(), spoken=("en",), own=(own,)).endswith("Emergency: 911.")
    assert crisis_text(REGIONS["generic"], CHECKED, language(), spoken=("en",), own=(own,)) == "**Emergency: 112.**"


def test_a_sites_own_line_is_named_until_its_check_is_too_old_and_its_emergency_number_always() -> None:
    own = CrisisLine(
        service="County night line",
        call="555 0100",
        sms="555 0101",
        sms_word="HELP",
        languages=("en",),
        checked=CHECKED,
    )
    emergency = CrisisLine(service="Emergency", call="112", audience="emergency", checked=CHECKED)
    generic = REGIONS["generic"]

    text = crisis_text(DEFAULT_REGION, CHECKED, language(), spoken=("en",), own=(own, emergency))
    assert "County night line, call 555 0100, or text HELP to 555 0101" in text and "112" in text
    assert "988" not in text and "911" not in text
    late = CHECKED + timedelta(days=181)
    assert "County" not in crisis_text(generic, late, language(), spoken=("en",), own=(own, emergency))
    assert "112" in crisis_text(generic, late, language(), spoken=("en",), own=(own, emergency))


def test_no_line_that_ships_was_checked_after_today_and_each_that_is_shown_has_a_day() -> None:
    lines = [line for region in REGIONS.values() for line in crisis_lines(region.country)]

    assert lines and all(line.checked and line.checked <= datetime.now(UTC).date() for line in lines)


def test_england_names_nhs_111_samaritans_and_999() -> None:
    text = crisis_text(REGIONS["GB-ENG"], date(2026, 12, 1), language(), spoken=("en",))

    assert "call 111" in text and "Samaritans, call 116 123" in text and "999" in text
    assert "988" not in text and "911" not in text
