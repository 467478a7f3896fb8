"""`mhcds escalation` and what `check-config` says of contacts, as an operator meets them, on both databases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ehr import kept_in, mhcds, settings
from escalation_desk import Desk, acute, contact, site_of

HOOK = {"url": "http://127.0.0.1:9/pager", "secret": {"env": "PAGER_SECRET"}}


@pytest.fixture
def folder(store_url: str, tmp_path: Path) -> Path:
    return settings(tmp_path / "settings", service=kept_in(store_url, tmp_path / "settings"))


@pytest.fixture
def desk(store) -> Desk:
    return Desk(store, site_of(contact("first"), contact("second")))


def escalation(folder: Path, *words: str):
    return mhcds("escalation", words[0], "--config", str(folder), *words[1:])


def test_an_escalation_is_listed_acknowledged_once_and_closed_once(folder, desk) -> None:
    name = desk.read(acute()).id
    listed = escalation(folder, "list").stdout
    assert all(word in listed for word in (name, "2026-11-30 17:50 UTC", "north", "first", "open"))
    assert escalation(folder, "acknowledge", name, "--by", "Ann").stdout == f"{name} is acknowledged by Ann.\n"
    again = escalation(folder, "acknowledge", name, "--by", "Ben")
    assert again.stdout.startswith(f"{name} was acknowledged by Ann on ")
    assert escalation(folder, "list").stdout == "No open escalations; --all lists the others.\n"
    back = escalation(folder, "hand-back", name, "--by", "Ann")
    assert back.stdout == f"{name} is open again; the next contact is told.\n"
    escalation(folder, "acknowledge", name, "--by", "Ann")
    closed = escalation(folder, "close", name, "--by", "Ann", "--reason", "handled")
    assert closed.stdout == f"{name} is closed.\n"
    (row,) = json.loads(escalation(folder, "list", "--all", "--json", "--site", "north").stdout)
    assert (row["id"], row["status"], row["acknowledged_by"], row["why_closed"]) == (name, "closed", "Ann", "handled")


def test_mistakes_are_named_in_a_sentence(folder, desk) -> None:
    unknown = escalation(folder, "acknowledge", "0123456789ab", "--by", "Ann")
    assert (unknown.returncode, unknown.stderr) == (
        1,
        "Error: there is no such escalation; `mhcds escalation list --all` shows those there are\n",
    )
    name = desk.read(acute()).id
    assert "expected one line of 1 to 200" in escalation(folder, "acknowledge", name, "--by", " ").stderr
    assert "'handled', 'in-error', 'drill'" in escalation(folder, "close", name, "--by", "A", "--reason", "x").stderr
    assert desk.rows()[0].is_open


def test_check_config_says_who_is_told_and_when_nobody_is_on_duty(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PAGER_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    day = {
        "name": "Crisis desk",
        "channel": "webhook",
        "within_min": 10,
        "hours": ["Mon-Fri 08:00-18:00"],
        "webhook": HOOK,
    }
    weekend = {"name": "On call", "channel": "webhook", "hours": ["Sat,Sun 22:00-06:00"], "webhook": HOOK}
    folder = settings(tmp_path, site={"consent": "not-used", "escalation": {"contact": [day, weekend]}})
    said = mhcds("check-config", str(folder)).stdout
    assert "site north: told of acute answers: Crisis desk (webhook, 10 min), then On call (webhook, 15 min)" in said
    assert 'time_zone = "UTC": the hours of [[escalation.contact]] are by that clock' in said
    gaps = [line.split("on duty ")[1].split(";")[0] for line in said.splitlines() if "no contact is on duty" in line]
    assert gaps == [
        "Mon 06:00 to Mon 08:00",
        "Mon 18:00 to Tue 08:00",
        "Tue 18:00 to Wed 08:00",
        "Wed 18:00 to Thu 08:00",
        "Thu 18:00 to Fri 08:00",
        "Fri 18:00 to Sat 22:00",
        "Sun 06:00 to Sun 22:00",
    ]
