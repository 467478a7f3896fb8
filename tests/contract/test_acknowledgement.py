"""POST /escalations/acknowledge: a contact's own system says that somebody has it; everything else changes nothing."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from described import Answer, Described
from escalation_desk import KEY, NOW, Desk, acute, contact, site_of
from standardwebhooks import Webhook as Signer

from cds_service.app import create_app
from cds_service.documents.openapi import document
from cds_service.escalation.escalations import CloseReason, close
from cds_service.hooks.escalation_routes import MOST_BYTES
from cds_service.sending.inbound import TOLERANCE_S
from cds_service.serving import metrics
from cds_service.settings.config import ServiceConfig
from cds_service.settings.escalation import Channel
from cds_service.settings.webhook import Webhook
from cds_service.storage.opening import prepare
from cds_service.storage.tables import delivery, escalation

PATH = "/escalations/acknowledge"
DESCRIBED = Described(document())
FIRST, SECOND, SOUTH = (f"whsec_{letter * 32}" for letter in "abc")


def with_secret(name: str, secret: str):
    return replace(contact(name), webhook=Webhook(url=f"https://{name}.example/hook", secret=secret))


class Pager:
    """The service with an open escalation whose first contact has been told."""

    def __init__(self, store_url: str) -> None:
        north = site_of(
            with_secret("first", FIRST), with_secret("second", SECOND), contact("ward", channel=Channel.EMAIL)
        )
        south = replace(site_of(with_secret("first", SOUTH)), id="south")
        self.now = NOW
        config = ServiceConfig(sites=(north, south), store=store_url, data_key=KEY, address="https://cds.example")
        self.app = create_app(config, now=lambda: self.now)
        self.desk = Desk(self.app.extensions["mhcds"].store, north)
        self.id = self.desk.read(acute()).id
        self.desk.arrive()

    def says(self, *, secret: str = FIRST, at=None, body: bytes | None = None, **changes):
        raw = json.dumps({"id": self.id, "by": "R. Example"}).encode() if body is None else body
        at = at or self.now
        headers = {
            "webhook-id": "answer-1",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Signer(secret).sign("answer-1", at, raw.decode(errors="replace")),
        }
        headers = {name: value for name, value in (headers | changes).items() if value is not ...}
        found = self.app.test_client().post(PATH, data=raw, content_type="application/json", headers=headers)
        lower = {name.lower(): value for name, value in found.headers.items()}
        assert DESCRIBED.fault("POST", PATH, Answer(status=found.status_code, headers=lower, body=found.data)) is None
        return found

    def status(self) -> str:
        (row,) = self.desk.store.rows(escalation)
        return row["status"]


@pytest.fixture
def pager(tmp_path) -> Pager:
    url = f"sqlite:///{tmp_path / 'mhcds.db'}"
    prepare(url).close()
    return Pager(url)


@pytest.fixture
def either(store, store_url) -> Pager:
    """The same on each kind of store."""
    return Pager(store_url)


def test_it_is_acknowledged_once_and_whoever_comes_later_learns_who_was_first(pager) -> None:
    first = pager.says()
    pager.now += timedelta(minutes=2)
    again = pager.says()

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.get_json() == {"id": pager.id, "first": True, "by": "R. Example", "at": NOW.isoformat()}
    assert again.get_json() == first.get_json() | {"first": False}
    assert pager.status() == "acknowledged"
    done = [event for event in pager.desk.audited() if event["what"] == "acknowledged"]
    assert [(event["by"], event["through"]) for event in done] == [("R. Example", "webhook")]


def test_without_a_name_it_is_said_that_no_person_was_named(pager) -> None:
    assert pager.says(body=json.dumps({"id": pager.id}).encode()).get_json()["by"] == "first (no person named)"


def test_one_of_several_signatures_is_enough_as_where_a_secret_is_being_changed(pager) -> None:
    raw = json.dumps({"id": pager.id}).encode()
    good = Signer(FIRST).sign("answer-1", NOW, raw.decode())
    assert pager.says(body=raw, **{"webhook-signature": f"v1,{'A' * 43}= {good} v2,x"}).status_code == 200


def test_many_at_once_are_one_acknowledgement(either) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = [found.get_json() for found in pool.map(lambda _: either.says(), range(6))]
    assert sum(found["first"] for found in answers) == 1
    assert {(found["by"], found["at"]) for found in answers} == {("R. Example", NOW.isoformat())}


FORGED = {
    "another secret": {"secret": "whsec_" + "d" * 32},
    "a contact who was not told": {"secret": SECOND},
    "another site's contact of that name": {"secret": SOUTH},
    "too old": {"at": NOW - timedelta(seconds=TOLERANCE_S + 1)},
    "of the future": {"at": NOW + timedelta(seconds=TOLERANCE_S + 1)},
    "another time than was signed": {"webhook-timestamp": str(int(NOW.timestamp()) + 1)},
    "another id than was signed": {"webhook-id": "answer-2"},
    "no signature": {"webhook-signature": ...},
    "an empty signature": {"webhook-signature": "v1,"},
    "no time": {"webhook-timestamp": ...},
    "no number as time": {"webhook-timestamp": "²"},
    "a time of many digits": {"webhook-timestamp": "9" * 40},
    "no id": {"webhook-id": ...},
}


@pytest.mark.parametrize("why", FORGED)
def test_whatever_is_wrong_with_it_the_answer_is_the_same_and_nothing_changes(
    pager, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="mhcds")
    refused = pager.says(**FORGED[why])

    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Webhook-Signature")
    assert refused.get_data() == pager.says(secret="whsec_" + "e" * 32).get_data()
    assert pager.status() == "open"
    assert "acknowledged" not in [event["what"] for event in pager.desk.audited()]
    assert not [line for line in caplog.messages if "R. Example" in line or "whsec_" in line]


def test_an_id_that_is_unknown_is_refused_like_a_forged_one_and_leaves_no_record(pager) -> None:
    before = len(pager.desk.store.rows(escalation)), pager.desk.audited()
    unknown = pager.says(body=b'{"id": "0123456789ab"}')
    assert unknown.status_code == 401
    assert unknown.get_data() == pager.says(secret="whsec_" + "e" * 32).get_data()
    assert before[0] == 1
    assert [event["what"] for event in pager.desk.audited()] == ["opened", "refused"]


def test_what_is_refused_is_counted_and_once_a_minute_in_the_record(pager) -> None:
    counted = metrics.REFUSED.labels("acknowledgement")._value.get()
    for _ in range(3):
        pager.says(secret=SECOND)
    pager.now += timedelta(seconds=61)
    pager.says(secret=SECOND)
    refused = [event for event in pager.desk.audited() if event["what"] == "refused"]
    assert [(event["escalation"], event["through"], event["reason"]) for event in refused] == [
        (pager.id, "webhook", "another signature")
    ] * 2
    assert metrics.REFUSED.labels("acknowledgement")._value.get() == counted + 4


def test_a_contact_to_whom_nothing_has_gone_out_yet_knows_of_nothing(pager) -> None:
    with pager.desk.store.transaction() as connection:
        connection.execute(delivery.update().values(attempts=0, delivered=None))
    assert pager.says().status_code == 401


def test_one_that_was_closed_before_anybody_had_it_is_gone(pager) -> None:
    pager.desk.do(close, pager.id, reason=CloseReason.DECEASED, by="service", through="reading", now=NOW)
    assert pager.says().status_code == 404


SHAPES = {
    "no JSON": (b"{", 400),
    "no object": (b"[]", 400),
    "no id": (b'{"by": "R. Example"}', 400),
    "an unknown member": (b'{"id": "x", "note": "y"}', 400),
    "a member twice": (b'{"id": "x", "id": "y"}', 400),
    "a long name": (json.dumps({"id": "x", "by": "y" * 201}).encode(), 400),
    "a line break in the name": (b'{"id": "x", "by": "a\\nb"}', 400),
    "an id that PostgreSQL cannot look up": (b'{"id": "\\u0000"}', 400),
    "no UTF-8": (b'{"id": "\xff"}', 400),
    "too large": (b" " * (MOST_BYTES + 1), 413),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_body_that_is_none_is_refused_before_anything_is_looked_up(pager, shape: str) -> None:
    body, status = SHAPES[shape]
    assert pager.says(body=body).status_code == status
    assert pager.status() == "open"
