"""The demo's pager: it takes what the service signed, and answers as the hospital's own system would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from smart_run import Run, StandingClock, running
from standardwebhooks import Webhook

AT = datetime(2026, 11, 30, 17, 51, tzinfo=UTC)
ACUTE = "tomas-wojcik"


@pytest.fixture
def run() -> Iterator[Run]:
    with running(governance=True, clock=StandingClock(AT)) as found:
        yield found


def shown(run: Run, patient: str = ACUTE) -> str:
    """The EHR's page of a patient, which asks the service anew."""
    return run.ehr.app.test_client().get(f"/patients/{patient}", base_url=run.addresses.page_origin).text


def press(run: Run, message: str, **headers: str):
    client = run.ehr.app.test_client()
    path, fields = f"/patients/{ACUTE}/pager", {"message": message}
    return client.post(path, base_url=run.addresses.page_origin, data=fields, headers=headers)


def post(run: Run, body: str, *, at: datetime = AT, secret: str | None = None):
    signer = Webhook(secret or run.addresses.pager_secret)
    headers = {
        "webhook-id": "m-1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signer.sign("m-1", at, body),
    }
    return run.ehr.app.test_client().post("/pager", data=body, headers=headers)


def test_an_acute_answer_is_on_the_pager_with_initials_and_a_link_and_nothing_of_the_answer(run) -> None:
    assert "No messages." in shown(run)
    run.send()

    (message,) = run.ehr.clinic.pager.messages
    assert (message.whom, message.within_min, message.ended) == ("TW", 15, "")
    assert message.link == f"{run.addresses.governance_url}escalations/{message.id}"
    text = shown(run)
    assert "17:51 Acute answer: TW" in text and "Acknowledge as Amina Sato" in text
    assert "Crisis team was sent a message at 17:51 UTC; nobody has acknowledged it yet." in text


def test_who_acknowledges_on_the_pager_is_named_on_the_card_and_on_the_pager(run) -> None:
    shown(run)
    run.send()
    run.clock.ahead += 11 * 60
    (message,) = run.ehr.clinic.pager.messages

    assert press(run, message.id).status_code == 303

    text = shown(run)
    assert "<p>Acknowledged by Amina Sato</p>" in text and "Acknowledge as" not in text
    assert "Acknowledged by Amina Sato, 18:02 UTC." in text


def test_what_was_acknowledged_elsewhere_ends_on_the_pager_too(run) -> None:
    shown(run)
    run.send()
    (message,) = run.ehr.clinic.pager.messages
    body = {"type": "escalation.acknowledged", "data": {"id": message.id, "by": "Dr Robin Lindqvist"}}

    assert post(run, json.dumps(body)).status_code == 204

    assert "<p>Acknowledged by Dr Robin Lindqvist</p>" in shown(run)


def test_what_is_not_signed_or_is_old_is_not_shown(run) -> None:
    body = json.dumps({"type": "escalation.opened", "data": {"id": "e", "initials": "XX"}})
    other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    old = datetime(2026, 11, 30, 17, 40, tzinfo=UTC)
    unsigned = run.ehr.app.test_client().post("/pager", data=body)

    assert [post(run, body, secret=other).status_code, post(run, body, at=old).status_code] == [401, 401]
    assert unsigned.status_code == 401
    assert run.ehr.clinic.pager.messages == ()


def test_an_answer_that_the_service_refuses_can_be_given_again_and_strangers_can_give_none(run) -> None:
    """The service knows of no such escalation."""
    post(run, json.dumps({"type": "escalation.opened", "data": {"id": "0123456789ab", "initials": "XX"}}))

    assert press(run, "0123456789ab", Origin="https://evil.example").status_code == 403
    assert press(run, "0123456789ab").status_code == 303
    assert press(run, "unknown").status_code == 303

    text = shown(run, "pilar-ostrowski")
    assert "The service did not take the answer." in text and "Acknowledge as" in text
