"""Escalations on SQLite and on a real PostgreSQL: one an event, told in turn by a clock, until somebody has it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from escalation_desk import Desk, acute, contact, site_of

from explanations.judgement.escalation import EscalationState


@pytest.fixture
def desk(store) -> Desk:
    return Desk(store, site_of(contact("first"), contact("second")))


def test_twenty_readings_by_two_workers_open_one_escalation_and_tell_one_contact(desk) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: desk.read(acute()), range(20)))
    assert {value.state for value in found} == {EscalationState.WAITING}
    assert len({value.id for value in found}) == 1
    assert len(desk.rows()) == 1
    assert desk.told() == [("first", "escalation.opened")]
    assert [event["what"] for event in desk.audited()] == ["opened"]
