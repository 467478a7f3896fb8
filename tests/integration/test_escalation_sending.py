"""Contacts are told by signed webhooks, from SQLite and a real PostgreSQL: in turn, in time, whatever a receiver does."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from escalation_desk import KEY, Desk, acute, contact, site_of
from hypothesis import given
from hypothesis import strategies as st
from webhook_receiver import SECRET, Receiver, receiving

from cds_service.backend.backend import Backend
from cds_service.escalation.escalations import acknowledge
from cds_service.escalation.links import PatientLink
from cds_service.escalation.opening import open_drill
from cds_service.incidents.incidents import NewIncident, open_incident
from cds_service.incidents.kinds import IncidentKind
from cds_service.sending import attempt, queue
from cds_service.sending.contacts import Means
from cds_service.sending.queue import CLAIMED_S, ESCALATION_WAIT_S, send_next, wait_s, waiting_since
from cds_service.settings.escalation import MessageContent
from cds_service.settings.webhook import Webhook
from cds_service.storage import tables
from smart_launch.oauth.own_keys import OwnKeys


class Office:
    """A desk whose contacts have systems that listen; its clock is the receivers' too."""

    def __init__(self, store, *receivers: Receiver, **wanted) -> None:
        names = ("first", "second", "third")
        contacts = [
            replace(contact(name), webhook=Webhook(url=receiver.url, secret=SECRET))
            for name, receiver in zip(names, receivers, strict=False)
        ]
        self.desk = Desk(store, site_of(*contacts, **wanted), now=datetime.now(UTC).replace(microsecond=0))
        self.means = Means(key=KEY, backend=Backend(keys=OwnKeys, local=lambda: True, now=self.clock))
        for receiver in receivers:
            receiver.clock = self.clock

    def clock(self) -> datetime:
        return self.desk.now

    def opened(self, patient: str = "p1") -> str:
        return self.desk.read(acute(), patient=patient).id

    def send(self) -> int:
        """Sends what is due now; how many attempts that took."""
        attempts = 0
        while send_next(self.desk.store, self.desk.config, self.clock, self.means):
            attempts += 1
        return attempts

    def work(self, minutes: float, step_s: int = 5) -> None:
        """A worker's rounds over that time: whoever is due is told, and what is due is sent."""
        for _ in range(int(minutes * 60 / step_s)):
            self.desk.pass_time(step_s / 60)
            self.send()

    def messages(self) -> dict[str, dict]:
        return {row["id"]: row for row in self.desk.store.rows(tables.delivery) if row["escalation"]}

    def acknowledge(self, identifier: str) -> None:
        self.desk.do(acknowledge, identifier, by="R. Example", through="page", now=self.desk.now)


@pytest.fixture
def pair():
    with receiving() as first, receiving() as second:
        yield first, second


# ---- what is sent ----


def test_a_contact_is_told_once_with_a_link_and_nothing_of_the_patient(store, pair) -> None:
    office = Office(store, *pair)
    identifier = office.opened()
    assert office.send() == 1
    ((message, body),) = pair[0].got
    assert (message, body["type"]) == (f"{identifier}-001", "escalation.opened")
    assert body["data"]["link"] == f"https://cds.example/governance/escalations/{identifier}"
    assert body["data"]["acknowledge_within_min"] == 15
    assert not {"initials", "place", "patient"} & set(body["data"])
    assert not [word for word in ("C-SSRS", "cssrs", "score", "suicid", "p1") if word in json.dumps(body).lower()]
    assert office.send() == 0
    assert waiting_since(store, office.desk.config) is None


def test_who_was_told_learns_that_somebody_has_it_and_what_waited_is_taken_back(store, pair) -> None:
    office = Office(store, *pair)
    identifier = office.opened()
    office.send()
    pair[1].answers = lambda _message: 500
    office.work(15.2)
    assert pair[1].asked, "the second was not told"
    office.acknowledge(identifier)
    pair[1].answers = lambda _message: 200
    office.work(1)
    assert [body["type"] for _, body in pair[0].got] == ["escalation.opened", "escalation.acknowledged"]
    assert pair[0].got[-1][1]["data"]["by"] == "R. Example"
    assert [body["type"] for _, body in pair[1].got] == ["escalation.acknowledged"]
    office.work(20)
    assert len(pair[0].got) == 2, "told again after somebody had it"


def test_without_means_those_of_incidents_alone_are_sent(store, pair) -> None:
    office = Office(store, *pair)
    office.opened()
    assert not send_next(store, office.desk.config, office.clock)
    assert pair[0].asked == []


def test_initials_and_place_are_not_kept_for_the_messages_to_come(store, pair) -> None:
    office = Office(store, *pair, content=MessageContent.INITIALS_AND_PLACE)
    office.opened()
    assert all("initials" not in row["body"] for row in office.messages().values())


# ---- receivers that fail ----


def test_a_receiver_down_for_an_hour_is_tried_every_minute_while_the_next_contact_is_told_in_time(store, pair) -> None:
    office = Office(store, *pair)
    tried, told = [], []
    pair[0].answers = lambda _message: tried.append(office.clock()) or 503
    pair[1].answers = lambda _message: told.append(office.clock()) or 204
    identifier, begin = office.opened(), office.clock()
    office.work(59.5)

    assert max(later - earlier for earlier, later in pairwise(tried)) <= timedelta(minutes=1)
    assert told[0] - begin <= timedelta(minutes=15, seconds=5)
    assert set(pair[0].asked) == {f"{identifier}-001"}, "what comes later goes out before what waits"
    assert "contact-unreachable" in office.desk.incidents()
    pair[0].answers = lambda _message: 200
    office.work(1.5)
    came = [message for message, _ in pair[0].got]
    assert came[0] == f"{identifier}-001"
    assert came == sorted(set(came)), "out of order, or twice"
    assert waiting_since(store, office.desk.config) is None


def test_the_incident_of_a_contact_that_cannot_be_told_is_one_and_says_which_contact(store, pair) -> None:
    office = Office(store, *pair)
    pair[0].answers = lambda _message: 500
    office.opened("p1")
    office.opened("p2")
    office.work(14)
    found = [row for row in store.rows(tables.incident) if row["kind"] == "contact-unreachable"]
    assert [(row["site"], row["facts"]["contact"], row["facts"]["failure"]) for row in found] == [
        ("north", "first", "status 500")
    ]


def test_a_receiver_that_hangs_costs_one_attempt_however_much_waits_for_it(
    store, pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "ATTEMPT_S", 3)
    with receiving() as third:
        office = Office(store, *pair, third)
        pair[0].answers = lambda _message: "hang"
        several = [office.opened(f"p{number}") for number in range(8)]
        assert office.send() == 1, "each message waited for the receiver"
        assert len(pair[0].asked) == 1
        # One more, and a contact of another escalation, whose turn came meanwhile: nobody waits behind the eight.
        office.desk.site = replace(
            office.desk.site,
            escalation=replace(office.desk.site.escalation, contacts=office.desk.site.escalation.contacts[2:]),
        )
        other = office.opened("p9")
        began = time.monotonic()
        assert send_next(store, office.desk.config, office.clock, office.means)
        assert time.monotonic() - began < 30
        assert [message for message, _ in third.got] == [f"{other}-001"]
        pair[0].answers = lambda _message: 200
        office.work(1)
    assert sorted(message for message, _ in pair[0].got) == sorted(f"{name}-001" for name in several)


def test_new_messages_go_before_failed_ones_and_those_of_escalations_before_those_of_incidents(store, pair) -> None:
    order: list[str] = []
    office = Office(store, *pair)
    with receiving() as tickets:
        tickets.clock = office.clock
        office.desk.config = replace(office.desk.config, webhook=Webhook(url=tickets.url, secret=SECRET))

        def seen(name: str, status: int):
            return lambda _message: order.append(name) or status

        pair[0].answers, tickets.answers = seen("escalation", 500), seen("incident", 500)
        office.opened("p1")
        with store.transaction() as connection:
            new = NewIncident(site="north", kind=IncidentKind.NEAR_MISS, occasion="one", facts={"about": "page"})
            open_incident(connection, new, office.clock())
        office.send()
        assert order == ["escalation", "incident"]
        office.desk.now += timedelta(seconds=6)
        with store.transaction() as connection:
            open_incident(connection, replace(new, occasion="two"), office.clock())
        office.opened("p2")
        order.clear()
        office.send()
        assert order == ["escalation", "incident", "escalation", "incident"], "new, new, then again, again"


def without_the_first(office: Office):
    """The settings of a process that does not know the first contact."""
    settings = office.desk.site.escalation
    site = replace(office.desk.site, escalation=replace(settings, contacts=settings.contacts[1:]))
    return replace(office.desk.config, sites=(site,))


def test_a_process_with_other_settings_leaves_a_message_to_those_that_know_the_contact(store, pair) -> None:
    office = Office(store, *pair)
    identifier = office.opened()
    assert send_next(store, without_the_first(office), office.clock, office.means)
    assert office.messages()[f"{identifier}-001"]["delivered"] is None
    office.desk.now += timedelta(seconds=6)
    assert office.send() == 1
    assert [message for message, _ in pair[0].got] == [f"{identifier}-001"]


def test_a_contact_who_is_gone_from_the_file_keeps_nobody_from_being_told_and_opens_no_incident(store, pair) -> None:
    office = Office(store, *pair)
    identifier = office.opened()
    office.desk.config = without_the_first(office)
    office.work(15.2)
    assert pair[0].asked == []
    assert [body["type"] for _, body in pair[1].got] == ["escalation.opened"]
    row = office.messages()[f"{identifier}-001"]
    assert (row["failure"], row["delivered"] is not None) == ("no such contact", True)
    assert "contact-unreachable" not in office.desk.incidents()


def test_only_messages_of_these_escalations_are_sent_where_that_is_asked(store, pair) -> None:
    office = Office(store, *pair)
    office.opened("p1")
    mine = office.opened("p2")
    while send_next(store, office.desk.config, office.clock, office.means, only=[mine]):
        pass
    assert [message for message, _ in pair[0].got] == [f"{mine}-001"]


def test_a_clock_that_goes_back_keeps_no_message_waiting(store, pair) -> None:
    office = Office(store, *pair)
    pair[0].answers = lambda _message: 500
    office.opened()
    office.desk.now += timedelta(minutes=20)
    office.send()
    office.desk.now -= timedelta(minutes=20)
    pair[0].answers = lambda _message: 200
    office.send()
    assert len(pair[0].got) == 1


def test_a_rehearsal_that_does_not_arrive_opens_no_incident_and_goes_to_nobody_else(store, pair) -> None:
    office = Office(store, *pair)
    pair[0].answers = lambda _message: 500
    first = office.desk.site.escalation.contacts[0]
    nobody = PatientLink(patient_id="rehearsal")
    open_drill(store, KEY, office.desk.site, nobody, first, office.desk.now, service="drill")
    office.work(12)
    assert len(pair[0].asked) > 10
    assert (pair[1].asked, office.desk.incidents()) == ([], [])


# ---- several workers ----


def test_workers_at_once_send_each_message_once(store, pair) -> None:
    office = Office(store, *pair)
    names = [office.opened(f"p{number}") for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: office.send(), range(6)))
    assert sorted(pair[0].asked) == sorted(f"{name}-001" for name in names)


@pytest.mark.parametrize("ends_with", [200, 500])
def test_that_it_is_over_never_arrives_before_what_it_is_about(store, pair, ends_with: int) -> None:
    office = Office(store, *pair)
    identifier = office.opened()
    asked, go = threading.Event(), threading.Event()

    def late(message: str) -> int:
        if message.endswith("-001"):
            asked.set()
            go.wait(20)
            return ends_with
        return 200

    pair[0].answers = late
    sender = threading.Thread(target=office.send)
    sender.start()
    assert asked.wait(60)
    office.acknowledge(identifier)
    assert not send_next(store, office.desk.config, office.clock, office.means), "before the first had ended"
    go.set()
    sender.join()
    office.send()
    row = office.messages()[f"{identifier}-001"]
    assert (row["delivered"] is not None, row["failure"]) == (True, None if ends_with == 200 else "withdrawn")
    assert pair[0].asked == [f"{identifier}-001", f"{identifier}-002"]


def test_workers_whose_attempts_at_one_system_fail_together_do_not_wait_for_each_other(
    store, pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "SLOW_S", 0.0)
    office = Office(store, *pair)
    pair[0].answers = lambda _message: 500
    for number in range(12):
        office.opened(f"p{number}")
    with ThreadPoolExecutor(6) as pool:  # a deadlock would be StoreUnavailable
        for _ in range(4):
            list(pool.map(lambda _: office.send(), range(6)))
            office.desk.now += timedelta(seconds=50)


def test_a_worker_that_dies_in_an_attempt_leaves_the_message_to_the_others_with_the_same_id(store, pair) -> None:
    office = Office(store, *pair)
    identifier = office.opened()
    with store.transaction() as connection:  # as the claim of a worker that died before it noted anything
        claim = {"due": int(office.clock().timestamp()) + CLAIMED_S, "attempts": 1}
        connection.execute(tables.delivery.update().values(claim))
    assert office.send() == 0
    office.desk.now += timedelta(seconds=CLAIMED_S)
    assert office.send() == 1
    assert [message for message, _ in pair[0].got] == [f"{identifier}-001"]


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_attempts_of_an_escalation_begin_at_most_a_minute_apart(attempts: int, chance: float) -> None:
    longest = attempt.ATTEMPT_S + wait_s(attempts, chance, ESCALATION_WAIT_S)
    assert longest <= 60
