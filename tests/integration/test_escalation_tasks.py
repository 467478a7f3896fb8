"""Contacts are told by a Task on a FHIR server that somebody else wrote (sekmet-fhir), behind OAuth with our own token."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import patient
from escalation_desk import KEY, Desk, acute, assessment, contact, site_of
from real_server import answering, dropping, losing_the_answer, passing_over_conditions
from smart_front import front

from cds_service.backend.backend import Backend
from cds_service.demo_ehr.authorization.clients import Client
from cds_service.escalation.links import PatientLink
from cds_service.escalation.opening import open_for
from cds_service.sending.contacts import Means
from cds_service.sending.queue import send_next
from cds_service.sending.task_status import look_at_tasks
from cds_service.settings.backend import BackendSettings
from cds_service.settings.escalation import Channel
from cds_service.storage.opening import prepare
from cds_service.storage.tables import delivery
from fhir_adapters.settings import ReadSettings
from fhir_adapters.writing.drafts import MESSAGE_SYSTEM
from smart_launch.oauth.own_keys import new_pem, own_keys

KEYS = own_keys([new_pem("ES384")])
OURS = "our-backend"
SCOPES = ("system/Task.crus",)


@pytest.fixture
def store(tmp_path: Path):
    """What is the same on each kind of store is tested with webhooks."""
    found = prepare(f"sqlite:///{tmp_path / 'mhcds.db'}")
    yield found
    found.close()


class Crisis:
    """A site that tells a crisis team by a Task in its EHR, then a second team."""

    def __init__(self, store, ehr, real, **link) -> None:
        ehr.authorization.clients.register(Client(client_id=OURS, name="Ours", redirect_uris=(), keys=KEYS.published()))
        teams = [
            replace(contact(name, channel=Channel.TASK), owner=f"PractitionerRole/{name}")
            for name in ("team", "second")
        ]
        base = ehr.addresses.fhir_base
        site = replace(
            site_of(*teams),
            backend=BackendSettings(base=base, client_id=OURS, scopes=SCOPES),
            reading=ReadSettings(fhir_bases=(base,)),
        )
        self.real, self.ehr = real, ehr
        self.patient = real.load(patient())
        self.desk = Desk(store, site, now=datetime.now(UTC).replace(microsecond=0))
        self.backend = Backend(keys=lambda: KEYS, local=lambda: True, now=self.clock)
        self.means = Means(key=KEY, backend=self.backend)
        where = PatientLink(**{"patient_id": self.patient, "server": base} | link)
        self.id = open_for(
            store, KEY, site, where, assessment(acute()), self.desk.now, service="mental-health-chart"
        ).id
        real.reset()

    def clock(self) -> datetime:
        return self.desk.now

    def send(self) -> bool:
        return send_next(self.desk.store, self.desk.config, self.clock, self.means)

    def work(self, seconds: int = 60) -> None:
        for _ in range(seconds // 2):
            self.desk.pass_time(2 / 60)
            while self.send():
                pass

    def look(self) -> None:
        look_at_tasks(self.desk.store, self.desk.config, self.backend, self.clock)

    def rows(self) -> list[dict]:
        found = [row for row in self.desk.store.rows(delivery) if row["escalation"] == self.id]
        return sorted(found, key=lambda row: row["id"])

    def tasks(self) -> list[dict]:
        """Those of this escalation that the server itself has."""
        found = [
            task for task in self.real.all_of("Task") if task.get("identifier", [{}])[0].get("system") == MESSAGE_SYSTEM
        ]
        return [task for task in found if task["identifier"][0]["value"].startswith(self.id)]

    def becomes(self, status: str, **changes) -> None:
        """Somebody in the EHR does something with the Task."""
        (task,) = self.tasks()
        self.real.transaction([task | {"status": status} | changes])

    def status(self) -> str:
        (row,) = self.desk.rows()
        return row.status.value


@pytest.fixture
def crisis(server, store):
    with front(server) as ehr:
        yield Crisis(store, ehr, server)


# ---- writing ----


def test_a_draft_task_is_in_the_chart_once_with_a_link_and_no_result(crisis) -> None:
    assert crisis.send()
    (task,) = crisis.tasks()
    assert (task["status"], task["intent"], task["priority"]) == ("draft", "proposal", "stat")
    assert task["for"]["reference"] == f"Patient/{crisis.patient}"
    assert task["owner"]["reference"] == "PractitionerRole/team"
    assert f"https://cds.example/governance/escalations/{crisis.id}" in task["description"]
    assert not [word for word in ("suicid", "c-ssrs", "score", "high") if word in task["description"].lower()]
    (row,) = crisis.rows()
    assert (row["reference"], row["failure"]) == (f"Task/{task['id']}", None)
    assert not crisis.send()


@pytest.mark.parametrize("fault", ["losing_the_answer", "and the search"])
def test_a_task_whose_answer_was_lost_is_there_once(crisis, fault: str) -> None:
    crisis.real.fail("Task", losing_the_answer, method="POST", times=1)
    if fault == "and the search":
        crisis.real.fail("Task", dropping, times=2)
    crisis.work(20)
    assert len(crisis.tasks()) == 1
    assert crisis.rows()[0]["failure"] is None


def test_a_server_that_passes_over_the_condition_still_has_one_task(crisis) -> None:
    crisis.real.fail("Task", losing_the_answer, method="POST", times=1)
    crisis.real.fail("Task", passing_over_conditions, method="POST")
    crisis.real.fail("Task", dropping, times=2)
    crisis.work(20)
    assert len(crisis.tasks()) == 1


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_fails_gets_the_task_again(crisis, status: int) -> None:
    crisis.real.fail("Task", answering(status), method="POST", times=1)
    crisis.send()
    assert crisis.rows()[0]["delivered"] is None
    crisis.work(20)
    assert len(crisis.tasks()) == 1


def test_a_token_that_is_no_longer_accepted_is_replaced_within_the_attempt(crisis) -> None:
    crisis.backend.token(crisis.desk.site)
    crisis.ehr.authorization.grants._access.clear()
    crisis.send()
    assert len(crisis.tasks()) == 1


def test_no_token_is_no_more_than_a_failure(crisis) -> None:
    crisis.ehr.authorization.clients.register(Client(client_id=OURS, name="Ours", redirect_uris=(), secret="x"))
    crisis.send()
    assert (crisis.rows()[0]["failure"], crisis.rows()[0]["delivered"]) == ("no token", None)
    assert crisis.tasks() == []


def test_a_server_that_does_not_take_such_a_task_leaves_the_turn_to_the_next_contact(crisis) -> None:
    crisis.real.fail("Task", answering(422), method="POST", times=1)
    crisis.send()
    crisis.work(4)
    assert [row["contact"] for row in crisis.rows()] == ["team", "second"]
    assert crisis.rows()[0]["failure"] == "WriteInvalid"
    assert "contact-unreachable" in crisis.desk.incidents()


@pytest.mark.parametrize("server_of_the_patient", ["https://other.example/fhir", None])
def test_a_patient_of_another_server_never_gets_a_task_in_this_one(server, store, server_of_the_patient) -> None:
    with front(server) as ehr:
        crisis = Crisis(store, ehr, server, server=server_of_the_patient)
        if server_of_the_patient is None:
            bases = (*crisis.desk.site.reading.fhir_bases, "https://other.example/fhir")
            crisis.desk.site = replace(crisis.desk.site, reading=ReadSettings(fhir_bases=bases))
            crisis.desk.config = replace(crisis.desk.config, sites=(crisis.desk.site,))
        crisis.send()
    assert crisis.rows()[0]["failure"] == "patient of another server"
    assert server.writes("Task") == []


# ---- what becomes of it ----


@pytest.mark.parametrize("status", ["accepted", "in-progress", "completed"])
def test_a_task_that_somebody_took_acknowledges(crisis, status: str) -> None:
    crisis.send()
    crisis.look()
    assert crisis.status() == "open"
    crisis.becomes(status, owner={"reference": "Practitioner/9", "display": "R. Example"})
    crisis.look()
    (row,) = crisis.desk.rows()
    assert (row.status.value, row.acknowledged_by, row.through) == ("acknowledged", "R. Example", "task")
    crisis.look()
    assert [event["what"] for event in crisis.desk.audited()].count("acknowledged") == 1


@pytest.mark.parametrize("status", ["requested", "received", "ready", "on-hold"])
def test_a_task_that_a_system_moves_by_itself_acknowledges_nothing(crisis, status: str) -> None:
    crisis.send()
    crisis.becomes(status)
    crisis.look()
    assert crisis.status() == "open"


@pytest.mark.parametrize("status", ["rejected", "cancelled", "failed"])
def test_a_task_that_is_turned_down_leaves_the_turn_to_the_next_contact_at_once(crisis, status: str) -> None:
    crisis.send()
    crisis.becomes(status)
    crisis.look()
    crisis.work(4)
    assert [row["contact"] for row in crisis.rows()] == ["team", "second"]
    for _ in range(3):
        crisis.look()
        crisis.work(4)
    assert len(crisis.rows()) == 2, "the second team's turn was ended by the first one's Task"
    assert crisis.status() == "open"


def test_a_task_that_cannot_be_read_changes_nothing_and_the_clock_goes_on(crisis) -> None:
    crisis.send()
    crisis.becomes("accepted")
    crisis.real.fail("Task/", answering(500))
    crisis.look()
    assert crisis.status() == "open"
    crisis.real.reset()
    crisis.look()
    assert crisis.status() == "acknowledged"


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"resourceType": "Bundle", "type": "searchset"}'])
def test_a_task_that_is_answered_with_something_else_changes_nothing(crisis, body: bytes) -> None:
    crisis.send()
    crisis.real.fail("Task/", answering(200, body))
    crisis.look()
    assert crisis.status() == "open"


def test_what_is_acknowledged_is_no_longer_asked_for(crisis) -> None:
    crisis.send()
    crisis.becomes("accepted")
    crisis.look()
    crisis.real.reset()
    crisis.look()
    assert crisis.real.asked("Task") == []
