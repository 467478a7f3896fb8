"""Acknowledging in the SMART app: a real launch, the real store, and what the next card then says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from smart_run import Run, StandingClock, Visitor, csrf_of, running

from cds_service.escalation.records import listed
from cds_service.settings.config import ServiceConfig
from cds_service.settings.escalation import Channel, Contact, EscalationSettings
from cds_service.settings.webhook import Webhook

AT = datetime(2026, 11, 30, 17, 51, tzinfo=UTC)
ACUTE, OTHER, QUIET = "tomas-wojcik", "ingrid-solheim-park", "pilar-ostrowski"
CRISIS = Contact(
    name="Crisis team",
    channel=Channel.WEBHOOK,
    webhook=Webhook(url="http://127.0.0.1:9/pager", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
)
WRITTEN = "A message to Crisis team was prepared at 17:51 UTC; it has not been delivered yet."
KNOWN = "Acknowledged by Dr Robin Lindqvist, 18:02 UTC."


def telling(config: ServiceConfig) -> ServiceConfig:
    (site,) = config.sites
    return replace(config, sites=(replace(site, escalation=EscalationSettings(contacts=(CRISIS,))),))


@pytest.fixture
def run() -> Iterator[Run]:
    with running(config=telling, clock=StandingClock(AT)) as found:
        yield found


def card(run: Run, patient: str = ACUTE) -> str:
    """The detail of the first card of a patient, as the EHR gets it now."""
    clinic = run.ehr.clinic
    return clinic.client.open_chart(clinic.patient(patient)).cards[0]["detail"]


def on_record(run: Run):
    with run.store.transaction() as connection:
        return listed(connection, open_only=False)


class Page:
    """The app of one launch."""

    def __init__(self, run: Run, patient: str = ACUTE) -> None:
        self.visitor = Visitor(run)
        self.address = self.visitor.open(patient)

    @property
    def text(self) -> str:
        return self.visitor.get(self.address).text

    @property
    def id(self) -> str:
        found = re.search(r'name="escalation" value="([^"]+)"', self.text)
        assert found, "nothing to acknowledge on the page"
        return found[1]

    def send(self, where: str = "escalation", headers: dict[str, str] | None = None, **fields: object):
        form = {"csrf": csrf_of(self.text), **fields}
        return self.visitor.post(f"{self.address}{where}", form, **(headers or {}))


def test_the_app_opens_an_escalation_as_a_card_does_and_says_so_on_screen_and_on_paper(run) -> None:
    page = Page(run)

    assert page.text.count(WRITTEN) == 1
    assert "Nobody has been notified" not in page.text
    printed = page.visitor.get(f"{page.address}print").text
    assert WRITTEN in printed and 'name="escalation"' not in printed
    assert WRITTEN in card(run)
    assert len(on_record(run)) == 1


def test_who_acknowledges_is_who_signs_and_the_page_and_the_next_card_say_it_from_the_record(run) -> None:
    assert WRITTEN in card(run)
    page = Page(run)
    run.clock.ahead += 11 * 60

    answer = page.send(escalation=page.id)

    assert answer.status_code == 303
    assert answer.headers["Location"].endswith("#told")
    assert KNOWN in page.text and "Acknowledge finding" not in page.text
    assert KNOWN in card(run)
    (row,) = on_record(run)
    assert (row.acknowledged_by, row.through) == ("Dr Robin Lindqvist", "app")


def test_what_was_done_is_said_in_the_same_place_and_acknowledges(run) -> None:
    page = Page(run)
    run.clock.ahead += 11 * 60
    identifier = page.id

    assert page.send(escalation=identifier, done=["assessment", "transferred"]).status_code == 303

    done = f"{KNOWN} Recorded as done: assessment done; patient transferred."
    assert done in page.text and done in card(run)
    assert re.findall(r'name="done" value="([^"]+)"', page.text) == ["safety-plan", "follow-up"]
    assert page.send(escalation=identifier, done=["safety-plan", "follow-up"]).status_code == 303
    assert 'name="escalation"' not in page.text


def test_a_second_one_learns_who_was_first(run) -> None:
    page = Page(run)
    identifier = page.id
    run.clock.ahead += 11 * 60
    page.send(escalation=identifier)
    run.clock.ahead += 60

    assert page.send(escalation=identifier).status_code == 303

    assert KNOWN in page.text
    assert [row.acknowledged for row in on_record(run)] == ["2026-11-30T18:02:00+00:00"]


def test_nothing_is_acknowledged_by_a_forged_form_or_for_another_patient(run) -> None:
    page, other = Page(run), Page(run, OTHER)
    identifier = page.id
    refused = (
        other.send(escalation=identifier),
        page.send(escalation="0123456789ab"),
        page.send(escalation=""),
        page.send(escalation=identifier, done=["cured"]),
        page.send(escalation=identifier, csrf="forged"),
        page.send(headers={"Origin": "https://evil.example"}, escalation=identifier),
        page.send(headers={"Sec-Fetch-Site": "cross-site"}, escalation=identifier),
    )

    assert [answer.status_code for answer in refused] == [400, 400, 400, 400, 403, 403, 403]
    assert [row.acknowledged for row in on_record(run)] == [None]
    assert WRITTEN in page.text
    assert 'name="escalation"' not in other.text


@pytest.mark.parametrize("reason", ["under-way", "with-crisis-team", "entered-in-error", "not-treating"])
def test_a_reason_that_says_that_somebody_knows_acknowledges_and_a_handover_does_not(run, reason: str) -> None:
    page = Page(run)
    run.clock.ahead += 11 * 60

    assert page.send("override", topic="acute-safety", reason=reason).status_code == 303

    assert (KNOWN in page.text) == (reason != "not-treating")


def test_a_reason_given_for_another_finding_acknowledges_nothing(run) -> None:
    page = Page(run)

    page.send("override", topic="positive-safety-answer", reason="entered-in-error")

    assert WRITTEN in page.text


def test_where_there_is_nothing_acute_or_the_site_tells_nobody_nothing_is_offered(run) -> None:
    assert 'id="told"' not in Page(run, QUIET).text
    with running(clock=StandingClock(AT)) as silent:
        text = Page(silent).text
        assert "Nobody has been notified." in text and 'id="told"' not in text
        assert "Nobody has been notified: this is not a monitoring service." in card(silent)
        assert Page(silent).send(escalation="0123456789ab").status_code == 400


def test_an_answer_that_is_no_longer_acute_can_still_be_acknowledged(run) -> None:
    assert WRITTEN in card(run)
    run.clock.ahead += 2 * 86_400
    page = Page(run)

    assert "Earlier acute answer. A message to Crisis team was prepared on 30 Nov 2026 at 17:51 UTC" in page.text
    assert page.send(escalation=page.id).status_code == 303
    assert "Earlier acute answer. Acknowledged by Dr Robin Lindqvist, 17:51 UTC." in page.text
    assert "Acknowledged" not in card(run)
