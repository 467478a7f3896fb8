"""What was known and what was not: five things that stay apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import given, patient, record_of, resource

from explanations.judgement.assessment import Engine, assess
from explanations.words.language import language
from explanations.words.pages.availability import Availability, availability, unread_inputs, withheld_words
from fhir_adapters.facts import Consent, Unknown
from fhir_adapters.gaps import Cause, Gap


def rows(record):
    return {row.part: row for row in availability(assess(record, Engine()), language())}


def chart(*lines: str, more=()):
    return record_of(*(r for line in lines for r in given(line)), *more, who=patient())


SCREENS, MEDICINES, VISITS = "Questionnaires and screening answers", "Medicines", "Visits"


def test_what_was_looked_for_and_not_found_is_not_on_file() -> None:
    found = rows(chart())

    assert found[SCREENS].state is Availability.NOT_ON_FILE
    assert found["Measurements and lifestyle"].state is Availability.NOT_ON_FILE
    assert found["Procedures and risk assessments"].state is Availability.NOT_ON_FILE


def test_a_list_that_was_seen_in_full_is_used_also_when_it_is_empty() -> None:
    found = rows(chart())

    assert (found[MEDICINES].words, found[MEDICINES].holds) == (
        "read",
        "no active medicine on file",
    )
    assert found[VISITS].holds == "no visit on file"
    assert found["Conditions"].holds == "no relevant condition"


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("PHQ-9, 3 days ago: items 1-9 = 0, total = 0", Availability.READ),
        ("PHQ-9, 90 days ago: items 1-9 = 0, total = 0", Availability.READ),
        ("PHQ-9, 91 days ago: items 1-9 = 0, total = 0", Availability.TOO_OLD),
        ("PHQ-9, undated: items 1-9 = 0, total = 0", Availability.READ),
    ],
)
def test_old_screening_answers_are_too_old_to_use(line: str, state: Availability) -> None:
    assert rows(chart(line))[SCREENS].state is state


def test_a_part_that_could_not_be_read_says_why_and_calls_nothing_absent() -> None:
    whole = chart()
    lost = Unknown(what="medications", reason=Gap(cause=Cause.REFUSED), needed=False)
    taken = tuple(fact for fact in whole.facts if not fact.name.startswith(("rx_", "n_rx")))

    row = rows(replace(whole, unknown=(lost,), facts=taken))[MEDICINES]

    assert (row.state, row.gaps) == (Availability.NOT_READ, ("medicines: the EHR refused access",))
    assert (row.words, row.known, row.asked) == ("could not be read", 0, 25)
    assert row.missing and all(line.startswith("could not be read: ") for line in row.missing)


def test_a_part_that_may_not_be_read_is_withheld() -> None:
    lost = Unknown(what="medications", reason=Gap(cause=Cause.NOT_PERMITTED), needed=False)
    record = replace(chart(), unknown=(lost,), consent=Consent.DENIED)

    assert rows(record)[MEDICINES].state is Availability.WITHHELD
    assert rows(record)["Consents"].holds == "a consent on file denies this use"
    assert set(unread_inputs(record).values()) == {"withheld"}


def test_where_the_rest_of_a_chart_was_lost_nothing_is_said_not_to_be_on_file() -> None:
    lost = Unknown(what="rest", reason=Gap(cause=Cause.ENTRIES_BROKEN), needed=True)

    found = rows(replace(chart(), unknown=(lost,)))

    assert Availability.NOT_ON_FILE not in {row.state for row in found.values()}
    assert found[SCREENS].gaps == ("part of the chart: entries are missing or cannot be read",)


def test_entries_that_cannot_be_read_are_named_at_most_three() -> None:
    broken = [
        resource("Procedure", status="completed", modifierExtension=[{"url": "x", "valueBoolean": True}])
        for _ in range(5)
    ]

    row = rows(chart(more=broken))["Procedures and risk assessments"]

    assert row.state is Availability.NOT_READ
    assert len(row.gaps) == 4
    assert row.gaps[-1] == "and 2 more could not be read"


def test_where_an_entry_could_not_be_read_none_is_not_said() -> None:
    row = rows(chart(more=[resource("Condition", code="broken")]))["Conditions"]

    assert (row.state, row.holds) == (Availability.NOT_READ, "none found in what was read")


def test_withheld_entries_are_counted_and_not_placed() -> None:
    assert withheld_words(chart(), language()) == ""
    assert withheld_words(replace(chart(), withheld=1), language()).startswith("1 entry was withheld unread")
    assert withheld_words(replace(chart(), withheld=3), language()).startswith("3 entries were withheld")


def test_the_counts_of_inputs_add_up_to_those_of_the_models() -> None:
    from models.inputs.feature_schema import FEATURES

    found = rows(chart("Condition I10, 300 days ago, problem list"))

    assert sum(row.asked for row in found.values()) == len(FEATURES)
    assert all(0 <= row.known <= row.asked for row in found.values())


def test_an_input_that_no_loaded_model_takes_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from explanations.judgement import assessment
    from explanations.words.pages import availability as page
    from models.inputs.feature_schema import FEATURES
    from models.scoring.registry import load_models

    newer = (*FEATURES, replace(FEATURES[-1], name="walking", group="lifestyle", block="core"))
    for module in (assessment, page):
        monkeypatch.setattr(module, "FEATURES", newer)
    models = load_models()
    judged = assess(chart(), Engine(models=models))

    taken = {spec.name for model in models for spec in model.schema.features}
    assert "walking" not in {gap.name for gap in judged.missing}
    assert sum(row.asked for row in availability(judged, language())) == len(taken)
