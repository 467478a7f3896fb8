"""`[subscription]` of a site's file: every mistake is named with its key and what to do, and no secret is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ehr import mhcds, settings

from cds_service.errors import ConfigError
from cds_service.settings.config import load_config
from cds_service.settings.mismatches import mismatches

SECRET = "5f1c2d7e9a0b4c6d8e3f1a2b3c4d5e6f"
BACKEND = {"base": "https://ehr.example/fhir", "client_id": "cds", "scopes": ["system/*.rs"]}
GOOD = {"secret": {"file": "../secret"}}


def loaded(folder: Path, table: dict, **more):
    for name, text in {"secret": SECRET, "short": "hunter2-hunter2", "spaced": f"hunter2 {SECRET}"}.items():
        (folder / name).write_text(f"{text}\n")
    site = {"fhir_bases": ["https://ehr.example/fhir"], "backend": BACKEND, "subscription": table} | more
    site = {name: value for name, value in site.items() if value is not ...}
    return load_config(settings(folder, site=site, service={"mode": "production", "public_url": "https://cds.example"}))


def test_a_subscription_is_taken_as_it_is_written_and_without_it_there_is_none(tmp_path: Path) -> None:
    found = loaded(tmp_path, GOOD | {"expect_every_h": 24}).sites[0].subscription
    assert (found.secret, found.expect_every_h) == (SECRET, 24)
    assert SECRET not in repr(found)
    assert loaded(tmp_path, GOOD).sites[0].subscription.expect_every_h is None
    assert loaded(tmp_path, ...).sites[0].subscription is None


MISTAKES = {
    "no backend": (GOOD, {"backend": ...}, "[subscription]: required with it: [backend]"),
    "an id that no address holds": (GOOD, {"id": "north wing"}, "[subscription]: expected an id of letters, digits"),
    "no secret": ({}, {}, '[subscription] secret: expected { file = "..." } or { env = "NAME" }; found none'),
    "a secret written in": ({"secret": SECRET}, {}, "[subscription] secret: expected {"),
    "a short secret": ({"secret": {"file": "../short"}}, {}, "[subscription] secret: expected 32 to 512 letters"),
    "a secret with a space": ({"secret": {"file": "../spaced"}}, {}, "[subscription] secret: expected 32 to 512 letters"),
    "a secret that is not there": ({"secret": {"env": "NO_SUCH"}}, {}, "[subscription] secret: the environment variable"),
    "silence for no time": (GOOD | {"expect_every_h": 0}, {}, "[subscription] expect_every_h: expected 1 to 720; found 0"),
    "silence for a year": (GOOD | {"expect_every_h": 8760}, {}, "expect_every_h: expected 1 to 720; found 8760"),
    "an unknown key": (GOOD | {"token": "x"}, {}, "[subscription] token: no such setting"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_and_no_secret_is_printed(mistake: str, tmp_path: Path) -> None:
    table, more, expected = MISTAKES[mistake]
    with pytest.raises(ConfigError) as found:
        loaded(tmp_path, table, **more)
    assert expected in str(found.value)
    assert "hunter2" not in str(found.value)
    assert SECRET not in str(found.value)


def test_check_config_says_where_notifications_go_and_what_is_lacking(tmp_path: Path) -> None:
    config = loaded(tmp_path, GOOD | {"expect_every_h": 24}, backend=BACKEND | {"scopes": ["system/Observation.rs"]})
    (site,) = config.sites
    assert [line for line in mismatches(config, site) if "escalation" in line or "backend" in line] == [
        "[subscription] without [escalation]: charts are read, and nobody is told; add [escalation]",
        "[backend] scopes hold no right to read Patient, QuestionnaireResponse, Condition: add system/Patient.rs and so on",
    ]
    done = mhcds("check-config", str(tmp_path))
    assert "notifications https://cds.example/subscriptions/north, an incident after 24 h of silence" in done.stdout
