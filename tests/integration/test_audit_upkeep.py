"""Export, retention and erasure: what leaves, what goes, and that the chain stays whole; planted identifiers reach none."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from builders import PATIENT, bundle, given, patient
from ehr import ADDRESS, DATA_KEY, EHR, FEEDBACK, app_of, hook_request, kept_in, mhcds, recorded, settings
from pyfhircheck import Validator

from cds_service.audit import erasure
from cds_service.audit.erasure import Erasure, erase_old, erase_people
from cds_service.audit.verify import verify
from cds_service.control.acts import Actor
from cds_service.control.opt_outs import OptOutAct, change_opt_outs
from cds_service.incidents.near_misses import ReportingRows
from cds_service.keys.data_key import DataKey
from cds_service.serving import watch
from cds_service.storage.audit_fields import FIELDS
from cds_service.storage.backup import restore_backup, write_backup
from cds_service.storage.calls import AnswerRow, CardRow
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.opening import open_store
from cds_service.storage.store import FeedbackRow, Store
from cds_service.storage.tables import SCHEMA, audit_event, card, feedback, incident, incident_note
from cds_service.storage.versions import upgrade
from fhir_adapters.resources.validation import faults
from fhir_adapters.writing.audit_events import RecordedEvent, audit_event_resource

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
KEY = DataKey(DATA_KEY)
WHY = Erasure(act="person", by="A. Smith", reason="asked for", at=NOW)
WHO = ("--by", "A. Smith", "--reason", "asked for")
POSITIVE = {"screening": json.loads(bundle(*given("PHQ-9, today: item 9 = 2, total = 9")))}


def write(store: Store, n: int, who: str, *, days: int = 0) -> None:
    event = {
        "service": "s",
        "site": "north",
        "patient": KEY.pseudonym("north", who),
        "scores": [{"model": "m", "probability": 0.5}],
    }
    sent = CardRow(uuid=f"u{n}", topic="acute-safety", indicator="critical", suggestions=())
    at = NOW - timedelta(days=days)
    store.write_answer(AnswerRow(at=at.isoformat(), site="north", event=event, cards=(sent,)))
    said = FeedbackRow(
        digest=f"d{n}", card=f"u{n}", outcome="overridden", outcome_at="t", suggestions=(), comment=b"sealed"
    )
    store.write_feedback(at, ["north"], "s", [said])


def counts(store: Store) -> tuple[int, int]:
    (chain,) = [chain for chain in verify(store) if chain.site == "north"]
    assert chain.faults == ()
    return chain.events, chain.erased


# ---- erasure ----


def test_a_persons_events_go_with_their_cards_and_comments_and_the_chain_stays_whole(
    store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "AT_ONCE", 3)
    for n in range(12):
        write(store, n, "a" if n % 3 else "b")

    assert erase_people(store, "north", [KEY.pseudonym("north", "a")], WHY) == 16

    assert counts(store) == (24 + 6, 16)
    everything = json.dumps({t.name: store.rows(t) for t in SCHEMA.sorted_tables}, default=lambda raw: raw.hex())
    assert KEY.pseudonym("north", "a") not in everything
    if store.file is not None:
        for file in Path(str(store.engine.url.database)).parent.iterdir():
            assert KEY.pseudonym("north", "a").encode() not in file.read_bytes(), f"still in {file.name}"
    assert KEY.pseudonym("north", "b") in everything
    assert {row["uuid"] for row in store.rows(card)} == {"u0", "u3", "u6", "u9"}
    assert [row["comment"] for row in store.rows(feedback)].count(None) == 8
    (first, *_) = recorded(store, "erasure")
    assert first["event"] == {"act": "person", "by": "A. Smith", "reason": "asked for", "count": 3, "numbers": [[3, 5]]}
    assert erase_people(store, "north", [KEY.pseudonym("north", "a")], WHY) == 0


def test_with_a_persons_events_go_the_words_of_near_misses_reported_of_them(store) -> None:
    rows = ReportingRows(store)
    for launch, who in (("l1", "a"), ("l2", "b")):
        near = {"what": "opinion", "site": "north", "launch": launch, "outcome": "page", "choice": "near-miss"}
        rows.record(NOW.isoformat(), {**near, "comment": f"sealed {who}", "patient": KEY.pseudonym("north", who)})

    erase_people(store, "north", [KEY.pseudonym("north", "a")], WHY)

    assert {bytes(row["text"]) for row in store.rows(incident_note) if row["text"]} == {b"sealed b"}
    assert len(store.rows(incident)) == 2


def test_events_that_a_site_keeps_no_longer_go_and_erasures_stay(store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "PAGE", 5)
    monkeypatch.setattr(erasure, "REST_S", 0)
    for n in range(10):
        write(store, n, "a", days=100 - 10 * n)
    erase_people(store, "north", [KEY.pseudonym("north", "b")], WHY)

    assert erase_old(store, "north", 55, NOW) == 10
    again = erase_old(store, "north", 55, NOW)

    assert again == 0
    assert counts(store)[1] == 10
    later = NOW + timedelta(days=400)
    assert erase_old(store, "north", 55, later) == 10
    kept = [row["kind"] for row in store.rows(audit_event) if row["event"]]
    assert set(kept) == {"erasure"}
    assert counts(store)[1] == 20
    assert all(row["comment"] is None for row in store.rows(feedback))


def test_a_backup_with_erased_events_is_whole_where_it_is_restored(store, tmp_path: Path) -> None:
    for n in range(4):
        write(store, n, "ab"[n % 2])
    erase_people(store, "north", [KEY.pseudonym("north", "a")], WHY)
    write_backup(store, tmp_path / "backup.gz")
    (tmp_path / "other.db").touch()
    other = open_store(f"sqlite:///{tmp_path / 'other.db'}")
    upgrade(other)
    restore_backup(other, tmp_path / "backup.gz")

    assert counts(other) == counts(store) == (9, 4)
    write(other, 9, "a")
    assert counts(other) == (11, 4)
    other.close()


def test_a_worker_erases_by_the_sites_settings_and_signs_heads_once_a_day(tmp_path: Path, caplog) -> None:
    clock = [NOW]
    app = app_of(settings(tmp_path, site={"retention": {"audit_days": 90}}), now=lambda: clock[0])
    runtime = app.extensions["mhcds"]
    write(runtime.store, 1, "a", days=95)
    write(runtime.store, 2, "a", days=5)
    with caplog.at_level(logging.INFO):
        watch.look(runtime)
        watch.look(runtime)

    assert counts(runtime.store) == (5, 2)
    assert len([r for r in caplog.records if '"audit-head"' in r.message and '"north"' in r.message]) == 1
    clock[0] = NOW + timedelta(days=1, hours=1)
    with caplog.at_level(logging.INFO):
        watch.look(runtime)
    assert len([r for r in caplog.records if '"audit-head"' in r.message and '"north"' in r.message]) == 2


def test_settings_that_come_into_force_are_on_record_once(tmp_path: Path) -> None:
    folder = settings(tmp_path)
    one, other = app_of(folder).extensions["mhcds"], app_of(folder).extensions["mhcds"]
    for runtime in (one, other, one):
        watch.look(runtime)
    (first,) = recorded(one.store, "configuration")
    assert first["event"]["sites"] == ["north"]
    assert len(first["event"]["digest"]) == 64

    (folder / "sites" / "north.toml").write_text((folder / "sites" / "north.toml").read_text() + "\n# changed\n")
    changed = app_of(folder).extensions["mhcds"]
    for runtime in (changed, changed):
        watch.look(runtime)
    assert [row["event"]["digest"] == first["event"]["digest"] for row in recorded(one.store, "configuration")] == [
        True, False,
    ]  # fmt: skip
    assert all(not chain.faults for chain in verify(one.store))


# ---- export ----

EVENTS = {
    "answer": {"status": 200, "site": "north", "issuer": "https://ehr.example", "patient": "a" * 32, "user": "b" * 32, "topics": ["acute-safety"], "scores": [{"model": "depression 3.0.0", "probability": 0.2, "shown": True}], "late": False, "ms": 3.2},
    "app": {"what": "written", "patient": "a" * 32, "user": None, "form": "phq-9", "slots": ["form"]},
    "erasure": {"act": "person", "by": "A. Smith", "numbers": [[1, 2]], "count": 2},
}  # fmt: skip


@pytest.mark.parametrize("kind", AuditKind)
def test_every_kind_is_a_valid_audit_event_for_two_validators(kind: AuditKind) -> None:
    event = EVENTS.get(kind, {name: "x" for name in FIELDS[kind] if "." not in name})
    made = audit_event_resource(RecordedEvent(site="north", seq=7, at=NOW.isoformat(), kind=kind, event=event))

    assert faults(made) == []
    assert [i.code for i in Validator().validate_resource(made).issues] == []
    assert made["entity"][-1]["what"]["identifier"]["value"] == "north/7"


def test_what_failed_is_told_from_what_succeeded() -> None:
    def outcome(status: int) -> str:
        event = {"status": status}
        return audit_event_resource(RecordedEvent(site="", seq=1, at=NOW.isoformat(), kind="answer", event=event))[
            "outcome"
        ]

    assert [outcome(status) for status in (200, 412, 503)] == ["0", "4", "8"]


def test_an_export_leaves_out_who_opted_out_unless_all_are_asked_for_and_is_on_record(
    store, store_url: str, tmp_path: Path
) -> None:
    folder = str(settings(tmp_path / "settings", service=kept_in(store_url, tmp_path / "settings")))
    for n in range(6):
        write(store, n, "ab"[n % 2], days=n)
    out = KEY.pseudonym("north", "b")
    change_opt_outs(store, OptOutAct.ADD, "north", [out], actor=Actor("A", "command"), reason="asked", now=NOW)

    some = mhcds("audit", "export", "--config", folder, "--site", "north", *WHO)
    assert (some.returncode, out in some.stdout) == (0, False), some.stderr
    assert [json.loads(line)["kind"] for line in some.stdout.splitlines()].count("answer") == 3
    every = mhcds("audit", "export", "--config", folder, "--all", "--format", "fhir", "--since", "2026-11-22", "--until", "2026-11-24", "--out", str(tmp_path / "e.ndjson"), *WHO)  # fmt: skip
    assert every.returncode == 0, every.stderr
    lines = [json.loads(line) for line in (tmp_path / "e.ndjson").read_text().splitlines()]
    assert [line["recorded"][:10] for line in lines if line["subtype"][0]["code"] == "answer"] == [
        "2026-11-23",
        "2026-11-22",
    ]
    assert all(line["resourceType"] == "AuditEvent" and faults(line) == [] for line in lines)
    assert (tmp_path / "e.ndjson").stat().st_mode & 0o777 == 0o600
    asked = [row["event"] for row in recorded(store, "export")]
    assert [(e["format"], e["everyone"], e["by"]) for e in asked] == [
        ("fhir", True, "A. Smith"),
        ("jsonl", False, "A. Smith"),
    ]
    there = mhcds("audit", "export", "--config", folder, "--out", str(tmp_path / "e.ndjson"), *WHO)
    assert (there.returncode, "expected a new file" in there.stderr, "Traceback" in there.stderr) == (1, True, False)


def test_the_command_erases_by_the_ids_of_the_ehr(store, store_url: str, tmp_path: Path) -> None:
    folder = str(settings(tmp_path / "settings", service=kept_in(store_url, tmp_path / "settings")))
    for n in range(4):
        write(store, n, "ab"[n % 2])

    done = mhcds("audit", "erase", "--config", folder, "--site", "north", *WHO, input="a\nnobody\n")
    assert (done.returncode, done.stdout) == (0, "4 events of 2 patients erased.\n"), done.stderr
    assert mhcds("audit", "verify", "--config", folder).returncode == 0
    long = mhcds(
        "audit", "erase", "--config", folder, "--site", "north", "--by", "x" * 900, "--reason", "r", input="b\n"
    )
    assert (long.returncode, "Traceback" in long.stderr) == (1, False)
    assert counts(store)[1] == 4


# ---- planted identifiers ----

PLANTED = (
    "Wojcik-Xyz",
    "MRN-7719-Xyz",
    "1961-04-07",
    "Practitioner/doctor-xyz",
    "Comment-Xyz",
    "xyz-free-text",
    "token-xyz-secret",
)


def test_planted_identifiers_reach_neither_the_database_nor_an_export_nor_the_log(
    store_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = settings(tmp_path / "settings", service=kept_in(store_url, tmp_path / "settings"))
    open_store(store_url).close()
    kept = open_store(store_url)
    upgrade(kept)
    app, me = app_of(folder), EHR()
    client = app.test_client()
    chart = POSITIVE | {
        "patient": patient(
            name=[{"family": "Wojcik-Xyz"}], identifier=[{"value": "MRN-7719-Xyz"}], birthDate="1961-04-07",
            contact=[{"name": {"text": "xyz-free-text"}}],
        )
    }  # fmt: skip
    context = {"userId": "Practitioner/doctor-xyz", "patientId": PATIENT}
    authorization = {
        "access_token": "token-xyz-secret",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "",
        "subject": "x",
    }
    with caplog.at_level(logging.DEBUG):
        for more in ({}, {"fhirAuthorization": authorization, "fhirServer": "https://ehr.example/fhir"}):
            answer = client.post(ADDRESS, json=hook_request(more=chart, context=context, **more), headers=me.headers())
            assert answer.status_code == 200
        uuid = answer.get_json()["cards"][0]["uuid"]
        for name, code in (("Wojcik-Xyz", "MRN-7719-Xyz"), (uuid, "1961-04-07")):
            said = {"card": name, "outcome": "overridden", "outcomeTimestamp": "2026-11-25T10:00:00Z",
                    "overrideReason": {"userComment": "Comment-Xyz", "reason": {"code": code, "system": "xyz-free-text"}}}  # fmt: skip
            assert client.post(FEEDBACK, json={"feedback": [said]}, headers=me.headers(FEEDBACK)).status_code == 200
    for fields in ({"patient_name": "Wojcik-Xyz"}, {"facts": [{"name": "x"}], "mrn": "MRN-7719-Xyz"}):
        with kept.transaction() as connection, pytest.raises(ValueError, match="expected the fields listed"):
            append(connection, NewEvent(site="north", kind=AuditKind.MODE, at="t", event=fields))

    export = mhcds("audit", "export", "--config", str(folder), "--all", *WHO)
    fhir = mhcds("audit", "export", "--config", str(folder), "--all", "--format", "fhir", *WHO)
    tables = msgspec.json.encode(
        {t.name: [{k: str(v) for k, v in row.items()} for row in kept.rows(t)] for t in SCHEMA.sorted_tables}
    ).decode()
    file = Path(sa.make_url(store_url).database or "")
    raw = (
        b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))
        if store_url.startswith("sqlite")
        else b""
    )
    assert export.stdout.count('"kind": "feedback"') == 2
    for word in PLANTED:
        for where, text in (("export", export.stdout), ("FHIR", fhir.stdout), ("tables", tables), ("log", caplog.text)):
            assert word not in text, (where, word)
        assert word.encode() not in raw, word
    kept.close()
