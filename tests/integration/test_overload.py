"""Calls beyond the limits: what may hold an acute answer is answered, all else is refused and may come again."""

from __future__ import annotations

import json
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
import requests
from builders import bundle, given
from ehr import ADDRESS, EHR, FEEDBACK, Served, app_of, free_port, hook_request, kept_in, recorded, served, settings

from cds_service.hooks.beyond_limits import ACUTE_SLOTS
from cds_service.storage.opening import open_store
from cds_service.storage.versions import upgrade

TODAY = datetime.now(UTC)
ACUTE, POSITIVE = (
    {"screening": json.loads(bundle(*given(line)))}
    for line in (f"C-SSRS, {TODAY:%Y-%m-%d}: question 4 = yes", f"PHQ-9, {TODAY:%Y-%m-%d}: item 9 = 2, total = 9")
)
GRANTED = {
    "access_token": "t", "token_type": "Bearer", "expires_in": 300, "scope": "patient/*.read", "subject": "us",
}  # fmt: skip


def with_server(server: str, more: dict) -> dict:
    """A call that sends no more than this; the other parts are on a FHIR server."""
    whole = hook_request(fhirServer=server, fhirAuthorization=GRANTED)
    return whole | {"prefetch": {"patient": whole["prefetch"]["patient"], **more}}


@dataclass(kw_only=True)
class Full:
    """A service whose only slot is held by a call that reads a FHIR server that does not answer."""

    found: Served
    server: str
    store: str
    holder: Future[requests.Response]

    def post(self, body: dict, headers: dict[str, str], session: requests.Session | None = None) -> requests.Response:
        return (session or requests).post(f"{self.found.base}{ADDRESS}", json=body, headers=headers, timeout=30)

    def events(self) -> list[dict]:
        store = open_store(self.store)
        try:
            return [row["event"] for row in recorded(store)]
        finally:
            store.close()


def empty(store_url: str) -> None:
    store = open_store(store_url)
    upgrade(store)
    store.close()


@pytest.fixture
def full(tmp_path: Path, store_url: str) -> Iterator[Full]:
    port, folder = free_port(), tmp_path / "settings"
    with ExitStack() as kept:
        silent = kept.enter_context(socket.create_server(("127.0.0.1", 0)))
        server = f"http://127.0.0.1:{silent.getsockname()[1]}/fhir"
        limits = {"calls_per_minute": 0, "concurrent_calls": 1, "deadline_s": 20}
        service = {"public_url": f"http://127.0.0.1:{port}", "limits": limits} | kept_in(store_url, folder)
        settings(folder, service=service, site={"fhir_bases": [server], "fetch_budget_s": 20})
        empty(store_url)
        pool = kept.enter_context(ThreadPoolExecutor(1))
        found = kept.enter_context(served(folder, "--workers", "1", port=port))
        holder = pool.submit(found.call, with_server(server, {}))
        with silent.accept()[0]:
            yield Full(found=found, server=server, store=store_url, holder=holder)
            assert not holder.done(), "the slot was held to the end"
            silent.close()


def test_an_acute_answer_is_answered_and_on_record_while_no_slot_is_free(full: Full) -> None:
    headers = full.found.ehr().headers()

    answer = full.post(with_server(full.server, ACUTE), headers)

    assert answer.status_code == 200
    cards = {card["source"]["topic"]["code"]: card for card in answer.json()["cards"]}
    assert cards["acute-safety"]["indicator"] == "critical"
    assert "not read because too many calls came in at once" in cards["could-not-assess"]["detail"]
    assert [(e["status"], e["topics"]) for e in full.events()] == [(200, [*cards])]
    assert full.post(with_server(full.server, ACUTE), headers).status_code == 401, "its token is used"


def test_a_call_without_such_codes_is_refused_and_its_connection_and_token_stay_good(full: Full) -> None:
    headers = full.found.ehr().headers()
    quiet = hook_request(more=POSITIVE, extension=[{"padding": "x" * 150_000}])
    with requests.Session() as session:
        refused = [full.post(quiet, headers, session) for _ in range(3)]

        assert {(a.status_code, a.headers["Retry-After"], a.headers["Connection"]) for a in refused} == {
            (503, "1", "keep-alive")
        }
        assert full.events() == []
        assert full.post(hook_request(more=ACUTE), headers, session).status_code == 200


def test_feedback_and_who_is_not_verified_are_refused_and_the_connection_stays_good(full: Full) -> None:
    with requests.Session() as session:
        feedback, sent = full.found.base + FEEDBACK, full.found.ehr().headers(FEEDBACK)
        refused = [
            session.post(feedback, json={"feedback": []}, headers=sent, timeout=30),
            full.post(hook_request(more=ACUTE), {"Authorization": "Bearer x"}, session),
        ]

        assert [(a.status_code, a.headers["Connection"]) for a in refused] == [(503, "keep-alive"), (401, "keep-alive")]
        assert full.post(hook_request(more=ACUTE), full.found.ehr().headers(), session).status_code == 200


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_signed_half_bodies_beyond_the_slots_do_not_hold_up_an_acute_answer(full: Full) -> None:
    """More than twice as many as a worker has threads."""
    with ExitStack() as kept:
        for _ in range(160):
            half = kept.enter_context(socket.create_connection(("127.0.0.1", int(full.found.base.rpartition(":")[2]))))
            token = full.found.ehr().headers()["Authorization"]
            head = f"POST {ADDRESS} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Type: application/json\r\n"
            half.sendall(f"{head}Content-Length: 5000\r\n\r\n{{".encode())

        answer = requests.post(
            full.found.base + ADDRESS, json=hook_request(more=ACUTE), headers=full.found.ehr().headers(), timeout=10
        )
        assert answer.status_code == 200


# ---- in this process ----


def test_a_flood_of_acute_calls_is_bounded_and_each_is_answered_or_refused(tmp_path: Path) -> None:
    """Each call stays in work until it is told to go on: the one with a slot, and those beyond it."""
    limits = {"calls_per_minute": 0, "concurrent_calls": 1, "deadline_s": 1}
    in_work: set[int] = set()
    go = threading.Event()

    def slow_id() -> str:
        in_work.add(threading.get_ident())
        assert go.wait(60)
        return str(uuid.uuid4())

    app = app_of(settings(tmp_path, service={"limits": limits}), new_id=slow_id)
    places, number = 1 + ACUTE_SLOTS, 12
    sent = [EHR().headers() for _ in range(number)]
    with ThreadPoolExecutor(number) as pool:
        calls = [
            pool.submit(app.test_client().post, ADDRESS, json=hook_request(more=ACUTE), headers=each) for each in sent
        ]
        refused = [job.result().status_code for job in islice(as_completed(calls, timeout=60), number - places)]
        busy = len(in_work)
        go.set()
        answers = Counter(job.result().status_code for job in calls)

    assert set(refused) == {503}
    assert busy == places
    assert answers == {200: places, 503: number - places}


def test_a_client_above_its_limit_still_gets_an_acute_answer(tmp_path: Path, store_url: str) -> None:
    folder = tmp_path / "settings"
    settings(folder, service={"limits": {"calls_per_minute": 1}} | kept_in(store_url, folder))
    empty(store_url)
    client, me = app_of(folder, now=lambda: TODAY).test_client(), EHR(clock=TODAY.timestamp())

    def call(more: dict, headers: dict[str, str]) -> int:
        return client.post(ADDRESS, json=hook_request(more=more), headers=headers).status_code

    assert call({}, me.headers()) == 200
    assert call(POSITIVE, me.headers()) == 429
    used = me.headers()
    assert [call(ACUTE, used), call(ACUTE, used)] == [200, 401]
    assert call(POSITIVE, me.headers()) == 429
