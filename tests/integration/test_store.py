"""The store on SQLite and on a real PostgreSQL: the same tests on both."""

from __future__ import annotations

import gzip
import json
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from builders import PATIENT, bundle, given, patient
from cryptography.fernet import InvalidToken
from ehr import ADDRESS, DATA_KEY, EHR, FEEDBACK, app_of, hook_request, kept_in, mhcds, settings

from cds_service.errors import ConfigError, StoreUnavailable
from cds_service.keys.data_key import DataKey
from cds_service.storage import store as stores
from cds_service.storage.backup import restore_backup, write_backup
from cds_service.storage.opening import open_store, prepare
from cds_service.storage.store import Admission, CardRow, FeedbackRow
from cds_service.storage.tables import SCHEMA
from cds_service.storage.versions import newest, revision, upgrade

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


def call(app, **changes):
    return app.test_client().post(ADDRESS, json=hook_request(**changes), headers=ME.headers())


def report(app, *items: dict):
    return app.test_client().post(FEEDBACK, json={"feedback": list(items)}, headers=ME.headers(FEEDBACK))


# ---- what is written ----


def test_an_answer_is_on_record_with_its_cards_when_it_arrives(app) -> None:
    answer = call(app, more=POSITIVE, hookInstance="instance-1")

    (row,) = app.kept.rows(stores.answer)
    event = row["event"]
    cards = answer.get_json()["cards"]
    assert (event["hook_instance"], event["status"], event["site"], event["issuer"]) == (
        app.extensions["mhcds"].key.pseudonym("north", "instance-1"),
        200,
        "north",
        ME.iss,
    )
    assert event["topics"] == [c["source"]["topic"]["code"] for c in cards]
    kept = {c["uuid"]: c for c in app.kept.rows(stores.card)}
    assert set(kept) == {c["uuid"] for c in cards}
    for card in cards:
        assert kept[card["uuid"]]["answer"] == row["id"]
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

    (row,) = app.kept.rows(stores.feedback)
    assert DataKey(DATA_KEY).unseal(row["comment"]) == "discussed; ümlaut"
    with pytest.raises(InvalidToken):
        DataKey("A" * 43 + "=").unseal(row["comment"])


@pytest.mark.parametrize(
    ("body", "status"), [({"hook": "other"}, 400), ({"prefetch": {}}, 412), ({"context": {}}, 400)]
)
def test_an_answer_that_is_no_card_is_on_record_too(app, body: dict, status: int) -> None:
    assert call(app, **body).status_code == status

    (row,) = app.kept.rows(stores.answer)
    assert row["event"]["status"] == status


def test_a_refused_call_is_not_on_record(app) -> None:
    app.test_client().post(ADDRESS, json=hook_request(), headers=EHR(key="stranger").headers())

    assert app.kept.rows(stores.answer) == []
    assert app.kept.rows(stores.used_token) == []


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
            found = list(pool.map(lambda n, d=digest: several[n % 4].admit(d, 9_999_999_999, "c", 1000, 0), range(32)))
        assert found.count(Admission.ADMITTED) == 1, digest
    for one in several:
        one.close()


def test_calls_at_once_from_many_clients_are_all_counted_and_none_fails(store) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: store.admit(f"t{n}", 9_999_999_999, f"c{n % 3}", 1000 + n, 0), range(200)))

    assert set(found) == {Admission.ADMITTED}
    assert sum(row["calls"] for row in store.rows(stores.tally)) == 200


def test_a_client_above_its_limit_waits_for_the_next_minute(store) -> None:
    admitted = [store.admit(f"t{n}", 9_999_999_999, "c", 6000, 3) for n in range(5)]

    assert admitted == [Admission.ADMITTED] * 3 + [Admission.TOO_MANY] * 2
    assert store.admit("other", 9_999_999_999, "d", 6000, 3) is Admission.ADMITTED
    assert store.admit("t9", 9_999_999_999, "c", 6060, 3) is Admission.ADMITTED


def test_expired_tokens_and_old_tallies_are_tidied_up(store) -> None:
    for minute in range(100):
        store.admit(f"t{minute}", 60 * minute + 300, "c", 60 * minute, 0)

    assert len(store.rows(stores.used_token)) < 10
    assert len(store.rows(stores.tally)) <= stores.TALLY_KEPT + 2


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
        NOW, "north", {}, [CardRow(uuid="u1", topic="acute-safety", indicator="critical", suggestions=())]
    )

    assert store.write_feedback(NOW, ["north"], "s", [row("a"), row("b", "unknown")]) == (2, 1)
    assert store.write_feedback(NOW, ["south"], "s", [row("c")]) == (1, 0)
    assert store.write_feedback(NOW, ["south", "north"], "s", [row("d")]) == (1, 1)
    assert [(r["digest"], r["answer"], r["site"]) for r in store.rows(stores.feedback)] == [
        ("a", number, "north"), ("b", None, "north"), ("c", None, "south"), ("d", number, "north"),
    ]  # fmt: skip


def test_an_exact_repeat_changes_nothing_and_a_later_report_stands_beside_the_first(app) -> None:
    card = call(app, more=POSITIVE).get_json()["cards"][0]
    accepted = {"card": card["uuid"], "outcome": "accepted", "outcomeTimestamp": "2026-11-25T10:05:00Z",
                "acceptedSuggestions": [{"id": card["suggestions"][0]["uuid"]}]}  # fmt: skip
    overridden = ITEM | {"card": card["uuid"], "overrideReason": {"reason": {"code": "assessed"}}}

    assert [report(app, overridden).get_json()["stored"] for _ in range(3)] == [1, 0, 0]
    assert report(app, overridden, accepted, accepted).get_json() == {"received": 3, "stored": 1}

    rows = app.kept.rows(stores.feedback)
    assert [(r["outcome"], r["reason_hl7"], r["topic"]) for r in rows] == [
        ("overridden", "action-completed", "positive-safety-answer"), ("accepted", None, "positive-safety-answer"),
    ]  # fmt: skip
    assert {r["answer"] for r in rows} == {app.kept.rows(stores.answer)[0]["id"]}


def test_of_a_batch_with_a_bad_item_nothing_is_stored(app) -> None:
    answer = report(app, ITEM | {"card": "one"}, {"card": "two"}, ITEM | {"card": "three"})

    assert answer.status_code == 400
    assert "feedback[1]" in answer.get_json()["issue"][0]["diagnostics"]
    assert app.kept.rows(stores.feedback) == []


# ---- tables and their versions ----


def test_the_tables_that_migrations_make_are_those_of_the_code(store) -> None:
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SCHEMA) == []


def test_upgrading_again_changes_nothing(store) -> None:
    store.write_answer(NOW, "north", {"a": 1}, [])
    upgrade(store)

    assert revision(store) == newest()
    assert [r["event"] for r in store.rows(stores.answer)] == [{"a": 1}]


def test_sqlite_is_made_at_the_start_and_postgresql_asks_for_the_upgrade(store_url: str) -> None:
    if store_url.startswith("sqlite"):
        assert revision(prepare(store_url)) == newest()
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
    store.write_answer(NOW, "north", {"text": "ümlaut"}, cards)
    store.write_feedback(NOW, ["north"], "s", [row("a", comment=b"\x00sealed\xff"), row("b")])
    store.admit("t", 9_999_999_999, "c", 1000, 0)
    return {table.name: store.rows(table) for table in SCHEMA.sorted_tables}


@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
def test_a_backup_of_either_kind_goes_into_either_kind(store, into: str, tmp_path: Path, postgres) -> None:
    before, file = filled(store), tmp_path / "backup.gz"
    target = ready(f"sqlite:///{tmp_path / 'other.db'}" if into == "sqlite" else postgres.new_database())

    assert write_backup(store, file) == restore_backup(target, file) == sum(len(rows) for rows in before.values())

    assert {table.name: target.rows(table) for table in SCHEMA.sorted_tables} == before
    assert target.write_answer(NOW, "north", {}, []) == 2  # numbers go on
    assert target.admit("t", 9_999_999_999, "c", 1000, 0) is Admission.REPLAYED


def test_many_rows_are_backed_up_however_long_a_statement_takes(store, tmp_path: Path) -> None:
    many = [CardRow(uuid=f"u{n}", topic="acute-safety", indicator="critical", suggestions=()) for n in range(5000)]
    store.write_answer(NOW, "north", {}, many)

    with store.transaction(patient=True) as connection:
        if store.engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_sleep(2.5)"))  # a statement of a call is cut off after two seconds
    assert write_backup(store, tmp_path / "b.gz") == 5001


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
        "an unknown column": gzip.compress(b"\n".join([lines[0], b'["answer", {"id": 1, "at": "x", "event": {}, "more": 1}]'])),
        "another version": gzip.compress(b"\n".join([lines[0].replace(newest().encode(), b"0000"), *lines[1:]])),
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
    assert (up.returncode, up.stdout) == (0, f"Tables: version none before, {newest()} now.\n"), up.stderr
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

    event = app.extensions["mhcds"].store.rows(stores.answer)[0]["event"]
    assert told.stdout.split()[1:] == [event["hook_instance"], event["patient"]], told.stderr
    other = mhcds("db", "pseudonym", "--config", str(tmp_path), "--site", "south", input="x")
    assert (other.returncode, "there is no site south" in other.stderr) == (1, True)


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
        ready = client.get("/health/ready") if lock is None else None
    back()
    assert client.get("/health/ready").status_code == 200  # looking ends the pause

    assert answer.get_json()["cards"][0]["source"]["topic"]["code"] == "positive-safety-answer"
    assert again.status_code == 401  # this process has seen it
    assert (quick, bothered) == ([200] * 5, 0)
    assert (said.status_code, said.headers["Retry-After"]) == (503, "5")
    names = {app.extensions["mhcds"].key.pseudonym("north", n): n for n in ("before", "while-away", "after")}
    lost = [json.loads(r.message) for r in caplog.records if "answer-not-stored" in r.message]
    lost = [e for e in lost if names.get(e["hook_instance"])]
    assert [(names[e["hook_instance"]], e["topics"], len(e["patient"])) for e in lost] == [
        ("while-away", ["positive-safety-answer"], 32)
    ]
    if ready is not None:  # SQLite in WAL mode can be read while another process writes
        assert (ready.status_code, ready.get_json()["status"]) == (503, "not-ready")
    assert client.get("/health/ready").status_code == 200
    after = client.post(ADDRESS, json=hook_request(), headers=token)
    assert after.status_code == 401  # what was used in the outage stays used
    assert call(app, hookInstance="after").status_code == 200
    assert [names[r["event"]["hook_instance"]] for r in app.kept.rows(stores.answer)] == ["before", "after"]


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
    lost = {json.loads(r.message)["hook_instance"] for r in caplog.records if "answer-not-stored" in r.message}
    kept = {
        r["event"]["hook_instance"] for r in prepare(f"sqlite:///{tmp_path / 'data' / 'mhcds.db'}").rows(stores.answer)
    }
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
        ({"env": "NOT_SET"}, "NOT_SET"),
        ({"file": "absent"}, "absent"),
        ({}, "either file or env"),
        ({"file": "a", "env": "b"}, "either file or env"),
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
