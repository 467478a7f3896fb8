"""A follow-up that a clinician asks for is a draft: its day is the site's, its choices those of the page."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_adapters.resources.validation import faults
from fhir_adapters.writing.completed import SUBMISSION_SYSTEM, FormContext
from smart_launch.errors import Forbidden
from smart_launch.forms.tasks import DAYS, FollowUp, follow_up_fields, follow_up_slots, read_follow_up

LATE_EVENING = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
OCCASION = FormContext(
    patient="Patient/p1", at=LATE_EVENING, submission="abc", user="Practitioner/doc", encounter="Encounter/e1"
)
CHICAGO = ZoneInfo("America/Chicago")


@pytest.mark.parametrize(
    ("days", "end"), [(1, "2026-11-24"), (2, "2026-11-25"), (7, "2026-11-30"), (14, "2026-12-07"), (30, "2026-12-23")]
)
def test_the_days_are_counted_on_the_sites_calendar(days: int, end: str) -> None:
    (task,) = follow_up_slots(FollowUp(days=days, assessment=False), OCCASION, CHICAGO)

    assert task.resource["restriction"]["period"]["end"] == end
    assert task.resource["authoredOn"] == "2026-11-24T03:00:00+00:00"


@given(wanted=st.builds(FollowUp, days=st.sampled_from(DAYS), assessment=st.booleans()))
def test_every_choice_is_valid_r4_a_draft_and_known_again(wanted: FollowUp) -> None:
    slots = follow_up_slots(wanted, OCCASION, CHICAGO)

    assert [s.name for s in slots] == ["task", "order"][: 1 + wanted.assessment]
    for slot in slots:
        assert faults(slot.resource) == []
        assert (slot.resource["status"], slot.resource["intent"]) == ("draft", "proposal")
        assert slot.resource["identifier"] == [{"system": SUBMISSION_SYSTEM, "value": f"abc.{slot.name}"}]
        assert slot.resource["requester"] == {"reference": "Practitioner/doc"}
        assert slot.resource["encounter"] == {"reference": "Encounter/e1"}
    assert read_follow_up({name: [value] for name, value in follow_up_fields(wanted).items()}) == wanted


def test_nothing_is_chosen_at_first_and_nothing_is_made_of_it() -> None:
    nothing = read_follow_up({})

    assert nothing == FollowUp(days=None, assessment=False)
    assert follow_up_fields(nothing) == {}
    with pytest.raises(Forbidden):
        follow_up_slots(nothing, OCCASION, CHICAGO)


@pytest.mark.parametrize(
    "fields",
    [
        {"days": ["3"]},
        {"days": ["7", "7"]},
        {"days": ["-7"]},
        {"days": [" 7"]},
        {"assessment": ["0"]},
        {"assessment": ["1", "1"]},
    ],
)
def test_what_the_page_does_not_offer_is_refused(fields: dict) -> None:
    with pytest.raises(Forbidden):
        read_follow_up(fields)


def test_of_a_user_with_a_full_address_the_relative_reference_signs() -> None:
    full = FormContext(
        patient="Patient/p1", at=LATE_EVENING, submission="abc", user="https://ehr.example/fhir/Practitioner/doc"
    )

    (task,) = follow_up_slots(FollowUp(days=7, assessment=False), full, CHICAGO)

    assert task.resource["requester"] == {"reference": "Practitioner/doc"}
