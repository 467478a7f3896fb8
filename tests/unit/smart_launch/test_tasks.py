"""A follow-up that a clinician asks for is a draft: its day is the site's, its choices those of the page."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explanations.judgement.proposals import DraftKind
from explanations.judgement.regions import DEFAULT_REGION, REGIONS
from fhir_adapters.resources.validation import faults
from fhir_adapters.writing.completed import SUBMISSION_SYSTEM, FormContext
from smart_launch.errors import Forbidden
from smart_launch.forms.tasks import DAYS, ORDERED, DraftRequest, asked_order, draft_fields, draft_slots, read_drafts

LATE_EVENING = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
OCCASION = FormContext(
    patient="Patient/p1", at=LATE_EVENING, submission="abc", user="Practitioner/doc", encounter="Encounter/e1"
)
CHICAGO = ZoneInfo("America/Chicago")


@pytest.mark.parametrize(
    ("days", "end"), [(1, "2026-11-24"), (2, "2026-11-25"), (7, "2026-11-30"), (14, "2026-12-07"), (30, "2026-12-23")]
)
def test_the_days_are_counted_on_the_sites_calendar(days: int, end: str) -> None:
    (task,) = draft_slots(DraftRequest(days=days), OCCASION, CHICAGO)

    assert task.resource["restriction"]["period"]["end"] == end
    assert task.resource["authoredOn"] == "2026-11-24T03:00:00+00:00"


WANTED = st.builds(
    DraftRequest, order=st.sampled_from((None, *ORDERED.values())), days=st.sampled_from((None, *DAYS))
).filter(lambda wanted: not wanted.empty)


@given(wanted=WANTED)
def test_every_choice_is_valid_r4_a_draft_and_known_again(wanted: DraftRequest) -> None:
    slots = draft_slots(wanted, OCCASION, CHICAGO)

    assert [s.name for s in slots] == [*([wanted.order] if wanted.order else []), *(["task"] if wanted.days else [])]
    for slot in slots:
        assert faults(slot.resource) == []
        assert (slot.resource["status"], slot.resource["intent"]) == ("draft", "proposal")
        assert slot.resource["identifier"] == [{"system": SUBMISSION_SYSTEM, "value": f"abc.{slot.name}"}]
        assert slot.resource["requester"] == {"reference": "Practitioner/doc"}
        assert slot.resource["encounter"] == {"reference": "Encounter/e1"}
    assert read_drafts({name: [value] for name, value in draft_fields(wanted).items()}, DEFAULT_REGION) == wanted


def test_nothing_is_chosen_at_first_and_nothing_is_made_of_it() -> None:
    for nothing in (read_drafts({}, DEFAULT_REGION), read_drafts({"days": [""]}, DEFAULT_REGION)):
        assert nothing == DraftRequest()
        assert draft_fields(nothing) == {}
        with pytest.raises(Forbidden):
            draft_slots(nothing, OCCASION, CHICAGO)


@pytest.mark.parametrize(
    "fields",
    [
        {"days": ["3"]},
        {"days": ["7", "7"]},
        {"days": ["-7"]},
        {"days": [" 7"]},
        {"order": ["c-ssrs-2"]},
        {"order": [""]},
        {"order": ["contact"]},
        {"order": ["assessment", "assessment"]},
    ],
)
def test_what_the_page_does_not_offer_is_refused(fields: dict) -> None:
    with pytest.raises(Forbidden):
        read_drafts(fields, DEFAULT_REGION)


def test_of_a_user_with_a_full_address_the_relative_reference_signs() -> None:
    full = FormContext(
        patient="Patient/p1", at=LATE_EVENING, submission="abc", user="https://ehr.example/fhir/Practitioner/doc"
    )

    (task,) = draft_slots(DraftRequest(days=7), full, CHICAGO)

    assert task.resource["requester"] == {"reference": "Practitioner/doc"}


@pytest.mark.parametrize("text", [None, "", "contact", "Assessment", "assessment ", "../forms"])
def test_an_address_can_ask_for_an_order_of_the_list_alone(text: str | None) -> None:
    assert asked_order(text, DEFAULT_REGION) is None
    assert asked_order("assessment", DEFAULT_REGION) is DraftKind.ASSESSMENT


@pytest.mark.parametrize("order", ["assessment", "c-ssrs"])
def test_an_order_that_a_region_replaces_is_replaced_also_when_it_is_sent(order: str) -> None:
    assert read_drafts({"order": [order]}, REGIONS["GB-ENG"]).order is DraftKind.PSYCHOSOCIAL
