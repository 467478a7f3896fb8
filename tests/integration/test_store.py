"""The store on SQLite and on a real PostgreSQL: the same tests on both."""

from __future__ import annotations

import gzip
import json
import logging
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Event

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from builders import PATIENT, bundle, given, patient
from cryptography.fernet import InvalidToken
from ehr import ADDRESS, DATA_KEY, EHR, FEEDBACK, app_of, hook_request, kept_in, mhcds, recorded, settings

from cds_service.errors import ConfigError, StoreUnavailable
from cds_service.keys.data_key import DataKey
from cds_service.serving import health
from cds_service.storage import housekeeping, tables
from cds_service.storage import store as stores
from cds_service.storage.backup import restore_backup, write_backup
from cds_service.storage.calls import AnswerRow, CardRow, SharedCommit, TokenUse
from cds_service.storage.opening import open_store, prepare
from cds_service.storage.store import Admission, FeedbackRow
from cds_service.storage.tables import SCHEMA
from cds_service.storage.versions import NEWEST, revision, upgrade

ME = EHR()
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
POSITIVE = {"screening": json.loads(bundle(*given("PHQ-9, today: item 9 = 2, total = 9")))}
ITEM = {"outcome": "overridden", "outcomeTimestamp": "2026-11-25T10:00:00Z"}


def ready(url: str):
    store = open_store(url)
    upgrade(store)
    return store


@pytest.fixture
def store(store_url: str):
    found = ready(store_url)
    yield found
    found.close()


@pytest.fixture
def app(store_url: str, tmp_path: Path):
    """The app with that store. `app.folder` is its settings, `app.kept` the store."""
    folder = tmp_path / "settings"
    settings(folder, service=kept_in(store_url, folder))
    ready(store_url).close()
    found = app_of(folder)
    found.folder, found.kept = folder, open_store(store_url)
    yield found
    found.kept.close()


def token(digest: str, *, client: str = "c", at: int = 1000, expires: int = 9_999_999_999) -> TokenUse:
    return TokenUse(digest=digest, client=client, at=at, expires=expires)


def answer_row(event: dict, *cards: CardRow, token: TokenUse | None = None) -> AnswerRow:
    return AnswerRow(at=NOW.isoformat(), site="north", event=event, cards=cards, token=token)


def on_record(app, *names: str, store=None) -> list[str | None]:
    """The hookInstances on record, of those named, in order."""
    known = {app.extensions["mhcds"].key.pseudonym("north", name): name for name in names}
    return [known.get(row["event"]["hook_instance"]) for row in recorded(store or app.kept)]


def call(app, **changes):
    return app.test_client().post(ADDRESS, json=hook_request(**changes), headers=ME.headers())


def report(app, *items: dict):
    return app.test_client().post(FEEDBACK, json={"feedback": list(items)}, headers=ME.headers(FEEDBACK))


# ---- what is written ----


def test_an_answer_is_on_record_with_its_cards_when_it_arrives(app) -> None:
    answer = call(app, more=POSITIVE, hookInstance="instance-1")

    (row,) = recorded(app.kept)
    event = row["event"]
    cards = answer.get_json()["cards"]
    assert (event["hook_instance"], event["status"], event["site"], event["issuer"]) == (
        app.extensions["mhcds"].key.pseudonym("north", "instance-1"),
        200,
        "north",
        ME.iss,
    )
    assert event["topics"] == [c["source"]["topic"]["code"] for c in cards]
    kept = {c["uuid"]: c for c in app.kept.rows(tables.card)}
    assert set(kept) == {c["uuid"] for c in cards}
    for card in cards:
        assert kept[card["uuid"]]["answer"] == row["seq"]
        assert kept[card["uuid"]]["suggestions"] == [s["uuid"] for s in card.get("suggestions", [])]


def test_nothing_of_the_chart_and_no_id_of_a_person_is_in_the_store(app, caplog: pytest.LogCaptureFixture) -> None:
    chart = POSITIVE | {"patient": patient(name=[{"family": "Surname-Xyz"}])}
    context = {"userId": "Practitioner/doctor-xyz", "patientId": PATIENT}
    with caplog.at_level(logging.DEBUG):
        answer = call(app, more=chart, context=context)
        uuid = answer.get_json()["cards"][0]["uuid"]
        said = ITEM | {"card": uuid, "overrideReason": {"userComment": "Comment-Xyz about the patient"}}
        assert report(app, said).status_code == 200

    everything = json.dumps({t.name: app.kept.rows(t) for t in SCHEMA.sorted_tables}, default=lambda raw: raw.hex())
    for word in ("Surname-Xyz", "doctor-xyz", "Comment-Xyz", answer.get_json()["cards"][0]["summary"][:20]):
        assert word not in everything, word
        assert word not in caplog.text, word
    assert f'"{PATIENT}"' not in everything
    assert DATA_KEY not in everything + caplog.text


def test_the_same_patient_of_a_site_has_the_same_pseudonym_and_another_has_another() -> None:
    key, other = DataKey(DATA_KEY), DataKey("A" * 43 + "=")

    assert key.pseudonym("north", "p1") == key.pseudonym("north", "p1")
    names = {k.pseudonym(s, p) for k in (key, other) for s in ("north", "south") for p in ("p1", "p2")}
    assert len(names) == 8


def test_a_comment_can_be_read_with_the_key_and_with_no_other(app) -> None:
    uuid = call(app, more=POSITIVE).get_json()["cards"][0]["uuid"]
    report(app, ITEM | {"card": uuid, "overrideReason": {"userComment": "discussed; ümlaut"}})

    (row,) = app.kept.rows(tables.feedback)
    assert DataKey(DATA_KEY).unseal(row["comment"]) == "discussed; ümlaut"
    with pytest.raises(InvalidToken):
        DataKey("A" * 43 + "=").unseal(row["comment"])


@pytest.mark.parametrize(
    ("body", "status"), [({"hook": "other"}, 400), ({"prefetch": {}}, 412), ({"context": {}}, 400)]
)
def test_an_answer_that_is_no_card_is_on_record_too(app, body: dict, status: int) -> None:
    assert call(app, **body).status_code == status

    (row,) = recorded(app.kept)
    assert row["event"]["status"] == status


def test_a_refused_call_is_not_on_record(app) -> None:
    app.test_client().post(ADDRESS, json=hook_request(), headers=EHR(key="stranger").headers())

    assert recorded(app.kept) == []
    assert app.kept.rows(tables.used_token) == []


# ---- tokens and limits, seen by all processes ----


def test_a_token_used_in_one_process_is_used_in_all(store_url: str, app) -> None:
    other = app_of(app.folder).test_client()
    token = ME.headers()

    first = app.test_client().post(ADDRESS, json=hook_request(), headers=token)
    second = other.post(ADDRESS, json=hook_request(), headers=token)

    assert (first.status_code, second.status_code) == (200, 401)


def test_of_many_who_use_a_token_at_once_one_gets_in(store_url: str) -> None:
    ready(store_url).close()
    several = [open_store(store_url) for _ in range(4)]
    for digest in "abcdefgh":
        with ThreadPoolExecutor(16) as pool:
            found = list(
                pool.map(lambda n, d=digest: several[n % 4].write_answer(answer_row({}, token=token(d))), range(32))
            )
        assert len([number for number in found if number is not None]) == 1, digest
    assert len(recorded(several[0])) == 8
    for one in several:
        one.close()


def test_calls_at_once_from_many_clients_are_all_counted_and_none_fails(store) -> None:
    with ThreadPoolExecutor(8) as pool:
        rows = [answer_row({"n": n}, token=token(f"t{n}", client=f"c{n % 3}", at=1000 + n)) for n in range(200)]
        numbers = list(pool.map(store.write_answer, rows))

    kept = {row["seq"]: row["event"]["n"] for row in recorded(store)}
    assert [kept[number] for number in numbers] == list(range(200))
    assert sum(row["calls"] for row in store.rows(tables.tally)) == 200


def test_a_client_above_its_limit_waits_for_the_next_minute(store) -> None:
    for n in range(3):
        assert store.admission(token(f"t{n}", at=6000), 3)[0] is Admission.ADMITTED
        store.write_answer(answer_row({}, token=token(f"t{n}", at=6000)))

    assert store.admission(token("t3", at=6000), 3)[0] is Admission.TOO_MANY
    assert store.admission(token("t3", at=6000), 0)[0] is Admission.ADMITTED
    assert store.admission(token("other", client="d", at=6000), 3)[0] is Admission.ADMITTED
    assert store.admission(token("t3", at=6060), 3)[0] is Admission.ADMITTED


def test_what_is_of_no_use_goes_in_small_batches_and_the_rest_stays(store) -> None:
    for n in range(450):
        store.use(token(f"old{n}", client=f"c{n}", at=1000, expires=1300))
    now = 1300 + housekeeping.TOKEN_KEPT_S
    store.use(token("expired", at=now, expires=1300))
    assert housekeeping.tidy(store, now) == 450  # the tallies; an expired token is kept for a day
    deletes: list[int] = []
    sa.event.listen(
        store.engine, "after_cursor_execute", lambda *a: deletes.append(1) if a[2].startswith("DELETE") else None
    )

    assert housekeeping.tidy(store, now + 1) == 451
    assert housekeeping.ROWS_AT_ONCE <= 50  # a batch holds SQLite's lock for about as many pages
    assert len(deletes) == (451 // housekeeping.ROWS_AT_ONCE + 1) + 1 + 1 + 1  # tallies, gaps, snoozes
    assert store.rows(tables.used_token) == []
    assert store.use(token("new", at=now)) is Admission.ADMITTED


def test_a_used_token_stays_used_when_the_clock_goes_back(app) -> None:
    clock = [NOW]
    me, client = EHR(clock=NOW.timestamp()), app_of(app.folder, now=lambda: clock[0]).test_client()
    headers = me.headers()
    assert client.post(ADDRESS, json=hook_request(), headers=headers).status_code == 200
    clock[0] = NOW + timedelta(hours=2)
    housekeeping.tidy(app.kept, int(clock[0].timestamp()))
    clock[0] = NOW

    again = app_of(app.folder, now=lambda: NOW).test_client()
    assert again.post(ADDRESS, json=hook_request(), headers=headers).status_code == 401


def test_of_two_calls_at_once_with_one_token_one_is_answered_and_both_are_on_record(app) -> None:
    """Both pass the look; the commit decides."""
    app.kept.engine.dispose()
    one, other = app, app_of(app.folder)
    headers, both = ME.headers(), Barrier(2)

    def together(found) -> int:
        runtime = found.extensions["mhcds"]
        look = runtime.store.commits.commit
        runtime.store.commits.commit = lambda rows: (both.wait(30), look(rows))[1] if rows[0].token else look(rows)
        return found.test_client().post(ADDRESS, json=hook_request(), headers=headers).status_code

    with ThreadPoolExecutor(2) as pool:
        statuses = sorted(pool.map(together, (one, other)))

    assert statuses == [200, 401]
    assert sorted(row["event"]["status"] for row in recorded(app.kept)) == [200, 401]


def test_a_call_above_the_limit_does_not_use_its_token(app) -> None:
    clock = [NOW]
    text = (app.folder / "service.toml").read_text().replace("calls_per_minute = 0", "calls_per_minute = 1")
    (app.folder / "service.toml").write_text(text.replace('"calls_per_minute" = 0', "calls_per_minute = 1"))
    client, me = app_of(app.folder, now=lambda: clock[0]).test_client(), EHR(clock=NOW.timestamp())
    headers = me.headers()

    first = client.post(ADDRESS, json=hook_request(), headers=me.headers())
    second = client.post(ADDRESS, json=hook_request(), headers=headers)
    clock[0] = NOW + timedelta(minutes=1)
    third = client.post(ADDRESS, json=hook_request(), headers=headers)

    assert [a.status_code for a in (first, second, third)] == [200, 429, 200]


def test_the_limit_of_a_client_is_answered_429_with_the_time_to_wait(app, tmp_path: Path) -> None:
    text = (app.folder / "service.toml").read_text()
    (app.folder / "service.toml").write_text(
        text.replace('"calls_per_minute" = 0', "").replace("calls_per_minute = 0", "calls_per_minute = 2")
    )
    client = app_of(app.folder, now=lambda: NOW).test_client()
    me = EHR(clock=NOW.timestamp())

    answers = [client.post(ADDRESS, json=hook_request(), headers=me.headers()) for _ in range(3)]

    assert [a.status_code for a in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "60"
    assert answers[2].get_json()["issue"][0]["code"] == "throttled"


# ---- feedback ----


def row(digest: str, card: str = "u1", **changes) -> FeedbackRow:
    found = {"outcome": "overridden", "outcome_at": "2026-11-25T10:00:00Z", "suggestions": ()}
    return FeedbackRow(digest=digest, card=card, **(found | changes))


def test_feedback_finds_its_card_only_among_the_clients_own_sites(store) -> None:
    number = store.write_answer(
        answer_row({}, CardRow(uuid="u1", topic="acute-safety", indicator="critical", suggestions=()))
    )

    assert store.write_feedback(NOW, ["north"], "s", [row("a"), row("b", "unknown")]) == (2, 1)
    assert store.write_feedback(NOW, ["south"], "s", [row("c")]) == (1, 0)
    assert store.write_feedback(NOW, ["south", "north"], "s", [row("d")]) == (1, 1)
    assert [(r["digest"], r["answer"], r["site"]) for r in store.rows(tables.feedback)] == [
        ("a", number, "north"), ("b", None, "north"), ("c", None, "south"), ("d", number, "north"),
    ]  # fmt: skip


def test_an_exact_repeat_changes_nothing_and_a_later_report_stands_beside_the_first(app) -> None:
    card = call(app, more=POSITIVE).get_json()["cards"][0]
    accepted = {"card": card["uuid"], "outcome": "accepted", "outcomeTimestamp": "2026-11-25T10:05:00Z",
                "acceptedSuggestions": [{"id": card["suggestions"][0]["uuid"]}]}  # fmt: skip
    overridden = ITEM | {"card": card["uuid"], "overrideReason": {"reason": {"code": "assessed"}}}

    assert [report(app, overridden).get_json()["stored"] for _ in range(3)] == [1, 0, 0]
    assert report(app, overridden, accepted, accepted).get_json() == {"received": 3, "stored": 1}

    rows = app.kept.rows(tables.feedback)
    assert [(r["outcome"], r["reason_hl7"], r["topic"]) for r in rows] == [
        ("overridden", "action-completed", "positive-safety-answer"), ("accepted", None, "positive-safety-answer"),
    ]  # fmt: skip
    assert {r["answer"] for r in rows} == {recorded(app.kept)[0]["seq"]}


def test_of_a_batch_with_a_bad_item_nothing_is_stored(app) -> None:
    answer = report(app, ITEM | {"card": "one"}, {"card": "two"}, ITEM | {"card": "three"})

    assert answer.status_code == 400
    assert "feedback[1]" in answer.get_json()["issue"][0]["diagnostics"]
    assert app.kept.rows(tables.feedback) == []


# ---- tables and their versions ----


def test_the_tables_that_migrations_make_are_those_of_the_code(store) -> None:
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SCHEMA) == []


def test_upgrading_again_changes_nothing(store) -> None:
    store.write_answer(answer_row({"a": 1}))
    upgrade(store)

    assert revision(store) == NEWEST
    assert [r["event"] for r in recorded(store)] == [{"a": 1}]


def test_sqlite_is_made_at_the_start_and_postgresql_asks_for_the_upgrade(store_url: str) -> None:
    if store_url.startswith("sqlite"):
        assert revision(prepare(store_url)) == NEWEST
        return
    with pytest.raises(ConfigError, match="mhcds db upgrade"):
        prepare(store_url)
    ready(store_url).close()
    prepare(store_url).close()


def test_tables_of_a_later_version_are_left_alone(store_url: str) -> None:
    store = ready(store_url)
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(ConfigError, match="9999"):
        prepare(store_url)


# ---- backup ----


def filled(store) -> dict:
    cards = [CardRow(uuid="u1", topic="acute-safety", indicator="critical", suggestions=("s1", "s2"))]
    store.write_answer(answer_row({"text": "ümlaut"}, *cards))
    store.write_feedback(NOW, ["north"], "s", [row("a", comment=b"\x00sealed\xff"), row("b")])
    store.use(token("t"))
    return {table.name: store.rows(table) for table in SCHEMA.sorted_tables}


@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
def test_a_backup_of_either_kind_goes_into_either_kind(store, into: str, tmp_path: Path, postgres) -> None:
    before, file = filled(store), tmp_path / "backup.gz"
    target = ready(f"sqlite:///{tmp_path / 'other.db'}" if into == "sqlite" else postgres.new_database())

    assert write_backup(store, file) == restore_backup(target, file) == sum(len(rows) for rows in before.values())

    assert {table.name: target.rows(table) for table in SCHEMA.sorted_tables} == before
    assert target.write_answer(answer_row({})) == 4  # numbers go on
    assert target.use(token("t")) is Admission.REPLAYED


def test_many_rows_are_backed_up_however_long_a_statement_takes(store, tmp_path: Path) -> None:
    many = [CardRow(uuid=f"u{n}", topic="acute-safety", indicator="critical", suggestions=()) for n in range(5000)]
    store.write_answer(answer_row({}, *many))

    with store.transaction(patient=True) as connection:
        if store.engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_sleep(2.5)"))  # a statement of a call is cut off after two seconds
    assert write_backup(store, tmp_path / "b.gz") == 5002


def test_a_backup_is_restored_into_an_empty_store_alone_and_whole_or_not_at_all(store, tmp_path: Path) -> None:
    filled(store)
    file = tmp_path / "backup.gz"
    write_backup(store, file)
    with pytest.raises(ConfigError, match="expected an empty store"):
        restore_backup(store, file)

    lines = gzip.decompress(file.read_bytes()).splitlines()
    spoiled = {
        "cut": file.read_bytes()[:-20],
        "no gzip": b"hello",
        "another file": gzip.compress(b'{"a": 1}\n'),
        "empty": gzip.compress(b""),
        "a line of nonsense": gzip.compress(b"\n".join([*lines, b"nonsense"])),
        "an unknown table": gzip.compress(b"\n".join([*lines, b'["users", {}]'])),
        "a row twice": gzip.compress(b"\n".join([*lines, lines[1]])),
        "an unknown column": gzip.compress(b"\n".join([lines[0], b'["chain_head", {"site": "x", "seq": 1, "link": "", "more": 1}]'])),
        "another version": gzip.compress(b"\n".join([lines[0].replace(NEWEST.encode(), b"0000"), *lines[1:]])),
    }  # fmt: skip
    for name, content in spoiled.items():
        (tmp_path / "spoiled.gz").write_bytes(content)
        target = ready(f"sqlite:///{tmp_path / name}.db")
        with pytest.raises((ConfigError, StoreUnavailable)):
            restore_backup(target, tmp_path / "spoiled.gz")
        assert all(target.rows(table) == [] for table in SCHEMA.sorted_tables), name
        target.close()


def test_a_backup_never_overwrites_a_file(store, tmp_path: Path) -> None:
    (tmp_path / "there.gz").write_bytes(b"precious")

    with pytest.raises(ConfigError, match="expected a new file"):
        write_backup(store, tmp_path / "there.gz")
    assert (tmp_path / "there.gz").read_bytes() == b"precious"


def test_the_commands_upgrade_back_up_and_restore(store_url: str, tmp_path: Path, postgres) -> None:
    here, there, file = tmp_path / "here", tmp_path / "there", tmp_path / "b.gz"
    settings(here, service=kept_in(store_url, here))
    settings(there, service=kept_in(postgres.new_database(), there))

    up = mhcds("db", "upgrade", "--config", str(here))
    assert (up.returncode, up.stdout) == (0, f"Tables: version none before, {NEWEST} now.\n"), up.stderr
    store = open_store(store_url)
    before = filled(store)
    assert mhcds("db", "backup", "--config", str(here), str(file)).returncode == 0
    again = mhcds("db", "backup", "--config", str(here), str(file))
    assert (again.returncode, "Traceback" in again.stderr) == (1, False)
    restored = mhcds("db", "restore", "--config", str(there), str(file))
    assert (restored.returncode, restored.stdout.endswith("rows restored.\n")) == (0, True), restored.stderr
    twice = mhcds("db", "restore", "--config", str(there), str(file))
    assert (twice.returncode, "empty store" in twice.stderr) == (1, True)
    assert sum(len(r) for r in before.values()) == int(restored.stdout.split()[0])
    store.close()


def test_a_new_key_is_printed_and_can_be_used() -> None:
    assert DataKey(mhcds("db", "new-key").stdout.strip()).pseudonym("a", "b")


def test_the_record_of_a_call_is_found_by_what_the_ehrs_log_names(tmp_path: Path) -> None:
    app = app_of(settings(tmp_path))
    call(app, hookInstance="Zoë 7")

    told = mhcds("db", "pseudonym", "--config", str(tmp_path), "--site", "north", input=f"other\nZoë 7\n{PATIENT}\n")

    event = recorded(app.extensions["mhcds"].store)[0]["event"]
    assert told.stdout.split()[1:] == [event["hook_instance"], event["patient"]], told.stderr
    other = mhcds("db", "pseudonym", "--config", str(tmp_path), "--site", "south", input="x")
    assert (other.returncode, "there is no site south" in other.stderr) == (1, True)


# ---- readiness ----


def test_however_many_poll_there_is_one_probe_in_a_while(app, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_S", 3600)
    client = app.test_client()

    with ThreadPoolExecutor(8) as pool:
        ready = list(pool.map(lambda _: client.get("/health/ready").get_json()["checks"]["store"], range(50)))

    assert ready == ["ok"] * 50
    assert [row["calls"] for row in app.kept.rows(tables.tally) if row["client"] == stores.PROBE] == [1]


@pytest.mark.parametrize("works", [True, False])
def test_a_change_is_noticed_by_the_next_probe_and_during_one_the_result_before_counts(
    store, *, works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, goes_on, fails = Event(), Event(), [not works, works, works]

    def write_probe(_store: object) -> None:
        began.set()
        goes_on.wait(30)
        if fails.pop(0):
            raise StoreUnavailable("the store failed")

    monkeypatch.setattr(health, "PROBE_S", 0)
    monkeypatch.setattr(type(store), "write_probe", write_probe)
    probe = health.StoreProbe(store)
    goes_on.set()
    before = probe()
    began.clear()
    goes_on.clear()
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(probe)
        began.wait(30)
        meanwhile = probe()
        goes_on.set()

    assert [found == health.OK for found in (before, meanwhile, under_way.result(), probe())] == [
        works, works, not works, not works,
    ]  # fmt: skip


def test_a_probe_that_hangs_makes_the_service_not_ready(store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network file system that is gone."""
    began, goes_on = Event(), Event()
    probe = health.StoreProbe(store)
    before = probe()
    monkeypatch.setattr(type(store), "write_probe", lambda _store: (began.set(), goes_on.wait(30)))
    monkeypatch.setattr(health, "PROBE_S", 0)
    monkeypatch.setattr(health, "MOST_S", 0)
    probe._next = 0
    with ThreadPoolExecutor(1) as pool:
        pool.submit(probe)
        began.wait(30)
        meanwhile = probe()
        goes_on.set()

    assert (before, meanwhile) == (health.OK, health.FAILED)
    assert probe() == health.OK


# ---- a store that fails ----


def test_while_the_store_is_away_rules_answer_the_record_goes_to_the_log_and_it_recovers(
    app,
    store_url: str,
    postgres,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = Path(sa.make_url(store_url).database or "")
    client = app.test_client()

    def away() -> None:
        if store_url.startswith("sqlite"):
            lock.execute("BEGIN EXCLUSIVE")
        else:
            postgres.forbid(store_url)

    def back() -> None:
        if store_url.startswith("sqlite"):
            lock.rollback()
        else:
            postgres.allow(store_url)

    monkeypatch.setattr(health, "PROBE_S", 0)
    lock = sqlite3.connect(file, isolation_level=None) if store_url.startswith("sqlite") else None
    assert client.get("/health/ready").get_json()["checks"]["store"] == "ok"
    before = ME.headers()
    assert client.post(ADDRESS, json=hook_request(hookInstance="before"), headers=before).status_code == 200
    away()
    monkeypatch.setattr(stores, "REST_S", 3600)  # so that a slow machine does not end the pause
    token, asked = ME.headers(), []
    sa.event.listen(sa.Engine, "checkout", note := lambda *_: asked.append(1))
    request.addfinalizer(lambda: sa.event.remove(sa.Engine, "checkout", note))
    with caplog.at_level(logging.ERROR):
        answer = client.post(ADDRESS, json=hook_request(more=POSITIVE, hookInstance="while-away"), headers=token)
        again = client.post(ADDRESS, json=hook_request(), headers=token)
        assert client.post(ADDRESS, json=hook_request(), headers=before).status_code == 401  # and so is this
        asked.clear()
        quick = [call(app).status_code for _ in range(5)]
        bothered = len(asked)  # within a moment of a failure the store is not asked
        said = report(app, ITEM | {"card": "u1"})
        ready = client.get("/health/ready")
        assert call(app).status_code == 200  # a look that failed does not end the pause
    back()
    assert client.get("/health/ready").status_code == 200  # looking ends the pause

    assert answer.get_json()["cards"][0]["source"]["topic"]["code"] == "positive-safety-answer"
    assert again.status_code == 401  # this process has seen it
    assert (quick, bothered) == ([200] * 5, 0)
    assert (said.status_code, said.headers["Retry-After"]) == (503, "5")
    names = {app.extensions["mhcds"].key.pseudonym("north", n): n for n in ("before", "while-away", "after")}
    lost = [json.loads(r.message)["answer"] for r in caplog.records if "answer-not-stored" in r.message]
    lost = [e for e in lost if names.get(e["hook_instance"])]
    assert [(names[e["hook_instance"]], e["topics"], len(e["patient"])) for e in lost] == [
        ("while-away", ["positive-safety-answer"], 32)
    ]
    assert (ready.status_code, ready.get_json()["status"]) == (503, "not-ready")
    assert client.get("/health/ready").status_code == 200
    after = client.post(ADDRESS, json=hook_request(), headers=token)
    assert after.status_code == 401  # what was used in the outage stays used
    assert call(app, hookInstance="after").status_code == 200
    assert [names[r["event"]["hook_instance"]] for r in recorded(app.kept)] == ["before", "after"]


def test_on_a_full_disk_answers_go_on_and_their_records_are_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    folder = settings(tmp_path)
    app = app_of(folder)
    sa.event.listen(sa.Engine, "checkout", full := lambda connection, *_: connection.execute("PRAGMA max_page_count=1"))
    request.addfinalizer(lambda: sa.event.remove(sa.Engine, "checkout", full))

    with caplog.at_level(logging.ERROR):
        answers = [call(app, more=POSITIVE, hookInstance=f"i{n}") for n in range(200)]

    assert {a.status_code for a in answers} == {200}
    lost = {
        json.loads(r.message)["answer"]["hook_instance"] for r in caplog.records if "answer-not-stored" in r.message
    }
    kept = {r["event"]["hook_instance"] for r in recorded(prepare(f"sqlite:///{tmp_path / 'data' / 'mhcds.db'}"))}
    assert lost  # the disk did get full
    key = app.extensions["mhcds"].key
    assert lost | kept == {key.pseudonym("north", f"i{n}") for n in range(200)}


@pytest.mark.parametrize("url", ["mysql://u@h/d", "sqlite://", "sqlite:///:memory:", "nonsense", "postgresql"])
def test_another_kind_of_store_is_refused_with_what_was_expected(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="store"):
        app_of(settings(tmp_path, service={"store": url}))


def test_a_password_in_the_settings_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds a password") as caught:
        app_of(settings(tmp_path, service=kept_in("postgresql://u:secret-1@h/d", tmp_path)))
    assert "secret-1" not in str(caught.value)


def test_a_store_by_reference_is_found_and_its_absence_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_STORE", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    app_of(settings(tmp_path / "a", service={"store": {"env": "OUR_STORE"}}))
    assert (tmp_path / "elsewhere.db").exists()

    for reference, words in (
        ({"env": "NOT_SET"}, "environment variable that it names is not set"),
        ({"file": "absent"}, "file that it names cannot be read"),
        ({}, "found neither file nor env"),
        ({"file": "a", "env": "b"}, "found both"),
    ):
        with pytest.raises(ConfigError, match=words):
            app_of(settings(tmp_path / "b", service={"store": reference}))


def test_the_key_beside_a_sqlite_file_is_its_owners_alone_and_stays(tmp_path: Path) -> None:
    app_of(settings(tmp_path))
    key = tmp_path / "data" / "mhcds.db.key"
    text = key.read_text()
    app_of(settings(tmp_path))

    assert (key.stat().st_mode & 0o777, key.read_text()) == (0o600, text)
    assert (tmp_path / "data" / "mhcds.db").stat().st_mode & 0o777 == 0o600
    key.write_text("damaged")
    with pytest.raises(ConfigError, match="Fernet key"):
        app_of(settings(tmp_path))


def test_answers_that_reached_only_the_log_are_put_into_the_store_once(
    app, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_rows: object) -> None:
        raise StoreUnavailable("the store failed")

    store = app.extensions["mhcds"].store
    works = store.commits.commit
    call(app, hookInstance="before")
    store.commits.commit = fails
    with caplog.at_level(logging.INFO):
        sent = call(app, more=POSITIVE, hookInstance="away").get_json()["cards"]
        call(app, hookInstance="away-too")
    store.commits.commit = works
    log = tmp_path / "service.log"
    log.write_text("".join(f"2026-11-29 host mhcds[7]: {record.message}\n" for record in caplog.records))

    first, again = (mhcds("db", "replay", "--config", str(app.folder), str(log)) for _ in range(2))

    assert (first.stdout, again.stdout) == (
        "2 answers added, 0 were already in the store.\n",
        "0 answers added, 2 were already in the store.\n",
    ), first.stderr
    names = ["before", "away", "away-too"]
    assert on_record(app, *names) == names
    assert {r["uuid"] for r in app.kept.rows(tables.card)} == {card["uuid"] for card in sent}
    assert report(app, ITEM | {"card": sent[0]["uuid"]}).get_json()["stored"] == 1
    log.write_text(log.read_text().replace('"answer": {', '"answer": ', 1))
    cut = mhcds("db", "replay", "--config", str(app.folder), str(log))
    assert (cut.returncode, "Traceback" in cut.stderr, "expected the whole" in cut.stderr) == (1, False, True)


def test_a_sqlite_file_that_is_deleted_comes_back_with_all_that_was_acknowledged(app, store_url: str) -> None:
    if not store_url.startswith("sqlite"):
        return
    file = Path(sa.make_url(store_url).database or "")
    other = app_of(app.folder)  # another worker with the same file open
    for n, one in enumerate((app, other)):
        assert call(one, hookInstance=f"before-{n}").status_code == 200
    for path in file.parent.glob(f"{file.name}*"):
        if not path.name.endswith((".key", ".lock")):
            path.unlink()

    for n, one in enumerate((other, app, other)):
        assert call(one, hookInstance=f"after-{n}").status_code == 200

    kept = open_store(store_url)
    names = ["before-0", "before-1", "after-0", "after-1", "after-2"]
    assert on_record(app, *names, store=kept) == names
    assert file.stat().st_mode & 0o777 == 0o600
    kept.close()


def test_a_file_that_is_put_in_the_place_of_another_is_used(app, store_url: str, tmp_path: Path) -> None:
    if not store_url.startswith("sqlite"):
        return
    file = Path(sa.make_url(store_url).database or "")
    call(app, hookInstance="before")
    backup = ready(f"sqlite:///{tmp_path / 'restored.db'}")
    backup.write_answer(answer_row({"hook_instance": "from the backup"}))
    backup.close()
    for path in file.parent.glob(f"{file.name}-*"):
        path.unlink()
    (tmp_path / "restored.db").replace(file)

    call(app, hookInstance="after")

    kept = open_store(store_url)
    assert on_record(app, "before", "after", store=kept) == [None, "after"]
    kept.close()


def test_a_postgresql_that_hangs_is_waited_for_no_longer_than_a_call_may(app, store_url: str, postgres) -> None:
    """Stopped processes: the kernel still acknowledges, so that neither TCP nor the server notices anything."""
    if store_url.startswith("sqlite"):
        return
    client = app.test_client()
    assert call(app, hookInstance="before").status_code == 200
    with postgres.stopped(), ThreadPoolExecutor(8) as pool:
        began = time.monotonic()
        answers = list(
            pool.map(lambda _: client.post(ADDRESS, json=hook_request(more=POSITIVE), headers=ME.headers()), range(8))
        )
        took = time.monotonic() - began

    assert {a.status_code for a in answers} == {200}
    assert {a.get_json()["cards"][0]["source"]["topic"]["code"] for a in answers} == {"positive-safety-answer"}
    assert took < 15  # unbounded, it would be as long as the server hangs
    assert client.get("/health/ready").status_code == 200
    assert call(app, hookInstance="after").status_code == 200


def test_a_commit_that_ends_unexpectedly_is_no_used_token_for_the_calls_that_shared_it() -> None:
    began, goes_on = Event(), Event()

    def breaks(_rows: object) -> list[int | None]:
        began.set()
        goes_on.wait(30)
        raise MemoryError

    commits = SharedCommit(breaks)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(commits.write, answer_row({}))
        began.wait(30)
        others = [pool.submit(commits.write, answer_row({})) for _ in range(3)]
        goes_on.set()
        failures = {type(one.exception(30)) for one in (first, *others)}

    assert failures <= {MemoryError, StoreUnavailable}


def test_a_file_that_cannot_be_put_back_is_a_store_that_fails(app, store_url: str, tmp_path: Path) -> None:
    if not store_url.startswith("sqlite"):
        return
    folder = Path(sa.make_url(store_url).database or "").parent
    assert call(app).status_code == 200
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("a file where the folder was")

    answer = call(app, more=POSITIVE)

    assert answer.get_json()["cards"][0]["source"]["topic"]["code"] == "positive-safety-answer"
    assert app.test_client().get("/health/ready").status_code == 503
