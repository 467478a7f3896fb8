"""Contacts are told by e-mail over a real mail server: with a link and nothing of the patient, once, as soon as it can be."""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ehr import certificate
from escalation_desk import KEY, Desk, acute, contact, site_of
from mail_server import PASSWORD, post_office

from cds_service.backend.backend import Backend
from cds_service.sending import attempt
from cds_service.sending.contacts import Means
from cds_service.sending.queue import send_next
from cds_service.settings.escalation import Channel, MessageContent, Smtp
from cds_service.storage.opening import prepare
from cds_service.storage.tables import delivery
from smart_launch.oauth.own_keys import OwnKeys


@pytest.fixture
def store(tmp_path: Path):
    """What is the same on each kind of store is tested with webhooks."""
    found = prepare(f"sqlite:///{tmp_path / 'mhcds.db'}")
    yield found
    found.close()


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that this machine trusts."""
    made = certificate(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(made[0]))
    return made


def smtp(port: int, **changes) -> Smtp:
    found = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "cds@hospital.example"}
    return Smtp(**found | changes)


class Ward:
    """A site that tells a ward by e-mail, and then another one."""

    def __init__(self, store, server: Smtp) -> None:
        contacts = [contact(name, channel=Channel.EMAIL) for name in ("ward", "crisis")]
        site = site_of(*contacts, content=MessageContent.INITIALS_AND_PLACE, smtp=server)
        self.desk = Desk(store, site, now=datetime.now(UTC).replace(microsecond=0))
        self.means = Means(key=KEY, backend=Backend(keys=OwnKeys, local=lambda: True, now=lambda: self.desk.now))
        self.id = self.desk.read(acute()).id

    def send(self) -> bool:
        return send_next(self.desk.store, self.desk.config, lambda: self.desk.now, self.means)

    def row(self, number: int = 1) -> dict:
        (found,) = [row for row in self.desk.store.rows(delivery) if row["id"] == f"{self.id}-{number:03d}"]
        return found


def test_a_mail_holds_a_link_and_nothing_of_the_patient_whatever_other_messages_may_hold(store) -> None:
    with post_office() as box:
        ward = Ward(store, smtp(box.port))
        assert ward.send()
    (mail,) = box.got
    assert ward.row()["failure"] is None
    assert ward.row()["delivered"] is not None
    assert (mail["From"], mail["To"]) == ("cds@hospital.example", "ward@hospital.example")
    assert mail["Message-ID"] == f"<{ward.id}-001@hospital.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Subject"] == "Please look now and acknowledge within 15 min"
    text = mail.get_payload(decode=True).decode()
    assert f"https://cds.example/governance/escalations/{ward.id}" in text
    whole = mail.as_string().lower()
    assert not [word for word in ("suicid", "c-ssrs", "score", "place", "initials", "p1") if word in whole]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_goes_out_encrypted_and_as_the_user_that_the_file_names(store, trusted, security: str) -> None:
    with post_office(trusted, login=True, from_the_start=security == "tls") as box:
        ward = Ward(store, smtp(box.port, security=security, user="cds", password=PASSWORD))
        ward.send()
    assert ward.row()["failure"] is None
    assert (box.encrypted, box.users) == ([True], ["cds"])


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_whose_certificate_is_not_trusted_gets_nothing(store, tmp_path: Path, security: str) -> None:
    with post_office(certificate(tmp_path / "tls"), login=True, from_the_start=security == "tls") as box:
        ward = Ward(store, smtp(box.port, security=security, user="cds", password=PASSWORD))
        ward.send()
    assert box.got == []
    assert ward.row()["failure"] == "SSLCertVerificationError"
    assert ward.row()["delivered"] is None


def test_a_server_without_encryption_gets_nothing_where_the_file_asks_for_it(store, trusted) -> None:
    with post_office() as box:
        ward = Ward(store, smtp(box.port, security="starttls"))
        ward.send()
    assert box.got == []
    assert ward.row()["failure"] == "SMTPNotSupportedError"


def test_a_password_that_is_refused_is_tried_again_since_somebody_will_correct_it(store, trusted) -> None:
    with post_office(trusted, login=True) as box:
        ward = Ward(store, smtp(box.port, security="starttls", user="cds", password="wrong"))
        ward.send()
    assert (ward.row()["failure"], ward.row()["delivered"]) == ("smtp 535", None)
    assert box.got == []


@pytest.mark.parametrize("where", ["at_recipient", "at_data"])
def test_what_a_server_cannot_take_now_is_sent_again_with_the_same_message_id(store, where: str) -> None:
    with post_office() as box:
        ward = Ward(store, smtp(box.port))
        setattr(box, where, "451 4.7.1 greylisted, come back later")
        ward.send()
        assert (ward.row()["failure"], ward.row()["delivered"]) == ("smtp 451", None)
        setattr(box, where, None)
        ward.desk.pass_time(0.2)
        ward.send()
    assert [mail["Message-ID"] for mail in box.got] == [f"<{ward.id}-001@hospital.example>"]
    assert ward.row()["failure"] is None


@pytest.mark.parametrize("where", ["at_recipient", "at_data"])
def test_what_a_server_refuses_for_good_opens_an_incident_and_the_next_contact_is_told_at_once(
    store, where: str
) -> None:
    with post_office() as box:
        ward = Ward(store, smtp(box.port))
        setattr(box, where, "550 5.1.1 no such mailbox")
        ward.send()
        assert (ward.row()["failure"], ward.row()["delivered"] is not None) == ("smtp 550", True)
        assert ward.desk.incidents() == ["contact-unreachable"]
        setattr(box, where, None)
        ward.desk.pass_time(1 / 60)
        ward.send()
    assert [mail["To"] for mail in box.got] == ["crisis@hospital.example"]


def test_when_every_mailbox_is_refused_the_rounds_go_on_by_the_clock(store) -> None:
    with post_office() as box:
        ward = Ward(store, smtp(box.port))
        box.at_recipient = "550 5.1.1 no such mailbox"
        for _ in range(30):
            ward.desk.pass_time(2 / 60)
            while ward.send():
                pass
    # Two of the first round, and the first of the second; not all rounds within a minute.
    assert len([row for row in ward.desk.store.rows(delivery) if row["escalation"]]) == 3
    assert "escalation-unanswered" in ward.desk.incidents()


def test_a_connection_that_drops_after_the_mail_was_sent_brings_it_twice_under_one_message_id(store) -> None:
    with post_office() as box:
        ward = Ward(store, smtp(box.port))
        box.at_data = "drop"
        ward.send()
        assert ward.row()["delivered"] is None
        assert ward.row()["failure"] in ("SMTPServerDisconnected", "ConnectionResetError")
        box.at_data = None
        ward.desk.pass_time(0.2)
        ward.send()
    assert [mail["Message-ID"] for mail in box.got] == [f"<{ward.id}-001@hospital.example>"] * 2


def test_a_server_that_is_down_is_no_more_than_a_failure(store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ward = Ward(store, smtp(port))
    ward.send()
    assert (ward.row()["failure"], ward.row()["delivered"]) == ("ConnectionRefusedError", None)


def test_a_server_that_sends_a_byte_now_and_then_is_left_when_time_is_up(
    store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "ATTEMPT_S", 0.4)
    over = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                while not over.wait(0.05):
                    connection.sendall(b"2")
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        ward = Ward(store, smtp(listener.getsockname()[1]))
        began = time.monotonic()
        ward.send()
        taken = time.monotonic() - began
        over.set()
        thread.join()
    assert ward.row()["failure"] == "too late"
    assert taken < 20


def test_a_rehearsal_says_so_in_its_subject(store) -> None:
    with post_office() as box:
        ward = Ward(store, smtp(box.port))
        with store.transaction() as connection:
            connection.execute(delivery.update().values(body=delivery_body(ward)))
        ward.send()
    (mail,) = box.got
    assert mail["Subject"] == "Drill: please acknowledge within 15 min"
    assert "next contact" not in mail.get_payload(decode=True).decode()


def delivery_body(ward: Ward) -> str:
    return ward.row()["body"].replace("escalation.opened", "escalation.drill")
