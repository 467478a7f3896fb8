"""Escalations of a running service, `mhcds serve` with several workers: kill -9 loses nothing and repeats no message id."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from ehr import Served, free_port, kept_in, served, settings
from escalation_desk import Desk, acute, contact, site_of
from webhook_receiver import SECRET, Receiver, receiving

from cds_service.sending.queue import CLAIMED_S
from cds_service.storage.tables import delivery


def until(done: Callable[[], object]) -> None:
    for _ in range(900):
        if done():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within 90 seconds")


@pytest.fixture
def pager():
    with receiving() as found:
        yield found


@pytest.fixture
def desk(store) -> Desk:
    """Opens escalations in the store of the service, as a call does."""
    return Desk(store, site_of(contact("first"), contact("second")), now=datetime.now(UTC))


def told_by(receiver: Receiver, folder: Path, store_url: str, port: int) -> Path:
    """Settings of a site whose two contacts have this receiver."""
    (folder.parent / "secret").write_text(SECRET)
    hook = {"url": receiver.url, "secret": {"file": "../../secret"}}
    contacts = [{"name": name, "channel": "webhook", "webhook": hook} for name in ("first", "second")]
    service = {"public_url": f"http://127.0.0.1:{port}"} | kept_in(store_url, folder)
    return settings(folder, service=service, site={"escalation": {"contact": contacts}})


def sender_of(found: Served, receiver: Receiver) -> psutil.Process:
    """The worker that has a connection to the receiver."""
    port = int(receiver.url.rpartition(":")[2].partition("/")[0])
    seen: list[psutil.Process] = []

    def look() -> bool:
        for worker in psutil.Process(found.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # what a worker starts may have ended
                if any(each.raddr and each.raddr.port == port for each in worker.net_connections("tcp")):
                    seen.append(worker)
        return bool(seen)

    until(look)
    return seen[0]


def claims_run_out(desk: Desk) -> None:
    """What passing time does to messages that a worker took and died with."""
    with desk.store.transaction() as connection:
        connection.execute(delivery.update().values(due=delivery.c.due - CLAIMED_S))


def delivered(desk: Desk) -> bool:
    """Whether every message is on record as delivered. Awaited while the service runs: a stop may come in between."""
    return all(row["delivered"] for row in desk.store.rows(delivery))


def test_workers_of_one_service_send_each_message_once(desk, store_url, pager, tmp_path: Path) -> None:
    names = [desk.read(acute(), patient=f"p{number}").id for number in range(15)]
    port, folder = free_port(), tmp_path / "settings"
    with served(told_by(pager, folder, store_url, port), "--workers", "3", port=port):
        until(lambda: len(pager.got) >= len(names))
        until(lambda: delivered(desk))
    assert sorted(pager.asked) == sorted(f"{name}-001" for name in names)
    assert pager.refused == []


@pytest.mark.parametrize("what", ["the worker that sends", "the whole service"])
def test_kill_9_in_the_middle_of_a_message_loses_nothing_and_repeats_it_under_the_same_id(
    desk, store_url, pager, tmp_path: Path, what: str
) -> None:
    pager.answers = lambda _message: "hang"
    name = desk.read(acute()).id
    port, folder = free_port(), tmp_path / "settings"
    told_by(pager, folder, store_url, port)
    with served(folder, "--workers", "2", port=port) as found:
        worker = sender_of(found, pager)
        if what == "the whole service":
            found.kill()
        else:
            os.kill(worker.pid, signal.SIGKILL)
            until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
        pager.answers = lambda _message: 200
        claims_run_out(desk)
        if what == "the worker that sends":
            until(lambda: delivered(desk))
            assert found.get("/health/live").status_code == 200
    if what == "the whole service":
        with served(folder, "--workers", "2", port=port):
            until(lambda: delivered(desk))
    assert [message for message, _ in pager.got] == [f"{name}-001"]
    assert set(pager.asked) == {f"{name}-001"}
