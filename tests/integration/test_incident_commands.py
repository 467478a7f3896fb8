"""`mhcds incident` as an operator meets it, on both databases."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ehr import DATA_KEY, kept_in, mhcds, recorded, settings
from webhook_receiver import SECRET

from cds_service.incidents.incidents import NewIncident, open_incident
from cds_service.incidents.kinds import IncidentKind
from cds_service.sending.queue import send_next
from cds_service.settings.config import load_config
from cds_service.storage.opening import open_store


@pytest.fixture
def folder(store_url: str, tmp_path: Path) -> Path:
    return settings(tmp_path / "settings", service=kept_in(store_url, tmp_path / "settings"))


def opened(store, occasion: str = "one", site: str = "north") -> str:
    new = NewIncident(site=site, kind=IncidentKind.NEAR_MISS, occasion=occasion, facts={"about": "page"})
    with store.transaction() as connection:
        return open_incident(connection, new, datetime(2026, 11, 25, 12, 0, tzinfo=UTC))


def incident(folder: Path, *words: str, said: str | None = None):
    return mhcds("incident", words[0], "--config", str(folder), *words[1:], input=said)


def test_an_incident_is_listed_noted_assigned_closed_and_exported(folder, store, tmp_path: Path) -> None:
    name = opened(store)
    listed = incident(folder, "list").stdout
    assert name in listed
    assert all(word in listed for word in ("2026-11-25", "north", "near miss", "high", "nobody", "no webhook"))
    assert incident(folder, "note", name, "--by", "Ann", "--text", "-", said="Called Dr. Ødegård\n").returncode == 0
    assert incident(folder, "assign", name, "--to", "Ben", "--by", "Ann").stdout == f"The owner of {name} is Ben.\n"
    shown = incident(folder, "show", name).stdout
    assert "owner: Ben" in shown
    assert "A clinician reported a near miss in the app." in shown
    assert "noted by Ann: Called Dr. Ødegård\n" in shown
    assert incident(folder, "close", name, "--by", "Ben", "--reason", "Mapping mended").returncode == 0
    assert incident(folder, "list").stdout == "No open incidents; --all lists those closed.\n"
    (found,) = json.loads(incident(folder, "list", "--all", "--json").stdout)
    assert (found["id"], found["status"], found["owner"]) == (name, "closed", "Ben")
    assert [note.get("text") for note in found["notes"]] == [None, "Called Dr. Ødegård", None, "Mapping mended"]
    file = tmp_path / "incidents.jsonl"
    assert incident(folder, "export", str(file), "--by", "Ann", "--reason", "Yearly review").returncode == 0
    assert [json.loads(line) for line in file.read_text().splitlines()] == [found]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    exports = [{"what": "incidents", "by": "Ann", "reason": "Yearly review", "count": 1}]
    assert [row["event"] for row in recorded(store, "export")] == exports
    assert incident(folder, "export", str(file), "--by", "Ann", "--reason", "Again").stderr == (
        f"Error: {file}: expected a new file that can be written (File exists)\n"
    )
    assert [row["event"] for row in recorded(store, "export")] == exports, "an export that failed is on record"


def test_a_message_that_does_not_arrive_is_seen_in_the_list(store_url: str, store, tmp_path: Path) -> None:
    folder = tmp_path / "settings"
    (tmp_path / "secret").write_text(SECRET)
    webhook = {"url": "http://127.0.0.1:9/", "secret": {"file": "../secret"}}  # nobody listens there
    settings(folder, service=kept_in(store_url, folder) | {"webhook": webhook})
    name = opened(store)
    send_next(store, load_config(folder), lambda: datetime.now(UTC))
    assert "webhook: waits: ConnectionError, attempt 1\n" in incident(folder, "show", name).stdout
    words = incident(folder, "list").stdout.split()
    assert {"waits:", "attempt", "1"} <= set(words)


MISTAKES = {
    "an unknown id": (("show", "0123456789abcdef"), "there is no incident with that id; `mhcds incident list --all`"),
    "an unknown site": (("list", "--site", "sowth"), "there is no site sowth; expected one of: north"),
    "nothing written": (("note", "x", "--by", "A", "--text", " "), "--text: expected 1 to 4000 characters; found none"),
    "too much": (("note", "x", "--by", "A", "--text", "y" * 4001), "--text: expected 1 to 4000 characters"),
    "nobody": (("close", "x", "--by", " ", "--reason", "done"), "--by: expected one line of 1 to 200 characters"),
    "no reason": (("close", "x", "--by", "A"), "Missing option '--reason'"),
}


def test_mistakes_are_named_in_a_sentence(tmp_path: Path) -> None:
    folder = settings(tmp_path / "settings")
    mhcds("db", "upgrade", "--config", str(folder))
    for words, expected in MISTAKES.values():
        found = incident(folder, *words)
        assert found.returncode != 0
        assert expected in found.stderr
        assert "Traceback" not in found.stderr


def test_a_store_that_is_not_there_yet_has_no_incidents_and_old_tables_are_named(tmp_path: Path, postgres) -> None:
    assert incident(settings(tmp_path / "new"), "list").stdout.startswith("No open incidents")
    folder = settings(tmp_path / "old", service=kept_in(postgres.new_database(), tmp_path / "old"))
    found = incident(folder, "list")
    assert found.returncode != 0
    assert "mhcds db upgrade" in found.stderr


def test_what_was_written_stays_sealed_where_the_key_is_another(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mhcds.db'}"
    folder = settings(tmp_path / "settings", service=kept_in(url, tmp_path / "settings"))
    mhcds("db", "upgrade", "--config", str(folder))
    store = open_store(url)
    name = opened(store)
    store.close()
    incident(folder, "note", name, "--by", "Ann", "--text", "Mrs. Miller")
    (folder / "data.key").write_text(mhcds("db", "new-key").stdout)
    assert DATA_KEY not in (folder / "data.key").read_text()
    assert "noted by Ann: (sealed with another data key)" in incident(folder, "show", name).stdout
