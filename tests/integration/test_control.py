"""Modes, switches and switch.toml as calls, pages and commands meet them, on both databases."""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from builders import AS_OF, PATIENT, given, patient, prefetch_of, resource
from ehr import (
    ADDRESS,
    EHR,
    app_of,
    free_port,
    hook_request,
    issuer_table,
    kept_in,
    mhcds,
    recorded,
    served,
    settings,
)
from form_desk import desks

from cds_service.control import acts, snapshot
from cds_service.control.acts import Actor, ModeRow
from cds_service.control.switch_file import file_off, read_switches
from cds_service.control.targets import Known, Mode, SwitchTarget, known_of
from cds_service.control.version import changed
from cds_service.errors import StoreUnavailable
from cds_service.hooks.catalogue import SERVICES
from cds_service.serving.engine import load_engine
from cds_service.storage.opening import open_store
from cds_service.storage.tables import mode, opt_out
from cds_service.storage.versions import upgrade
from explanations.judgement.control import Control

ENGINE = load_engine()
ME = EHR(clock=AS_OF.timestamp())
ANN, BEN = Actor("Ann Smith", "page"), Actor("Ben Jones", "page")
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
LOW = {"depression": 0.0001, "suicidal-ideation": 0.0001}
SITE = {"consent": "not-used", "issuer": [issuer_table()], "thresholds": LOW, "gap_card_every_h": 0}
POSITIVE = "PHQ-9, 6 days ago: items 1-7 = 1, item 8 = 0, item 9 = 1"
PROMPTS = "Medicine ibuprofen, today"


def lines(*texts: str, **more) -> dict:
    """A call about a chart with these lines."""
    found = [r for text in texts for r in given(text)]
    return hook_request(prefetch=prefetch_of([patient(), *found]), **more)


class Place:
    """A deployment: its app in this process, and a store of its own for the acts."""

    def __init__(self, url: str, folder: Path, **service) -> None:
        self.folder = settings(folder, service=kept_in(url, folder) | service, site=SITE)
        self.store = open_store(url)
        upgrade(self.store)
        self.app = app_of(self.folder, engine=ENGINE, now=lambda: AS_OF)
        self.runtime = self.app.extensions["mhcds"]
        self.known = known_of(self.runtime.config())

    def call(self, body: dict, path: str = ADDRESS):
        return self.app.test_client().post(path, json=body, headers=ME.headers(path))

    def cards(self, *texts: str) -> list[dict]:
        answer = self.call(lines(*texts))
        assert answer.status_code == 200, answer.get_json()
        return answer.get_json()["cards"]

    def topics(self, *texts: str) -> list[str]:
        return [card["source"]["topic"]["code"] for card in self.cards(*texts)]

    def off(self, **target: str) -> str:
        act = acts.switch_off(self.store, SwitchTarget(**target), actor=ANN, reason="why", now=NOW, known=self.known)
        if act.pending:
            assert acts.confirm(self.store, act.id, actor=BEN, now=NOW).done
        return act.id

    def on(self, **target: str) -> None:
        target = SwitchTarget(**target)
        assert acts.switch_on(self.store, target, actor=ANN, reason="well", now=NOW, known=self.known).done

    def mode(self, mode: Mode, **extent) -> None:
        for model in ENGINE.models:
            row = ModeRow(
                site="north", service=extent.pop("service", ""), outcome=model.outcome, version=model.version,
                mode=mode, at=NOW, by="Ann", reason="board", through="page", **extent,
            )  # fmt: skip
            acts.set_mode(self.store, row, known=self.known)

    def last(self) -> dict:
        return recorded(self.store)[-1]["event"]

    def store_away(self) -> None:
        outage = self.runtime.store.outage
        outage.lasts, outage.until = True, math.inf

    def file(self, text: str) -> None:
        (self.folder / "switch.toml").write_text(text)


@pytest.fixture
def place(store_url: str, tmp_path: Path):
    found = Place(store_url, tmp_path / "settings")
    yield found
    found.store.close()


# ---- a service or site ----


@pytest.mark.parametrize("target", [{"site": "north"}, {"service": SERVICES[0].id}, {}])
def test_what_is_switched_off_answers_with_one_card_that_says_so_and_reads_nothing(place, target) -> None:
    foreign = hook_request(prefetch=hook_request()["prefetch"] | {"patient": patient(id="somebody-else")})
    assert place.call(foreign).status_code == 400  # what is read
    place.off(**target)
    for body in (foreign, lines(POSITIVE)):
        answer = place.call(body)
        assert answer.status_code == 200
        (card,) = answer.get_json()["cards"]
        assert (card["source"]["topic"]["code"], card["indicator"]) == ("could-not-assess", "warning")
        assert (
            card["summary"] == "This service is switched off: the chart was not read. Look in the chart; ask directly."
        )
        assert "switched off here on 23 Nov 2026, 10:00 UTC" in card["detail"]
        assert "suggestions" not in card
        event = place.last()
        assert (event["switched_off"], event["rules"], event["scores"], event["topics"]) == (
            "service", [], [], ["could-not-assess"],
        )  # fmt: skip
    place.on(**target)
    assert place.topics(POSITIVE) == ["positive-safety-answer"]


def test_another_site_and_another_service_go_on(place) -> None:
    place.off(service=SERVICES[1].id)
    assert place.topics(POSITIVE) == ["positive-safety-answer"]
    start = lines(
        POSITIVE, hook="encounter-start", context={"userId": "Practitioner/d", "patientId": PATIENT, "encounterId": "e"}
    )
    (card,) = place.call(start, f"/cds-services/{SERVICES[1].id}").get_json()["cards"]
    assert card["source"]["topic"]["code"] == "could-not-assess"


def test_a_patients_own_screen_has_no_card_of_it_either(place) -> None:
    place.off(site="north")
    own = lines(POSITIVE, context={"userId": f"Patient/{PATIENT}", "patientId": PATIENT})
    assert place.call(own).get_json() == {"cards": []}


def test_discovery_says_what_is_switched_off(place) -> None:
    def described(path: str) -> dict[str, str]:
        return {s["id"]: s["description"] for s in place.app.test_client().get(path).get_json()["services"]}

    before = described("/cds-services")
    place.off(service=SERVICES[0].id)
    for path in ("/cds-services", "/sites/north/cds-services"):
        now = described(path)
        assert now[SERVICES[0].id].endswith(
            "SWITCHED OFF since 2026-11-23 10:00 UTC: every call is answered with one card that says so, and no chart is read."
        )
        assert now[SERVICES[1].id] == before[SERVICES[1].id]
    place.on(service=SERVICES[0].id)
    assert described("/cds-services") == before


# ---- topics ----


def test_a_topic_that_is_no_safety_topic_is_simply_held_back(place) -> None:
    assert "screening-prompt" in place.topics(PROMPTS)
    place.off(topic="screening-prompt")
    assert place.topics(PROMPTS) == []
    assert place.last()["held_back"] == ["screening-prompt"]


def test_a_safety_topic_leaves_a_card_that_says_that_something_was_held_back(place) -> None:
    place.off(topic="positive-safety-answer")
    (card,) = place.cards(POSITIVE)
    assert card["source"]["topic"]["code"] == "could-not-assess"
    assert card["summary"] == (
        "A safety card is held back: cards of this kind are switched off. Look in the chart; ask directly."
    )
    assert "**Positive safety answer**: cards of this kind were switched off here on" in card["detail"]
    assert "988" in card["detail"], "crisis lines stay"
    event = place.last()
    assert (event["held_back"], event["topics"]) == (["positive-safety-answer"], ["could-not-assess"])
    assert event["rules"], "the finding is on record"
    assert place.topics("C-SSRS, today: question 4 = yes") == ["acute-safety"], "other topics go on"
    assert place.topics() == [], "and nothing is said where nothing was found"


def test_the_card_of_a_gap_cannot_be_switched_off_unseen(place) -> None:
    place.off(topic="could-not-assess")
    gap = hook_request(prefetch={k: v for k, v in hook_request()["prefetch"].items() if k != "screening"})
    (card,) = place.call(gap).get_json()["cards"]
    assert "cards of this kind are switched off" in card["summary"]
    assert place.last()["held_back"] == ["could-not-assess"]


# ---- models ----


@pytest.mark.parametrize("mode", [Mode.SILENT, Mode.REVIEW, Mode.OFF])
def test_a_model_in_a_silent_mode_is_recorded_and_not_shown(place, mode) -> None:
    assert "screening-prompt" in place.topics(PROMPTS)
    place.mode(mode, review=1.0)
    assert place.topics(PROMPTS) == []
    event = place.last()
    names = [f"{m.outcome} {m.version}" for m in ENGINE.models]
    assert event["models"] == []
    assert event["not_scored"] == [f"{m.outcome} {'off' if mode is Mode.OFF else 'silent'}" for m in ENGINE.models]
    assert [s["model"] for s in event["scores"]] == ([] if mode is Mode.OFF else names)
    assert not any(s["shown"] for s in event["scores"])
    assert event["review"] == (names if mode is Mode.REVIEW else [])
    assert place.topics(POSITIVE) == ["positive-safety-answer"]


def test_a_pilot_speaks_to_its_users_and_in_its_departments(place) -> None:
    place.mode(Mode.PILOT, users=("Practitioner/pilot",), departments=("Location/ward-3",))
    ward = resource(
        "Encounter", id="e1", status="in-progress", location=[{"location": {"reference": "Location/ward-3"}}]
    )
    ward["class"] = {"code": "IMP"}
    ward["subject"] = {"reference": f"Patient/{PATIENT}"}

    def prompts(user: str, *more: dict) -> bool:
        found = [*given(PROMPTS), *more]
        context = {"userId": user, "patientId": PATIENT, "encounterId": "e1"}
        body = hook_request(prefetch=prefetch_of([patient(), *found]), context=context)
        cards = place.call(body).get_json()["cards"]
        return "screening-prompt" in [card["source"]["topic"]["code"] for card in cards]

    assert prompts("Practitioner/pilot") and not prompts("Practitioner/other")
    assert prompts("Practitioner/other", ward)
    assert not prompts("Practitioner/other", ward | {"location": [{"location": {"reference": "Location/ward-4"}}]})
    assert not prompts("Practitioner/other", ward | {"location": "odd"})
    assert place.last()["not_scored"] == [f"{m.outcome} not-in-pilot" for m in ENGINE.models]


def test_a_mode_of_all_services_says_where_a_service_keeps_its_own(place) -> None:
    model = ENGINE.models[0]
    row = ModeRow(
        site="north", service=SERVICES[0].id, outcome=model.outcome, version=model.version, mode=Mode.LIVE, at=NOW,
        by="Ann", reason="board", through="page",
    )  # fmt: skip
    acts.set_mode(place.store, row, known=place.known)
    for _ in range(2):
        said = acts.set_mode(place.store, replace(row, service="", mode=Mode.OFF), known=place.known).said
        assert said.endswith(
            f"Not where a service has a mode of its own: {SERVICES[0].id} is live. Set it there too."
        ), said
    acts.set_mode(place.store, replace(row, mode=Mode.OFF), known=place.known)
    assert (
        "of its own" not in acts.set_mode(place.store, replace(row, service="", mode=Mode.OFF), known=place.known).said
    )


# ---- the store and the file ----


def test_of_many_people_who_use_the_file_at_once_no_entry_is_lost(tmp_path: Path) -> None:
    sites = [f"s{n}" for n in range(12)]
    path, known, begin = tmp_path / "switch.toml", Known(sites=tuple(sites), services=()), threading.Barrier(len(sites))

    def off(site: str) -> bool:
        row = acts.SwitchRow(id="file", target=SwitchTarget(site=site), at=NOW, state="off", by="Ann", reason="why")
        begin.wait()
        return file_off(path, row, known).done

    with ThreadPoolExecutor(len(sites)) as people:
        assert all(people.map(off, sites))
    rows, problems = read_switches(path, known)
    assert (sorted(row.target.site for row in rows), problems) == (sorted(sites), ())


def test_without_any_reading_of_the_store_no_model_speaks_and_the_rules_do(place) -> None:
    place.store_away()
    assert place.topics(PROMPTS) == []
    assert place.topics(POSITIVE, PROMPTS) == ["positive-safety-answer"]


def test_while_the_store_is_away_what_is_off_stays_off_no_model_speaks_and_the_file_works(place) -> None:
    place.off(service=SERVICES[1].id)
    assert "screening-prompt" in place.topics(PROMPTS)
    place.store_away()
    assert place.topics(PROMPTS) == [], "an act of another process would be missed"
    assert place.runtime.controls().service_off("north", SERVICES[1].id)
    place.file('[[off]]\nsite = "north"\nby = "Ann"\nreason = "store down"\nat = 2026-11-23T11:00:00Z\n')
    (card,) = place.cards(POSITIVE)
    assert "switched off here on 23 Nov 2026, 11:00 UTC" in card["detail"]
    (place.folder / "switch.toml").unlink()
    assert place.topics(POSITIVE) == ["positive-safety-answer"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[off]\nsite", "expected TOML"),
        ('[[of]]\nsite = "north"\n', "expected tables [[off]] alone"),
        ('off = "north"\n', "expected tables [[off]]"),
        ('[[off]]\nsite = "nroth"\n', "found nroth"),
        ('[[off]]\nsit = "north"\n', "unknown field `sit`"),
        ('[[off]]\nmodel = "depression"\ntopic = "screening-prompt"\n', "expected a model or a topic"),
        ('[[off]]\ntopic = "acute-safety"\nby = "Ann"\n', "expected confirmed_by"),
        ('[[off]]\ntopic = "acute-safety"\nby = "Ann"\nconfirmed_by = "ann"\n', "expected confirmed_by"),
        ("[[off]]\nsite = 3\n", "Expected `str`, got `int`"),
    ],
)
def test_a_broken_switch_file_silences_the_models_and_no_rule_and_says_so(
    tmp_path: Path, text: str, words: str, caplog
) -> None:
    place = Place(f"sqlite:///{tmp_path / 'mhcds.db'}", tmp_path / "settings")
    assert "screening-prompt" in place.topics(PROMPTS)
    ready = place.app.test_client().get("/health/ready").get_json()
    assert ready["checks"]["switches"] == "ok"
    place.file(text)
    assert place.topics(PROMPTS) == []
    assert place.topics(POSITIVE, PROMPTS) == ["positive-safety-answer"]
    ready = place.app.test_client().get("/health/ready")
    assert (ready.status_code, ready.get_json()["checks"]["switches"]) == (
        503, "switch.toml is not as expected, so no model speaks; run mhcds switch status",
    )  # fmt: skip
    assert any(words in record.message for record in caplog.records), [r.message for r in caplog.records]
    status = mhcds("switch", "status", "--config", str(place.folder))
    assert (status.returncode, words in status.stderr) == (1, True), status.stderr
    (place.folder / "switch.toml").unlink()
    assert "screening-prompt" in place.topics(PROMPTS)


def test_a_restored_older_store_is_read_anew(place) -> None:
    """Its number differs from the one this worker has seen, whatever was switched since."""
    place.off(site="north")
    assert place.topics(POSITIVE) == ["could-not-assess"]
    with place.store.transaction() as connection:
        connection.execute(sa.text("DELETE FROM switch"))
        connection.execute(sa.text("DELETE FROM control_version"))
    assert place.topics(POSITIVE) == ["positive-safety-answer"]


# ---- commands ----


def ran(place, *words: str, ok: bool = True) -> str:
    done = mhcds(*words, "--config", str(place.folder))
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return done.stdout if ok else done.stderr


def test_the_commands_act_on_the_next_call(place) -> None:
    who = ("--by", "Ann Smith", "--reason", "Wrong cards")
    assert "Switched off from the next call on" in ran(place, "switch", "off", "--site", "north", *who)
    assert place.topics(POSITIVE) == ["could-not-assess"]
    assert "site north" in ran(place, "switch", "status")
    assert json.loads(ran(place, "switch", "status", "--json"))["switches"][0]["by"] == "Ann Smith"
    ran(place, "switch", "on", "--site", "north", *who)
    assert place.topics(POSITIVE) == ["positive-safety-answer"]
    asked = json.loads(ran(place, "switch", "off", "--topic", "positive-safety-answer", "--json", *who))
    assert place.topics(POSITIVE) == ["positive-safety-answer"], "until a second person confirms it"
    assert "expected a person other than Ann Smith" in ran(
        place, "switch", "confirm", asked["id"], "--by", "ann smith", ok=False
    )
    ran(place, "switch", "confirm", asked["id"], "--by", "Ben Jones")
    assert place.topics(POSITIVE) == ["could-not-assess"]
    assert "expected --site" in ran(place, "switch", "off", *who, ok=False)
    acted = [(r["event"]["act"], r["event"]["by"]) for r in recorded(place.store, "switch")]
    # The chain of the whole deployment, then that of the site.
    assert acted == [("asked-off", "Ann Smith"), ("off", "Ben Jones"), ("off", "Ann Smith"), ("on", "Ann Smith")]


def test_a_mode_is_set_shown_and_its_sample_is_listed(place) -> None:
    who = ("--site", "north", "--by", "Ann", "--reason", "board")
    for model in ENGINE.models:
        ran(place, "mode", "set", "silent-with-review", "--model", model.outcome, "--share", "1", *who)
    assert place.topics(PROMPTS) == []
    (row,) = [json.loads(line) for line in ran(place, "mode", "review", "--site", "north", "--json").splitlines()]
    assert row["patient"] == place.runtime.key.pseudonym("north", PATIENT)
    assert [score["model"] for score in row["scores"]] == [f"{m.outcome} {m.version}" for m in ENGINE.models]
    assert "silent-with-review" in ran(place, "mode", "show", "--json")
    assert ran(place, "mode", "--json") == ran(place, "mode", "show", "--json")
    assert "so nobody would see it" in ran(place, "mode", "set", "pilot", "--model", "depression", *who, ok=False)
    assert "version of depression: expected" in ran(
        place, "mode", "set", "live", "--model", "depression@9.9.9", *who, ok=False
    )
    assert "model: expected" in ran(place, "mode", "set", "live", "--model", "anxiety", *who, ok=False)


def test_where_a_site_is_governed_live_needs_its_approval(tmp_path: Path) -> None:
    place = Place(f"sqlite:///{tmp_path / 'mhcds.db'}", tmp_path / "settings")
    (digest,) = {m.digest for m in ENGINE.models if m.outcome == "depression"}
    text = (Path(__file__).parents[1] / "config" / "approvals" / "approval.good.toml").read_text()
    text = text.replace("2026-11-02", "2020-01-01").replace("2027-05-31", "2099-01-01")
    text = text.replace('uses = ["silent", "pilot"]', 'uses = ["live"]')
    (place.folder / "approvals").mkdir()
    who = ("--site", "north", "--model", "depression", "--by", "Ann", "--reason", "board")

    def approve(found: str) -> None:
        lines = [f'digest = "{found}"' if line.startswith("digest") else line for line in text.splitlines()]
        (place.folder / "approvals" / "a.toml").write_text("\n".join(lines))

    approve("0" * 64)
    assert "names another version or digest" in ran(place, "mode", "set", "live", *who, ok=False)
    ran(place, "mode", "set", "silent", *who)
    approve(digest)
    assert "is live from the next call on" in ran(place, "mode", "set", "live", *who)
    assert "live" in ran(place, "mode", "show")


@contextmanager
def read_only(url: str, request: pytest.FixtureRequest):
    """A store that can be read, and not written: as on a full or read-only disk, or on a standby."""
    if url.startswith("sqlite"):
        lock = sqlite3.connect(sa.make_url(url).database, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        yield
        lock.rollback()
        lock.close()
        return
    name = sa.make_url(url).database
    with psycopg.connect(request.getfixturevalue("postgres").url("postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        yield
        connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")


def test_where_the_store_cannot_be_written_the_command_writes_the_file(place, store_url: str, request) -> None:
    assert place.topics(POSITIVE) == ["positive-safety-answer"]
    who = ("--site", "north", "--by", "Ann", "--reason", "x", "--config", str(place.folder))
    with read_only(store_url, request):
        done = mhcds("switch", "off", *who)
        assert (done.returncode, "switch.toml is used instead" in done.stderr) == (0, True), done.stderr
        assert place.topics(POSITIVE) == ["could-not-assess"]
    assert "by switch.toml" in " ".join(ran(place, "switch", "status").split())
    ran(place, "switch", "on", "--site", "north", "--by", "Ben", "--reason", "disk mended")
    assert not (place.folder / "switch.toml").exists()
    acted = [(r["event"]["act"], r["event"]["by"], r["event"]["through"]) for r in recorded(place.store, "switch")]
    assert acted == [("off", "Ann", "switch.toml"), ("on", "Ben", "command")]


def test_the_commands_make_a_store_that_is_not_there_yet(tmp_path: Path) -> None:
    folder = settings(tmp_path / "settings", site=SITE)
    for words in (("switch", "status"), ("mode", "show")):
        done = mhcds(*words, "--config", str(folder))
        assert (done.returncode, done.stderr) == (0, "")


def test_what_cannot_be_read_is_not_said_to_be_on(tmp_path: Path) -> None:
    folder = settings(tmp_path / "settings", service={"store": f"sqlite:///{tmp_path}"}, site=SITE)
    done = mhcds("switch", "status", "--config", str(folder))
    assert done.returncode == 1
    assert "is not listed" in done.stderr
    assert "Nothing is switched off" not in done.stdout


def test_a_mistake_in_the_settings_keeps_nobody_from_stopping_the_service(place) -> None:
    file = place.folder / "sites" / "north.toml"
    file.write_text(f"no_such_setting = 1\n{file.read_text()}")
    done = mhcds("switch", "off", "--site", "north", "--by", "Ann", "--reason", "x", "--config", str(place.folder))
    assert done.returncode == 0 and "problems in the settings" in done.stderr
    assert place.topics(POSITIVE) == ["could-not-assess"]


# ---- workers under load ----


def test_no_call_after_the_act_sees_what_was_before_in_any_worker_and_kill_9_keeps_it(
    store_url, tmp_path: Path
) -> None:
    folder, port = tmp_path / "settings", free_port()
    address = {"public_url": f"http://127.0.0.1:{port}"}
    settings(folder, service=kept_in(store_url, folder) | address, site=SITE)
    store = open_store(store_url)
    upgrade(store)
    today = datetime.now(UTC).date()
    body, seen, stop = lines(POSITIVE.replace("6 days ago", today.isoformat())), [], threading.Event()
    known = None

    def hammer(found) -> None:
        while not stop.is_set():
            began = time.monotonic()
            (card,) = found.call(body).json()["cards"]
            seen.append((began, card["source"]["topic"]["code"], time.monotonic()))

    def act(switched: str) -> float:
        reason = {"actor": ANN, "reason": "load", "now": datetime.now(UTC), "known": known}
        done = getattr(acts, f"switch_{switched}")(store, SwitchTarget(site="north"), **reason)
        assert done.done
        return time.monotonic()

    def settled(count: int) -> None:
        until = len(seen) + count
        while len(seen) < until:
            time.sleep(0.01)

    with served(folder, "--workers", "2", port=port) as found:
        from cds_service.settings.config import load_config

        known = known_of(load_config(folder, found.base))
        threads = [threading.Thread(target=hammer, args=(found,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        spans = []
        for expected, switched in (("could-not-assess", "off"), ("positive-safety-answer", "on")) * 5:
            settled(12)
            returned = act(switched)
            settled(24)
            spans.append((returned, time.monotonic(), expected))
        stop.set()
        for thread in threads:
            thread.join()
        wrong = [
            (began, topic)
            for returned, until, expected in spans
            for began, topic, ended in seen
            if returned < began and ended < until and topic != expected
        ]
        counted = sum(returned < began and ended < until for returned, until, _ in spans for began, _, ended in seen)
        print(f"{len(seen)} calls, {counted} wholly after an act, {len(wrong)} with what was before")
        assert wrong == [] and counted > 100
        act("off")
        found.kill()
    with served(folder, "--workers", "2", port=port) as found:
        (card,) = found.call(body).json()["cards"]
        assert card["source"]["topic"]["code"] == "could-not-assess"
        (folder / "switch.toml").write_text('[[off]]\nmodel = "depression"\n')
        act("on")
        assert {found.call(body).json()["cards"][0]["source"]["topic"]["code"] for _ in range(8)} == {
            "positive-safety-answer"
        }
    store.close()


# ---- a reading that fails, and pages ----


def test_a_change_that_cannot_be_read_lets_no_model_speak_and_keeps_what_is_off(place, monkeypatch) -> None:
    place.off(topic="screening-prompt")
    place.off(service=SERVICES[1].id)
    assert place.topics(PROMPTS) == []
    place.on(topic="screening-prompt")

    def fails(_store):
        raise StoreUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(snapshot, "read_state", fails)
        assert place.topics(PROMPTS) == []
        assert place.last()["not_scored"][0].endswith("control-unknown")
        assert place.topics(POSITIVE, PROMPTS) == ["positive-safety-answer"]
        assert place.runtime.controls().service_off("north", SERVICES[1].id)
    assert "screening-prompt" in place.topics(PROMPTS), "and it is tried again"


@pytest.mark.parametrize("setting", ["{}", '{"mode": "loud", "by": "x", "reason": "x", "through": "x"}', "[]"])
def test_a_row_that_nobody_wrote_lets_no_model_speak_and_costs_no_answer(place, setting: str) -> None:
    place.mode(Mode.LIVE)
    assert "screening-prompt" in place.topics(PROMPTS)
    with place.store.transaction() as connection:
        connection.execute(mode.update().values(setting=json.loads(setting)))
        changed(connection)
    assert place.topics(PROMPTS) == []
    assert place.topics(POSITIVE, PROMPTS) == ["positive-safety-answer"]


def test_who_opted_out_is_on_no_list_for_review(place) -> None:
    place.mode(Mode.REVIEW, review=1.0)
    place.cards(PROMPTS)
    assert ran(place, "mode", "review", "--site", "north", "--json") != ""
    with place.store.transaction() as connection:
        row = {"site": "north", "patient": place.runtime.key.pseudonym("north", PATIENT), "at": "", "source": ""}
        connection.execute(opt_out.insert().values(row))
    assert ran(place, "mode", "review", "--site", "north", "--json") == ""


def test_the_app_is_switched_off_with_its_site(server, tmp_path: Path) -> None:
    with desks(server, tmp_path) as make:
        desk = make(patient())
        object.__setattr__(desk.runtime, "control", lambda *_: Control(off_since=NOW))
        page = desk.get("")
        assert page.status_code == 503
        assert "This app is switched off at this site." in page.get_data(as_text=True)
        object.__setattr__(desk.runtime, "control", lambda *_: Control())
        assert desk.get("").status_code == 200
