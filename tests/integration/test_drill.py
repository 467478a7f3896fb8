"""A drill with real receivers: who answers in time, who does not, who cannot be reached, and what is left behind."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from ehr import DATA_KEY, Served, free_port, mhcds, private, served, settings
from mail_server import Postbox, post_office
from standardwebhooks import Webhook as Signer
from webhook_receiver import SECRET, Receiver, receiving

from cds_service.commands.drill_report import as_json, as_page
from cds_service.commands.drill_run import Drill, DrillResult, rehearse, rules_of_drill
from cds_service.escalation.escalations import CloseReason, acknowledge, close
from cds_service.escalation.records import current, listed
from cds_service.sending.contacts import Means
from cds_service.settings.config import load_config
from cds_service.storage import tables
from cds_service.storage.opening import open_store, prepare

ROOT = Path(__file__).parents[2]


def desk(url: str, name: str = "crisis desk", **more) -> dict:
    return {"name": name, "channel": "webhook", "webhook": {"url": url, "secret": {"file": "../pager"}}, **more}


def folder_of(folder: Path, *contacts: dict, smtp: int | None = None, port: int | None = None) -> Path:
    private(folder / "pager", SECRET)
    private(folder / "client", "a client secret")
    escalation: dict = {"content": "initials-and-place", "contact": list(contacts)}
    service = {"public_url": f"http://127.0.0.1:{port}"} if port else {}
    if smtp:
        escalation["smtp"] = {"host": "127.0.0.1", "port": smtp, "security": "none", "sender": "cds@hospital.example"}
        service["governance"] = {
            "issuer": "http://127.0.0.1:9/",
            "client_id": "cds",
            "client_secret": {"file": "client"},
            "roles": {"operator": ["ops"]},
        }
    return settings(folder, site={"escalation": escalation}, service=service)


def drilled(folder: Path, *words: str) -> tuple[int, dict, str, str]:
    """Exit status, the report as JSON and as a page, and what the command printed."""
    out = folder / "report"
    done = mhcds("drill", "--config", str(folder), "--site", "north", "--by", "S. Officer", "--out", str(out), *words)
    assert (out / "drill.json").exists(), done.stderr
    return done.returncode, json.loads((out / "drill.json").read_text()), (out / "drill.html").read_text(), done.stdout


@contextmanager
def doing(act) -> Iterator[None]:
    """Does something beside the test until it is done."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    yield
    thread.join(60)


def answering(service: Served, receiver: Receiver):
    """The contact's own system: somebody presses a button there."""

    def act() -> None:
        until = time.monotonic() + 60
        while not receiver.got and time.monotonic() < until:
            time.sleep(0.05)
        _, message = receiver.got[0]
        body = json.dumps({"id": message["data"]["id"], "by": "R. Nurse"}).encode()
        at = datetime.now(UTC)
        sign = Signer(SECRET).sign("answer-1", at, body.decode())
        headers = {"webhook-id": "answer-1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": sign}
        requests.post(
            f"{service.base}/escalations/acknowledge",
            body,
            headers=headers | {"Content-Type": "application/json"},
            timeout=30,
        )

    return act


def reading(folder: Path, box: Postbox):
    """Somebody reads the e-mail and says so on the page that it leads to, or, as here, by the command."""

    def act() -> None:
        until = time.monotonic() + 60
        while not box.got and time.monotonic() < until:
            time.sleep(0.05)
        text = box.got[0].as_string()
        name = re.search(r"/governance/escalations/(\w+)", text)[1]
        done = mhcds("escalation", "acknowledge", "--config", str(folder), name, "--by", "O. Call")
        assert done.returncode == 0, done.stderr

    return act


# ---- the command ----


def test_with_a_running_service_each_contact_answers_and_the_report_says_who_and_when(tmp_path: Path) -> None:
    port = free_port()
    with receiving() as receiver, post_office() as box:
        mail = {"name": "on call", "channel": "email", "email": "on-call@hospital.example"}
        folder = folder_of(tmp_path, desk(receiver.url), mail, smtp=box.port, port=port)
        with served(folder, port=port) as service, doing(answering(service, receiver)), doing(reading(folder, box)):
            status, report, page, said = drilled(folder, "--wait", "1")

    assert (status, report["passed"], report["by"], report["site"]) == (0, True, "S. Officer", "north")
    assert [(c["contact"], c["result"], c["by"], c["through"]) for c in report["contacts"]] == [
        ("crisis desk", "acknowledged-in-time", "R. Nurse", "webhook"),
        ("on call", "acknowledged-in-time", "O. Call", "command"),
    ]
    for seen in report["contacts"]:
        assert seen["told"] <= seen["acknowledged"]
        assert (seen["failure"], seen["to_do"], seen["attempts"]) == (None, "", 1)
        assert seen["escalation"] in page
    assert [body["type"] for _, body in receiver.got] == [
        "escalation.drill",
        "escalation.acknowledged",
        "escalation.closed",
    ]
    assert receiver.got[0][1]["data"]["drill"] is True
    assert re.search("drill|rehearsal", box.got[0].as_string().lower())
    assert "crisis desk: acknowledged in time" in said
    assert "every contact acknowledged in time" in page


def test_without_a_service_beside_it_says_who_did_not_answer_and_who_was_not_reached(tmp_path: Path) -> None:
    with receiving() as receiver:
        silent, down = desk(receiver.url, "silent desk"), desk(f"http://127.0.0.1:{free_port()}/", "broken pager")
        folder = folder_of(tmp_path, silent, down)
        status, report, page, said = drilled(folder, "--wait", "0.1")
        types = [body["type"] for _, body in receiver.got]

    assert (status, report["passed"]) == (1, False)
    first, second = report["contacts"]
    assert (first["result"], first["acknowledged"], first["failure"]) == ("stopped-waiting", None, None)
    assert (second["result"], second["delivered"], second["failure"]) == ("not-delivered", None, "ConnectionError")
    assert second["attempts"] >= 1
    assert "before the 15 min were over" in first["to_do"]
    assert "last attempt: ConnectionError" in second["to_do"]
    assert "2 of 2 contacts did not acknowledge in time" in page
    assert "broken pager: not delivered" in said
    assert types == ["escalation.drill", "escalation.closed"]


def test_nothing_of_a_drill_is_left_as_if_it_were_real(tmp_path: Path) -> None:
    with receiving() as receiver:
        folder = folder_of(tmp_path, desk(receiver.url))
        _, report, page, _ = drilled(folder, "--wait", "0.02")
    config = load_config(folder)
    store = open_store(config.store)
    with store.transaction() as connection:
        (row,) = listed(connection, open_only=False)
    key = config.kept_key()
    assert (row.drill, row.patient, row.is_open, row.why_closed) == (True, None, False, "drill")
    assert store.rows(tables.escalation_event) == store.rows(tables.incident) == store.rows(tables.card) == []
    assert current(store, "north", key.pseudonym("north", report["drill"]), datetime.now(UTC)) is None
    events = [json.loads(event["event"]) for event in store.rows(tables.audit_event) if event["kind"] == "escalation"]
    assert events
    assert all(event["drill"] for event in events)
    store.close()
    assert report["drill"].startswith("drill-")
    assert not re.search(r"""(?:src|href)="(?!#)""", page)
    assert "http" not in re.sub(r"<!doctype.*?<body>", "", page, flags=re.DOTALL)


MISTAKES = {
    "another contact": (("--contact", "nobody"), "--contact: expected one of crisis desk; found nobody"),
    "another site": (("--site", "south"), "there is no site south"),
    "no time": (("--wait", "0"), "--wait"),
    "a name of two lines": (("--by", "a\nb"), "--by: expected one line"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_and_nobody_is_told(mistake: str, tmp_path: Path) -> None:
    words, expected = MISTAKES[mistake]
    with receiving() as receiver:
        folder = folder_of(tmp_path, desk(receiver.url))
        done = mhcds("drill", "--config", str(folder), "--site", "north", "--out", str(tmp_path / "report"), *words)
        assert done.returncode in (1, 2)
        assert expected in done.stderr
        assert receiver.asked == []


def test_a_report_that_is_there_is_kept_and_a_site_that_tells_nobody_has_no_drill(tmp_path: Path) -> None:
    with receiving() as receiver:
        folder = folder_of(tmp_path, desk(receiver.url))
        (tmp_path / "report").mkdir()
        (tmp_path / "report" / "drill.html").write_text("last month's")
        done = mhcds("drill", "--config", str(folder), "--site", "north", "--out", str(tmp_path / "report"))
        assert "expected a folder without a report; found one" in done.stderr
        assert receiver.asked == []
    nobody = mhcds("drill", "--config", str(settings(tmp_path / "other")), "--site", "north", "--out", str(tmp_path))
    assert "expected [escalation] in its file" in nobody.stderr


# ---- its clock, and its report ----


class Late:
    """A clock that stands; a contact acknowledges when a test says so."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def rehearsed(tmp_path: Path, monkeypatch, clock: Late, act) -> Drill:
    """A drill with one contact; `act` is done with the open escalation, by its id, once the contact is told."""
    with receiving() as receiver:
        receiver.clock = clock
        folder = folder_of(tmp_path, desk(receiver.url, within_min=10, hours=["Mon-Fri 08:00-18:00"]))
        private(folder / "key", DATA_KEY)
        config = load_config(folder)
        store = prepare(config.store)
        (site,) = config.sites

        def answer() -> None:
            until = time.monotonic() + 60
            while not receiver.got and time.monotonic() < until:
                time.sleep(0.05)
            with store.transaction() as connection:
                act(connection, receiver.got[0][1]["data"]["id"])

        with doing(answer):
            means = Means(key=config.kept_key(), backend=None)
            monkeypatch.setattr("cds_service.commands.drill_run.look_at_tasks", lambda *_: None)
            found = rehearse(store, config, site, site.escalation.contacts, 0.1, means, clock)
        store.close()
    return found


def test_an_answer_after_the_contacts_time_is_late(tmp_path: Path, monkeypatch) -> None:
    clock = Late()

    def late(connection, identifier: str) -> None:
        clock.now += timedelta(minutes=11)
        acknowledge(connection, identifier, by="R. Nurse", through="page", now=clock())

    found = rehearsed(tmp_path, monkeypatch, clock, late)
    (seen,) = found.contacts
    assert (seen.result, seen.on_duty, found.passed) == (DrillResult.LATE, False, False)
    assert "longer than 10 min" in as_page(found, "S. Officer", "", UTC)


def test_a_drill_that_somebody_closes_meanwhile_still_ends_with_its_report(tmp_path: Path, monkeypatch) -> None:
    clock = Late()

    def closed(connection, identifier: str) -> None:
        close(connection, identifier, reason=CloseReason.DRILL, by="R. Nurse", through="command", now=clock())

    (seen,) = rehearsed(tmp_path, monkeypatch, clock, closed).contacts
    assert seen.result is DrillResult.STOPPED


def test_the_made_up_chart_is_acute_by_the_rules_in_force(tmp_path: Path) -> None:
    (site,) = load_config(folder_of(tmp_path, desk("https://pager.example/"))).sites
    assert rules_of_drill(site, "drill-1", datetime.now(UTC)) != ()


def test_the_example_in_docs_is_a_report_as_it_is_written_now() -> None:
    example = json.loads((ROOT / "docs" / "examples" / "drill.json").read_text())
    none = Drill(site="x", patient="drill-1", rules=(), began=Late()(), ended=Late()(), wait_min=1, contacts=())
    assert set(example) == set(json.loads(as_json(none, "x", "")))
    assert {each["result"] for each in example["contacts"]} <= {result.value for result in DrillResult}
