"""What of a chart says that an outcome was there, for comparison with scores alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from builders import AS_OF, given, patient, record_of, resource

from explanations.judgement.measured import MEASURED_DAYS, MOST_FORMS, measured, taken_back
from fhir_adapters.facts import Consent

NINE = "PHQ-9, 3 days ago: items 1-8 = 1, item 9 = {}"


def said(*lines: str, **more) -> list[str]:
    """`depression + 2026-11-20`, sorted."""
    chart = record_of(*(r for line in lines for r in given(line)), **more)
    return sorted(f"{r.outcome} {'+' if r.positive else '-'} {r.on}" for r in measured(chart))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (NINE.format(0), ["depression - 2026-11-20", "suicidal-ideation - 2026-11-20"]),
        (NINE.format(1), ["depression - 2026-11-20", "suicidal-ideation + 2026-11-20"]),
        (NINE.format(2), ["depression + 2026-11-20", "suicidal-ideation + 2026-11-20"]),
        ("PHQ-9, 3 days ago: total = 9", ["depression - 2026-11-20"]),
        ("PHQ-9, 3 days ago: total = 10", ["depression + 2026-11-20"]),
        ("PHQ-9, 3 days ago: item 9 = 0", ["suicidal-ideation - 2026-11-20"]),
        ("PHQ-9, 3 days ago: items 1-8 = 3, item 9 = declined", []),
        ("PHQ-9, 3 days ago: items 1-8 = 3, item 9 = blank", []),
        ("PHQ-9, 3 days ago: items 1-9 = 1, total = 20", []),
        ("PHQ-9, 3 days ago, in progress: items 1-9 = 1", []),
        ("PHQ-9M, 3 days ago: items 1-9 = 1", ["depression - 2026-11-20", "suicidal-ideation + 2026-11-20"]),
        ("PHQ-9, 2026-11: total = 12", []),
        ("PHQ-9, 2026-11-25: total = 12", []),
        ("PHQ-9: total = 12", []),
        (f"PHQ-9, {MEASURED_DAYS} days ago: total = 12", ["depression + 2026-09-24"]),
        (f"PHQ-9, {MEASURED_DAYS + 1} days ago: total = 12", []),
        ("PHQ-2, 3 days ago: total = 6", []),
        ("EPDS, 3 days ago: total = 20", []),
        ("C-SSRS, 3 days ago: question 2 = yes", []),
    ],
)
def test_a_valid_form_of_the_last_sixty_days_is_a_result_and_nothing_else_is(line: str, found: list[str]) -> None:
    assert said(line) == found


def test_a_time_that_is_known_is_kept() -> None:
    assert said("PHQ-9, 2026-11-20T09:30:00-06:00: total = 12") == ["depression + 2026-11-20T15:30:00+00:00"]


@pytest.mark.parametrize("shape", ["observations", "form"])
def test_the_order_of_resources_changes_nothing(shape: str) -> None:
    lines = ("PHQ-9, 9 days ago: total = 12", "PHQ-9, 3 days ago: item 9 = 1, total = 4")
    chart = [r for line in lines for r in given(line, shape)]
    found = {frozenset(measured(record_of(*order))) for order in permutations(chart)}

    assert len(found) == 1 and found != {frozenset()}


def test_a_form_has_one_mark_whether_or_not_its_observations_have_come() -> None:
    response, *_ = given(NINE.format(1), "form")
    derived = [r | {"effectiveDateTime": response["authored"]} for r in given("PHQ-9, 3 days ago: total = 9")]

    first, later = (measured(record_of(response, *more)) for more in ([], derived))

    assert first == later
    assert {r.form for r in first} == {f"QuestionnaireResponse/{response['id']}"} == {
        r.form for r in taken_back(f"QuestionnaireResponse/{response['id']}")
    }  # fmt: skip


@pytest.mark.parametrize("consent", [consent for consent in Consent if consent is not Consent.ALLOWED])
def test_of_a_chart_that_models_may_not_use_nothing_is_a_result(consent: Consent) -> None:
    chart = record_of(*given(NINE.format(1)))

    assert measured(chart) != ()
    assert measured(replace(chart, consent=consent)) == ()
    assert measured(replace(chart, deceased=True)) == ()


def test_a_chart_with_hundreds_of_forms_gives_the_latest() -> None:
    chart = [r for day in range(50) for r in given(f"PHQ-9, {day} days ago: total = 4", "form")]

    found = measured(record_of(*chart))

    assert len(found) == MOST_FORMS
    assert found[0].on == AS_OF.date().isoformat()


def test_what_goes_on_record_names_no_form() -> None:
    (result,) = measured(record_of(*given("PHQ-9, 3 days ago: total = 12")))

    kept = result.recorded(lambda text: f"<{len(text)}>")

    assert set(kept) == {"outcome", "positive", "on", "id"}
    assert result.form not in str(kept)
    (first, second) = (each.recorded(str.upper) for each in taken_back("Q/1"))
    assert (first["positive"], "on" in first, first["id"] != second["id"]) == (None, False, True)
    assert patient()["id"] not in str(kept) and resource("X")["id"] not in str(kept)
