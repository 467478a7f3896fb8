"""A real run, as a table: a contact's system that is lost and comes back, a worker killed in mid-send, the next contact.

    python tests/lost_receiver.py [MINUTES]

An acute answer comes by a hook call to `mhcds serve` with two workers. The first contact's system hangs; the worker that
sends to it is killed with -9; then the system is down for MINUTES (default 12). The second contact answers late. Real
clock, real processes, loopback. For docs/decisions/0051; no test.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import requests
from builders import AS_OF, given, patient, prefetch_of
from ehr import Served, free_port, hook_request, kept_in, served, settings
from standardwebhooks import Webhook as Signer
from webhook_receiver import SECRET, Receiver, receiving

from cds_service.storage.opening import open_store
from cds_service.storage.tables import audit_event, delivery, incident

WITHIN_MIN = 5
SAID = {"hang": "it hangs", 503: "503, and so on at each request until it is back"}
LINES: list[tuple[datetime, str]] = []


def note(what: str, at: datetime | None = None) -> None:
    LINES.append((at or datetime.now(UTC), what))
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", file=sys.stderr)


def watched(name: str, receiver: Receiver, answer: dict[str, object]) -> None:
    """Each message that comes is a line."""
    tries: dict[str, int] = {}

    def answers(message: str) -> object:
        tries[message] = tries.get(message, 0) + 1
        said, number = answer["now"], message.rpartition("-")[2]
        if said != 503 or tries[message] == 2:
            note(f"{name}'s system gets message {number}, request {tries[message]}: {SAID.get(said, said)}")
        return said

    receiver.answers = answers


def acknowledged(base: str, name: str, identifier: str) -> None:
    body = json.dumps({"id": identifier, "by": name})
    now = datetime.now(UTC)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": "answer-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(SECRET).sign("answer-1", now, body),
    }
    answer = requests.post(f"{base}/escalations/acknowledge", body, headers=headers, timeout=30)
    note(f"the second contact's system acknowledges: {answer.status_code}, first: {answer.json()['first']}")


def call(found: Served) -> str:
    """The state of the escalation on the record of a call about the patient."""
    chart = json.dumps([patient(), *given("C-SSRS, today: question 4 = yes")])
    chart = prefetch_of(json.loads(chart.replace(AS_OF.date().isoformat(), datetime.now(UTC).date().isoformat())))
    answer = found.call(hook_request(prefetch=chart))
    card = answer.json()["cards"][0]
    return f"{card['indicator']}: {card['detail']}"


def sending(found: Served, receiver: Receiver) -> psutil.Process:
    port = int(receiver.url.rpartition(":")[2].partition("/")[0])
    while True:
        for worker in psutil.Process(found.process.pid).children(recursive=True):
            if any(each.raddr and each.raddr.port == port for each in worker.net_connections("tcp")):
                return worker
        time.sleep(0.1)


def run(minutes: float) -> None:
    folder = Path(tempfile.mkdtemp(prefix="lost-receiver-"))
    url, port = f"sqlite:///{folder / 'mhcds.db'}", free_port()
    (folder / "secret").write_text(SECRET)
    with ExitStack() as kept:
        first, second = (kept.enter_context(receiving()) for _ in range(2))
        says: list[dict[str, object]] = [{"now": "hang"}, {"now": 204}]
        watched("the first contact", first, says[0])
        watched("the second contact", second, says[1])
        contacts = [
            {"name": name, "channel": "webhook", "within_min": WITHIN_MIN,
             "webhook": {"url": receiver.url, "secret": {"file": "../../secret"}}}
            for name, receiver in (("first", first), ("second", second))
        ]  # fmt: skip
        service = {"public_url": f"http://127.0.0.1:{port}"} | kept_in(url, folder / "settings")
        settings(folder / "settings", service=service, site={"escalation": {"contact": contacts}})
        found = kept.enter_context(served(folder / "settings", "--workers", "2", port=port))
        began = datetime.now(UTC)
        call(found)
        note("a hook call answers with an acute card; the escalation is on record before the answer leaves")
        worker = sending(found, first)
        os.kill(worker.pid, signal.SIGKILL)
        note("kill -9 of the worker that is sending to the first contact's system, which hangs")
        says[0]["now"] = 503
        store = open_store(url)
        while datetime.now(UTC) < began + timedelta(minutes=minutes):
            time.sleep(1)
        says[0]["now"] = 204
        note("the first contact's system is back")
        while not first.got:
            time.sleep(0.5)
        identifier = first.got[0][1]["data"]["id"]
        acknowledged(found.base, "R. Example, second contact", identifier)
        while len(first.got) < 2:
            time.sleep(0.5)
        detail = call(found)
        said = re.search(r"Acknowledged by .*? UTC", detail)
        note(f"the card of the next call: {said[0] if said else 'nothing of it'}")
        time.sleep(3)
        for row in store.rows(incident):
            note(f"incident {row['kind']} ({row['severity']})", datetime.fromisoformat(row["at"]))
        for row in store.rows(audit_event):
            if row["kind"] == "escalation":
                event = json.loads(row["event"])
                who = event.get("contact") or event.get("by") or ""
                note(f"on record: {event['what']} {who}".strip(), datetime.fromisoformat(row["at"]))
        rows = store.rows(delivery)
        keys = [message for message, _ in first.got + second.got]
        store.close()
    print(f"Began {began:%Y-%m-%d %H:%M:%S} UTC.\n\n| after | what |\n|---|---|")
    for at, what in sorted(LINES):
        after = int((at - began).total_seconds())
        print(f"| {after // 60}:{after % 60:02d} | {what} |")
    print(f"\nMessages: {len(rows)}; arrived: {len(keys)}, each id once: {len(keys) == len(set(keys))}.")
    for row in rows:
        print(f"- {row['id'].rpartition('-')[2]} to {row['contact'] or 'incidents'}: {row['attempts']} attempts")


if __name__ == "__main__":
    run(float(sys.argv[1]) if len(sys.argv) > 1 else 12)
