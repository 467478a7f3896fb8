"""The estimate of one outcome for a page: it adds up, it reassures nobody, and where there is none it says why."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from builders import HIGH, LOW, given, patient, record_of

from cds_service.serving.engine import load_engine
from explanations.judgement.assessment import assess
from explanations.words.language import language
from explanations.words.notices.notice import NoticeSettings
from explanations.words.pages.availability import availability
from explanations.words.pages.estimates import estimate_views
from fhir_adapters.facts import Unknown
from fhir_adapters.gaps import Cause, Gap
from models.scoring.risk import BandThresholds

ENGINE = load_engine()
CHART = (
    "Condition 193462001, 90 days ago, problem list",
    "Condition I10, 300 days ago, problem list",
    "Medicine sertraline",
)


def views(*lines: str, thresholds=LOW, figures: bool = False, change=lambda record: record, age: int = 40):
    record = change(record_of(*(r for line in lines for r in given(line)), who=patient(age)))
    settings = NoticeSettings(zone=ZoneInfo("UTC"), show_probability=figures)
    return estimate_views(assess(record, ENGINE, thresholds), settings, language())


@pytest.mark.parametrize("thresholds", [LOW, HIGH])
def test_rows_and_base_value_add_up_to_the_score(thresholds: BandThresholds) -> None:
    for view in views(*CHART, thresholds=thresholds):
        *parts, score = view.figures

        assert (parts[0].name, score.name) == ("base value", "score")
        assert math.isclose(math.fsum(p.log_odds for p in parts), score.log_odds, abs_tol=1e-5)
        assert [row.log_odds for row in view.rows] == [p.log_odds for p in parts[1:]]
        assert len(view.rows) <= 7


def test_above_the_threshold_it_is_said_what_is_estimated() -> None:
    view = views(*CHART)[0]

    assert view.above
    assert (
        view.headline == "Estimate of current depressive symptoms (PHQ-9 of 10 or more): above this site’s threshold."
    )
    assert re.fullmatch(r"\d+ of 58 inputs known", view.known)


def test_below_the_threshold_nothing_reassures_and_no_number_of_people_is_shown() -> None:
    for view in views(*CHART, thresholds=HIGH, figures=True):
        assert not view.above
        assert view.headline.endswith("below threshold. This does not rule it out.")
        assert (view.share, view.probability, view.high) == ("", None, None)


def test_numbers_of_people_are_shown_only_where_the_site_turned_them_on() -> None:
    assert [view.share for view in views(*CHART)] == ["", ""]
    for view in views(*CHART, figures=True):
        found = re.fullmatch(
            r"Of 100 survey adults with similar records, about (\d+) \(range (\d+) to (\d+)\) reported this in the past two weeks\.", view.share
        )  # fmt: skip
        middle, low, high = map(int, found.groups())
        assert low <= middle <= high
        assert 0 < view.probability <= view.high


def test_a_row_of_treatment_shows_care_and_no_cause() -> None:
    for view in views(*CHART):
        assert any("SSRI on medication list" in row.what for row in view.rows)
        assert "treatment shows care, not cause" in view.detail


def test_the_last_row_holds_all_that_is_not_shown() -> None:
    for view in views(*CHART):
        assert view.rows[-1].what == "All other inputs, including missing ones"


def test_without_an_estimate_one_reason_is_given() -> None:
    answered, other = views("PHQ-9, 3 days ago: items 1-8 = 1, item 9 = 0, total = 8", *CHART)

    assert answered.headline.startswith("No estimate of current depressive symptoms")
    assert answered.detail == "A PHQ-9 in the last 14 days already answers this."
    assert (answered.rows, answered.figures) == ((), ())
    assert other.detail.startswith("PHQ-9 item 9 was answered in the last 14 days")


@pytest.mark.parametrize(
    ("gender", "cause", "held", "missing"),
    [
        (
            "other",
            "The record gives a gender other than female or male.",
            "gender other than female or male",
            "recorded",
        ),
        ("unknown", "Gender is not known.", "age", "not on file"),
        (None, "Gender is not known.", "age", "not on file"),
    ],
)
def test_a_gender_that_the_models_cannot_use_is_named_as_the_cause(gender, cause, held, missing) -> None:
    found = assess(record_of(*(r for line in CHART for r in given(line)), who=patient(gender=gender)), ENGINE, LOW)

    details = availability(found, language())[0]

    for view in estimate_views(found, NoticeSettings(zone=ZoneInfo("UTC")), language()):
        assert view.detail.startswith(cause)
        assert "too little" not in view.detail.lower()
    assert details.holds.endswith(held)
    assert details.missing[0].startswith(missing)


def test_under_18_there_is_none() -> None:
    assert {view.detail for view in views(*CHART, age=15)} == {"The models were trained on adults; no estimate is made under 18."}  # fmt: skip


def test_inputs_of_a_part_that_could_not_be_read_are_not_said_to_be_absent() -> None:
    def without_medicines(record):
        kept = tuple(fact for fact in record.facts if not fact.name.startswith(("rx_", "n_rx")))
        refused = Unknown(what="medications", reason=Gap(cause=Cause.REFUSED), needed=False)
        return replace(record, facts=kept, unknown=(refused,))

    lines = views(*CHART, change=without_medicines)[0].missing

    assert any(line.startswith("Could not be read: ") and "SSRI" in line for line in lines)
    assert not any(line.startswith("Not on file: ") and "SSRI" in line for line in lines)


def test_no_word_foretells_or_reassures() -> None:
    for view in (*views(*CHART, figures=True), *views(*CHART, thresholds=HIGH), *views(age=15)):
        said = " ".join((view.headline, view.detail, view.share, *(f"{row.what} {row.change}" for row in view.rows)))
        assert not re.search(
            r"\b(low|high) risk\b|predict|will\b|cause[sd]|%", said.replace("associations, not causes", "")
        )
