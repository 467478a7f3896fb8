"""Webhooks to a real receiver, from SQLite and a real PostgreSQL: signed, at least once, in order, for as long as it takes."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from ehr import Served, free_port, kept_in, served, settings
from hypothesis import given
from hypothesis import strategies as st
from webhook_receiver import SECRET, Receiver, receiving

from cds_service.incidents.incidents import Handling, NewIncident, close, incidents, open_incident
from cds_service.incidents.kinds import IncidentKind
from cds_service.sending import attempt, queue, webhook
from cds_service.sending.attempt import SendResult
from cds_service.sending.queue import MOST_WAIT_S, send_next, wait_s, waiting_since
from cds_service.settings.config import ServiceConfig
from cds_service.settings.sites import SiteConfig
from cds_service.settings.webhook import Webhook
from cds_service.storage import tables
from explanations.words.notices.notice import NoticeSettings

ROOT = Path(__file__).parent.parent.parent


class Clock:
    """A clock that a test sets; it begins now, since a receiver checks the time."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, **how: float) -> None:
        self.now += timedelta(**how)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


def site(name: str, hook: Webhook | None = None) -> SiteConfig:
    return SiteConfig(id=name, cards=NoticeSettings(zone=ZoneInfo("UTC")), webhook=hook)


def to(receiver: Receiver | str) -> Webhook:
    return Webhook(url=receiver if isinstance(receiver, str) else receiver.url, secret=SECRET)


def sent_to(receiver: Receiver | str) -> ServiceConfig:
    return ServiceConfig(sites=(site("north"), site("south")), webhook=to(receiver))


def opened(store, clock: Clock, *, occasion: str = "one", at: str = "north") -> str:
    new = NewIncident(site=at, kind=IncidentKind.NEAR_MISS, occasion=occasion, facts={"about": "page"})
    with store.transaction() as connection:
        return open_incident(connection, new, clock())


def closed(store, clock: Clock, name: str) -> None:
    with store.transaction() as connection:
        close(connection, name, Handling(by="Ann", at=clock()))


def send_all(store, config: ServiceConfig, clock: Clock) -> int:
    """Sends what is due now; how many attempts that took."""
    attempts = 0
    while send_next(store, config, clock):
        attempts += 1
    return attempts


def messages(store) -> dict[str, dict]:
    return {row["id"]: row for row in store.rows(tables.delivery)}


# ---- one message ----


def test_opening_and_closing_arrive_once_signed_and_in_order(store, receiver, clock) -> None:
    name = opened(store, clock)
    closed(store, clock, name)
    assert send_all(store, sent_to(receiver), clock) == 2
    assert [(message, body["type"], body["data"]["status"]) for message, body in receiver.got] == [
        (f"{name}-001", "incident.opened", "open"),
        (f"{name}-002", "incident.closed", "closed"),
    ]
    assert receiver.refused == []
    clock.later(days=40)
    assert send_all(store, sent_to(receiver), clock) == 0
    assert waiting_since(store, sent_to(receiver)) is None


def test_the_sites_own_webhook_wins_and_without_one_nothing_is_sent(store, receiver, clock) -> None:
    opened(store, clock)
    south = opened(store, clock, occasion="two", at="south")
    nowhere = ServiceConfig(sites=(site("north"), site("south")))
    assert send_all(store, nowhere, clock) == 0
    assert waiting_since(store, nowhere) is None
    own = ServiceConfig(sites=(site("north"), site("south", to(receiver))))
    assert send_all(store, own, clock) == 1
    assert [message for message, _ in receiver.got] == [f"{south}-001"]
    with receiving() as other:
        both = ServiceConfig(sites=(site("north", to(other)), site("south")), webhook=to(receiver))
        assert send_all(store, both, clock) == 1
        assert len(other.got) == 1


# ---- receivers that fail ----

FAILURES = {
    500: {"status 500"},
    400: {"status 400"},
    404: {"status 404"},
    "redirect": {"status 307"},
    "close": {"ConnectionError"},
    # The time is up for the connection and for its reads at once.
    "hang": {"ReadTimeout", "ConnectionError"},
    "drip": {"ReadTimeout", "ConnectionError", "too late"},
    "late": {"ReadTimeout", "ConnectionError"},
}


@pytest.mark.parametrize("how", FAILURES)
def test_whatever_a_receiver_does_the_message_comes_again_with_the_same_id(
    store, receiver, clock, how, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "ATTEMPT_S", 0.3)
    config, name = sent_to(receiver), opened(store, clock)
    receiver.answers = lambda _message: how
    assert send_all(store, config, clock) == 1
    assert receiver.asked == [f"{name}-001"], "a redirect is not followed"
    row = messages(store)[f"{name}-001"]
    assert row["delivered"] is None
    assert row["failure"] in FAILURES[how]
    receiver.answers = lambda _message: 200
    clock.later(seconds=6)
    assert send_all(store, config, clock) == 1
    assert receiver.asked == [f"{name}-001"] * 2
    assert receiver.got[-1][0] == f"{name}-001"
    assert messages(store)[f"{name}-001"]["failure"] is None


def test_a_receiver_that_is_down_is_no_more_than_a_failure(store, clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    name = opened(store, clock)
    assert send_all(store, sent_to(f"http://127.0.0.1:{port}/"), clock) == 1
    assert messages(store)[f"{name}-001"]["failure"] == "ConnectionError"


def test_a_receiver_that_says_gone_is_asked_once_an_hour(store, receiver, clock) -> None:
    receiver.answers = lambda _message: 410
    opened(store, clock)
    assert send_all(store, sent_to(receiver), clock) == 1
    clock.later(seconds=MOST_WAIT_S - 1)
    assert send_all(store, sent_to(receiver), clock) == 0
    clock.later(seconds=2)
    assert send_next(store, sent_to(receiver), clock)


def test_a_day_of_500_costs_little_loses_nothing_and_is_seen(
    store, receiver, clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="mhcds")
    begin, config = clock(), sent_to(receiver)
    receiver.answers, receiver.clock = lambda _message: 500, clock
    name = opened(store, clock)
    closed(store, clock, name)
    opened(store, clock, occasion="two", at="south")
    while clock() < begin + timedelta(days=1):
        send_all(store, config, clock)
        clock.later(minutes=3)
    assert f"{name}-002" not in receiver.asked, "closing before opening"
    # Some waits until they are an hour, then one in 30 to 60 minutes; three messages, of which one says that all wait.
    assert 3 * 24 < len(receiver.asked) < 3 * 60
    assert waiting_since(store, config) == begin
    with store.transaction() as connection:
        (stuck,) = [each for each in incidents(connection) if each.kind is IncidentKind.WEBHOOK_STUCK]
    assert (stuck.site, stuck.facts) == ("", {"site": "", "since": begin.isoformat(), "failure": "status 500"})
    last = json.loads(caplog.records[-1].message)
    assert (last["event"], last["why"], last["stuck"]) == ("webhook-failed", "status 500", True)
    receiver.answers = lambda _message: 200
    for _ in range(22):
        clock.later(minutes=3)
        send_all(store, config, clock)
    came = [message for message, _ in receiver.got]
    assert sorted(came) == sorted(messages(store))
    assert came.index(f"{name}-001") < came.index(f"{name}-002")
    assert receiver.refused == []
    assert waiting_since(store, config) is None


def test_a_site_whose_own_webhook_fails_is_reported_through_that_of_the_deployment(store, receiver, clock) -> None:
    with receiving() as own:
        own.answers, receiver.clock = lambda _message: 500, clock
        config = ServiceConfig(sites=(site("north", to(own)),), webhook=to(receiver))
        opened(store, clock)
        clock.later(seconds=queue.STUCK_S + 1)
        send_all(store, config, clock)
    ((_, body),) = receiver.got
    assert (body["data"]["kind"], body["data"]["facts"]["site"]) == ("webhook-stuck", "north")


# ---- several workers, and one that dies ----


def test_workers_at_once_send_each_message_once(store, receiver, clock) -> None:
    names = [opened(store, clock, occasion=str(number)) for number in range(20)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: send_all(store, sent_to(receiver), clock), range(6)))
    assert sorted(receiver.asked) == sorted(f"{name}-001" for name in names)


def test_a_sender_killed_between_claim_and_sending_leaves_the_message_to_the_others(
    store, store_url, receiver, clock
) -> None:
    name = opened(store, clock)
    code = (
        "import sys, time\n"
        "from datetime import UTC, datetime\n"
        "from cds_service.sending import queue, webhook\n"
        "from cds_service.settings.config import ServiceConfig\n"
        "from cds_service.settings.webhook import Webhook\n"
        "from cds_service.storage.opening import open_store\n"
        "def waits(*_):\n    print('claimed', flush=True)\n    time.sleep(60)\n"
        "webhook.post = waits\n"
        "url, hook, secret, now = sys.argv[1:]\n"
        "config = ServiceConfig(sites=(), webhook=Webhook(url=hook, secret=secret))\n"
        "queue.send_next(open_store(url), config, lambda: datetime.fromisoformat(now))\n"
    )
    words = [sys.executable, "-c", code, store_url, receiver.url, SECRET, clock().isoformat()]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}) as sender:
        assert sender.stdout.readline() == b"claimed\n"
        assert send_all(store, sent_to(receiver), clock) == 0, "two send it at once"
        sender.send_signal(signal.SIGKILL)
    clock.later(seconds=queue.CLAIMED_S - 2)
    assert send_all(store, sent_to(receiver), clock) == 0
    clock.later(seconds=3)
    assert send_all(store, sent_to(receiver), clock) == 1
    assert [message for message, _ in receiver.got] == [f"{name}-001"]


def test_a_sender_that_comes_back_late_does_not_undo_what_another_did(store, receiver, clock, monkeypatch) -> None:
    name = opened(store, clock)
    started, go = threading.Event(), threading.Event()

    def fails_late(*_words: object) -> SendResult:
        started.set()
        go.wait(20)
        return SendResult(failure="status 500")

    kept = webhook.post
    monkeypatch.setattr(webhook, "post", fails_late)
    first = threading.Thread(target=send_next, args=(store, sent_to(receiver), clock))
    first.start()
    started.wait(20)
    monkeypatch.setattr(webhook, "post", kept)
    clock.later(seconds=queue.CLAIMED_S + 1)
    assert send_all(store, sent_to(receiver), clock) == 1
    go.set()
    first.join()
    row = messages(store)[f"{name}-001"]
    assert (row["delivered"] is not None, row["failure"], row["attempts"]) == (True, None, 2)


def test_a_clock_that_goes_back_sends_nothing_twice_and_keeps_nothing_back(store, receiver, clock) -> None:
    config, receiver.clock = sent_to(receiver), clock
    opened(store, clock)
    send_all(store, config, clock)
    receiver.answers = lambda _message: 500
    late = opened(store, clock, occasion="two")
    clock.later(days=2)
    send_all(store, config, clock)
    clock.later(days=-2)
    receiver.answers = lambda _message: 200
    send_all(store, config, clock)
    assert receiver.asked.count(f"{late}-001") == 2
    assert len({message for message, _ in receiver.got}) == len(receiver.got)


def test_the_service_sends_by_itself_and_its_metrics_say_what_waits(store_url, store, receiver, tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "settings"
    (tmp_path / "secret").write_text(SECRET)
    webhook = {"url": receiver.url, "secret": {"file": "../secret"}}
    service = {"public_url": f"http://127.0.0.1:{port}", "webhook": webhook} | kept_in(store_url, folder)
    settings(folder, service=service)
    receiver.answers = lambda _message: 500
    name = opened(store, Clock())
    with served(folder, "--workers", "2", port=port) as found:
        until(lambda: waiting(found) > 0)
        until(lambda: any('"webhook-failed"' in line for line in found.lines()))
        assert found.get("/health/ready").status_code == 200
        receiver.answers = lambda _message: 200
        until(lambda: receiver.got)
        lines = found.lines()
    assert [message for message, _ in receiver.got] == [f"{name}-001"]
    failed = [json.loads(line) for line in lines if '"webhook-failed"' in line]
    assert failed
    assert {line["why"] for line in failed} == {"status 500"}
    assert not [line for line in lines if SECRET in line or receiver.url in line]


def until(done: Callable[[], object]) -> None:
    for _ in range(600):
        if done():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within a minute")


def waiting(found: Served) -> float:
    shown = re.search(r"^mhcds_webhook_waiting_seconds\S* (\S+)", found.get("/metrics").text, re.MULTILINE)
    return float(shown[1]) if shown else 0.0


# ---- waits ----


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_waits_grow_to_an_hour_and_differ(attempts: int, chance: float) -> None:
    wait = wait_s(attempts, chance)
    assert 1 <= wait <= MOST_WAIT_S
    assert wait <= wait_s(attempts + 1, chance)
    assert wait_s(attempts, 1) >= 1.5 * wait_s(attempts, 0)
    assert wait_s(20, 1) == MOST_WAIT_S
